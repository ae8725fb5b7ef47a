/** What a test started, ended in reverse order whatever happened to the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, onTestFinished } from 'vitest';

export interface Stoppable {
  stop(): Promise<void> | void;
}

export class Scope {
  readonly #owned: Stoppable[] = [];

  own<T extends Stoppable>(thing: T): T {
    this.#owned.push(thing);
    return thing;
  }

  /** An empty folder, removed at the end. */
  async folder(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'evenkeel-test-'));
    this.own({ stop: () => rm(path, { recursive: true, force: true }) });
    return path;
  }

  /** Ends everything; a failure to end one thing does not keep the others. */
  async stop(): Promise<void> {
    const failures: unknown[] = [];
    for (let thing = this.#owned.pop(); thing !== undefined; thing = this.#owned.pop()) {
      try {
        await thing.stop();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'could not end all that the test had started');
  }
}

/** For things that all tests of a file (or of a describe block) share. Call it outside a test. */
export function fileScope(): Scope {
  const scope = new Scope();
  afterAll(() => scope.stop());
  return scope;
}

/** For things of one test. Call it inside a test that does not run concurrently. */
export function testScope(): Scope {
  const scope = new Scope();
  onTestFinished(() => scope.stop());
  return scope;
}
