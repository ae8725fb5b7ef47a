/**
 * A laboratory for raft machines: a virtual net, disks and clocks around the real core, driven as contract.ts says.
 *
 * World time is one number; each machine's clock runs at its own rate and from its own origin. A disk writes in the
 * order in which it was asked; that it has written is reported later, in any order; a crash loses what it has not
 * written yet. Messages are lost, doubled, delayed (and so reordered) by chance. One seed, one run.
 */
import type { Millis } from '../../../src/base/ids.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { TimeHeap } from '../../../src/base/time-heap.ts';
import type {
  Answer,
  Persist,
  RaftEvent,
  RaftInput,
  RaftOutput,
  ReadAnswer,
} from '../../../src/cluster/raft/contract.ts';
import type { RaftMessage } from '../../../src/cluster/raft/messages.ts';
import {
  type Entry,
  type Index,
  type MemberId,
  memberId,
  newborn,
  type Restored,
} from '../../../src/cluster/raft/model.ts';
import type { RaftOptions } from '../../../src/cluster/raft/options.ts';
import { Raft } from '../../../src/cluster/raft/raft.ts';

export interface LabOptions {
  readonly seed?: number;
  readonly voters: readonly string[];
  /** Machines that start outside of the configuration. */
  readonly spare?: readonly string[];
  /** One way, in ms. */
  readonly delay?: readonly [Millis, Millis];
  readonly diskDelay?: readonly [Millis, Millis];
  /** How much later than written a write is reported. */
  readonly reportDelay?: readonly [Millis, Millis];
  /** Clocks differ by up to this share from world time. */
  readonly drift?: number;
  readonly raft?: Partial<RaftOptions>;
  readonly per?: Readonly<Record<string, Partial<RaftOptions>>>;
}

export interface Disk {
  restored: Restored;
}

interface Write {
  readonly persist: Persist;
  readonly boot: number;
}

export class Machine {
  readonly id: MemberId;
  readonly rate: number;
  readonly origin: Millis;
  raft: Raft | null = null;
  boot = 0;
  disk: Disk;
  /** The log as the machine itself has it, durable or not: from what it handed out to be written. */
  mirror: Restored;
  writes: Write[] = [];
  /** Nothing reaches it before. */
  pausedUntil: Millis = 0;
  /** Its disk writes nothing before. */
  diskStuckUntil: Millis = 0;
  lastWriteAt: Millis = 0;
  applied: Index = 0;
  readonly events: RaftEvent[] = [];
  answers: Answer[] = [];
  changes: Answer[] = [];
  reads: ReadAnswer[] = [];
  wakeGeneration = 0;

  constructor(id: MemberId, first: Restored, clock: { readonly rate: number; readonly origin: Millis }) {
    this.id = id;
    this.rate = clock.rate;
    this.origin = clock.origin;
    this.disk = { restored: first };
    this.mirror = first;
  }

  clock(world: Millis): Millis {
    return this.origin + world * this.rate;
  }

  world(clock: Millis): Millis {
    return (clock - this.origin) / this.rate;
  }
}

/** What the disk holds after this transaction; in the order that `Persist` promises. */
export function written(disk: Restored, { hard, truncateFrom, compactTo, snapshot, entries }: Persist): Restored {
  let kept: readonly Entry[] = disk.entries;
  if (truncateFrom !== null) kept = kept.filter(({ index }) => index < truncateFrom);
  if (compactTo !== null) kept = kept.filter(({ index }) => index > compactTo);
  return { hard: hard ?? disk.hard, snapshot: snapshot ?? disk.snapshot, entries: [...kept, ...entries] };
}

export type Watch = (machine: Machine, out: RaftOutput) => void;

export class Lab {
  now: Millis = 0;
  readonly random: Random;
  readonly machines = new Map<MemberId, Machine>();
  readonly options: LabOptions;
  /** Directed pairs "a>b" that carry nothing. */
  readonly cut = new Set<string>();
  /** Messages to these take so much longer. */
  readonly slowTo = new Map<MemberId, Millis>();
  /** Clients write nothing. */
  quiet = false;
  loss = 0;
  doubling = 0;
  delay: readonly [Millis, Millis];
  diskDelay: readonly [Millis, Millis];
  reportDelay: readonly [Millis, Millis];
  steps = 0;
  sent = 0;
  watch: Watch = () => {};
  /** May drop (null) or change a message on its way. */
  onWire: (message: RaftMessage) => RaftMessage | null = (message) => message;
  readonly #queue = new TimeHeap<() => void>();
  #order = 0;

  constructor(options: LabOptions) {
    this.options = options;
    this.random = seededRandom(options.seed ?? 1);
    this.delay = options.delay ?? [1, 1];
    this.diskDelay = options.diskDelay ?? [1, 1];
    this.reportDelay = options.reportDelay ?? [0, 0];
    const voters = options.voters.map(memberId);
    for (const id of voters) this.#add(id, newborn(voters));
    for (const id of (options.spare ?? []).map(memberId)) this.#add(id, newborn());
    for (const id of this.machines.keys()) this.start(id);
  }

  between([min, max]: readonly [Millis, Millis]): Millis {
    return min + this.random.next() * (max - min);
  }

  machine(id: string): Machine {
    return this.machines.get(memberId(id))!;
  }

  raft(id: string): Raft {
    return this.machine(id).raft!;
  }

  get live(): Machine[] {
    return [...this.machines.values()].filter(({ raft }) => raft !== null);
  }

