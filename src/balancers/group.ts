/**
 * The nodes of one group as a data thread sees them. The owner copies weights in from the scoreboard and rebuilds the
 * list of live nodes in place:
 *
 *   for each node: changed = group.setWeight(i, weight) || changed
 *   if (changed) { group.rebuildLive(); balancer.refresh(); }
 *
 * Nothing is allocated after construction.
 */
import { assert } from '../base/assert.ts';
import type { NodeGroup } from './contract.ts';

export interface GroupOptions {
  readonly keys: Uint32Array;
  readonly slots: Int32Array;
  readonly inflight: Int32Array;
  readonly inflightStride: number;
  readonly inflightOffset: number;
}

export class Group implements NodeGroup {
  readonly size: number;
  readonly keys: Uint32Array;
  readonly slots: Int32Array;
  readonly weights: Float64Array;
  readonly live: Int32Array;
  readonly inflight: Int32Array;
  readonly inflightStride: number;
  readonly inflightOffset: number;
  #liveCount = 0;

  /** All weights are 0 at first. Throws if keys and slots differ in length. */
  constructor(options: GroupOptions) {
    const { keys, slots } = options;
    assert(keys.length === slots.length, `group: ${keys.length} keys but ${slots.length} slots`);
    this.size = keys.length;
    this.keys = keys;
    this.slots = slots;
    this.weights = new Float64Array(this.size);
    this.live = new Int32Array(this.size);
    this.inflight = options.inflight;
    this.inflightStride = options.inflightStride;
    this.inflightOffset = options.inflightOffset;
  }

  get liveCount(): number {
    return this.#liveCount;
  }

  /** Takes effect with rebuildLive(). What is no positive finite number counts as 0. Returns whether it changed. */
  setWeight(node: number, weight: number): boolean {
    const next = weight > 0 && weight < Number.POSITIVE_INFINITY ? weight : 0;
    if (this.weights[node] === next) return false;
    this.weights[node] = next;
    return true;
  }

  /** Call before the balancer's refresh(). */
  rebuildLive(): void {
    let count = 0;
    for (let node = 0; node < this.size; node++) {
      if (this.weights[node]! > 0) this.live[count++] = node;
    }
    this.#liveCount = count;
  }
}
