/**
 * When to try a peer again: doubling from 50 ms to 500 ms, half of it by chance, so that members that lost the same
 * peer don't come back to it in step. The bound is short because an election must not wait for it.
 */
import type { Millis } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';

const firstMs = 50;
const lastMs = 500;

export class Backoff {
  readonly #random: Random;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  failed(): Millis {
    const bound = Math.min(lastMs, firstMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    return bound / 2 + (bound / 2) * this.#random.next();
  }

  succeeded(): void {
    this.#failures = 0;
  }
}
