/**
 * The contract between what agrees and what needs agreement: leader, kv, lease, lock, watch, propose, writeLease.
 *
 *   rooms above --> Coordinator --> the cluster's own log | a cluster of one | another engine
 *
 * Nothing here throws or rejects: every verb answers with a value or with a CoordinatorError. All implementations keep
 * test/contract/coordinator.contract.ts.
 *
 * Consistency of a write:
 *   strong     committed, and every member has applied it or may not answer reads from its own state
 *   quorum     committed: it survives the loss of any minority
 *   eventual   handed on; it may be lost, and the answer says `committed: false`. Only for unconditional writes of keys that
 *              belong to no lease, and for notes
 * and of a read: strong and quorum see every write that was acknowledged before they were asked; eventual reads what this
 * member has, and says how old that may be.
 *
 * Two kinds of time: `...At` of leases and locks is the agreed clock; a write lease is in this member's monotonic clock.
 */
import type { Bytes, Millis } from '../base/ids.ts';
import type { Result } from '../base/result.ts';
import type { PoolRecord } from './failover/model.ts';
import type { Bounded, Command, CommandResult, Counted, Findable } from './replica/command.ts';
import type { ReplicaEvent } from './replica/events.ts';
import type {
  Change,
  Condition,
  HistoryEvent,
  KvEntry,
  LeaseId,
  Lock,
  RecordKind,
  Registered,
  Revision,
  Token,
  Wait,
} from './replica/model.ts';

export type Consistency = 'strong' | 'quorum' | 'eventual';

/** Names a proposal, so that it can be made again without being applied twice. */
export interface Ticket {
  readonly boot: number;
  readonly number: number;
}

export type CoordinatorError =
  /** No majority can be reached. `missing`: members that it lacks. Nothing was written. */
  | { readonly kind: 'no-quorum'; readonly missing: readonly string[] }
  /** It may or may not have been written, now or later. Propose it again with this ticket to find out. */
  | { readonly kind: 'unknown-outcome'; readonly ticket: Ticket }
  /** This member does not take writes; `leader` does, null if there is none. */
  | { readonly kind: 'not-leader'; readonly leader: string | null }
  /** More is under way than this member takes. Nothing was written. */
  | { readonly kind: 'overloaded' }
  | { readonly kind: 'too-large'; readonly what: Bounded; readonly size: Bytes; readonly max: Bytes }
  | { readonly kind: 'full'; readonly what: Counted | 'watchers'; readonly max: number }
  /** The condition did not hold. `revision`: the key's own now, or the pool's step; null if it is absent. */
  | { readonly kind: 'conflict'; readonly revision: Revision | null }
  | { readonly kind: 'deadlock'; readonly cycle: readonly Wait[] }
  /** The lock is taken (or, with owner null, rests after a lost holder), and there was no time to wait. */
  | { readonly kind: 'busy'; readonly owner: string | null; readonly until: Millis }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'withdrawn' }
  | { readonly kind: 'absent'; readonly what: Findable }
  /** Changes up to `floor` can't be read any more: list, and go on from the list's revision. */
  | { readonly kind: 'compacted'; readonly floor: Revision }
  /** Only unconditional writes of keys without a lease, and notes, can be eventual. */
  | { readonly kind: 'not-eventual' }
  /** An argument that no state could take. */
  | { readonly kind: 'invalid'; readonly what: string }
  /** No write under this epoch: `open` is the pool's open one, null if none is. */
  | { readonly kind: 'not-open'; readonly pool: string; readonly open: number | null }
  /** This member and the cluster do not understand each other: one of them is too old. */
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'closed' };

export type Answer<T> = Promise<Result<T, CoordinatorError>>;

/** How fresh a read is. */
export type Freshness =
  /** Every write acknowledged before the read was asked for is in it. */
  | { readonly kind: 'current' }
  /** What this member has: at least all that was committed `ageMs` ago; null: nothing is known of that. */
  | { readonly kind: 'local'; readonly ageMs: Millis | null };

export interface Read<T> {
  readonly value: T;
  /** The newest revision of the state that was read. */
  readonly revision: Revision;
  /** The log's index of that state. */
  readonly index: number;
  readonly freshness: Freshness;
}

/** The same write made again with `ticket` gets the same answer and is not applied again. */
export type Written<T> =
  | { readonly committed: true; readonly value: T; readonly index: number; readonly ticket: Ticket }
  | { readonly committed: false };

export interface ReadOptions {
  /** Default quorum. */
  readonly consistency?: Consistency;
}

export interface WriteOptions {
  /** Default quorum. */
  readonly consistency?: Consistency;
  /** Of an earlier attempt at the very same write, whose outcome is unknown. */
  readonly ticket?: Ticket;
}

export interface SetOptions extends WriteOptions {
  /** What must hold of the key; default: anything. */
  readonly when?: Condition;
  /** The key goes when this lease ends. Default: it belongs to none. */
  readonly lease?: LeaseId | null;
}

