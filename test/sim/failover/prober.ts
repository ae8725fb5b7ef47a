/** The health checks of one member: at their interval, faster after a failure, at once when asked; never two of one node. */
import type { Millis } from '../../../src/base/ids.ts';
import type { NodeReport } from '../../../src/cluster/failover/contract.ts';
import type { PoolPolicy } from '../../../src/cluster/failover/model.ts';
import type { ProbeAnswer } from './unit.ts';

export interface ProberWorld {
  now(): Millis;
  after(ms: Millis, what: () => void): void;
  awake(): boolean;
  probe(node: string, answer: (answer: ProbeAnswer) => void): void;
  report(report: NodeReport): void;
}

const refusedMs: Millis = 50;
const fastMs: Millis = 400;

interface Check {
  failures: number;
  running: boolean;
  again: boolean;
  turn: number;
}

export class Prober {
  #policy: PoolPolicy;
  readonly #world: ProberWorld;
  readonly #checks = new Map<string, Check>();

  constructor(policy: PoolPolicy, world: ProberWorld) {
    this.#policy = policy;
    this.#world = world;
    for (const { id } of policy.nodes) this.#begin(id);
  }

  reload(policy: PoolPolicy): void {
    const before = new Map(this.#policy.nodes.map(({ id, url }) => [id, url]));
    this.#policy = policy;
    const urls = new Map(policy.nodes.map(({ id, url }) => [id, url]));
    // Of a row that is another now nothing is known.
    for (const id of [...this.#checks.keys()]) if (urls.get(id) !== before.get(id)) this.#checks.delete(id);
    for (const { id } of policy.nodes) if (!this.#checks.has(id)) this.#begin(id);
  }

  #begin(id: string): void {
    this.#checks.set(id, { failures: 0, running: false, again: false, turn: 0 });
    this.#world.after(5, () => this.now(id));
  }

  now(node: string): void {
    const check = this.#checks.get(node);
    if (check === undefined) return;
    if (check.running) {
      check.again = true;
      return;
    }
    check.running = true;
    check.turn += 1;
    const { turn } = check;
    const once = (answer: ProbeAnswer): void => {
      if (!check.running || check.turn !== turn || this.#checks.get(node) !== check) return;
      check.running = false;
      this.#ended(node, check, answer);
    };
    this.#world.probe(node, once);
    this.#world.after(this.#policy.timeout, () => once({ kind: 'silent' }));
  }

  #ended(node: string, check: Check, answer: ProbeAnswer): void {
    const next = (ms: Millis): void => {
      const { turn } = check;
      this.#world.after(
        check.again ? 1 : ms,
        () => check.turn === turn && this.#checks.get(node) === check && this.now(node),
      );
      check.again = false;
    };
    // It stood still itself: that says nothing of the node.
    if (!this.#world.awake()) return next(20);
    const ok = answer.kind === 'answer' && answer.ok;
    check.failures = ok ? 0 : check.failures + 1;
    const none = { role: null, epoch: null, cluster: null, position: null, primaryHeard: null };
    const { role, epoch, cluster, position, primaryHeard } = answer.kind === 'answer' ? answer : none;
    this.#world.report({
      ...{ pool: this.#policy.pool, node, up: ok, failures: check.failures, at: this.#world.now() },
      ...{ detail: answer.kind, role, epoch, cluster, position, primaryHeard, lag: null, wanted: true },
    });
    const { interval } = this.#policy;
    next(ok ? interval : answer.kind === 'refused' ? (check.failures < 5 ? refusedMs : fastMs) : fastMs);
  }
}
