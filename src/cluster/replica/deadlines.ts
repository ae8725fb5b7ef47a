/**
 * When what runs out. At most one entry of the heap counts per id; one whose time was moved on is put back when its turn
 * comes, so that keeping something alive costs a write of a number.
 */
import type { Millis } from '../../base/ids.ts';
import { TimeHeap } from '../../base/time-heap.ts';

interface Timed {
  /** When it runs out. */
  at: Millis;
  /** The heap's entry that counts. */
  queuedAt: Millis;
}

export class Deadlines<K extends string | number> {
  readonly #times = new Map<K, Timed>();
  #heap = new TimeHeap<K>();

  set(id: K, at: Millis): void {
    const timed = this.#times.get(id);
    if (timed !== undefined && timed.queuedAt <= at) {
      timed.at = at;
      return;
    }
    this.#times.set(id, { at, queuedAt: at });
    this.#heap.push(at, id);
    if (this.#heap.size > 64 + 2 * this.#times.size) this.#rebuild();
  }

  delete(id: K): void {
    this.#times.delete(id);
  }

  /** Entries that take up room; at most a few more than twice the ids. */
  get queued(): number {
    return this.#heap.size;
  }

  /** The earliest; Infinity if there is none. */
  next(): Millis {
    for (;;) {
      const at = this.#heap.peekAt();
      const id = this.#heap.peek();
      if (id === undefined) return at;
      const timed = this.#times.get(id);
      if (timed !== undefined && timed.queuedAt === at && timed.at === at) return at;
      this.#heap.pop();
      if (timed === undefined || timed.queuedAt !== at) continue;
      timed.queuedAt = timed.at;
      this.#heap.push(timed.at, id);
    }
  }

  /** Takes out what is due: the earliest first, of equal ones the smaller id, the same on every member. */
  due(now: Millis): K[] {
    const due: { readonly at: Millis; readonly id: K }[] = [];
    for (let at = this.next(); at <= now; at = this.next()) {
      const id = this.#heap.pop()!;
      this.#times.delete(id);
      due.push({ at, id });
    }
    due.sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
    return due.map(({ id }) => id);
  }

  /** Without the entries of what is gone, which else would stay until their time has come. */
  #rebuild(): void {
    this.#heap = new TimeHeap<K>();
    for (const [id, timed] of this.#times) {
      timed.queuedAt = timed.at;
      this.#heap.push(timed.at, id);
    }
  }
}
