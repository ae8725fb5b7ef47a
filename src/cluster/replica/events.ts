/** What an applied entry did, for watches, waiters, logs and metrics. The same on every member; acted on as data. */
import type { Millis } from '../../base/ids.ts';
import type { PoolRecord } from '../failover/model.ts';
import type { Hash64 } from './fingerprint.ts';
import type { Change, HistoryEvent, LeaseId, RecordKind, Registered, Token } from './model.ts';

export type ReplicaEvent =
  | { readonly kind: 'changed'; readonly change: Change }
  | { readonly kind: 'lease-ended'; readonly lease: LeaseId; readonly why: 'expired' | 'revoked' }
  | {
      readonly kind: 'lock-granted';
      readonly name: string;
      readonly owner: string;
      readonly token: Token;
      readonly expiresAt: Millis;
    }
  | {
      readonly kind: 'lock-ended';
      readonly name: string;
      readonly owner: string;
      readonly token: Token;
      readonly why: 'released' | 'lost';
    }
  /** A waiter left the queue without the lock. */
  | {
      readonly kind: 'wait-ended';
      readonly name: string;
      readonly owner: string;
      readonly why: 'timed-out' | 'withdrawn';
    }
  | { readonly kind: 'registered'; readonly record: Registered }
  | { readonly kind: 'unregistered'; readonly what: RecordKind; readonly id: string }
  | { readonly kind: 'noted'; readonly event: HistoryEvent }
  | { readonly kind: 'pool'; readonly record: PoolRecord }
  /** Each 1 000 entries: members that differ here at the same index have parted. */
  | { readonly kind: 'hash'; readonly index: number; readonly hash: Hash64 }
  /** Nothing was applied. `version`: this member is too old for the cluster and must stop. */
  | { readonly kind: 'unreadable'; readonly index: number; readonly why: 'version' | 'malformed' };

/** One entry's application: the time that it has, and what it does. */
export interface Moment {
  readonly now: Millis;
  readonly events: ReplicaEvent[];
}

/** Numbers that are given out once. Whole and exact: they begin below 2^53 and grow by one. */
export class Counter {
  #value: number;

  constructor(value = 0) {
    this.#value = value;
  }

  get value(): number {
    return this.#value;
  }

  next(): number {
    this.#value += 1;
    return this.#value;
  }

  raise(to: number): void {
    this.#value = Math.max(this.#value, to);
  }
}
