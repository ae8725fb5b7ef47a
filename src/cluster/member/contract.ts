/**
 * The member: membership (swim), agreement (raft) and state (replica) as one pure machine. The driver's loop, for each
 * thing that happens:
 *
 *   member.step(now, input)
 *   const out = member.take()
 *   do those of out.effects that end leave to write: `moving`, `void-leases`
 *   disk.write(each of out.persist)      in order; later, at any time: step(now, { kind: 'persisted', ticket })
 *   hub.tell(each of out.applied)        before the answers: they may say that it is applied
 *   rooms.told(each of out.told)
 *   net.send(out.datagrams, out.messages, out.open, out.replies)
 *   settle out.answers; do the other effects; log out.events
 *   arm ONE timer for member.wakeAt()    then: step(now, { kind: 'tick' })
 *
 * Several steps may share one take. What goes in and out as bytes is what peers and disks hold, so any bytes may come:
 * none ever throws. `now` is the member's monotonic clock; it may run at another rate than others', never back.
 *
 * The disk raises the boot number and syncs it before it hands out `MemberRestored`: so before the first message.
 */
import type { Bytes, MemberId, Millis } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import type { Result } from '../../base/result.ts';
import type { Consistency, CoordinatorError, Freshness, Ticket, WriteLease, Written } from '../coordinator.ts';
import type { RaftEvent, RaftStatus, Refusal } from '../raft/contract.ts';
import type { Numbers } from '../raft/options.ts';
import type { Rules as RaftRules } from '../raft/rules.ts';
import type { Command, CommandResult } from '../replica/command.ts';
import type { ReplicaEvent } from '../replica/events.ts';
import type { ReplicaLimits } from '../replica/model.ts';
import type { Address, Metadata, Reach, SwimEvent } from '../swim/model.ts';
import type { SwimSettings } from '../swim/settings.ts';
import type { MemberRules } from './rules.ts';

export interface MemberOptions {
  /** Unique among the living members. 1 to 63 letters, digits, '.', '_', '-'. */
  readonly name: string;
  /** Where the others reach this member, written as in their `seeds`. */
  readonly address: Address;
  /** null: a cluster of one. `expect`: how many voters there shall be; the first ones are exactly address + seeds. */
  readonly cluster: { readonly seeds: readonly Address[]; readonly expect: number } | null;
  readonly metadata: Metadata;
  /** Default multi-master: every member forwards writes to the leader. master-slave: only the leader takes them. */
  readonly writes?: 'multi-master' | 'master-slave';
  /** Also draws the number of this run, so two runs must not be given the same. */
  readonly random: Random;
  /** Both clocks as the machine is made: monotonic, and ms since 1970. */
  readonly now: Millis;
  readonly wall: Millis;
  /**
   * Instead of the agreed state: the open epoch of a pool, null if none is, as far as this member has *accepted* the log:
   * null as soon as an entry that moves it is in this member's log, committed or not (rule 2.8 rests on that).
   */
  readonly openEpoch?: (pool: string) => number | null;
  readonly limits?: ReplicaLimits;
  readonly settings?: Partial<MemberSettings>;
  readonly raft?: Partial<Numbers>;
  readonly swim?: Partial<SwimSettings>;
  /** Only for tests that plant a fault. */
  readonly rules?: Partial<MemberRules>;
  readonly raftRules?: RaftRules;
}

export interface MemberSettings {
  /** A call that has no answer by then is answered: refused if it left nowhere, else its outcome is unknown. 5 s. */
  readonly callMs: Millis;
  /** What was forwarded and not answered is sent again after so long. 600 ms. */
  readonly againMs: Millis;
  /** Formation words are said so often. 250 ms. */
  readonly formMs: Millis;
  /** A snapshot is taken after so many entries. 10 000. */
  readonly snapshotEvery: number;
  /**
   * Or after so many bytes of entries, or as many as the last snapshot has if that is more: the log is held in memory.
   * 64 MiB.
   */
  readonly snapshotBytes: Bytes;
  /**
   * Calls under way on one member; more are answered as overloaded. 512, at most half of `resultsPerProposer`. Leases of
   * writes and changes of pools have as many beside them.
   */
  readonly callsMax: number;
  /** Commands of this version and below are understood here. */
  readonly commandVersion: number;
}

/** What the disk kept; the journal's own shape. `boot` is of this run, raised and on disk already. */
export interface MemberRestored {
  readonly uid: MemberId;
  readonly boot: number;
  readonly hard: Uint8Array | null;
  readonly snapshot: DiskEntry | null;
  /** Contiguous; they may begin before the snapshot's end. */
  readonly entries: readonly DiskEntry[];
  readonly facts: DiskFacts;
  /** The newest run of each peer that counted here. */
  readonly boots: ReadonlyMap<MemberId, KnownRun>;
  /** What only this disk, and copies of it, can say of one of its runs: 32 hexadecimal digits, the same each time. */
  proofOf(both: number): string;
}

