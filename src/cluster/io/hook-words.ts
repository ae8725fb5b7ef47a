/** What hooks are told, and how they report. */
import type { Millis } from '../../base/ids.ts';
import type { HookRun } from '../failover/contract.ts';

/** What a hook is told. Times in ms. */
export interface HookWords {
  readonly hook: HookRun['kind'];
  readonly pool: string;
  readonly node: string;
  readonly url: string;
  readonly epoch: number;
  readonly reason: HookRun['reason'];
  /** Since 1970, by this machine's clock. */
  readonly deadline: Millis;
  /** From now to the deadline. */
  readonly timeout: Millis;
}

/** How one run reports, once; calls after that are ignored. */
export type HookDone = (result: { readonly ok: boolean; readonly detail: string; readonly output?: string }) => void;

/** Of an answer, or of a program's output. */
export const hookOutputMax = 64 * 1024;
