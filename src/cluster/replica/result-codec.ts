/** Results as bytes: in a snapshot, for what is proposed twice, and on the way back to a member that forwarded. */
import { err, ok, type Result } from '../../base/result.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { bounded, type CommandResult, counted, findable } from './command.ts';
import { type Codecs, readUnion, readWaits, writeUnion, writeWaits } from './parts.ts';

const kinds: readonly CommandResult['kind'][] = [
  'written',
  'deleted',
  'granted',
  'extended',
  'acquired',
  'waiting',
  'done',
  'conflict',
  'busy',
  'deadlock',
  'absent',
  'too-large',
  'full',
  'unknown',
  'unreadable',
];

const nothing = { write: () => {}, read: () => ({}) };
const maybeRevision = {
  write: (to: ByteWriter, { revision }: { readonly revision: number | null }) =>
    void to.option(revision, (value) => to.number(value)),
  read: (from: ByteReader) => ({ revision: from.option(() => from.number()) }),
};

const codecs: Codecs<CommandResult> = {
  written: { write: (to, r) => to.number(r.revision), read: (from) => ({ revision: from.number() }) },
  deleted: maybeRevision,
  granted: {
    write: (to, r) => to.number(r.lease).number(r.expiresAt),
    read: (from) => ({ lease: from.number(), expiresAt: from.number() }),
  },
  extended: { write: (to, r) => to.number(r.expiresAt), read: (from) => ({ expiresAt: from.number() }) },
  acquired: {
    write: (to, r) => to.number(r.token).number(r.expiresAt),
    read: (from) => ({ token: from.number(), expiresAt: from.number() }),
  },
  waiting: {
    write: (to, r) => to.number(r.ahead).number(r.deadline),
    read: (from) => ({ ahead: from.number(), deadline: from.number() }),
  },
  done: nothing,
  conflict: maybeRevision,
  busy: {
    write: (to, r) => to.option(r.owner, (owner) => to.text(owner)).number(r.until),
    read: (from) => ({ owner: from.option(() => from.text()), until: from.number() }),
  },
  deadlock: { write: (to, r) => writeWaits(to, r.cycle), read: (from) => ({ cycle: readWaits(from) }) },
  absent: {
    write: (to, r) => to.byte(findable.indexOf(r.what)),
    read: (from) => ({ what: from.oneOf(findable) }),
  },
  'too-large': {
    write: (to, r) => to.byte(bounded.indexOf(r.what)).number(r.size).number(r.max),
    read: (from) => ({ what: from.oneOf(bounded), size: from.number(), max: from.number() }),
  },
  full: {
    write: (to, r) => to.byte(counted.indexOf(r.what)).number(r.max),
    read: (from) => ({ what: from.oneOf(counted), max: from.number() }),
  },
  unknown: nothing,
  unreadable: nothing,
};

export const writeResult = (to: ByteWriter, result: CommandResult): void => writeUnion(to, result, { kinds, codecs });
export const readResult = (from: ByteReader): CommandResult => readUnion(from, { kinds, codecs });

export function encodeResult(result: CommandResult): Uint8Array {
  const to = new ByteWriter();
  writeResult(to, result);
  return to.take();
}

export function decodeResult(bytes: Uint8Array): Result<CommandResult, 'malformed'> {
  const from = new ByteReader(bytes);
  const result = readResult(from);
  return from.done() ? ok(result) : err('malformed');
}
