/**
 * Points of nodes on a circle of 2^32, and the live ones among them.
 *
 *   construction: hash and sort all points (8 per node), once in a group's life
 *   retain(): copy those of live nodes, in order, and index them by their leading bits: no hashing, no sorting, and
 *             no branch that depends on a node (five times faster than one that is guessed wrong)
 *   firstAt(x): the live point at or clockwise after x, in constant time: its bucket, then a step or two
 *
 * Points depend on the nodes' keys alone, never on their order, so that every process has the same circle. Two nodes
 * whose keys collide (one chance in 86 among 10 000) are told apart by their order in the group.
 */
import { assert } from '../base/assert.ts';
import { mix32 } from '../base/hash.ts';
import type { NodeGroup } from './contract.ts';

export const pointsPerNode = 8;
const golden = 0x9e3779b9;
/** Nodes are kept as 16-bit numbers. */
const maxSize = 65_536;

export class Ring {
  /** All points, ascending, and their nodes. */
  readonly #allPositions: Uint32Array;
  readonly #allNodes: Uint16Array;
  /** Those of live nodes; the first `count` are valid. */
  readonly positions: Uint32Array;
  readonly nodes: Uint16Array;
  #count = 0;
  /** By stretch of the circle: its first point among all, and among the live ones. */
  readonly #allBucket: Int32Array;
  readonly #bucket: Int32Array;
  readonly #shift: number;
  /** By point among all: how many live ones lie before it. By node: 1 if live. Filled by retain(), for itself. */
  readonly #before: Int32Array;
  readonly #fit: Uint8Array;

  constructor(keys: Uint32Array) {
    assert(keys.length <= maxSize, `ring: ${keys.length} nodes, at most ${maxSize} are possible`);
    const total = keys.length * pointsPerNode;
    // One to two points per bucket. At least two buckets: a shift by 32 would be a shift by 0.
    const bits = Math.max(1, 31 - Math.clz32(Math.max(1, total)));
    this.#shift = 32 - bits;
    this.#allBucket = new Int32Array(2 ** bits);
    this.#bucket = new Int32Array(2 ** bits);
    this.#allPositions = new Uint32Array(total);
    this.#allNodes = new Uint16Array(total);
    this.positions = new Uint32Array(total);
    this.nodes = new Uint16Array(total);
    this.#before = new Int32Array(total + 1);
    this.#fit = new Uint8Array(keys.length);
    this.#place(distinct(keys));
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    const all = [this.#allPositions, this.#allNodes, this.#allBucket, this.#before, this.#fit];
    return [...all, this.positions, this.nodes, this.#bucket].reduce((sum, array) => sum + array.byteLength, 0);
  }

  /** Sorts by counting per bucket, then by insertion: points are spread evenly, so both are linear. */
  #place(keys: Uint32Array): void {
    const bucket = this.#allBucket;
    for (let node = 0; node < keys.length; node++) {
      for (let r = 0; r < pointsPerNode; r++) bucket[pointOf(keys[node]!, r) >>> this.#shift]!++;
    }
    let sum = 0;
    for (let b = 0; b < bucket.length; b++) {
      sum += bucket[b]!;
      bucket[b] = sum;
    }
    // Filled from its end, each bucket's number comes to stand at its first point.
    for (let node = keys.length - 1; node >= 0; node--) {
      for (let r = 0; r < pointsPerNode; r++) {
        const position = pointOf(keys[node]!, r);
        const at = --bucket[position >>> this.#shift]!;
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
    const fit = this.#fit;
    const before = this.#before;
    const total = this.#allNodes.length;
    let count = 0;
    for (let node = 0; node < fit.length; node++) fit[node] = weights[node]! > 0 ? 1 : 0;
    for (let i = 0; i < total; i++) {
      const node = this.#allNodes[i]!;
      this.positions[count] = this.#allPositions[i]!;
      this.nodes[count] = node;
      before[i] = count;
      count += fit[node]!;
    }
    before[total] = count;
    for (let b = 0; b < this.#bucket.length; b++) this.#bucket[b] = before[this.#allBucket[b]!]!;
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
