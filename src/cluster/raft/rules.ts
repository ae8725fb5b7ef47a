/**
 * The rules whose breach loses data, each a pure function by itself.
 *
 * They stand here, and not in the middle of what uses them, so that each can be read and tested alone, and so that a
 * simulation can plant the breach of one and show that it would be found. Nothing but such a test may hand in others.
 * Sources: Ongaro and Ousterhout 2014 (sections in brackets), Ongaro's dissertation 2014, and what restarts, late disks
 * and leases add to them.
 */
import type { Millis } from '../../base/ids.ts';
import type { MemberId, Term } from './model.ts';

export interface Rules {
  /** Any two quorums of one configuration, or of two that differ by one voter, share a voter. [5.2, 6] */
  quorum(voters: number): number;
  /** One vote per term, and for the same candidate again if its request comes twice. [5.2] */
  mayVote(vote: MemberId | null, candidate: MemberId): boolean;
  /** A candidate's log is at least as new: higher last term, or the same and at least as long. [5.4.1] */
  isAsNew(theirs: LogPoint, ours: LogPoint): boolean;
  /** Only entries of the leader's own term are committed by counting; older ones come with them. [5.4.2] */
  countsForCommit(entry: Term, own: Term): boolean;
  /** A follower knows as committed only what it also knows to be equal to the leader's log. [5.3] */
  followerCommit(leaderCommit: number, matched: number): number;
  /** Existing entries are deleted only from the first that differs: a late append deletes nothing that is newer. [5.3] */
  deletesFrom(conflict: number | null, first: number): number | null;
  /** A vote or an acknowledgement leaves, and the own one counts, only once the disk has it. [5.1] */
  waitsForDisk(): boolean;
  /** How far the own log is known to be on disk: what was rewritten since is not. */
  durableAfterTruncation(durable: number, from: number): number;
  /** A voter that heard a leader within the smallest election time-out helps no other to power. [6] */
  leaderMayLive(now: Millis, heardAt: Millis, electionMin: Millis): boolean;
  /** A restarted voter may have acknowledged a leader just before it fell: it takes its start for that. */
  heardAtStart(startedAt: Millis, newborn: boolean): Millis;
  /** A leader that no quorum answered within the smallest election time-out is none any more: it leads until then. */
  leadsUntil(quorumHeardAt: Millis, electionMin: Millis): Millis;
  /** A lease counts from when its round was sent: the followers' time-outs may have begun as early as that. */
  leaseFrom(sentAt: Millis, confirmedAt: Millis): Millis;
  /** A read is confirmed by a round that was begun after the read came. */
  confirmsRead(readRound: number, confirmedRound: number): boolean;
  /** A new leader knows what is committed only when an entry of its own term is. [8] */
  mayAnswerReads(ownTermCommitted: boolean): boolean;
  /** The same for changes of the configuration, for else two leaders' changes may have quorums that do not meet. */
  mayChangeConfig(ownTermCommitted: boolean, changeRunning: boolean): boolean;
  /** A leader that told another to stand has no lease any more in this term. */
  keepsLease(handingOver: boolean): boolean;
  /** When the last grant of any earlier leader can have been asked for: the latest acknowledgement of any voter. */
  lastGrant(now: Millis, acknowledgedAt: readonly Millis[]): Millis;
  /** A member that may answer reads from its own state must have applied a strong write before it is answered. */
  strongWaitsFor(applied: number, index: number, mayReadUntil: Millis, now: Millis): boolean;
}

export interface LogPoint {
  readonly lastIndex: number;
  readonly lastTerm: Term;
}

export const safeRules: Rules = {
  quorum: (voters) => Math.floor(voters / 2) + 1,
  mayVote: (vote, candidate) => vote === null || vote === candidate,
  isAsNew: (theirs, ours) =>
    theirs.lastTerm > ours.lastTerm || (theirs.lastTerm === ours.lastTerm && theirs.lastIndex >= ours.lastIndex),
  countsForCommit: (entry, own) => entry === own,
  followerCommit: (leaderCommit, matched) => Math.min(leaderCommit, matched),
  deletesFrom: (conflict) => conflict,
  waitsForDisk: () => true,
  durableAfterTruncation: (durable, from) => Math.min(durable, from - 1),
  leaderMayLive: (now, heardAt, electionMin) => now < heardAt + electionMin,
  heardAtStart: (startedAt, newborn) => (newborn ? Number.NEGATIVE_INFINITY : startedAt),
  leadsUntil: (quorumHeardAt, electionMin) => quorumHeardAt + electionMin,
  leaseFrom: (sentAt) => sentAt,
  confirmsRead: (readRound, confirmedRound) => readRound <= confirmedRound,
  mayAnswerReads: (ownTermCommitted) => ownTermCommitted,
  mayChangeConfig: (ownTermCommitted, changeRunning) => ownTermCommitted && !changeRunning,
  keepsLease: (handingOver) => !handingOver,
  lastGrant: (now, acknowledgedAt) => Math.min(now, Math.max(...acknowledgedAt)),
  strongWaitsFor: (applied, index, mayReadUntil, now) => applied < index && now < mayReadUntil,
};
