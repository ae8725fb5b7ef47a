/**
 * Planted bugs: each breaks one rule, each is a way in which real systems have lost data. The simulation must find every
 * one. Rules of the agreement and of the member are breached through their own hooks; what belongs to the driver, to the
 * disk and to the rooms that use leases is breached in the world.
 */
import type { MemberRules } from '../../src/cluster/member/rules.ts';
import type { Rules } from '../../src/cluster/raft/rules.ts';
import type { AimName } from './aims.ts';
import type { WorldOptions } from './world.ts';

/** What the world itself may do wrong. */
export interface Habits {
  /** The driver reports a write as synced before it is. */
  readonly reportsBeforeSync: boolean;
  /** The driver does not raise the boot number at a start. */
  readonly raisesBoot: boolean;
  /** The disk says that it has synced, and a crash loses the last writes all the same. */
  readonly keepsWhatItSynced: boolean;
  /** The driver sees that its machine slept, and says so. */
  readonly seesSleep: boolean;
  /** Voided leases are dropped. */
  readonly heedsVoid: boolean;
  /** The record is taken back when the epoch moves in the own log, not when that is applied. */
  readonly looksAtAccepted: boolean;
}

export const goodHabits: Habits = {
  reportsBeforeSync: false,
  raisesBoot: true,
  keepsWhatItSynced: true,
  seesSleep: true,
  heedsVoid: true,
  looksAtAccepted: true,
};

export interface Planted {
  readonly name: string;
  /** The rules of the checkers that show it: any of them. */
  readonly breaks: readonly string[];
  readonly raftRules?: Partial<Rules>;
  readonly rules?: Partial<MemberRules>;
  readonly habits?: Partial<Habits>;
  /** The schedules in which it is looked for; else those of any seed. */
  readonly aim?: AimName;
  /** The worlds in which it can show, if not in all. */
  readonly worlds?: Partial<WorldOptions>;
}

export const plantedInAgreement: readonly Planted[] = [
  {
    name: 'a quorum of half the voters',
    breaks: ['a quorum has it'],
    raftRules: { quorum: (voters) => Math.max(1, Math.floor(voters / 2)) },
  },
  {
    name: 'two votes in one term',
    breaks: ['one vote per term', 'disk before word'],
    raftRules: { mayVote: () => true },
  },
  {
    name: 'a vote for a candidate with an older log',
    breaks: ['leader completeness'],
    raftRules: { isAsNew: () => true },
  },
  {
    name: 'an entry of an older term is committed by counting',
    breaks: ['leader completeness'],
    aim: 'figure 8',
    raftRules: { countsForCommit: () => true },
  },
  {
    name: 'a late append deletes newer entries',
    breaks: ['never back', 'a quorum has it'],
    aim: 'late acknowledgements',
    raftRules: { deletesFrom: (_conflict, first) => first },
  },
  {
    name: 'what differs from the leader is not deleted',
    breaks: ['log matching', 'state machine safety'],
    raftRules: { deletesFrom: () => null },
  },
  {
    name: 'votes and acknowledgements before the disk has them',
    breaks: ['disk before word', 'a quorum has it'],
    raftRules: { waitsForDisk: () => false },
  },
  {
    name: 'a late disk acknowledges what was rewritten since',
    breaks: ['disk before word', 'a quorum has it'],
    raftRules: { durableAfterTruncation: (durable) => durable },
  },
  {
    name: 'a change of members before the last one is committed',
    breaks: ['leader completeness', 'state machine safety', 'a minority refuses'],
    aim: 'two removals',
    raftRules: { mayChangeConfig: () => true },
  },
];

export const plantedInFormation: readonly Planted[] = [
  {
    name: 'a majority of the first voters is enough to form a cluster',
    breaks: ['one cluster'],
    aim: 'formed in halves',
    rules: { isFormed: (promises, expect) => promises > expect / 2 },
  },
];

