/**
 * What waits for the end of a turn of the loop, when every socket that was ready has been read: heads that leave together in
 * one write (pipeline.ts), and requests that go out again because their connection has gone.
 */
import type { Attempt } from './attempt.ts';
import type { Pipeline } from './pipeline.ts';

export class Turn {
  #pipelines: Pipeline[] = [];
  #again: Attempt[] = [];
  #due = false;
  readonly #end = (): void => this.#run();

  /** Heads have gathered. */
  flush(pipeline: Pipeline): void {
    this.#pipelines.push(pipeline);
    this.#wake();
  }

  sendAgain(attempt: Attempt): void {
    this.#again.push(attempt);
    this.#wake();
  }

  #wake(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(this.#end);
  }

  #run(): void {
    this.#due = false;
    const again = this.#again;
    const pipelines = this.#pipelines;
    if (again.length > 0) {
      this.#again = [];
      for (const attempt of again) {
        try {
          attempt.goAgain();
        } catch (error) {
          attempt.threw(error);
        }
      }
    }
    this.#pipelines = [];
    for (const pipeline of pipelines) {
      try {
        pipeline.flush();
      } catch (error) {
        pipeline.threw(error);
      }
    }
  }
}
