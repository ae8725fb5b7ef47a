/**
 * The leader's rounds of heartbeats. A round that a quorum has answered proves that this was the leader when the round
 * was begun, and that no other can have been elected before that time + the smallest election time-out. Reads, leases
 * and grants are built on this proof alone.
 */
import type { Millis } from '../../base/ids.ts';
import type { Rules } from './rules.ts';

interface Begun {
  readonly round: number;
  readonly at: Millis;
}

export class Rounds {
  #current = 0;
  #confirmed = 0;
  #begun: Begun[] = [];
  /** When the newest confirmed round was begun; -Infinity before the first, or if the clock can't be trusted. */
  #provenAt: Millis = Number.NEGATIVE_INFINITY;
  #leaseFrom: Millis = Number.NEGATIVE_INFINITY;

  get current(): number {
    return this.#current;
  }

  get confirmed(): number {
    return this.#confirmed;
  }

  get provenAt(): Millis {
    return this.#provenAt;
  }

  get leaseFrom(): Millis {
    return this.#leaseFrom;
  }

  begin(now: Millis): number {
    this.#current += 1;
    this.#begun.push({ round: this.#current, at: now });
    return this.#current;
  }

  /** A quorum has answered this round or a later one. */
  confirm(round: number, now: Millis, rules: Rules): void {
    if (round <= this.#confirmed) return;
    this.#confirmed = round;
    const begun = this.#begun.findLast((one) => one.round <= round);
    this.#begun = this.#begun.filter((one) => one.round > round);
    if (begun === undefined || begun.round !== round) return;
    this.#provenAt = begun.at;
    this.#leaseFrom = Math.max(this.#leaseFrom, rules.leaseFrom(begun.at, now));
  }

  /** The clock missed time: what was begun before proves leadership, but not since when. */
  distrustClock(): void {
    this.#begun = [];
    this.#provenAt = this.#leaseFrom = Number.NEGATIVE_INFINITY;
  }
}
