/**
 * What is agreed about a pool that has a primary, and the policy by which it fails over.
 *
 *   (none) --first | adopt--> open(E) --chosen--> pending(E+1) --fenced, promoted--> open(E+1)
 *                               ^                    |  failed candidate: pending(E+2), ...
 *                               '---return-----------+  nobody left: failed(E+n) --retry | switch--> pending
 *
 * An epoch's target never changes: another choice is another epoch. While an epoch is pending nobody may write.
 */
import type { Millis } from '../../base/ids.ts';

/** A node as the agreed state names it. */
export interface Target {
  readonly node: string;
  /** As in the file: a member whose file has another one gets no lease. */
  readonly url: string;
}

export const epochReasons = ['first', 'failover', 'switchover', 'failback', 'adopt', 'return'] as const;
/** Why an epoch was begun. return: back on the primary from which a failover had been tried. */
export type EpochReason = (typeof epochReasons)[number];

export const phases = ['pending', 'open', 'failed', 'undecided'] as const;
/**
 * pending: chosen; fence, then promote. open: takes writes. failed: no node could be promoted; automatic failover rests
 * until `retryAt`. undecided: the nodes disagree about who is primary; an operator adopts one.
 */
export type Phase = (typeof phases)[number];

export const hookKinds = ['demote', 'promote', 'rejoin'] as const;
export type HookKind = (typeof hookKinds)[number];

/** Committed before a hook starts. Until it has ended, or `until` + drift is over, it may take effect at any time. */
export interface HookStart {
  readonly kind: HookKind;
  readonly node: string;
  readonly epoch: number;
  /** Agreed time: the hook refuses to begin or go on after it. */
  readonly until: Millis;
  /** Uid of the member that runs it. */
  readonly runner: string;
  readonly outcome: 'running' | 'done' | 'failed';
}

export interface PoolRecord {
  readonly pool: string;
  /** Grows by one with every change. Who proposes a change says which it saw: of two that decide at once one loses. */
  readonly step: number;
  /** 0 while undecided from the start. */
  readonly epoch: number;
  readonly phase: Phase;
  /** Of `epoch`; null while undecided. */
  readonly target: Target | null;
  readonly reason: EpochReason;
  /** Hash of the policy by which it was decided. */
  readonly policy: string;
  /** The newest epoch that was open before `epoch`, and its primary: whom to demote, where to return to. */
  readonly last: { readonly epoch: number; readonly target: Target } | null;
  /** Newest last, at most 16: the position of the new primary when an epoch opened. null: its nodes report none. */
  readonly forks: readonly { readonly epoch: number; readonly position: number | null }[];
  /** Hooks of this change of primary, and those of others that may still take effect. At most 32. */
  readonly hooks: readonly HookStart[];
  /** Candidates that were tried and failed since an epoch was open last. */
  readonly excluded: readonly string[];
  /** Nodes that were primary and have not shown since that they know their place (rule 3.7): no reads. */
  readonly returning: readonly string[];
  /** Automatic failover of this pool; agreed, so that it survives restarts. */
  readonly automatic: boolean;
  /**
   * By its policy (`withoutQuorum: continue`) members write on under this epoch without a lease: then a fence needs the
   * word of every member, and no time replaces it (2.9). Within an epoch it is only ever set.
   */
  readonly unleased: boolean;
  /** What an operator allowed in the change that is under way: null when open, and in one that nobody asked for. */
  readonly allowed: Allowed | null;
  /** Failed failovers in a row; each doubles the rest. */
  readonly failures: number;
  /** Agreed time until which automatic failover rests; 0: it does not. */
  readonly retryAt: Millis;
  /** A switch that an operator planned. */
  readonly planned: { readonly at: Millis; readonly target: string | null } | null;
  /** Agreed times of the change of primary; 0: not yet. */
  readonly times: {
    readonly chosenAt: Millis;
    readonly fencedAt: Millis;
    readonly promotedAt: Millis;
    readonly openedAt: Millis;
  };
  /** When an epoch was opened by a failover last, agreed time; 0: never. */
  readonly lastFailoverAt: Millis;
  /** Failovers that came soon after the one before, in a row: each doubles the time until the next may come. */
  readonly flaps: number;
}

/** An operator's word for one change of primary. */
export interface Allowed {
  /** The target as it was named, though the choice would fall on another. */
  readonly force: boolean;
  /** Positions that may be lost (6.1). */
  readonly loss: number;
  /** Uids of members that are lost: their word is not waited for (2.9). */
  readonly lost: readonly string[];
}

/** The open epoch of a record; null if it has none. */
export const openEpochOf = (record: PoolRecord | null): number | null =>
  record?.phase === 'open' ? record.epoch : null;

/** How a hook is run. post: to that path of the node's own url, or a whole url. exec: a program with arguments. */
export type HookHow =
  | { readonly kind: 'post'; readonly url: string; readonly timeout: Millis }
  | { readonly kind: 'exec'; readonly argv: readonly string[]; readonly timeout: Millis };

/** What a member's own file says about a pool with `failover`. Durations in ms. */
export interface PoolPolicy {
  readonly pool: string;
  readonly mode: 'automatic' | 'manual';
  /** Interval and time-out of health checks of the primary. */
  readonly interval: Millis;
  readonly timeout: Millis;
  /** Failed checks in a row after which a member holds the primary for down. */
  readonly failureThreshold: number;
  /** How long a returned primary is healthy before it counts as recovered (and before automatic failback). */
  readonly recoveryWait: Millis;
  readonly failback: 'manual' | 'automatic';
  readonly maxAttempts: number;
  /** First rest after a failed failover, doubling; 0: until someone looks. */
  readonly retryAfter: Millis;
  /** Between the opening of two epochs by failover. */
  readonly minInterval: Millis;
  /** Furthest that a candidate may be behind, in positions; null: positions don't matter here. */
  readonly maxLag: number | null;
  /** Ask the other nodes whether they still hear the primary (rule 5.3). */
  readonly verify: boolean;
  /** withoutQuorum of the config (rule 2.9). */
  readonly withoutQuorum: 'stop' | 'continue';
  /** Longest that writes in flight may finish in a planned switch, and a new primary may catch up. */
  readonly switchTimeout: Millis;
  readonly hooks: { readonly [K in HookKind]: HookHow | null };
  readonly nodes: readonly PolicyNode[];
  /** Of all that matters for a decision; compared between members. */
  readonly hash: string;
}

export interface PolicyNode {
  readonly id: string;
  readonly url: string;
  /** The wish for a pool that has no epoch yet; standby nodes take no reads. */
  readonly role: 'primary' | 'replica' | 'standby';
  /** Higher is preferred among candidates that are equally far. */
  readonly priority: number;
  /** May become primary. */
  readonly candidate: boolean;
}

export const poolStates = ['NORMAL', 'DETECTING', 'FAILING_OVER', 'FAILED_OVER', 'RECOVERING', 'FAILED'] as const;
/** As the API shows it. */
export type PoolState = (typeof poolStates)[number];
