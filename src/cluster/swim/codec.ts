/**
 * Messages as bytes, before they are sealed and after they were opened.
 *
 *   datagram   version (1) · kind · sender · fields of the kind · updates up to the end
 *   stream     version (1) · kind · sender · fields of the kind
 *
 * Decoding is strict: another version, an unknown kind, a number, text or list beyond its bound, a byte too few or too
 * many make the whole message refused, and the caller counts the reason. Nothing here throws on a peer's bytes. A
 * message has one encoding only. A change of layout takes a new version; members of both must then write the older one
 * until all have been seen with the newer.
 */
import { assertNever } from '../../base/assert.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { numberBytes, Reader, Writer } from './bytes.ts';
import {
  type Datagram,
  datagramBytesMax,
  type Message,
  type Sender,
  type Sight,
  type StreamAnswer,
  type StreamRequest,
  type SyncEntry,
  streamBytesMax,
  type Update,
} from './messages.ts';
import { sightMembersMax } from './model.ts';
import {
  readClaim,
  readSender,
  readSubject,
  readUpdate,
  subjectBytes,
  writeClaim,
  writeSender,
  writeSubject,
  writeUpdate,
} from './words.ts';

export const codecVersion = 1;

/** Why bytes were refused. */
export type DecodeRefusal = 'version' | 'oversized' | 'malformed';

const seqMax = 2 ** 32 - 1;
const messageKinds = ['gossip', 'ping', 'ack', 'relay', 'nack'] as const;
const requestKinds = ['ping', 'compare', 'sync'] as const;
const answerKinds = ['ack', 'same', 'differs', 'sync'] as const;
const statuses = ['alive', 'suspect', 'dead', 'left'] as const;
/** Far more than a list may hold; a length is never trusted before its bytes are there. */
const entriesMax = 100_000;

export function encodeDatagram(datagram: Datagram): Uint8Array {
  const writer = new Writer(datagramBytesMax);
  writeHead(writer, datagram.sender, datagram.message);
  for (const update of datagram.updates) writeUpdate(writer, update);
  return writer.done();
}

/** Bytes of a datagram without updates. */
export function headBytes(sender: Sender, message: Message): number {
  const start = 3 + subjectBytes(sender);
  switch (message.kind) {
    case 'gossip':
      return start;
    case 'ping':
      return start + numberBytes(message.seq) + subjectBytes(message.target);
    case 'ack':
      return start + numberBytes(message.seq) + 1;
    case 'relay':
      return start + numberBytes(message.seq) + 16;
    case 'nack':
      return start + numberBytes(message.seq);
    default:
      return assertNever(message, 'message');
  }
}

function writeHead(writer: Writer, sender: Sender, message: Message): void {
  writer.byte(codecVersion);
  writer.byte(messageKinds.indexOf(message.kind));
  writeSender(writer, sender);
  if (message.kind === 'gossip') return;
  writer.number(message.seq);
  if (message.kind === 'ping') writeSubject(writer, message.target);
  if (message.kind === 'ack') writer.byte(message.stranger ? 1 : 0);
  if (message.kind === 'relay') writer.id(message.target);
}

export function decodeDatagram(bytes: Uint8Array): Result<Datagram, DecodeRefusal> {
  if (bytes.length > datagramBytesMax) return err('oversized');
  const reader = new Reader(bytes);
  if (reader.byte() !== codecVersion) return err('version');
  const kind = reader.oneOf(messageKinds);
  const sender = readSender(reader);
  const message = readMessage(reader, kind);
  const updates: Update[] = [];
  while (reader.more) updates.push(readUpdate(reader));
  return reader.failed ? err('malformed') : ok({ sender, message, updates });
}

function readMessage(reader: Reader, kind: Message['kind']): Message {
  switch (kind) {
    case 'gossip':
      return { kind };
    case 'ack':
      return { kind, seq: reader.number(seqMax), stranger: reader.oneOf([false, true]) };
    case 'nack':
      return { kind, seq: reader.number(seqMax) };
    case 'ping':
      return { kind, seq: reader.number(seqMax), target: readSubject(reader) };
    case 'relay':
      return { kind, seq: reader.number(seqMax), target: reader.id() };
    default:
      return assertNever(kind, 'kind of message');
  }
}

