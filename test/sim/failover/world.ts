/**
 * One seed of failover: whole members (production code, agreement and all) with the failover machine beside each, one or
 * two pools of app nodes behind them, and clients that write through any. The same seed is the same run.
 *
 * Judged by world time and by what nodes and clients recorded, never by what a member believes: see checker.ts. Then the
 * faults stop, and within `healMs` each pool must be open everywhere and take a write through each member.
 */
import type { Millis } from '../../../src/base/ids.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import type { FailoverRules } from '../../../src/cluster/failover/contract.ts';
import type { MemberOptions, MemberOutput } from '../../../src/cluster/member/contract.ts';
import { Member } from '../../../src/cluster/member/member.ts';
import type { MemberRules } from '../../../src/cluster/member/rules.ts';
import type { Token } from '../../../src/proxy/read-after-write.ts';
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
import { act, drawScript } from './faults.ts';
import { type DataHabits, goodDataHabits } from './plants.ts';
import type { Kind } from './policies.ts';
import { Site } from './site.ts';
import type { Op } from './traffic.ts';
import { Unit } from './unit.ts';

export interface FailoverWorldOptions extends Kind {
  readonly faultMs?: Millis;
  readonly script?: readonly Line[];
  readonly rules?: Partial<FailoverRules>;
  readonly memberRules?: Partial<MemberRules>;
  readonly habits?: Partial<DataHabits>;
  /** How often clients open tunnels, of all writes. */
  readonly tunnels?: number;
}

export interface FailoverResult {
  readonly steps: number;
  readonly epochs: number;
  readonly acknowledged: number;
  readonly healedAfter: Millis;
  /** Longest that a failover went on after the faults had stopped. */
  readonly slowestEndMs: Millis;
  readonly coverage: Coverage;
}

export const healMs: Millis = 30_000;
const defaultFaultMs: Millis = 30_000;
const clients = 4;
const secondClients = 2;
/** Looks of the checkers that go by time. */
const lookMs: Millis = 250;

/** What a client remembers of its last write. */
interface Session {
  last: { readonly token: Token; readonly wrote: number } | null;
}

export class FailoverWorld implements HostWorld {
  readonly queue = new Queue();
  readonly random: Random;
  readonly net: Net;
  readonly timeline = new Timeline(() => this.queue.now);
  readonly coverage = new Coverage();
  readonly hosts: Host[] = [];
  readonly units = new Map<Host, Unit>();
  readonly sites: readonly Site[];
  /** Ways between members and nodes that are cut, `m1>a` and `a>m1`, and how long writes take longer. */
  readonly cutWays = new Set<string>();
  lateMs: Millis = 0;
  readonly script: readonly Line[];
  readonly kind: FailoverWorldOptions;
  readonly rules: Partial<FailoverRules>;
  readonly dataHabits: DataHabits;
  readonly seed: number;
  calm = false;
  healedAt: Millis = 0;
  readonly quiet = false;
  steps = 0;
  #op = 0;
  readonly #byAddress = new Map<string, Host>();
  #waiting: { readonly event: string; readonly then: () => void }[] = [];

  constructor(seed: number, options: FailoverWorldOptions) {
    this.seed = seed;
    this.kind = options;
    this.random = seededRandom(seed * 4 + 1);
    this.net = new Net(this.queue, seededRandom(seed * 4 + 2));
    this.rules = options.rules ?? {};
    this.dataHabits = { ...goodDataHabits, ...options.habits };
    this.sites = [new Site('app', options, this), ...(options.second ? [new Site('db', options.second, this)] : [])];
    for (let n = 1; n <= options.members + (options.spare ? 1 : 0); n++) this.#add(n);
    this.script = options.script ?? drawScript(seededRandom(seed * 4 + 3), options, options.faultMs ?? defaultFaultMs);
  }

  get habits(): Habits & DataHabits {
    return { ...goodHabits, ...this.dataHabits };
  }

