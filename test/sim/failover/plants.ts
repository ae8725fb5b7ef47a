/**
 * Planted bugs of failover: each breaks one rule of AGREEMENT.md, named in `rule`, each is a way to two primaries, to a lost
 * write, or to a pool that hangs. The simulation must find every one, by a rule of its checkers that it should break; the
 * same world without it must be sound.
 */
import type { FailoverRules } from '../../../src/cluster/failover/contract.ts';
import type { MemberRules } from '../../../src/cluster/member/rules.ts';
import type { AimName } from './aims.ts';
import type { FailoverWorldOptions } from './world.ts';

/** What the data side and the driver may do wrong. */
export interface DataHabits {
  /** The target comes from the snapshot that was handed over, not from the record. */
  readonly picksFromSnapshot: boolean;
  /** A write is counted before the record is looked at. */
  readonly addsFirst: boolean;
  /** The record is looked at directly before the first byte. */
  readonly looksAgain: boolean;
  /** By the clock, not by what a wheel kept of it. */
  readonly freshClock: boolean;
  /** Answers are looked at once more before they are passed on. */
  readonly cutsAnswers: boolean;
  /** Writes are cut at the end of their lease, not only by a newer epoch. */
  readonly cutsByTime: boolean;
  /** A tunnel is a write for its whole life. */
  readonly countsTunnels: boolean;
  /** What broke or was cut is sent once more. */
  readonly repeatsBroken: boolean;
  /** Whoever comes waits behind those that wait. */
  readonly keepsOrder: boolean;
  /** Nobody waits for ever. */
  readonly boundsWaits: boolean;
  /** A token means its own epoch. */
  readonly heedsTokenEpoch: boolean;
  /** The record is written before anything is told. */
  readonly boardFirst: boolean;
  readonly seesSleep: boolean;
  /** Leases that were declared void are dropped. */
  readonly heedsVoid: boolean;
  /** A node is checked at once when somebody found it bad. */
  readonly probesWhenAsked: boolean;
  /** A hook is ended at its deadline. */
  readonly endsHooks: boolean;
}

export const goodDataHabits: DataHabits = {
  picksFromSnapshot: false,
  addsFirst: true,
  looksAgain: true,
  freshClock: true,
  cutsAnswers: true,
  cutsByTime: true,
  countsTunnels: true,
  repeatsBroken: false,
  keepsOrder: true,
  boundsWaits: true,
  heedsTokenEpoch: true,
  boardFirst: true,
  seesSleep: true,
  heedsVoid: true,
  probesWhenAsked: true,
  endsHooks: true,
};

export interface PlantedFailover {
  readonly name: string;
  /** Of AGREEMENT.md. */
  readonly rule: string;
  /** The rules of the checkers that show it: any of them. */
  readonly breaks: readonly string[];
  readonly rules?: Partial<FailoverRules>;
  readonly memberRules?: Partial<MemberRules>;
  readonly habits?: Partial<DataHabits>;
  /** The schedules in which it is looked for; else those of any seed. */
  readonly aim?: AimName;
  /** The worlds in which it can show, if not in all. */
  readonly worlds?: Partial<FailoverWorldOptions>;
}