  /** Live machines that lead, highest term first. */
  get leaders(): Machine[] {
    const term = (machine: Machine): number => machine.raft!.status().term;
    return this.live.filter(({ raft }) => raft!.status().role === 'leader').sort((a, b) => term(b) - term(a));
  }

  at(when: Millis, what: () => void): void {
    // A whisker apart, so that what was asked for first also happens first.
    this.#order = (this.#order + 1) % 1e6;
    this.#queue.push(Math.max(when, this.now) + this.#order * 1e-9, what);
  }

  /** Runs until world time `until`, or until `done` holds. True if it does. */
  runUntil(until: Millis, done: () => boolean = () => false): boolean {
    while (this.#queue.peekAt() <= until) {
      if (done()) return true;
      this.now = Math.max(this.now, this.#queue.peekAt());
      this.#queue.pop()!();
    }
    this.now = Math.max(this.now, until);
    return done();
  }

  run(ms: Millis, done?: () => boolean): boolean {
    return this.runUntil(this.now + ms, done);
  }

  start(id: MemberId): void {
    const machine = this.machines.get(id)!;
    machine.boot += 1;
    machine.mirror = machine.disk.restored;
    machine.applied = machine.disk.restored.snapshot.index;
    const options: RaftOptions = {
      ...this.options.raft,
      ...this.options.per?.[id],
      id,
      boot: machine.boot,
      now: machine.clock(this.now),
      random: seededRandom(this.random.below(2 ** 31)),
    };
    machine.raft = new Raft(options, machine.disk.restored);
    machine.lastWriteAt = this.now;
    this.#finish(machine);
  }

  crash(id: string): void {
    const machine = this.machine(id);
    machine.raft = null;
    machine.writes = [];
    machine.wakeGeneration += 1;
  }

  restart(id: string): void {
    this.crash(id);
    this.start(memberId(id));
  }

  isolate(id: string): void {
    for (const other of this.machines.keys()) if (other !== id) this.part(id, other);
  }

  part(a: string, b: string): void {
    this.cut.add(`${a}>${b}`).add(`${b}>${a}`);
  }

  heal(): void {
    this.cut.clear();
  }

  step(id: string, input: RaftInput): void {
    const machine = this.machine(id);
    if (machine.raft === null) return;
    if (this.now < machine.pausedUntil) {
      const { boot } = machine;
      return this.at(machine.pausedUntil, () => {
        if (machine.boot === boot) this.step(id, input);
      });
    }
    this.steps += 1;
    machine.raft.step(machine.clock(this.now), input);
    this.#finish(machine);
  }

  #add(id: MemberId, first: Restored): void {
    const drift = this.options.drift ?? 0;
    const rate = 1 + (this.random.next() * 2 - 1) * drift;
    const origin = drift === 0 ? 0 : Math.floor(this.random.next() * 1e6);
    this.machines.set(id, new Machine(id, first, { rate, origin }));
  }

  #finish(machine: Machine): void {
    const out = machine.raft!.take();
    if (out.persist !== null) this.#write(machine, out.persist);
    if (out.apply?.snapshot) machine.applied = out.apply.snapshot.index;
    machine.applied = out.apply?.entries.at(-1)?.index ?? machine.applied;
    machine.events.push(...out.events);
    machine.answers.push(...out.proposals);
    machine.changes.push(...out.changes);
    machine.reads.push(...out.reads);
    for (const message of out.send) this.#send(message);
    this.watch(machine, out);
    this.#arm(machine);
  }

  #arm(machine: Machine): void {
    machine.wakeGeneration += 1;
    const generation = machine.wakeGeneration;
    const wakeAt = machine.raft!.wakeAt();
    if (wakeAt === Number.POSITIVE_INFINITY) return;
    const wanted = machine.world(wakeAt);
    // A machine that wants to be woken in the past would stop the world.
    this.at(wanted <= this.now ? this.now + 1 : wanted + 0.001, () => {
      if (machine.wakeGeneration === generation) this.step(machine.id, { kind: 'tick' });
    });
  }

  #write(machine: Machine, persist: Persist): void {
    machine.mirror = written(machine.mirror, persist);
    const write: Write = { persist, boot: machine.boot };
    machine.writes.push(write);
    const from = Math.max(machine.lastWriteAt, machine.diskStuckUntil, this.now);
    machine.lastWriteAt = from + this.between(this.diskDelay);
    this.at(machine.lastWriteAt, () => this.#land(machine, write));
  }

  /** The write is on disk now, unless it was lost, or the disk hangs, or one before it is not there yet. */
  #land(machine: Machine, write: Write): void {
    if (!machine.writes.includes(write)) return;
    if (this.now < machine.diskStuckUntil) return this.at(machine.diskStuckUntil, () => this.#land(machine, write));
    if (machine.writes[0] !== write) return this.at(this.now + 0.1, () => this.#land(machine, write));
    machine.writes.shift();
    machine.disk.restored = written(machine.disk.restored, write.persist);
    this.at(this.now + this.between(this.reportDelay), () => {
      if (machine.raft !== null && machine.boot === write.boot)
        this.step(machine.id, { kind: 'persisted', ticket: write.persist.ticket });
    });
  }

  #send(message: RaftMessage): void {
    const copies = this.random.next() < this.doubling ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      this.sent += 1;
      if (this.random.next() < this.loss) continue;
      this.at(this.now + this.between(this.delay) + (this.slowTo.get(message.to) ?? 0), () => {
        if (this.cut.has(`${message.from}>${message.to}`)) return;
        const arrived = this.onWire(message);
        if (arrived !== null && this.machines.has(arrived.to))
          this.step(arrived.to, { kind: 'message', message: arrived });
      });
    }
  }
}
