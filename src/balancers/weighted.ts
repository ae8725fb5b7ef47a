/**
 * Smooth weighted round robin, as nginx does it: a heavy node's turns are spread among the others'.
 *
 *   for each eligible node: current += effective, total += effective, effective recovers by 1 up to its weight;
 *   the largest current is chosen (the first wins ties) and pays the total: current -= total.
 *   Weights 5/1/1 give a a b a c a a.
 *
 * A failure lowers the node's effective weight by a fifth of its weight, so that five in a row (as many as eject a node
 * by default) leave it at zero. Each pick looks at every live node; groups above 128 nodes use weighted-many.ts.
 * Source: nginx, ngx_http_upstream_round_robin.c (commit 52327e0627f4, 2012).
 */
import type { Random } from '../base/random.ts';
import type { Balancer, BalancerOptions, NodeGroup, PickRequest } from './contract.ts';
import { Tried } from './tried.ts';

/** Failures in a row that lower the effective weight to zero. */
export const maxFails = 5;
/** Upper bound of the steps that a thread walks ahead at its start, times nodes: about 20 us. */
const headStart = 8192;

export class Weighted implements Balancer {
  readonly #group: NodeGroup;
  readonly #random: Random;
  readonly #tried: Tried;
  readonly #current: Float64Array;
  readonly #effective: Float64Array;
  /** Weights at the last refresh, to see what changed. */
  readonly #weight: Float64Array;
  #count = 0;
  #started = false;

  constructor(options: BalancerOptions) {
    const { size } = options.group;
    this.#group = options.group;
    this.#random = options.random;
    this.#tried = new Tried(size);
    this.#current = new Float64Array(size);
    this.#effective = new Float64Array(size);
    this.#weight = new Float64Array(size);
  }

  pick(request: PickRequest): number {
    return this.#step(this.#tried.begin(request));
  }

  #step(anyTried: boolean): number {
    const live = this.#group.live;
    const current = this.#current;
    const effective = this.#effective;
    const weight = this.#weight;
    const count = this.#count;
    let best = -1;
    let bestCurrent = Number.NEGATIVE_INFINITY;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const node = live[i]!;
      if (anyTried && this.#tried.has(node)) continue;
      const strength = effective[node]!;
      const now = current[node]! + strength;
      current[node] = now;
      total += strength;
      if (strength < weight[node]!) effective[node] = Math.min(weight[node]!, strength + 1);
      if (now > bestCurrent) {
        best = node;
        bestCurrent = now;
      }
    }
    if (best >= 0) current[best]! -= total;
    return best;
  }

  /** Nodes that stay keep their place in the sequence; one that comes back starts in the middle. */
  refresh(): void {
    const { weights, size, liveCount } = this.#group;
    this.#count = liveCount;
    let total = 0;
    for (let node = 0; node < size; node++) total += weights[node]!;
    for (let node = 0; node < size; node++) {
      const before = this.#weight[node]!;
      const now = weights[node]!;
      this.#weight[node] = now;
      this.#effective[node] = before > 0 ? now * (this.#effective[node]! / before) : now;
      this.#current[node] = now > 0 ? Math.max(-total, Math.min(total, this.#current[node]!)) : 0;
    }
    if (!this.#started && liveCount > 0) this.#start(total);
  }

  /** Each thread begins elsewhere in the sequence, so that they don't march in step. */
  #start(total: number): void {
    this.#started = true;
    const steps = this.#random.below(Math.min(Math.ceil(total), Math.floor(headStart / this.#count)));
    for (let i = 0; i < steps; i++) this.#step(false);
  }

  done(node: number, _responseMs: number, failed: boolean): void {
    if (!failed) return;
    this.#effective[node] = Math.max(0, this.#effective[node]! - this.#weight[node]! / maxFails);
  }
}
