/**
 * Is a data thread well? Looked at once a second, from its line in the scoreboard:
 *
 *   heartbeat stands still for 10 s          -> hung: it is to be terminated
 *   more than 10 caught exceptions in 60 s   -> sick: another takes its place, and it drains
 *
 * Time is an argument. When the looks themselves come late (the process was stopped, or control was busy), the time
 * between does not count: the data threads may have stood still for the same reason.
 */
import type { Millis } from '../base/ids.ts';

export const hangMs: Millis = 10_000;
export const exceptionBound = 10;
const windowMs: Millis = 60_000;
const lateLook: Millis = 3_000;

export type Finding = 'well' | 'hung' | 'sick';

export class Watchdog {
  #heartbeat = -1;
  #stoodFor: Millis = 0;
  #lookedAt: Millis;
  /** Number of exceptions at past looks, oldest first; the first is from about a window ago. */
  #samples: { readonly at: Millis; readonly exceptions: number }[] = [];

  constructor(now: Millis) {
    this.#lookedAt = now;
  }

  look(now: Millis, heartbeat: number, exceptions: number): Finding {
    const passed = now - this.#lookedAt;
    this.#lookedAt = now;
    if (heartbeat !== this.#heartbeat) this.#stoodFor = 0;
    else if (passed < lateLook) this.#stoodFor += passed;
    this.#heartbeat = heartbeat;
    if (this.#stoodFor >= hangMs) return 'hung';
    return this.#recent(now, exceptions) > exceptionBound ? 'sick' : 'well';
  }

  /** Since the heartbeat last moved, as far as the looks have seen. */
  get stoodFor(): Millis {
    return this.#stoodFor;
  }

  #recent(now: Millis, exceptions: number): number {
    this.#samples.push({ at: now, exceptions });
    while (this.#samples.length > 1 && this.#samples[1]!.at <= now - windowMs) this.#samples.shift();
    const first = this.#samples[0]!;
    // Before a window has passed, the count began at 0 with the thread.
    return first.at <= now - windowMs ? exceptions - first.exceptions : exceptions;
  }
}
