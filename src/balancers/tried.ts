/**
 * Nodes that must not be chosen in the pick under way, as marks: begin() costs one step per tried node, has() one load.
 * A mark is the number of the pick that set it, so nothing has to be cleared between picks.
 */
import type { PickRequest } from './contract.ts';

export class Tried {
  readonly #marks: Uint32Array;
  #pick = 0;

  constructor(size: number) {
    this.#marks = new Uint32Array(size);
  }

  /** Starts a pick. False if nothing is marked, so that the caller can spare itself has(). */
  begin(request: PickRequest): boolean {
    this.#pick = (this.#pick + 1) >>> 0;
    if (this.#pick === 0) this.#restart();
    for (let i = 0; i < request.triedCount; i++) this.#marks[request.tried[i]!] = this.#pick;
    return request.triedCount > 0;
  }

  add(node: number): void {
    this.#marks[node] = this.#pick;
  }

  has(node: number): boolean {
    return this.#marks[node] === this.#pick;
  }

  /** The pick's number has wrapped: marks of 2^32 picks ago must not come to life again. */
  #restart(): void {
    this.#marks.fill(0);
    this.#pick = 1;
  }
}
