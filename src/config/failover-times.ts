/**
 * How long a failover takes at worst, from the last moment at which the primary was well to the first write that the new
 * one takes: what `check` prints, and what `parking.time` has to cover.
 *
 *   detect   the check that just went well, then `failureThreshold` that end by their time-out
 *   decide   a majority tells the leader, and the next epoch is committed
 *   fence    no member may write to the old one any more: confirmed, or its lease has run out
 *   promote  the promote hook, to its time-out
 *
 * A crash is found sooner: its port refuses, which is probed again within 50 ms and confirmed by all members at once.
 */
import type { Millis } from '../base/ids.ts';
import type { FailoverConfig, HealthConfig } from './model.ts';

/** Of a write lease; the same numbers as in cluster/coordinator.ts and cluster/member/rules.ts, held so by a test. */
export const lease = { length: 3000, drain: 250, driftShare: 0.01, drift: 50 } as const;

/** Of elections; the defaults of cluster/raft/options.ts, held so by a test. */
const election = { max: 2000, heartbeat: 200 } as const;

/**
 * The longest round trip between members for which a write lease outlives the crash of the leader that gave it: lease >=
 * longest election + 3 heartbeats + 2 round trips. With a longer one, writes to a healthy primary pause at such a crash.
 */
export const roundTripMost: Millis = (lease.length - election.max - 3 * election.heartbeat) / 2;
export const electionTimes = election;

const decideMs: Millis = 200;

export interface FailoverTimes {
  readonly detect: Millis;
  readonly decide: Millis;
  readonly fence: Millis;
  readonly promote: Millis;
  readonly total: Millis;
}

export interface TimesFrom {
  readonly failover: Pick<FailoverConfig, 'failureThreshold'> & { readonly promote?: { timeout: Millis } | null };
  readonly health: Pick<HealthConfig, 'interval' | 'fastInterval' | 'timeout' | 'jitter'>;
  /** Members that vote; 1 without a cluster. */
  readonly voters: number;
}

export function worstCase({ failover, health, voters }: TimesFrom): FailoverTimes {
  const { interval, fastInterval, timeout, jitter } = health;
  const detect = interval * (1 + jitter) + failover.failureThreshold * Math.max(timeout, fastInterval);
  // A member alone needs no lease: its own acceptance of the next epoch ends its leave to write.
  const fence = voters <= 1 ? lease.drain : lease.length * (1 + lease.driftShare) + lease.drift;
  const promote = failover.promote?.timeout ?? 0;
  const total = Math.ceil(detect + decideMs + fence + promote);
  return { detect: Math.ceil(detect), decide: decideMs, fence: Math.ceil(fence), promote, total };
}
