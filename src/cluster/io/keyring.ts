/**
 * The cluster's keys, and what is derived from them. A cluster key itself seals nothing:
 *
 *   cluster key --HKDF--> key id (2 bytes, says which of several keys sealed a frame)
 *               --HKDF--> one key per sender and boot     datagrams; the nonce is the sender's counter
 *               --HKDF--> handshake key                   proofs of the greetings
 *               --HKDF--> two keys per connection         records, one per direction; the nonce counts records
 *
 * The first key seals, all of them open. So a key is changed in three steps on all members: added behind the old one,
 * moved before it, and the old one removed.
 */
import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { MemberId } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { type ClusterTag, hex, noCluster } from '../frames/header.ts';

const keyBytes = 32;
const keysMax = 8;

export class ClusterKey {
  /** 0 to 65535. */
  readonly id: number;
  readonly handshake: KeyObject;
  readonly #secret: KeyObject;

  constructor(secret: Uint8Array) {
    this.#secret = createSecretKey(secret);
    this.id = new DataView(this.#derive('key id', new Uint8Array(0), 2)).getUint16(0);
    this.handshake = createSecretKey(Buffer.from(this.#derive('handshake', new Uint8Array(0), keyBytes)));
  }

  /** What this sender seals its datagrams with in this boot. */
  datagramKey(sender: MemberId, boot: number): KeyObject {
    const salt = Buffer.alloc(20);
    salt.write(sender, 'hex');
    salt.writeUInt32BE(boot, 16);
    return createSecretKey(Buffer.from(this.#derive('datagram', salt, keyBytes)));
  }

  /** The keys of a connection, by a hash of both greetings: of who dialled, and of who was dialled. */
  connectionKeys(transcript: Uint8Array): { readonly dialler: KeyObject; readonly dialled: KeyObject } {
    const both = Buffer.from(this.#derive('connection', transcript, 2 * keyBytes));
    return {
      dialler: createSecretKey(both.subarray(0, keyBytes)),
      dialled: createSecretKey(both.subarray(keyBytes)),
    };
  }

  #derive(label: string, salt: Uint8Array, bytes: number): ArrayBuffer {
    return hkdfSync('sha256', this.#secret, salt, `evenkeel 1 ${label}`, bytes);
  }
}

export class Keyring {
  /** The first one seals. At least one. */
  readonly keys: readonly ClusterKey[];
  /** Made without a key: what it seals is open to everybody who has this program. For loopback only. */
  readonly open: boolean;

  /** Secrets of 32 bytes or more each; none: an open ring. */
  constructor(secrets: readonly Uint8Array[]) {
    this.open = secrets.length === 0;
    this.keys = this.open
      ? [new ClusterKey(createHash('sha256').update('evenkeel without a key').digest())]
      : secrets.map((secret) => new ClusterKey(secret));
  }

  get sealing(): ClusterKey {
    return this.keys[0]!;
  }

  find(id: number): ClusterKey | null {
    return this.keys.find((key) => key.id === id) ?? null;
  }
}

/** Keys as texts, each base64 (or hexadecimal digits) of at least 32 bytes. The error says which and why, never the key. */
export function parseClusterKeys(texts: readonly string[]): Result<readonly Uint8Array[], string> {
  const how = 'make one with `openssl rand -base64 32`';
  if (texts.length > keysMax) return err(`${texts.length} cluster keys, at most ${keysMax} can be held`);
  const secrets: Uint8Array[] = [];
  for (const [at, text] of texts.entries()) {
    const which = texts.length === 1 ? 'the cluster key' : `cluster key ${at + 1}`;
    const plain = text.trim();
    const isHex = /^[0-9a-fA-F]{64,}$/.test(plain) && plain.length % 2 === 0;
    if (!isHex && !/^[A-Za-z0-9+/_-]+={0,2}$/.test(plain)) return err(`${which} is not base64: ${how}`);
    const secret = Buffer.from(plain, isHex ? 'hex' : 'base64');
    if (secret.byteLength < keyBytes)
      return err(`${which} has ${secret.byteLength} bytes, at least ${keyBytes} are needed: ${how}`);
    if (secrets.some((other) => secret.equals(other))) return err(`${which} is there twice`);
    secrets.push(secret);
  }
  return ok(secrets);
}

/** What frames carry of a cluster's id; `noCluster` for an empty one. */
export function clusterTag(clusterId: string): ClusterTag {
  if (clusterId === '') return noCluster;
  const tag = hex(createHash('sha256').update(`evenkeel cluster ${clusterId}`).digest(), 0, 6);
  return tag === noCluster ? '000000000001' : tag;
}
