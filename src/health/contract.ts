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

export interface PoolHealthView {
  readonly pool: string;
  /** All nodes are used because too few are fit (panicThreshold). */
  readonly panic: boolean;
  /** Nodes that are fit and have weight; those that only panic makes usable are not among them. */
  readonly fit: number;
  readonly total: number;
}
