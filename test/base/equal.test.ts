import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sameData } from '../../src/base/equal.ts';

describe('sameData', () => {
  it('is true for a copy of any plain data', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => sameData(value, structuredClone(value))));
  });
  it('is false where JSON differs', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        fc.pre(!Object.is(a, b) && JSON.stringify(a) !== JSON.stringify(b));
        // Keys in another order are the same data, but another text.
        expect(sameData(a, b)).toBe(JSON.stringify(sorted(a)) === JSON.stringify(sorted(b)));
      }),
    );
  });
  it.each([
    [{ a: 1 }, { a: 1, b: undefined }],
    [{ a: undefined }, { b: undefined }],
    [[], {}],
    [null, {}],
    [[1, 2], [1]],
    [{ a: { b: 1 } }, { a: { b: 2 } }],
    [{ toString: 1 }, {}],
  ])('tells %j from %j', (a, b) => {
    expect(sameData(a, b)).toBe(false);
    expect(sameData(b, a)).toBe(false);
  });
  it('does not look at the order of keys', () => {
    expect(sameData({ a: 1, b: [2] }, { b: [2], a: 1 })).toBe(true);
  });
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => [key, sorted(inner)]);
}