export const plantedInFence: readonly PlantedFailover[] = [
  {
    name: 'the fence is taken for complete without confirmations or leases',
    rule: '2.5',
    breaks: ['A'],
    rules: { isFenced: () => true },
  },
  {
    name: 'a fence is confirmed before the data threads hold nothing',
    rule: '2.5',
    breaks: ['A'],
    rules: { mayConfirm: () => true },
  },
  {
    name: 'a word of an earlier fence counts for this one',
    rule: '2.5',
    breaks: ['A'],
    aim: 'fences in a row',
    rules: { confirms: ({ done }) => done },
  },
  {
    name: 'who was left out of the cluster is forgotten at once',
    rule: '2.6',
    breaks: ['A'],
    aim: 'left out',
    rules: { strangersUntil: (since) => since },
  },
  {
    name: 'no drift in the wait for leases',
    rule: '2.5',
    breaks: ['A'],
    aim: 'cut off',
    memberRules: { withDrift: (span) => span },
  },
  {
    name: 'a lease counted from when it was granted',
    rule: '2.3',
    breaks: ['A'],
    aim: 'leave comes late',
    memberRules: { leaseFrom: (_sentAt, grantedAt) => grantedAt },
  },
  {
    name: 'a lease is kept that was declared void',
    rule: '1',
    breaks: ['A'],
    aim: 'asleep',
    habits: { heedsVoid: false },
  },
  {
    name: 'leave goes on until the move of the epoch is committed, where voters need no lease',
    rule: '2.8',
    breaks: ['A'],
    aim: 'one of two does not hear',
    rules: { heedsMoving: () => false },
    memberRules: { endsByAcceptance: () => false },
  },
  {
    name: 'time replaces the word of members that write on without a lease',
    rule: '2.9',
    breaks: ['A'],
    aim: 'writes on without a quorum',
    rules: { isFenced: ({ allConfirmed, now, overAt }) => allConfirmed || overAt === null || now >= overAt },
  },
];

export const plantedInData: readonly PlantedFailover[] = [
  {
    name: 'the target of the old snapshot',
    rule: '2.1',
    breaks: ['one primary'],
    habits: { picksFromSnapshot: true },
  },
  {
    name: 'the record is looked at before the write is counted',
    rule: '2.1',
    breaks: ['A'],
    aim: 'switches',
    habits: { addsFirst: false },
  },
  {
    name: 'the record is not looked at again directly before the first byte',
    rule: '2.2',
    breaks: ['A'],
    aim: 'switches',
    habits: { looksAgain: false },
  },
  {
    name: "a wheel's cached time instead of the clock",
    rule: '2.1',
    breaks: ['A'],
    aim: 'stands still',
    habits: { freshClock: false },
  },
  {
    name: 'answers are not looked at again before they are passed on',
    rule: '2.3',
    breaks: ['A'],
    habits: { cutsAnswers: false },
  },
  {
    name: 'writes are cut by a newer epoch only, not at the end of their lease',
    rule: '2.3',
    breaks: ['A'],
    aim: 'switched unheard',
    worlds: { tunnels: 0.2 },
    habits: { cutsByTime: false },
  },
  {
    name: 'what was cut or broke is sent again',
    rule: '2.3',
    breaks: ['no write twice'],
    habits: { repeatsBroken: true },
  },
  {
    name: 'a tunnel is no write',
    rule: '2.4',
    breaks: ['A'],
    aim: 'switches',
    worlds: { tunnels: 0.2 },
    habits: { countsTunnels: false },
  },
  {
    name: 'the record is written after the words that follow from it',
    rule: '2.1',
    breaks: ['A'],
    aim: 'switches',
    habits: { boardFirst: false },
  },
  { name: 'a suspend is not seen', rule: '1', breaks: ['A'], aim: 'asleep', habits: { seesSleep: false } },
  {
    name: 'whoever comes overtakes those that wait',
    rule: '5.5',
    breaks: ['parked writes go in order'],
    habits: { keepsOrder: false },
  },
  {
    name: 'writes wait without a bound',
    rule: '5.5',
    breaks: ['each write ends'],
    aim: 'no candidate',
    habits: { boundsWaits: false },
  },
  {
    name: 'a position of another epoch is taken for one of this',
    rule: '6.2',
    breaks: ['a client reads what it wrote'],
    aim: 'lost within maxLag',
    habits: { heedsTokenEpoch: false },
  },
];

