/**
 * One seed: machines over a bad net, with crashes, slow disks, stalls and changes of who belongs, and clients that
 * write and read meanwhile. Then the faults stop, and within `healMs` there must be one leader and equal logs.
 */
import type { Millis } from '../../../src/base/ids.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import type { Change } from '../../../src/cluster/raft/contract.ts';
import { isMember, type MemberId } from '../../../src/cluster/raft/model.ts';
import { type Rules, safeRules } from '../../../src/cluster/raft/rules.ts';
import { deafAfterTransfer, forgetful, lateAnswers, twoRemovals } from './ambushes.ts';
import { Breach, Checkers } from './checkers.ts';
import { Lab, type Machine } from './lab.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly rules?: Partial<Rules>;
  readonly faultMs?: Millis;
}

export interface WorldResult {
  readonly steps: number;
  readonly terms: number;
  readonly healedAfter: Millis;
  readonly counts: Checkers['counts'];
  readonly faults: ReadonlyMap<string, number>;
}

/** Elections take at most a few tries of at most two seconds; then followers catch up. */
export const healMs: Millis = 20_000;
const faultEveryMs = 400;

class World {
  readonly lab: Lab;
  readonly checkers: Checkers;
  readonly random: Random;
  readonly faults = new Map<string, number>();
  #id = 0;
  #calm = false;
  /** A voter that never leads may be the only one with the newest log once others are left out; see the decision. */
  readonly #mayChange: boolean;

  constructor({ seed, rules }: WorldOptions) {
    this.random = seededRandom(seed * 7919 + 13);
    const small = seed % 3 === 0;
    this.#mayChange = seed % 4 !== 2;
    this.lab = new Lab({
      seed,
      voters: small ? ['a', 'b', 'c'] : ['a', 'b', 'c', 'd', 'e'],
      spare: small ? ['d', 'e'] : [],
      delay: [0.2, 15],
      diskDelay: [0.2, 8],
      reportDelay: [0, 25],
      drift: 0.004,
      raft: {
        ...(seed % 2 === 0 ? {} : { electionMaxMs: 1060, readLeaseMs: 900, retryMaxMs: 130 }),
        keepEntries: 5,
        snapshotPieceBytes: 5,
        maxInflight: 8,
        maxAppendBytes: 300,
        moveAfterMs: 2000,
        rules: { ...safeRules, ...rules },
      },
      per: { b: { priority: 150 }, e: seed % 4 === 1 ? { witness: true } : seed % 4 === 2 ? { priority: 0 } : {} },
    });
    this.checkers = new Checkers(this.lab);
  }

