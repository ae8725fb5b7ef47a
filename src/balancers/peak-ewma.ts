/**
 * The node that will answer soonest, as far as is known: two draws by weight, the lower cost wins.
 *
 *   cost = estimate of the response time x (in flight + 1), in flight taken relative to weight
 *   estimate: a slow answer raises it at once; a fast one lowers it, and time alone wears it off, both over 10 s
 *
 * A node of which nothing is known is tried at once, but with one request at a time until it has answered.
 * A failed exchange counts as an answer of at least 1 s: otherwise a node that refuses fast would draw all traffic.
 * When one node is drawn twice, it is kept unless another one costs less than half: nodes that differ only by chance get
 * their share by weight, and a bad node gets nothing even in a group of two.
 * Source: linkerd's and Finagle's Peak EWMA (com.twitter.finagle.loadbalancer.PeakEwma).
 */
import type { Balancer, BalancerMemory, BalancerOptions, NodeGroup, PickRequest } from './contract.ts';
import { Draw } from './draw.ts';

export const decayMs = 10_000;
export const failedMs = 1000;
/** The least that is remembered, since 0 means that nothing is known. */
const leastMs = 0.01;
/** Cost of an unknown node that is still to give its first answer: above any known one. */
const unknownBusy = 1e15;

export class PeakEwma implements Balancer {
  readonly #group: NodeGroup;
  readonly #memory: BalancerMemory;
  readonly #draw: Draw;
  #meanWeight = 1;

  constructor(options: BalancerOptions) {
    this.#group = options.group;
    this.#memory = options.memory;
    this.#draw = new Draw(options.group, options.random);
  }

  pick(request: PickRequest): number {
    this.#draw.begin(request);
    const first = this.#draw.take();
    if (first < 0) return -1;
    let second = this.#draw.take();
    let lead = 1;
    if (second === first) {
      second = this.#draw.other(first);
      if (second < 0) return first;
      lead = 2;
    }
    return this.#cost(second, request.now) * lead < this.#cost(first, request.now) ? second : first;
  }

  #cost(node: number, now: number): number {
    const { inflight, inflightStride, inflightOffset, slots, weights } = this.#group;
    const slot = slots[node]!;
    const load = (inflight[slot * inflightStride + inflightOffset]! * this.#meanWeight) / weights[node]!;
    const estimate = this.#memory.ewma[slot]!;
    if (estimate === 0) return load === 0 ? 0 : unknownBusy * (load + 1);
    return estimate * remains(now - this.#memory.stamp[slot]!) * (load + 1);
  }

  done(node: number, responseMs: number, failed: boolean, now: number): void {
    const slot = this.#group.slots[node]!;
    const { ewma, stamp } = this.#memory;
    const before = ewma[slot]!;
    const answer = Math.max(responseMs || 0, leastMs);
    const sample = failed ? Math.max(answer, before, failedMs) : answer;
    if (sample >= before) {
      ewma[slot] = sample;
    } else {
      const kept = remains(now - stamp[slot]!);
      ewma[slot] = before * kept + sample * (1 - kept);
    }
    stamp[slot] = now;
  }

  refresh(): void {
    const { live, liveCount, weights } = this.#group;
    let total = 0;
    for (let i = 0; i < liveCount; i++) total += weights[live[i]!]!;
    this.#meanWeight = liveCount > 0 ? total / liveCount : 1;
    this.#draw.refresh();
  }
}

/** The share of an estimate that is left after so many ms. */
function remains(elapsedMs: number): number {
  return elapsedMs > 0 ? Math.exp(-elapsedMs / decayMs) : 1;
}
