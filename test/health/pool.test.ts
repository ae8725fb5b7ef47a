import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide, mayEject, type NodeFacts } from '../../src/health/pool.ts';

const node = (more: Partial<NodeFacts> = {}): NodeFacts => ({
  wish: 'ready',
  willing: true,
  verdict: 'healthy',
  ejection: 'in',
  until: 0,
  weight: 1,
  ...more,
});
const limits = { maxEjected: 0.5, panicThreshold: 0 };
const fitness = (nodes: readonly NodeFacts[], more = {}, wasPanic = false) =>
  decide(nodes, { ...limits, ...more }, wasPanic).nodes.map((one) => one.fitness);

describe('a node takes traffic when wish and observation agree', () => {
  it.each([
    [{}, 'fit'],
    [{ verdict: 'degraded' }, 'fit'],
    [{ verdict: 'unhealthy' }, 'unfit'],
    [{ verdict: 'unknown' }, 'unfit'],
    [{ wish: 'drain' }, 'unfit'],
    [{ wish: 'maint' }, 'unfit'],
    [{ willing: false }, 'unfit'],
    [{ ejection: 'ejected' }, 'unfit'],
    [{ ejection: 'probation' }, 'probation'],
    [{ ejection: 'probation', verdict: 'unhealthy' }, 'unfit'],
  ] as [Partial<NodeFacts>, string][])('%j -> %s', (facts, expected) => {
    const decision = decide([node(facts), node()], limits, false);
    expect(decision.nodes[0]!.fitness).toBe(expected);
    expect(decision.nodes[0]!.weight).toBe(expected === 'unfit' ? 0 : 1);
  });
});

describe('never the last one', () => {
  it('at most maxEjected of the nodes may be ejected, but one always may', () => {
    const four = [node(), node(), node(), node({ ejection: 'ejected' })];
    expect(mayEject(four, 0, limits)).toBe(true);
    expect(mayEject([node(), node(), node({ ejection: 'probation' }), node({ ejection: 'ejected' })], 0, limits)).toBe(
      false,
    );
    expect(mayEject([node(), node(), node()], 0, { ...limits, maxEjected: 0.1 })).toBe(true);
    expect(mayEject([node(), node(), node()], 0, { ...limits, maxEjected: 0 })).toBe(false);
  });

  it('the last fit node may not', () => {
    expect(mayEject([node()], 0, limits)).toBe(false);
    expect(mayEject([node(), node({ verdict: 'unhealthy' })], 0, { ...limits, maxEjected: 1 })).toBe(false);
    expect(mayEject([node(), node({ wish: 'drain' }), node({ weight: 0 })], 0, limits)).toBe(false);
  });

  it('ejected nodes are used while no other is left', () => {
    const nodes = [node({ ejection: 'ejected' }), node({ ejection: 'probation' }), node({ verdict: 'unhealthy' })];
    expect(fitness(nodes)).toEqual(['fit', 'fit', 'unfit']);
    expect(fitness([...nodes, node()], { maxEjected: 1 })).toEqual(['unfit', 'probation', 'unfit', 'fit']);
  });

  it('when the pool shrinks, those whose time is over first come back', () => {
    const nodes = [node({ ejection: 'ejected', until: 90 }), node({ ejection: 'ejected', until: 30 }), node()];
    expect(fitness(nodes)).toEqual(['unfit', 'fit', 'fit']);
  });
});

describe('panic', () => {
  const half = { panicThreshold: 0.5 };
  const [up, down] = [node(), node({ verdict: 'unhealthy' })];

  it('is off by default', () => {
    expect(fitness([down, down])).toEqual(['unfit', 'unfit']);
  });

  it('below the threshold all nodes that the operator wants are used', () => {
    expect(fitness([up, down], half)).toEqual(['fit', 'unfit']);
    expect(fitness([up, down, down], half)).toEqual(['fit', 'fit', 'fit']);
    expect(fitness([up, down, down, node({ wish: 'maint' })], half)).toEqual(['fit', 'fit', 'fit', 'unfit']);
  });

  it('is told, and does not count as fit', () => {
    expect(decide([up, down, down], { ...limits, ...half }, false)).toMatchObject({ panic: true, fit: 1 });
  });

  it('does not begin while nodes wait for their first check, and does not end for that', () => {
    const nodes = [down, down, node({ verdict: 'unknown' })];
    expect(decide(nodes, { ...limits, ...half }, false).panic).toBe(false);
    expect(decide(nodes, { ...limits, ...half }, true).panic).toBe(true);
  });
});

const anyNode: fc.Arbitrary<NodeFacts> = fc.record({
  wish: fc.constantFrom('ready' as const, 'ready' as const, 'drain' as const, 'maint' as const),
  willing: fc.boolean(),
  verdict: fc.constantFrom('healthy' as const, 'degraded' as const, 'unhealthy' as const, 'unknown' as const),
  ejection: fc.constantFrom('in' as const, 'ejected' as const, 'probation' as const),
  until: fc.nat(100),
  weight: fc.constantFrom(0, 0.1, 1, 5),
});
const anyLimits = fc.record({
  maxEjected: fc.double({ min: 0, max: 1, noNaN: true }),
  panicThreshold: fc.double({ min: 0, max: 1, noNaN: true }),
});
const usable = (one: NodeFacts): boolean =>
  one.wish === 'ready' && one.willing && (one.verdict === 'healthy' || one.verdict === 'degraded') && one.weight > 0;

describe('any pool', () => {
  it('has a fit node if any node is usable, and never more out than maxEjected', () => {
    fc.assert(
      fc.property(fc.array(anyNode, { maxLength: 12 }), anyLimits, fc.boolean(), (nodes, some, wasPanic) => {
        const decision = decide(nodes, some, wasPanic);
        if (nodes.some(usable)) expect(decision.fit).toBeGreaterThan(0);
        const kept = nodes.filter((one, i) => usable(one) && decision.nodes[i]!.fitness !== 'fit').length;
        const bound = some.maxEjected === 0 ? 0 : Math.max(1, Math.floor(nodes.length * some.maxEjected));
        expect(kept).toBeLessThanOrEqual(bound);
      }),
    );
  });

  it('never sends traffic where the operator or the node itself does not want it', () => {
    fc.assert(
      fc.property(fc.array(anyNode), anyLimits, fc.boolean(), (nodes, some, wasPanic) => {
        const decision = decide(nodes, some, wasPanic);
        nodes.forEach((one, i) => {
          if (one.wish !== 'ready' || !one.willing)
            expect(decision.nodes[i]).toMatchObject({ fitness: 'unfit', weight: 0 });
        });
      }),
    );
  });
});
