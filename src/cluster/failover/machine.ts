/** The failover machine: see contract.ts for its loop. Here inputs are handed to guard and director, and words between them. */

import { assertNever } from '../../base/assert.ts';
import type { MemberId, Millis } from '../../base/ids.ts';
import { decodeWord } from './codec.ts';
import type {
  CommandAnswer,
  FailoverCommand,
  FailoverInput,
  FailoverOptions,
  FailoverOutput,
  PoolStatus,
} from './contract.ts';
import { Core } from './core.ts';
import { Director } from './director.ts';
import { Guard } from './guard.ts';
import type { PoolPolicy, PoolRecord } from './model.ts';
import { Pool } from './pool.ts';
import { Runner } from './runner.ts';
import { statusOf } from './state.ts';
import { Transit } from './transit.ts';
import { reportWordMs, type Word } from './words.ts';

export class FailoverMachine {
  readonly #core: Core;
  readonly #guard: Guard;
  readonly #director: Director;
  readonly #runner: Runner;
  readonly #transit = new Transit();
  readonly #pools = new Map<string, Pool>();
  #records: readonly PoolRecord[] = [];
  #reportedAt: Millis = -Infinity;
  /** Commands for several pools: how many have not answered yet. */
  readonly #joint = new Map<number, number>();
  /** Words that were none, by peers. */
  refused = 0;

  constructor(options: FailoverOptions) {
    this.#core = new Core(options);
    this.#guard = new Guard(this.#core);
    this.#director = new Director(this.#core);
    this.#runner = new Runner(this.#core);
  }

  step(now: Millis, input: FailoverInput): void {
    this.#core.now = Math.max(now, this.#core.now);
    const touched = this.#take(input);
    this.#settle(touched);
  }

  /** Pools to look at: one, or all (null). */
  #take(input: FailoverInput): Pool | null {
    switch (input.kind) {
      case 'tick':
        return null;
      case 'policies':
        return this.#policies(input.policies);
      case 'records':
        return this.#learn(input.records);
      case 'cluster':
        return this.#cluster(input.view);
      case 'told':
        return this.#told(input.from, input.bytes);
      case 'proposed':
        return this.#director.proposed(input.id, input.ok);
      case 'hooked':
        this.#runner.hooked(input);
        return null;
      case 'command':
        return this.#command(input.id, input.command);
      case 'void':
        this.#core.left ||= input.why === 'removed';
        for (const pool of this.#pools.values()) this.#guard.void(pool);
        return null;
      default:
        return this.#ofPool(input);
    }
  }

  #ofPool(input: Extract<FailoverInput, { kind: 'moving' | 'report' | 'leased' | 'held' }>): Pool | null {
    if (input.kind === 'leased') {
      for (const pool of this.#pools.values()) if (pool.asks.has(input.id)) this.#guard.leased(pool, input);
      return null;
    }
    const pool = this.#pools.get(input.kind === 'report' ? input.report.pool : input.pool);
    if (pool === undefined) return null;
    switch (input.kind) {
      case 'moving':
        this.#guard.move(pool);
        break;
      case 'report':
        this.#guard.report(pool, input.report);
        break;
      case 'held':
        this.#guard.held(pool, input);
        break;
      default:
        return assertNever(input, 'input');
    }
    return pool;
  }

