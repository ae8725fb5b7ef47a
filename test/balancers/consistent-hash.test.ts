import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsistentHash } from '../../src/balancers/consistent-hash.ts';
import { hash32 } from '../../src/base/hash.ts';
import { shareError, tally, World, type WorldOptions } from './world.ts';

const world = (weights: readonly number[], more: Partial<WorldOptions> = {}): World =>
  new World({ weights, make: (options) => new ConsistentHash(options), ...more });

/** What the docs promise: 125 %. */
const loadFactor = 1.25;

const ones = (size: number): number[] => new Array<number>(size).fill(1);
const idsOf = (size: number): string[] => Array.from({ length: size }, (_, i) => `10.0.${i >> 8}.${i & 255}:3000`);
const keysOf = (ids: readonly string[]): number[] => ids.map((id) => hash32(id));

/** The node of each of many keys. */
const owners = (w: World, count = 3000): number[] => Array.from({ length: count }, (_, key) => w.pick({ key }));
const ownerIds = (ids: readonly string[], weights = ones(ids.length)): string[] =>
  owners(world(weights, { keys: keysOf(ids) })).map((node) => ids[node]!);

const idSet = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), {
  minLength: 2,
  maxLength: 40,
  selector: (id) => hash32(id),
});
const weightArbitrary = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20 }));

describe('consistent-hash', () => {
  it('sends a key to the same node each time, in every thread, in whatever order the nodes are listed', () => {
    fc.assert(
      fc.property(idSet, fc.array(weightArbitrary, { minLength: 40, maxLength: 40 }), (ids, weights) => {
        const w = weights.slice(0, ids.length);
        expect(ownerIds([...ids].reverse(), [...w].reverse())).toEqual(ownerIds(ids, w));
      }),
      { numRuns: 30 },
    );
  });

  it('moves only the keys of a node that leaves', () => {
    fc.assert(
      fc.property(idSet, fc.nat(), (ids, any) => {
        const gone = ids[any % ids.length]!;
        const before = ownerIds(ids);
        const after = ownerIds(ids.filter((id) => id !== gone));
        before.forEach((owner, key) => {
          if (owner !== gone) expect(after[key]).toBe(owner);
        });
      }),
      { numRuns: 30 },
    );
  });

  it('moves only the keys of a node that becomes unfit, and gives it just these back when it returns', () => {
    fc.assert(
      fc.property(fc.array(weightArbitrary, { minLength: 2, maxLength: 20 }), fc.nat(), (weights, any) => {
        const node = any % weights.length;
        const w = world(weights);
        const before = owners(w);
        w.weighOne(node, 0);
        owners(w).forEach((owner, key) => {
          if (before[key] !== node) expect(owner).toBe(before[key]);
          else expect(owner).not.toBe(node);
        });
        w.weighOne(node, weights[node]!);
        expect(owners(w)).toEqual(before);
      }),
      { numRuns: 30 },
    );
  });

  it('moves about 1/n of the keys to a new node, and none between the others', () => {
    for (const size of [3, 10, 100]) {
      const ids = idsOf(size + 1);
      const before = ownerIds(ids.slice(0, size));
      const moved = ownerIds(ids).filter((owner, key) => owner !== before[key]);
      expect(new Set(moved)).toEqual(new Set([ids[size]]));
      expect(moved.length / before.length).toBeLessThan(1.3 / (size + 1));
    }
  });

  it('moves keys only towards a node that becomes heavier', () => {
    fc.assert(
      fc.property(fc.array(weightArbitrary, { minLength: 2, maxLength: 20 }), fc.nat(), (weights, any) => {
        const node = any % weights.length;
        const w = world(weights);
        const before = owners(w);
        w.weighOne(node, weights[node]! * 2);
        owners(w).forEach((owner, key) => {
          if (owner !== before[key]) expect(owner).toBe(node);
        });
      }),
      { numRuns: 30 },
    );
  });

  it('gives nodes keys in proportion to their weights', () => {
    for (const weights of [ones(3), [5, 1, 1], [1, 2, 3, 4, 5], [100, ...ones(20)], [0.1, 1, 1]]) {
      const counts = tally(owners(world(weights, { keys: keysOf(idsOf(weights.length)) }), 20_000), weights.length);
      expect(shareError(counts, weights)).toBeLessThan(0.3);
    }
  });

  it('balances many nodes as well as a ring of 150 points each', () => {
    const counts = tally(owners(world(ones(100), { keys: keysOf(idsOf(100)) }), 200_000), 100);
    const variance = counts.reduce((sum, count) => sum + (count / 2000 - 1) ** 2, 0) / 100;
    expect(Math.sqrt(variance)).toBeLessThan(0.1);
  });

  it('gives two nodes whose ids collide their own keys', () => {
    const counts = tally(owners(world(ones(3), { keys: [77, 77, 78] })), 3);
    expect(Math.min(...counts)).toBeGreaterThan(500);
  });

  it('sends a key whose node was tried where it would go if the node were gone', () => {
    const w = world(ones(10));
    for (let key = 0; key < 200; key++) {
      w.weigh(ones(10));
      const owner = w.pick({ key });
      const next = w.pick({ key, tried: [owner] });
      w.weighOne(owner, 0);
      expect(w.pick({ key })).toBe(next);
    }
  });

  it('lets no node have more than 125 % of its fair share in flight, whatever the keys', () => {
    const hotKeys = fc.array(fc.nat(3), { minLength: 1, maxLength: 400 });
    fc.assert(
      fc.property(fc.array(weightArbitrary, { minLength: 1, maxLength: 32 }), hotKeys, (weights, keys) => {
        const w = world(weights);
        const sum = weights.reduce((a, b) => a + b, 0);
        keys.forEach((key, inFlight) => {
          const node = w.pick({ key });
          w.hold(node);
          expect(w.held(node)).toBeLessThanOrEqual(Math.ceil((loadFactor * (inFlight + 1) * weights[node]!) / sum));
        });
      }),
      { numRuns: 60 },
    );
  });

  it('keeps the bound in large groups, where one key takes all traffic', () => {
    const w = world(ones(300));
    for (let i = 0; i < 3000; i++) w.hold(w.pick({ key: 1 }));
    const held = Array.from({ length: 300 }, (_, node) => w.held(node));
    expect(Math.max(...held)).toBeLessThanOrEqual(Math.ceil((loadFactor * 3000) / 300));
  });

  it('sends a key home again once its node has room', () => {
    const w = world(ones(5));
    const home = w.pick({ key: 9 });
    w.hold(home, 10);
    expect(w.pick({ key: 9 })).not.toBe(home);
    w.hold(home, -10);
    expect(w.pick({ key: 9 })).toBe(home);
  });

  it('sends the overflow of a key to the same other node in every thread', () => {
    const overflow = (seed: number): number[] => {
      const w = world(ones(20), { seed });
      w.hold(0, 1000);
      return owners(w, 500);
    };
    expect(overflow(2)).toEqual(overflow(1));
  });

  it('spreads the overflow of a full node over more than its neighbour', () => {
    const w = world(ones(20));
    const mine = owners(w).flatMap((owner, key) => (owner === 0 ? [key] : []));
    w.hold(0, 1000);
    expect(new Set(mine.map((key) => w.pick({ key }))).size).toBeGreaterThan(10);
  });
});
