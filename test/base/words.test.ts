import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { didYouMean, editDistance } from '../../src/base/words.ts';

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['a', '', 1],
    ['', 'abc', 3],
    ['weight', 'weight', 0],
    ['wieght', 'weight', 1],
    ['pols', 'pools', 1],
    ['lst', 'list', 1],
    ['kitten', 'sitting', 3],
    ['ab', 'ba', 1],
    ['abc', 'ca', 3],
  ])('%j to %j is %d', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });

  it('is symmetric, zero only for the same, and never more than the longer one', () => {
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      }),
    );
  });
});

describe('didYouMean', () => {
  const keys = ['listen', 'workers', 'pools', 'routes', 'timeouts', 'limits', 'log'];

  it.each([
    ['lisen', 'listen'],
    ['Listen', 'listen'],
    ['worker', 'workers'],
    ['pols', 'pools'],
    ['timeout', 'timeouts'],
    ['lgo', 'log'],
    ['limit', 'limits'],
  ])('%s means %s', (word, meant) => {
    expect(didYouMean(word, keys)).toBe(meant);
  });

  it.each(['zzz', 'database', 'x', ''])('%j is like none of them', (word) => {
    expect(didYouMean(word, keys)).toBeNull();
  });

  it('the nearest wins, the first of equals', () => {
    expect(didYouMean('aab', ['abb', 'aaa', 'aab'])).toBe('aab');
    expect(didYouMean('aac', ['aab', 'aad'])).toBe('aab');
  });

  it('does not even look at a word that no key is as long as', () => {
    expect(didYouMean('listen'.repeat(100_000), keys)).toBeNull();
  });
});
