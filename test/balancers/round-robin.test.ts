import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RoundRobin } from '../../src/balancers/round-robin.ts';
import { leastRandom, tally, World, type WorldOptions } from './world.ts';

const world = (weights: readonly number[], more: Partial<WorldOptions> = {}): World =>
  new World({ weights, make: (options) => new RoundRobin(options), ...more });

describe('round-robin', () => {
  it('takes one node after the other', () => {
    expect(world([1, 1, 1], { random: leastRandom }).picks(7)).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  it('takes nodes of any equal weight once per round, in order, wherever it starts', () => {
    const weight = fc.double({ min: 0.1, max: 1000, noNaN: true });
    fc.assert(
      fc.property(weight, fc.integer({ min: 1, max: 200 }), fc.nat(), (each, size, seed) => {
        const picks = world(new Array<number>(size).fill(each), { seed }).picks(3 * size);
        picks.slice(1).forEach((node, i) => {
          expect(node).toBe((picks[i]! + 1) % size);
        });
      }),
      { numRuns: 200 },
    );
  });

  it('stays within five turns of the exact share by weight, however long it runs', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 2, maxLength: 10 });
    fc.assert(
      fc.property(weights, fc.nat(), (given, seed) => {
        const w = world(given, { seed });
        const sum = given.reduce((a, b) => a + b, 0);
        const counts = new Array<number>(given.length).fill(0);
        w.picks(w.size - 1); // to about the end of a first round begun anywhere
        for (let done = 1; done <= 3000; done++) {
          counts[w.pick()]!++;
          if (done % given.length !== 0) continue;
          counts.forEach((count, node) => {
            expect(Math.abs(count - (done * given[node]!) / sum)).toBeLessThanOrEqual(5);
          });
        }
      }),
      { numRuns: 40 },
    );
  });

  it('passes the turn of a tried node to the next one', () => {
    const w = world([1, 1, 1, 1], { random: leastRandom });
    expect(w.pick({ tried: [0] })).toBe(1);
    expect(w.pick({ tried: [1, 2] })).toBe(3);
  });

  it('goes on behind the node chosen last when weights change', () => {
    const w = world([1, 1, 1, 1, 1], { random: leastRandom });
    w.picks(3);
    w.weighOne(0, 0);
    expect(w.picks(5)).toEqual([3, 4, 1, 2, 3]);
    w.weighOne(0, 1);
    expect(w.picks(3)).toEqual([4, 0, 1]);
  });

  it('is not held at the first nodes by a refresh after each pick', () => {
    const w = world([1, 1, 1, 1, 1, 1]);
    const picks = Array.from({ length: 600 }, () => {
      w.balancer.refresh();
      return w.pick();
    });
    expect(tally(picks, 6)).toEqual([100, 100, 100, 100, 100, 100]);
  });
});
