/**
 * The failover machine of one member: a guard, which every member has, and a director, which acts on the leader.
 *
 *   guard     own probes -> reports to the leader · asks for write leases and keeps the board · confirms fences · runs hooks
 *   director  reports of a majority -> choose -> commit pending -> fence -> demote, promote -> commit open
 *
 * The driver's loop, for each thing that happens:
 *
 *   machine.step(now, input)
 *   const out = machine.take()
 *   board.write(each of out.board)        first: what ends leave to write takes effect before anything is told
 *   propose, tell, ask for leases, run hooks, probe, answer, log
 *   arm ONE timer for machine.wakeAt()
 *
 * `now` is process.hrtime in ms, which leases are counted in. Bytes from other members may be anything: none ever throws.
 * Effects of a decision leave only once its proposal is committed: the machine sees it come back as an agreed record.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { EpochReason, HookHow, HookKind, PoolPolicy, PoolRecord, PoolState, Target } from './model.ts';

export interface FailoverOptions {
  readonly self: MemberId;
  readonly now: Millis;
  /**
   * Leader: from when on nobody writes under a lease of this pool that was given until now to any of `unconfirmed`, or by an
   * earlier leader to anybody; null if this member does not lead.
   */
  readonly writesOverAt: (pool: string, unconfirmed: readonly MemberId[]) => Millis | null;
  /** The epoch in which writes may go as far as this member has accepted the log; null: in none (2.8). */
  readonly openEpoch: (pool: string) => number | null;
  /** Only for tests that plant a fault. */
  readonly rules?: Partial<FailoverRules>;
}

/** The rules whose breach loses data, each a pure function, so that a simulation can plant the breach of one. See rules.ts. */
export interface FailoverRules {
  /** A fence is complete when all have confirmed it, or when no lease given before can be alive (2.5). */
  isFenced(view: { readonly allConfirmed: boolean; readonly now: Millis; readonly overAt: Millis | null }): boolean;
  /** A word of a fence counts only if it was said of an epoch after the one that was open last (2.5). */
  confirms(word: { readonly epoch: number; readonly open: boolean; readonly done: boolean }, lastOpen: number): boolean;
  /** Until then somebody that we don't know of, or not any more, may have leave to write (2.6). */
  strangersUntil(since: Millis): Millis;
  /** A member confirms only when its data threads hold nothing of an older epoch (2.5). */
  mayConfirm(writing: number): boolean;
  /** Reports count while they are younger than this many intervals (5.1). */
  isFresh(age: Millis, interval: Millis): boolean;
  /** A hook is run by who has the policy by which it was decided: hashes of both (3.1). */
  mayRun(own: string | undefined, decided: string): boolean;
  /** A hook starts once its start is committed (3.2). */
  waitsForCommit(): boolean;
  /** Leave to write ends as soon as an entry that moves the epoch is in the own log (2.8). */
  heedsMoving(): boolean;
  /** Of a lease: it was asked for after all that voided earlier ones. */
  mayUse(lease: { readonly askedAs: number; readonly voidUpTo: number }): boolean;
  /** Leave to write only for the very node that is meant (3.1). */
  isSameTarget(own: string | null, agreed: string): boolean;
  /** A majority of all voters, not of those that spoke (5.1). */
  isDown(view: { readonly down: number; readonly voters: number }): boolean;
  /** Failed checks in a row from which on a member holds the primary for down: one threshold for all (5.2). */
  holdsForDown(failures: number, threshold: number): boolean;
  /** A node that still hears its primary holds the failover, where the policy says so (5.3). */
  heedsHeard(): boolean;
  /** Before then, on the agreed clock, no other failover comes. */
  restsUntil(lastFailoverAt: Millis, rest: Millis): Millis;
  /** A pool without agreed state asks its nodes before it takes the file's wish (4.3). */
  asksFirst(): boolean;
  /** A node that has seen a higher epoch, or follows another cluster, stops writes (4.3). */
  heedsForeign(): boolean;
  /** A hook that was started may take effect until then, on the agreed clock (3.2). */
  hookOverAt(until: Millis): Millis;
  /** A candidate whose promotion was begun is made harmless before another is promoted (3.2). */
  mayPromote(view: { readonly possiblyPromoted: boolean }): boolean;
  /** Positions count after the fence only (6.1). */
  choosesAnew(): boolean;
  /** Of the highest position that clients were told of: what a new primary is measured against (6.1). */
  mustNotLose(reference: number | null): number | null;
  /** What members say that they passed on is all: nobody was left out, and nobody's process began since (6.1). */
  knowsPassed(view: { readonly unheard: number; readonly forgot: boolean }): boolean;
  /** A node that was primary takes reads once it has shown that it knows its place (3.7). */
  mayReturn(view: { readonly shown: boolean }): boolean;
}

