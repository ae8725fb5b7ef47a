/**
 * What the checks of one node have shown so far.
 *
 *   unknown --ok--> up --------- fall failures in a row ---------> down
 *      |            ^  <-------- rise successes in a row ---------  ^
 *      +---------------------------- failed ------------------------+
 *   unchecked: the pool has no health check; counts as healthy until traffic shows otherwise
 *
 * The first check decides alone, either way: a start must not take `rise` intervals, and a node that refuses its very
 * first connection must not get traffic for `fall` of them. What the node says of itself (answer.ts) makes an up node
 * healthy or degraded; both take traffic.
 */
import { assertNever } from '../base/assert.ts';
import type { Verdict } from '../base/node-state.ts';
import type { HealthAnswer } from './answer.ts';
import type { HealthPolicy } from './policy.ts';

export type CheckState =
  | { readonly at: 'unchecked' }
  | { readonly at: 'unknown' }
  /** Counts are of checks in a row: while one grows the other is 0, but `passed` survives until `failed` reaches fall. */
  | { readonly at: 'up'; readonly passed: number; readonly failed: number; readonly detail: string }
  | { readonly at: 'down'; readonly passed: number; readonly failed: number; readonly detail: string };

/** One check's result, or what real traffic showed in its place. */
export interface CheckResult {
  readonly ok: boolean;
  readonly detail: string;
}

/** Before any check: what a node is when it is first seen. */
export function initialCheck(health: HealthPolicy | null): CheckState {
  return health === null ? { at: 'unchecked' } : { at: 'unknown' };
}

/**
 * The state under another policy. A node that took traffic unchecked goes on taking it when checks begin: a reload
 * must not empty a pool.
 */
export function adaptCheck(state: CheckState, health: HealthPolicy | null): CheckState {
  if (health === null) return { at: 'unchecked' };
  return state.at === 'unchecked' ? { at: 'up', passed: 0, failed: 0, detail: 'not checked yet' } : state;
}

/** The state after one more check. */
export function afterCheck(
  state: CheckState,
  result: CheckResult,
  policy: Pick<HealthPolicy, 'rise' | 'fall'>,
): CheckState {
  const { ok, detail } = result;
  switch (state.at) {
    case 'unknown':
      return ok ? { at: 'up', passed: 1, failed: 0, detail } : { at: 'down', passed: 0, failed: 1, detail };
    case 'unchecked':
      return afterCheck({ at: 'up', passed: 0, failed: 0, detail }, result, policy);
    case 'up': {
      if (ok) return { at: 'up', passed: state.failed > 0 ? 1 : state.passed + 1, failed: 0, detail };
      const failed = state.failed + 1;
      return { at: failed >= policy.fall ? 'down' : 'up', passed: 0, failed, detail };
    }
    case 'down': {
      if (!ok) return { at: 'down', passed: 0, failed: state.passed > 0 ? 1 : state.failed + 1, detail };
      const passed = state.passed + 1;
      return passed >= policy.rise
        ? { at: 'up', passed, failed: 0, detail }
        : { at: 'down', passed, failed: state.failed, detail };
    }
    default:
      return assertNever(state, 'check state');
  }
}

export function verdictOf(state: CheckState, answer: HealthAnswer): Verdict {
  switch (state.at) {
    case 'unchecked':
      return 'healthy';
    case 'unknown':
      return 'unknown';
    case 'down':
      return 'unhealthy';
    case 'up':
      return answer.says === 'degraded' ? 'degraded' : 'healthy';
    default:
      return assertNever(state, 'check state');
  }
}

/** Still on the way to another verdict: checks come faster. */
export function isChanging(state: CheckState): boolean {
  return (state.at === 'up' && state.failed > 0) || (state.at === 'down' && state.passed > 0);
}
