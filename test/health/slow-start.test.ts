import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { slowStartShare } from '../../src/health/slow-start.ts';

describe('slow start: weight x max(10 %, (t / window)^(1 / aggression))', () => {
  it('is linear at aggression 1', () => {
    const policy = { window: 10_000, aggression: 1 };
    expect(slowStartShare(0, policy)).toBe(0.1);
    expect(slowStartShare(500, policy)).toBe(0.1);
    expect(slowStartShare(5000, policy)).toBe(0.5);
    expect(slowStartShare(10_000, policy)).toBe(1);
    expect(slowStartShare(60_000, policy)).toBe(1);
  });

  it('gives more at the beginning above 1', () => {
    expect(slowStartShare(2500, { window: 10_000, aggression: 2 })).toBe(0.5);
  });

  it('never falls, and stays from 10 % to 100 %', () => {
    const policies = fc.record({
      window: fc.integer({ min: 1, max: 600_000 }),
      aggression: fc.double({ min: 0.1, max: 10, noNaN: true }),
    });
    fc.assert(
      fc.property(policies, fc.nat(1_000_000), fc.nat(1000), (policy, t, more) => {
        const share = slowStartShare(t, policy);
        expect(share).toBeGreaterThanOrEqual(0.1);
        expect(share).toBeLessThanOrEqual(1);
        expect(slowStartShare(t + more, policy)).toBeGreaterThanOrEqual(share);
      }),
    );
  });
});
