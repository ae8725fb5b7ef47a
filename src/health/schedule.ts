/**
 * When a node is probed next.
 *
 *   steady                 interval         changing (a failure, or rising)   fastInterval
 *   down                   downInterval     refused while still up            50 ms after the answer
 *   traffic raised doubt   now              all: never closer than 50 ms, so at most 20 a second
 *
 * Intervals run from start to start and carry jitter. The very first one is a random part of the interval, so that
 * thousands of nodes, all probed at once at the start, are spread from their second probe on.
 */
import type { Millis } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import { type CheckState, isChanging } from './node.ts';
import type { HealthPolicy } from './policy.ts';

/** Least time between two starts of probes of one node. */
export const probeGap: Millis = 50;

export interface ProbeEnd {
  readonly state: CheckState;
  readonly startedAt: Millis;
  readonly now: Millis;
  /** Nobody listens there: a sure sign that comes fast, so it is confirmed fast. */
  readonly refused: boolean;
  readonly first: boolean;
}

/** When to probe again after a probe has ended. Never in the past. */
export function nextProbeAt(end: ProbeEnd, policy: HealthPolicy, random: Random): Millis {
  if (end.refused && end.state.at === 'up') return end.now + probeGap;
  const interval = intervalOf(end.state, policy);
  const span = end.first ? interval * random.next() : withJitter(interval, policy.jitter, random);
  return Math.max(end.now, end.startedAt + Math.max(span, probeGap));
}

/** The earliest moment for a probe that traffic asks for. */
export function urgentProbeAt(startedAt: Millis, now: Millis): Millis {
  return Math.max(now, startedAt + probeGap);
}

/** When a waiting probe is due under a new policy: never later than one new interval from now. */
export function rescheduled(
  probeAt: Millis,
  now: Millis,
  context: { state: CheckState; policy: HealthPolicy },
): Millis {
  return Math.min(probeAt, now + intervalOf(context.state, context.policy));
}

function intervalOf(state: CheckState, policy: HealthPolicy): Millis {
  if (isChanging(state)) return policy.fastInterval;
  return state.at === 'down' ? policy.downInterval : policy.interval;
}

function withJitter(interval: Millis, jitter: number, random: Random): Millis {
  return interval * (1 + jitter * (2 * random.next() - 1));
}
