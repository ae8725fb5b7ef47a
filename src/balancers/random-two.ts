/**
 * The power of two choices: two different nodes are drawn by weight, the one with fewer requests in flight for its
 * weight wins, the first drawn wins ties. Nearly as even as looking at all nodes (Mitzenmacher 2001), at a cost that
 * does not depend on their number, and without the herd that many threads make when all choose the same best node.
 * What HAProxy (random) and Envoy (least request) do.
 */
import type { Balancer, BalancerOptions, NodeGroup, PickRequest } from './contract.ts';
import { Draw } from './draw.ts';

/** Draws that may hit the first node again, where it has most of the weight. */
const maxRedraws = 4;

export class RandomTwo implements Balancer {
  readonly #group: NodeGroup;
  readonly #draw: Draw;

  constructor(options: BalancerOptions) {
    this.#group = options.group;
    this.#draw = new Draw(options.group, options.random);
  }

  pick(request: PickRequest): number {
    this.#draw.begin(request);
    const first = this.#draw.take();
    if (first < 0) return -1;
    let second = first;
    for (let i = 0; i < maxRedraws && second === first; i++) second = this.#draw.take();
    return this.#load(second) < this.#load(first) ? second : first;
  }

  #load(node: number): number {
    const { inflight, inflightStride, inflightOffset, slots, weights } = this.#group;
    return inflight[slots[node]! * inflightStride + inflightOffset]! / weights[node]!;
  }

  refresh(): void {
    this.#draw.refresh();
  }

  done(): void {}
}
