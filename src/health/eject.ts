/**
 * Ejection by real traffic (outlier detection), of one node.
 *
 *   in --errors--> ejected --time over--> probation --one request succeeds--> in
 *                     ^                       |
 *                     +----- it fails --------+      each time longer
 *
 * An ejection lasts ejectBase x the number of ejections in a row, at most ejectMax. The row ends when the node has
 * been in for ejectMax without another one. A passing active check does not undo an ejection that traffic earned: a
 * node may answer its health path and nothing else.
 * Whether an ejection may take effect is the pool's matter (pool.ts). Source: Envoy's outlier detection; probation is
 * ours (Envoy lets the node back in at full weight).
 */
import { assertNever } from '../base/assert.ts';
import type { Millis } from '../base/ids.ts';
import type { PassivePolicy } from './policy.ts';

export type Ejection =
  /** `row`: ejections in a row so far; `since`: when it came in. */
  | { readonly at: 'in'; readonly row: number; readonly since: Millis }
  | {
      readonly at: 'ejected';
      readonly row: number;
      readonly since: Millis;
      readonly until: Millis;
      readonly cause: string;
    }
  | { readonly at: 'probation'; readonly row: number; readonly since: Millis; readonly cause: string };

export const neverEjected: Ejection = { at: 'in', row: 0, since: Number.NEGATIVE_INFINITY };

/** Ejects, or ejects longer: also what a failure on probation does. */
export function eject(state: Ejection, now: Millis, options: { cause: string; policy: PassivePolicy }): Ejection {
  const { cause, policy } = options;
  const row = ejectionsInRow(state, now, policy) + 1;
  const span = Math.min(policy.ejectMax, policy.ejectBase * row);
  return { at: 'ejected', row, since: now, until: now + span, cause };
}

/** The time is over: one real request may try the node. */
export function onTime(state: Ejection, now: Millis): Ejection {
  if (state.at !== 'ejected' || now < state.until) return state;
  return { at: 'probation', row: state.row, since: state.until, cause: state.cause };
}

/** The request that tried the node succeeded. Outside probation a success changes nothing. */
export function onSuccess(state: Ejection, now: Millis): Ejection {
  return state.at === 'probation' ? { at: 'in', row: state.row, since: now } : state;
}

/** Ejections in a row, counting one that lasts; 0 after a good while without. */
export function ejectionsInRow(state: Ejection, now: Millis, policy: PassivePolicy): number {
  switch (state.at) {
    case 'in':
      return now - state.since >= policy.ejectMax ? 0 : state.row;
    case 'ejected':
    case 'probation':
      return state.row;
    default:
      return assertNever(state, 'ejection');
  }
}
