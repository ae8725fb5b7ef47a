/**
 * One pool in the hands of the leader. Nothing of it outlives the leadership: what must is in the record, and the next
 * leader goes on from there. One proposal is under way at a time; until its step is agreed nothing follows from it.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import { liveReference, settled } from './aftermath.ts';
import type { At } from './changes.ts';
import { type Bounds, type Candidate, type Choice, choose, elsewhere, tried } from './choice.ts';
import type { CommandAnswer } from './contract.ts';
import type { Core } from './core.ts';
import { Fence, type Leavers } from './fence.ts';
import type { Allowed, EpochReason, HookKind, HookStart, PolicyNode, PoolPolicy, PoolRecord, Target } from './model.ts';
import type { Pool } from './pool.ts';

/** A proposal that nobody answered is over; the record tells whether it came. */
const proposalMs: Millis = 6000;
const againMs: Millis = 200;
/** A word to run a hook may be lost. */
const runAgainMs: Millis = 300;
/** What a member said counts as its word of now while it was heard within this long. */
const heardMs: Millis = 2500;
/** Of the time that a hook has, its runner uses so much: clocks differ. */
const runShare = 0.98;

export interface HookResult {
  readonly ok: boolean;
  readonly detail: string;
  readonly position: number | null;
}

export type HookState =
  /** Nobody who finds the node healthy can run it. */
  { readonly at: 'nobody' } | { readonly at: 'running' } | ({ readonly at: 'ended' } & HookResult);

export interface Switching {
  /** Of the command that waits for its end; null: nobody waits. */
  readonly command: number | null;
  readonly target: Target;
  readonly reason: EpochReason;
  readonly startedAt: Millis;
  readonly allowed: Allowed | null;
  readonly from: number;
}

export interface LeadContext {
  readonly core: Core;
  readonly leavers: Leavers;
  /** The clock of another member as its last word showed it, and when that came. */
  readonly clocks: ReadonlyMap<MemberId, { readonly clock: Millis; readonly at: Millis }>;
}

/** Reasons name nodes, of which there may be thousands; a line that the history does not take would stop the change itself. */
const noteMax = 2000;
const lineOf = (note: string): string => (note.length > noteMax ? `${note.slice(0, noteMax - 1)}…` : note);

export const hookKey = ({ kind, node, epoch, until }: HookStart): string => `${kind} ${node} ${epoch} ${until}`;

export class PoolLead {
  readonly core: Core;
  readonly pool: Pool;
  readonly fence: Fence;
  readonly context: LeadContext;
  /** Why nothing is done although something is wrong. */
  reason = '';
  fencedAt: Millis | null = null;
  /** The epoch whose target was confirmed by a choice after the fence. */
  chosenFor = 0;
  switching: Switching | null = null;
  drainToldAt: Millis = 0;
  readonly upSince = new Map<string, Millis>();
  readonly againAt = new Map<string, Millis>();
  failbackAt: Millis = 0;
  /** Where the primary of that epoch was then: a failback waits until its target is there. */
  failbackMark: {
    readonly epoch: number;
    readonly position: number;
    readonly at: Millis;
    readonly said: boolean;
  } | null = null;
  /** Where the primary was, the newest first (lagging.ts). */
  marks: readonly { readonly epoch: number; readonly position: number; readonly at: Millis }[] = [];
  toldAt: Millis = 0;
  readonly since: Millis;
  #proposal: { readonly id: number; readonly step: number; readonly at: Millis } | null = null;
  #proposeAt: Millis = 0;
  /** Commands that wait for a proposal, by its id. */
  readonly #askers = new Map<number, { readonly command: number; readonly answer: CommandAnswer }>();
  /** Hooks that this leader started: what it knows of each. */
  readonly #started = new Map<string, { id: number; toldAt: Millis; result: HookResult | null }>();

  constructor(pool: Pool, context: LeadContext) {
    this.core = context.core;
    this.pool = pool;
    this.context = context;
    this.fence = new Fence(context.core);
    this.since = context.core.now;
  }

  get policy(): PoolPolicy {
    return this.pool.policy!;
  }

  get at(): At {
    return { agreed: this.core.agreed(), policy: this.policy };
  }

  /** The newest record, with what this leader knows of hooks since. */
  get record(): PoolRecord | null {
    const { record } = this.pool;
    return record === null ? null : { ...record, hooks: settled(record.hooks, (hook) => this.resultOf(hook)) };
  }

  get isBusy(): boolean {
    return this.#proposal !== null || this.core.now < this.#proposeAt;
  }

