/**
 * What clients saw: for each operation when it was asked, when it was answered, and the answer.
 *
 *   call ----------------------- return        answered: it took effect somewhere in between
 *   call ------------------------------- ...   unknown: it took effect at any time after the call, or never
 *
 * An operation that surely had no effect (refused before it was tried) is dropped; one that was answered "no" (a conflict)
 * is an answer like any other. Order is that of recording: one recorder, one virtual world, no clocks to compare.
 */
export interface Operation<I, O> {
  readonly client: string;
  readonly input: I;
  /** Null: the outcome is unknown. */
  readonly output: O | null;
  readonly call: number;
  /** Infinity: the outcome is unknown. */
  readonly return: number;
}

/** Hand it back to say how the operation ended. */
export type Call = number;

export class HistoryRecorder<I, O> {
  readonly #operations = new Map<Call, Operation<I, O>>();
  #order = 0;

  invoke(client: string, input: I): Call {
    this.#order += 1;
    const call = this.#order;
    this.#operations.set(call, { client, input, output: null, call, return: Number.POSITIVE_INFINITY });
    return call;
  }

  answered(call: Call, output: O): void {
    const operation = this.#operations.get(call);
    if (operation === undefined) throw new Error(`operation ${call} is not open`);
    this.#order += 1;
    this.#operations.set(call, { ...operation, output, return: this.#order });
  }

  /** It surely had no effect. */
  refused(call: Call): void {
    this.#operations.delete(call);
  }

  /** What is still open counts as unknown. */
  operations(): readonly Operation<I, O>[] {
    return [...this.#operations.values()];
  }
}
