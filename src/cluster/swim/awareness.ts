/**
 * Local health (Lifeguard, IV.A): how far this member should mistrust itself. A member that is slow to read its
 * messages sees everybody as dead; so what hints at its own slowness raises a score, and the score stretches its probe
 * interval and time-out.
 *
 *   a probe succeeds -1 · a probe fails +1 · a helper's nack is missing +1 · having to refute +1 · a stall of the loop +1
 */
import type { Millis } from '../../base/ids.ts';

export class Awareness {
  readonly #max: number;
  #score = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** 0 (well) to the maximum. */
  get score(): number {
    return this.#score;
  }

  add(points: number): void {
    this.#score = Math.min(this.#max, Math.max(0, this.#score + points));
  }

  stretch(span: Millis): Millis {
    return span * (this.#score + 1);
  }
}
