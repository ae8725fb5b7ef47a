import { describe, expect, it } from 'vitest';
import { runSlice, runWhole } from '../../src/routing/slice.ts';

/** A clock that moves by one with each step of the work. */
function steps(count: number): { readonly work: Generator<void, string>; readonly now: () => number } {
  let time = 100;
  function* work(): Generator<void, string> {
    for (let i = 0; i < count; i++) {
      time++;
      yield;
    }
    return 'made';
  }
  return { work: work(), now: () => time };
}

describe('runSlice', () => {
  it('stops when the budget is used up and goes on where it was', () => {
    const { work, now } = steps(5);
    expect(runSlice(work, 3, now)).toEqual({ done: false });
    expect(now()).toBe(103);
    expect(runSlice(work, 3, now)).toEqual({ done: true, value: 'made' });
    expect(now()).toBe(105);
  });
  it('does at least one step, so that it ends even without a budget', () => {
    const { work, now } = steps(2);
    expect(runSlice(work, 0, now).done).toBe(false);
    expect(runSlice(work, 0, now).done).toBe(false);
    expect(runSlice(work, 0, now)).toEqual({ done: true, value: 'made' });
  });
  it('lets an error of the work through', () => {
    function* failing(): Generator<void, never> {
      yield;
      throw new Error('broken row');
    }
    expect(() => runSlice(failing(), 10, () => 0)).toThrow('broken row');
  });
});

describe('runWhole', () => {
  it('runs to the end', () => {
    expect(runWhole(steps(100).work)).toBe('made');
  });
});
