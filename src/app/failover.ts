/**
 * Failover in the running process: the driver of its machine (cluster/failover/contract.ts).
 *
 *   checks (HealthMonitor) --+                             +--> board: where writes and reads go (scoreboard)
 *   agreed records ----------+                             +--> proposals, leases (member)
 *   the cluster as it is ----+--> FailoverMachine.step --> +--> words to members
 *   words from members ------+        .take                +--> hooks, checks now
 *   operators ---------------+                             +--> answers, log
 *
 * The board comes first: what ends leave to write takes effect before anything is told. Inputs that come while a take is
 * carried out are taken up by the same loop. One timer, and a fast one only while a fence waits for writes to end.
 */

import { sameData } from '../base/equal.ts';
import type { MemberId, Millis } from '../base/ids.ts';
import { nodeId } from '../base/ids.ts';
import type {
  ClusterView,
  CommandAnswer,
  FailoverCommand,
  FailoverEvent,
  FailoverInput,
  FailoverOutput,
  NodeReport,
  PoolStatus,
} from '../cluster/failover/contract.ts';
import { FailoverMachine } from '../cluster/failover/machine.ts';
import type { PoolPolicy, PoolRecord } from '../cluster/failover/model.ts';
import type { MemberCoordinator } from '../cluster/io/coordinator.ts';
import { HookRunner, type HookTls } from '../cluster/io/hooks.ts';
import type { MemberHost } from '../cluster/io/member-host.ts';
import type { Config } from '../config/model.ts';
import type { HealthMonitor } from '../health/io/monitor.ts';
import type { PrimaryBoard } from '../scoreboard/primary.ts';
import { FailoverBoard, type PoolPlace } from './failover-board.ts';
import { factsOf, type NodeFacts, policiesOf } from './failover-policy.ts';
import { clusterViewOf, sameView } from './failover-view.ts';

export interface FailoverParts {
  readonly host: MemberHost;
  readonly coordinator: MemberCoordinator;
  readonly primary: PrimaryBoard;
  readonly monitor: Pick<HealthMonitor, 'lead' | 'probeNow' | 'reports'>;
  tell(to: MemberId, bytes: Uint8Array): void;
  readonly onEvent: (event: FailoverEvent) => void;
  tlsOf(pool: string): HookTls | null;
}

/** The cluster is looked at so often, besides whenever something happened in it. */
const lookEvery: Millis = 100;
/** The agreed clock is handed over anew after so long: two clocks drift. */
const clockEvery: Millis = 1000;
const heldEvery: Millis = 3;
/** What an operator asked for is answered by then: a switch has bounds of its own, which are shorter. */
const answerWithin: Millis = 120_000;

interface Asked {
  readonly done: (answer: CommandAnswer) => void;
  readonly timer: NodeJS.Timeout;
}

export class Failover {
  readonly board: FailoverBoard;
  readonly #parts: FailoverParts;
  readonly #machine: FailoverMachine;
  readonly #hooks: HookRunner;
  readonly #inputs: FailoverInput[] = [];
  readonly #asked = new Map<number, Asked>();
  readonly #fencing = new Set<string>();
  readonly #unobserve: () => void;
  #config: Config | null = null;
  #facts: NodeFacts = new Map();
  #policies: readonly PoolPolicy[] = [];
  #records: readonly PoolRecord[] = [];
  #view: ClusterView | null = null;
  #viewAt: Millis = Number.NEGATIVE_INFINITY;
  #running = false;
  #closed = false;
  #mayMove = true;
  #command = 0;
  #timer: NodeJS.Timeout | null = null;
  #looking: NodeJS.Timeout;
  #holding: NodeJS.Timeout | null = null;

