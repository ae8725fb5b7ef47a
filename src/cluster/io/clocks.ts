/**
 * The clock that all threads of a process share, and what it does not see: a machine that slept.
 *
 * hrtime stands still while the machine is suspended, os.uptime() does not (on Linux). When the wall clock and hrtime
 * have moved apart, uptime is asked why: if it was a sleep, all leases are void. A wall clock that was set is no reason.
 */
import { uptime } from 'node:os';
import type { Millis } from '../../base/ids.ts';

/** process.hrtime in ms. */
export const monotonicNow = (): Millis => Number(process.hrtime.bigint()) / 1e6;

export interface Clocks {
  now(): Millis;
  /** ms since 1970. */
  wall(): Millis;
  /** ms since the machine was started, suspends included. */
  uptime(): Millis;
}

export const realClocks: Clocks = { now: monotonicNow, wall: () => Date.now(), uptime: () => uptime() * 1000 };

/** Uptime is told in steps of so much. */
const stepMs: Millis = process.platform === 'linux' ? 10 : 1000;
/** The wall clock is looked at each time; only a jump of so much is worth asking for uptime. */
const jumpMs: Millis = 20;
/** Without a jump uptime is asked this often: a wall clock may be set just as the machine wakes. */
const askEveryMs: Millis = 1000;

/**
 * Sleeps add up until they are seen. On Linux all that is never seen together is below 40 ms: that is what the 50 ms of
 * every lease's drift are for. What is told is a real sleep: a thread that is kept waiting between two looks at the clocks
 * makes nothing of it.
 */
export class SuspendDetector {
  readonly #clocks: Clocks;
  #wallOffset: Millis;
  /** Uptime less our clock is at most this, as long as nobody slept. */
  #offsetMax: Millis;
  #askedAt: Millis;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
    const now = clocks.now();
    this.#wallOffset = clocks.wall() - now;
    this.#offsetMax = clocks.uptime() + stepMs - now;
    this.#askedAt = now;
  }

  /** How long the machine slept since the last look; 0 if it did not. */
  slept(now: Millis): Millis {
    const jumped = Math.abs(this.#clocks.wall() - now - this.#wallOffset) > jumpMs;
    if (!jumped && now - this.#askedAt < askEveryMs) return 0;
    const before = this.#clocks.now();
    const uptime = this.#clocks.uptime();
    const after = this.#clocks.now();
    this.#wallOffset = this.#clocks.wall() - after;
    this.#askedAt = after;
    const gap = uptime - after - this.#offsetMax;
    const offset = uptime + stepMs - before;
    if (gap <= 2 * stepMs) {
      this.#offsetMax = Math.min(this.#offsetMax, offset);
      return 0;
    }
    this.#offsetMax = offset;
    return gap + stepMs;
  }
}