export interface KvRoom {
  /** The key's entry, null if it is absent. `at`: as it was when that revision was the newest. */
  get(key: string, options?: ReadOptions & { readonly at?: Revision }): Answer<Read<KvEntry | null>>;
  /** A page of at most `max` (default 1000) keys with `prefix` after `after`, in order. */
  list(
    prefix: string,
    options?: ReadOptions & { readonly after?: string; readonly max?: number },
  ): Answer<Read<{ readonly entries: readonly KvEntry[]; readonly more: boolean }>>;
  /** Answers with the revision of the write. */
  set(key: string, value: Uint8Array, options?: SetOptions): Answer<Written<Revision>>;
  /** Answers with the revision of the deletion, null if there was nothing to delete. */
  delete(key: string, options?: WriteOptions & { readonly when?: Condition }): Answer<Written<Revision | null>>;
}

export interface LeaseRoom {
  grant(ttlMs: Millis): Answer<{ readonly lease: LeaseId; readonly expiresAt: Millis }>;
  keepAlive(lease: LeaseId): Answer<{ readonly expiresAt: Millis }>;
  /** Ends it now, with the keys that belong to it. */
  revoke(lease: LeaseId): Answer<true>;
}

export interface LockTerms {
  /** Who asks. Asking again under the same name renews what is held, and keeps the place in the queue. */
  readonly owner: string;
  /** The lock is lost if it is not extended for so long. */
  readonly ttlMs: Millis;
  /** Default 0: now or not at all. */
  readonly waitMs?: Millis;
  /** For so long nobody gets the lock after this holder was lost. Default 15 s. */
  readonly delayMs?: Millis;
  /** Gives up waiting: the answer is `withdrawn`. */
  readonly signal?: AbortSignal;
}

export interface Held {
  readonly name: string;
  readonly owner: string;
  /** Greater than that of every grant before. Hand it to what the lock guards, and let that refuse lower ones. */
  readonly token: Token;
  readonly expiresAt: Millis;
}

export interface LockRoom {
  /**
   * After `unknown-outcome` the owner may hold it or wait for it: ask again, or `withdraw`. So a wait ends, some seconds
   * after its time, on a member that does not hear of its end.
   */
  acquire(name: string, terms: LockTerms): Answer<Held>;
  extend(held: Pick<Held, 'name' | 'token'>, ttlMs: Millis): Answer<{ readonly expiresAt: Millis }>;
  release(held: Pick<Held, 'name' | 'token'>): Answer<true>;
  /** Gives up whatever this owner has of it: its place in the queue, or the lock. */
  withdraw(name: string, owner: string): Answer<true>;
  /** Null if nobody has it, waits for it, or lost it lately. */
  get(name: string, options?: ReadOptions): Answer<Read<Lock | null>>;
}

export type WatchEvent =
  /** In order, without gaps, each once. `revision`: watch from here to go on. */
  | { readonly kind: 'changes'; readonly changes: readonly Change[]; readonly revision: Revision }
  /** The last event. `compacted`: this member lost the thread; list anew. */
  | { readonly kind: 'ended'; readonly why: 'compacted' | 'closed'; readonly floor: Revision };

export interface Watch {
  /** Where it began. */
  readonly revision: Revision;
  /** No event comes afterwards. */
  close(): void;
}

export interface LeaderView {
  /** Uid of the leader; null if none is known. */
  readonly leader: string | null;
  readonly self: boolean;
  readonly term: number;
  /** Whether writes to agreed state can be committed now, as far as this member knows. */
  readonly quorum: boolean;
}

/**
 * Leave to begin writes of one epoch of one pool, in this member's monotonic clock. It counts from before it was asked
 * for, so that it is over here before whoever granted it may think so.
 */
export interface WriteLease {
  readonly pool: string;
  readonly epoch: number;
  readonly sentAt: Millis;
  /** From here on no write begins. */
  readonly writeUntil: Millis;
  /** From here on no answer to a write is passed on; what still runs is cut. */
  readonly cutAt: Millis;
}

/** Length of a write lease, and the part at its end in which writes only finish. */
export const writeLeaseMs: Millis = 3000;
export const writeDrainMs: Millis = 250;

export interface Coordinator {
  readonly kv: KvRoom;
  readonly lease: LeaseRoom;
  readonly lock: LockRoom;
  leader(): LeaderView;
  /**
   * Changes of keys with `prefix` after `after` (default: from now on), as this member applies them. What is there
   * already is told before this returns. The sink must not throw: one that does is closed.
   */
  watch(
    options: { readonly prefix: string; readonly after?: Revision },
    sink: (event: WatchEvent) => void,
  ): Result<Watch, CoordinatorError>;
  /** Everything that entries do, as this member applies them: lost locks, ended leases, records. Returns how to stop. */
  observe(sink: (event: ReplicaEvent) => void): () => void;
  records(what: RecordKind, options?: ReadOptions): Answer<Read<readonly Registered[]>>;
  /** What is agreed about each pool with a primary, by name. Changes are told to `observe` as events `pool`; all, after a snapshot. */
  pools(options?: ReadOptions): Answer<Read<readonly PoolRecord[]>>;
  /** Events after this number, oldest first; of older ones only those that are kept. */
  history(after: number, options?: ReadOptions): Answer<Read<readonly HistoryEvent[]>>;
  /** Any command. Results that refuse it come as errors. */
  propose(command: Command, options?: WriteOptions): Answer<Written<CommandResult>>;
  /**
   * Leave to write under exactly this epoch; `not-open` if it is not the pool's open one. What was acknowledged to this
   * member before it asked is seen; what was acknowledged to another one only once it is applied here.
   */
  writeLease(pool: string, epoch: number): Answer<WriteLease>;
}
