/**
 * One seed: N members over a virtual net, with virtual clocks and disks, clients that write and read, and a schedule of
 * faults. After every step of every member the checkers look. Then the faults stop, and within `healMs` the cluster must
 * be whole: one leader, every member up and ACTIVE, logs equal, a write accepted through each.
 *
 * The same seed is the same run, to the last message. A Breach carries the rule; the caller adds how to repeat it.
 */
import type { Millis } from '../../src/base/ids.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { MemberOptions, MemberOutput } from '../../src/cluster/member/contract.ts';
import type { MemberRules } from '../../src/cluster/member/rules.ts';
import { isMember } from '../../src/cluster/raft/model.ts';
import type { Numbers } from '../../src/cluster/raft/options.ts';
import { type Rules, safeRules } from '../../src/cluster/raft/rules.ts';
import { uidOf } from './bare.ts';
import type { Species } from './body.ts';
import { Breach } from './breach.ts';
import { type ClientOptions, Clients } from './clients.ts';
import { MemberClock } from './clock.ts';
import { Coverage } from './coverage.ts';
import { DiskSwaps } from './disk-swaps.ts';
import { act, drawScript, type FaultWorld } from './faults.ts';
import { Host, type HostWorld } from './host.ts';
import { LogChecker } from './log-checker.ts';
import { Minority } from './minority.ts';
import { Net } from './net.ts';
import { goodHabits, type Habits } from './plants.ts';
import { Pools } from './pools.ts';
import { Queue } from './queue.ts';
import type { Line } from './script.ts';
import { StateChecker } from './state-checker.ts';
import { Timeline } from './timeline.ts';
import { whole } from './whole.ts';

export interface WorldOptions {
  /** First voters: 3 or 5. */
  readonly members: number;
  /** Members that are there from the start and belong to nobody yet. */
  readonly spares?: number;
  readonly species?: Species;
  /** Length of the time with faults. */
  readonly faultMs?: Millis;
  /** Instead of the drawn one. */
  readonly script?: readonly Line[];
  /** A member's disk is put back to an earlier copy, once. */
  readonly copies?: boolean;
  /** A disk is lost, two are exchanged; or a second process is started on a copy of one. */
  readonly swaps?: 'empty' | 'exchange' | 'twin';
  /** Faults from the first moment on, thick, while the cluster is formed. */
  readonly early?: boolean;
  readonly clients?: Partial<ClientOptions>;
  readonly raft?: Partial<Numbers>;
  readonly rules?: Partial<MemberRules>;
  readonly raftRules?: Partial<Rules>;
  /** Only for planted bugs of the world's own. */
  readonly habits?: Partial<Habits>;
}

export interface WorldResult {
  readonly steps: number;
  readonly committed: number;
  readonly terms: number;
  readonly healedAfter: Millis;
  readonly clients: Clients['counts'];
  readonly coverage: Coverage;
}

/** Some elections of at most two seconds, connections that were held, and then catching up. */
export const healMs: Millis = 30_000;
export const defaultFaultMs: Millis = 45_000;
const meanFaultMs: Millis = 1500;

/** What may change who votes. */
const changers = /\b(add|remove|empty|exchange|twin)\b/;

export class World implements HostWorld, FaultWorld {
  readonly queue = new Queue();
  readonly net: Net;
  /** Of hosts and faults at work; the schedule and the clients have their own. */
  readonly random: Random;
  readonly hosts: Host[] = [];
  readonly timeline = new Timeline(() => this.queue.now);
  readonly coverage = new Coverage();
  readonly script: readonly Line[];
  readonly species: Species;
  readonly habits: Habits;
  readonly log: LogChecker;
  readonly state: StateChecker;
  readonly #options: WorldOptions;
  readonly #seed: number;
  readonly #byAddress = new Map<string, Host>();
  readonly swaps: DiskSwaps = new DiskSwaps(this);
  readonly #minority: Minority;
  readonly #clusters = new Set<string>();
  /** A second process on a copy of somebody's disk, while there is one. */
  readonly twin: Host | null;
  readonly #startedAt = new Map<Host, Millis>();
  readonly #wallAtStart = new Map<Host, Millis>();
  #waiting: { readonly event: string; readonly then: () => void }[] = [];
  #ledAt: Millis = 0;
  #healedAt: Millis = 0;
  readonly #checkedAt = new Map<Host, number>();
  readonly #pools: Pools;
  #clients: Clients | null = null;
  #calm = false;
  quiet = false;
  steps = 0;

