/**
 * What each role holds, and nothing of another's: when a role ends, all that belonged to it is gone. Only roles.ts,
 * election.ts and leading.ts change the role.
 */
import type { Millis } from '../../base/ids.ts';
import type { Index, MemberId, Term, Ticket } from './model.ts';
import type { Progress } from './progress.ts';
import type { Rounds } from './rounds.ts';

export interface FollowerRole {
  readonly at: 'follower';
  leader: MemberId | null;
  /** Our log equals the leader's up to here. */
  verified: Index;
  /** What the leader was told last. */
  acked: Index;
  appliedTold: Index;
  /** The leader waits for an answer even if nothing is new. */
  ackDue: boolean;
}

export interface CandidateRole {
  readonly at: 'candidate';
  readonly phase: 'pre' | 'real';
  readonly transfer: boolean;
  /** The term that is asked for. */
  readonly next: Term;
  readonly votes: Map<MemberId, boolean>;
  /** On our clock: when each that granted last acknowledged a leader. */
  readonly acknowledgedAt: Millis[];
  /** Our own vote counts, and requests leave, once this is on disk. */
  readonly ticket: Ticket;
  /** Infinity until our own vote counts: a disk that hangs is no reason to stand again. */
  endsAt: Millis;
  resendAt: Millis;
}

export interface Transfer {
  readonly to: MemberId;
  readonly why: 'asked' | 'priority' | 'witness' | 'slow-disk';
  readonly deadline: Millis;
  told: boolean;
}

export interface Proposal {
  readonly id: number;
  readonly index: Index;
  readonly size: number;
  readonly strong: boolean;
}

export interface PendingRead {
  readonly id: number;
  /** null: our own driver asked. */
  readonly from: MemberId | null;
  /** Committed as the read came. */
  readonly index: Index;
  readonly round: number;
}

export interface PendingChange {
  readonly id: number;
  readonly index: Index;
  /** A replacement's second step: whom to promote then. */
  readonly promote: MemberId | null;
}

export interface LeaderRole {
  readonly at: 'leader';
  readonly since: Millis;
  /** The first entry of our own term. */
  readonly noop: Index;
  readonly lastPossibleGrant: Millis;
  readonly peers: Map<MemberId, Progress>;
  readonly rounds: Rounds;
  heartbeatAt: Millis;
  /** Commit index at the last heartbeat, and at the one before. */
  commitAtBeat: Index;
  commitBefore: Index;
  transfer: Transfer | null;
  proposals: Proposal[];
  uncommitted: number;
  /** Reads that came before the first commit of our term. */
  earlyReads: Omit<PendingRead, 'round' | 'index'>[];
  reads: PendingRead[];
  change: PendingChange | null;
}

export type RoleState = FollowerRole | CandidateRole | LeaderRole;

export const follower = (leader: MemberId | null): FollowerRole => ({
  at: 'follower',
  leader,
  verified: 0,
  acked: 0,
  appliedTold: 0,
  ackDue: false,
});
