/**
 * One member's process beside the host that runs its agreement: the failover machine with its driver, the prober, the
 * hooks, and the data threads. It lives and dies with the host's process; while that stands still, what comes for control
 * waits, and the threads may go on.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type {
  BoardWrite,
  ClusterView,
  CommandAnswer,
  FailoverCommand,
  FailoverInput,
  FailoverOutput,
  FailoverRules,
  HookRun,
} from '../../../src/cluster/failover/contract.ts';
import { FailoverMachine } from '../../../src/cluster/failover/machine.ts';
import type { PoolPolicy } from '../../../src/cluster/failover/model.ts';
import type { MemberOutput } from '../../../src/cluster/member/contract.ts';
import type { Member } from '../../../src/cluster/member/member.ts';
import type { Host } from '../host.ts';
import type { Queue } from '../queue.ts';
import type { NodeAnswer } from './nodes.ts';
import type { DataHabits } from './plants.ts';
import { Prober } from './prober.ts';
import { DataThread, type Op, Shared } from './traffic.ts';

export const pool = 'app';
const channel = 7;
const heldMs: Millis = 4;
const threadsPerMember = 2;

export interface UnitWorld {
  readonly queue: Queue;
  readonly rules: Partial<FailoverRules>;
  readonly habits: DataHabits;
  policyOf(unit: Unit): PoolPolicy;
  /** What that member's file means by this node. */
  probe(unit: Unit, node: string, answer: (answer: ProbeAnswer) => void): void;
  send(
    unit: Unit,
    op: Op,
    to: { readonly epoch: number; readonly node: string; answer: (answer: NodeAnswer) => void },
  ): void;
  passes(unit: Unit, op: Op, epoch: number): void;
  runHook(unit: Unit, run: HookRun, done: (answer: NodeAnswer) => void): void;
  /** Handed over late. */
  handOverMs(): Millis;
  covered(what: string): void;
  note(who: string, text: string): void;
}

/** Hosts of these worlds run nothing else. */
export const memberOf = (host: Host): Member | null => host.body as Member | null;

export type ProbeAnswer =
  | { readonly kind: 'refused' }
  | { readonly kind: 'silent' }
  | {
      readonly kind: 'answer';
      readonly ok: boolean;
      readonly role: string | null;
      readonly epoch: number | null;
      readonly cluster: string | null;
      readonly position: number | null;
      readonly primaryHeard: number | null;
    };

export class Unit {
  readonly host: Host;
  readonly #world: UnitWorld;
  machine: FailoverMachine | null = null;
  shared = new Shared();
  threads: DataThread[] = [];
  prober: Prober | null = null;
  run = 0;
  /** Its threads stand still though its control thread may not. */
  stalled = new Set<DataThread>();
  #waiting: FailoverInput[] = [];
  #wake = 0;
  #telling = false;
  #view = '';
  #step = 0;
  #command = 0;
  readonly #commands = new Map<number, (answer: CommandAnswer) => void>();

  constructor(host: Host, world: UnitWorld) {
    this.host = host;
    this.#world = world;
  }

  get name(): string {
    return this.host.name;
  }

  /** Directly before its host starts. */
  start(): void {
    this.run += 1;
    const { run } = this;
    this.shared = new Shared();
    this.#waiting = [];
    this.#view = '';
    this.#step = 0;
    this.#telling = false;
    this.#commands.clear();
    const { habits } = this.#world;
    this.threads = Array.from(
      { length: threadsPerMember },
      () =>
        new DataThread(this.shared, {
          habits,
          now: () => this.host.now(),
          after: (ms, what) => this.after(ms, what),
          send: (op, to, answer) =>
            this.#world.send(this, op, { ...to, answer: (got) => this.run === run && answer(got) }),
          passes: (op, epoch) => this.#world.passes(this, op, epoch),
          covered: (what) => this.#world.covered(what),
        }),
    );
    this.machine = new FailoverMachine({
      self: this.host.uid,
      now: this.host.now(),
      writesOverAt: (name, unconfirmed) => this.host.body?.writesOverAt(name, unconfirmed) ?? null,
      rules: this.#world.rules,
    });
    const policy = this.#world.policyOf(this);
    this.machine.step(this.host.now(), { kind: 'policies', policies: [policy] });
    this.prober = new Prober(policy, {
      now: () => this.host.now(),
      after: (ms, what) => this.after(ms, what),
      awake: () => this.host.awake,
      probe: (node, answer) => this.#world.probe(this, node, (got) => this.run === run && answer(got)),
      report: (report) => this.give({ kind: 'report', report }),
    });
  }

  die(): void {
    this.run += 1;
    for (const thread of this.threads) thread.die();
    this.threads = [];
    this.machine = null;
    this.prober = null;
    this.stalled.clear();
  }

  /** By this member's clock; never, if its process ends before. */
  after(ms: Millis, what: () => void): void {
    const { run, host } = this;
    const at = host.clock.worldAt(host.now() + ms);
    const then = (): void => {
      if (this.run === run) what();
    };
    // A clock that stands still is looked at again.
    if (at === Number.POSITIVE_INFINITY)
      this.#world.queue.after(ms + 10, () => this.run === run && this.after(ms, what));
    else this.#world.queue.at(at + 0.01, then);
  }