  constructor(seed: number, options: WorldOptions) {
    this.#seed = seed;
    this.#options = options;
    this.species = options.species ?? whole;
    this.habits = { ...goodHabits, ...options.habits };
    this.random = seededRandom(seed * 4 + 1);
    this.net = new Net(this.queue, seededRandom(seed * 4 + 2));
    this.net.noted = (what) => this.noted(what);
    this.log = new LogChecker(this.#logWorld());
    this.state = new StateChecker(this.species);
    const spares = options.spares ?? 0;
    for (let n = 1; n <= options.members + spares; n++) this.#add(n);
    this.twin = options.swaps === 'twin' ? this.#made(99) : null;
    this.#pools = new Pools(this);
    const untilMs = options.faultMs ?? defaultFaultMs;
    const names = this.hosts.slice(options.members).map(({ name }) => name);
    this.script =
      options.script ??
      drawScript(seededRandom(seed * 4 + 3), {
        untilMs,
        meanMs: meanFaultMs,
        spares: names,
        copies: options.copies ?? false,
        swaps: options.swaps ?? null,
        early: options.early ?? false,
        members: options.members,
      });
    this.#minority = new Minority({
      ...{ queue: this.queue, net: this.net, hosts: this.hosts },
      voters: this.script.some(({ words, verb }) => changers.test([verb, ...words].join(' ')))
        ? null
        : this.hosts.slice(0, options.members),
      covered: (what) => this.covered(what),
    });
  }

  run(): WorldResult {
    const faultMs = this.#options.faultMs ?? defaultFaultMs;
    const { members, early } = this.#options;
    this.covered(`world: ${members} first voters${early ? ', faults while they form' : ''}`);
    const startMs = early ? 2500 : 300;
    for (const host of this.hosts) this.queue.after(this.random.next() * startMs, () => this.start(host));
    for (const line of this.script) this.queue.at(line.at, () => this.#calm || act(this, line));
    const clients = new Clients(this.#clientWorld(), {
      clients: 5,
      thinkMs: 350,
      keys: 4,
      locks: 3,
      ...this.#options.clients,
    });
    this.#clients = clients;
    this.queue.run(faultMs);
    this.#heal();
    const healedAt = this.queue.now;
    this.#healedAt = healedAt;
    this.queue.after(healMs / 3, () => this.#takeWayOut());
    if (!this.queue.run(healedAt + healMs, () => this.#isWhole()))
      throw new Breach('comes good', `not whole ${healMs} ms after the last fault: ${this.picture()}`);
    const healedAfter = this.queue.now - healedAt;
    this.note('world', `whole again after ${Math.round(healedAfter)} ms`);
    clients.stop();
    this.#writeThroughEach();
    clients.checkHistories();
    const { steps, coverage } = this;
    const committed = this.log.committed.length - 1;
    return { steps, committed, terms: this.log.leaders.size, healedAfter, clients: clients.counts, coverage };
  }

  // What hosts need.

  hostAt(address: string): Host | undefined {
    return this.#byAddress.get(address);
  }

  answered(...[host, call, about]: Parameters<HostWorld['answered']>): void {
    this.#minority.answered(host, call, about);
  }

  stepped(host: Host, out: MemberOutput): void {
    this.steps += 1;
    if (host === this.twin) {
      for (const event of out.events) if (event.kind === 'note') this.note(host.name, event.text);
      return;
    }
    this.#minority.stepped(host);
    for (const effect of out.effects) if (effect.kind === 'cluster') this.#isOneCluster(effect.id);
    this.log.stepped(host, out);
    this.#pools.stepped(host, out);
    const { index } = host.body!.replica;
    if (this.#checkedAt.get(host) !== index) {
      this.#checkedAt.set(host, index);
      this.state.checkHost(host);
    }
    this.#clients?.checkReadable(host);
    for (const event of out.events) this.#told(host, event);
  }

  #isOneCluster(id: string): void {
    this.#clusters.add(id);
    if (this.#clusters.size > 1) throw new Breach('one cluster', `two were formed: ${[...this.#clusters].join(', ')}`);
  }

  ended(host: Host, why: string): void {
    this.note(host.name, `ends by itself: ${why}`);
    this.covered(`ended: ${why.split(':')[0]}`);
    // Somebody sees to it, and starts it again.
    if (why.startsWith('disk')) this.queue.after(1000 + this.random.next() * 2000, () => this.start(host));
  }

  noted(what: string): void {
    this.coverage.note(what);
  }

  // What faults need.

  leader(): Host | undefined {
    const term = this.log.newestTerm;
    const host = this.log.leaders.get(term);
    return host?.body == null ? undefined : host;
  }

  start(host: Host): void {
    // Whose disk is known to be an old copy stays down: the operator was told the way out.
    if (host.body !== null || host.stopped?.startsWith('amnesia')) return;
    if (host.disk.full && !this.#calm) host.disk.calm();
    host.start((restored) => this.species.make(this.#memberOptions(host), restored));
    this.#startedAt.set(host, this.queue.now);
    this.#wallAtStart.set(host, host.clock.wallOffset);
    if (host !== this.twin) this.log.started(host);
    this.note(host.name, `starts, boot ${host.boot}`);
  }

  crash(host: Host): void {
    if (host.body === null) return;
    host.crash();
    this.note(host.name, 'is killed');
  }

  suspended(ms: Millis): void {
    this.state.suspended(ms);
  }

  order(kind: 'add' | 'remove' | 'transfer', who: Host | null): void {
    const leader = this.leader();
    if (leader === undefined) return;
    const done = (answer: { readonly ok: boolean }): void => this.covered(`${kind}: ${answer.ok ? 'done' : 'refused'}`);
    if (kind === 'transfer') leader.call({ kind, to: who?.uid ?? null }, done);
    else leader.call({ kind: 'change', change: kind, member: who!.uid }, done);
  }

  once(event: string, then: () => void): void {
    this.#waiting.push({ event, then });
  }

  happened(event: string): void {
    const ripe = this.#waiting.filter((one) => one.event === event);
    this.#waiting = this.#waiting.filter((one) => one.event !== event);
    for (const { then } of ripe) then();
  }

  note(who: string, text: string): void {
    this.timeline.note(who, text);
  }

  covered(what: string): void {
    this.coverage.note(what);
  }

  /** Where everybody stands, in one line. */
  picture(): string {
    return this.hosts.map((host) => `${host.name} ${this.#pictureOf(host)}`).join('; ');
  }

  #pictureOf({ body, stopped, pause }: Host): string {
    if (body === null) return stopped === null ? 'down' : `stopped (${stopped})`;
    const { phase, leader, term, raft } = body.status();
    const head = `${pause === 'none' ? '' : `${pause} `}${phase} t${term} leader ${this.#nameOf(leader)}`;
    if (raft === null) return head;
    const { role, commit, applied, lastIndex, config } = raft;
    const names = (ids: readonly string[]): string => ids.map((id) => this.#nameOf(id)).join(' ');
    return `${head} ${role} c${commit} a${applied} l${lastIndex} [${names(config.voters)} | ${names(config.learners)}]`;
  }

  #nameOf(uid: string | null): string {
    return uid === null ? '-' : (this.hosts.find((host) => host.uid === uid)?.name ?? uid.slice(0, 4));
  }

  #add(n: number): void {
    this.hosts.push(this.#made(n));
  }

  #made(n: number): Host {
    const name = `m${n}`;
    const address = `10.0.0.${n}:7946`;
    const rate = 1 + (this.random.next() * 2 - 1) * 0.0095;
    const origin = Math.floor(this.random.next() * 1e6);
    const wallOffset = 1.7e12 + Math.floor(this.random.next() * 2000);
    const host = new Host(
      { name, address, uid: uidOf(address), clock: new MemberClock({ rate, origin, wallOffset }) },
      this,
    );
    this.#byAddress.set(address, host);
    return host;
  }

  #memberOptions(host: Host): MemberOptions {
    const { members, rules, raftRules } = this.#options;
    const first = this.hosts.slice(0, members);
    const seeds = first
      .filter((other) => other !== host)
      .slice(0, members - 1)
      .map(({ address }) => address);
    const place = this.hosts.indexOf(host);
    return {
      name: host.name,
      address: host.address,
      cluster: members === 1 ? null : { seeds, expect: members },
      metadata: {
        version: '1.0.0',
        priority: place === 1 && this.#seed % 2 === 0 ? 150 : 100,
        witness: members === 3 && place === 2 && this.#seed % 5 === 0,
        admin: '',
        zone: '',
      },
      random: seededRandom(this.random.below(2 ** 31)),
      now: host.now(),
      wall: host.clock.wall(this.queue.now),
      settings: { snapshotEvery: 60 },
      raft: { keepEntries: 20, moveAfterMs: 5000, snapshotPieceBytes: 700, maxInflight: 8, ...this.#options.raft },
      rules: rules ?? {},
      raftRules: { ...safeRules, ...raftRules },
    };
  }

  #told(host: Host, event: MemberOutput['events'][number]): void {
    if (event.kind === 'note') return this.note(host.name, event.text);
    if (event.kind === 'swim') return this.covered(`swim: ${event.event.kind}`);
    const { event: one } = event;
    const detail = 'why' in one ? ` ${one.why}` : one.kind === 'role' ? ` ${one.role}` : '';
    this.covered(`raft: ${one.kind}${detail}`);
    if (one.kind === 'became-leader') this.#leads(host, one.term);
    else if (one.kind === 'stepped-down') this.note(host.name, `leads no more: ${one.why}`);
    else if (one.kind === 'standing') this.note(host.name, `stands for term ${one.term}: ${one.why}`);
    else if (one.kind === 'election-lost') this.note(host.name, `is not elected in term ${one.term}: ${one.why}`);
    else if (one.kind === 'config')
      this.note(host.name, `voters ${one.config.voters.map((id) => this.#nameOf(id)).join(' ')}`);
    else if (one.kind === 'refused') this.note(host.name, `refuses ${this.#nameOf(one.from)}: ${one.why}`);
    else if (one.kind === 'transfer') this.note(host.name, `hands over to ${this.#nameOf(one.to)}: ${one.why}`);
    else if (one.kind === 'snapshot-installed') this.note(host.name, `takes a snapshot at ${one.index}`);
  }

  /** What it takes for the wall's time: that of its start, and its own clock since, which may run fast or slow. */
  #wallsOf(host: Host): readonly Millis[] {
    const started = this.#startedAt.get(host) ?? 0;
    const wall = this.queue.now + (this.#wallAtStart.get(host) ?? 0);
    const drift = (this.queue.now - started) * 0.01;
    return [wall - drift, wall + drift];
  }

  /** A majority that was started since the last leader was elected may know the time from wall clocks only. */
  #leads(host: Host, term: number): void {
    this.note(host.name, `leads term ${term}`);
    const fresh = this.hosts.filter((one) => (this.#startedAt.get(one) ?? 0) >= this.#ledAt);
    if (fresh.length > this.#options.members / 2) {
      const walls = fresh.flatMap((one) => this.#wallsOf(one));
      const ahead = this.state.restarted(this.queue.now, walls);
      this.#clients?.timeLeapt(ahead);
      this.covered(`restart of a majority: ${ahead > 0 ? 'the time may leap' : 'the time stays'}`);
    }
    this.#ledAt = this.queue.now;
    this.happened('leads');
  }

  #logWorld(): ConstructorParameters<typeof LogChecker>[0] {
    const world = this;
    return {
      get species() {
        return world.species;
      },
      hosts: this.hosts,
      swaps: this.swaps,
      appended: (entry) => this.state.appended(entry, this.queue.now),
      committed: (entry, by) => {
        this.#pools.committed(this.state.committed(entry, by.body!.status().term));
      },
    };
  }

  #clientWorld(): ConstructorParameters<typeof Clients>[0] {
    return {
      queue: this.queue,
      random: seededRandom(this.#seed * 4 + 4),
      isQuiet: () => this.quiet,
      species: this.species,
      hosts: this.hosts,
      covered: (what) => this.covered(what),
      acknowledged: (ticket, index, result) => this.state.acknowledged(ticket, index, result),
    };
  }

  #heal(): void {
    this.#calm = true;
    this.quiet = false;
    this.note('world', 'the faults stop');
    this.net.mendAll();
    this.net.calm();
    for (const host of this.hosts) {
      host.disk.calm();
      host.disk.unstick();
      host.resume();
      this.start(host);
    }
  }

  /** A first voter lost its disk before there was a cluster: all say that they must start with empty folders, so they do. */
  #takeWayOut(): void {
    const { swaps, early } = this.#options;
    const isStuck = (host: Host): boolean => host.body?.status().phase === 'forming';
    if (swaps !== 'empty' || !early || !this.hosts.every(isStuck)) return;
    this.covered('formation: all started with empty folders');
    for (const host of this.hosts) this.swaps.empty(host);
    for (const host of this.hosts) this.start(host);
  }

  #isWhole(): boolean {
    const leader = this.leader();
    const status = leader?.body?.status().raft;
    if (leader === undefined || status?.role !== 'leader' || !status.ready || status.transferring !== null)
      return false;
    if (this.twin?.body != null) return false;
    return this.hosts.every((host) => {
      const { body, uid, stopped } = host;
      if (body === null)
        return stopped?.startsWith('removed') || (stopped?.startsWith('amnesia') && this.swaps.forgetful.has(host));
      const raft = body.status().raft;
      if (!isMember(status.config, uid)) return true;
      return (
        raft !== null && raft.leader === leader.uid && raft.applied >= status.commit - 20 && raft.term === status.term
      );
    });
  }

  /** A write through each, and then the logs must become equal. */
  #writeThroughEach(): void {
    this.swaps.check(this.queue.now - this.#healedAt);
    const config = this.leader()?.body?.status().raft?.config;
    const open = new Set(
      this.hosts
        .slice(0, this.#options.members)
        .filter(({ body, uid }) => body !== null && (config === undefined || isMember(config, uid))),
    );
    for (const host of open) {
      const command = {
        kind: 'set',
        key: `end/${host.name}`,
        value: new Uint8Array(1),
        lease: null,
        when: { kind: 'any' },
      } as const;
      host.call({ kind: 'propose', command, consistency: 'quorum' }, (answer) => {
        if (!answer.ok) throw new Breach('comes good', `a write through ${host.name} gets ${answer.error.kind}`);
        open.delete(host);
      });
    }
    const equal = (): boolean => open.size === 0 && new Set(this.#ends()).size === 1;
    if (!this.queue.run(this.queue.now + 10_000, equal))
      throw new Breach(
        'comes good',
        `unanswered through ${[...open].map(({ name }) => name).join()}: ${this.picture()}`,
      );
  }

  #ends(): string[] {
    const config = this.leader()?.body?.status().raft?.config;
    const members = this.hosts.filter(
      ({ uid, body }) => body !== null && config !== undefined && isMember(config, uid),
    );
    return members.map(({ body }) => {
      const raft = body?.status().raft;
      return raft == null ? 'none' : `${raft.lastIndex} ${raft.lastTerm} ${raft.applied}`;
    });
  }
}
