/**
 * What every balancer promises, whatever its algorithm. Called once per algorithm; `tolerance` is how far a node's share
 * may be from its weight's, relatively, over 2000 picks per unit of weight.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BalancerAlgorithm, createBalancer } from '../../src/balancers/create.ts';
import { shareError, World } from '../balancers/world.ts';

export interface BalancerPromise {
  readonly algorithm: BalancerAlgorithm;
  readonly tolerance: number;
  /** Whether chance plays a part, so that threads with other seeds begin elsewhere. */
  readonly startsAnywhere: boolean;
}

const small = [5, 1, 0, 2, 3, 1];
/** Above the 128 nodes up to which some look at every node. */
const large = Array.from({ length: 300 }, (_, i) => (i % 7 === 3 ? 0 : 1 + (i % 3)));
const groups = [
  { name: 'a small group', weights: small },
  { name: 'a group of 300', weights: large },
];

const weightArbitrary = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 1000 }),
  fc.double({ min: 0.1, max: 3, noNaN: true }),
);
const groupArbitrary = fc.oneof(
  { weight: 4, arbitrary: fc.array(weightArbitrary, { minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.array(weightArbitrary, { minLength: 129, maxLength: 160 }) },
);

export function balancerContract({ algorithm, tolerance, startsAnywhere }: BalancerPromise): void {
  const world = (weights: readonly number[], seed = 1): World =>
    new World({ weights, seed, make: (options) => createBalancer(algorithm, options) });

  describe(`${algorithm} keeps the contract of balancers`, () => {
    it('chooses a live node that was not tried, and -1 exactly if there is none', () => {
      fc.assert(
        fc.property(groupArbitrary, fc.array(fc.nat(200), { maxLength: 20 }), fc.nat(), (weights, triedAny, seed) => {
          const w = world(weights, seed);
          const tried = [...new Set(triedAny.filter((node) => node < weights.length))];
          const allowed = weights.flatMap((weight, node) => (weight > 0 && !tried.includes(node) ? [node] : []));
          for (let i = 0; i < 40; i++) {
            const node = w.pick({ tried });
            if (allowed.length === 0) expect(node).toBe(-1);
            else expect(allowed).toContain(node);
            if (node >= 0 && i % 3 !== 0) w.hold(node);
            if (node >= 0 && i % 4 === 0) w.done(node, i, i % 8 === 0);
          }
        }),
        { numRuns: 150 },
      );
    });

    it('keeps to it through any sequence of changed weights', () => {
      const change = fc.record({ node: fc.nat(11), weight: weightArbitrary });
      fc.assert(
        fc.property(fc.array(change, { maxLength: 30 }), fc.nat(), (changes, seed) => {
          const weights = new Array<number>(12).fill(1);
          const w = world(weights, seed);
          for (const { node, weight } of changes) {
            weights[node] = weight;
            w.weighOne(node, weight);
            const some = weights.some((each) => each > 0);
            for (let i = 0; i < 5; i++) {
              const chosen = w.pick();
              if (some) expect(weights[chosen]).toBeGreaterThan(0);
              else expect(chosen).toBe(-1);
              if (chosen >= 0 && i === 0) w.hold(chosen);
            }
          }
        }),
        { numRuns: 100 },
      );
    });

    it('has no node to offer in an empty group, nor where all weights are 0', () => {
      expect(world([]).pick()).toBe(-1);
      expect(world([0, 0, 0]).pick()).toBe(-1);
      expect(world(new Array<number>(200).fill(0)).pick()).toBe(-1);
    });

    it('finds the last node that is left, even if all others were tried', () => {
      for (const size of [1, 2, 12, 128, 129, 1000]) {
        const w = world(new Array<number>(size).fill(1));
        const last = size >> 1;
        const tried = Array.from({ length: size }, (_, i) => i).filter((i) => i !== last);
        expect(w.pick({ tried })).toBe(last);
        expect(w.pick({ tried: [...tried, last] })).toBe(-1);
      }
    });

    it('sends all to the only node', () => {
      expect(new Set(world([0.1]).picks(20))).toEqual(new Set([0]));
      expect(new Set(world([0, 7, 0]).picks(20))).toEqual(new Set([1]));
    });

    it.each(groups)(`gives each node its share by weight within ${tolerance * 100} percent: $name`, ({ weights }) => {
      const sum = weights.reduce((a, b) => a + b, 0);
      const w = world(weights);
      // Warm-up: what is learnt by the first answers is not part of the promise.
      w.serve(sum * 10, 2 * weights.length);
      expect(shareError(w.serve(sum * 2000, 2 * weights.length), weights)).toBeLessThanOrEqual(tolerance);
    });

    it.each(groups)('gives a node that was away its share again, and no more: $name', ({ weights }) => {
      const w = world(weights);
      w.serve(2000, 10);
      w.weighOne(0, 0);
      expect(w.serve(2000, 10)[0]).toBe(0);
      w.weighOne(0, weights[0]!);
      const sum = weights.reduce((a, b) => a + b, 0);
      // Right after its return there is no flood: four times its share at most in the first three cycles.
      const soon = w.serve(3 * sum)[0]!;
      expect(soon).toBeLessThanOrEqual(4 * 3 * weights[0]!);
      const counts = w.serve(sum * 2000, 2 * weights.length);
      expect(shareError(counts, weights)).toBeLessThanOrEqual(tolerance);
    });

    it('follows a changed weight', () => {
      const w = world([1, 1, 1]);
      w.serve(100, 6);
      w.weigh([1, 4, 1]);
      w.serve(100, 6);
      expect(shareError(w.serve(12_000, 12), [1, 4, 1])).toBeLessThanOrEqual(tolerance);
    });

    it('keeps the shares though it is refreshed every few picks', () => {
      const w = world([3, 1, 2]);
      const counts = [0, 0, 0];
      for (let i = 0; i < 4000; i++) {
        w.serve(3).forEach((count, node) => {
          counts[node]! += count;
        });
        w.balancer.refresh();
      }
      expect(shareError(counts, [3, 1, 2])).toBeLessThanOrEqual(Math.max(tolerance, 0.05));
    });

    it('does the same again with the same seed', () => {
      for (const weights of [small, large]) {
        const first = world(weights, 42).serve(1000, 8);
        expect(world(weights, 42).serve(1000, 8)).toEqual(first);
      }
    });

    it(startsAnywhere ? 'starts elsewhere in each thread' : 'chooses the same in each thread', () => {
      for (const weights of [[1, 1, 1, 1, 1], large]) {
        const starts = new Set(Array.from({ length: 20 }, (_, seed) => world(weights, seed).pick()));
        if (startsAnywhere) expect(starts.size).toBeGreaterThan(2);
        else expect(starts.size).toBe(1);
      }
    });
  });
}