  run(faultMs: Millis): WorldResult {
    this.lab.at(1500, () => this.#fault());
    this.lab.at(1000, () => this.#client());
    this.lab.run(faultMs);
    this.#heal();
    const healedAt = this.lab.now;
    const whole = this.lab.run(healMs, () => this.#isWhole());
    if (!whole) throw new Breach('comes good', `not whole ${healMs} ms after the faults: ${this.#picture()}`);
    const healedAfter = this.lab.now - healedAt;
    this.checkers.checkWhole();
    const terms = Math.max(...this.lab.live.map(({ raft }) => raft!.status().term));
    return { steps: this.lab.steps, terms, healedAfter, counts: this.checkers.counts, faults: this.faults };
  }

  /** Mostly asks who leads; sometimes anybody, and more than one who thinks that it does. */
  #client(): void {
    const { lab, random } = this;
    lab.at(lab.now + random.next() * (this.#calm ? 200 : 60), () => this.#client());
    const targets = random.next() < 0.8 ? lab.leaders : lab.live;
    const machine = targets[random.below(targets.length)];
    if (machine === undefined) return;
    this.#id += 1;
    if (random.next() < 0.5 && !lab.quiet) this.#propose(machine, this.#id);
    else this.#read(machine, this.#id);
  }

  #propose(machine: Machine, id: number): void {
    const strong = this.random.next() < 0.3;
    this.checkers.willPropose(id, `v${id}`, strong);
    this.lab.step(machine.id, { kind: 'propose', id, data: new TextEncoder().encode(`v${id}`), strong });
  }

  #read(machine: Machine, id: number): void {
    const lease = this.random.next() < 0.5;
    // A machine that stands still gets it later, but then it was asked for later too.
    if (this.lab.now < machine.pausedUntil) return;
    this.checkers.willRead(id, !lease);
    this.lab.step(machine.id, { kind: 'read', id, lease });
  }

  #fault(): void {
    if (this.#calm) return;
    const { lab, random } = this;
    lab.at(lab.now + random.next() * 2 * faultEveryMs, () => this.#fault());
    const kinds = Object.keys(this.#kinds);
    const kind = kinds[random.below(kinds.length)]!;
    const all = [...lab.machines.values()];
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
    this.#kinds[kind]!(all[random.below(all.length)]!, all[random.below(all.length)]!);
  }

  readonly #kinds: Readonly<Record<string, (machine: Machine, other: Machine) => void>> = {
    crash: (machine: Machine): void => this.#crash(machine),
    crashLeader: (): void => this.#crash(this.lab.leaders[0]),
    crashAll: (): void => {
      if (this.random.next() < 0.2) for (const machine of this.lab.machines.values()) this.#crash(machine);
    },
    part: (a: Machine, b: Machine): void => {
      this.lab.part(a.id, b.id);
      this.lab.at(this.lab.now + this.random.next() * 3000, () => this.lab.cut.clear());
    },
    oneWay: (a: Machine, b: Machine): void => {
      this.lab.cut.add(`${a.id}>${b.id}`);
    },
    isolate: (a: Machine): void => this.lab.isolate(a.id),
    isolateLeader: (): void => {
      const leader = this.lab.leaders[0];
      if (leader !== undefined) this.lab.isolate(leader.id);
    },
    heal: (): void => this.lab.heal(),
    healAgain: (): void => this.lab.heal(),
    badNet: (): void => {
      this.lab.loss = this.random.next() * 0.3;
      this.lab.doubling = this.random.next() * 0.3;
      this.lab.delay = this.random.next() < 0.3 ? [1, 1500] : [0.2, 5 + this.random.next() * 100];
    },
    goodNet: (): void => this.#goodNet(),
    slowDisks: (): void => {
      this.lab.diskDelay = [1, this.random.next() * 300];
      this.lab.reportDelay = [0, this.random.next() * 400];
    },
    fastDisks: (): void => this.#fastDisks(),
    stuckDisk: (machine: Machine): void => {
      machine.diskStuckUntil = this.lab.now + this.random.next() * 3000;
    },
    stall: (machine: Machine): void => {
      machine.pausedUntil = this.lab.now + this.random.next() * 3000;
    },
    stallLeader: (): void => {
      const leader = this.lab.leaders[0];
      if (leader !== undefined) leader.pausedUntil = this.lab.now + this.random.next() * 2500;
    },
    voided: (machine: Machine): void => this.lab.step(machine.id, { kind: 'stalled', ms: this.random.next() * 1500 }),
    snapshot: (machine: Machine): void => this.#snapshot(machine),
    snapshots: (): void => {
      for (const machine of this.lab.live) this.#snapshot(machine);
    },
    campaign: (machine: Machine): void => this.lab.step(machine.id, { kind: 'campaign' }),
    transfer: (machine: Machine): void => {
      const leader = this.lab.leaders[0];
      if (leader !== undefined)
        this.lab.step(leader.id, { kind: 'transfer', to: this.random.next() < 0.5 ? machine.id : null });
    },
    mayMove: (machine: Machine): void =>
      this.lab.step(machine.id, { kind: 'mayMove', allowed: this.random.next() < 0.7 }),
    forgetful: (): void => forgetful(this.lab, this.random, (machine) => this.#restart(machine)),
    lateAnswers: (): void => lateAnswers(this.lab, this.random),
    deafAfterTransfer: (): void => deafAfterTransfer(this.lab, this.random),
    twoRemovals: (): void => {
      if (this.#mayChange) twoRemovals(this.lab, this.random);
    },
    change: (machine: Machine, other: Machine): void => this.#change(machine.id, other.id),
    changeMore: (machine: Machine, other: Machine): void => this.#change(machine.id, other.id),
  };

  #goodNet(): void {
    this.lab.loss = this.lab.doubling = 0;
    this.lab.delay = [0.2, 10];
  }

  #fastDisks(): void {
    this.lab.diskDelay = [0.2, 5];
    this.lab.reportDelay = [0, 10];
  }

  #crash(machine: Machine | undefined): void {
    if (machine === undefined || machine.raft === null) return;
    this.lab.crash(machine.id);
    this.lab.at(this.lab.now + this.random.next() * 2500, () => this.#start(machine));
  }

  #restart(machine: Machine): void {
    this.lab.crash(machine.id);
    this.#start(machine);
  }

  #start(machine: Machine): void {
    if (machine.raft !== null) return;
    machine.pausedUntil = machine.diskStuckUntil = 0;
    this.checkers.restarted(machine);
    this.lab.start(machine.id);
  }

  #snapshot(machine: Machine): void {
    const index = machine.applied;
    if (machine.raft !== null && index > 0)
      this.lab.step(machine.id, { kind: 'snapshot', index, data: new TextEncoder().encode(`state ${index}`) });
  }

