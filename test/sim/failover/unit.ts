/**
 * One member's process beside the host that runs its agreement: the failover machine with its driver, the hooks, and of
 * each pool the prober and the data threads. It lives and dies with the host's process; while that stands still, what
 * comes for control waits, and the threads may go on.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type {
  ClusterView,
  CommandAnswer,
  FailoverCommand,
  FailoverInput,
  FailoverOutput,
} from '../../../src/cluster/failover/contract.ts';
import { FailoverMachine } from '../../../src/cluster/failover/machine.ts';
import type { MemberOutput } from '../../../src/cluster/member/contract.ts';
import type { Member } from '../../../src/cluster/member/member.ts';
import type { Host } from '../host.ts';
import { Side } from './side.ts';
import type { Site } from './site.ts';
import type { DataThread } from './traffic.ts';
import type { FailoverWorld } from './world.ts';

const channel = 7;

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
  /** It votes and probes, and no client comes to it. */
  readonly witness: boolean;
  readonly #world: FailoverWorld;
  readonly sides: readonly Side[];
  machine: FailoverMachine | null = null;
  run = 0;
  startedAt: Millis = 0;
  #waiting: FailoverInput[] = [];
  #wake = 0;
  #wakes: { readonly steps: number; readonly go: () => void } | null = null;
  #view = '';
  #command = 0;
  readonly #commands = new Map<number, (answer: CommandAnswer) => void>();

  constructor(host: Host, world: FailoverWorld, witness: boolean) {
    this.host = host;
    this.witness = witness;
    this.#world = world;
    this.sides = world.sites.map((site) => new Side(this, site));
  }

  get name(): string {
    return this.host.name;
  }

  get threads(): readonly DataThread[] {
    return this.sides.flatMap(({ threads }) => threads);
  }

  sideOf(site: Site): Side {
    return this.sides.find((side) => side.site === site)!;
  }

  /** Directly before its host starts. */
  start(): void {
    this.run += 1;
    this.startedAt = this.#world.queue.now;
    this.#waiting = [];
    this.#view = '';
    this.#commands.clear();
    this.machine = new FailoverMachine({
      self: this.host.uid,
      now: this.host.now(),
      writesOverAt: (name, unconfirmed) => this.host.body?.writesOverAt(name, unconfirmed) ?? null,
      openEpoch: (name) => memberOf(this.host)?.openEpoch(name) ?? null,
      rules: this.#world.rules,
    });
    this.machine.step(this.host.now(), { kind: 'policies', policies: this.#policies() });
    for (const side of this.sides) side.start();
  }

  #policies() {
    return this.sides.map(({ site }) => site.policyOf(this));
  }

  die(): void {
    this.#wakes = null;
    this.run += 1;
    for (const side of this.sides) side.die();
    this.machine = null;
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

  /** A process that stands still does so afterwards. */
  reload(): void {
    const { run, machine, host } = this;
    if (machine === null) return;
    if (!host.awake) return this.#world.queue.after(100, () => this.run === run && this.reload());
    for (const side of this.sides) side.reload();
    this.give({ kind: 'policies', policies: this.#policies() });
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

  /** Its threads go on after so many steps of its process. */
  goesAfter(steps: number, go: () => void): void {
    this.#wakes = { steps, go };
  }

  /** The host's process took a step. */
  stepped(out: MemberOutput): void {
    this.#step(out);
    const wakes = this.#wakes;
    if (wakes === null) return;
    this.#wakes = wakes.steps === 0 ? null : { ...wakes, steps: wakes.steps - 1 };
    if (wakes.steps === 0) wakes.go();
  }

  #step(out: MemberOutput): void {
    const { machine, host } = this;
    if (machine === null || host.body === null) return;
    const now = host.now();
    for (const effect of out.effects) {
      if (effect.kind === 'moving') machine.step(now, { kind: 'moving', pool: effect.pool });
      if (effect.kind === 'void-leases' && this.#world.dataHabits.heedsVoid)
        machine.step(now, { kind: 'void', why: effect.why });
    }
    for (const side of this.sides) this.#learn(side, now);
    const view = this.#viewNow();
    const { leader, term, leads, quorum, voters, learners, cluster } = view;
    const text = JSON.stringify([leader, term, leads, quorum, voters, learners, cluster]);
    if (text !== this.#view) {
      this.#view = text;
      machine.step(now, { kind: 'cluster', view });
    }
    for (const { from, channel: room, bytes } of out.told)
      if (room === channel) machine.step(now, { kind: 'told', from, bytes });
    for (const input of host.awake ? this.#waiting.splice(0) : []) machine.step(now, input);
    this.#finish();
  }

  #learn(side: Side, now: Millis): void {
    const record = this.host.body!.replica.pools.get(side.site.pool);
    if (record === null || record.step === side.step) return;
    side.step = record.step;
    this.machine!.step(now, { kind: 'records', records: this.host.body!.replica.pools.list() });
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
    const write = (): void => {
      for (const board of out.board) this.sides.find(({ site }) => site.pool === board.pool)?.write(board);
    };
    if (this.#world.dataHabits.boardFirst) write();
    else if (out.board.length > 0) this.after(150, write);
    this.#act(out, run);
    this.#arm();
  }

  #act(out: FailoverOutput, run: number): void {
    const { host } = this;
    const world = this.#world;
    const mine = (input: FailoverInput): void => {
      if (this.run === run) this.give(input);
    };
    const siteOf = (pool: string): Site => world.sites.find((site) => site.pool === pool)!;
    const soon = (what: () => void): void => world.queue.after(0, () => this.run === run && what());
    for (const { level, event, pool, text } of out.events)
      world.note(this.name, `${level} ${event} ${pool === 'app' ? '' : `${pool}: `}${text}`);
    for (const { id, answer } of out.answers) {
      this.#commands.get(id)?.(answer);
      this.#commands.delete(id);
    }
    if (world.dataHabits.probesWhenAsked)
      for (const { pool, node } of out.probe) this.sideOf(siteOf(pool)).prober?.now(node);
    for (const hook of out.hooks)
      siteOf(hook.pool).runHook(this, hook, ({ ok, position, why }) =>
        mine({ kind: 'hooked', id: hook.id, ok, position, detail: why }),
      );
    for (const { to, bytes } of out.tell) soon(() => host.give({ kind: 'tell', to, channel, bytes }));
    for (const { id, record, note } of out.proposals) {
      siteOf(record.pool).checker.detection.proposes(this, record);
      soon(() => {
        host.call({ kind: 'propose', command: { kind: 'pool', record, note }, consistency: 'quorum' }, (answer) => {
          const done = answer.ok && answer.value.kind === 'written' && answer.value.written.committed;
          mine({ kind: 'proposed', id, ok: done && answer.value.written.value.kind === 'done' });
        });
      });
    }
    for (const { id, pool, epoch } of out.leases)
      soon(() => {
        host.call({ kind: 'write-lease', pool, epoch }, (answer) => {
          const lease = answer.ok && answer.value.kind === 'lease' ? answer.value.lease : null;
          world.covered(`lease: ${answer.ok ? 'given' : answer.error.kind}`);
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
