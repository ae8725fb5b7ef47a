/**
 * The clock that all threads of a process share, and what it does not see: a machine that slept.
 *
 * hrtime stands still while the machine is suspended, os.uptime() does not (on Linux). When the wall clock and hrtime
 * have moved apart, uptime is asked why: suspended for more than 500 ms, all leases are void. A wall clock that was set
 * is no reason.
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

/** A shorter sleep is not told from the coarseness of the clocks, and is far inside every drift. */
const gapMs: Millis = 500;
/** The wall clock is looked at each time; only a jump of so much is worth asking for uptime. */
const jumpMs: Millis = 100;
/** Without a jump uptime is asked this often: a wall clock may be set just as the machine wakes. */
const askEveryMs: Millis = 1000;

export class SuspendDetector {
  readonly #clocks: Clocks;
  #wallOffset: Millis;
  #uptimeOffset: Millis;
  #askedAt: Millis;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
    const now = clocks.now();
    this.#wallOffset = clocks.wall() - now;
    this.#uptimeOffset = clocks.uptime() - now;
    this.#askedAt = now;
  }

  /** How long the machine slept since the last look; 0 if it did not. */
  slept(now: Millis): Millis {
    const offset = this.#clocks.wall() - now;
    const jumped = Math.abs(offset - this.#wallOffset) > jumpMs;
    if (!jumped && now - this.#askedAt < askEveryMs) return 0;
    this.#wallOffset = offset;
    this.#askedAt = now;
    const uptimeOffset = this.#clocks.uptime() - now;
    const gap = uptimeOffset - this.#uptimeOffset;
    if (gap <= gapMs) return 0;
    this.#uptimeOffset = uptimeOffset;
    return gap;
  }
}
