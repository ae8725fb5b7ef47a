/**
 * A node that comes back gets its weight bit by bit: weight x max(10 %, (t / window)^(1 / aggression)), as Envoy does.
 * Only after it was unhealthy: at a process's start every node would be slow, and the pool with them.
 */
import type { Millis } from '../base/ids.ts';
import type { SlowStartPolicy } from './policy.ts';

const least = 0.1;

/** How often shares are computed anew while a node is in slow start. */
export const slowStartTick: Millis = 250;

/** Share of its weight that a node has at `sinceMs` after it came back: 0.1 to 1. */
export function slowStartShare(sinceMs: Millis, policy: SlowStartPolicy): number {
  if (sinceMs >= policy.window) return 1;
  return Math.max(least, (Math.max(0, sinceMs) / policy.window) ** (1 / policy.aggression));
}
