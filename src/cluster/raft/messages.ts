/**
 * What members say to each other. Plain data: a codec turns it into bytes, a simulation passes it as it is.
 *
 * Every message names its sender (uid and boot), whom it is for, and the sender's term. Messages may be lost, doubled,
 * delayed and reordered at will; none is trusted to be well formed beyond its types.
 *
 *   candidate -> preVote, vote            <- preVoteReply, voteReply
 *   leader    -> append                   <- appendReply
 *             -> heartbeat                <- heartbeatReply
 *             -> snapshot (in pieces)     <- snapshotReply
 *             -> stand (a transfer)
 *   member    -> readIndex (to leader)    <- readIndexReply
 */
import type { Millis } from '../../base/ids.ts';
import type { Entry, Index, MemberId, SnapshotMeta, Term } from './model.ts';

export interface Envelope {
  readonly from: MemberId;
  /** The sender's boot number: grows with each start of the process. */
  readonly boot: number;
  readonly to: MemberId;
  /** The sender's own term, also in a preVote, which asks for the next one. */
  readonly term: Term;
}

/** What a member says of itself with each answer, for the choice of leaders. */
export interface About {
  /** 0: never leads. */
  readonly priority: number;
  readonly witness: boolean;
}

export interface LogEnd {
  readonly lastIndex: Index;
  readonly lastTerm: Term;
}

/** Would you vote for me in `next`? Changes nothing at the voter. */
export interface PreVote extends Envelope, LogEnd {
  readonly kind: 'preVote';
  readonly next: Term;
}

export interface PreVoteReply extends Envelope {
  readonly kind: 'preVoteReply';
  readonly next: Term;
  readonly granted: boolean;
}

export interface Vote extends Envelope, LogEnd {
  readonly kind: 'vote';
  /** The leader itself asked for this election and gave up its lease: a live leader is no reason to refuse. */
  readonly transfer: boolean;
}

export interface VoteReply extends Envelope {
  readonly kind: 'voteReply';
  readonly granted: boolean;
  /** Time since the voter last acknowledged a leader (as leader: began a round; after a restart: since its start). */
  readonly age: Millis;
}

export interface Append extends Envelope {
  readonly kind: 'append';
  readonly prevIndex: Index;
  readonly prevTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: Index;
}

export interface AppendReply extends Envelope {
  readonly kind: 'appendReply';
  /** `match`: durable and equal to the leader's log up to here. Refused: where to try next. */
  readonly result:
    | { readonly ok: true; readonly match: Index }
    | { readonly ok: false; readonly rejected: Index; readonly hintIndex: Index; readonly hintTerm: Term };
  readonly applied: Index;
  readonly about: About;
}

/** A read lease for the follower, counted from `askedAt` on its own clock; good once it has applied `index`. */
export interface ReadGrant {
  readonly askedAt: Millis;
  readonly boot: number;
  readonly index: Index;
}

export interface Heartbeat extends Envelope {
  readonly kind: 'heartbeat';
  /** Numbers the leader's rounds within its term. */
  readonly round: number;
  /** Never above what the follower is known to have. */
  readonly commit: Index;
  readonly grant: ReadGrant | null;
}

export interface HeartbeatReply extends Envelope {
  readonly kind: 'heartbeatReply';
  readonly round: number;
  readonly applied: Index;
  /** The follower's own clock as it sent this: its request for a read lease. */
  readonly askedAt: Millis;
  readonly about: About;
}

/** Bytes [offset, offset + piece.byteLength) of a snapshot of `size` bytes. */
export interface SnapshotPiece extends Envelope {
  readonly kind: 'snapshot';
  readonly meta: SnapshotMeta;
  readonly size: number;
  readonly offset: number;
  readonly piece: Uint8Array;
}

export interface SnapshotReply extends Envelope {
  readonly kind: 'snapshotReply';
  readonly index: Index;
  /** The next byte that is wanted; what is beyond was dropped. A whole and durable snapshot is said by an appendReply. */
  readonly wanted: number;
}

/** The leader of `term` tells a voter to stand at once, if its log ends exactly here. */
export interface Stand extends Envelope, LogEnd {
  readonly kind: 'stand';
}

export interface ReadIndex extends Envelope {
  readonly kind: 'readIndex';
  /** Opaque to the leader. */
  readonly id: number;
}

export interface ReadIndexReply extends Envelope {
  readonly kind: 'readIndexReply';
  readonly id: number;
  /** null: the leader could not confirm it. */
  readonly index: Index | null;
}

export type RaftMessage =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | SnapshotPiece
  | SnapshotReply
  | Stand
  | ReadIndex
  | ReadIndexReply;

export type MessageKind = RaftMessage['kind'];
/** A message as the rooms of this core write it: from, boot and term are put on when it leaves. */
export type Draft = RaftMessage extends infer M
  ? M extends RaftMessage
    ? Omit<M, 'from' | 'boot' | 'term'>
    : never
  : never;
