/**
 * Smooth weighted rotation for large groups: earliest deadline first on a heap, a few steps per pick at any size.
 *
 *   Virtual time runs. A node of weight w has a turn each 1/w of it; the node whose turn is due first is chosen.
 *   In any span of virtual time 1 a node of weight w has exactly w turns, evenly spread.
 *
 * Each node's first turn lies at a random point of its first stride: turns of equal nodes don't bunch, threads don't
 * march in step, and a node that comes back is not flooded. A failure puts the next turn off by a fifth of a stride.
 * The heap has four children per node and keeps deadlines beside it (fewer cache misses than two children).
 * A node passed over because it was tried stays due, but does not save up turns.
 */
import type { Random } from '../base/random.ts';
import type { Balancer, BalancerOptions, NodeGroup, PickRequest } from './contract.ts';
import { Tried } from './tried.ts';
import { maxFails } from './weighted.ts';

export class WeightedMany implements Balancer {
  readonly #group: NodeGroup;
  readonly #random: Random;
  readonly #tried: Tried;
  /** The heap: due times ascending from the root, and the node of each. */
  readonly #due: Float64Array;
  readonly #node: Int32Array;
  /** By node: time between turns (0 = not live), what failures have put it off, and turn left over from before a refresh. */
  readonly #stride: Float64Array;
  readonly #delay: Float64Array;
  readonly #wait: Float64Array;
  readonly #stack: Int32Array;
  #count = 0;
  #clock = 0;

  constructor(options: BalancerOptions) {
    const { size } = options.group;
    this.#group = options.group;
    this.#random = options.random;
    this.#tried = new Tried(size);
    this.#due = new Float64Array(size);
    this.#node = new Int32Array(size);
    this.#stride = new Float64Array(size);
    this.#delay = new Float64Array(size);
    this.#wait = new Float64Array(size);
    this.#stack = new Int32Array(size);
  }

  pick(request: PickRequest): number {
    if (this.#count === 0) return -1;
    while (this.#delay[this.#node[0]!]! > 0) this.#putOff();
    const position = this.#tried.begin(request) ? this.#firstUntried() : 0;
    if (position < 0) return -1;
    const node = this.#node[position]!;
    this.#clock = Math.max(this.#clock, this.#due[position]!);
    this.#siftDown(position, this.#clock + this.#stride[node]!, node);
    return node;
  }

  /** The root's node has failed: its turn moves, once. */
  #putOff(): void {
    const node = this.#node[0]!;
    const due = this.#due[0]! + this.#delay[node]!;
    this.#delay[node] = 0;
    this.#siftDown(0, due, node);
  }

  /** Goes down from the root through tried nodes only: at most four visits per tried node. */
  #firstUntried(): number {
    const stack = this.#stack;
    let top = 0;
    stack[top++] = 0;
    let best = -1;
    while (top > 0) {
      const position = stack[--top]!;
      if (best >= 0 && this.#due[position]! >= this.#due[best]!) continue;
      if (!this.#tried.has(this.#node[position]!)) {
        best = position;
        continue;
      }
      const last = Math.min(this.#count, 4 * position + 5);
      for (let child = 4 * position + 1; child < last; child++) stack[top++] = child;
    }
    return best;
  }

  #siftDown(from: number, due: number, node: number): void {
    const dues = this.#due;
    const count = this.#count;
    let position = from;
    for (let child = 4 * position + 1; child < count; child = 4 * position + 1) {
      let least = child;
      const last = Math.min(count, child + 4);
      for (let other = child + 1; other < last; other++) {
        if (dues[other]! < dues[least]!) least = other;
      }
      if (dues[least]! >= due) break;
      dues[position] = dues[least]!;
      this.#node[position] = this.#node[least]!;
      position = least;
    }
    dues[position] = due;
    this.#node[position] = node;
  }

  /** A node that stays keeps the part of its stride that it has waited for; one that comes starts anywhere in it. */
  refresh(): void {
    const { live, liveCount, weights, size } = this.#group;
    for (let i = 0; i < this.#count; i++) {
      const node = this.#node[i]!;
      this.#wait[node] = Math.max(0, this.#due[i]! - this.#clock) / this.#stride[node]!;
    }
    this.#clock = 0;
    this.#count = liveCount;
    for (let i = 0; i < liveCount; i++) {
      const node = live[i]!;
      const stride = 1 / weights[node]!;
      const wait = this.#stride[node]! > 0 ? this.#wait[node]! : this.#random.next();
      this.#node[i] = node;
      this.#due[i] = wait * stride;
    }
    for (let node = 0; node < size; node++) {
      const weight = weights[node]!;
      this.#stride[node] = weight > 0 ? 1 / weight : 0;
      this.#delay[node] = Math.min(this.#delay[node]!, this.#stride[node]!);
    }
    for (let i = (liveCount - 2) >> 2; i >= 0; i--) this.#siftDown(i, this.#due[i]!, this.#node[i]!);
  }

  done(node: number, _responseMs: number, failed: boolean): void {
    const stride = this.#stride[node]!;
    if (failed) this.#delay[node] = Math.min(stride, this.#delay[node]! + stride / maxFails);
  }
}
