/**
 * Doubt in probes. For a while this member asks twice before it accuses, when
 *
 *   it accused a member that lives, or found that one lives only as it asked a second time
 *   several others were accused lately, by whomever, and live
 *
 * for then packets are being lost. Without this, with 30 % of them lost, 1 000 members accuse 55 living ones in a second,
 * more than gossip can carry, and refutations come too late. Where nothing is lost a crash is noticed as fast as ever.
 */
import type { MemberId, Millis } from '../../base/ids.ts';

/** Of so many different members within this span. */
const refutations = 3;
const refutationsMs: Millis = 10_000;

export class Doubt {
  readonly #spanMs: Millis;
  #until: Millis = Number.NEGATIVE_INFINITY;
  /** The newest refutations, each member once, oldest first. */
  #refuted: { readonly id: MemberId; readonly at: Millis }[] = [];

  constructor(spanMs: Millis) {
    this.#spanMs = spanMs;
  }

  /** A probe of this member failed, and its target lives. */
  wasWrong(now: Millis): void {
    this.#until = now + this.#spanMs;
  }

  /** Somebody was accused, and lives. */
  refuted(id: MemberId, now: Millis): void {
    this.#refuted = this.#refuted.filter((one) => one.id !== id && now - one.at < refutationsMs);
    this.#refuted.push({ id, at: now });
    if (this.#refuted.length < refutations) return;
    this.#refuted.shift();
    this.wasWrong(now);
  }

  asksTwice(now: Millis): boolean {
    return now < this.#until;
  }
}