  #policies(policies: readonly PoolPolicy[]): null {
    const names = new Set(policies.map(({ pool }) => pool));
    for (const [name, pool] of this.#pools) {
      if (names.has(name)) continue;
      this.#director.forget(pool);
      this.#pools.delete(name);
      if (pool.board !== null)
        this.#core.out.board.push({
          ...pool.board,
          writeUntil: 0,
          otherwise: 'refuse',
          why: 'not in the file any more',
          fencing: false,
        });
    }
    for (const policy of policies) {
      const pool = this.#pools.get(policy.pool) ?? new Pool(policy.pool, this.#core);
      this.#pools.set(policy.pool, pool);
      pool.policy = policy;
      pool.reports.keepOnly(new Set(policy.nodes.map(({ id }) => id)), true);
      const record = this.#records.find((known) => known.pool === policy.pool);
      if (record !== undefined) this.#guard.learn(pool, record);
    }
    this.#reportedAt = -Infinity;
    return null;
  }

  #learn(records: readonly PoolRecord[]): null {
    this.#records = records;
    for (const record of records) {
      const pool = this.#pools.get(record.pool);
      if (pool !== undefined) this.#guard.learn(pool, record);
    }
    return null;
  }

  #cluster(view: Extract<FailoverInput, { kind: 'cluster' }>['view']): null {
    const { leader, term } = this.#core.view;
    this.#core.look(view);
    this.#runner.look();
    this.#director.look();
    this.#transit.keepOnly(this.#core.members);
    if (leader !== view.leader || term !== view.term) {
      this.#reportedAt = -Infinity;
      for (const pool of this.#pools.values()) {
        pool.heldToldAt = -Infinity;
        pool.told = null;
        if (!view.leads) pool.reports.keepOnly(new Set(pool.policy?.nodes.map(({ id }) => id)), false);
      }
    }
    return null;
  }

  #told(from: MemberId, bytes: Uint8Array): Pool | null {
    const word = decodeWord(bytes);
    if (word === null || !this.#core.members.includes(from)) {
      this.refused += 1;
      return null;
    }
    return this.#hear(from, word);
  }

  #hear(from: MemberId, word: Word): Pool | null {
    if (word.kind === 'report') return this.#hearReport(from, word);
    if (word.kind === 'ran') return this.#director.ran(word);
    const pool = this.#pools.get(word.pool);
    if (word.kind === 'run') this.#runner.run(from, word, pool);
    if (pool === undefined) return null;
    const leads = from === this.#core.view.leader;
    if (word.kind === 'probe') this.#guard.probe(pool, word.node);
    if (word.kind === 'held') this.#director.held(from, pool, word);
    if (word.kind === 'drain' && leads) this.#guard.drain(pool, word.epoch, word.on);
    if (word.kind === 'state' && leads && from !== this.#core.self)
      pool.told = { state: word.state, reason: word.reason, differing: word.differing, at: this.#core.now };
    return pool;
  }

  #hearReport(from: MemberId, word: Extract<Word, { kind: 'report' }>): null {
    this.#director.heard(from, word.clock);
    const late = this.#transit.excess(from, word.clock, this.#core.now);
    for (const [name, hash] of word.policies) this.#pools.get(name)?.hashes.set(from, hash);
    // Also while its own first entry is not committed yet: they are sent again to a new leader once, and soon (5.1).
    if (this.#core.view.leader !== this.#core.self) return null;
    const sent = this.#core.now - late;
    for (const { age, ...report } of word.reports)
      this.#pools.get(report.pool)?.reports.set(from, { ...report, at: sent - age });
    return null;
  }

  #command(id: number, command: FailoverCommand): null {
    const answer = this.#answer(id, command);
    if (answer !== null) this.#core.out.answers.push({ id, answer });
    return null;
  }

  #answer(id: number, command: FailoverCommand): CommandAnswer | null {
    const known = [...this.#pools.keys()];
    const chosen = command.pool === null ? known : known.filter((name) => name === command.pool);
    if (chosen.length === 0) return { ok: false, error: { kind: 'unknown-pool', known } };
    const { leader, quorum } = this.#core.view;
    if (!this.#director.active)
      return {
        ok: false,
        error: quorum && leader !== null ? { kind: 'not-leader', leader } : { kind: 'no-quorum', missing: [] },
      };
    if (chosen.length > 1) this.#joint.set(id, chosen.length);
    for (const name of chosen.slice(0, -1)) {
      const answer = this.#director.command(this.#pools.get(name)!, id, command);
      if (answer !== null) this.#core.out.answers.push({ id, answer });
    }
    return this.#director.command(this.#pools.get(chosen.at(-1)!)!, id, command);
  }

  /** A command for several pools is answered once: by the first that could not, else by the last. */
  #counts(id: number, ok: boolean): boolean {
    const left = this.#joint.get(id);
    if (left === undefined) return true;
    if (left <= 0) return false;
    this.#joint.set(id, ok ? left - 1 : 0);
    return !ok || left === 1;
  }

  #settle(touched: Pool | null): void {
    const { now } = this.#core;
    if (now >= this.#reportedAt + reportWordMs) {
      this.#reportedAt = now;
      for (const pool of this.#pools.values()) this.#guard.tellReports(pool, null);
    }
    const due = touched === null ? [...this.#pools.values()] : [touched];
    for (const pool of due) this.#tend(pool);
    // Words to ourselves are heard in the same step, and may lead to others; each round only looks at what they touched.
    for (let round = 0; this.#core.ownWords.length > 0; round++) {
      const words = this.#core.ownWords.splice(0);
      if (round > 20) break;
      const pools = new Set(words.map((word) => this.#hear(this.#core.self, word)));
      for (const pool of pools) if (pool !== null && this.#pools.has(pool.name)) this.#tend(pool);
    }
  }

  #tend(pool: Pool): void {
    pool.wakeAt = Number.POSITIVE_INFINITY;
    this.#guard.tend(pool);
    this.#director.tend(pool);
  }

  take(): FailoverOutput {
    for (const pool of this.#pools.values()) {
      const board = this.#guard.board(pool);
      if (board !== null) this.#core.out.board.push(board);
    }
    this.#core.out.mayMove = this.#mayMove();
    const out = this.#core.take();
    return { ...out, answers: out.answers.filter(({ id, answer }) => this.#counts(id, answer.ok)) };
  }

  #mayMove(): boolean {
    if (!this.#director.active) return true;
    return [...this.#pools.values()].every(({ told }) => told?.state !== 'DETECTING' && told?.state !== 'FAILING_OVER');
  }

  /** When to step with a tick, if nothing happens before. */
  wakeAt(): Millis {
    let at = this.#reportedAt + reportWordMs;
    for (const pool of this.#pools.values()) at = Math.min(at, pool.wakeAt);
    return Math.max(at, this.#core.now);
  }

  status(pool: string): PoolStatus | null {
    const known = this.#pools.get(pool);
    return known === undefined ? null : statusOf(this.#core, known, this.#director.leadOf(known));
  }

  statuses(): readonly PoolStatus[] {
    return [...this.#pools.values()].map((pool) => statusOf(this.#core, pool, this.#director.leadOf(pool)));
  }
}
