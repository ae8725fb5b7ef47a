/**
 * One node after the other. The live nodes lie on a line, each as long as its weight, and one round of n picks looks at
 * n points on it that are one mean weight apart:
 *
 *   weights 1 1 1:  |--a--|--b--|--c--|      5 1 1:  |-------------a-------------|--b--|--c--|
 *                      ^     ^     ^                     ^              ^              ^
 *
 * Equal weights: each node exactly once per round, in order. Unequal weights: each round gives a node its share rounded
 * up or down, and since each round moves its points on by the golden section, the roundings cancel out. A heavy node's
 * turns come one after the other; `weighted` spreads them.
 * A pick moves over one node on average; over a run of light nodes (weight w, mean m) over m/w of them.
 */
import type { Random } from '../base/random.ts';
import type { Balancer, BalancerOptions, NodeGroup, PickRequest } from './contract.ts';
import { Tried } from './tried.ts';

const goldenSection = 0.6180339887498949;

export class RoundRobin implements Balancer {
  readonly #group: NodeGroup;
  readonly #random: Random;
  readonly #tried: Tried;
  #count = 0;
  #mean = 0;
  /** Picks done in this round, and where in its stretch of the line each point lies, 0 to 1. */
  #turn = 0;
  #phase: number;
  /** Position in `live` of the node under the hand, and where it ends on the line. */
  #at = 0;
  #end = 0;
  /** The node chosen last: a refresh goes on behind it. Not yet known: -1. */
  #last = -1;

  constructor(options: BalancerOptions) {
    this.#group = options.group;
    this.#random = options.random;
    this.#tried = new Tried(options.group.size);
    this.#phase = options.random.next();
  }

  pick(request: PickRequest): number {
    if (this.#count === 0) return -1;
    if (this.#turn === this.#count) this.#newRound();
    this.#moveTo((this.#turn + this.#phase) * this.#mean);
    this.#turn++;
    const { live } = this.#group;
    let position = this.#at;
    if (request.triedCount > 0) position = this.#untriedFrom(position, request);
    if (position < 0) return -1;
    this.#last = live[position]!;
    return this.#last;
  }

  refresh(): void {
    const { live, liveCount, weights, size } = this.#group;
    // Threads start at different nodes, so that they don't march in step.
    const after = this.#last >= 0 ? this.#last : this.#random.below(size) - 1;
    let total = 0;
    let before = 0;
    for (let i = 0; i < liveCount; i++) {
      if (live[i]! <= after) before += weights[live[i]!]!;
      total += weights[live[i]!]!;
    }
    this.#count = liveCount;
    if (liveCount === 0) return;
    this.#mean = total / liveCount;
    this.#at = 0;
    this.#end = weights[live[0]!]!;
    // The epsilon keeps rounding from skipping or repeating a node whose stretch begins exactly here.
    this.#turn = Math.min(liveCount, Math.max(0, Math.ceil(before / this.#mean - this.#phase - 1e-9)));
  }

  done(): void {}

  #newRound(): void {
    const { live, weights } = this.#group;
    this.#turn = 0;
    this.#phase = (this.#phase + goldenSection) % 1;
    this.#at = 0;
    this.#end = weights[live[0]!]!;
  }

  #moveTo(target: number): void {
    const { live, weights } = this.#group;
    while (this.#end <= target && this.#at < this.#count - 1) this.#end += weights[live[++this.#at]!]!;
  }

  #untriedFrom(position: number, request: PickRequest): number {
    const { live } = this.#group;
    this.#tried.begin(request);
    let at = position;
    for (let i = 0; i < this.#count; i++) {
      if (!this.#tried.has(live[at]!)) return at;
      at = at + 1 === this.#count ? 0 : at + 1;
    }
    return -1;
  }
}