/** What a member's own probes say of a node. */
export interface NodeReport {
  readonly pool: string;
  readonly node: string;
  /** null: not checked yet, or checks are off. */
  readonly up: boolean | null;
  /** Failed checks in a row, and whether the last one was refused (5.2). */
  readonly failures: number;
  /** When the last check ended, our clock. */
  readonly at: Millis;
  /** One line: why it is not up. */
  readonly detail: string;
  /** As the node's health answer says; null: it does not say. */
  readonly role: string | null;
  readonly epoch: number | null;
  readonly cluster: string | null;
  readonly position: number | null;
  readonly lag: Millis | null;
  /** How long ago it heard its primary. */
  readonly primaryHeard: Millis | null;
  /** The operator's wish: a node in drain or maint is no candidate. */
  readonly wanted: boolean;
}

export type FailoverInput =
  | { readonly kind: 'tick' }
  /** The own file's pools with failover: at the start and after each reload. */
  | { readonly kind: 'policies'; readonly policies: readonly PoolPolicy[] }
  /** All agreed records, after a start, an applied entry that changed one, or a snapshot. `agreedNow`: the agreed clock. */
  | { readonly kind: 'records'; readonly records: readonly PoolRecord[] }
  /** An entry that moves this pool's epoch is in the own log: no write of the old one begins here any more (2.8). */
  | { readonly kind: 'moving'; readonly pool: string }
  /** Whenever any of it changes. Uids. */
  | { readonly kind: 'cluster'; readonly view: ClusterView }
  | { readonly kind: 'report'; readonly report: NodeReport }
  | { readonly kind: 'told'; readonly from: MemberId; readonly bytes: Uint8Array }
  /** Of `leases`, by id. refused `not-open`: the leader's log is ahead. */
  | { readonly kind: 'leased'; readonly id: number; readonly lease: LeaseGrant | null; readonly why: string }
  /** Of `proposals`, by id. false: it may or may not come; the record tells. */
  | { readonly kind: 'proposed'; readonly id: number; readonly ok: boolean }
  | {
      readonly kind: 'hooked';
      readonly id: number;
      readonly ok: boolean;
      readonly detail: string;
      readonly position: number | null;
    }
  /** Writes of this pool that data threads hold, and the highest position they passed on; told while `fencing` is asked. */
  | { readonly kind: 'held'; readonly pool: string; readonly writing: number; readonly passed: number | null }
  /** Leases given before this are void (stalled, suspended, voters-changed, stopped); `removed`: it may not write any more. */
  | { readonly kind: 'void'; readonly why: string }
  /** Of an operator. Answered once, by id. */
  | { readonly kind: 'command'; readonly id: number; readonly command: FailoverCommand };

export interface ClusterView {
  readonly leader: MemberId | null;
  readonly term: number;
  /** This member leads, and an entry of its own term is committed. */
  readonly leads: boolean;
  readonly quorum: boolean;
  readonly voters: readonly MemberId[];
  readonly learners: readonly MemberId[];
  readonly names: ReadonlyMap<MemberId, string>;
  /** The cluster's id. */
  readonly cluster: string | null;
  /** The agreed clock at the time of this input: later ones are counted on from it by `now`. */
  readonly agreedNow: Millis;
}

export interface LeaseGrant {
  readonly epoch: number;
  readonly writeUntil: Millis;
  readonly cutAt: Millis;
}

export type FailoverCommand =
  | {
      readonly kind: 'switch';
      readonly pool: string;
      readonly target: string | null;
      readonly at: Millis | null;
      readonly dryRun: boolean;
      readonly force: boolean;
      /** Positions that may be lost (6.1); null: none. */
      readonly acceptLoss: number | null;
      /** Members that the operator says are lost (2.9). */
      readonly lost: readonly string[];
    }
  | { readonly kind: 'failback'; readonly pool: string; readonly dryRun: boolean }
  | { readonly kind: 'adopt'; readonly pool: string; readonly node: string }
  | { readonly kind: 'automatic'; readonly pool: string | null; readonly enabled: boolean }
  | { readonly kind: 'cancel'; readonly pool: string };

