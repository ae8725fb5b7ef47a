/**
 * The agreed time, as a leader continues it.
 *
 * The state carries the time of its newest entry. Who leads goes on from there by its own monotonic clock: by the time
 * since it saw that entry applied. Only an entry that its leader had just stamped says how late it is (`heard` with
 * `live`); after a restart of all there is none, and the wall clock helps, forward only. A wrong wall clock on one member
 * of a running cluster so moves nothing.
 */
import type { Millis } from '../../base/ids.ts';

export class AgreedClock {
  #at: Millis;
  #monotonic: Millis;
  #live = false;

  /** Both clocks of this member at its start: wall in ms since 1970, monotonic in ms since anything. */
  constructor(start: { readonly wall: Millis; readonly monotonic: Millis }) {
    this.#at = Math.floor(start.wall);
    this.#monotonic = start.monotonic;
  }

  /**
   * An entry was applied; `at` is the state's time after it. `live`: stamped just now, so of the term that runs, by a
   * leader that is heard. Others only keep the clock from running back.
   */
  heard(at: Millis, monotonic: Millis, live: boolean): void {
    if (!live && at <= this.now(monotonic)) return;
    this.#live ||= live;
    this.#at = live ? at : Math.max(at, this.now(monotonic));
    this.#monotonic = monotonic;
  }

  /** The time to stamp now. Whole ms. */
  now(monotonic: Millis): Millis {
    return this.#at + Math.max(0, Math.floor(monotonic - this.#monotonic));
  }

  /** Whether the time comes from a leader rather than from this member's wall clock. */
  get live(): boolean {
    return this.#live;
  }
}
