import { describe, expect, it } from 'vitest';
import { createBalancer } from '../../src/balancers/create.ts';
import { Group } from '../../src/balancers/group.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Algorithm } from '../../src/config/model.ts';

const group = (size: number): Group =>
  new Group({
    keys: new Uint32Array(size),
    slots: new Int32Array(size),
    inflight: new Int32Array(16),
    inflightStride: 16,
    inflightOffset: 3,
  });

describe('a group of nodes', () => {
  it('lists live nodes in ascending order, as of the last rebuild', () => {
    const g = group(5);
    expect(g.liveCount).toBe(0);
    for (const node of [4, 1, 2]) g.setWeight(node, 1.5);
    expect(g.liveCount).toBe(0);
    g.rebuildLive();
    expect([...g.live.subarray(0, g.liveCount)]).toEqual([1, 2, 4]);
    g.setWeight(2, 0);
    g.rebuildLive();
    expect([...g.live.subarray(0, g.liveCount)]).toEqual([1, 4]);
  });

  it('says whether a weight has changed, so that nothing is rebuilt for nothing', () => {
    const g = group(1);
    expect(g.setWeight(0, 2)).toBe(true);
    expect(g.setWeight(0, 2)).toBe(false);
    expect(g.setWeight(0, 0)).toBe(true);
    expect(g.setWeight(0, -1)).toBe(false);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('counts a weight of %s as 0', (weight) => {
    const g = group(1);
    g.setWeight(0, 1);
    g.setWeight(0, weight);
    expect(g.weights[0]).toBe(0);
  });

  it('refuses keys and slots that do not belong together', () => {
    const options = { inflight: new Int32Array(1), inflightStride: 1, inflightOffset: 0 };
    expect(() => new Group({ keys: new Uint32Array(2), slots: new Int32Array(1), ...options })).toThrow(
      'group: 2 keys but 1 slots',
    );
  });
});

describe('createBalancer', () => {
  const options = {
    group: group(1),
    random: seededRandom(1),
    memory: { ewma: new Float64Array(1), stamp: new Float64Array(1) },
  };

  it("takes the config's own names", () => {
    const all: Record<Algorithm, true> = {
      'round-robin': true,
      weighted: true,
      'least-connections': true,
      'random-two': true,
      'peak-ewma': true,
      'consistent-hash': true,
    };
    for (const algorithm of Object.keys(all) as Algorithm[]) {
      expect(createBalancer(algorithm, options).pick).toBeTypeOf('function');
    }
  });

  it('refuses a name that it does not know', () => {
    expect(() => createBalancer('fastest' as Algorithm, options)).toThrow('balancer: unexpected "fastest"');
  });
});
