/**
 * Words as bytes.
 *
 *   version (1) · cluster · run · commands · leaseless · agreed time · kind · fields of the kind
 *
 * Reading is strict: another version, an unknown kind, a text or number out of bounds, a byte too few or too many refuse
 * the whole word, by value, never by exception. A word has one form only. Who speaks is not written: the connection
 * proves it.
 */
import type { MemberId } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { ByteReader, ByteWriter } from '../replica/bytes.ts';
import { latestAt } from '../replica/model.ts';
import { type Codecs, readUnion, writeUnion } from '../replica/parts.ts';
import { isAddress, isMemberName } from '../swim/valid.ts';
import type { PeerName } from './contract.ts';
import { id, text, writeId } from './parts.ts';
import { readRaft, writeRaft } from './raft-codec.ts';
import { runsMax } from './rules.ts';
import {
  type Ask,
  type FirstVoter,
  type Head,
  type LogEnd,
  type Told,
  type ToldRefusal,
  tellBytesMax,
  type Word,
  type WordKind,
} from './words.ts';

export const wordVersion = 2;
/** Hexadecimal digits of a cluster's id and of a set's hash. */
const idForm = /^[0-9a-f]{32}$/;
const clusterForm = /^([0-9a-f]{32})?$/;
const plain = /^[^\p{Cc}]{1,256}$/u;

export type WordFault = 'version' | 'malformed';

const kinds: readonly WordKind[] = [
  'raft',
  'form',
  'cluster',
  'join',
  'ask',
  'told',
  'hash',
  'away',
  'who',
  'run',
  'tell',
];
const awayReasons = ['removed', 'name-taken'] as const;
const changes = ['add', 'promote', 'remove'] as const;
const refusals: readonly ToldRefusal[] = [
  'not-leader',
  'transferring',
  'busy',
  'too-large',
  'change-pending',
  'change-void',
  'not-caught-up',
  'no-quorum-after',
  'no-such-member',
  'must-leave',
  'writes-without-lease',
  'slow',
  'unsupported',
  'malformed',
  'not-member',
];

const address = (from: ByteReader): string => text(from, isAddress);
const name = (from: ByteReader): string => text(from, isMemberName);
/** Empty, or a run's. */
const proof = (from: ByteReader): string => text(from, (one) => clusterForm.test(one));
const tellBytes = (from: ByteReader): Uint8Array => {
  const bytes = from.bytes();
  return bytes.byteLength <= tellBytesMax ? bytes : from.fail(bytes);
};
const writeEnd = (to: ByteWriter, { term, index }: LogEnd): ByteWriter => to.number(term).number(index);
const readEnd = (from: ByteReader): LogEnd => ({ term: from.number(), index: from.number() });
const word32 = (from: ByteReader): number => {
  const value = from.number();
  return value < 2 ** 32 ? value : from.fail(0);
};

const askKinds: readonly Ask['kind'][] = ['propose', 'change', 'transfer', 'lease'];
const asks: Codecs<Ask> = {
  propose: {
    write: (to, a) => void to.byte(a.strong ? 1 : 0).bytes(a.data),
    read: (from) => ({ strong: from.flag(), data: from.bytes() }),
  },
  change: {
    write: (to, a) =>
      void to
        .byte(changes.indexOf(a.change))
        .text(a.member)
        .byte(a.force ? 1 : 0),
    read: (from) => ({ change: from.oneOf(changes), member: text(from, isMemberName), force: from.flag() }),
  },
  transfer: {
    write: (to, a) => void to.option(a.to, (member) => to.text(member)),
    read: (from) => ({ to: from.option(() => text(from, isMemberName)) }),
  },
  lease: {
    write: (to, a) => void to.text(a.pool).number(a.epoch),
    read: (from) => ({ pool: text(from, (pool) => plain.test(pool)), epoch: from.number() }),
  },
};

const toldKinds: readonly Told['kind'][] = ['committed', 'done', 'not-open', 'refused', 'unknown'];
const nothing = { write: () => {}, read: () => ({}) };
const tolds: Codecs<Told> = {
  committed: { write: (to, t) => void to.number(t.index), read: (from) => ({ index: from.number() }) },
  done: nothing,
  'not-open': {
    write: (to, t) => void to.option(t.open, (epoch) => to.number(epoch)),
    read: (from) => ({ open: from.option(() => from.number()) }),
  },
  refused: {
    write: (to, t) => void to.byte(refusals.indexOf(t.why)),
    read: (from) => ({ why: from.oneOf(refusals) }),
  },
  unknown: nothing,
};

export function writeFirstVoters(to: ByteWriter, voters: readonly FirstVoter[]): void {
  to.list(voters, (voter) => writeId(to.text(voter.address), voter.id));
}

