import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimeHeap } from '../../src/base/time-heap.ts';

describe('TimeHeap', () => {
  it('gives back what was put in, earliest first, in any mix of push and pop', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 }), { freq: 3 })), (script) => {
        const heap = new TimeHeap<number>();
        const model: number[] = [];
        for (const step of script) {
          if (step === null) {
            model.sort((a, b) => a - b);
            expect(heap.pop()).toBe(model.shift());
          } else {
            heap.push(step, step);
            model.push(step);
          }
          expect(heap.size).toBe(model.length);
          expect(heap.peekAt()).toBe(Math.min(...model));
        }
      }),
    );
  });

  it('is empty at first', () => {
    const heap = new TimeHeap<string>();
    expect(heap.peekAt()).toBe(Number.POSITIVE_INFINITY);
    expect(heap.peek()).toBeUndefined();
    expect(heap.pop()).toBeUndefined();
  });
});
