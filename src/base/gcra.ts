/**
 * The generic cell rate algorithm (ITU-T I.371, as a virtual schedule): a rate with a burst, kept in one number.
 *
 *   due: when the next event would come if all so far had come evenly
 *   it may come up to (burst - 1) intervals before it is due; each one that comes moves `due` one interval on
 *
 * Never more than `burst` at once, and over any time t never more than burst + t / interval. An event that is refused
 * costs nothing, so one who goes on asking gets as many through as one who waits.
 */
import type { Millis } from './ids.ts';

export interface Rate {
  /** Between two events that come evenly. */
  readonly interval: Millis;
  /** Events that may come at once, at least 1. */
  readonly burst: number;
}

/** Rounding of sums of intervals on a clock that has run for months; less than any interval. */
const slack: Millis = 1e-4;

/**
 * Takes one event if it may come now: 0. Else the time until it may, and nothing is taken. `due[at]` is the state; 0, or
 * anything in the past, is one from whom nothing has come lately. One that is further ahead than this rate could bring it
 * is of another rate, which held before: it counts as the most that this one allows.
 */
export function takeAt(rate: Rate, now: Millis, state: { readonly due: Float64Array; readonly at: number }): Millis {
  const { due, at } = state;
  const most = now + rate.interval * rate.burst;
  // Kept even if the event is refused: cut anew each time, it would never come nearer.
  if (due[at]! > most) due[at] = most;
  const next = Math.max(due[at]!, now);
  const wait = next + rate.interval - most;
  if (wait > slack) return wait;
  due[at] = next + rate.interval;
  return 0;
}