export const plantedInLeases: readonly Planted[] = [
  {
    name: 'a leader that no quorum answers goes on',
    breaks: ['a minority refuses'],
    raftRules: { leadsUntil: () => Number.POSITIVE_INFINITY },
  },
  {
    name: 'reads before an entry of the own term is committed',
    breaks: ['current reads'],
    raftRules: { mayAnswerReads: () => true },
  },
  {
    name: 'a read confirmed by a round begun before it',
    breaks: ['current reads'],
    aim: 'late answers',
    raftRules: { confirmsRead: () => true },
  },
  {
    name: "a leader's lease counted from when its round was answered",
    breaks: ['current reads', 'strong writes', 'a minority refuses'],
    aim: 'late answers',
    raftRules: { leaseFrom: (_sentAt, confirmedAt) => confirmedAt },
  },
  {
    name: 'a lease kept while leadership is handed over',
    breaks: ['current reads'],
    aim: 'hand-over unheard',
    raftRules: { keepsLease: () => true },
  },
  {
    name: 'votes while a leader may live',
    breaks: ['current reads'],
    aim: 'leader far away',
    raftRules: { leaderMayLive: () => false },
  },
  {
    name: 'a restarted voter forgets that it heard a leader',
    breaks: ['current reads'],
    aim: 'voter restarted',
    raftRules: { heardAtStart: () => Number.NEGATIVE_INFINITY },
  },
  {
    name: 'a strong write answered by commit alone',
    breaks: ['strong writes'],
    raftRules: { strongWaitsFor: () => false },
  },
  {
    name: 'no ages in votes: nothing is known of earlier grants',
    breaks: ['write lease', 'strong writes'],
    aim: 'leaseholder cut off',
    raftRules: { lastGrant: (now) => now - 5000 },
  },
];

export const plantedInDriver: readonly Planted[] = [
  {
    name: 'the driver reports a write before it is synced',
    breaks: ['disk before word', 'a quorum has it'],
    habits: { reportsBeforeSync: true },
  },
  { name: 'the boot number is not raised', breaks: ['never back'], habits: { raisesBoot: false } },
  {
    name: 'the disk forgets what it synced',
    breaks: ['leader completeness', 'never back'],
    habits: { keepsWhatItSynced: false },
  },
  {
    name: 'the driver does not see that its machine slept',
    breaks: ['strong writes', 'write lease'],
    aim: 'leaseholder asleep',
    habits: { seesSleep: false },
  },
  {
    name: 'a lease is kept that was declared void',
    breaks: ['write lease'],
    aim: 'leaseholder asleep',
    habits: { heedsVoid: false },
  },
];

export const plantedInMember: readonly Planted[] = [
  {
    name: 'no drift in the wait for leases',
    breaks: ['write lease'],
    aim: 'clocks apart',
    rules: { withDrift: (span) => span },
  },
  {
    name: 'a write lease counted from when it was granted',
    breaks: ['write lease'],
    aim: 'leave comes late',
    rules: { leaseFrom: (_sentAt, grantedAt) => grantedAt },
  },
  {
    name: 'leave to write for an epoch that is not open any more',
    breaks: ['write lease'],
    aim: 'slowly caught up',
    rules: { mayGrant: ({ inConfig }) => inConfig },
  },
  {
    name: 'leave to write until the move of the epoch is committed',
    breaks: ['write lease'],
    aim: 'pending unheard',
    rules: { endsByAcceptance: () => false },
  },
  {
    name: 'one of two voters writes on when it has accepted the move',
    breaks: ['write lease'],
    rules: { endsByAcceptance: () => false },
    worlds: { members: 2, spares: 0, copies: false },
  },
  {
    name: 'a voter among many gives itself leave to write',
    breaks: ['write lease'],
    rules: { needsNoLease: () => true },
  },
  {
    name: 'what was not answered is asked again under a new number',
    breaks: ['linearizable keys'],
    rules: { numberOfRetry: (_number, next) => next() },
  },
  {
    name: 'a run counts though its disk does not know of the one before',
    breaks: ['amnesia', 'linearizable keys', 'leader completeness', 'state machine safety'],
    rules: { followsOn: () => true, isLostRun: () => false, hasForgotten: () => false },
    worlds: { copies: true },
  },
  {
    name: 'a stale boot is accepted',
    breaks: ['amnesia', 'linearizable keys'],
    rules: {
      bootVerdict: () => 'newer',
      followsOn: () => true,
      isLostRun: () => false,
      hasForgotten: () => false,
    },
    worlds: { copies: true },
  },
];
