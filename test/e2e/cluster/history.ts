/**
 * Histories of real clients. Unlike in the simulation several things happen at once, so an operation's times are those of
 * the one clock of this process: taken before the request leaves, and after its answer came. Both only widen the
 * operation, so a history that is called impossible is.
 */
import type { Operation } from '../../sim/linearizability/history.ts';

export class History<I, O> {
  readonly #operations: Operation<I, O>[] = [];
  #last = 0;

  /** A time of this process, later than all that it gave before. */
  now(): number {
    this.#last = Math.max(performance.now(), this.#last + 1e-6);
    return this.#last;
  }

  answered(asked: { readonly client: string; readonly input: I; readonly call: number }, output: O): void {
    this.#operations.push({ ...asked, output, return: this.now() });
  }

  /** It took effect at any time after its call, or never. */
  unknown(asked: { readonly client: string; readonly input: I; readonly call: number }): void {
    this.#operations.push({ ...asked, output: null, return: Number.POSITIVE_INFINITY });
  }

  operations(): readonly Operation<I, O>[] {
    return this.#operations;
  }
}