  run(): FailoverResult {
    const faultMs = this.kind.faultMs ?? defaultFaultMs;
    const { members, witness, second } = this.kind;
    this.covered(`world: ${members} members${witness ? ', one a witness' : ''}`);
    if (second !== null) this.covered('world: two pools');
    for (const host of this.hosts) this.queue.after(this.random.next() * 100, () => this.start(host));
    for (const line of this.script) this.queue.at(line.at, () => this.calm || act(this, line));
    for (const site of this.sites)
      for (let n = 0; n < (site === this.sites[0] ? clients : secondClients); n++) this.#client(site, { last: null });
    this.#lookAgain();
    this.queue.run(faultMs);
    this.#heal();
    const isWell = (): boolean =>
      this.leader()?.body?.status().raft?.ready === true && this.sites.every(({ checker }) => checker.isWell());
    if (!this.queue.run(this.healedAt + healMs, isWell))
      throw new Breach('comes good', `not well ${healMs} ms after the last fault: ${this.picture()}`);
    const healedAfter = this.queue.now - this.healedAt;
    this.#writeThroughEach();
    return this.#result(healedAfter);
  }

  #result(healedAfter: Millis): FailoverResult {
    const { steps, coverage } = this;
    const checkers = this.sites.map(({ checker }) => checker);
    for (const checker of checkers) checker.atEnd();
    const sum = (of: (checker: (typeof checkers)[number]) => number): number =>
      checkers.reduce((all, checker) => all + of(checker), 0);
    return {
      ...{ steps, healedAfter, coverage },
      epochs: sum(({ opened }) => opened),
      acknowledged: sum(({ acknowledged }) => acknowledged),
      slowestEndMs: Math.max(...checkers.map(({ slowestEndMs }) => slowestEndMs)),
    };
  }

  #lookAgain(): void {
    for (const { checker } of this.sites) checker.inTime();
    this.queue.after(lookMs, () => this.#lookAgain());
  }

  // Hosts.

  hostAt(address: string): Host | undefined {
    return this.#byAddress.get(address);
  }

  stepped(host: Host, out: MemberOutput): void {
    this.steps += 1;
    for (const { pool, checker } of this.sites) {
      const record = host.body?.replica.pools.get(pool) ?? null;
      if (record !== null) checker.learned(record);
    }
    this.units.get(host)!.stepped(out);
  }

  ended(host: Host, why: string): void {
    this.note(host.name, `ends by itself: ${why}`);
    this.covered(`ended: ${why.split(':')[0]}`);
    this.units.get(host)!.die();
    if (why.startsWith('disk')) this.queue.after(1000 + this.random.next() * 1000, () => this.start(host));
  }

  /** It was left out of the cluster, and stays down. */
  isOut({ uid }: Host): boolean {
    const config = this.leader()?.body?.status().raft?.config;
    return config !== undefined && !config.voters.includes(uid) && !config.learners.includes(uid);
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
    const leader = this.leader();
    if (kind === 'transfer') return leader?.call({ kind, to: who?.uid ?? null }, () => {});
    const done = (answer: { readonly ok: boolean }): void => this.covered(`${kind}: ${answer.ok ? 'done' : 'refused'}`);
    leader?.call({ kind: 'change', change: kind, member: who!.uid }, done);
  }

  suspended(): void {}

  once(event: string, then: () => void): void {
    this.#waiting.push({ event, then });
  }

  /** `pending`, `open`, `failed`, and the start of a hook, of that pool. */
  happened(event: string, { pool }: Site): void {
    if (pool !== 'app') return;
    const ripe = this.#waiting.filter((one) => one.event === event);
    this.#waiting = this.#waiting.filter((one) => one.event !== event);
    for (const { then } of ripe) this.queue.after(0, then);
  }

  // Between members and nodes.

  way(from: string, to: string, then: () => void, late = 0): void {
    if (!this.cutWays.has(`${from}>${to}`)) this.queue.after(between(this.random, [0.2, 2]) + late, then);
  }

  handOverMs(): Millis {
    return this.random.next() < 0.8 ? 1 : 200 + this.random.next() * 1500;
  }

  note(who: string, text: string): void {
    this.timeline.note(who, text);
  }

  covered(what: string): void {
    this.coverage.note(what);
  }

  picture(): string {
    return this.sites.map((site) => this.#pictureOf(site)).join(' | ');
  }

  #pictureOf({ pool, nodes }: Site): string {
    const members = this.hosts.map((host) => {
      const status = this.units.get(host)!.machine?.status(pool);
      if (status == null) return `${host.name} down ${host.stopped ?? ''}`;
      const { record, state, reason, stopped } = status;
      return `${host.name} ${state} ${record?.phase} ${record?.epoch} ${record?.target?.node} (${reason}) ${stopped}`;
    });
    const all = nodes.map((node) => `${node.name} ${node.answers ? 'up' : 'down'} ${node.role} ${node.seen}`);
    return [...members, ...all].join('; ');
  }

  #add(n: number): void {
    const address = `10.0.0.${n}:7946`;
    const rate = 1 + (this.random.next() * 2 - 1) * 0.0048;
    const clock = new MemberClock({ rate, origin: Math.floor(this.random.next() * 1e6), wallOffset: 1.7e12 });
    const host = new Host({ name: `m${n}`, address, uid: uidOf(address), clock }, this);
    this.hosts.push(host);
    this.units.set(host, new Unit(host, this, this.#isWitness(host)));
    this.#byAddress.set(address, host);
  }

  #isWitness({ name }: Host): boolean {
    return this.kind.witness && name === 'm3';
  }

  #memberOptions(host: Host): MemberOptions {
    const { members } = this.kind;
    const first = this.hosts.slice(0, members).filter((other) => other !== host);
    const seeds = first.slice(0, Math.max(1, members - 1)).map(({ address }) => address);
    return {
      name: host.name,
      address: host.address,
      cluster: members === 1 ? null : { seeds, expect: members },
      metadata: { version: '1.0.0', priority: 100, witness: this.#isWitness(host), admin: '', zone: '' },
      random: seededRandom(this.random.below(2 ** 31)),
      now: host.now(),
      wall: host.clock.wall(this.queue.now),
      settings: { snapshotEvery: 40 },
      raft: { keepEntries: 20, moveAfterMs: 5000 },
      rules: this.kind.memberRules ?? {},
    };
  }

  newOp(takes: Millis, tunnel: boolean, done: Op['done']): Op {
    this.#op += 1;
    return { id: this.#op, takes, tunnel, done };
  }

  #client(site: Site, session: Session): void {
    const again = (): void => this.queue.after(20 + this.random.next() * 80, () => this.#client(site, session));
    const host = oneOf(this.random, this.hosts)!;
    const thread = oneOf(this.random, this.units.get(host)!.sideOf(site).threads);
    if (thread === undefined) return again();
    const { last } = session;
    if (last !== null && this.random.next() < 0.25) thread.read({ ...last, done: () => {} });
    const tunnel = this.random.next() < (this.kind.tunnels ?? 0.005);
    const long = !tunnel && this.random.next() < 0.04;
    const takes = long ? this.random.next() * 4000 : 1 + this.random.next() * 20;
    const op = this.newOp(tunnel ? takes * 1000 : takes, tunnel, (end) => {
      site.checker.ended(op, end);
      if (end.kind === 'answered' && !tunnel) {
        const { epoch, position } = end;
        session.last = { token: { epoch, position, at: host.clock.wall(this.queue.now) }, wrote: op.id };
      }
      again();
    });
    site.checker.asked(op, { name: host.name, thread });
    thread.accept(op);
  }

  #heal(): void {
    this.calm = true;
    this.healedAt = this.queue.now;
    this.note('world', 'the faults stop');
    this.net.mendAll();
    this.net.calm();
    this.cutWays.clear();
    this.lateMs = 0;
    for (const site of this.sites) site.heal();
    for (const host of this.hosts) {
      host.disk.calm();
      host.disk.unstick();
      host.resume();
      if (!this.isOut(host)) this.start(host);
      const unit = this.units.get(host)!;
      for (const thread of unit.threads) thread.go(this.queue.now);
      unit.reload();
    }
    for (const { operator } of this.sites) operator.helpsOut();
  }

  /** Nodes may need a moment to follow again, and answer with errors until then. */
  #writeThroughEach(): void {
    const all = [...this.units.values()]
      .flatMap(({ sides }) => sides)
      .filter(({ threads, unit }) => threads.length > 0 && !this.isOut(unit.host));
    const open = new Set(all);
    const write = (side: (typeof all)[number]): void => {
      const thread = side.threads[0]!;
      const op = this.newOp(5, false, (end) => {
        side.site.checker.ended(op, end);
        if (end.kind === 'answered') open.delete(side);
        else this.queue.after(100, () => write(side));
      });
      side.site.checker.asked(op, { name: side.unit.name, thread });
      thread.accept(op);
    };
    for (const side of all) write(side);
    if (!this.queue.run(this.queue.now + 20_000, () => open.size === 0))
      throw new Breach(
        'comes good',
        `unanswered through ${[...open].map(({ unit, site }) => `${unit.name} ${site.pool}`).join()}: ${this.picture()}`,
      );
  }
}