  propose(record: PoolRecord, note: string): void {
    if (this.isBusy) return this.pool.wake(this.#proposal === null ? this.#proposeAt : this.#proposal.at + proposalMs);
    const id = this.core.nextId();
    const fencedAt = record.phase === 'pending' && this.fencedAt !== null && record.times.fencedAt === 0;
    const stamped = fencedAt ? { ...record, times: { ...record.times, fencedAt: this.core.agreed() } } : record;
    this.#proposal = { id, step: record.step, at: this.core.now };
    this.pool.wake(this.core.now + proposalMs);
    this.core.out.proposals.push({ id, record: stamped, note: `${lineOf(note)}${this.#unplanned(record)}` });
  }

  /** For the history: a change of primary before its moment ends a switch that was planned. */
  #unplanned({ phase, planned }: PoolRecord): string {
    const before = this.pool.record?.planned ?? null;
    const ends = phase === 'pending' && planned === null && before !== null && this.core.agreed() < before.at;
    return ends ? '; the planned switch is given up' : '';
  }

  /** Who asked for the proposal that was just made is answered when it is agreed on, or is not. */
  answerWhenAgreed(command: number, answer: CommandAnswer): null {
    if (this.#proposal !== null) this.#askers.set(this.#proposal.id, { command, answer });
    return null;
  }

  #answerAsker(proposal: number, agreed: boolean): void {
    const asker = this.#askers.get(proposal);
    if (asker === undefined) return;
    const { command, answer } = asker;
    this.#askers.delete(proposal);
    const why = 'it was not agreed on, as far as is known: look at the status, and ask again';
    this.core.out.answers.push({
      id: command,
      answer: agreed ? answer : { ok: false, error: { kind: 'failed', why } },
    });
  }

  /** This member leads no more. */
  abandon(): void {
    const why = 'leadership moved while it was under way; see the status';
    const command = this.switching?.command ?? null;
    if (command !== null)
      this.core.out.answers.push({ id: command, answer: { ok: false, error: { kind: 'failed', why } } });
    for (const proposal of this.#askers.keys()) this.#answerAsker(proposal, false);
  }

  proposed(id: number, ok: boolean): boolean {
    this.#answerAsker(id, ok);
    if (this.#proposal?.id !== id) return false;
    if (!ok) {
      this.#proposal = null;
      this.#proposeAt = this.core.now + againMs;
    }
    return true;
  }

  /** What is agreed has changed, or time has passed. */
  settleProposal(): void {
    if (this.#proposal === null) return;
    const { id, step, at } = this.#proposal;
    if ((this.pool.record?.step ?? 0) >= step) this.#proposal = null;
    else if (this.core.now >= at + proposalMs) {
      this.#proposal = null;
      this.#answerAsker(id, false);
    } else this.pool.wake(at + proposalMs);
  }

  candidates(since: Millis): readonly Candidate[] {
    const { pool, policy } = this;
    const { phase, target, last } = pool.record ?? { phase: 'undecided', target: null, last: null };
    // Back to the primary of before is another way than to choose it; where nobody is primary, all are in the choice.
    const primary = phase === 'open' ? target?.node : phase === 'pending' ? last?.target.node : undefined;
    return policy.nodes
      .filter(({ id }) => id !== primary)
      .map((node) => ({
        node,
        up: pool.reports.isUp({ node: node.id, url: node.url }, policy, since),
        barred: this.#barred(node),
        epoch: this.#electedEpoch({ node: node.id, url: node.url }),
        position: pool.reports.position({ node: node.id, url: node.url }, since),
      }));
  }

  /**
   * The epoch of the data that a node holds: what it heard of by a check says nothing about that, so it counts only as far
   * as epochs were open.
   */
  #electedEpoch({ node, url }: Target): number | null {
    const seen = this.pool.reports.newest(node, (report) => report.url === url)?.epoch ?? null;
    const open = this.pool.record?.last?.epoch ?? this.pool.record?.epoch ?? 0;
    return seen === null ? null : Math.min(seen, open);
  }

  #barred({ id: node, url, candidate }: PolicyNode): string | null {
    const { record, reports } = this.pool;
    if (!reports.isAgreed({ node, url })) return elsewhere;
    if (!candidate) return 'not a candidate, by its config';
    if (record?.returning.includes(node) === true)
      return 'was primary, and has not shown since that it knows its place: by its rejoin hook, by role and epoch in its health answer, or by recoveryWait of health';
    // An operator tells one member: its word counts, whoever looked at the node last.
    const unwanted = this.core.members.some(
      (member) => reports.of(node, member)?.wanted === false && this.hears(member),
    );
    if (unwanted) return 'in drain or maintenance';
    return record?.excluded.includes(node) === true ? tried : null;
  }

  /** Whether that member is known to be there. A leader that has just begun takes it for granted: who is will speak soon. */
  hears(member: MemberId): boolean {
    const { core, context, since } = this;
    return member === core.self || core.now - Math.max(context.clocks.get(member)?.at ?? -Infinity, since) < heardMs;
  }

  choice(since: Millis, bounds: Bounds, but: readonly string[] = []): Choice {
    return choose(
      this.candidates(since).filter(({ node }) => !but.includes(node.id)),
      this.policy,
      bounds,
    );
  }

  /** Whether this one, that an operator named, may be taken. */
  choiceOf(name: string, since: Millis): Choice {
    const named = this.candidates(since).filter(({ node }) => node.id === name);
    return choose(
      named.map((candidate) => ({ ...candidate, barred: null })),
      this.policy,
      this.bounds(),
    );
  }

  /** Positions that must not be lost, once the fence is complete. */
  bounds(): Bounds {
    const record = this.pool.record!;
    const complete = this.fence.knowsAll(record);
    const { last, forks } = record;
    const reported = last === null ? null : this.pool.reports.position(last.target, -Infinity);
    const opened = forks.find(({ epoch }) => epoch === last?.epoch)?.position ?? null;
    return {
      reference: this.core.rules.mustNotLose(liveReference(this.fence.passed(record), { reported, opened }, complete)),
      loss: record.allowed?.loss ?? 0,
    };
  }

  isUp(target: Target, since: Millis = -Infinity): boolean {
    return this.pool.reports.isUp(target, this.policy, since);
  }

  /** Everybody looks at it now. */
  lookAt(node: string): void {
    this.core.tellAll({ kind: 'probe', pool: this.pool.name, node });
  }

  /** A hook of the current epoch: started if it was not, and how far it is. */
  hook(kind: HookKind, target: Target, again = false): HookState {
    const record = this.record!;
    const mine = record.hooks.filter(
      (hook) => hook.kind === kind && hook.node === target.node && hook.epoch === record.epoch,
    );
    const last = mine.at(-1);
    if (last !== undefined && last.outcome === 'running' && this.#started.has(hookKey(last))) {
      this.#dispatch(last, target);
      return { at: 'running' };
    }
    if (last !== undefined && last.outcome !== 'running' && !(again && last.outcome === 'failed')) {
      const known = this.#started.get(hookKey(last))?.result;
      return {
        at: 'ended',
        ...(known ?? { ok: last.outcome === 'done', detail: 'an earlier leader', position: null }),
      };
    }
    return this.#start(kind, target, record);
  }

  #start(kind: HookKind, target: Target, record: PoolRecord): HookState {
    const { core, policy, pool } = this;
    const how = policy.hooks[kind];
    const runner = pool.reports.seenUpBy(target, policy).find((member) => member === core.self || this.#canRun(member));
    if (how === null || runner === undefined) return { at: 'nobody' };
    if (this.isBusy) return { at: 'running' };
    const until = core.agreed() + Math.ceil(how.timeout);
    const start: HookStart = { kind, node: target.node, epoch: record.epoch, until, runner, outcome: 'running' };
    const kept = record.hooks.filter(
      (hook) =>
        !(hook.kind === kind && hook.node === target.node && hook.epoch === record.epoch && hook.outcome === 'failed'),
    );
    this.#started.set(hookKey(start), { id: core.nextId(), toldAt: -Infinity, result: null });
    this.propose(
      { ...record, step: record.step + 1, hooks: [...kept, start].slice(-32) },
      `${kind} of ${target.node} starts`,
    );
    if (!core.rules.waitsForCommit()) this.#dispatch(start, target);
    return { at: 'running' };
  }

  #canRun(member: MemberId): boolean {
    const { core, pool, policy, context } = this;
    return core.rules.mayRun(pool.hashes.get(member), policy.hash) && context.clocks.has(member);
  }

