/** What holds whatever happens, in whatever order. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Wish } from '../../src/base/node-state.ts';
import type { NodeHealthView, PassiveSignal } from '../../src/health/contract.ts';
import type { PoolSpec } from '../../src/health/policy.ts';
import { type Behaviour, healthPolicy, poolSpec, World } from './world.ts';

type Step =
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'behave'; readonly node: number; readonly as: Behaviour }
  | { readonly do: 'signal'; readonly node: number; readonly signal: PassiveSignal }
  | { readonly do: 'wish'; readonly node: number; readonly wish: Wish }
  | { readonly do: 'reload'; readonly nodes: number; readonly checked: boolean };

const ids = ['a', 'b', 'c', 'd', 'e'];
const anyIndex = fc.nat(ids.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 50, 500, 5000, 40_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('behave' as const),
      node: anyIndex,
      as: fc.constantFrom<Behaviour>('ok', 'ok', 'refuse', 'error', 'hang', { json: { status: 'degraded' } }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('signal' as const),
      node: anyIndex,
      signal: fc.constantFrom<PassiveSignal>('errors', 'errors', 'refused', 'reset', 'timeout', 'success', 'failure'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('wish' as const),
      node: anyIndex,
      wish: fc.constantFrom<Wish>('ready', 'ready', 'drain', 'maint'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('reload' as const),
      nodes: fc.integer({ min: 1, max: ids.length }),
      checked: fc.boolean(),
    }),
  },
);

function play(world: World, one: Step): void {
  const known = (index: number): string | undefined => world.machine.views(world.at)[index]?.node;
  if (one.do === 'advance') world.advance(one.ms);
  else if (one.do === 'behave') world.set(ids[one.node]!, one.as);
  else if (one.do === 'signal') world.report(ids[one.node]!, one.signal);
  else if (one.do === 'wish') {
    const node = known(one.node);
    if (node !== undefined) world.wish(node, one.wish);
  } else world.configure(specOf(one.nodes, one.checked));
}

function specOf(nodes: number, checked: boolean): PoolSpec {
  const slowStart = { window: 3000, aggression: 1 };
  return poolSpec(ids.slice(0, nodes), { health: checked ? healthPolicy : null, slowStart });
}

describe('any sequence of events', () => {
  it('never ejects the last usable node, never overlaps probes, and tells each change exactly once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(), (steps, seed) => {
        const world = new World(specOf(5, true), seed);
        for (const one of steps) {
          play(world, one);
          const views = world.machine.views(world.at);
          const usable = views.filter(
            (view) => view.wish === 'ready' && (view.verdict === 'healthy' || view.verdict === 'degraded'),
          );
          if (usable.length > 0) expect(views.some((view) => view.fitness === 'fit')).toBe(true);
          expect(world.machine.settle(world.at).changes).toEqual([]);
        }
        expect(world.overlaps).toBe(0);
        checkStories(world);
      }),
      { numRuns: 200 },
    );
  });
});

/** Replaying the changes gives the state at the end, and no change repeats the one before. */
function checkStories(world: World): void {
  const facts = ({ verdict, wish, fitness, weight }: NodeHealthView) => ({ verdict, wish, fitness, weight });
  const last = new Map<string, NodeHealthView>();
  for (const { node, view, previous } of world.changes) {
    if (previous !== null) {
      expect(previous).toBe(last.get(node));
      expect(facts(view)).not.toEqual(facts(previous));
    }
    last.set(node, view);
  }
  for (const view of world.machine.views(world.at)) expect(facts(last.get(view.node)!)).toEqual(facts(view));
}
