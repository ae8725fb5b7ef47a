import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { CheckState } from '../../src/health/node.ts';
import { nextProbeAt, probeGap, rescheduled, urgentProbeAt } from '../../src/health/schedule.ts';
import { healthPolicy as policy } from './world.ts';

const up = (failed = 0): CheckState => ({ at: 'up', passed: 1, failed, detail: '' });
const down = (passed = 0): CheckState => ({ at: 'down', passed, failed: 3, detail: '' });
const end = (state: CheckState, more = {}) => ({
  state,
  startedAt: 1000,
  now: 1003,
  refused: false,
  first: false,
  ...more,
});
const random = seededRandom(1);

describe('when to probe next', () => {
  it('one interval after the last start while steady', () => {
    expect(nextProbeAt(end(up()), policy, random)).toBe(3000);
  });

  it('fastInterval while the verdict is changing, either way', () => {
    expect(nextProbeAt(end(up(1)), policy, random)).toBe(1500);
    expect(nextProbeAt(end(down(1)), policy, random)).toBe(1500);
  });

  it('downInterval while down', () => {
    expect(nextProbeAt(end(down()), policy, random)).toBe(6000);
  });

  it('50 ms after a refused one while the node still counts as up', () => {
    expect(nextProbeAt(end(up(1), { refused: true }), policy, random)).toBe(1053);
    expect(nextProbeAt(end(down(), { refused: true }), policy, random)).toBe(6000);
  });

  it('not before the last one has ended', () => {
    expect(nextProbeAt(end(up(1), { now: 2400 }), policy, random)).toBe(2400);
  });

  it('jitter moves it by at most its share; the first interval is a random part', () => {
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (seed, jitter) => {
        const at = nextProbeAt(end(up()), { ...policy, jitter }, seededRandom(seed));
        expect(at).toBeGreaterThanOrEqual(1000 + Math.max(probeGap, 2000 * (1 - jitter) - 1e-6));
        expect(at).toBeLessThanOrEqual(1000 + 2000 * (1 + jitter) + 1e-6);
        const first = nextProbeAt(end(up(), { first: true }), policy, seededRandom(seed));
        expect(first).toBeGreaterThanOrEqual(1000 + probeGap);
        expect(first).toBeLessThanOrEqual(3000);
      }),
    );
  });

  it('a first probe of thousands is followed by ones spread over the interval', () => {
    const source = seededRandom(7);
    const quarters = [0, 0, 0, 0];
    for (let i = 0; i < 4000; i++) {
      const at = nextProbeAt(end(up(), { first: true }), policy, source);
      quarters[Math.min(3, Math.floor((at - 1000) / 500))]! += 1;
    }
    for (const count of quarters) expect(count).toBeGreaterThan(800);
  });

  it('what traffic asks for comes at once, but never closer than 50 ms', () => {
    expect(urgentProbeAt(1000, 5000)).toBe(5000);
    expect(urgentProbeAt(1000, 1020)).toBe(1050);
  });

  it('a shorter interval takes effect at once, a longer one does not delay what is due', () => {
    const context = { state: up(), policy };
    expect(rescheduled(61_000, 1000, context)).toBe(3000);
    expect(rescheduled(1500, 1000, context)).toBe(1500);
  });
});
