/**
 * The same key goes to the same node, in every thread and process; a node that comes or goes moves only its own share
 * of the keys; and no node gets more than 125 % of its fair share of the requests in flight.
 *
 * Multi-probe consistent hashing (Appleton and O'Reilly 2015): a key looks at 12 places of the circle and takes the node
 * whose point is nearest clockwise of any of them. So 8 points per node balance as well as 150 with one look.
 * Weights: distance counts divided by weight, so that a node of weight 2 reaches twice as far; the look goes on past the
 * first point while a heavier node further on could still win. A weight counts up to 32 times the mean of the live ones.
 *
 * Bounded load (Mirrokni, Thorup, Zadimoghaddam 2016): a node with ceil(1.25 x fair share) in flight is passed over. The
 * request goes to the runner-up of the look, then to some more places that follow from the key (Chen, Coleman,
 * Shrivastava 2021: jumps don't pile the overflow on one neighbour), then anywhere by chance.
 * A tried node is passed over in the look itself: the request goes where its key would go if that node were gone.
 * The total in flight is exact up to 32 nodes; above, 32 counts per pick are read anew in turn.
 */
import { mix32 } from '../base/hash.ts';
import type { Random } from '../base/random.ts';
import type { Balancer, BalancerOptions, NodeGroup, PickRequest } from './contract.ts';
import { Ring } from './ring.ts';
import { Tried } from './tried.ts';

export const probes = 12;
export const loadFactor = 1.25;
export const maxWeightRatio = 32;
/** Places that a key goes to before chance takes over: one key that has all the traffic has long filled them. */
const jumps = 8;
/** At most 80 % of the capacity can be full, so four of five throws fail, and 64 in a row once in 1.6 million. */
const throws = 64;
const countsPerPick = 16;
const golden = 0x9e3779b9;

export class ConsistentHash implements Balancer {
  readonly #group: NodeGroup;
  readonly #random: Random;
  readonly #ring: Ring;
  readonly #passed: Tried;
  /** By node: 1 / weight, its share of all weight, where its count stands, and the count as last read. */
  readonly #reach: Float64Array;
  readonly #share: Float64Array;
  readonly #cell: Int32Array;
  readonly #seen: Int32Array;
  #leastReach = 1;
  /** Second nearest of the last look, another node than the nearest; -1 if only one was seen. */
  #runnerUp = -1;
  #total = 0;
  #reader = 0;
  #count = 0;

  constructor(options: BalancerOptions) {
    const { group } = options;
    this.#group = group;
    this.#random = options.random;
    this.#ring = new Ring(group.keys);
    this.#passed = new Tried(group.size);
    this.#reach = new Float64Array(group.size);
    this.#share = new Float64Array(group.size);
    this.#cell = new Int32Array(group.size);
    this.#seen = new Int32Array(group.size);
    for (let node = 0; node < group.size; node++) {
      this.#cell[node] = group.slots[node]! * group.inflightStride + group.inflightOffset;
    }
  }

  /** Of the circle, in bytes. */
  get memory(): number {
    return this.#ring.bytes;
  }

  pick(request: PickRequest): number {
    if (this.#count === 0) return -1;
    this.#passed.begin(request);
    this.#countInFlight();
    const owner = this.#nearest(request.hash);
    if (owner < 0 || this.#hasRoom(owner)) return owner;
    if (this.#runnerUp >= 0 && this.#hasRoom(this.#runnerUp)) return this.#runnerUp;
    return this.#jump(request.hash, owner);
  }

  /** The owner and the runner-up are full. */
  #jump(hash: number, owner: number): number {
    for (let i = 1; i <= jumps + throws; i++) {
      const place = i <= jumps ? mix32((hash - Math.imul(i, golden)) | 0) : this.#random.below(2 ** 32);
      const node = this.#ring.nodes[this.#ring.firstAt(place)]!;
      if (this.#hasRoom(node) && !this.#passed.has(node)) return node;
    }
    for (let i = 0; i < this.#count; i++) {
      const node = this.#group.live[i]!;
      if (this.#hasRoom(node) && !this.#passed.has(node)) return node;
    }
    // Only while counts change under our hands, or where the nodes with room were tried.
    return owner;
  }

  /** The node that this key belongs to, among those not passed over; -1 if there is none. Sets the runner-up. */
  #nearest(hash: number): number {
    const { positions, nodes, count } = this.#ring;
    let best = -1;
    let bestDistance = Number.POSITIVE_INFINITY;
    let second = -1;
    let secondDistance = Number.POSITIVE_INFINITY;
    for (let i = 0; i < probes; i++) {
      const from = mix32((hash + Math.imul(i, golden)) | 0);
      let at = this.#ring.firstAt(from);
      for (let steps = 0; steps < count; steps++) {
        const distance = (positions[at]! - from) >>> 0;
        if (distance * this.#leastReach >= bestDistance) break;
        const node = nodes[at]!;
        const weighed = distance * this.#reach[node]!;
        if (weighed < secondDistance && !this.#passed.has(node)) {
          if (weighed >= bestDistance) {
            if (node !== best) {
              second = node;
              secondDistance = weighed;
            }
          } else {
            if (node !== best) {
              second = best;
              secondDistance = bestDistance;
            }
            best = node;
            bestDistance = weighed;
          }
        }
        at = at + 1 === count ? 0 : at + 1;
      }
      // The first look went all the way round: every node is passed over.
      if (best < 0) return -1;
    }
    this.#runnerUp = second;
    return best;
  }

  #hasRoom(node: number): boolean {
    const used = this.#group.inflight[this.#cell[node]!]!;
    return used < Math.ceil(loadFactor * (this.#total + 1) * this.#share[node]!);
  }

  #countInFlight(): void {
    const { live, inflight } = this.#group;
    for (let i = Math.min(countsPerPick, this.#count); i > 0; i--) {
      const node = live[this.#reader]!;
      const now = inflight[this.#cell[node]!]!;
      this.#total += now - this.#seen[node]!;
      this.#seen[node] = now;
      this.#reader = this.#reader + 1 === this.#count ? 0 : this.#reader + 1;
    }
  }

  refresh(): void {
    const { live, liveCount, weights, inflight } = this.#group;
    let sum = 0;
    for (let i = 0; i < liveCount; i++) sum += weights[live[i]!]!;
    const most = (sum / liveCount) * maxWeightRatio;
    this.#leastReach = Number.POSITIVE_INFINITY;
    this.#total = 0;
    for (let i = 0; i < liveCount; i++) {
      const node = live[i]!;
      this.#share[node] = weights[node]! / sum;
      this.#reach[node] = 1 / Math.min(most, weights[node]!);
      this.#leastReach = Math.min(this.#leastReach, this.#reach[node]!);
      this.#seen[node] = inflight[this.#cell[node]!]!;
      this.#total += this.#seen[node]!;
    }
    this.#count = liveCount;
    this.#reader = 0;
    this.#ring.retain(weights);
  }

  done(): void {}
}
