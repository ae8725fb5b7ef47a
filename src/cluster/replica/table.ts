/**
 * Records by id, with their fingerprint. A record is never changed in place, only replaced: so a capture is a copy of
 * references, and each record's hash can be kept beside it.
 */
import { ByteWriter } from './bytes.ts';
import { Fingerprint, type Hash64, hashBytes } from './fingerprint.ts';

/** How records of one kind look in bytes. `seed` keeps equal bytes of unlike tables apart. */
export interface RecordCodec<V> {
  readonly seed: number;
  readonly write: (to: ByteWriter, record: V) => void;
}

interface Kept<V> {
  readonly record: V;
  readonly hash: Hash64;
}

export class Table<K extends string | number, V> {
  readonly #codec: RecordCodec<V>;
  readonly #scratch = new ByteWriter();
  readonly #kept = new Map<K, Kept<V>>();
  readonly #print = new Fingerprint();

  constructor(codec: RecordCodec<V>) {
    this.#codec = codec;
  }

  get size(): number {
    return this.#kept.size;
  }

  get fingerprint(): Hash64 {
    return this.#print.value;
  }

  get(key: K): V | undefined {
    return this.#kept.get(key)?.record;
  }

  has(key: K): boolean {
    return this.#kept.has(key);
  }

  set(key: K, record: V): void {
    const before = this.#kept.get(key);
    if (before !== undefined) this.#print.remove(before.hash);
    this.#scratch.clear();
    this.#codec.write(this.#scratch, record);
    const hash = hashBytes(this.#scratch.peek(), this.#codec.seed);
    this.#print.add(hash);
    this.#kept.set(key, { record, hash });
  }

  delete(key: K): V | undefined {
    const before = this.#kept.get(key);
    if (before === undefined) return undefined;
    this.#print.remove(before.hash);
    this.#kept.delete(key);
    return before.record;
  }

  /** All records, in an order that means nothing. */
  capture(): V[] {
    return Array.from(this.#kept.values(), (kept) => kept.record);
  }
}
