import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeastConnections, maxScanned } from '../../src/balancers/least-connections.ts';
import { tally, World, type WorldOptions } from './world.ts';

const world = (weights: readonly number[], more: Partial<WorldOptions> = {}): World =>
  new World({ weights, make: (options) => new LeastConnections(options), ...more });

describe('least-connections', () => {
  it('chooses a node with the fewest in flight for its weight, exactly, up to 128 live nodes', () => {
    const node = fc.record({ weight: fc.integer({ min: 0, max: 4 }), held: fc.nat(12) });
    fc.assert(
      fc.property(fc.array(node, { minLength: 1, maxLength: maxScanned }), fc.nat(), (nodes, seed) => {
        const w = world(
          nodes.map(({ weight }) => weight),
          { seed },
        );
        nodes.forEach(({ held }, i) => {
          w.hold(i, held);
        });
        const loads = nodes.map(({ weight, held }) => (weight > 0 ? held / weight : Number.POSITIVE_INFINITY));
        const chosen = w.pick();
        if (chosen >= 0) expect(loads[chosen]).toBeCloseTo(Math.min(...loads), 9);
        else expect(nodes.every(({ weight }) => weight === 0)).toBe(true);
      }),
    );
  });

  it('is exact where a large group has few live nodes', () => {
    const weights = Array.from({ length: 1000 }, (_, i) => (i % 10 === 0 ? 1 : 0));
    const w = world(weights);
    weights.forEach((weight, node) => {
      if (weight > 0 && node !== 730) w.hold(node, 2);
    });
    w.hold(730);
    expect(w.pick()).toBe(730);
  });

  it('sees at once what other threads count', () => {
    const w = world([1, 1]);
    w.hold(0);
    expect(w.pick()).toBe(1);
    w.hold(1, 2);
    expect(w.pick()).toBe(0);
  });

  it('levels the load: after any picks no two nodes differ by more than one request', () => {
    const w = world(new Array<number>(7).fill(1));
    for (let i = 0; i < 100; i++) w.hold(w.pick());
    const held = Array.from({ length: 7 }, (_, node) => w.held(node));
    expect(Math.max(...held) - Math.min(...held)).toBeLessThanOrEqual(1);
  });

  it('breaks ties by turns', () => {
    const picks = world(new Array<number>(5).fill(1)).picks(50);
    expect(tally(picks, 5)).toEqual([10, 10, 10, 10, 10]);
    for (let i = 0; i < 46; i++) expect(new Set(picks.slice(i, i + 5)).size).toBe(5);
  });

  it('breaks ties by weight: an idle group is served in proportion', () => {
    const counts = tally(world([5, 1, 1]).picks(7000), 3);
    expect(counts[0]).toBeGreaterThanOrEqual(4995);
    expect(counts[0]).toBeLessThanOrEqual(5005);
    expect(Math.abs(counts[1]! - counts[2]!)).toBeLessThanOrEqual(2);
  });

  it('does not flood a node that was busy for long with the turns that it missed', () => {
    const w = world([1, 1, 1]);
    w.hold(0);
    expect(tally(w.picks(1000), 3)[0]).toBe(0);
    w.hold(0, -1);
    expect(tally(w.picks(30), 3)[0]).toBeLessThanOrEqual(11);
  });

  it('above 128 live nodes finds an idle node 97 times in 100 where a quarter is idle', () => {
    const w = world(new Array<number>(400).fill(1));
    for (let node = 0; node < 400; node++) if (node % 4 !== 0) w.hold(node, 3);
    const busy = w.picks(2000).filter((node) => w.held(node) > 0);
    expect(busy.length).toBeLessThan(60);
  });

  it('above 128 live nodes keeps the fullest node within a few requests of the mean', () => {
    const w = world(new Array<number>(1000).fill(1));
    for (let i = 0; i < 10_000; i++) w.hold(w.pick());
    const held = Array.from({ length: 1000 }, (_, node) => w.held(node));
    expect(Math.max(...held)).toBeLessThanOrEqual(11);
  });
});
