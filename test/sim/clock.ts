/**
 * A member's own clocks against world time.
 *
 *   monotonic   runs at its own rate, within the drift that the leases allow for; stands still while its machine is
 *               suspended (a paused process' clock goes on)
 *   wall        anything: it jumps by hours, and only the very first entry of a new cluster may mind
 */
import type { Millis } from '../../src/base/ids.ts';

export class MemberClock {
  #rate: number;
  /** The line: at world time `#world` it showed `#local`. */
  #world: Millis = 0;
  #local: Millis;
  #stopped = false;
  /** Wall clock minus world time. */
  wallOffset: Millis;

  constructor(start: { readonly rate: number; readonly origin: Millis; readonly wallOffset: Millis }) {
    this.#rate = start.rate;
    this.#local = start.origin;
    this.wallOffset = start.wallOffset;
  }

  get rate(): number {
    return this.#rate;
  }

  read(world: Millis): Millis {
    return this.#stopped ? this.#local : this.#local + (world - this.#world) * this.#rate;
  }

  /** World time at which it shows `local`, at the earliest; Infinity while it stands still. */
  worldAt(local: Millis): Millis {
    if (this.#stopped) return Number.POSITIVE_INFINITY;
    return this.#world + (local - this.#local) / this.#rate;
  }

  wall(world: Millis): Millis {
    return Math.floor(world + this.wallOffset);
  }

  setRate(world: Millis, rate: number): void {
    this.#turn(world);
    this.#rate = rate;
  }

  stop(world: Millis): void {
    this.#turn(world);
    this.#stopped = true;
  }

  go(world: Millis): void {
    this.#world = world;
    this.#stopped = false;
  }

  #turn(world: Millis): void {
    this.#local = this.read(world);
    this.#world = world;
  }
}
