/**
 * What goes into the machine and what comes out of it. The driver's loop, for each thing that happens:
 *
 *   raft.step(now, input)
 *   const out = raft.take()
 *   journal.write(out.persist)            later, in any order: step(now, { kind: 'persisted', ticket })
 *   replica.apply(out.apply)              before the sends: they may say that it is applied
 *   net.send(out.send)
 *   answer out.proposals, out.reads, out.changes; log out.events
 *   arm ONE timer for raft.wakeAt()       then: step(now, { kind: 'tick' })
 *
 * `now` is the member's monotonic clock. It may run at another rate than the others' (1 % + 50 ms), never back.
 */
import type { Millis } from '../../base/ids.ts';
import type { RaftMessage } from './messages.ts';
import type { Config, Entry, HardState, Index, MemberId, Snapshot, Term, Ticket } from './model.ts';

export type Change =
  /** Takes a member in as a learner. */
  | { readonly kind: 'add'; readonly member: MemberId }
  /** Makes a learner that has caught up a voter. */
  | { readonly kind: 'promote'; readonly member: MemberId }
  /** Makes a voter a learner. */
  | { readonly kind: 'demote'; readonly member: MemberId }
  | { readonly kind: 'remove'; readonly member: MemberId }
  /** Takes the learner `member` for the lost voter `old`: `old` is removed, and once that holds, `member` promoted. */
  | { readonly kind: 'replace'; readonly old: MemberId; readonly member: MemberId };

export type RaftInput =
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly message: RaftMessage }
  /** `id`: the driver's own, unique per run. `strong`: answered when every member with a read lease has applied it. */
  | { readonly kind: 'propose'; readonly id: number; readonly data: Uint8Array; readonly strong?: boolean }
  /** `force`: even if the new quorum could not commit now. */
  | { readonly kind: 'change'; readonly id: number; readonly change: Change; readonly force?: boolean }
  /** `lease: true`: at once under the leader's read lease, if it is live; else confirmed by a round of heartbeats. */
  | { readonly kind: 'read'; readonly id: number; readonly lease?: boolean }
  /** The commit of this ticket returned. */
  | { readonly kind: 'persisted'; readonly ticket: Ticket }
  /** Leader: hand leadership to this voter, or to the fittest. */
  | { readonly kind: 'transfer'; readonly to: MemberId | null }
  /** Stand now, with a pre-vote, without waiting for the time-out; in vain while a leader may live. */
  | { readonly kind: 'campaign' }
  /** The replica's state at `index`, which is at most what was handed out to apply. Entries before it can go. */
  | { readonly kind: 'snapshot'; readonly index: Index; readonly data: Uint8Array }
  /** Time passed that the clock may not have seen, or the process stood still: all leases are void. */
  | { readonly kind: 'stalled'; readonly ms: Millis }
  /** Whether leadership may move to a member with a higher priority now. False until said. */
  | { readonly kind: 'mayMove'; readonly allowed: boolean };

/**
 * One transaction, in this order: `truncateFrom` (delete entries with index >= it), `compactTo` (delete entries with
 * index <= it), `snapshot` (replaces the old one), `entries` (append), `hard` (replaces). null or empty: nothing.
 */
export interface Persist {
  readonly ticket: Ticket;
  readonly hard: HardState | null;
  readonly truncateFrom: Index | null;
  readonly compactTo: Index | null;
  readonly snapshot: Snapshot | null;
  readonly entries: readonly Entry[];
}

/** In order: first the snapshot, if any, replaces the replica's whole state; then the entries, each once. */
export interface Apply {
  readonly snapshot: Snapshot | null;
  readonly entries: readonly Entry[];
}

export type Refusal =
  | 'not-leader'
  /** The leader is handing over; ask the next one. */
  | 'transferring'
  /** Too many bytes are not committed yet. */
  | 'busy'
  | 'too-large'
  /** A change: another one runs, or the leader has not committed an entry of its own term yet. */
  | 'change-pending'
  /** A change that asks for what is already so, or that makes no sense. */
  | 'change-void'
  /** The learner is too far behind. */
  | 'not-caught-up'
  /** The new quorum could not commit now. */
  | 'no-quorum-after';