  reload(): void {
    const policy = this.#world.policyOf(this);
    this.prober?.reload(policy);
    this.give({ kind: 'policies', policies: [policy] });
  }

  command(command: FailoverCommand, done: (answer: CommandAnswer) => void): void {
    this.#command += 1;
    this.#commands.set(this.#command, done);
    this.give({ kind: 'command', id: this.#command, command });
  }

  give(input: FailoverInput): void {
    if (this.machine === null) return;
    if (!this.host.awake) {
      if (this.#waiting.length < 2000) this.#waiting.push(input);
      return;
    }
    this.machine.step(this.host.now(), input);
    this.#finish();
  }

  /** The host's process took a step. */
  stepped(out: MemberOutput): void {
    const { machine, host } = this;
    if (machine === null || host.body === null) return;
    const now = host.now();
    for (const effect of out.effects) {
      if (effect.kind === 'moving') machine.step(now, { kind: 'moving', pool: effect.pool });
      if (effect.kind === 'void-leases') machine.step(now, { kind: 'void', why: effect.why });
    }
    const record = host.body.replica.pools.get(pool);
    if (record !== null && record.step !== this.#step) {
      this.#step = record.step;
      machine.step(now, { kind: 'records', records: [record] });
    }
    const view = this.#viewNow();
    const text = JSON.stringify([
      view.leader,
      view.term,
      view.leads,
      view.quorum,
      view.voters,
      view.learners,
      view.cluster,
    ]);
    if (text !== this.#view) {
      this.#view = text;
      machine.step(now, { kind: 'cluster', view });
    }
    for (const { from, channel: room, bytes } of out.told)
      if (room === channel) machine.step(now, { kind: 'told', from, bytes });
    for (const input of host.awake ? this.#waiting.splice(0) : []) machine.step(now, input);
    this.#finish();
  }

  #viewNow(): ClusterView {
    const status = memberOf(this.host)!.status();
    const { raft, quorum, leader, term } = status;
    return {
      leader,
      term,
      leads: raft?.role === 'leader' && raft.ready,
      quorum,
      voters: raft?.config.voters ?? [],
      learners: raft?.config.learners ?? [],
      names: new Map(status.members.map(({ id, name }) => [id, name])),
      cluster: status.cluster,
      agreedNow: status.agreedNow,
    };
  }

  #finish(): void {
    const { machine, run } = this;
    if (machine === null) return;
    const out = machine.take();
    if (this.#world.habits.boardFirst) for (const board of out.board) this.#write(board);
    else
      this.after(40, () => {
        for (const board of out.board) this.#write(board);
      });
    this.#act(out, run);
    this.#arm();
  }

  #write(board: BoardWrite): void {
    this.shared.write(board);
    if (board.fencing) this.#tellHeld();
    const { epoch, node } = board;
    for (const thread of this.threads) this.after(this.#world.handOverMs(), () => (thread.snapshot = { epoch, node }));
  }

  #tellHeld(): void {
    if (this.#telling) return;
    this.#telling = true;
    this.after(heldMs, () => {
      this.#telling = false;
      const { writing, passed, record } = this.shared;
      if (!record.fencing) return;
      this.#tellHeld();
      if (this.host.awake) this.give({ kind: 'held', pool, writing, passed });
    });
  }

  #act(out: FailoverOutput, run: number): void {
    const { host } = this;
    const mine = (input: FailoverInput): void => {
      if (this.run === run) this.give(input);
    };
    for (const { level, event, text } of out.events) this.#world.note(this.name, `${level} ${event}: ${text}`);
    for (const { id, answer } of out.answers) {
      this.#commands.get(id)?.(answer);
      this.#commands.delete(id);
    }
    for (const node of out.probe) this.prober?.now(node.node);
    for (const hook of out.hooks)
      this.#world.runHook(this, hook, ({ ok, position, why }) =>
        mine({ kind: 'hooked', id: hook.id, ok, position, detail: why }),
      );
    for (const { to, bytes } of out.tell)
      this.#world.queue.after(0, () => this.run === run && host.give({ kind: 'tell', to, channel, bytes }));
    for (const { id, record, note } of out.proposals)
      this.#world.queue.after(0, () => {
        if (this.run !== run) return;
        host.call({ kind: 'propose', command: { kind: 'pool', record, note }, consistency: 'quorum' }, (answer) => {
          const done = answer.ok && answer.value.kind === 'written' && answer.value.written.committed;
          mine({ kind: 'proposed', id, ok: done && answer.value.written.value.kind === 'done' });
        });
      });
    for (const { id, pool: name, epoch } of out.leases)
      this.#world.queue.after(0, () => {
        if (this.run !== run) return;
        host.call({ kind: 'write-lease', pool: name, epoch }, (answer) => {
          const lease = answer.ok && answer.value.kind === 'lease' ? answer.value.lease : null;
          this.#world.covered(`lease: ${answer.ok ? 'given' : answer.error.kind}`);
          mine({ kind: 'leased', id, lease, why: answer.ok ? '' : answer.error.kind });
        });
      });
  }

  #arm(): void {
    if (this.machine === null) return;
    this.#wake += 1;
    const wake = this.#wake;
    this.after(Math.max(0, this.machine.wakeAt() - this.host.now()), () => {
      if (wake === this.#wake) this.give({ kind: 'tick' });
    });
  }
}
