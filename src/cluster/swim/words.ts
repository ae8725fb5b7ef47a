/**
 * How the parts that datagrams and streams share are written: sender, claim, updates. Layout in order of the calls;
 * codec.ts says how whole messages are put together.
 */
import { assertNever } from '../../base/assert.ts';
import { numberBytes, type Reader, Writer } from './bytes.ts';
import type { Sender, Subject, Update } from './messages.ts';
import type { Claim, Metadata } from './model.ts';
import { blindMax, bootMax, incarnationMax, isAddress, isMemberName, isMetadata, priorityMax } from './valid.ts';

const scoreMax = 7;

export function writeSender(writer: Writer, sender: Sender): void {
  writeSubject(writer, sender);
  writer.byte(sender.score);
}

export function readSender(reader: Reader): Sender {
  const subject = readSubject(reader);
  return { ...subject, score: reader.number(scoreMax) };
}

export function writeSubject(writer: Writer, subject: Subject): void {
  writer.id(subject.id);
  writer.number(subject.boot);
  writer.number(subject.incarnation);
}

export function readSubject(reader: Reader): Subject {
  return { id: reader.id(), boot: reader.number(bootMax), incarnation: reader.number(incarnationMax) };
}

export function writeClaim(writer: Writer, claim: Claim): void {
  writeSubject(writer, claim);
  writer.text(claim.name);
  writer.text(claim.address);
  const { metadata } = claim;
  writer.byte((claim.joining ? 1 : 0) | (metadata.witness ? 2 : 0));
  writer.number(metadata.priority);
  writer.text(metadata.version);
  writer.text(metadata.admin);
  writer.text(metadata.zone);
}

export function readClaim(reader: Reader): Claim {
  const subject = readSubject(reader);
  const name = reader.text(isMemberName);
  const address = reader.text(isAddress);
  const flags = reader.number(3);
  const metadata: Metadata = {
    priority: reader.number(priorityMax),
    witness: (flags & 2) !== 0,
    version: reader.text(anyText),
    admin: reader.text(anyText),
    zone: reader.text(anyText),
  };
  if (!isMetadata(metadata)) reader.fail();
  return { ...subject, name, address, joining: (flags & 1) !== 0, metadata };
}

const anyText = (): boolean => true;

const updateKinds = ['alive', 'suspect', 'dead', 'left', 'sight'] as const;

export function writeUpdate(writer: Writer, update: Update): void {
  writer.byte(updateKinds.indexOf(update.kind));
  switch (update.kind) {
    case 'alive':
      return writeClaim(writer, update.claim);
    case 'suspect':
    case 'dead':
      writeSubject(writer, update.subject);
      return writer.id(update.by);
    case 'left':
      return writeSubject(writer, update.subject);
    case 'sight':
      writer.id(update.id);
      writer.number(update.boot);
      writer.number(update.number);
      writer.byte(update.blindTo.length);
      for (const id of update.blindTo) writer.id(id);
      return;
    default:
      assertNever(update, 'update');
  }
}

export function readUpdate(reader: Reader): Update {
  const kind = reader.oneOf(updateKinds);
  switch (kind) {
    case 'alive':
      return { kind, claim: readClaim(reader) };
    case 'suspect':
    case 'dead':
      return { kind, subject: readSubject(reader), by: reader.id() };
    case 'left':
      return { kind, subject: readSubject(reader) };
    case 'sight': {
      const head = { id: reader.id(), boot: reader.number(bootMax), number: reader.number(incarnationMax) };
      const count = reader.number(blindMax);
      return { kind, ...head, blindTo: Array.from({ length: count }, () => reader.id()) };
    }
    default:
      return assertNever(kind, 'kind of update');
  }
}

/** Bytes of an update in a datagram. */
export function updateBytes(update: Update): number {
  const writer = new Writer(128);
  writeUpdate(writer, update);
  return writer.length;
}

export const subjectBytes = (subject: Subject): number =>
  16 + numberBytes(subject.boot) + numberBytes(subject.incarnation);
