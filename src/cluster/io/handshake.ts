/**
 * How two members prove to each other that they hold the same key, before anything else is read.
 *
 *   dialler --hello: nonce, proof of the key--> dialled      nothing is answered before this proof is good
 *   dialler <--welcome: nonce, proof over both-- dialled     not longer than the hello
 *   dialler --proof over both--> dialled                     only now the dialler is known to be there, not a recording
 *
 * Each proof is an HMAC under the handshake key over all that was said so far, with its own label, so that none passes
 * for another. A recorded hello gets a welcome with a fresh nonce, for which the recording has no proof. The keys of
 * the records come from both greetings, so records of one connection mean nothing on another.
 * It does not give forward secrecy: who gets the cluster key can read what was recorded before.
 */
import { createHash, createHmac, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { err, ok, type Result } from '../../base/result.ts';
import {
  type ClusterTag,
  type DropReason,
  type Greeting,
  greetingBytes,
  greetingSignedBytes,
  helloForm,
  nonceBytes,
  opensVersion,
  proofBytes,
  proofForm,
  putGreeting,
  readGreeting,
  sealsVersion,
  welcomeForm,
} from '../frames/header.ts';
import { type Dropped, type Self, sameCluster } from './datagrams.ts';
import type { ClusterKey, Keyring } from './keyring.ts';

/** Keys of one side of a connection. */
export interface Session {
  readonly sealing: KeyObject;
  readonly opening: KeyObject;
  /** Which cluster key it rests on. */
  readonly keyId: number;
  readonly peer: Greeting;
}

export interface HandshakeOptions {
  readonly keys: Keyring;
  readonly self: Self;
  readonly cluster: ClusterTag;
}

function mac(key: ClusterKey, label: string, parts: readonly Uint8Array[]): Buffer {
  const hmac = createHmac('sha256', key.handshake).update(`evenkeel 1 ${label}\0`);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.byteLength === b.byteLength && timingSafeEqual(a, b);

interface Said {
  readonly form: typeof helloForm | typeof welcomeForm;
  readonly key: ClusterKey;
  /** What its proof covers beside itself. */
  readonly before: readonly Uint8Array[];
}

const labelOf = (form: number): string => (form === helloForm ? 'hello' : 'welcome');

function say({ form, key, before }: Said, { self, cluster }: HandshakeOptions): Buffer {
  const bytes = Buffer.alloc(greetingBytes);
  const nonce = randomBytes(nonceBytes);
  putGreeting(bytes, form, { key: key.id, cluster, sender: self.id, boot: self.boot, nonce });
  const signed = bytes.subarray(0, greetingSignedBytes);
  mac(key, labelOf(form), [...before, signed]).copy(bytes, greetingSignedBytes);
  return bytes;
}

function hear({ form, key, before }: Said, bytes: Uint8Array): boolean {
  const signed = bytes.subarray(0, greetingSignedBytes);
  return equal(mac(key, labelOf(form), [...before, signed]), bytes.subarray(greetingSignedBytes));
}

/** Of an authentic greeting: whether it comes from a member that we talk to. */
function judge(greeting: Greeting, { self, cluster }: HandshakeOptions): Dropped | null {
  const known = { sender: greeting.sender, cluster: greeting.cluster };
  if (greeting.sender === self.id && greeting.boot === self.boot) return { reason: 'reflected', ...known };
  return sameCluster(greeting.cluster, cluster) ? null : { reason: 'cluster', ...known };
}

/** Of a proven peer: why it would not be let in now. Keys and cluster may be others than when its greeting was read. */
export function outdated({ keyId, peer }: Session, now: HandshakeOptions): Dropped | null {
  return now.keys.find(keyId) === null ? { reason: 'key' } : judge(peer, now);
}

function transcriptOf(hello: Uint8Array, welcome: Uint8Array): Buffer {
  return createHash('sha256').update(hello).update(welcome).digest();
}

export class Dialler {
  readonly hello: Buffer;
  readonly #options: HandshakeOptions;
  readonly #key: ClusterKey;

  constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#key = options.keys.sealing;
    this.hello = say({ form: helloForm, key: this.#key, before: [] }, options);
  }

  /** `welcome` are `greetingBytes`. */
  welcomed(welcome: Uint8Array): Result<{ readonly proof: Buffer; readonly session: Session }, Dropped> {
    const peer = readGreeting(welcome, welcomeForm);
    if (typeof peer === 'string') return err({ reason: peer });
    if (peer.key !== this.#key.id) return err({ reason: 'key' });
    if (!hear({ form: welcomeForm, key: this.#key, before: [this.hello] }, welcome)) return err({ reason: 'forged' });
    const dropped = judge(peer, this.#options);
    if (dropped !== null) return err(dropped);
    const proof = Buffer.from([sealsVersion, proofForm, 0, 0]);
    const sum = mac(this.#key, 'proof', [this.hello, welcome, proof]);
    const keys = this.#key.connectionKeys(transcriptOf(this.hello, welcome));
    const session = { sealing: keys.dialler, opening: keys.dialled, keyId: this.#key.id, peer };
    return ok({ proof: Buffer.concat([proof, sum]), session });
  }
}

/** The dialled side after a good hello: `welcome` is to be sent, then `proved` asked. */
export interface Welcoming {
  readonly welcome: Buffer;
  /** `proof` are `proofBytes`. */
  proved(proof: Uint8Array): Result<Session, Dropped>;
}

/** `hello` are `greetingBytes`. */
export function welcomeTo(hello: Uint8Array, options: HandshakeOptions): Result<Welcoming, Dropped> {
  const peer = readGreeting(hello, helloForm);
  if (typeof peer === 'string') return err({ reason: peer });
  const key = options.keys.find(peer.key);
  if (key === null) return err({ reason: 'key' });
  if (!hear({ form: helloForm, key, before: [] }, hello)) return err({ reason: 'forged' });
  const dropped = judge(peer, options);
  if (dropped !== null) return err(dropped);
  const said = Buffer.from(hello);
  const welcome = say({ form: welcomeForm, key, before: [said] }, options);
  const proved = (proof: Uint8Array): Result<Session, Dropped> => {
    const reason = proofFault(proof);
    if (reason !== null) return err({ reason });
    const sum = mac(key, 'proof', [said, welcome, proof.subarray(0, 4)]);
    if (!equal(sum, proof.subarray(4))) return err({ reason: 'forged' });
    const keys = key.connectionKeys(transcriptOf(said, welcome));
    const greeting = { ...peer, nonce: said.subarray(greetingSignedBytes - nonceBytes, greetingSignedBytes) };
    return ok({ sealing: keys.dialled, opening: keys.dialler, keyId: key.id, peer: greeting });
  };
  return ok({ welcome, proved });
}

function proofFault(proof: Uint8Array): DropReason | null {
  if (proof.byteLength !== proofBytes) return 'truncated';
  if (!opensVersion(proof[0]!)) return 'version';
  return proof[1] === proofForm && proof[2] === 0 && proof[3] === 0 ? null : 'malformed';
}
