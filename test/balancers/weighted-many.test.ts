import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WeightedMany } from '../../src/balancers/weighted-many.ts';
import { tally, World, type WorldOptions } from './world.ts';

const world = (weights: readonly number[], more: Partial<WorldOptions> = {}): World =>
  new World({ weights, make: (options) => new WeightedMany(options), ...more });

const manyWeights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 200 });

describe('weighted, in large groups', () => {
  it('gives exact shares over any cycle, wherever it starts', () => {
    fc.assert(
      fc.property(manyWeights, fc.nat(), fc.nat(50), (weights, seed, skip) => {
        const w = world(weights, { seed });
        w.picks(skip);
        const cycle = weights.reduce((a, b) => a + b, 0);
        expect(tally(w.picks(cycle), weights.length)).toEqual(weights);
      }),
    );
  });

  it('never strays by more than two turns from the exact share', () => {
    const weights = Array.from({ length: 150 }, (_, i) => (i === 0 ? 100 : 1 + (i % 4)));
    const sum = weights.reduce((a, b) => a + b, 0);
    const w = world(weights);
    const counts = new Array<number>(weights.length).fill(0);
    // A pick is 1/sum of virtual time only on average: what the others' phases add is a fraction of a turn for
    // light nodes and 5 % for the heavy one.
    for (let done = 1; done <= 3 * sum; done++) {
      counts[w.pick()]!++;
      const light = counts.slice(1).map((count, i) => Math.abs(count - (done * weights[i + 1]!) / sum));
      expect(Math.max(...light)).toBeLessThanOrEqual(2);
      expect(Math.abs(counts[0]! - (done * 100) / sum)).toBeLessThanOrEqual(5);
    }
  });

  it('spreads the turns of a heavy node', () => {
    const w = world([50, ...new Array<number>(150).fill(1)]);
    const picks = w.picks(2000);
    const turns = picks.flatMap((node, i) => (node === 0 ? [i] : []));
    const gaps = turns.slice(1).map((turn, i) => turn - turns[i]!);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(16); // 4 on average
  });

  it('goes to the node whose turn is next where those before it were tried', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(), fc.nat(199), (size, seed, some) => {
        const weights = new Array<number>(size).fill(1);
        const order = world(weights, { seed }).picks(size);
        const tried = order.slice(0, some % size);
        expect(world(weights, { seed }).pick({ tried })).toBe(order[tried.length]);
      }),
    );
  });

  it('does not let a node that was passed over save up turns', () => {
    const w = world(new Array<number>(130).fill(1));
    for (let i = 0; i < 130 * 5; i++) expect(w.pick({ tried: [7] })).not.toBe(7);
    expect(tally(w.picks(130), 130)[7]).toBeLessThanOrEqual(2);
  });

  it('takes one turn from a node that failed five times, and no more', () => {
    const turnsOf = (failures: number): number => {
      const w = world(new Array<number>(140).fill(1));
      for (let i = 0; i < failures; i++) w.done(3, 5, true);
      return tally(w.picks(140 * 10), 140)[3]!;
    };
    expect(turnsOf(0)).toBe(10);
    expect(turnsOf(5)).toBe(9);
    expect(turnsOf(500)).toBe(9);
  });

  it('goes on where it was through a refresh that changes nothing', () => {
    const weights = Array.from({ length: 200 }, (_, i) => 1 + (i % 3));
    const plain = world(weights).picks(1000);
    const w = world(weights);
    const refreshed = Array.from({ length: 1000 }, (_, i) => {
      if (i % 100 === 99) w.balancer.refresh();
      return w.pick();
    });
    expect(refreshed).toEqual(plain);
  });
});
