/**
 * A virtual disk: what is written lands in the order of writing, later; that it landed is reported later still, and the
 * reports come in any order. A crash loses what has not landed (a write in the middle of it is torn, so it is nothing).
 * A full disk fails a write, after which nothing is known, so its process must end. A copy can be put back in silence.
 */
import type { Millis } from '../../src/base/ids.ts';
import type { Random } from '../../src/base/random.ts';
import { between, type Queue, type Range } from './queue.ts';

interface Pending<W> {
  readonly write: W;
  readonly report: (ok: boolean) => void;
}

export class Disk<S, W> {
  /** What is there after a crash now. Never changed in place, so that a copy is a reference. */
  state: S;
  landMs: Range = [0.2, 4];
  reportMs: Range = [0, 3];
  /** Nothing lands before; see `unstick`. */
  stuckUntil: Millis = 0;
  full = false;
  noted: (what: string) => void = () => {};
  readonly #fold: (state: S, write: W) => S;
  readonly #queue: Queue;
  readonly #random: Random;
  #pending: Pending<W>[] = [];
  /** States before the last few writes that were synced. */
  #earlier: S[] = [];
  #lastAt: Millis = 0;

  constructor(state: S, fold: (state: S, write: W) => S, world: { readonly queue: Queue; readonly random: Random }) {
    this.state = state;
    this.#fold = fold;
    this.#queue = world.queue;
    this.#random = world.random;
  }

  write(write: W, report: (ok: boolean) => void): void {
    const pending = { write, report };
    this.#pending.push(pending);
    this.#lastAt = Math.max(this.#lastAt, this.#queue.now) + between(this.#random, this.landMs);
    this.#queue.at(this.#lastAt, () => this.#land(pending));
  }

  crash(): void {
    if (this.#pending.length > 0) this.noted('disk: unsynced writes lost');
    // Some of what was on its way may just have made it.
    while (this.#pending.length > 0 && !this.full && this.#random.next() < 0.3) {
      this.state = this.#fold(this.state, this.#pending.shift()!.write);
      this.noted('disk: landed, never reported');
    }
    if (this.#pending.length > 0 && this.#random.next() < 0.5) this.noted('disk: torn tail');
    this.#pending = [];
    this.#lastAt = 0;
  }

  /** Loses the last few writes that it said to have synced. Nothing promises to survive that. */
  forget(): void {
    this.state = this.#earlier[0] ?? this.state;
    this.#earlier = [];
  }

  calm(): void {
    this.landMs = [0.2, 4];
    this.reportMs = [0, 3];
    this.stuckUntil = 0;
    this.full = false;
  }

  /** After `stuckUntil` was taken back: what waits lands now. */
  unstick(): void {
    this.#lastAt = this.#queue.now;
    const last = this.#pending.at(-1);
    if (last !== undefined) this.#queue.after(between(this.#random, this.landMs), () => this.#land(last));
  }

  #land(pending: Pending<W>): void {
    if (!this.#pending.includes(pending)) return;
    if (this.#queue.now < this.stuckUntil) return;
    // A disk that was stuck lands its writes in their order all the same.
    while (this.#pending.length > 0) {
      const first = this.#pending.shift()!;
      if (this.full) {
        this.#pending = [];
        return first.report(false);
      }
      this.#earlier.push(this.state);
      if (this.#earlier.length > 4) this.#earlier.shift();
      this.state = this.#fold(this.state, first.write);
      this.#queue.after(between(this.#random, this.reportMs), () => first.report(true));
      if (first === pending) return;
    }
  }
}