/** A run of a peer: its boot and number in one (`runOf` in rules.ts), and what its own disk said of it. */
export interface KnownRun {
  readonly both: number;
  /** Empty: written by a release that had none. */
  readonly proof: string;
}

export interface DiskEntry {
  readonly index: number;
  readonly term: number;
  readonly bytes: Uint8Array;
}

export interface DiskFacts {
  /** To which first voters this member promised itself. */
  readonly promise?: Uint8Array | null;
  /** The cluster's id and its first voters. */
  readonly cluster?: Uint8Array | null;
  /** Own runs that peers may know of. */
  readonly runs?: Uint8Array | null;
}

/**
 * One transaction, in this order: truncateFrom (delete entries with index >= it), compactTo (delete entries with
 * index <= it), snapshot (replaces), entries (append), hard (replaces), facts (null deletes), boots (raise).
 */
export interface MemberPersist {
  readonly ticket: number;
  readonly truncateFrom: number | null;
  readonly compactTo: number | null;
  readonly snapshot: DiskEntry | null;
  readonly entries: readonly DiskEntry[];
  readonly hard: Uint8Array | null;
  readonly facts: DiskFacts;
  readonly boots: readonly (readonly [MemberId, KnownRun])[];
}

export type MemberInput =
  | { readonly kind: 'tick' }
  /** An opened datagram; `from` is where it came from. */
  | { readonly kind: 'datagram'; readonly from: Address; readonly bytes: Uint8Array }
  /** Over a kept connection; uid and boot are proved by its seal. */
  | { readonly kind: 'message'; readonly from: PeerName; readonly bytes: Uint8Array }
  /** A peer asks for one answer. It is in the next take's `replies`, or there is none: then refuse it. */
  | { readonly kind: 'request'; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly kind: 'answer'; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly kind: 'failed'; readonly stream: number }
  /** An authentic frame of another cluster came from there. */
  | { readonly kind: 'foreign'; readonly from: Address }
  | { readonly kind: 'persisted'; readonly ticket: number }
  /** The event loop stood still, or the machine slept, for so long: all leases are void. */
  | { readonly kind: 'stalled'; readonly ms: Millis }
  /** The event loop was late by so much: counts against the own health, voids nothing. */
  | { readonly kind: 'late'; readonly ms: Millis }
  /** Whether leadership may move to a member with a higher priority now. True until said. */
  | { readonly kind: 'mayMove'; readonly allowed: boolean }
  /**
   * Bytes of a room above for that member's room: at most 32 KiB, said once, may be lost. Only members of the agreed
   * configuration are told, and heard. `channel`: 0 to 255, which room.
   */
  | { readonly kind: 'tell'; readonly to: MemberId; readonly channel: number; readonly bytes: Uint8Array }
  | { readonly kind: 'metadata'; readonly metadata: Metadata }
  /** `id`: the driver's own, unique per run. Answered exactly once, by this id. */
  | { readonly kind: 'call'; readonly id: number; readonly call: Call }
  /** Nobody waits for this call any more; it may take effect all the same. It is not answered. */
  | { readonly kind: 'cancel'; readonly id: number };

export interface PeerName {
  readonly id: MemberId;
  readonly boot: number;
}

/**
 * How fresh a read must be. `current`: it sees every write acknowledged before it was asked for. `leased`: every strong
 * write; answered here under the member's read lease, else as current. `local`: what is here.
 */
export type ReadNeed = 'current' | 'leased' | 'local';

export type Call =
  /** `ticket`: of an earlier attempt at the very same write. */
  | {
      readonly kind: 'propose';
      readonly command: Command;
      readonly consistency: Consistency;
      readonly ticket?: Ticket;
    }
  /** When answered, `member.replica` may be read, until the next step. */
  | { readonly kind: 'read'; readonly need: ReadNeed }
  /** `member`: uid or name. `force`: even if the new quorum could not commit now. */
  | {
      readonly kind: 'change';
      readonly change: 'add' | 'promote' | 'remove';
      readonly member: string;
      readonly force?: boolean;
    }
  /** Hand leadership to this member (uid or name), or to the fittest. */
  | { readonly kind: 'transfer'; readonly to: string | null }
  /** `forGood`: out of the voters first. Then tells all, and the effect `departed` follows. */
  | { readonly kind: 'leave'; readonly forGood: boolean }
  | { readonly kind: 'write-lease'; readonly pool: string; readonly epoch: number };

export type CallValue =
  | { readonly kind: 'written'; readonly written: Written<CommandResult> }
  | { readonly kind: 'fresh'; readonly freshness: Freshness }
  | { readonly kind: 'done' }
  | { readonly kind: 'lease'; readonly lease: WriteLease };

export type CallError = CoordinatorError | { readonly kind: 'change-refused'; readonly why: Refusal | ChangeRefusal };

export type ChangeRefusal =
  | 'no-such-member'
  /** One of two voters writes without leases (2.8): it must leave by itself, or `force` says that it is lost. */
  | 'must-leave'
  /** The other voter still writes without leases: give it `expect` 3 first. */
  | 'writes-without-lease'
  /** A change that runs longer than a call waits. */
  | 'slow';