export const plantedInHooks: readonly PlantedFailover[] = [
  {
    name: 'another node by the same name',
    rule: '3.1',
    breaks: ['one primary'],
    aim: 'a wrong file',
    rules: { isSameTarget: () => true },
  },
  {
    name: 'a hook starts before its start is committed',
    rule: '3.2',
    breaks: ['hooks are agreed'],
    rules: { waitsForCommit: () => false },
  },
  {
    name: 'a hook is forgotten before its time is over',
    rule: '3.2',
    breaks: ['one promoted', 'acknowledged writes stay'],
    aim: 'silent candidate',
    rules: { hookOverAt: (until) => until - 2900 },
  },
  {
    name: 'another is promoted beside one that may have been',
    rule: '3.2',
    breaks: ['one promoted', 'acknowledged writes stay'],
    aim: 'silent candidate',
    rules: { mayPromote: () => true },
  },
  {
    name: 'a hook goes on after its deadline',
    rule: '3.2',
    breaks: ['one promoted', 'acknowledged writes stay'],
    aim: 'silent candidate',
    habits: { endsHooks: false },
  },
  {
    name: 'a hook that gives no answer is waited for without end',
    rule: '3.2',
    breaks: ['each failover ends'],
    aim: 'mute hooks',
    rules: { hookOverAt: (until) => until + 3_600_000 },
  },
  {
    name: 'who was primary takes reads before it knows its place',
    rule: '3.7',
    breaks: ['who was primary knows its place'],
    worlds: { style: 'before' },
    rules: { mayReturn: () => true },
  },
  {
    name: 'who was primary takes reads before it was well for recoveryWait',
    rule: '3.7',
    breaks: ['who was primary is well for a while'],
    aim: 'back again',
    rules: { mayReturn: () => true },
  },
  {
    name: 'a hook is run by a member with another policy',
    rule: '3.1',
    breaks: ['one policy'],
    aim: 'policies differ',
    rules: { mayRun: () => true },
  },
  {
    name: 'the wish of the file, though nodes know of epochs',
    rule: '4.3',
    breaks: ['nodes are asked first'],
    worlds: { style: 'before', former: true },
    rules: { asksFirst: () => false },
  },
  {
    name: 'writes go on though a node follows another cluster',
    rule: '4.3',
    breaks: ['split brain'],
    rules: { heedsForeign: () => false },
    worlds: { style: 'before', onlyNodes: false },
  },
];

export const plantedInChoice: readonly PlantedFailover[] = [
  {
    name: 'one member that cannot reach the primary is enough',
    rule: '5.1',
    breaks: ['a majority finds it down'],
    rules: { isDown: ({ down }) => down > 0 },
    worlds: { onlyNodes: false },
  },
  {
    name: 'reports count for ever',
    rule: '5.1',
    breaks: ['a majority finds it down'],
    aim: 'cut off one by one',
    rules: { isFresh: () => true },
  },
  {
    name: 'the first failed check is enough',
    rule: '5.2',
    breaks: ['a majority finds it down'],
    rules: { holdsForDown: (failures) => failures >= 1 },
  },
  {
    name: 'nobody looks when another found it bad',
    rule: '5.2',
    breaks: ['looked at together'],
    worlds: { members: 3, onlyNodes: true },
    habits: { probesWhenAsked: false },
  },
  {
    name: 'a failover though a node still hears the primary',
    rule: '5.3',
    breaks: ['a primary that is heard stays'],
    aim: 'unreachable, and heard',
    rules: { heedsHeard: () => false },
  },
  {
    name: 'one failover at the heels of another',
    rule: '3.4',
    breaks: ['a rest between failovers'],
    worlds: { onlyNodes: true },
    rules: { restsUntil: () => 0 },
  },
  {
    name: 'the choice of before the fence',
    rule: '6.1',
    breaks: ['acknowledged writes stay'],
    aim: 'one lacks the last',
    rules: { choosesAnew: () => false },
  },
  {
    name: 'who lacks what clients were told of is chosen',
    rule: '6.1',
    breaks: ['acknowledged writes stay'],
    aim: 'lost within maxLag',
    rules: { mustNotLose: () => null },
  },
  {
    name: 'who could not say what it passed on is taken to have passed on nothing',
    rule: '6.1',
    breaks: ['acknowledged writes stay'],
    aim: 'handed over unheard',
    rules: { knowsPassed: () => true },
  },
];
