import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AgreedClock } from '../../../src/cluster/replica/clock.ts';
import { Deadlines } from '../../../src/cluster/replica/deadlines.ts';

describe('the clock that a leader stamps with', () => {
  const start = { wall: 1_000_000, monotonic: 500 };

  it('begins with the wall clock where nothing was heard', () => {
    expect(new AgreedClock(start).now(700.9)).toBe(1_000_200);
  });

  it('continues the agreed time by its own monotonic time since it heard it', () => {
    const clock = new AgreedClock(start);
    clock.heard(2_000_000, 600, true);
    expect(clock.now(650)).toBe(2_000_050);
    clock.heard(2_000_300, 700, true);
    expect(clock.now(700)).toBe(2_000_300);
  });

  it('a wall clock that is an hour ahead on one member moves nothing in a running cluster', () => {
    const clock = new AgreedClock({ wall: 1_000_000 + 3_600_000, monotonic: 0 });
    clock.heard(1_000_000, 10, true);
    expect(clock.now(20)).toBe(1_000_010);
  });

  it('old entries, read after a restart of all, move it forward only', () => {
    const clock = new AgreedClock(start);
    clock.heard(900_000, 510, false);
    expect(clock.now(510)).toBe(1_000_010);
    clock.heard(5_000_000, 520, false);
    expect(clock.now(530)).toBe(5_000_010);
    expect(clock.live).toBe(false);
    for (let i = 1; i <= 1000; i++) clock.heard(1000, 530 + i * 0.9, false);
    expect(clock.now(1430)).toBe(5_000_910);
  });
});

describe('deadlines', () => {
  it('come due in order of time, then of id, each once, whatever was moved or taken away', () => {
    const change = fc.tuple(fc.nat(8), fc.option(fc.nat(50), { nil: null, freq: 4 }), fc.nat(10));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 300 }), (changes) => {
        const deadlines = new Deadlines<number>();
        const model = new Map<number, number>();
        let now = 0;
        for (const [id, ahead, pass] of changes) {
          if (ahead === null) {
            deadlines.delete(id);
            model.delete(id);
          } else {
            deadlines.set(id, now + ahead);
            model.set(id, now + ahead);
          }
          expect(deadlines.next()).toBe(Math.min(...model.values()));
          now += pass > 7 ? pass : 0;
          const due = [...model].filter(([, at]) => at <= now).sort(([a, x], [b, y]) => x - y || a - b);
          for (const [gone] of due) model.delete(gone);
          expect(deadlines.due(now)).toEqual(due.map(([gone]) => gone));
        }
      }),
    );
  });

  it('what comes and goes long before its time leaves nothing behind', () => {
    const deadlines = new Deadlines<number>();
    for (let id = 0; id < 10_000; id++) {
      deadlines.set(id, 1_000_000 + id);
      if (id % 100 !== 0) deadlines.delete(id);
    }
    expect(deadlines.queued).toBeLessThan(300);
    expect(deadlines.due(2_000_000)).toHaveLength(100);
  });
});
