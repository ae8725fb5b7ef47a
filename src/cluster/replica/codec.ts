/**
 * Proposals as bytes.
 *
 *   version       1 byte: of its command; 1, but for `pool`, which is of 2
 *   at            8 bytes, big endian; stamped in place by the leader, so that what a member forwards is not read again
 *   proposer      uid, boot, number
 *   command       its kind, its fields
 *
 * Reading is strict: one form per proposal, nothing behind it, all numbers and texts within reason. What can't be read
 * is refused by value, never by exception.
 */
import type { Millis } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { ByteReader, ByteWriter, copyOf, textBytes } from './bytes.ts';
import type { Command, Proposal, Proposer } from './command.ts';
import { latestAt, recordKinds } from './model.ts';
import { type Codecs, readCondition, readFacts, readUnion, writeCondition, writeFacts, writeUnion } from './parts.ts';
import { readPool, writePool } from './pool-codec.ts';

/** The newest that is known here. Each command is written in the version that brought it, so that older members read it. */
export const proposalVersion = 2;
const uidBytesMax = 64;

/** `version`: made by a member that speaks a newer version than this one. */
export type Unreadable = 'version' | 'malformed';

const kinds: readonly Command['kind'][] = [
  'set',
  'delete',
  'grant',
  'keep-alive',
  'revoke',
  'acquire',
  'extend',
  'release',
  'withdraw',
  'register',
  'unregister',
  'note',
  'expire',
  'raise',
  'pool',
];

const versionOf = ({ kind }: Command): number => (kind === 'pool' ? 2 : 1);

const nothing = { write: () => {}, read: () => ({}) };
const leaseOnly = {
  write: (to: ByteWriter, { lease }: { readonly lease: number }) => void to.number(lease),
  read: (from: ByteReader) => ({ lease: from.number() }),
};

const codecs: Codecs<Command> = {
  set: {
    write: (to, c) => {
      to.text(c.key).bytes(c.value);
      to.option(c.lease, (lease) => to.number(lease));
      writeCondition(to, c.when);
    },
    read: (from) => ({
      key: from.text(),
      value: from.bytes(),
      lease: from.option(() => from.number()),
      when: readCondition(from),
    }),
  },
  delete: {
    write: (to, c) => writeCondition(to.text(c.key), c.when),
    read: (from) => ({ key: from.text(), when: readCondition(from) }),
  },
  grant: { write: (to, c) => to.number(c.ttlMs), read: (from) => ({ ttlMs: from.number() }) },
  'keep-alive': leaseOnly,
  revoke: leaseOnly,
  acquire: {
    write: (to, c) => to.text(c.name).text(c.owner).number(c.ttlMs).number(c.waitMs).number(c.delayMs),
    read: (from) => ({
      name: from.text(),
      owner: from.text(),
      ttlMs: from.number(),
      waitMs: from.number(),
      delayMs: from.number(),
    }),
  },
  extend: {
    write: (to, c) => to.text(c.name).number(c.token).number(c.ttlMs),
    read: (from) => ({ name: from.text(), token: from.number(), ttlMs: from.number() }),
  },
  release: {
    write: (to, c) => to.text(c.name).number(c.token),
    read: (from) => ({ name: from.text(), token: from.number() }),
  },
  withdraw: {
    write: (to, c) => to.text(c.name).text(c.owner),
    read: (from) => ({ name: from.text(), owner: from.text() }),
  },
  register: {
    write: (to, c) => writeFacts(to.byte(recordKinds.indexOf(c.what)).text(c.id), c.facts),
    read: (from) => ({ what: from.oneOf(recordKinds), id: from.text(), facts: readFacts(from) }),
  },
  unregister: {
    write: (to, c) => to.byte(recordKinds.indexOf(c.what)).text(c.id),
    read: (from) => ({ what: from.oneOf(recordKinds), id: from.text() }),
  },
  note: {
    write: (to, c) => to.text(c.topic).text(c.subject).text(c.text),
    read: (from) => ({ topic: from.text(), subject: from.text(), text: from.text() }),
  },
  expire: nothing,
  raise: nothing,
  pool: {
    write: (to, c) => {
      writePool(to, c.record);
      to.text(c.note);
    },
    read: (from) => ({ record: readPool(from), note: from.text() }),
  },
};

export function encodeProposal(proposal: Proposal): Uint8Array {
  const to = new ByteWriter();
  to.byte(versionOf(proposal.command)).raw(fixed(proposal.at));
  to.text(proposal.proposer.uid).number(proposal.proposer.boot).number(proposal.proposer.number);
  writeUnion(to, proposal.command, { kinds, codecs });
  return to.take();
}

export function decodeProposal(bytes: Uint8Array): Result<Proposal, Unreadable> {
  const from = new ByteReader(bytes);
  const version = from.byte();
  if (version > proposalVersion) return err('version');
  if (version === 0) return err('malformed');
  const at = readFixed(from);
  const proposer: Proposer = { uid: from.text(), boot: from.number(), number: from.number() };
  const command: Command = readUnion(from, { kinds, codecs });
  if (!from.done() || at > latestAt || proposer.number === 0) return err('malformed');
  if (version !== versionOf(command)) return err('malformed');
  if (proposer.uid === '' || textBytes(proposer.uid) > uidBytesMax) return err('malformed');
  return ok({ proposer, at, command });
}

/** The same proposal with the leader's time on it. The bytes must be a proposal; `at` a whole number. */
export function stampProposal(bytes: Uint8Array, at: Millis): Uint8Array {
  const stamped = copyOf(bytes);
  stamped.set(fixed(at), 1);
  return stamped;
}

function fixed(at: Millis): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(at / 2 ** 32));
  view.setUint32(4, at % 2 ** 32);
  return bytes;
}

function readFixed(from: ByteReader): Millis {
  let at = 0;
  for (let i = 0; i < 8; i++) at = at * 256 + from.byte();
  return at;
}
