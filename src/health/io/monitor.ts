/**
 * Runs health: the machine (../machine.ts), one timer for everything, and at most 256 probes at once.
 *
 *   configure | wish | report | timer | probe ended  ->  machine  ->  onChange, log
 *
 * Calls from outside take effect before they return. Results of probes that end in one turn of the loop are judged
 * together at its end. onChange is called in the order of the changes; it may call back into the monitor.
 * The first probes of all nodes start at once; from then on they are spread over their intervals. Nodes whose probes
 * hang hold their places for a time-out each: with more than 256 of them, the others are probed less often.
 */
import type { Millis, NodeId } from '../../base/ids.ts';
import type { Wish } from '../../base/node-state.ts';
import type { Random } from '../../base/random.ts';
import type { Result } from '../../base/result.ts';
import { plainAnswer } from '../answer.ts';
import type { NodeHealthReport, NodeHealthView, PassiveSignal, PoolHealthView, PoolLead } from '../contract.ts';
import type { Instant } from '../entry.ts';
import { HealthMachine, type ProbeJob, type ProbeResult } from '../machine.ts';
import type { PoolSpec } from '../policy.ts';
import type { HealthChange, HealthLine } from '../settle.ts';
import { type ProbeOptions, type ProbeTarget, probe as realProbe } from './probe.ts';

export type { HealthChange, HealthLine };

export interface HealthMonitorOptions {
  /** Monotonic. */
  readonly now: () => Millis;
  readonly wallNow: () => Millis;
  readonly random: Random;
  /** Called once for each change of verdict, wish, fitness or weight, and once for each new node. */
  readonly onChange: (change: HealthChange) => void;
  readonly log: (line: HealthLine) => void;
  /** After each check of a node of a pool with failover, and after each wish. Must not throw. */
  readonly onReport?: (report: NodeHealthReport) => void;
  /** Must resolve in every case. Default: real probes. */
  readonly probe?: (target: ProbeTarget, options: ProbeOptions) => Promise<ProbeResult>;
  /** Probes at once, default 256. */
  readonly concurrency?: number;
}

const maxTimerMs = 0x7fffffff;

export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #machine: HealthMachine;
  readonly #concurrency: number;
  readonly #closing = new AbortController();
  #running = 0;
  #timer: NodeJS.Timeout | null = null;
  #pumpSoon: NodeJS.Immediate | null = null;
  #told: HealthChange[] = [];
  #telling = false;
  #waiting: (() => void)[] = [];

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
    this.#machine = new HealthMachine(options.random);
    this.#concurrency = options.concurrency ?? 256;
  }

  /** Takes a new set of pools. Nodes of the same pool, id and url keep everything known; new ones are probed at once. */
  configure(pools: readonly PoolSpec[]): void {
    this.#machine.configure(pools, this.#at());
    this.#pump();
  }

  /** The operator's wish. The error says in words why it can't be taken. */
  wish(pool: string, node: NodeId, wish: Wish): Result<null, string> {
    const result = this.#machine.wish(pool, node, wish, this.#at());
    this.#pump();
    return result;
  }

  /** What real traffic said of a node. Unknown pools and nodes are ignored. */
  report(pool: string, node: NodeId, signal: PassiveSignal, detail: string): void {
    this.#machine.report(pool, node, { signal, detail }, this.#at());
    this.#pump();
  }

  /** Who is primary: how many failed checks take it down, and which epoch its pool's probes carry. */
  lead(pool: string, lead: PoolLead): void {
    this.#machine.lead(pool, lead);
  }

  /** Checks a node now, or as soon as the check that runs has ended; at most 20 times a second. */
  probeNow(pool: string, node: NodeId): void {
    this.#machine.probeNow(pool, node, this.#at());
    this.#pump();
  }

  /** Of all nodes of pools with failover, as they are now. */
  reports(): NodeHealthReport[] {
    return this.#machine.reports();
  }

  views(): NodeHealthView[] {
    return this.#machine.views(this.#at());
  }

  /** An unknown pool has no nodes. */
  pool(name: string): PoolHealthView {
    return this.#machine.pool(name);
  }

  /** Resolves when the first probe of every node has ended (or the monitor was closed). */
  firstRoundDone(): Promise<void> {
    if (this.#machine.unprobed === 0 || this.#closing.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Ends probes and timers; nothing is told any more. */
  close(): void {
    this.#closing.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#pumpSoon !== null) clearImmediate(this.#pumpSoon);
    this.#release();
  }

  #at(): Instant {
    return { now: this.#options.now(), wall: this.#options.wallNow() };
  }

  #pump(): void {
    if (this.#closing.signal.aborted) return;
    const at = this.#at();
    this.#machine.tick(at);
    for (const job of this.#machine.due(this.#concurrency - this.#running, at)) this.#start(job);
    const { changes, lines, reports } = this.#machine.settle(at);
    this.#tell(changes);
    for (const report of reports) this.#options.onReport?.(report);
    for (const line of lines) this.#options.log(line);
    if (this.#machine.unprobed === 0) this.#release();
    this.#arm();
  }

  #start(job: ProbeJob): void {
    const { now, probe = realProbe } = this.#options;
    this.#running += 1;
    const target = { address: job.node.address, policy: job.policy, epoch: job.epoch };
    void probe(target, { now, signal: this.#closing.signal })
      .catch((error: unknown): ProbeResult => brokenProbe(error, now() - job.startedAt))
      .then((result) => this.#ended(job, result));
  }

  #ended(job: ProbeJob, result: ProbeResult): void {
    this.#running -= 1;
    this.#machine.probed(job, result, this.#at());
    this.#pumpSoon ??= setImmediate(() => {
      this.#pumpSoon = null;
      this.#pump();
    });
  }

  /** In order, also when onChange leads to further changes. */
  #tell(changes: readonly HealthChange[]): void {
    this.#told.push(...changes);
    if (this.#telling) return;
    this.#telling = true;
    for (let change = this.#told.shift(); change !== undefined; change = this.#told.shift()) this.#tellOne(change);
    this.#telling = false;
  }

  /** A listener's bug must not end the checks of all nodes. */
  #tellOne(change: HealthChange): void {
    try {
      this.#options.onChange(change);
    } catch (error) {
      const { pool, node } = change;
      const message = `a change of node ${pool}/${node} could not be applied: ${messageOf(error)}`;
      this.#options.log({ level: 'error', event: 'health-change-failed', message, fields: { pool, node } });
    }
  }

  #arm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const wakeAt = this.#machine.wakeAt(this.#running < this.#concurrency);
    if (wakeAt === Number.POSITIVE_INFINITY || this.#closing.signal.aborted) return;
    const delay = Math.min(maxTimerMs, Math.max(0, Math.ceil(wakeAt - this.#options.now())));
    this.#timer = setTimeout(() => this.#pump(), delay);
  }

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function brokenProbe(error: unknown, durationMs: Millis): ProbeResult {
  const detail = `the probe itself failed: ${messageOf(error)}`;
  return { ok: false, detail, durationMs, refused: false, answer: plainAnswer };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
