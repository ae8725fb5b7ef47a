import { describe, expect, it } from 'vitest';
import { type Ejection, eject, ejectionsInRow, neverEjected, onSuccess, onTime } from '../../src/health/eject.ts';
import { passivePolicy as policy } from './world.ts';

const out = (state: Ejection, now: number): Ejection => eject(state, now, { cause: 'errors', policy });
const length = (state: Ejection): number => (state.at === 'ejected' ? state.until - state.since : 0);

describe('ejection', () => {
  it('lasts base x the number of ejections in a row, at most ejectMax', () => {
    let state = neverEjected;
    let now = 0;
    const lengths = Array.from({ length: 12 }, () => {
      state = out(state, now);
      now += length(state);
      const lasted = length(state);
      state = onTime(state, now);
      return lasted / 1000;
    });
    expect(lengths).toEqual([30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
  });

  it('ends in probation when its time is over, not before', () => {
    const state = out(neverEjected, 0);
    expect(onTime(state, 29_999)).toBe(state);
    expect(onTime(state, 30_000)).toMatchObject({ at: 'probation', row: 1, since: 30_000 });
  });

  it('a success ends probation, and nothing but probation', () => {
    const ejected = out(neverEjected, 0);
    expect(onSuccess(ejected, 10)).toBe(ejected);
    expect(onSuccess(neverEjected, 10)).toBe(neverEjected);
    expect(onSuccess(onTime(ejected, 40_000), 41_000)).toEqual({ at: 'in', row: 1, since: 41_000 });
  });

  it('the row goes on if it fails again soon, and ends after ejectMax without', () => {
    const back = onSuccess(onTime(out(neverEjected, 0), 30_000), 30_000);
    expect(ejectionsInRow(back, 329_999, policy)).toBe(1);
    expect(length(out(back, 329_999))).toBe(60_000);
    expect(ejectionsInRow(back, 330_000, policy)).toBe(0);
    expect(length(out(back, 330_000))).toBe(30_000);
  });
});
