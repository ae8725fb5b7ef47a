/**
 * Runs the hooks of failover: what makes an app node primary, or makes it stop being primary.
 *
 *   HookRun --post--> the node, or a url: POST, JSON, X-HA-Epoch; 2xx is success
 *           --exec--> a program without a shell: JSON on standard input, EK_* in the environment; exit code 0 is success
 *
 * Either may answer with JSON that holds `position`. Each ends once: by its result, at its deadline, or when it is
 * abandoned; a program is killed then with all that it started in its process group. A hook that has been ended may
 * still take effect: whoever asked for it counts with that until its deadline has passed (rule 3.2).
 */
import type { Millis } from '../../base/ids.ts';
import type { HookRun } from '../failover/contract.ts';
import { execHook } from './hook-exec.ts';
import { type HookTls, postHook } from './hook-post.ts';
import type { HookDone, HookWords } from './hook-words.ts';

export type { HookTls };

export interface HookResult {
  readonly id: number;
  readonly ok: boolean;
  /** One line: `204 in 12 ms`, `exit code 3 in 40 ms: no such host`. */
  readonly detail: string;
  readonly position: number | null;
}

export interface HookRunnerOptions {
  /** The clock of deadlines. */
  now(): Millis;
  /** ms since 1970, for the deadline that a hook is told. */
  wall(): Millis;
  /** How the https nodes of a pool are spoken to; null: as Node does by itself. */
  tlsOf(pool: string): HookTls | null;
  /** Exactly once for each run that was not abandoned. */
  onResult(result: HookResult): void;
}

const detailMax = 300;
const timerMax = 0x7fffffff;

interface Running {
  readonly stop: () => void;
  readonly timer: NodeJS.Timeout;
}

export class HookRunner {
  readonly #options: HookRunnerOptions;
  readonly #running = new Map<number, Running>();

  constructor(options: HookRunnerOptions) {
    this.#options = options;
  }

  /** Hooks that run now. */
  get running(): number {
    return this.#running.size;
  }

  /** Starts a hook, unless its deadline has passed. Results never come before this returns. */
  run(run: HookRun): void {
    const startedAt = this.#options.now();
    const left = run.deadline - startedAt;
    if (left <= 0) {
      const late = { id: run.id, ok: false, detail: 'not started: its deadline had passed', position: null };
      setImmediate(() => this.#options.onResult(late));
      return;
    }
    const done: HookDone = (result) => {
      const took = Math.max(1, Math.round(this.#options.now() - startedAt));
      setImmediate(() => this.#end(run.id, result, took));
    };
    const timer = setTimeout(
      () => {
        const detail = `ended at its deadline: no result within ${Math.round(left)} ms`;
        this.#end(run.id, { ok: false, detail }, null);
      },
      Math.min(timerMax, Math.ceil(left)),
    );
    this.#running.set(run.id, { stop: this.#start(run, left, done), timer });
  }

  #start(run: HookRun, left: Millis, done: HookDone): () => void {
    const words: HookWords = {
      hook: run.kind,
      pool: run.pool,
      node: run.target.node,
      url: run.target.url,
      epoch: run.epoch,
      reason: run.reason,
      deadline: Math.floor(this.#options.wall() + left),
      timeout: Math.floor(left),
    };
    try {
      if (run.how.kind === 'exec') return execHook(run.how.argv, words, done);
      return postHook({ url: run.how.url, tls: this.#options.tlsOf(run.pool) }, words, done);
    } catch (error) {
      done({ ok: false, detail: `could not be started: ${error instanceof Error ? error.message : String(error)}` });
      return () => {};
    }
  }

  /** Ends these without a result. */
  abandon(ids: readonly number[]): void {
    for (const id of ids) this.#stop(id);
  }

  close(): void {
    this.abandon([...this.#running.keys()]);
  }

  #stop(id: number): boolean {
    const running = this.#running.get(id);
    if (running === undefined) return false;
    this.#running.delete(id);
    clearTimeout(running.timer);
    running.stop();
    return true;
  }

  #end(id: number, { ok, detail, output }: Parameters<HookDone>[0], took: Millis | null): void {
    if (!this.#stop(id)) return;
    const timed = took === null ? detail : detail.replace('%t', `${took} ms`);
    this.#options.onResult({ id, ok, detail: oneLine(timed), position: positionIn(output ?? '') });
  }
}

/** `{ "position": 4711 }`; null for anything else. */
function positionIn(output: string): number | null {
  if (!output.includes('position')) return null;
  try {
    const value: unknown = JSON.parse(output);
    const position = typeof value === 'object' && value !== null && 'position' in value ? value.position : null;
    return typeof position === 'number' && Number.isSafeInteger(position) && position >= 0 ? position : null;
  } catch {
    return null;
  }
}

const oneLine = (text: string): string =>
  text
    .replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ')
    .trim()
    .slice(0, detailMax);
