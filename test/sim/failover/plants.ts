/**
 * Planted bugs of failover: each breaks one rule, each is a way to two primaries or to a lost write. The simulation must
 * find every one within its seeds.
 */
import type { FailoverRules } from '../../../src/cluster/failover/contract.ts';
import type { MemberRules } from '../../../src/cluster/member/rules.ts';

/** What the data side and the driver may do wrong. */
export interface DataHabits {
  /** The target comes from the snapshot that was handed over, not from the record. */
  readonly picksFromSnapshot: boolean;
  /** Answers are looked at once more before they are passed on. */
  readonly cutsAnswers: boolean;
  /** The record is written before anything is told. */
  readonly boardFirst: boolean;
  readonly seesSleep: boolean;
}

export const goodDataHabits: DataHabits = {
  picksFromSnapshot: false,
  cutsAnswers: true,
  boardFirst: true,
  seesSleep: true,
};

export interface PlantedFailover {
  readonly name: string;
  readonly rules?: Partial<FailoverRules>;
  readonly memberRules?: Partial<MemberRules>;
  readonly habits?: Partial<DataHabits>;
}

export const plantedInMachine: readonly PlantedFailover[] = [
  { name: 'the fence is taken for complete without confirmations or leases', rules: { isFenced: () => true } },
  { name: 'a fence is confirmed before the data threads', rules: { mayConfirm: () => true } },
  { name: 'a hook starts before its start is committed', rules: { waitsForCommit: () => false } },
  { name: 'a lease asked for before it was voided', rules: { mayUse: () => true } },
  { name: 'another node by the same name', rules: { isSameTarget: () => true } },
  { name: 'the choice of before the fence', rules: { choosesAnew: () => false } },
  { name: 'a hook is forgotten before its time is over', rules: { hookOverAt: (until) => until - 100_000 } },
  { name: 'another is promoted beside one that may have been', rules: { mayPromote: () => true } },
];

export const plantedAround: readonly PlantedFailover[] = [
  { name: 'no drift in the wait for leases', memberRules: { withDrift: (span) => span } },
  { name: 'a lease counted from when it was granted', memberRules: { leaseFrom: (_sentAt, grantedAt) => grantedAt } },
  { name: 'the target of the old snapshot', habits: { picksFromSnapshot: true } },
  { name: 'answers are not looked at again', habits: { cutsAnswers: false } },
  { name: 'a suspend is not seen', habits: { seesSleep: false } },
];
