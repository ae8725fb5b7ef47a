/** Streams that this member opened and whose answer it waits for, each with what it was opened for. */
import type { Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import type { StreamRequest } from './messages.ts';
import type { Address } from './model.ts';

export type Purpose =
  | { readonly kind: 'probe' }
  | { readonly kind: 'seed'; readonly seed: Address }
  | { readonly kind: 'compare'; readonly address: Address }
  | { readonly kind: 'sync' };

interface Waiting {
  readonly purpose: Purpose;
  readonly deadline: Millis;
}

/** Longer than the driver's own time-out, which should come first. */
const graceMs = 1000;

export class Streams {
  readonly #core: Core;
  readonly #waiting = new Map<number, Waiting>();

  constructor(core: Core) {
    this.#core = core;
  }

  open(to: Address, request: StreamRequest, options: { purpose: Purpose; timeoutMs: Millis; now: Millis }): number {
    const stream = this.#core.outbox.open(to, request, options.timeoutMs);
    this.#waiting.set(stream, { purpose: options.purpose, deadline: options.now + options.timeoutMs + graceMs });
    return stream;
  }

  /** What the stream was for; undefined if nobody waits for it any more. It is over then. */
  end(stream: number): Purpose | undefined {
    const waiting = this.#waiting.get(stream);
    this.#waiting.delete(stream);
    return waiting?.purpose;
  }

  /** Numbers of streams that the driver never reported on. */
  overdue(now: Millis): number[] {
    const late: number[] = [];
    for (const [stream, waiting] of this.#waiting) if (waiting.deadline <= now) late.push(stream);
    return late;
  }

  wakeAt(): Millis {
    let at = Number.POSITIVE_INFINITY;
    for (const waiting of this.#waiting.values()) at = Math.min(at, waiting.deadline);
    return at;
  }
}
