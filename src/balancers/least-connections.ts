/**
 * Fewest requests in flight for its weight. The counts are those of all threads; queued requests count, too.
 *
 * Up to 128 live nodes every one is looked at. Ties (an idle pool is one large tie) go by turns: a node's turn comes
 * each 1/weight of virtual time, and turns missed while it was busier than others are not saved up.
 * Above 128 nodes the best of 16 draws by weight is taken, at the same cost for any number of them: 99 times in 100 it
 * belongs to the least loaded quarter.
 * Two threads that pick in the same microsecond may choose the same node: the counts are exact, the choice is not locked.
 */
import type { Balancer, BalancerOptions, NodeGroup, PickRequest } from './contract.ts';
import { Draw } from './draw.ts';
import { Tried } from './tried.ts';

export const maxScanned = 128;
export const draws = 16;

export class LeastConnections implements Balancer {
  readonly #group: NodeGroup;
  readonly #tried: Tried;
  readonly #draw: Draw;
  /** By node: 1 / weight, where its count stands, and when its next turn among equals is. */
  readonly #perWeight: Float64Array;
  readonly #cell: Int32Array;
  readonly #due: Float64Array;
  #count = 0;
  #clock = 0;
  /** Position in `live` where the next scan begins: behind the node chosen last. */
  #start: number;

  constructor(options: BalancerOptions) {
    const { group, random } = options;
    this.#group = group;
    this.#tried = new Tried(group.size);
    this.#draw = new Draw(group, random);
    this.#perWeight = new Float64Array(group.size);
    this.#cell = new Int32Array(group.size);
    this.#due = new Float64Array(group.size);
    this.#start = random.below(group.size);
    for (let node = 0; node < group.size; node++) {
      this.#cell[node] = group.slots[node]! * group.inflightStride + group.inflightOffset;
    }
  }

  pick(request: PickRequest): number {
    return this.#count <= maxScanned ? this.#scan(request) : this.#bestOfDraws(request);
  }

  #scan(request: PickRequest): number {
    const { live, inflight } = this.#group;
    const anyTried = this.#tried.begin(request);
    const cell = this.#cell;
    const perWeight = this.#perWeight;
    const clock = this.#clock;
    const count = this.#count;
    let best = -1;
    let bestAt = 0;
    let bestLoad = Number.POSITIVE_INFINITY;
    let bestDue = 0;
    let at = this.#start;
    for (let i = 0; i < count; i++) {
      const node = live[at]!;
      const load = inflight[cell[node]!]! * perWeight[node]!;
      if (load <= bestLoad && !(anyTried && this.#tried.has(node))) {
        const due = Math.max(clock, this.#due[node]!);
        if (load < bestLoad || due < bestDue) {
          best = node;
          bestAt = at;
          bestLoad = load;
          bestDue = due;
        }
      }
      at = at + 1 === count ? 0 : at + 1;
    }
    if (best < 0) return -1;
    this.#clock = bestDue;
    this.#due[best] = bestDue + this.#perWeight[best]!;
    this.#start = bestAt + 1 === this.#count ? 0 : bestAt + 1;
    return best;
  }

  #bestOfDraws(request: PickRequest): number {
    const { inflight } = this.#group;
    this.#draw.begin(request);
    let best = -1;
    let bestLoad = Number.POSITIVE_INFINITY;
    for (let i = 0; i < draws; i++) {
      const node = this.#draw.take();
      if (node < 0) return -1;
      const load = inflight[this.#cell[node]!]! * this.#perWeight[node]!;
      if (load >= bestLoad) continue;
      best = node;
      bestLoad = load;
    }
    return best;
  }

  refresh(): void {
    const { live, liveCount, weights, size } = this.#group;
    this.#count = liveCount;
    for (let i = 0; i < liveCount; i++) this.#perWeight[live[i]!] = 1 / weights[live[i]!]!;
    // Virtual time starts anew, so that it never outgrows a double's precision.
    for (let node = 0; node < size; node++) this.#due[node] = Math.max(0, this.#due[node]! - this.#clock);
    this.#clock = 0;
    if (this.#start >= liveCount) this.#start = liveCount === 0 ? 0 : this.#start % liveCount;
    if (liveCount > maxScanned) this.#draw.refresh();
  }

  done(): void {}
}
