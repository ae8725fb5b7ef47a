/**
 * Planted bugs of failover: each breaks one rule, each is a way to two primaries or to a lost write. The simulation must
 * find every one within its seeds.
 */
import type { FailoverRules } from '../../../src/cluster/failover/contract.ts';
import type { MemberRules } from '../../../src/cluster/member/rules.ts';
import { type Line, parseScript } from '../script.ts';
import type { Kind } from './policies.ts';

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

/** The worlds in which a bug can show, if not in all: what must come together would take long to come by chance. */
type Worlds = Partial<Kind> & { readonly script?: readonly Line[] };

export interface PlantedFailover {
  readonly name: string;
  readonly rules?: Partial<FailoverRules>;
  readonly memberRules?: Partial<MemberRules>;
  readonly habits?: Partial<DataHabits>;
  readonly worlds?: Worlds;
}

const plain: Partial<Kind> = {
  members: 3,
  nodes: 3,
  onlyNodes: false,
  mode: 'automatic',
  withoutQuorum: 'stop',
  verify: false,
};

const often = (count: number, everyMs: number, lines: (at: number) => string): readonly Line[] =>
  parseScript(Array.from({ length: count }, (_, i) => lines(4000 + i * everyMs)).join('\n'));

/** Somebody with a slow clock, or whom words reach late, is cut off as the primary dies; the leader's clock is fast. */
const cutOff = (late: number): Worlds => ({
  ...plain,
  style: 'shared',
  script: often(
    4,
    7000,
    (at) => `at ${at}ms drift leader 0.48%
at ${at}ms drift f1 -0.48%
at ${at}ms lag f1 ${late}ms in for 1400ms
at ${at + 900}ms kill primary for 4s
at ${at + 1100}ms isolate f1 for 5s`,
  ),
});

/** A machine sleeps while the primary dies and another is opened. */
const asleep: Worlds = {
  ...plain,
  style: 'shared',
  script: often(3, 8000, (at) => `at ${at}ms kill primary for 6s\nat ${at + 20}ms suspend follower for 4500ms`),
};

/** Whoever is just being promoted falls silent, and another is tried while its hook may still take effect. */
const silentCandidate: Worlds = {
  ...plain,
  style: 'silent',
  script: often(
    4,
    7000,
    (at) => `at ${at}ms kill primary for 6s
at ${at + 900}ms unplug all b for 3s
at ${at + 900}ms unplug all a for 3s`,
  ),
};

export const plantedInMachine: readonly PlantedFailover[] = [
  { name: 'the fence is taken for complete without confirmations or leases', rules: { isFenced: () => true } },
  { name: 'a fence is confirmed before the data threads', rules: { mayConfirm: () => true } },
  { name: 'a hook starts before its start is committed', rules: { waitsForCommit: () => false } },
  { name: 'another node by the same name', rules: { isSameTarget: () => true } },
  { name: 'the choice of before the fence', rules: { choosesAnew: () => false } },
  {
    name: 'a hook is forgotten before its time is over',
    rules: { hookOverAt: (until) => until - 2900 },
    worlds: silentCandidate,
  },
  {
    name: 'another is promoted beside one that may have been',
    rules: { mayPromote: () => true },
    worlds: silentCandidate,
  },
];

export const plantedAround: readonly PlantedFailover[] = [
  { name: 'no drift in the wait for leases', memberRules: { withDrift: (span) => span }, worlds: cutOff(0) },
  {
    name: 'a lease counted from when it was granted',
    memberRules: { leaseFrom: (_sentAt, grantedAt) => grantedAt },
    worlds: cutOff(700),
  },
  { name: 'the target of the old snapshot', habits: { picksFromSnapshot: true } },
  { name: 'answers are not looked at again', habits: { cutsAnswers: false } },
  { name: 'a suspend is not seen', habits: { seesSleep: false }, worlds: asleep },
  { name: 'the record is written after the words that follow from it', habits: { boardFirst: false } },
];
