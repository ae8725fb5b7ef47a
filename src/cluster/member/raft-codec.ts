/**
 * Messages of agreement as bytes: kind · to · term · fields of the kind. `from` and `boot` are the connection's. Numbers
 * and shapes beyond their types are judged by the core itself (raft/validate.ts).
 */

import type { About, AppendReply, LogEnd, RaftMessage, ReadGrant } from '../raft/messages.ts';
import type { Entry } from '../raft/model.ts';
import type { ByteReader, ByteWriter } from '../replica/bytes.ts';
import type { PeerName } from './contract.ts';
import { id, readBody, readConfig, readMillis, writeBody, writeConfig, writeId, writeMillis } from './parts.ts';

type Kind = RaftMessage['kind'];
type Fields<K extends Kind> = Omit<
  Extract<RaftMessage, { readonly kind: K }>,
  'kind' | 'from' | 'boot' | 'to' | 'term'
>;
type RaftCodecs = {
  readonly [K in Kind]: {
    readonly write: (to: ByteWriter, message: Extract<RaftMessage, { readonly kind: K }>) => void;
    readonly read: (from: ByteReader) => Fields<K>;
  };
};

const kinds: readonly Kind[] = [
  'preVote',
  'preVoteReply',
  'vote',
  'voteReply',
  'append',
  'appendReply',
  'heartbeat',
  'heartbeatReply',
  'snapshot',
  'snapshotReply',
  'stand',
  'readIndex',
  'readIndexReply',
];

const flag = (to: ByteWriter, value: boolean): ByteWriter => to.byte(value ? 1 : 0);
const writeEnd = (to: ByteWriter, end: LogEnd): ByteWriter => to.number(end.lastIndex).number(end.lastTerm);
const readEnd = (from: ByteReader): LogEnd => ({ lastIndex: from.number(), lastTerm: from.number() });

const writeAbout = (to: ByteWriter, about: About): ByteWriter => flag(to.number(about.priority), about.witness);
const readAbout = (from: ByteReader): About => ({ priority: from.number(), witness: from.flag() });

function writeEntries(to: ByteWriter, entries: readonly Entry[]): void {
  to.list(entries, (entry) => writeBody(to.number(entry.term), entry));
}

/** Their indexes follow from the one before. */
function readEntries(from: ByteReader, prevIndex: number): Entry[] {
  let index = prevIndex;
  return from.list(() => {
    index += 1;
    return readBody(from, { index, term: from.number() });
  });
}

function writeResult(to: ByteWriter, result: AppendReply['result']): void {
  if (result.ok) flag(to, true).number(result.match);
  else flag(to, false).number(result.rejected).number(result.hintIndex).number(result.hintTerm);
}

function readResult(from: ByteReader): AppendReply['result'] {
  if (from.flag()) return { ok: true, match: from.number() };
  return { ok: false, rejected: from.number(), hintIndex: from.number(), hintTerm: from.number() };
}

function writeGrant(to: ByteWriter, grant: ReadGrant): void {
  writeMillis(to, grant.askedAt);
  to.number(grant.boot).number(grant.index);
}

const readGrant = (from: ByteReader): ReadGrant => ({
  askedAt: readMillis(from),
  boot: from.number(),
  index: from.number(),
});

const codecs: RaftCodecs = {
  preVote: {
    write: (to, m) => writeEnd(to.number(m.next), m),
    read: (from) => ({ next: from.number(), ...readEnd(from) }),
  },
  preVoteReply: {
    write: (to, m) => flag(to.number(m.next), m.granted),
    read: (from) => ({ next: from.number(), granted: from.flag() }),
  },
  vote: {
    write: (to, m) => writeEnd(flag(to, m.transfer), m),
    read: (from) => ({ transfer: from.flag(), ...readEnd(from) }),
  },
  voteReply: {
    write: (to, m) => writeMillis(flag(to, m.granted), m.age),
    read: (from) => ({ granted: from.flag(), age: readMillis(from) }),
  },
  append: {
    write: (to, m) => {
      to.number(m.prevIndex).number(m.prevTerm).number(m.commit);
      writeEntries(to, m.entries);
    },
    read: (from) => {
      const head = { prevIndex: from.number(), prevTerm: from.number(), commit: from.number() };
      return { ...head, entries: readEntries(from, head.prevIndex) };
    },
  },
  appendReply: {
    write: (to, m) => {
      writeResult(to, m.result);
      writeAbout(to.number(m.applied), m.about);
    },
    read: (from) => ({ result: readResult(from), applied: from.number(), about: readAbout(from) }),
  },
  heartbeat: {
    write: (to, m) =>
      void to
        .number(m.round)
        .number(m.commit)
        .option(m.grant, (grant) => writeGrant(to, grant)),
    read: (from) => ({
      round: from.number(),
      commit: from.number(),
      grant: from.option(() => readGrant(from)),
    }),
  },
  heartbeatReply: {
    write: (to, m) => {
      writeMillis(to.number(m.round).number(m.applied), m.askedAt);
      writeAbout(to, m.about);
    },
    read: (from) => ({
      round: from.number(),
      applied: from.number(),
      askedAt: readMillis(from),
      about: readAbout(from),
    }),
  },
  snapshot: {
    write: (to, m) => {
      writeConfig(to.number(m.meta.index).number(m.meta.term), m.meta.config);
      to.number(m.size).number(m.offset).bytes(m.piece);
    },
    read: (from) => ({
      meta: { index: from.number(), term: from.number(), config: readConfig(from) },
      size: from.number(),
      offset: from.number(),
      piece: from.bytes(),
    }),
  },
  snapshotReply: {
    write: (to, m) => void to.number(m.index).number(m.wanted),
    read: (from) => ({ index: from.number(), wanted: from.number() }),
  },
  stand: { write: (to, m) => writeEnd(to, m), read: readEnd },
  readIndex: { write: (to, m) => void to.number(m.id), read: (from) => ({ id: from.number() }) },
  readIndexReply: {
    write: (to, m) => void to.number(m.id).option(m.index, (index) => to.number(index)),
    read: (from) => ({ id: from.number(), index: from.option(() => from.number()) }),
  },
};

export function writeRaft(to: ByteWriter, message: RaftMessage): void {
  to.byte(kinds.indexOf(message.kind));
  writeId(to, message.to).number(message.term);
  const codec = codecs[message.kind] as { readonly write: (to: ByteWriter, message: RaftMessage) => void };
  codec.write(to, message);
}

export function readRaft(from: ByteReader, speaker: PeerName): RaftMessage {
  const kind = from.oneOf(kinds);
  const envelope = { from: speaker.id, boot: speaker.boot, to: id(from), term: from.number() };
  return { kind, ...envelope, ...codecs[kind].read(from) } as RaftMessage;
}