/** Of a sync, as many entries as fit into `streamBytesMax`; the sender's own comes first and always fits. */
export function encodeRequest(request: StreamRequest): Uint8Array {
  const writer = new Writer();
  writer.byte(codecVersion);
  writer.byte(requestKinds.indexOf(request.kind));
  writeSender(writer, request.sender);
  switch (request.kind) {
    case 'ping':
      writer.id(request.target);
      break;
    case 'compare':
      for (const half of request.digest) writer.word(half);
      break;
    case 'sync':
      writeSync(writer, request.entries, request.sights);
      break;
    default:
      assertNever(request, 'request');
  }
  return writer.done();
}

export function decodeRequest(bytes: Uint8Array): Result<StreamRequest, DecodeRefusal> {
  return decodeStream(bytes, requestKinds, (reader, kind, sender): StreamRequest => {
    switch (kind) {
      case 'ping':
        return { kind, sender, target: reader.id() };
      case 'compare':
        return { kind, sender, digest: [reader.word(), reader.word()] };
      case 'sync':
        return { kind, sender, ...readSync(reader) };
      default:
        return assertNever(kind, 'kind of request');
    }
  });
}

export function encodeAnswer(answer: StreamAnswer): Uint8Array {
  const writer = new Writer();
  writer.byte(codecVersion);
  writer.byte(answerKinds.indexOf(answer.kind));
  writeSender(writer, answer.sender);
  if (answer.kind === 'sync') writeSync(writer, answer.entries, answer.sights);
  return writer.done();
}

export function decodeAnswer(bytes: Uint8Array): Result<StreamAnswer, DecodeRefusal> {
  return decodeStream(
    bytes,
    answerKinds,
    (reader, kind, sender): StreamAnswer =>
      kind === 'sync' ? { kind, sender, ...readSync(reader) } : { kind, sender },
  );
}

function decodeStream<K, T>(
  bytes: Uint8Array,
  kinds: readonly [K, ...K[]],
  read: (reader: Reader, kind: K, sender: Sender) => T,
): Result<T, DecodeRefusal> {
  if (bytes.length > streamBytesMax) return err('oversized');
  const reader = new Reader(bytes);
  if (reader.byte() !== codecVersion) return err('version');
  const kind = reader.oneOf(kinds);
  const message = read(reader, kind, readSender(reader));
  return reader.failed || reader.more ? err('malformed') : ok(message);
}

/** Each entry is marked by a byte of its status; a byte 255 ends them. Then the sights. */
function writeSync(writer: Writer, entries: readonly SyncEntry[], sights: readonly Sight[]): void {
  const room = streamBytesMax - 64 * 1024;
  for (const { claim, status } of entries) {
    const before = writer.length;
    writer.byte(statuses.indexOf(status));
    writeClaim(writer, claim);
    if (writer.length <= room) continue;
    writer.cut(before);
    break;
  }
  writer.byte(endOfEntries);
  const told = sights.slice(0, sightMembersMax);
  writer.byte(told.length);
  for (const sight of told) writeUpdate(writer, sight);
}

const endOfEntries = 255;

function readSync(reader: Reader): { entries: SyncEntry[]; sights: Sight[] } {
  const entries: SyncEntry[] = [];
  for (let mark = reader.byte(); mark !== endOfEntries && !reader.failed; mark = reader.byte()) {
    const status = statuses[mark];
    if (status === undefined || entries.length === entriesMax) reader.fail();
    else entries.push({ status, claim: readClaim(reader) });
  }
  const sights: Sight[] = [];
  for (let left = reader.number(sightMembersMax); left > 0 && !reader.failed; left--) {
    const update = readUpdate(reader);
    if (update.kind === 'sight') sights.push(update);
    else reader.fail();
  }
  return { entries, sights };
}