  constructor(parts: FailoverParts) {
    this.#parts = parts;
    const { host } = parts;
    this.board = new FailoverBoard(parts.primary, () => host.now());
    this.#machine = new FailoverMachine({
      self: host.status().uid,
      now: host.now(),
      writesOverAt: (pool, unconfirmed) => host.writesOverAt(pool, unconfirmed),
      openEpoch: (pool) => host.openEpoch(pool),
    });
    this.#hooks = new HookRunner({
      now: () => host.now(),
      wall: Date.now,
      tlsOf: (pool) => parts.tlsOf(pool),
      onResult: ({ id, ok, detail, position }) => this.input({ kind: 'hooked', id, ok, detail, position }),
    });
    this.#unobserve = parts.coordinator.observe((event) => {
      if (event.kind === 'pool') this.look();
    });
    this.#looking = setInterval(() => this.look(), lookEvery).unref();
  }

  /** The pools of the config that comes into force, and where they are in the scoreboard. */
  configure(config: Config, places: ReadonlyMap<string, PoolPlace>): void {
    this.#config = config;
    this.board.configure(places);
    this.#usePolicies();
    for (const report of this.#parts.monitor.reports()) this.board.report(report);
    for (const record of this.#records) this.#lead(record);
    this.look();
  }

  #usePolicies(): void {
    if (this.#config === null) return;
    const policies = policiesOf(this.#config, this.#facts);
    if (sameData(policies, this.#policies)) return;
    this.#policies = policies;
    this.input({ kind: 'policies', policies });
  }

  /** One check of a node has ended. */
  report(report: NodeReport): void {
    this.board.report(report);
    this.input({ kind: 'report', report });
  }

  /** The cluster may have changed: a leader, a member, what is agreed about a pool. */
  look(): void {
    if (this.#closed || this.#policies.length === 0 || !this.#parts.host.isOpen) return;
    const { host } = this.#parts;
    const view = clusterViewOf(host.status());
    const now = host.now();
    if (this.#view === null || !sameView(view, this.#view) || now - this.#viewAt >= clockEvery) {
      this.#view = view;
      this.#viewAt = now;
      this.input({ kind: 'cluster', view });
    }
    const facts = factsOf(host.replica.registry.list('node'));
    if (!sameData([...facts], [...this.#facts])) {
      this.#facts = facts;
      this.#usePolicies();
    }
    const records = this.#policies.flatMap(({ pool }) => host.replica.pools.get(pool) ?? []);
    if (sameSteps(records, this.#records)) return;
    this.#records = records;
    for (const record of records) this.#lead(record);
    this.input({ kind: 'records', records });
  }

  /** An entry that moves this pool's epoch is in the own log: returns when no write of it can begin here. */
  moving(pool: string): void {
    this.input({ kind: 'moving', pool });
  }

  /** Leases given before this are void: returns when no write can begin under them. */
  void(why: string): void {
    this.input({ kind: 'void', why });
  }

  told(from: MemberId, bytes: Uint8Array): void {
    this.input({ kind: 'told', from, bytes });
  }

  statuses(): readonly PoolStatus[] {
    return this.#machine.statuses();
  }

  status(pool: string): PoolStatus | null {
    return this.#machine.status(pool);
  }

  /** What the own file says of a pool. */
  policy(pool: string): PoolPolicy | null {
    return this.#policies.find((one) => one.pool === pool) ?? null;
  }

  /** On the member that leads; elsewhere `not-leader`. Always answered, in the end by `failed`. */
  command(command: FailoverCommand): Promise<CommandAnswer> {
    const why = 'no answer in time; failover status shows what came of it';
    if (this.#closed) return Promise.resolve({ ok: false, error: { kind: 'failed', why: 'this process ends' } });
    // Who asks may know more of the cluster than the last look told: a leader that gave up has no say in who is fit.
    this.look();
    this.#command += 1;
    const id = this.#command;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#answer(id, { ok: false, error: { kind: 'failed', why } }), answerWithin);
      this.#asked.set(id, { done: resolve, timer });
      this.input({ kind: 'command', id, command });
    });
  }

  /** Writes stop here at once; hooks that run are ended. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unobserve();
    clearInterval(this.#looking);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#hold(false);
    this.#hooks.close();
    this.board.close();
    for (const id of [...this.#asked.keys()])
      this.#answer(id, { ok: false, error: { kind: 'failed', why: 'this process ends' } });
  }

  /** Steps the machine, and returns when the board and all else that it led to has left. */
  input(input: FailoverInput): void {
    if (this.#closed) return;
    this.#inputs.push(input);
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#inputs.length > 0) {
        for (const next of this.#inputs.splice(0)) this.#machine.step(this.#parts.host.now(), next);
        this.#carryOut(this.#machine.take());
      }
    } finally {
      this.#running = false;
    }
    this.#arm();
  }

  #carryOut(out: FailoverOutput): void {
    const { host, coordinator, monitor } = this.#parts;
    for (const board of out.board) this.#putBoard(board);
    for (const { id, record, note } of out.proposals)
      void coordinator
        .propose({ kind: 'pool', record, note })
        .then((result) => this.input({ kind: 'proposed', id, ok: isDone(result) }));
    for (const { to, bytes } of out.tell) this.#parts.tell(to, bytes);
    for (const { id, pool, epoch } of out.leases)
      void coordinator.writeLease(pool, epoch).then((result) => {
        const lease = result.ok ? result.value : null;
        this.input({ kind: 'leased', id, lease, why: result.ok ? '' : result.error.kind });
      });
    this.#hooks.abandon(out.abandon);
    for (const run of out.hooks) this.#hooks.run(run);
    for (const { pool, node } of out.probe) monitor.probeNow(pool, nodeId(node));
    for (const { id, answer } of out.answers) this.#answer(id, answer);
    for (const event of out.events) this.#parts.onEvent(event);
    if (out.mayMove !== this.#mayMove) {
      this.#mayMove = out.mayMove;
      host.mayMove(out.mayMove);
    }
  }

  #putBoard(board: FailoverOutput['board'][number]): void {
    this.board.write(board);
    if (board.fencing) this.#fencing.add(board.pool);
    else this.#fencing.delete(board.pool);
    this.#hold(this.#fencing.size > 0);
    if (board.fencing) this.#tellHeld(board.pool);
  }

  #tellHeld(pool: string): void {
    const held = this.board.held(pool);
    if (held !== null) this.input({ kind: 'held', pool, ...held });
  }

  #hold(on: boolean): void {
    if (on === (this.#holding !== null)) return;
    if (this.#holding !== null) clearInterval(this.#holding);
    this.#holding = on
      ? setInterval(() => {
          for (const pool of this.#fencing) this.#tellHeld(pool);
        }, heldEvery)
      : null;
  }

  /** How many failed checks take a node down, and what its checks say, depends on who is primary. */
  #lead({ pool, epoch, phase, target }: PoolRecord): void {
    this.#parts.monitor.lead(pool, { node: phase === 'open' ? (target?.node ?? null) : null, epoch });
  }

  #answer(id: number, answer: CommandAnswer): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    this.#asked.delete(id);
    clearTimeout(asked.timer);
    asked.done(answer);
  }

  #arm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const at = this.#machine.wakeAt();
    if (this.#closed || at === Number.POSITIVE_INFINITY) return;
    const delay = Math.min(60_000, Math.max(0, Math.ceil(at - this.#parts.host.now())));
    this.#timer = setTimeout(() => this.input({ kind: 'tick' }), delay);
  }
}

const isDone = (result: Awaited<ReturnType<MemberCoordinator['propose']>>): boolean =>
  result.ok && result.value.committed && result.value.value.kind === 'done';

const sameSteps = (a: readonly PoolRecord[], b: readonly PoolRecord[]): boolean =>
  a.length === b.length && a.every((record, index) => record.pool === b[index]?.pool && record.step === b[index].step);
