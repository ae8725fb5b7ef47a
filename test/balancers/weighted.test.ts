import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxFails, Weighted } from '../../src/balancers/weighted.ts';
import { leastRandom, tally, World, type WorldOptions } from './world.ts';

const world = (weights: readonly number[], more: Partial<WorldOptions> = {}): World =>
  new World({ weights, make: (options) => new Weighted(options), ...more });

const letters = (picks: readonly number[]): string => picks.map((node) => 'abcdefgh'[node]).join('');
const smallWeights = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 8 });

/** nginx's loop as SEMANTICS has it, word for word. */
function oracle(weights: readonly number[]) {
  const peers = weights.map((weight, node) => ({ node, weight, effective: weight, current: 0 }));
  return {
    pick(tried: readonly number[]): number {
      let total = 0;
      let best: (typeof peers)[number] | null = null;
      for (const peer of peers) {
        if (peer.weight === 0 || tried.includes(peer.node)) continue;
        peer.current += peer.effective;
        total += peer.effective;
        if (peer.effective < peer.weight) peer.effective = Math.min(peer.weight, peer.effective + 1);
        if (best === null || peer.current > best.current) best = peer;
      }
      if (best === null) return -1;
      best.current -= total;
      return best.node;
    },
    fail(node: number): void {
      const peer = peers[node]!;
      peer.effective = Math.max(0, peer.effective - peer.weight / maxFails);
    },
  };
}

describe('weighted', () => {
  it('spreads weights 5/1/1 as a a b a c a a', () => {
    expect(letters(world([5, 1, 1], { random: leastRandom }).picks(14))).toBe('aabacaaaabacaa');
  });

  it('starts somewhere in the same sequence', () => {
    for (let seed = 0; seed < 30; seed++) {
      expect('aabacaa'.repeat(3)).toContain(letters(world([5, 1, 1], { seed }).picks(14)));
    }
  });

  it('gives exact shares over any cycle, wherever it starts', () => {
    fc.assert(
      fc.property(smallWeights, fc.nat(), fc.nat(50), (weights, seed, skip) => {
        const cycle = weights.reduce((a, b) => a + b, 0);
        const w = world(weights, { seed });
        w.picks(skip);
        if (cycle > 0) expect(tally(w.picks(cycle), weights.length)).toEqual(weights);
      }),
    );
  });

  it('chooses as nginx does, failures and tried nodes included', () => {
    const step = fc.record({ tried: fc.uniqueArray(fc.nat(7), { maxLength: 3 }), fails: fc.boolean() });
    fc.assert(
      fc.property(smallWeights, fc.array(step, { maxLength: 60 }), (weights, steps) => {
        const w = world(weights, { random: leastRandom });
        const nginx = oracle(weights);
        for (const { tried: any, fails } of steps) {
          const tried = any.filter((node) => node < weights.length);
          const node = w.pick({ tried });
          expect(node).toBe(nginx.pick(tried));
          w.now += 10;
          if (node < 0) continue;
          w.done(node, 5, fails);
          if (fails) nginx.fail(node);
        }
      }),
    );
  });

  it('sends little to a node that failed five times in a row, then more and more', () => {
    const w = world([20, 20], { random: leastRandom });
    for (let i = 0; i < maxFails; i++) w.done(0, 5, true);
    const during = tally(w.picks(20), 2)[0]!;
    expect(during).toBeLessThan(8);
    expect(tally(w.picks(40), 2)[0]).toBeGreaterThanOrEqual(19);
  });

  it('takes no notice of failures of nodes that are away', () => {
    const w = world([2, 0], { random: leastRandom });
    for (let i = 0; i < maxFails; i++) w.done(1, 5, true);
    w.weighOne(1, 2);
    expect(tally(w.picks(40), 2)).toEqual([20, 20]);
  });

  it('keeps what a failure has cost through a refresh', () => {
    const failing = (refresh: boolean): number[] => {
      const w = world([50, 50], { random: leastRandom });
      for (let i = 0; i < maxFails; i++) w.done(0, 5, true);
      if (refresh) w.balancer.refresh();
      return w.picks(50);
    };
    expect(failing(true)).toEqual(failing(false));
  });
});
