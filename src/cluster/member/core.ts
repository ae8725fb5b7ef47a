/**
 * What the parts of the member share, and the few acts that all need: say something to a member, write to the disk, tell
 * people, stop. Each part owns its own state; nobody outside this folder sees this.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Persist } from '../raft/contract.ts';
import { proposalVersion } from '../replica/codec.ts';
import { defaultLimits, type ReplicaLimits } from '../replica/model.ts';
import type { Address } from '../swim/model.ts';
import { Book } from './book.ts';
import { encodeWord } from './codec.ts';
import type {
  AppliedNews,
  CallAnswer,
  Effect,
  MemberEvent,
  MemberOptions,
  MemberOutput,
  MemberRestored,
  MemberSettings,
  MemberStatus,
  StopReason,
  Telling,
} from './contract.ts';
import { DiskQueue } from './disk-queue.ts';
import { type MemberRules, runsMax, safeRules } from './rules.ts';
import type { Head, Word } from './words.ts';

export const defaultSettings: MemberSettings = {
  callMs: 5000,
  againMs: 600,
  formMs: 250,
  snapshotEvery: 10_000,
  snapshotBytes: 64 << 20,
  callsMax: 512,
  commandVersion: proposalVersion,
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };
export type Outbox = Omit<Mutable<MemberOutput>, 'persist'>;

const emptyOutbox = (): Outbox => ({
  datagrams: [],
  messages: [],
  open: [],
  replies: [],
  applied: [] as AppliedNews[],
  told: [] as Telling[],
  answers: [] as CallAnswer[],
  effects: [] as Effect[],
  events: [] as MemberEvent[],
});

export class Core {
  readonly options: MemberOptions;
  readonly settings: MemberSettings;
  readonly rules: MemberRules;
  readonly limits: ReplicaLimits;
  readonly uid: MemberId;
  readonly boot: number;
  readonly run: number;
  /** How many voters there shall be. */
  readonly expect: number;
  readonly book = new Book();
  readonly disk: DiskQueue;
  readonly refused = new Map<string, number>();
  now: Millis;
  phase: MemberStatus['phase'] = 'forming';
  stopped: { readonly reason: StopReason; readonly why: string } | null = null;
  /** On disk; null while there is none. */
  cluster: string | null = null;
  /** On its way out for good, which is on disk. */
  leavingForGood = false;
  /** The agreed time, null as long as this member has it from its wall clock only. */
  agreedTime: () => Millis | null = () => null;
  out = emptyOutbox();

  constructor(options: MemberOptions, restored: MemberRestored) {
    this.options = options;
    this.settings = { ...defaultSettings, ...options.settings };
    this.rules = { ...safeRules, ...options.rules };
    this.limits = options.limits ?? defaultLimits;
    this.uid = restored.uid;
    this.boot = restored.boot;
    this.run = options.random.below(runsMax);
    this.expect = options.cluster?.expect ?? 1;
    this.now = options.now;
    this.disk = new DiskQueue(this.rules);
    this.book.note(this.uid, options.address, options.name);
  }

  takeOut(raft: readonly Persist[]): MemberOutput {
    const { out } = this;
    this.out = emptyOutbox();
    return { ...out, persist: this.disk.take(raft) };
  }

  get head(): Head {
    const { commandVersion: commands } = this.settings;
    const leaseless = this.expect <= 2 && !this.leavingForGood;
    const agreed = this.agreedTime();
    return { cluster: this.cluster ?? '', run: this.run, commands, leaseless, ...(agreed !== null && { agreed }) };
  }

  /** To a member by its uid. Nothing goes out if nobody knows where it is. */
  say(to: MemberId, word: Word): void {
    const address = this.book.addressOf(to);
    if (address !== null) this.sayAt(address, word);
  }

  sayAt(to: Address, word: Word): void {
    const droppable = word.kind !== 'ask' && word.kind !== 'told';
    this.out.messages.push({ to, bytes: encodeWord(this.head, word), droppable });
  }

  note(text: string): void {
    this.out.events.push({ kind: 'note', text });
  }

  effect(effect: Effect): void {
    this.out.effects.push(effect);
  }

  refuse(why: string): void {
    this.refused.set(why, (this.refused.get(why) ?? 0) + 1);
  }

  /** Takes no part any more. The first reason stays. */
  stop(reason: StopReason, why: string): void {
    if (this.stopped !== null) return;
    this.stopped = { reason, why };
    this.phase = 'stopped';
    this.effect({ kind: 'void-leases', why: 'stopped' });
    this.effect({ kind: 'stop', reason, why });
  }
}
