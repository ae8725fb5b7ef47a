/** Small facts that follow from what ended: hooks with their outcomes, and what must not be lost. */
import type { HookStart } from './model.ts';

/** Hooks with the outcomes that are known since. */
export function settled(
  hooks: readonly HookStart[],
  resultOf: (hook: HookStart) => { readonly ok: boolean } | null,
): readonly HookStart[] {
  return hooks.map((hook) => {
    const result = hook.outcome === 'running' ? resultOf(hook) : null;
    return result === null ? hook : { ...hook, outcome: result.ok ? 'done' : 'failed' };
  });
}

/**
 * The position that must not be lost: the highest that members passed on to clients (6.1). If one of them could not be
 * asked, or none knows a position, also the highest that the old primary itself reported, and the one that it had when its
 * epoch opened: what clients were told before that is below it, whether or not it lived to answer a check.
 */
export function liveReference(
  passed: number | null,
  primary: { readonly reported: number | null; readonly opened: number | null },
  complete: boolean,
): number | null {
  if (complete && passed !== null) return passed;
  const known = [passed, primary.reported, primary.opened].filter((position) => position !== null);
  return known.length === 0 ? null : Math.max(...known);
}
