/**
 * One seed of failover: whole members (production code, agreement and all) with the failover machine beside each, app
 * nodes behind them, and clients that write through any. The same seed is the same run.
 *
 * Judged by world time and by what nodes and clients recorded, never by what a member believes: see checker.ts. Then the
 * faults stop, and within `healMs` the pool must be open everywhere and take a write through each member.
 */
import type { Millis } from '../../../src/base/ids.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import type { FailoverRules, HookRun } from '../../../src/cluster/failover/contract.ts';
import type { PoolPolicy } from '../../../src/cluster/failover/model.ts';
import type { MemberOptions, MemberOutput } from '../../../src/cluster/member/contract.ts';
import { Member } from '../../../src/cluster/member/member.ts';
import type { MemberRules } from '../../../src/cluster/member/rules.ts';
import { uidOf } from '../bare.ts';
import { Breach } from '../breach.ts';
import { MemberClock } from '../clock.ts';
import { Coverage } from '../coverage.ts';
import { Host, type HostWorld } from '../host.ts';
import { Net } from '../net.ts';
import { goodHabits, type Habits } from '../plants.ts';
import { between, oneOf, Queue } from '../queue.ts';
import type { Line } from '../script.ts';
import { Timeline } from '../timeline.ts';
import { Checker } from './checker.ts';
import { act, drawScript } from './faults.ts';
import { AppNode, type NodeAnswer, type NodeWorld, type Style, type Write } from './nodes.ts';
import { Operator } from './operator.ts';
import { type DataHabits, goodDataHabits } from './plants.ts';
import { filePolicy, type Kind } from './policies.ts';
import type { Op } from './traffic.ts';
import { type ProbeAnswer, pool, Unit, type UnitWorld } from './unit.ts';

export interface FailoverWorldOptions extends Kind {
  readonly faultMs?: Millis;
  readonly script?: readonly Line[];
  readonly rules?: Partial<FailoverRules>;
  readonly memberRules?: Partial<MemberRules>;
  readonly habits?: Partial<DataHabits>;
}

export interface FailoverResult {
  readonly steps: number;
  readonly epochs: number;
  readonly acknowledged: number;
  readonly healedAfter: Millis;
  readonly coverage: Coverage;
}

export const healMs: Millis = 60_000;
const defaultFaultMs: Millis = 30_000;
const clients = 4;
/** What the data path waits for an answer, at most. */
const answerMs: Millis = 8000;

export class FailoverWorld implements HostWorld, NodeWorld, UnitWorld {
  readonly queue = new Queue();
  readonly random: Random;
  readonly net: Net;
  readonly timeline = new Timeline(() => this.queue.now);
  readonly coverage = new Coverage();
  readonly hosts: Host[] = [];
  readonly units = new Map<Host, Unit>();
  readonly nodes: AppNode[] = [];
  /** Where a member's file with a wrong url leads to. */
  readonly decoys = new Map<string, AppNode>();
  /** Members whose file has a node elsewhere, by member and node. */
  readonly moved = new Set<string>();
  /** Members whose policy is another. */
  readonly other = new Set<string>();
  /** Ways between members and nodes that are cut, `m1>a` and `a>m1`, and how long writes take longer. */
  readonly cutWays = new Set<string>();
  lateMs: Millis = 0;
  readonly script: readonly Line[];
  readonly kind: FailoverWorldOptions;
  readonly checker: Checker;
  readonly operator: Operator;
  readonly rules: Partial<FailoverRules>;
  readonly dataHabits: DataHabits;
  readonly seed: number;
  calm = false;
  readonly quiet = false;
  steps = 0;
  #op = 0;
  readonly #byAddress = new Map<string, Host>();

