/**
 * What can be asked of the agreed state, and what can be answered.
 *
 * A proposal goes through the log. Any member makes it (`proposer`: its uid, its boot, a number that grows), the leader
 * stamps it with the agreed time. What is only read never becomes a command.
 *
 * Numbers of commands and results on the wire are their places in the lists of codec.ts: new ones go to the end, and with
 * a new version of the proposal, which a leader proposes only when all voters announce it.
 */
import type { Bytes, Millis } from '../../base/ids.ts';
import type { PoolRecord } from '../failover/model.ts';
import type { Condition, Fact, LeaseId, RecordKind, Revision, Token, Wait } from './model.ts';

export type Command =
  | {
      readonly kind: 'set';
      readonly key: string;
      readonly value: Uint8Array;
      /** The key goes when this lease does. Null also detaches it from the one that it had. */
      readonly lease: LeaseId | null;
      readonly when: Condition;
    }
  | { readonly kind: 'delete'; readonly key: string; readonly when: Condition }
  | { readonly kind: 'grant'; readonly ttlMs: Millis }
  | { readonly kind: 'keep-alive'; readonly lease: LeaseId }
  | { readonly kind: 'revoke'; readonly lease: LeaseId }
  /** `waitMs` 0: now or not at all. Asked again by its holder it is renewed, by a waiter it keeps its place. */
  | {
      readonly kind: 'acquire';
      readonly name: string;
      readonly owner: string;
      readonly ttlMs: Millis;
      readonly waitMs: Millis;
      readonly delayMs: Millis;
    }
  | { readonly kind: 'extend'; readonly name: string; readonly token: Token; readonly ttlMs: Millis }
  | { readonly kind: 'release'; readonly name: string; readonly token: Token }
  /** Gives up waiting. Gives up the lock too if it came meanwhile. */
  | { readonly kind: 'withdraw'; readonly name: string; readonly owner: string }
  | { readonly kind: 'register'; readonly what: RecordKind; readonly id: string; readonly facts: readonly Fact[] }
  | { readonly kind: 'unregister'; readonly what: RecordKind; readonly id: string }
  | { readonly kind: 'note'; readonly topic: string; readonly subject: string; readonly text: string }
  /** Ends what has run out at the proposal's time. Nothing runs out otherwise. */
  | { readonly kind: 'expire' }
  /** After a state was brought back from a backup: counters go on above all that was given out since. */
  | { readonly kind: 'raise' }
  /**
   * The next step of a pool: taken if it follows the one that is known (pool-steps.ts), else `conflict` with the known
   * step. `note`: its line in the history; empty: none. Of version 2.
   */
  | { readonly kind: 'pool'; readonly record: PoolRecord; readonly note: string };

export interface Proposer {
  /** The member's uid. */
  readonly uid: string;
  readonly boot: number;
  /** From 1; each proposal of a boot has its own, a repeated one keeps it. */
  readonly number: number;
}

export interface Proposal {
  readonly proposer: Proposer;
  /** Agreed time, stamped by the leader; 0 while on the way to it. */
  readonly at: Millis;
  readonly command: Command;
}

export const bounded = ['key', 'value', 'total', 'name', 'ttl', 'record'] as const;
export type Bounded = (typeof bounded)[number];
export const counted = ['keys', 'leases', 'locks', 'waiters', 'records', 'proposers', 'pools'] as const;
export type Counted = (typeof counted)[number];
export const findable = ['lease', 'lock', 'record'] as const;
export type Findable = (typeof findable)[number];

export type CommandResult =
  | { readonly kind: 'written'; readonly revision: Revision }
  /** Null: there was nothing to delete. */
  | { readonly kind: 'deleted'; readonly revision: Revision | null }
  | { readonly kind: 'granted'; readonly lease: LeaseId; readonly expiresAt: Millis }
  | { readonly kind: 'extended'; readonly expiresAt: Millis }
  | { readonly kind: 'acquired'; readonly token: Token; readonly expiresAt: Millis }
  /** In the queue; the grant or the time-out comes as an event. */
  | { readonly kind: 'waiting'; readonly ahead: number; readonly deadline: Millis }
  | { readonly kind: 'done' }
  /** The condition did not hold. `revision`: the key's own now, or the pool's step; null if it is absent. */
  | { readonly kind: 'conflict'; readonly revision: Revision | null }
  /** Held by another, or in its delay (null), and the caller would not wait. */
  | { readonly kind: 'busy'; readonly owner: string | null; readonly until: Millis }
  /** To wait would close this cycle. It begins with the asking owner. */
  | { readonly kind: 'deadlock'; readonly cycle: readonly Wait[] }
  /** No such lease; no lock held under that token; no such record. */
  | { readonly kind: 'absent'; readonly what: Findable }
  | { readonly kind: 'too-large'; readonly what: Bounded; readonly size: Bytes; readonly max: Bytes }
  | { readonly kind: 'full'; readonly what: Counted; readonly max: number }
  /** Proposed before, too long ago to know how it ended. Not applied now. */
  | { readonly kind: 'unknown' }
  /** The entry's bytes are no proposal of a version known here. */
  | { readonly kind: 'unreadable' };
