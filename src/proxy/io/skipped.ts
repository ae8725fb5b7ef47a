/** The place in a pipeline of a request whose client has gone, or whose answer was given up: what comes is thrown away. */
import { AnswerSkipper } from '../http1/answer-skipper.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { InLine, Pipeline } from './pipeline.ts';

export class Skipped implements InLine {
  readonly waits = false;
  readonly begun = false;
  readonly deadline: number;
  readonly #pipeline: Pipeline;
  readonly #skipper: AnswerSkipper;

  /** `head`: of its answer, if that was read already. */
  constructor(
    pipeline: Pipeline,
    from: { readonly method: string; readonly deadline: number },
    head: ResponseHead | null,
  ) {
    this.#pipeline = pipeline;
    this.deadline = from.deadline;
    this.#skipper = new AnswerSkipper(from.method, head);
  }

  /** Leaves the pipeline at the end of its answer. */
  readAnswer(bytes: Buffer, from: number, to: number): void {
    const at = this.#skipper.read(bytes, from, to);
    this.look(to - at);
  }

  /** `behind`: bytes of the read that stand behind what was skipped. */
  look(behind: number): void {
    const { done, fault, keepAlive } = this.#skipper;
    if (fault !== null) this.#pipeline.close(fault);
    else if (done) this.#pipeline.pass(behind, keepAlive);
  }

  endAnswer(): boolean {
    return false;
  }

  broken(): void {}

  expired(): void {
    this.#pipeline.close('an answer that nobody waits for did not come');
  }

  threw(error: unknown): void {
    this.#pipeline.node.context.exception('an answer that nobody waits for', error);
  }
}