export interface CallAnswer {
  readonly id: number;
  readonly answer: Result<CallValue, CallError>;
}

/** What the state did, in order. `replaced`: by a snapshot; whoever followed events must look anew. */
export type AppliedNews =
  | { readonly kind: 'events'; readonly index: number; readonly events: readonly ReplicaEvent[] }
  | { readonly kind: 'replaced' };

/** A `tell` of another member. */
export interface Telling {
  readonly from: MemberId;
  readonly channel: number;
  readonly bytes: Uint8Array;
}

export type Effect =
  /** Frames carry this cluster's id from now on. */
  | { readonly kind: 'cluster'; readonly id: string }
  /** Takes no part any more: the process must end, and say this. `why` in one line, with the way out. */
  | { readonly kind: 'stop'; readonly reason: StopReason; readonly why: string }
  /** The leave was told: the process may end. */
  | { readonly kind: 'departed' }
  /**
   * An entry that moves this pool's open epoch came into the own log (2.8). No write of that epoch may begin any more:
   * do it before anything is sent, an acknowledgement of that entry may be among it. The epoch may come back.
   */
  | { readonly kind: 'moving'; readonly pool: string }
  /** No write may begin under leases that were given before this. Do it before anything is sent. */
  | { readonly kind: 'void-leases'; readonly why: 'stalled' | 'voters-changed' | 'removed' | 'stopped' };

export type StopReason =
  /** address + seeds are not `expect`, or changed after a promise. */
  | 'first-voters'
  /** This disk is older than what peers have seen of it, or two processes run on copies of one. */
  | 'amnesia'
  /** Left out for good by the others. */
  | 'removed'
  /** The state differs from that of the other voters, or an entry of a newer version came. */
  | 'diverged'
  | 'too-old'
  /** What the disk gave back can't be read. */
  | 'disk';

export type MemberEvent =
  | { readonly kind: 'swim'; readonly event: SwimEvent }
  | { readonly kind: 'raft'; readonly event: RaftEvent }
  /** One line for people: formation, identity, joiners, split brain. */
  | { readonly kind: 'note'; readonly text: string };

export interface MemberOutput {
  readonly persist: readonly MemberPersist[];
  readonly datagrams: readonly { readonly to: Address; readonly bytes: Uint8Array }[];
  /** `droppable`: said again by itself; drop it first. */
  readonly messages: readonly { readonly to: Address; readonly bytes: Uint8Array; readonly droppable: boolean }[];
  /** Streams to open; each ends in one `answer` or one `failed`. */
  readonly open: readonly {
    readonly stream: number;
    readonly to: Address;
    readonly bytes: Uint8Array;
    readonly timeoutMs: Millis;
  }[];
  readonly replies: readonly { readonly stream: number; readonly bytes: Uint8Array }[];
  readonly applied: readonly AppliedNews[];
  /** What other members' rooms say to those here; after `applied`. */
  readonly told: readonly Telling[];
  readonly answers: readonly CallAnswer[];
  readonly effects: readonly Effect[];
  readonly events: readonly MemberEvent[];
}

export type NodeState = 'JOINING' | 'ACTIVE' | 'LEADER' | 'DEGRADED' | 'LEAVING' | 'UNREACHABLE';
export type ClusterState = 'FORMING' | 'STABLE' | 'DEGRADED' | 'SPLIT_BRAIN';

export interface MemberLine {
  readonly id: MemberId;
  readonly name: string;
  readonly address: Address | '';
  readonly boot: number;
  readonly state: NodeState;
  /** Why this state; empty when there is nothing to say. */
  readonly reason: string;
  readonly seat: 'voter' | 'learner' | 'none';
  readonly metadata: Metadata | null;
  readonly reach: Reach;
  /** Living members that this one cannot reach by itself. */
  readonly blindTo: readonly MemberId[];
  /** Behind the leader; known on the leader, and on each member of itself. */
  readonly lag: { readonly entries: number; readonly seconds: number } | null;
  readonly self: boolean;
}

export interface MemberStatus {
  readonly uid: MemberId;
  readonly boot: number;
  /** null while there is none. */
  readonly cluster: string | null;
  readonly phase: 'forming' | 'joining' | 'running' | 'leaving' | 'departed' | 'stopped';
  readonly stop: { readonly reason: StopReason; readonly why: string } | null;
  readonly state: ClusterState;
  readonly reason: string;
  readonly leader: MemberId | null;
  readonly term: number;
  /** Whether writes could be committed now, as far as this member knows. */
  readonly quorum: boolean;
  /** Voters that can't be reached now, by name if known. */
  readonly missing: readonly string[];
  readonly members: readonly MemberLine[];
  /** The agreed time that this member would stamp now. */
  readonly agreedNow: Millis;
  /** Null until there is a cluster. */
  readonly raft: RaftStatus | null;
  /** Peers' words that were not accepted, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  /** Calls under way. */
  readonly calls: number;
}