  constructor(seed: number, options: FailoverWorldOptions) {
    this.seed = seed;
    this.kind = options;
    this.random = seededRandom(seed * 4 + 1);
    this.net = new Net(this.queue, seededRandom(seed * 4 + 2));
    this.rules = options.rules ?? {};
    this.dataHabits = { ...goodDataHabits, ...options.habits };
    this.checker = new Checker(this);
    this.operator = new Operator(this);
    for (let n = 1; n <= options.members; n++) this.#add(n);
    for (const id of ['a', 'b', 'c'].slice(0, options.nodes)) {
      this.nodes.push(new AppNode(id, id === 'a', this, () => this.nodes));
      const decoy: AppNode = new AppNode(`${id}-elsewhere`, false, this.#decoyWorld(), () => [decoy]);
      this.decoys.set(id, decoy);
    }
    this.script = options.script ?? drawScript(seededRandom(seed * 4 + 3), options, options.faultMs ?? defaultFaultMs);
  }

  #decoyWorld(): NodeWorld {
    return {
      queue: this.queue,
      random: this.random,
      style: 'shared',
      covered: () => {},
      note: () => {},
      begun: () => {},
      promoted: () => {},
    };
  }

  get style(): Style {
    return this.kind.style;
  }

  get habits(): Habits & DataHabits {
    return { ...goodHabits, ...this.dataHabits };
  }

  run(): FailoverResult {
    const faultMs = this.kind.faultMs ?? defaultFaultMs;
    for (const host of this.hosts) this.queue.after(this.random.next() * 100, () => this.start(host));
    for (const line of this.script) this.queue.at(line.at, () => this.calm || act(this, line));
    for (let n = 0; n < clients; n++) this.#client(n);
    this.queue.run(faultMs);
    this.#heal();
    const healedAt = this.queue.now;
    if (!this.queue.run(healedAt + healMs, () => this.checker.isWell()))
      throw new Breach('comes good', `not well ${healMs} ms after the last fault: ${this.picture()}`);
    const healedAfter = this.queue.now - healedAt;
    this.#writeThroughEach();
    this.checker.atEnd();
    const { steps, coverage } = this;
    return { steps, epochs: this.checker.opened, acknowledged: this.checker.acknowledged, healedAfter, coverage };
  }

  // Hosts.

  hostAt(address: string): Host | undefined {
    return this.#byAddress.get(address);
  }

  stepped(host: Host, out: MemberOutput): void {
    this.steps += 1;
    const record = host.body?.replica.pools.get(pool) ?? null;
    if (record !== null) this.checker.learned(record);
    this.units.get(host)!.stepped(out);
  }

  ended(host: Host, why: string): void {
    this.note(host.name, `ends by itself: ${why}`);
    this.covered(`ended: ${why.split(':')[0]}`);
    this.units.get(host)!.die();
    this.queue.after(1000 + this.random.next() * 1000, () => this.start(host));
  }

  noted(): void {}

  answered(): void {}

  start(host: Host): void {
    if (host.body !== null) return;
    this.units.get(host)!.start();
    host.start((restored) => new Member(this.#memberOptions(host), restored));
    this.note(host.name, `starts, boot ${host.boot}`);
  }

  crash(host: Host): void {
    if (host.body === null) return;
    host.crash();
    this.units.get(host)!.die();
    this.note(host.name, 'is killed');
  }

  /** Whoever leads, as the others see it. */
  leader(): Host | undefined {
    const leading = this.hosts.filter(({ body }) => body?.status().raft?.role === 'leader');
    return leading.sort((a, b) => b.body!.status().term - a.body!.status().term)[0];
  }

  // What faults of the cluster need beside.

  order(kind: 'add' | 'remove' | 'transfer', who: Host | null): void {
    if (kind === 'transfer') this.leader()?.call({ kind, to: who?.uid ?? null }, () => {});
  }

  suspended(): void {}

  once(): void {}

  // Units.

  policyOf(unit: Unit): PoolPolicy {
    return filePolicy(this.kind, {
      nodes: this.nodes,
      moved: (node) => this.moved.has(`${unit.name} ${node}`),
      other: this.other.has(unit.name),
    });
  }

  #nodeOf(unit: Unit, id: string): AppNode {
    const found = this.moved.has(`${unit.name} ${id}`)
      ? this.decoys.get(id)
      : this.nodes.find((node) => node.id === id);
    return found!;
  }

  #way(from: string, to: string, then: () => void, late = 0): void {
    if (!this.cutWays.has(`${from}>${to}`)) this.queue.after(between(this.random, [0.2, 2]) + late, then);
  }

