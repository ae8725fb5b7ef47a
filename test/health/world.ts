/**
 * The health machine in a world of its own: a virtual clock, and nodes that answer their probes as the test says.
 * Every change and line is kept, so that a test reads as a story.
 */
import { type NodeId, nodeId } from '../../src/base/ids.ts';
import type { Wish } from '../../src/base/node-state.ts';
import { seededRandom } from '../../src/base/random.ts';
import { plainAnswer, readAnswer } from '../../src/health/answer.ts';
import type { NodeHealthReport, NodeHealthView, PassiveSignal } from '../../src/health/contract.ts';
import type { Instant } from '../../src/health/entry.ts';
import { HealthMachine, type ProbeJob, type ProbeResult } from '../../src/health/machine.ts';
import type { HealthPolicy, NodeSpec, PassivePolicy, PoolSpec } from '../../src/health/policy.ts';
import type { HealthChange, HealthLine } from '../../src/health/settle.ts';

export const healthPolicy: HealthPolicy = {
  kind: 'http',
  path: '/health',
  method: 'GET',
  host: null,
  port: null,
  interval: 2000,
  fastInterval: 500,
  downInterval: 5000,
  timeout: 1000,
  fall: 3,
  rise: 2,
  jitter: 0,
  status: [[200, 399]],
  body: null,
};

export const passivePolicy: PassivePolicy = {
  consecutiveErrors: 5,
  ejectBase: 30_000,
  ejectMax: 300_000,
  maxEjected: 0.5,
};

export function nodeSpec(id: string, more: Partial<NodeSpec> = {}): NodeSpec {
  const address = { kind: 'tcp', host: id, port: 80 } as const;
  return { id: nodeId(id), url: `http://${id}`, address, weight: 1, backup: false, wish: 'ready', ...more };
}

/** `nodes`: ids, or whole specs. */
export function poolSpec(nodes: readonly (string | NodeSpec)[], more: Partial<PoolSpec> = {}): PoolSpec {
  return {
    name: 'app',
    nodes: nodes.map((node) => (typeof node === 'string' ? nodeSpec(node) : node)),
    health: healthPolicy,
    passive: passivePolicy,
    slowStart: null,
    panicThreshold: 0,
    ...more,
  };
}

/** How a node answers: a plain success, no listener, a body, silence until the time-out. */
export type Behaviour = 'ok' | 'refuse' | 'error' | 'hang' | 'unasked' | { readonly json: unknown };

export class World {
  readonly machine: HealthMachine;
  now = 1000;
  readonly behaviour = new Map<string, Behaviour>();
  /** Starts of probes: node and time. */
  readonly probes: { readonly node: string; readonly at: number }[] = [];
  readonly changes: HealthChange[] = [];
  /** Messages for the log. */
  readonly lines: string[] = [];
  readonly reports: NodeHealthReport[] = [];
  /** That probes carried. */
  readonly epochs: number[] = [];
  readonly levels: HealthLine['level'][] = [];
  #running: { readonly job: ProbeJob; readonly endsAt: number; readonly result: ProbeResult }[] = [];
  overlaps = 0;

  constructor(pool: PoolSpec, seed = 1) {
    this.machine = new HealthMachine(seededRandom(seed));
    this.configure(pool);
  }

  configure(...pools: PoolSpec[]): void {
    this.machine.configure(pools, this.at);
    this.#pump();
  }

  get at(): Instant {
    return { now: this.now, wall: this.now + 1_000_000 };
  }

  set(node: string, behaviour: Behaviour): void {
    this.behaviour.set(node, behaviour);
  }

  report(node: string, signal: PassiveSignal, detail = 'as the test says'): void {
    this.machine.report('app', nodeId(node), { signal, detail }, this.at);
    this.#pump();
  }

  wish(node: string, wish: Wish): void {
    const result = this.machine.wish('app', nodeId(node), wish, this.at);
    if (!result.ok) throw new Error(result.error);
    this.#pump();
  }

  /** Lets time pass, from event to event. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const next = Math.min(this.machine.wakeAt(true), ...this.#running.map((probe) => probe.endsAt));
      if (next > end) break;
      this.now = Math.max(this.now, next);
      this.#pump();
    }
    this.now = end;
    this.#pump();
  }

  view(node: string): NodeHealthView {
    const view = this.machine.views(this.at).find((one) => one.node === (node as NodeId));
    if (view === undefined) throw new Error(`no node ${node}`);
    return view;
  }

  /** Nodes that take traffic now. */
  fit(): string[] {
    return this.machine
      .views(this.at)
      .filter((view) => view.fitness === 'fit')
      .map((view) => view.node);
  }

  probesOf(node: string): number[] {
    return this.probes.filter((probe) => probe.node === node).map((probe) => probe.at);
  }

  #pump(): void {
    const ended = this.#running.filter((probe) => probe.endsAt <= this.now);
    this.#running = this.#running.filter((probe) => probe.endsAt > this.now);
    for (const { job, result } of ended) this.machine.probed(job, result, this.at);
    this.machine.tick(this.at);
    for (const job of this.machine.due(Number.POSITIVE_INFINITY, this.at)) this.#start(job);
    const { changes, lines, reports } = this.machine.settle(this.at);
    this.reports.push(...reports);
    this.changes.push(...changes);
    this.lines.push(...lines.map((line) => line.message));
    this.levels.push(...lines.map((line) => line.level));
  }

  #start(job: ProbeJob): void {
    if (this.#running.some((probe) => probe.job.entry === job.entry)) this.overlaps += 1;
    this.probes.push({ node: job.node.id, at: this.now });
    this.epochs.push(job.epoch);
    const { ms, result } = answerOf(this.behaviour.get(job.node.id) ?? 'ok', job);
    this.#running.push({ job, endsAt: this.now + ms, result: { ...result, durationMs: ms } });
  }
}

function answerOf(behaviour: Behaviour, job: ProbeJob): { ms: number; result: Omit<ProbeResult, 'durationMs'> } {
  const failed = { ok: false, refused: false, answer: plainAnswer };
  if (behaviour === 'ok') {
    return { ms: 3, result: { ok: true, refused: false, detail: '200 in 3 ms', answer: plainAnswer } };
  }
  if (behaviour === 'refuse') {
    return { ms: 1, result: { ...failed, refused: true, detail: 'connect ECONNREFUSED' } };
  }
  if (behaviour === 'unasked') return { ms: 1, result: { ...failed, unasked: true, detail: 'connect EMFILE' } };
  if (behaviour === 'error') return { ms: 3, result: { ...failed, detail: 'unexpected status 500 in 3 ms' } };
  if (behaviour === 'hang') return { ms: job.policy.timeout, result: { ...failed, detail: 'timed out after 1 s' } };
  const answer = readAnswer({ 'content-type': 'application/json' }, JSON.stringify(behaviour.json));
  return { ms: 3, result: { ok: answer.says !== 'down', refused: false, detail: '200 in 3 ms', answer } };
}
