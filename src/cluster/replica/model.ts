/**
 * The words of the agreed state.
 *
 *   entry      a key with its value. Every change of any key takes the next revision
 *   lease      a span of time that somebody keeps alive; the keys attached to it go when it does
 *   lock       a name with one holder, a queue in order of arrival, and a delay after a holder was lost
 *   token      a number per grant of any lock, ever growing: who guards the resource refuses a lower one
 *   owner      whoever asks for locks, by a name of its own choice; one owner may hold and wait for many
 *   record     what is registered about a member or a node
 *
 * Time here is the agreed clock: milliseconds since 1970 when the state was new, then the leaders' monotonic time. It is
 * carried in each command and never runs back. Records are never changed, only replaced; so a capture of the state is a
 * copy of references.
 */
import type { Bytes, Millis } from '../../base/ids.ts';

/** Numbers the changes of all keys. */
export type Revision = number;
/** Fencing token of a lock. */
export type Token = number;
/** Drawn from the counter of tokens, so never used twice. */
export type LeaseId = number;

export interface KvEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision that made the key, since its last deletion. */
  readonly created: Revision;
  /** Revision of its last change. */
  readonly revision: Revision;
  readonly lease: LeaseId | null;
}

/** One change of one key. `entry` is null after a deletion, `previous` null if there was nothing before. */
export interface Change {
  readonly revision: Revision;
  readonly key: string;
  readonly entry: KvEntry | null;
  readonly previous: KvEntry | null;
  readonly at: Millis;
}

/** What must hold for a write to take place. */
export type Condition =
  | { readonly kind: 'any' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'revision'; readonly revision: Revision }
  | { readonly kind: 'value'; readonly value: Uint8Array };

export interface Lease {
  readonly id: LeaseId;
  readonly ttlMs: Millis;
  readonly expiresAt: Millis;
}

export interface Holder {
  readonly owner: string;
  readonly token: Token;
  readonly ttlMs: Millis;
  /** How long nobody gets the lock after this holder was lost. */
  readonly delayMs: Millis;
  readonly since: Millis;
  readonly expiresAt: Millis;
}

export interface Waiter {
  readonly owner: string;
  readonly ttlMs: Millis;
  readonly delayMs: Millis;
  /** It leaves the queue then. */
  readonly deadline: Millis;
}

export interface Lock {
  readonly name: string;
  readonly holder: Holder | null;
  /** End of the delay after a lost holder; 0 without one. */
  readonly freeAt: Millis;
  /** Served from the front. */
  readonly queue: readonly Waiter[];
}

/** One edge of a deadlock: this owner waits for this lock, which the next one in the cycle holds or is ahead for. */
export interface Wait {
  readonly owner: string;
  readonly lock: string;
}

export const recordKinds = ['member', 'node'] as const;
export type RecordKind = (typeof recordKinds)[number];

export interface Registered {
  readonly what: RecordKind;
  readonly id: string;
  /** Sorted by name, each name once. */
  readonly facts: readonly Fact[];
  readonly at: Millis;
}
export type Fact = readonly [name: string, value: string];

/** One line of the history that operators read. */
export interface HistoryEvent {
  /** Numbers the events, without gaps. */
  readonly number: number;
  readonly at: Millis;
  readonly topic: string;
  readonly subject: string;
  readonly text: string;
}

/**
 * Bounds of the state. They decide what is refused, so every member must have the same: a snapshot carries them, and a
 * new state takes those of its version.
 */
export interface ReplicaLimits {
  readonly keyBytes: Bytes;
  readonly valueBytes: Bytes;
  readonly keys: number;
  /** All keys and values together. */
  readonly totalBytes: Bytes;
  readonly leases: number;
  readonly ttlMaxMs: Millis;
  readonly locks: number;
  readonly waitersPerLock: number;
  /** Names of locks, owners, topics, subjects, registered ids. */
  readonly nameBytes: Bytes;
  readonly records: number;
  /** Facts of one record, and the text of an event. */
  readonly recordBytes: Bytes;
  readonly historyEvents: number;
  /** Results kept per proposer, to answer what is proposed twice. */
  readonly resultsPerProposer: number;
  readonly proposers: number;
  /** A proposer not heard of for so long may be forgotten when the table is full. */
  readonly proposerIdleMs: Millis;
  /** Pools with a primary, and one of their records as bytes. */
  readonly pools: number;
  readonly poolRecordBytes: Bytes;
  /** Changes kept for watches and reads of the past. */
  readonly changes: number;
  readonly changeBytes: Bytes;
}

export const defaultLimits: ReplicaLimits = {
  keyBytes: 1024,
  valueBytes: 1024 * 1024,
  keys: 200_000,
  totalBytes: 256 * 1024 * 1024,
  leases: 100_000,
  ttlMaxMs: 30 * 86_400_000,
  locks: 10_000,
  waitersPerLock: 1000,
  nameBytes: 256,
  records: 10_000,
  recordBytes: 16 * 1024,
  historyEvents: 1000,
  resultsPerProposer: 1024,
  proposers: 1024,
  proposerIdleMs: 3_600_000,
  pools: 1024,
  poolRecordBytes: 64 * 1024,
  changes: 10_000,
  changeBytes: 32 * 1024 * 1024,
};

/** Latest time that may be stamped: beyond it, seconds << 20 would leave the whole numbers that are exact. */
export const latestAt: Millis = 2 ** 33 * 1000 - 1;

/** Where the counters of a state begin that is made anew: above all that an earlier one can have given out. */
export const counterFloor = (at: Millis): number => Math.floor(at / 1000) * 2 ** 20;
