/** A group of nodes with a balancer before it, and requests in flight that a test holds and lets go. */

import type { Balancer, BalancerMemory, BalancerOptions, PickRequest } from '../../src/balancers/contract.ts';
import { Group } from '../../src/balancers/group.ts';
import { mix32 } from '../../src/base/hash.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';

export interface WorldOptions {
  readonly weights: readonly number[];
  readonly make: (options: BalancerOptions) => Balancer;
  readonly seed?: number;
  readonly random?: Random;
  readonly keys?: readonly number[];
  readonly memory?: BalancerMemory;
}

/** Slots run against the indexes and leave gaps, so that mixing them up shows. */
const slotOf = (node: number, size: number): number => 2 * (size - node);
const stride = 4;
const offset = 3;

export class World {
  readonly size: number;
  readonly group: Group;
  readonly balancer: Balancer;
  readonly memory: BalancerMemory;
  now = 1000;
  readonly #request: PickRequest;
  #key = 0;

  constructor(options: WorldOptions) {
    const size = options.weights.length;
    this.size = size;
    this.group = new Group({
      keys: Uint32Array.from(options.keys ?? Array.from({ length: size }, (_, i) => mix32(i + 1))),
      slots: Int32Array.from({ length: size }, (_, i) => slotOf(i, size)),
      inflight: new Int32Array((2 * size + 1) * stride),
      inflightStride: stride,
      inflightOffset: offset,
    });
    const slots = 2 * size + 1;
    this.memory = options.memory ?? { ewma: new Float64Array(slots), stamp: new Float64Array(slots) };
    const random = options.random ?? seededRandom(options.seed ?? 1);
    this.balancer = options.make({ group: this.group, random, memory: this.memory });
    this.#request = { hash: 0, now: 0, tried: new Int32Array(Math.max(1, size)), triedCount: 0 };
    this.weigh(options.weights);
  }

  /** Sets all weights and refreshes, as the engine does. */
  weigh(weights: readonly number[]): void {
    weights.forEach((weight, node) => {
      this.group.setWeight(node, weight);
    });
    this.group.rebuildLive();
    this.balancer.refresh();
  }

  weighOne(node: number, weight: number): void {
    this.weigh(Array.from(this.group.weights, (old, i) => (i === node ? weight : old)));
  }

  /** Each pick is for another key unless one is given. */
  pick(options: { readonly tried?: readonly number[]; readonly key?: number } = {}): number {
    const { tried = [] } = options;
    tried.forEach((node, i) => {
      this.#request.tried[i] = node;
    });
    this.#request.triedCount = tried.length;
    this.#request.hash = mix32(options.key ?? ++this.#key);
    this.#request.now = this.now;
    return this.balancer.pick(this.#request);
  }

  picks(count: number): number[] {
    return Array.from({ length: count }, () => this.pick());
  }

  hold(node: number, count = 1): void {
    this.group.inflight[slotOf(node, this.size) * stride + offset]! += count;
  }

  held(node: number): number {
    return this.group.inflight[slotOf(node, this.size) * stride + offset]!;
  }

  done(node: number, responseMs = 5, failed = false): void {
    this.balancer.done(node, responseMs, failed, this.now);
  }

  /** How often each node is picked while up to `window` requests are in flight; each takes the same time. */
  serve(count: number, window = 0): number[] {
    const counts = new Array<number>(this.size).fill(0);
    const running: number[] = [];
    for (let i = 0; i < count; i++) {
      const node = this.pick();
      counts[node]!++;
      this.hold(node);
      running.push(node);
      if (running.length > window) this.#finish(running.shift()!);
    }
    for (const node of running) this.#finish(node);
    return counts;
  }

  #finish(node: number): void {
    this.hold(node, -1);
    this.done(node);
  }
}

/** A Random that always gives the least. */
export const leastRandom: Random = { next: () => 0, below: () => 0 };

export function tally(picks: readonly number[], size: number): number[] {
  const counts = new Array<number>(size).fill(0);
  for (const node of picks) counts[node]!++;
  return counts;
}

/** Largest relative error of the counts against shares by weight; nodes without weight must have none. */
export function shareError(counts: readonly number[], weights: readonly number[]): number {
  const total = counts.reduce((a, b) => a + b, 0);
  const sum = weights.reduce((a, b) => a + b, 0);
  return Math.max(
    ...counts.map((count, i) => {
      const fair = (total * weights[i]!) / sum;
      return fair === 0 ? count : Math.abs(count / fair - 1);
    }),
  );
}
