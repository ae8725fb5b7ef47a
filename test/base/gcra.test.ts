/** A rate with a burst, against models of it that keep what it does not: every arrival, or a bucket of exact fractions. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Rate, takeAt } from '../../src/base/gcra.ts';

const start = 1_000_000;

/** Runs arrivals at these times (ms); says which were let through. */
function runs(rate: Rate, times: readonly number[]): boolean[] {
  const due = new Float64Array(1);
  return times.map((now) => takeAt(rate, now, { due, at: 0 }) === 0);
}

/** A bucket of `burst` tokens, filled by one per interval; whole numbers only, so that nothing is rounded. */
function bucket({ interval, burst }: Rate, times: readonly number[]): boolean[] {
  const full = BigInt(interval) * BigInt(burst);
  let level = full;
  let last = 0n;
  return times.map((time) => {
    const filled = level + BigInt(time) - last;
    level = filled > full ? full : filled;
    last = BigInt(time);
    if (level < BigInt(interval)) return false;
    level -= BigInt(interval);
    return true;
  });
}

const gaps = (most: number): fc.Arbitrary<number[]> =>
  fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(most)), { maxLength: 200 });
const timesOf = (between: readonly number[]): number[] => {
  let now = start;
  return between.map((gap) => {
    now += gap;
    return now;
  });
};

describe('a rate', () => {
  it('lets the same through as a bucket of tokens', () => {
    const rates = fc.record({ interval: fc.integer({ min: 1, max: 1000 }), burst: fc.integer({ min: 1, max: 20 }) });
    fc.assert(
      fc.property(rates, gaps(3000), (rate, between) => {
        const times = timesOf(between);
        expect(runs(rate, times)).toEqual(bucket(rate, times));
      }),
      { numRuns: 500 },
    );
  });

  it('never lets more through than burst and rate allow in any span, whatever the fractions', () => {
    const rates = fc.record({
      perSecond: fc.double({ min: 0.001, max: 1e6, noNaN: true }),
      burst: fc.integer({ min: 1, max: 20 }),
    });
    const scales = fc.double({ min: 0.01, max: 3, noNaN: true });
    fc.assert(
      fc.property(rates, gaps(1000), scales, ({ perSecond, burst }, between, scale) => {
        const rate = { interval: 1000 / perSecond, burst };
        const times = timesOf(between.map((gap) => (gap / 1000) * scale * rate.interval));
        const taken = times.filter((_, i) => runs(rate, times.slice(0, i + 1))[i]);
        for (let from = 0; from < taken.length; from++)
          for (let to = from; to < taken.length; to++)
            expect(to - from + 1).toBeLessThanOrEqual(burst + (taken[to]! - taken[from]!) / rate.interval + 0.2);
      }),
      { numRuns: 60 },
    );
  });

  it('says how long to wait: no sooner, and then at once', () => {
    const rates = fc.record({ interval: fc.integer({ min: 1, max: 1000 }), burst: fc.integer({ min: 1, max: 20 }) });
    fc.assert(
      fc.property(rates, gaps(500), (rate, between) => {
        const due = new Float64Array(1);
        for (const now of timesOf(between)) {
          const before = due[0]!;
          const wait = takeAt(rate, now, { due, at: 0 });
          if (wait === 0) continue;
          expect(due[0]).toBe(before);
          const sooner = Float64Array.of(before);
          expect(takeAt(rate, now + wait - 0.5, { due: sooner, at: 0 })).toBeGreaterThan(0);
          expect(takeAt(rate, now + wait, { due: sooner, at: 0 })).toBe(0);
        }
      }),
    );
  });

  it('is not lost on a clock that has run for a year', () => {
    const rate = { interval: 1 / 3, burst: 3 };
    const year = 365 * 86_400_000;
    const due = new Float64Array(1);
    let taken = 0;
    for (let i = 0; i < 30_000; i++) if (takeAt(rate, year + i * 0.1, { due, at: 0 }) === 0) taken++;
    expect(taken).toBeGreaterThanOrEqual(9000);
    expect(taken).toBeLessThanOrEqual(9003);
  });

  it('after another rate: one who owed for hours owes no more than this one lets anybody owe', () => {
    const due = Float64Array.of(start + 10_000_000);
    const rate = { interval: 100, burst: 5 };
    expect(takeAt(rate, start, { due, at: 0 })).toBe(100);
    expect(takeAt(rate, start + 60, { due, at: 0 })).toBe(40);
    expect(takeAt(rate, start + 100, { due, at: 0 })).toBe(0);
    expect(takeAt(rate, start + 101, { due, at: 0 })).toBe(99);
  });
});
