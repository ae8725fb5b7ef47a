/**
 * The clear part of every frame on port 7946, as bytes. Sealing is done elsewhere; all of this is authenticated there.
 *
 *   datagram   version 1 | form 1 | key 2 | cluster 6 | sender 16 | boot 4 | counter 6 | sealed payload | tag 16
 *   hello      version 1 | form 1 | key 2 | cluster 6 | sender 16 | boot 4 | zero 2    | nonce 32 | proof 32
 *   welcome    the same, from the other side: an answer is never longer than what it answers
 *   proof      version 1 | form 1 | zero 2 | proof 32
 *   record     length 4 | sealed (form 1 | last 1 | kind 1 | number 4 | total 4 | piece) | tag 16
 *
 * `key` only says which of several keys sealed it. `cluster` are bytes of a hash of the cluster's id, all zero from a
 * member that has none yet. A datagram's payload of 1400 bytes makes 1500 with the longest IP and UDP headers.
 * Numbers are big-endian. Decoders give null or a reason for what they can't read; they never throw.
 */
import { type MemberId, memberId } from '../../base/ids.ts';

/** What this release seals with. One release opens what the one before sealed, so that members can be upgraded in turn. */
export const sealsVersion = 1;
export const opensVersion = (version: number): boolean => version === 1;

export const datagramForm = 1;
export const helloForm = 2;
export const welcomeForm = 3;
export const proofForm = 4;

export const datagramHeaderBytes = 36;
export const tagBytes = 16;
export const datagramPayloadMax = 1400;
export const datagramFrameMax = datagramHeaderBytes + datagramPayloadMax + tagBytes;

export const greetingBytes = 96;
/** What of a greeting its proof covers. */
export const greetingSignedBytes = 64;
export const nonceBytes = 32;
export const proofBytes = 36;

/** Counters of datagrams are below this: 48 bits. */
export const counterLimit = 2 ** 48;

/** Why a frame or a connection was dropped. Each is a counter. */
export const dropReasons = [
  /** Shorter than any frame. */
  'truncated',
  'oversized',
  'version',
  /** No such form of frame here. */
  'malformed',
  /** Sealed with a key that this member does not have. */
  'key',
  /** Its seal is broken: changed on the way, or made without the key that it names. */
  'forged',
  /** Authentic, of another cluster. */
  'cluster',
  'replayed',
  /** From an earlier boot of a sender that was heard under a later one. */
  'boot',
  /** Our own frame, thrown back. */
  'reflected',
  /** A connection that did not prove in time that it has the key. */
  'handshake-timeout',
  /** Too many connections that have proved nothing yet. */
  'limit',
  /** An authentic peer that breaks the rules of the stream. */
  'protocol',
] as const;
export type DropReason = (typeof dropReasons)[number];

/** Twelve hexadecimal digits. */
export type ClusterTag = string;
export const noCluster: ClusterTag = '000000000000';

export interface Origin {
  /** Which key. */
  readonly key: number;
  readonly cluster: ClusterTag;
  readonly sender: MemberId;
  readonly boot: number;
}

export interface DatagramHeader extends Origin {
  readonly counter: number;
}

const hexOf = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function hex(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i++) text += hexOf[bytes[i]!];
  return text;
}

export function putHex(into: Uint8Array, at: number, digits: string): void {
  for (let i = 0; i < digits.length; i += 2) into[at + i / 2] = Number.parseInt(digits.slice(i, i + 2), 16);
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function putOrigin(into: Uint8Array, form: number, origin: Origin): void {
  into[0] = sealsVersion;
  into[1] = form;
  const out = view(into);
  out.setUint16(2, origin.key);
  putHex(into, 4, origin.cluster);
  putHex(into, 10, origin.sender);
  out.setUint32(26, origin.boot);
}

function originOf(bytes: Uint8Array): Origin {
  const source = view(bytes);
  return {
    key: source.getUint16(2),
    cluster: hex(bytes, 4, 10),
    sender: memberId(hex(bytes, 10, 26)),
    boot: source.getUint32(26),
  };
}

/** Writes the 36 bytes before a datagram's payload. */
export function putDatagramHeader(into: Uint8Array, header: DatagramHeader): void {
  putOrigin(into, datagramForm, header);
  putCounter(into, header.counter);
}

export function putCounter(into: Uint8Array, counter: number): void {
  const out = view(into);
  out.setUint16(30, Math.floor(counter / 2 ** 32));
  out.setUint32(32, counter % 2 ** 32);
}

export function readDatagramHeader(frame: Uint8Array): DatagramHeader | DropReason {
  if (frame.byteLength < datagramHeaderBytes + tagBytes) return 'truncated';
  if (frame.byteLength > datagramFrameMax) return 'oversized';
  if (!opensVersion(frame[0]!)) return 'version';
  if (frame[1] !== datagramForm) return 'malformed';
  const source = view(frame);
  return { ...originOf(frame), counter: source.getUint16(30) * 2 ** 32 + source.getUint32(32) };
}

export interface Greeting extends Origin {
  readonly nonce: Uint8Array;
}

/** Writes the 64 bytes of a hello or a welcome that its proof covers. */
export function putGreeting(into: Uint8Array, form: typeof helloForm | typeof welcomeForm, greeting: Greeting): void {
  putOrigin(into, form, greeting);
  into[30] = 0;
  into[31] = 0;
  into.set(greeting.nonce, 32);
}

/** `bytes` are exactly `greetingBytes`. */
export function readGreeting(bytes: Uint8Array, form: number): Greeting | DropReason {
  if (bytes.byteLength < greetingBytes) return 'truncated';
  if (!opensVersion(bytes[0]!)) return 'version';
  if (bytes[1] !== form || bytes[30] !== 0 || bytes[31] !== 0) return 'malformed';
  return { ...originOf(bytes), nonce: bytes.subarray(32, greetingSignedBytes) };
}
