/** How late a word is, by the clock that it carries. */
import { describe, expect, it } from 'vitest';
import type { MemberId } from '../../../src/base/ids.ts';
import { Transit } from '../../../src/cluster/failover/transit.ts';

const [a, b] = ['a', 'b'] as unknown as [MemberId, MemberId];

describe('a word', () => {
  it('is as late as it took longer than the quickest of the last seconds', () => {
    const transit = new Transit();
    const took = [20, 5, 30, 4005, 5];
    const late = took.map((ms, n) => transit.excess(a, 1000 * n, 50_000 + 1000 * n + ms));
    expect(late).toEqual([0, 0, 25, 4000, 0]);
    expect(transit.excess(b, 7, 90_000)).toBe(0);
  });

  it('that comes after a long silence may be an old one', () => {
    const transit = new Transit();
    transit.excess(a, 0, 100);
    expect(transit.excess(a, 1000, 60_100)).toBe(59_000);
    expect(transit.excess(a, 60_010, 60_110)).toBe(0);
  });

  it('of a peer that was suspended is late for ten seconds at most', () => {
    const transit = new Transit();
    const late: number[] = [];
    // Its clock stood still for 3000.
    for (let clock = 0; clock < 30_000; clock += 1000)
      late.push(transit.excess(a, clock, clock < 8000 ? clock : clock + 3000));
    expect(late.slice(0, 8)).toEqual(Array(8).fill(0));
    expect(late[8]).toBe(3000);
    expect(late.indexOf(0, 8)).toBeLessThanOrEqual(18);
    expect(late.slice(18)).toEqual(Array(12).fill(0));
  });

  it('of a peer whose clock begins anew is the first of another', () => {
    const transit = new Transit();
    transit.excess(a, 500_000, 500_000);
    expect(transit.excess(a, 10, 501_000)).toBe(0);
    expect(transit.excess(a, 1010, 502_500)).toBe(500);
  });

  it('of one who is no member any more is forgotten', () => {
    const transit = new Transit();
    transit.excess(a, 0, 0);
    transit.excess(b, 0, 0);
    transit.keepOnly([b]);
    expect(transit.excess(a, 0, 700)).toBe(0);
    expect(transit.excess(b, 0, 700)).toBe(700);
  });
});
