/** The wheel against a naive list of deadlines. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Timed, Wheel } from '../../src/base/wheel.ts';

const tickMs = 10;
const never = Number.POSITIVE_INFINITY;

class Thing extends Timed {
  readonly expired: number[] = [];
  /** Run when it expires. */
  onExpire: (now: number) => void = () => {};

  override expire(now: number): void {
    expect(this.deadline).toBe(never);
    this.expired.push(now);
    this.onExpire(now);
  }
}

const wheelAt = (now: number, slots = 8): Wheel => new Wheel({ tickMs, slots, now });

type Step =
  | { readonly do: 'arm'; readonly thing: number; readonly inMs: number }
  | { readonly do: 'remove'; readonly thing: number }
  | { readonly do: 'forget'; readonly thing: number }
  | { readonly do: 'advance'; readonly byMs: number };

const thing = fc.nat(4);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('arm' as const), thing, inMs: fc.double({ min: -20, max: 300, noNaN: true }) }),
  fc.record({ do: fc.constant('remove' as const), thing }),
  fc.record({ do: fc.constant('forget' as const), thing }),
  fc.record({ do: fc.constant('advance' as const), byMs: fc.double({ min: 0, max: 120, noNaN: true }) }),
);

describe('Wheel', () => {
  it('expires nothing early, nothing later than one tick after its time, and nothing that was removed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(4, 8, 64), (steps, slots) => {
        let now = 1003;
        const wheel = wheelAt(now, slots);
        const things = Array.from({ length: 5 }, () => new Thing());
        const model = things.map(() => never);
        const from = things.map(() => never);
        for (const each of steps) {
          if (each.do === 'arm') {
            model[each.thing] = now + each.inMs;
            // One whose time had passed is due now.
            from[each.thing] = Math.max(now, now + each.inMs);
            wheel.arm(things[each.thing]!, now + each.inMs);
          } else if (each.do === 'remove') {
            model[each.thing] = never;
            wheel.remove(things[each.thing]!);
          } else if (each.do === 'forget') {
            model[each.thing] = never;
            wheel.arm(things[each.thing]!, never);
          } else {
            now += each.byMs;
            wheel.advance(now);
            things.forEach((one, i) => {
              const due = model[i]!;
              const times = one.expired.splice(0);
              expect(times.length).toBeLessThanOrEqual(1);
              if (times.length === 1) {
                expect(due).toBeLessThanOrEqual(now);
                model[i] = never;
              } else if (due !== never) expect(from[i]).toBeGreaterThan(now - tickMs);
              expect(one.deadline).toBe(model[i]);
            });
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('is exact to one tick when it is turned each tick', () => {
    for (const inMs of [0, 1, 9, 10, 11, 35, 79, 80, 81, 799, 12_345]) {
      const wheel = wheelAt(5);
      const one = new Thing();
      wheel.arm(one, 5 + inMs);
      for (let now = 5; one.expired.length === 0; now++) wheel.advance(now);
      expect(one.expired[0]).toBeGreaterThanOrEqual(5 + inMs);
      // One armed for the tick that is now has to wait for the next.
      expect(one.expired[0]).toBeLessThanOrEqual(Math.max(5 + inMs, 10) + tickMs);
    }
  });

  it('a deadline that is pushed away again and again never expires, and stands in the wheel once', () => {
    const wheel = wheelAt(0);
    const one = new Thing();
    for (let now = 0; now < 1000; now += 7) {
      wheel.arm(one, now + 15);
      wheel.advance(now);
    }
    expect(one.expired).toEqual([]);
    wheel.advance(2000);
    wheel.advance(3000);
    expect(one.expired).toEqual([2000]);
  });

  it('an earlier deadline counts at once', () => {
    const wheel = wheelAt(0);
    const one = new Thing();
    wheel.arm(one, 60);
    wheel.arm(one, 20);
    wheel.advance(20);
    expect(one.expired).toEqual([20]);
  });

  it('one may arm itself again while it expires: once per turn, however late the turn is', () => {
    const wheel = wheelAt(0);
    const one = new Thing();
    one.onExpire = (now) => wheel.arm(one, now + 10);
    wheel.arm(one, 10);
    for (const now of [10, 20, 30]) wheel.advance(now);
    expect(one.expired).toEqual([10, 20, 30]);
    wheel.advance(10_000);
    expect(one.expired).toEqual([10, 20, 30, 10_000]);
    wheel.advance(10_010);
    expect(one.expired.at(-1)).toBe(10_010);
  });

  it('one may remove or arm others while it expires, also those that are due in the same turn', () => {
    const wheel = wheelAt(0);
    const [first, removed, later, unarmed] = [new Thing(), new Thing(), new Thing(), new Thing()];
    first.onExpire = (now) => {
      wheel.remove(removed);
      wheel.arm(later, now + 30);
      wheel.arm(unarmed, never);
    };
    for (const one of [first, removed, later, unarmed]) wheel.arm(one, 10);
    wheel.advance(10);
    expect([removed.expired, later.expired, unarmed.expired]).toEqual([[], [], []]);
    wheel.advance(40);
    wheel.advance(500);
    expect([first.expired, removed.expired, later.expired, unarmed.expired]).toEqual([[10], [], [40], []]);
  });

  it('after a long stall all that is due expires in one turn', () => {
    const wheel = wheelAt(0, 8);
    const things = Array.from({ length: 50 }, (_, i) => {
      const one = new Thing();
      wheel.arm(one, i * 13);
      return one;
    });
    wheel.advance(1_000_000);
    expect(things.every((one) => one.expired.length === 1)).toBe(true);
  });

  it('one that was removed can be armed again, and removing twice is harmless', () => {
    const wheel = wheelAt(0);
    const one = new Thing();
    wheel.remove(one);
    wheel.arm(one, 10);
    wheel.remove(one);
    wheel.remove(one);
    wheel.arm(one, 20);
    wheel.advance(10);
    wheel.advance(20);
    expect(one.expired).toEqual([20]);
  });

  it('one whose expire() throws does not keep the others from expiring', () => {
    const wheel = wheelAt(0);
    const [first, bad, last] = [new Thing(), new Thing(), new Thing()];
    bad.onExpire = () => {
      throw new Error('planted');
    };
    for (const one of [first, bad, last]) wheel.arm(one, 10);
    expect(() => wheel.advance(10)).toThrow('planted');
    wheel.advance(20);
    wheel.advance(30);
    expect([first.expired.length, bad.expired.length, last.expired.length]).toEqual([1, 1, 1]);
  });
});