  /** Its start is committed: tell the runner, and again until it answers. */
  #dispatch(hook: HookStart, target: Target): void {
    const { core, pool } = this;
    const known = this.#started.get(hookKey(hook))!;
    const endsAt = core.localOf(hook.until);
    const overAt = core.localOf(core.rules.hookOverAt(hook.until));
    if (core.now >= overAt) {
      known.result = { ok: false, detail: 'no answer in time', position: null };
      pool.wake(core.now);
      return;
    }
    pool.wake(overAt);
    if (core.now >= endsAt) return;
    if (core.now < known.toldAt + runAgainMs) return pool.wake(known.toldAt + runAgainMs);
    const { record } = pool;
    if (record === null) return;
    const runner = hook.runner as MemberId;
    const base = runner === core.self ? { clock: core.now, at: core.now } : this.context.clocks.get(runner);
    if (base === undefined) return;
    known.toldAt = core.now;
    pool.wake(core.now + runAgainMs);
    core.tell(runner, {
      kind: 'run',
      id: known.id,
      pool: pool.name,
      hook: hook.kind,
      target,
      epoch: hook.epoch,
      reason: record.reason,
      policy: this.policy.hash,
      term: core.view.term,
      deadline: base.clock + (endsAt - base.at) * runShare,
    });
  }

  ran(id: number, result: HookResult): boolean {
    for (const known of this.#started.values())
      if (known.id === id) {
        known.result ??= result;
        return true;
      }
    return false;
  }

  resultOf(hook: HookStart): HookResult | null {
    return this.#started.get(hookKey(hook))?.result ?? null;
  }

  /**
   * When a hook, whoever started it, cannot take effect any more, by our clock: in the past if it is done. One that failed
   * may have been cut off while its handler runs on.
   */
  overAt(hook: HookStart): Millis {
    if (hook.outcome === 'done' && hook.kind !== 'promote') return -Infinity;
    return this.core.localOf(this.core.rules.hookOverAt(hook.until));
  }
}
