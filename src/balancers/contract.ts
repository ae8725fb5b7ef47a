/**
 * The contract of all balancers. A balancer chooses among the nodes of one group (a pool's nodes, or its backup nodes)
 * for one data thread. It is a pure choice: no clock, no I/O, no allocation per pick.
 *
 * The owner keeps the NodeGroup up to date and calls refresh() after any weight changed; it never changes `size`,
 * `keys` or `slots` (another set of nodes is another group and another balancer).
 * Weight 0 means: not to be chosen. Health, drain, slow start and ejection arrive here only as weights.
 */
import type { Random } from '../base/random.ts';

export interface NodeGroup {
  /** Nodes in the group, fit or not. A node is named by its index, 0 to size - 1. */
  readonly size: number;
  /** Hash of each node's id: the same in every process, so that consistent hashing agrees across members. */
  readonly keys: Uint32Array;
  /** Each node's slot in the scoreboard. */
  readonly slots: Int32Array;
  /** Weight in force now; 0 = must not be chosen. */
  readonly weights: Float64Array;
  /** Indexes of nodes with weight > 0, ascending; the first `liveCount` are valid. */
  readonly live: Int32Array;
  readonly liveCount: number;
  /** Requests in flight, exact over all threads: of node i it is `inflight[slots[i] * inflightStride + inflightOffset]`. */
  readonly inflight: Int32Array;
  readonly inflightStride: number;
  readonly inflightOffset: number;
}

/** What the pick is for. One object per thread, overwritten for each pick. */
export interface PickRequest {
  /** Hash of the consistent-hash key; 0 for other algorithms. */
  hash: number;
  /** Monotonic time in ms. */
  now: number;
  /** Nodes that this request must not get (tried, or full); the first `triedCount` are valid. Usually none. */
  readonly tried: Int32Array;
  triedCount: number;
}

export interface Balancer {
  /** Index of the chosen node, or -1 if every live node is among the tried. */
  pick(request: PickRequest): number;
  /** Weights changed: take the group's new `live` and `weights`. Called before the first pick, too. */
  refresh(): void;
  /** An exchange with this node ended. Response time in ms; peak-ewma and weighted learn from it, others ignore it. */
  done(node: number, responseMs: number, failed: boolean, now: number): void;
}

export interface BalancerOptions {
  readonly group: NodeGroup;
  readonly random: Random;
  /** By scoreboard slot; outlives reloads, so that what peak-ewma has learnt of an unchanged node lives on. */
  readonly memory: BalancerMemory;
}

/** Per thread and process-long. `ewma` in ms, 0 = nothing known; `stamp` = time of its last update in ms. */
export interface BalancerMemory {
  readonly ewma: Float64Array;
  readonly stamp: Float64Array;
}
