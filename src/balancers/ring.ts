/**
 * Points of nodes on a circle of 2^32, and the live ones among them.
 *
 *   construction: hash and sort all points (8 per node), once in a group's life
 *   retain(): copy those of live nodes, in order, and index them by their leading bits: no hashing, no sorting
 *   firstAt(x): the live point at or clockwise after x, in constant time: its bucket, then a step or two
 *
 * Points depend on the nodes' keys alone, never on their order, so that every process has the same circle. Two nodes
 * whose keys collide (one chance in 86 among 10 000) are told apart by their order in the group.
 */
import { mix32 } from '../base/hash.ts';
import type { NodeGroup } from './contract.ts';

export const pointsPerNode = 8;
const golden = 0x9e3779b9;

export class Ring {
  /** All points, ascending, and their nodes. */
  readonly #allPositions: Uint32Array;
  readonly #allNodes: Int32Array;
  /** Those of live nodes; the first `count` are valid. */
  readonly positions: Uint32Array;
  readonly nodes: Int32Array;
  #count = 0;
  /** First live point of each stretch of the circle. */
  readonly #bucket: Int32Array;
  /** Weights as bytes: retain() looks them up in no order, and bytes stay in the nearest cache. */
  readonly #fit: Uint8Array;
  readonly #shift: number;

  constructor(keys: Uint32Array) {
    const total = keys.length * pointsPerNode;
    // At least two buckets: a shift by 32 would be a shift by 0.
    const bits = Math.max(1, 32 - Math.clz32(Math.max(1, total - 1)));
    this.#shift = 32 - bits;
    this.#bucket = new Int32Array(2 ** bits);
    this.#fit = new Uint8Array(keys.length);
    this.#allPositions = new Uint32Array(total);
    this.#allNodes = new Int32Array(total);
    this.positions = new Uint32Array(total);
    this.nodes = new Int32Array(total);
    this.#place(distinct(keys));
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    const arrays = [this.#allPositions, this.#allNodes, this.positions, this.nodes, this.#bucket];
    return arrays.reduce((sum, array) => sum + array.byteLength, 0);
  }

  /** Sorts by counting per bucket, then by insertion: points are spread evenly, so both are linear. */
  #place(keys: Uint32Array): void {
    const bucket = this.#bucket;
    for (let node = 0; node < keys.length; node++) {
      for (let r = 0; r < pointsPerNode; r++) bucket[pointOf(keys[node]!, r) >>> this.#shift]!++;
    }
    let sum = 0;
    for (let b = 0; b < bucket.length; b++) {
      sum += bucket[b]!;
      bucket[b] = sum - bucket[b]!;
    }
    for (let node = 0; node < keys.length; node++) {
      for (let r = 0; r < pointsPerNode; r++) {
        const position = pointOf(keys[node]!, r);
        const at = bucket[position >>> this.#shift]!++;
        this.#allPositions[at] = position;
        this.#allNodes[at] = node;
      }
    }
    this.#settle(keys);
  }

  #settle(keys: Uint32Array): void {
    const positions = this.#allPositions;
    const nodes = this.#allNodes;
    for (let i = 1; i < positions.length; i++) {
      const position = positions[i]!;
      const node = nodes[i]!;
      let at = i;
      for (; at > 0; at--) {
        const before = positions[at - 1]!;
        // Two points at one place: the smaller key first, whatever the order of the nodes.
        if (before < position || (before === position && keys[nodes[at - 1]!]! <= keys[node]!)) break;
        positions[at] = before;
        nodes[at] = nodes[at - 1]!;
      }
      positions[at] = position;
      nodes[at] = node;
    }
  }

  /** Takes the points of nodes whose weight is above 0. */
  retain(weights: NodeGroup['weights']): void {
    const bucket = this.#bucket;
    const fit = this.#fit;
    let count = 0;
    let filled = 0;
    for (let node = 0; node < fit.length; node++) fit[node] = weights[node]! > 0 ? 1 : 0;
    for (let i = 0; i < this.#allNodes.length; i++) {
      const node = this.#allNodes[i]!;
      if (fit[node] === 0) continue;
      const position = this.#allPositions[i]!;
      for (const last = position >>> this.#shift; filled <= last; filled++) bucket[filled] = count;
      this.positions[count] = position;
      this.nodes[count++] = node;
    }
    bucket.fill(count, filled);
    this.#count = count;
  }

  /** Index of the live point at or after x, going round; needs at least one live point. */
  firstAt(x: number): number {
    let at = this.#bucket[x >>> this.#shift]!;
    while (at < this.#count && this.positions[at]! < x) at++;
    return at === this.#count ? 0 : at;
  }
}

function pointOf(key: number, replica: number): number {
  return mix32((key + Math.imul(replica + 1, golden)) | 0);
}

/** Keys as given, but a key that occurs again is changed until it is new. */
function distinct(keys: Uint32Array): Uint32Array {
  const seen = new Set<number>();
  return keys.map((given) => {
    let key = given;
    while (seen.has(key)) key = mix32((key + golden) | 0);
    seen.add(key);
    return key;
  });
}