  probe(unit: Unit, id: string, answer: (answer: ProbeAnswer) => void): void {
    const node = this.#nodeOf(unit, id);
    const epoch = unit.host.body?.replica.pools.get(pool)?.epoch ?? 0;
    this.#way(unit.name, id, () => {
      if (!node.alive) return this.#way(id, unit.name, () => answer({ kind: 'refused' }));
      if (node.hung) return;
      if (epoch > 0) node.findPlace();
      const health = node.health(epoch);
      const knows = node.synced || node.role === 'primary' || this.style === 'shared';
      this.#way(id, unit.name, () => answer({ kind: 'answer', ok: knows, ...health }));
    });
  }

  send(
    unit: Unit,
    op: Op,
    to: { readonly epoch: number; readonly node: string; answer: (a: NodeAnswer) => void },
  ): void {
    const node = this.#nodeOf(unit, to.node);
    this.checker.sends(unit, op, { epoch: to.epoch, node });
    const write: Write = { id: op.id, epoch: to.epoch, takes: op.takes };
    const back = (answer: NodeAnswer): void => this.#way(to.node, unit.name, () => to.answer(answer));
    const late = this.lateMs > 0 && this.random.next() < 0.3 ? this.random.next() * this.lateMs : 0;
    if (late > 1000) this.covered('data: bytes came late');
    this.#way(
      unit.name,
      to.node,
      () => {
        if (!node.alive) back({ ok: false, position: null, why: 'reset' });
        else if (!node.hung) node.write(write, back);
      },
      late,
    );
    unit.after(answerMs, () => to.answer({ ok: false, position: null, why: 'no answer in time' }));
  }

  passes(_unit: Unit, op: Op, epoch: number): void {
    this.checker.passes(op, epoch);
  }

  runHook(unit: Unit, run: HookRun, done: (answer: NodeAnswer) => void): void {
    this.checker.hookStarts(unit, run);
    this.covered(`hook: ${run.kind}`);
    const left = run.deadline - unit.host.now();
    const no = (why: string): NodeAnswer => ({ ok: false, position: null, why });
    unit.after(Math.max(0, left), () => done(no('no answer in time')));
    const node = this.#nodeOf(unit, run.target.node);
    const dice = this.random.next();
    // At once, or at any time up to its deadline; the answer may not come.
    const takes = dice < 0.75 ? 1 + this.random.next() * 30 : this.random.next() * Math.max(1, left - 5);
    const mute = !this.calm && this.random.next() < 0.1;
    this.#way(unit.name, node.id, () => {
      if (!node.alive) return this.#way(node.id, unit.name, () => done(no('refused')));
      if (node.hung) return;
      if (!this.calm && this.random.next() < node.hookFails)
        return this.#way(node.id, unit.name, () => done(no('the hook says no')));
      // Whatever becomes of who asked: the handler runs.
      this.queue.at(this.queue.now + takes * 0.99, () => {
        if (!node.answers) return;
        const answer = node.hook(run.kind, run.epoch);
        this.covered(`hook: ${run.kind} ${answer.ok ? 'took effect' : 'refused by the node'}`);
        if (!mute) this.#way(node.id, unit.name, () => done(answer));
      });
    });
  }

  handOverMs(): Millis {
    return this.random.next() < 0.8 ? 1 : 200 + this.random.next() * 1500;
  }

  // Nodes.

  begun(node: AppNode, write: Write): void {
    this.checker.begun(node, write);
  }

  promoted(node: AppNode, epoch: number): void {
    this.note(node.id, `is promoted, epoch ${epoch}`);
    this.checker.promoted(node, epoch);
  }

  note(who: string, text: string): void {
    this.timeline.note(who, text);
  }

  covered(what: string): void {
    this.coverage.note(what);
  }

  picture(): string {
    const members = this.hosts.map((host) => {
      const status = this.units.get(host)!.machine?.status(pool);
      if (status == null) return `${host.name} down`;
      const { record, state, reason, stopped } = status;
      return `${host.name} ${state} ${record?.phase} ${record?.epoch} ${record?.target?.node} (${reason}) ${stopped}`;
    });
    const nodes = this.nodes.map((node) => `${node.id} ${node.answers ? 'up' : 'down'} ${node.role} ${node.seen}`);
    return [...members, ...nodes].join('; ');
  }

  #add(n: number): void {
    const address = `10.0.0.${n}:7946`;
    const rate = 1 + (this.random.next() * 2 - 1) * 0.0048;
    const clock = new MemberClock({ rate, origin: Math.floor(this.random.next() * 1e6), wallOffset: 1.7e12 });
    const host = new Host({ name: `m${n}`, address, uid: uidOf(address), clock }, this);
    this.hosts.push(host);
    this.units.set(host, new Unit(host, this));
    this.#byAddress.set(address, host);
  }

  #memberOptions(host: Host): MemberOptions {
    const { members } = this.kind;
    const seeds = this.hosts.filter((other) => other !== host).map(({ address }) => address);
    const witness = members === 3 && host.name === 'm3' && this.seed % 5 === 0;
    return {
      name: host.name,
      address: host.address,
      cluster: members === 1 ? null : { seeds, expect: members },
      metadata: { version: '1.0.0', priority: 100, witness, admin: '', zone: '' },
      random: seededRandom(this.random.below(2 ** 31)),
      now: host.now(),
      wall: host.clock.wall(this.queue.now),
      settings: { snapshotEvery: 40 },
      raft: { keepEntries: 20, moveAfterMs: 5000 },
      rules: this.kind.memberRules ?? {},
    };
  }

  newOp(takes: Millis, done: Op['done']): Op {
    this.#op += 1;
    return { id: this.#op, takes, done };
  }

  #client(n: number): void {
    const again = (): void => this.queue.after(20 + this.random.next() * 80, () => this.#client(n));
    const host = oneOf(this.random, this.hosts)!;
    const thread = oneOf(this.random, this.units.get(host)!.threads);
    if (thread === undefined) return again();
    const long = this.random.next() < 0.04;
    const op = this.newOp(long ? this.random.next() * 4000 : 1 + this.random.next() * 20, (end) => {
      this.checker.ended(op, end);
      again();
    });
    this.checker.asked(op, host.name);
    thread.accept(op);
  }

  #heal(): void {
    this.calm = true;
    this.note('world', 'the faults stop');
    this.net.mendAll();
    this.net.calm();
    this.cutWays.clear();
    this.lateMs = 0;
    this.moved.clear();
    this.other.clear();
    for (const node of this.nodes) {
      node.cluster = null;
      if (!node.alive) node.start();
      node.hung = false;
    }
    for (const host of this.hosts) {
      host.disk.calm();
      host.disk.unstick();
      host.resume();
      this.start(host);
      const unit = this.units.get(host)!;
      for (const thread of unit.threads) thread.go();
      unit.reload();
    }
    this.operator.helpsOut();
  }

  /** Nodes may need a moment to follow again, and answer with errors until then. */
  #writeThroughEach(): void {
    const open = new Set(this.hosts);
    const write = (host: Host): void => {
      const op = this.newOp(5, (end) => {
        this.checker.ended(op, end);
        if (end.kind === 'answered') open.delete(host);
        else this.queue.after(100, () => write(host));
      });
      this.checker.asked(op, host.name);
      this.units.get(host)!.threads[0]!.accept(op);
    };
    for (const host of this.hosts) write(host);
    if (!this.queue.run(this.queue.now + 20_000, () => open.size === 0))
      throw new Breach(
        'comes good',
        `unanswered through ${[...open].map(({ name }) => name).join()}: ${this.picture()}`,
      );
  }
}
