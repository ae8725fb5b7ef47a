/** World time, and what is going to happen in it. One queue for all; what is due at the same moment happens in a fixed order. */
import type { Millis } from '../../src/base/ids.ts';
import type { Random } from '../../src/base/random.ts';
import { TimeHeap } from '../../src/base/time-heap.ts';
import { Breach } from './breach.ts';

/** Things that may happen within one ms; beyond it the world turns in a circle. */
const perMsMax = 20_000;

export class Queue {
  now: Millis = 0;
  readonly #heap = new TimeHeap<() => void>();
  #ms = 0;
  #inMs = 0;

  at(when: Millis, what: () => void): void {
    this.#heap.push(Math.max(when, this.now), what);
  }

  after(ms: Millis, what: () => void): void {
    this.at(this.now + ms, what);
  }

  /** Runs until world time `until`, or until `done` holds; it is asked every `every` ms. True if it does. */
  run(until: Millis, done: () => boolean = () => false, every: Millis = 50): boolean {
    for (let ask = this.now; this.#heap.peekAt() <= until; ) {
      if (this.now >= ask) {
        if (done()) return true;
        ask = this.now + every;
      }
      this.now = Math.max(this.now, this.#heap.peekAt());
      this.#heap.pop()!();
      this.#guard();
    }
    this.now = Math.max(this.now, until);
    return done();
  }

  #guard(): void {
    const ms = Math.floor(this.now);
    this.#inMs = ms === this.#ms ? this.#inMs + 1 : 0;
    this.#ms = ms;
    if (this.#inMs > perMsMax) throw new Breach('goes on', `more than ${perMsMax} things happen within one ms`);
  }
}

export type Range = readonly [min: Millis, max: Millis];

export const between = (random: Random, [min, max]: Range): Millis => min + random.next() * (max - min);

/** One of them; undefined if there is none. */
export const oneOf = <T>(random: Random, all: readonly T[]): T | undefined => all[random.below(all.length)];
