/**
 * A hash of everything in the state that costs little to keep up: the sum, modulo 2^64, of a hash per record.
 *
 * A record's coming adds its hash, its going takes it off, so a change costs as much as the record is long and the order
 * in which records came does not matter. Two states that differ in a record have unlike fingerprints but for one chance
 * in 2^64. It finds divergence, not forgery.
 */
import { mix32 } from '../../base/hash.ts';

/** Two unsigned numbers of 32 bits. */
export type Hash64 = readonly [number, number];

/** FNV-1a over bytes in two lanes, with Murmur's finisher; the second lane also mixes in the position. */
export function hashBytes(bytes: Uint8Array, seed = 0): Hash64 {
  let a = 0x811c9dc5 ^ seed;
  let b = Math.imul(0x9e3779b9 ^ seed, 0x85ebca6b) | 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(((b << 5) | (b >>> 27)) ^ byte, 0x27d4eb2f) + 0x165667b1;
  }
  return [mix32(a ^ bytes.length), mix32(b ^ Math.imul(bytes.length, 0xc2b2ae35))];
}

export class Fingerprint {
  #a = 0;
  #b = 0;

  get value(): Hash64 {
    return [this.#a, this.#b];
  }

  add(hash: Hash64): void {
    const b = this.#b + hash[1];
    this.#b = b >>> 0;
    this.#a = (this.#a + hash[0] + (b > 0xffffffff ? 1 : 0)) >>> 0;
  }

  remove(hash: Hash64): void {
    const b = this.#b - hash[1];
    this.#b = b >>> 0;
    this.#a = (this.#a - hash[0] - (b < 0 ? 1 : 0)) >>> 0;
  }
}

/** As 16 hexadecimal digits. */
export const hashText = ([a, b]: Hash64): string => a.toString(16).padStart(8, '0') + b.toString(16).padStart(8, '0');

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false;
  for (let i = 0; i < a.byteLength; i++) if (a[i] !== b[i]) return false;
  return true;
}
