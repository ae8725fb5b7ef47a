/**
 * Planted bugs: each breaks one rule, each is a way in which real systems have lost data. The simulation must find every
 * one. Rules of the agreement and of the member are breached through their own hooks; what belongs to the driver, to the
 * disk and to the rooms that use leases is breached in the world.
 */
import type { MemberRules } from '../../src/cluster/member/rules.ts';
import type { Rules } from '../../src/cluster/raft/rules.ts';
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
  readonly raftRules?: Partial<Rules>;
  readonly rules?: Partial<MemberRules>;
  readonly habits?: Partial<Habits>;
  /** The worlds in which it can show, if not in all. */
  readonly worlds?: Partial<WorldOptions>;
}

export const plantedInAgreement: readonly Planted[] = [
  { name: 'a quorum of half the voters', raftRules: { quorum: (voters) => Math.max(1, Math.floor(voters / 2)) } },
  { name: 'two votes in one term', raftRules: { mayVote: () => true } },
  { name: 'a vote for a candidate with an older log', raftRules: { isAsNew: () => true } },
  { name: 'votes and acknowledgements before the disk has them', raftRules: { waitsForDisk: () => false } },
  {
    name: 'a late disk acknowledges what was rewritten since',
    raftRules: { durableAfterTruncation: (durable) => durable },
  },
  { name: 'reads before an entry of the own term is committed', raftRules: { mayAnswerReads: () => true } },
];

export const plantedInDriver: readonly Planted[] = [
  { name: 'the driver reports a write before it is synced', habits: { reportsBeforeSync: true } },
  { name: 'the boot number is not raised', habits: { raisesBoot: false } },
  { name: 'the disk forgets what it synced', habits: { keepsWhatItSynced: false } },
];

export const plantedInMember: readonly Planted[] = [
  { name: 'no drift in the wait for leases', rules: { withDrift: (span) => span } },
  { name: 'a write lease counted from when it was granted', rules: { leaseFrom: (_sentAt, grantedAt) => grantedAt } },
  { name: 'a voter among many gives itself leave to write', rules: { needsNoLease: () => true } },
  {
    name: 'what was not answered is asked again under a new number',
    rules: { numberOfRetry: (_number, next) => next() },
  },
  { name: 'a stale boot is accepted', rules: { bootVerdict: () => 'newer' }, worlds: { copies: true } },
];
