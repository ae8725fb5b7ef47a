import type { Applied } from '../../../src/cluster/replica/replica.ts';
import type { Step } from './arbitraries.ts';
import type { Bench } from './bench.ts';

/** Applies a story; leases and tokens that it names are those that were given out last. */
export function play(bench: Bench, steps: readonly Step[]): readonly Applied[] {
  let known = { lease: 0, token: 0 };
  return steps.map((step) => {
    bench.now += step.pass;
    const from = step.number === null ? {} : { uid: step.uid, number: step.number };
    const applied = bench.apply(step.command(known), from);
    const { result } = applied;
    if (result.kind === 'granted') known = { ...known, lease: result.lease };
    for (const event of applied.events) if (event.kind === 'lock-granted') known = { ...known, token: event.token };
    return applied;
  });
}
