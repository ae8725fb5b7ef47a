/**
 * What health tells the rooms above, and what they tell it. Two things are kept apart: the operator's wish
 * (ready, drain, maint) and the observation (the verdict, and whether traffic has ejected the node). Fitness is what
 * follows from both for routing; `why` says it in words for status, logs and metrics.
 */
import type { Millis, NodeId } from '../base/ids.ts';
import type { Verdict, Wish } from '../base/node-state.ts';

/** What real traffic said of a node. `success` is told only while a node is ejected or on probation. */
export type PassiveSignal = 'refused' | 'reset' | 'timeout' | 'errors' | 'success' | 'failure';

/** What a data thread may do with a node now. */
export type Fitness =
  /** Takes its share, by weight. */
  | 'fit'
  /** Ejected, its time is over: one real request may try it. */
  | 'probation'
  /** Takes nothing new. */
  | 'unfit';

export interface NodeHealthView {
  readonly pool: string;
  readonly node: NodeId;
  readonly verdict: Verdict;
  readonly wish: Wish;
  readonly fitness: Fitness;
  /** Weight in force: the configured one, scaled by slow start and by the node's own answer; 0 if unfit. */
  readonly weight: number;
  /** One sentence: `3 failed checks in a row: connect ECONNREFUSED 10.0.0.11:3000`. */
  readonly why: string;
  /** Wall time of the last change of verdict or fitness, ms. */
  readonly changedAt: Millis;
  /** Wall time, ms; null = not ejected now. */
  readonly ejectedUntil: Millis | null;
  /** In a row; 0 again after ejectMax without one. */
  readonly ejections: number;
  readonly check: CheckView | null;
  /** Falls from healthy, and total time not healthy, ms. */
  readonly downs: number;
  readonly downtime: Millis;
}

export interface CheckView {
  readonly ok: boolean;
  /** `200 in 3 ms`, `connect ECONNREFUSED`, `timed out after 1 s`. */
  readonly detail: string;
  readonly durationMs: Millis;
  /** Wall time, ms. */
  readonly at: Millis;
}

/** What is known of a node after a check, for failover. */
export interface NodeHealthReport {
  readonly pool: string;
  readonly node: NodeId;
  /** null: not checked yet, or not to be checked. */
  readonly up: boolean | null;
  /** Failed checks in a row; 0 after one that went well. */
  readonly failures: number;
  /** The last check found nobody listening. */
  readonly refused: boolean;
  /** Monotonic: when the last check ended; -Infinity: there was none. */
  readonly at: Millis;
  readonly detail: string;
  readonly role: string | null;
  readonly epoch: number | null;
  readonly cluster: string | null;
  readonly position: number | null;
  readonly lag: Millis | null;
  readonly primaryHeard: Millis | null;
  /** The operator, and the node itself, want it to have traffic. */
  readonly wanted: boolean;
}

/** Who is primary of a pool, as far as it is known; its probes carry the epoch. */
export interface PoolLead {
  readonly node: string | null;
  /** 0: none. */
  readonly epoch: number;
}

export interface PoolHealthView {
  readonly pool: string;
  /** All nodes are used because too few are fit (panicThreshold). */
  readonly panic: boolean;
  /** Nodes that are fit and have weight; those that only panic makes usable are not among them. */
  readonly fit: number;
  readonly total: number;
}
