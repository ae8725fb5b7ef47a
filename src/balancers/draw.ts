/**
 * Draws a live node by weight in constant time: Walker's alias method, table built as Vose (1991) does.
 *
 *   column c holds node live[c] with probability keep[c], else node live[alias[c]]; one random number chooses
 *   the column (its whole part) and between the two nodes (its fraction).
 *
 * The table takes O(n) to build and nothing to keep: refresh() works in arrays made once.
 * With 32 random bits and 16 384 nodes the fraction still has 18 bits: shares are exact to four parts in a million.
 */
import type { Random } from '../base/random.ts';
import type { NodeGroup, PickRequest } from './contract.ts';
import { Tried } from './tried.ts';

/** Draws that may hit a tried node before the rest is looked through in order. */
const maxRejections = 8;

export class Draw {
  readonly #group: NodeGroup;
  readonly #random: Random;
  readonly #tried: Tried;
  readonly #keep: Float64Array;
  readonly #alias: Int32Array;
  readonly #pending: Int32Array;
  #count = 0;
  #even = true;
  #anyTried = false;

  constructor(group: NodeGroup, random: Random) {
    this.#group = group;
    this.#random = random;
    this.#tried = new Tried(group.size);
    this.#keep = new Float64Array(group.size);
    this.#alias = new Int32Array(group.size);
    this.#pending = new Int32Array(group.size);
  }

  refresh(): void {
    const { live, liveCount, weights } = this.#group;
    this.#count = liveCount;
    const first = liveCount > 0 ? weights[live[0]!]! : 0;
    let total = 0;
    this.#even = true;
    for (let c = 0; c < liveCount; c++) {
      const weight = weights[live[c]!]!;
      total += weight;
      if (weight !== first) this.#even = false;
    }
    if (!this.#even) this.#build(liveCount / total);
  }

  /** Columns below the mean (from the front of `pending`) are filled up by those above it (from its back). */
  #build(scale: number): void {
    const { live, weights } = this.#group;
    const keep = this.#keep;
    const pending = this.#pending;
    let small = 0;
    let large = this.#count;
    for (let c = 0; c < this.#count; c++) {
      keep[c] = weights[live[c]!]! * scale;
      this.#alias[c] = c;
      if (keep[c]! < 1) pending[small++] = c;
      else pending[--large] = c;
    }
    while (small > 0 && large < this.#count) {
      const poor = pending[--small]!;
      const rich = pending[large]!;
      this.#alias[poor] = rich;
      keep[rich] = keep[rich]! + keep[poor]! - 1;
      if (keep[rich]! >= 1) continue;
      large++;
      pending[small++] = rich;
    }
    // What is left is 1 but for rounding; its alias is itself, so `keep` no longer matters.
  }

  /** Starts a pick; take() then avoids its tried nodes. */
  begin(request: PickRequest): void {
    this.#anyTried = this.#tried.begin(request);
  }

  /** A live node that was not tried, drawn by weight; -1 if there is none. */
  take(): number {
    if (this.#count === 0) return -1;
    if (!this.#anyTried) return this.#draw();
    for (let i = 0; i < maxRejections; i++) {
      const node = this.#draw();
      if (!this.#tried.has(node)) return node;
    }
    return this.#firstUntried(this.#random.below(this.#count));
  }

  /** Any untried node but this one, all equally likely unless some were tried; -1 if there is none. */
  other(than: number): number {
    if (this.#count < 2) return -1;
    const node = this.#group.live[this.#random.below(this.#count)]!;
    if (node !== than && !(this.#anyTried && this.#tried.has(node))) return node;
    this.#tried.add(than);
    return this.#firstUntried(this.#random.below(this.#count));
  }

  #draw(): number {
    const live = this.#group.live;
    const at = this.#random.next() * this.#count;
    const column = Math.floor(at);
    if (this.#even || at - column < this.#keep[column]!) return live[column]!;
    return live[this.#alias[column]!]!;
  }

  #firstUntried(from: number): number {
    const live = this.#group.live;
    let c = from;
    for (let i = 0; i < this.#count; i++) {
      const node = live[c]!;
      if (!this.#tried.has(node)) return node;
      c = c + 1 === this.#count ? 0 : c + 1;
    }
    return -1;
  }
}
