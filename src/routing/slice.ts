/**
 * Long work in short turns. A table is compiled by a generator that yields every few hundred rows; the owner runs it
 * for a budget of milliseconds, lets the loop turn, and goes on. Pure: the clock is an argument, and whoever has a
 * loop decides what happens between slices.
 */
import type { Millis } from '../base/ids.ts';

export type Slice<T> = { readonly done: true; readonly value: T } | { readonly done: false };

/** Runs at least one step, then more until the work is done or `budgetMs` has passed. Rethrows what the work throws. */
export function runSlice<T>(work: Generator<void, T>, budgetMs: Millis, now: () => Millis): Slice<T> {
  const until = now() + budgetMs;
  for (;;) {
    const step = work.next();
    if (step.done === true) return { done: true, value: step.value };
    if (now() >= until) return { done: false };
  }
}

/** Runs the work to its end at once. */
export function runWhole<T>(work: Generator<void, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