/** Sorted by address, each address and id once. */
export function readFirstVoters(from: ByteReader): readonly FirstVoter[] {
  const voters = from.list((): FirstVoter => ({ address: address(from), id: id(from) }));
  for (let i = 1; i < voters.length; i++) if (voters[i - 1]!.address >= voters[i]!.address) return from.fail([]);
  return new Set(voters.map((one) => one.id)).size === voters.length ? voters : from.fail([]);
}

const nobody: PeerName = { id: '' as MemberId, boot: 0 };

const words: Codecs<Word> = {
  raft: {
    write: (to, w) => writeRaft(to, w.message),
    read: (from) => ({ message: readRaft(from, nobody) }),
  },
  form: {
    write: (to, w) => {
      to.text(w.name).text(w.address).text(w.set);
      to.option(w.promised, (voters) => writeFirstVoters(to, voters));
    },
    read: (from) => ({
      name: name(from),
      address: address(from),
      set: text(from, (set) => idForm.test(set)),
      promised: from.option(() => readFirstVoters(from)),
    }),
  },
  cluster: {
    write: (to, w) => void to.text(w.leader),
    read: (from) => ({ leader: text(from, (leader) => leader === '' || isAddress(leader)) }),
  },
  join: {
    write: (to, w) => void to.text(w.name).text(w.address),
    read: (from) => ({ name: name(from), address: address(from) }),
  },
  ask: {
    write: (to, w) => writeUnion(to.number(w.id), w.ask, { kinds: askKinds, codecs: asks }),
    read: (from) => ({ id: from.number(), ask: readUnion(from, { kinds: askKinds, codecs: asks }) }),
  },
  told: {
    write: (to, w) => writeUnion(to.number(w.id).number(w.run), w.told, { kinds: toldKinds, codecs: tolds }),
    read: (from) => ({
      id: from.number(),
      run: from.number(),
      told: readUnion(from, { kinds: toldKinds, codecs: tolds }),
    }),
  },
  hash: {
    write: (to, w) => void to.number(w.index).number(w.hash[0]).number(w.hash[1]),
    read: (from) => ({ index: from.number(), hash: [word32(from), word32(from)] }),
  },
  away: {
    write: (to, w) => void to.byte(awayReasons.indexOf(w.why)).number(w.both),
    read: (from) => ({ why: from.oneOf(awayReasons), both: from.number() }),
  },
  who: {
    write: (to, w) => {
      to.number(w.both).number(w.last).text(w.proof);
      writeEnd(to, w.had).text(w.address);
    },
    read: (from) => ({
      ...{ both: from.number(), last: from.number(), proof: proof(from) },
      ...{ had: readEnd(from), address: address(from) },
    }),
  },
  run: {
    write: (to, w) => void writeEnd(to.number(w.after).text(w.proof), w.had).text(w.address),
    read: (from) => ({ after: from.number(), proof: proof(from), had: readEnd(from), address: address(from) }),
  },
  tell: {
    write: (to, w) => void to.byte(w.channel).bytes(w.bytes),
    read: (from) => ({ channel: from.byte(), bytes: tellBytes(from) }),
  },
};

export function encodeWord(head: Head, word: Word): Uint8Array {
  const to = new ByteWriter();
  to.byte(wordVersion)
    .text(head.cluster)
    .number(head.run)
    .number(head.commands)
    .byte(head.leaseless ? 1 : 0)
    .number(head.agreed ?? 0);
  writeUnion(to, word, { kinds, codecs: words });
  return to.take();
}

const agreedOf = (agreed: number): Pick<Head, 'agreed'> => (agreed > 0 ? { agreed } : {});

/** Who speaks stands in no word, so no word can lie about it. */
function spoken(word: Word, { id: from, boot }: PeerName): Word {
  return word.kind === 'raft' ? { kind: 'raft', message: { ...word.message, from, boot } } : word;
}

export function decodeWord(
  bytes: Uint8Array,
  speaker: PeerName,
): Result<{ readonly head: Head; readonly word: Word }, WordFault> {
  const from = new ByteReader(bytes);
  const version = from.byte();
  if (version !== wordVersion) return err(from.failed ? 'malformed' : 'version');
  const head: Head = {
    cluster: text(from, (cluster) => clusterForm.test(cluster)),
    run: from.number(),
    commands: from.number(),
    leaseless: from.flag(),
    ...agreedOf(from.number()),
  };
  if (from.failed || (head.agreed ?? 0) > latestAt || head.run >= runsMax || head.commands > 255)
    return err('malformed');
  const word: Word = readUnion(from, { kinds, codecs: words });
  return from.done() ? ok({ head, word: spoken(word, speaker) }) : err('malformed');
}
