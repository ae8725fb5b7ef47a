import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RandomTwo } from '../../src/balancers/random-two.ts';
import { shareError, tally, World, type WorldOptions } from './world.ts';

const world = (weights: readonly number[], more: Partial<WorldOptions> = {}): World =>
  new World({ weights, make: (options) => new RandomTwo(options), ...more });

describe('random-two', () => {
  it('of two equal nodes nearly always takes the less loaded one', () => {
    const w = world([1, 1]);
    w.hold(0);
    // The same node five times in a row: once in 32 picks.
    expect(tally(w.picks(3200), 2)[0]).toBeLessThan(150);
  });

  it('counts in flight relative to weight', () => {
    const w = world([4, 1, 4, 1]);
    for (const node of [0, 2]) w.hold(node, 4);
    for (const node of [1, 3]) w.hold(node, 2);
    // 4 of 4 is less than 2 of 1.
    const counts = tally(w.picks(4000), 4);
    expect(counts[0]! + counts[2]!).toBeGreaterThan(3900);
  });

  it('shares an idle group by weight', () => {
    const weights = [5, 1, 0, 2];
    expect(shareError(tally(world(weights).picks(80_000), 4), weights)).toBeLessThan(0.05);
  });

  it('keeps the fullest node close to the mean', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 300 }), fc.nat(), (size, seed) => {
        const w = world(new Array<number>(size).fill(1), { seed });
        for (let i = 0; i < size * 10; i++) w.hold(w.pick());
        const held = Array.from({ length: size }, (_, node) => w.held(node));
        // Drawn at random alone, the fullest of 300 would hold 22 and more.
        expect(Math.max(...held)).toBeLessThanOrEqual(16);
      }),
      { numRuns: 50 },
    );
  });
});
