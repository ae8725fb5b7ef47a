/**
 * A binary heap of things that fall due: the earliest comes out first. Entries are not removed when they become
 * pointless; the owner keeps the time that counts on the thing itself and drops what no longer agrees with it.
 */
import type { Millis } from './ids.ts';

export class TimeHeap<T> {
  readonly #at: Millis[] = [];
  readonly #items: T[] = [];

  get size(): number {
    return this.#at.length;
  }

  /** Time of the earliest entry; Infinity if there is none. */
  peekAt(): Millis {
    return this.#at[0] ?? Number.POSITIVE_INFINITY;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(at: Millis, item: T): void {
    let i = this.#at.length;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (this.#at[parent]! <= at) break;
      this.#at[i] = this.#at[parent]!;
      this.#items[i] = this.#items[parent]!;
      i = parent;
    }
    this.#at[i] = at;
    this.#items[i] = item;
  }

  pop(): T | undefined {
    const first = this.#items[0];
    const at = this.#at.pop();
    const item = this.#items.pop();
    if (at !== undefined && this.#at.length > 0) this.#sink(at, item as T);
    return first;
  }

  /** Puts an entry at the top and lets it sink to its place. */
  #sink(at: Millis, item: T): void {
    const length = this.#at.length;
    let i = 0;
    for (let child = 1; child < length; child = 2 * i + 1) {
      if (child + 1 < length && this.#at[child + 1]! < this.#at[child]!) child += 1;
      if (this.#at[child]! >= at) break;
      this.#at[i] = this.#at[child]!;
      this.#items[i] = this.#items[child]!;
      i = child;
    }
    this.#at[i] = at;
    this.#items[i] = item;
  }
}