export type CommandAnswer =
  | { readonly ok: true; readonly plan: SwitchPlan | null; readonly text: string }
  | { readonly ok: false; readonly error: CommandError };

export type CommandError =
  | { readonly kind: 'unknown-pool'; readonly known: readonly string[] }
  | { readonly kind: 'unknown-node'; readonly known: readonly string[] }
  /** Unhealthy, lagging, excluded, the primary already. `force` would help or not. */
  | { readonly kind: 'unfit'; readonly why: string; readonly forcible: boolean }
  /** Another change of primary is under way, or it is too soon. */
  | { readonly kind: 'busy'; readonly why: string }
  | { readonly kind: 'no-quorum'; readonly missing: readonly string[] }
  | { readonly kind: 'not-leader'; readonly leader: MemberId | null }
  | { readonly kind: 'failed'; readonly why: string };

/** Who would win and why, and how long writes would wait. */
export interface SwitchPlan {
  readonly pool: string;
  readonly from: string | null;
  readonly to: string;
  readonly why: string;
  readonly others: readonly { readonly node: string; readonly why: string }[];
  readonly pauseMs: Millis;
}

/** What data threads may do with writes of a pool; goes into the scoreboard as it is. */
export interface BoardWrite {
  readonly pool: string;
  /** 0: none. */
  readonly epoch: number;
  readonly node: string | null;
  /** 0: no write may begin. Number.MAX_SAFE_INTEGER: no time ends it (2.9). */
  readonly writeUntil: Millis;
  /** When writes of `epoch` that still run are cut; in the past: at once. It may come nearer while they run. */
  readonly cutAt: Millis;
  /** What becomes of a write that may not begin: it waits for what comes, or is answered with 503 now. */
  readonly otherwise: 'park' | 'refuse';
  /** For people: why writes don't go. Empty if they do. */
  readonly why: string;
  /** Tell `held` every few ms while this is set. */
  readonly fencing: boolean;
  /** Which nodes may take reads by their place in the cluster (health and lag come on top). */
  readonly readers: readonly string[];
  readonly forks: PoolRecord['forks'];
}

export interface FailoverOutput {
  readonly board: readonly BoardWrite[];
  readonly proposals: readonly { readonly id: number; readonly record: PoolRecord; readonly note: string }[];
  /** Small; may be lost. Never to ourselves: that is short-cut inside. */
  readonly tell: readonly { readonly to: MemberId; readonly bytes: Uint8Array }[];
  readonly leases: readonly { readonly id: number; readonly pool: string; readonly epoch: number }[];
  readonly hooks: readonly HookRun[];
  /** End these now. */
  readonly abandon: readonly number[];
  /** Check this node now. */
  readonly probe: readonly { readonly pool: string; readonly node: string }[];
  readonly answers: readonly { readonly id: number; readonly answer: CommandAnswer }[];
  readonly events: readonly FailoverEvent[];
  /** Whether leadership may move by priority (3.5): not while a pool is between NORMAL and FAILED_OVER. */
  readonly mayMove: boolean;
}

export interface HookRun {
  readonly id: number;
  readonly how: HookHow;
  readonly kind: HookKind;
  readonly pool: string;
  readonly target: Target;
  readonly epoch: number;
  readonly reason: EpochReason;
  /** Our clock; it is ended then. */
  readonly deadline: Millis;
}

/** One line for log, events stream and metrics. */
export interface FailoverEvent {
  readonly level: 'info' | 'warn' | 'error';
  readonly event: string;
  readonly pool: string;
  readonly text: string;
}

export interface PoolStatus {
  readonly pool: string;
  readonly state: PoolState;
  /** Why this state; empty when there is nothing to say. */
  readonly reason: string;
  readonly record: PoolRecord | null;
  /** This member's leave to write: until when, our clock; null: none. */
  readonly writeUntil: Millis | null;
  /** Why this member sends no writes; empty if it does. */
  readonly stopped: string;
  readonly nodes: readonly {
    readonly node: string;
    readonly role: 'PRIMARY' | 'SECONDARY' | 'STANDBY';
    readonly up: boolean | null;
    readonly position: number | null;
    readonly lag: Millis | null;
    /** Leader: voters that hold it for down, of all. */
    readonly down: readonly string[];
    readonly detail: string;
  }[];
  /** This member alone cannot reach the primary. */
  readonly linkFault: boolean;
  /** Members whose policy differs. */
  readonly differing: readonly string[];
}