  #change(member: MemberId, old: MemberId): void {
    const leader = this.lab.leaders[this.random.below(2)] ?? this.lab.leaders[0];
    if (leader === undefined || !this.#mayChange) return;
    const { config } = leader.raft!.status();
    const kinds: Change['kind'][] = !isMember(config, member)
      ? ['add']
      : config.learners.includes(member)
        ? ['promote', 'replace', 'remove']
        : config.voters.length > 2
          ? ['remove', 'demote']
          : [];
    const kind = kinds[this.random.below(kinds.length)];
    if (kind === undefined) return;
    this.#id += 1;
    const change: Change = kind === 'replace' ? { kind, old, member } : { kind, member };
    this.lab.step(leader.id, { kind: 'change', id: this.#id, change, force: this.random.next() < 0.2 });
  }

  #heal(): void {
    this.#calm = true;
    this.lab.heal();
    this.lab.slowTo.clear();
    this.#goodNet();
    this.#fastDisks();
    for (const machine of this.lab.machines.values()) {
      machine.pausedUntil = machine.diskStuckUntil = 0;
      this.#start(machine);
    }
  }

  #isWhole(): boolean {
    const leader = this.lab.leaders[0]?.raft?.status();
    if (leader === undefined || !leader.ready || this.lab.leaders.length !== 1) return false;
    return this.lab.live.every(({ id, raft }) => {
      const status = raft!.status();
      if (!isMember(leader.config, id)) return true;
      return (
        status.leader === leader.leader && status.applied === leader.lastIndex && status.lastTerm === leader.lastTerm
      );
    });
  }

  #picture(): string {
    return this.lab.live
      .map(({ id, raft }) => {
        const { role, term, commit, applied, lastIndex, config } = raft!.status();
        return `${id} ${role} t${term} c${commit} a${applied} l${lastIndex} [${config.voters.join('')}|${config.learners.join('')}]`;
      })
      .join('; ');
  }
}

/** Throws a Breach, with the seed that repeats it, or tells what the run was made of. */
export function runWorld(options: WorldOptions): WorldResult {
  try {
    return new World(options).run(options.faultMs ?? 25_000);
  } catch (error) {
    if (error instanceof Breach) throw new Breach(error.rule, `${error.message} (seed ${options.seed})`);
    throw error;
  }
}
