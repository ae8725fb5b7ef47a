import { describe, expect, it } from 'vitest';
import { bucketBound, bucketCount, bucketOf, percentile } from '../../src/scoreboard/histogram.ts';

describe('histogram of response times', () => {
  it('puts every duration below its bucket’s bound and not below the bound before', () => {
    for (let us = 1; us < 2 ** 33; us = Math.ceil(us * 1.07)) {
      const bucket = bucketOf(us);
      expect(us).toBeLessThan(bucketBound(bucket));
      if (bucket > 0) expect(us).toBeGreaterThanOrEqual(bucketBound(bucket - 1));
    }
  });

  it('keeps its bounds within a quarter of an octave of each other', () => {
    for (let bucket = 1; bucket < bucketCount - 1; bucket++) {
      const ratio = bucketBound(bucket) / bucketBound(bucket - 1);
      expect(ratio).toBeGreaterThan(1.14);
      expect(ratio).toBeLessThanOrEqual(1.25);
    }
  });

  it('takes what is out of range in its first and last bucket', () => {
    expect(bucketOf(0)).toBe(0);
    expect(bucketOf(-5)).toBe(0);
    expect(bucketOf(Number.NaN)).toBe(0);
    expect(bucketOf(63.9)).toBe(0);
    expect(bucketOf(64)).toBe(1);
    for (const huge of [2 ** 26, 2 ** 31, 2 ** 32 + 100, 2 ** 53, Number.POSITIVE_INFINITY])
      expect(bucketOf(huge)).toBe(bucketCount - 1);
  });

  it('gives percentiles to the bucket’s bound', () => {
    const counts = new Float64Array(bucketCount);
    expect(percentile(counts, 0.99)).toBe(0);
    for (let us = 1000; us <= 100_000; us += 100) counts[bucketOf(us)]! += 1;
    for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
      const exact = 1000 + share * 99_000;
      expect(percentile(counts, share)).toBeGreaterThanOrEqual(exact * 0.99);
      expect(percentile(counts, share)).toBeLessThanOrEqual(exact * 1.26);
    }
  });

  it('gives a finite percentile for what lies above the last bound', () => {
    const counts = new Float64Array(bucketCount);
    counts[bucketCount - 1] = 1;
    expect(percentile(counts, 0.5)).toBe(bucketBound(bucketCount - 2));
  });
});