export type Outcome =
  | { readonly kind: 'committed'; readonly index: Index; readonly term: Term }
  /** Nothing was written. `leader`: whom to ask instead, if known. */
  | { readonly kind: 'refused'; readonly why: Refusal; readonly leader: MemberId | null }
  /** It may or may not be committed by a later leader. */
  | { readonly kind: 'unknown' };

export interface Answer {
  readonly id: number;
  readonly outcome: Outcome;
}

export interface ReadAnswer {
  readonly id: number;
  /** The state read must have applied at least this; the core waits until it has. null: no leader confirmed it. */
  readonly index: Index | null;
}

export type StepDownReason =
  | 'higher-term'
  | 'no-quorum'
  | 'transferred'
  /** The hand-over failed: the machine stands again in the next term, so that its late order to stand is void. */
  | 'transfer-aborted'
  | 'removed'
  | 'slow-disk'
  | 'stalled';

export type RaftEvent =
  | { readonly kind: 'role'; readonly role: Role; readonly term: Term }
  | { readonly kind: 'leader'; readonly leader: MemberId | null; readonly term: Term }
  | { readonly kind: 'became-leader'; readonly term: Term; readonly lastPossibleGrant: Millis }
  | { readonly kind: 'stepped-down'; readonly term: Term; readonly why: StepDownReason }
  | {
      readonly kind: 'standing';
      readonly term: Term;
      readonly why: 'time-out' | 'asked' | 'transfer' | 'transfer-aborted';
    }
  | { readonly kind: 'election-lost'; readonly term: Term; readonly why: 'refused' | 'no-answer' }
  | { readonly kind: 'config'; readonly config: Config; readonly index: Index }
  | {
      readonly kind: 'transfer';
      readonly to: MemberId;
      readonly why: 'asked' | 'priority' | 'witness' | 'slow-disk' | 'removed';
    }
  /** Asked for, but there is nobody who could take over, or it runs already. */
  | { readonly kind: 'transfer-refused'; readonly to: MemberId | null }
  | { readonly kind: 'slow-disk'; readonly outstanding: Millis }
  | { readonly kind: 'snapshot-installed'; readonly index: Index }
  | { readonly kind: 'refused'; readonly from: MemberId; readonly why: MessageRefusal };

/** Why a peer's message was dropped. Counted in the status; the first of a kind is an event too. */
export type MessageRefusal =
  | 'not-for-us'
  | 'from-ourselves'
  | 'old-boot'
  | 'malformed'
  | 'second-leader'
  | 'contradicts-committed'
  | 'not-leader'
  | 'too-large'
  | 'unknown-member';

export interface RaftOutput {
  readonly persist: Persist | null;
  readonly send: readonly RaftMessage[];
  readonly apply: Apply | null;
  readonly proposals: readonly Answer[];
  readonly changes: readonly Answer[];
  readonly reads: readonly ReadAnswer[];
  readonly events: readonly RaftEvent[];
}

export type Role = 'follower' | 'candidate' | 'leader';

export interface PeerStatus {
  readonly id: MemberId;
  readonly match: Index;
  readonly next: Index;
  readonly applied: Index;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  /** When it was last heard, on our clock. */
  readonly heardAt: Millis;
  /** Until when it may hold a read lease, on our clock. */
  readonly mayReadUntil: Millis;
}

export interface RaftStatus {
  readonly role: Role;
  readonly term: Term;
  readonly vote: MemberId | null;
  readonly leader: MemberId | null;
  readonly commit: Index;
  readonly applied: Index;
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  /** Our own log is on disk up to here. */
  readonly durable: Index;
  readonly firstIndex: Index;
  readonly config: Config;
  readonly configIndex: Index;
  readonly configCommitted: boolean;
  /** Leader: an entry of its own term is committed, so it knows all that is. */
  readonly ready: boolean;
  readonly transferring: MemberId | null;
  /**
   * Leader: no predecessor granted anything that was asked for later than this, on our clock, provided that each grant
   * waited for a read (without `lease`) that was begun after the request came. Anything granted so is over at this
   * + its length + drift.
   */
  readonly lastPossibleGrant: Millis | null;
  /** Until when this member may answer reads from its own state; in the past if it may not. Look at `mayRead(now)`. */
  readonly readableUntil: Millis;
  /** Leader only; else empty. */
  readonly peers: readonly PeerStatus[];
  readonly refused: ReadonlyMap<MessageRefusal, number>;
  readonly elections: number;
}
