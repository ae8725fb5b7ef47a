import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decayMs, failedMs, PeakEwma } from '../../src/balancers/peak-ewma.ts';
import { tally, World, type WorldOptions } from './world.ts';

const world = (weights: readonly number[], more: Partial<WorldOptions> = {}): World =>
  new World({ weights, make: (options) => new PeakEwma(options), ...more });

/** Every node has answered once. */
function known(answers: readonly number[]): World {
  const w = world(new Array<number>(answers.length).fill(1));
  answers.forEach((ms, node) => {
    w.done(node, ms);
  });
  return w;
}

describe('peak-ewma', () => {
  it('takes the faster of two nodes', () => {
    expect(new Set(known([10, 30]).picks(50))).toEqual(new Set([1 - 1]));
  });

  it('takes the slower node once the faster one has more in flight than it is faster', () => {
    const w = known([10, 30]);
    w.hold(0, 6); // 10 x 7 > 2 x 30
    expect(new Set(w.picks(50))).toEqual(new Set([1]));
  });

  it('tries a node of which nothing is known', () => {
    const w = known([10, 10]);
    w.memory.ewma[w.group.slots[1]!] = 0;
    expect(new Set(w.picks(50))).toEqual(new Set([1]));
  });

  it('sends an unknown node one request at a time until it has answered', () => {
    const w = known([1000, 1000]);
    w.memory.ewma[w.group.slots[1]!] = 0;
    w.hold(1);
    expect(new Set(w.picks(50))).toEqual(new Set([0]));
    w.hold(1, -1);
    w.done(1, 10);
    expect(new Set(w.picks(50))).toEqual(new Set([1]));
  });

  it('takes the one with fewer in flight where nothing is known of any', () => {
    const w = world([1, 1]);
    w.hold(0, 5);
    w.hold(1, 1);
    expect(new Set(w.picks(50))).toEqual(new Set([1]));
  });

  it('reacts to one slow answer at once', () => {
    const w = known([10, 10]);
    w.done(0, 500);
    expect(new Set(w.picks(50))).toEqual(new Set([1]));
  });

  it('forgives a slow node step by step, with fast answers and with time alone', () => {
    const w = known([1000, 10]);
    const slot = w.group.slots[0]!;
    w.now += decayMs;
    w.done(0, 10);
    expect(w.memory.ewma[slot]).toBeCloseTo(1000 / Math.E + 10 * (1 - 1 / Math.E), 6);
    w.now += 10 * decayMs;
    w.done(1, 10);
    expect(new Set(w.picks(50))).toEqual(new Set([0]));
  });

  it('does not take a node that fails fast for a fast node', () => {
    const w = known([10, 10]);
    w.done(0, 0.2, true);
    expect(w.memory.ewma[w.group.slots[0]!]).toBe(failedMs);
    expect(new Set(w.picks(50))).toEqual(new Set([1]));
  });

  it('never thinks better of a node for a failure, nor forgets one for an answer without time', () => {
    const answer = fc.record({
      ms: fc.oneof(fc.double({ min: 0, max: 60_000, noNaN: true }), fc.constant(Number.NaN), fc.constant(-1)),
      failed: fc.boolean(),
      after: fc.nat(20_000),
    });
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 50 }), (answers) => {
        const w = known([10, 10]);
        const slot = w.group.slots[0]!;
        for (const { ms, failed, after } of answers) {
          const before = w.memory.ewma[slot]!;
          w.now += after;
          w.done(0, ms, failed);
          const estimate = w.memory.ewma[slot]!;
          expect(estimate).toBeGreaterThan(0);
          if (failed) expect(estimate).toBeGreaterThanOrEqual(Math.max(before, failedMs));
          else expect(estimate).toBeLessThanOrEqual(Math.max(before, ms || 0, 0.01));
        }
      }),
    );
  });

  it('hands what it has learnt to the next balancer of the same slots', () => {
    const before = known([500, 10]);
    const after = world([1, 1], { memory: before.memory });
    after.now = before.now;
    expect(new Set(after.picks(50))).toEqual(new Set([1]));
  });

  it('leaves a heavy node most of its share where the light one is faster by a hair only', () => {
    const w = world([5, 1]);
    w.done(0, 10);
    w.done(1, 9);
    // It is drawn twice in 25 of 36 picks.
    expect(tally(w.picks(3600), 2)[0]).toBeGreaterThan(2300);
  });

  it('starves a bad node in a group of two, however heavy it is', () => {
    const w = world([9, 1]);
    w.done(0, 900);
    w.done(1, 10);
    const counts = tally(w.picks(1000), 2);
    expect(counts[0]).toBe(0);
  });
});
