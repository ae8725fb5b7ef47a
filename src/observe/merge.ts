/**
 * The scoreboard's 82 buckets of response times, merged into the few that a Prometheus histogram should have. Bounds
 * are a subset of the scoreboard's own (powers of two of a microsecond), so that each `le` is exact: a round 0.1 would
 * have to guess what part of a bucket lies below it. The sum is estimated from the middles of the buckets.
 */
import type { Micros } from '../base/ids.ts';
import { bucketBound, bucketCount } from '../scoreboard/histogram.ts';
import type { Labels, Sample } from './metrics-model.ts';

/** Index of the first bucket that is not below the bound, and the bound as a label, in seconds. */
interface Bound {
  readonly end: number;
  readonly le: Labels;
}

/** 2^first us, 2^(first+step) us, ... up to 2^last us. */
function powersOfTwo(first: number, last: number, step: number): readonly Bound[] {
  const bounds: Bound[] = [];
  for (let power = first; power <= last; power += step) {
    const us = 2 ** power;
    let end = 0;
    while (bucketBound(end) <= us) end++;
    bounds.push({ end, le: { le: String(us / 1e6) } });
  }
  return bounds;
}

/** 0.5 ms to 33 s, doubling. */
export const poolBounds = powersOfTwo(9, 25, 1);
/** 1 ms to 16 s, fourfold: there are many nodes. */
export const nodeBounds = powersOfTwo(10, 24, 2);

const middles: readonly Micros[] = Array.from({ length: bucketCount }, (_, bucket) => {
  const low = bucket === 0 ? 0 : bucketBound(bucket - 1);
  const high = bucketBound(bucket);
  return Number.isFinite(high) ? (low + high) / 2 : low;
});

interface HistogramOptions {
  readonly labels: Labels;
  readonly counts: Float64Array;
  readonly bounds: readonly Bound[];
}

const noLabels: Labels = {};
const infinity: Labels = { le: '+Inf' };

export function histogramSamples(name: string, { labels: sharedLabels, counts, bounds }: HistogramOptions): Sample[] {
  const samples: Sample[] = [];
  const add = (suffix: string, labels: Labels, value: number): void =>
    void samples.push({ metricName: name + suffix, labels, sharedLabels, value });
  let seen = 0;
  let bucket = 0;
  for (const { end, le } of bounds) {
    for (; bucket < end; bucket++) seen += counts[bucket]!;
    add('_bucket', le, seen);
  }
  for (; bucket < counts.length; bucket++) seen += counts[bucket]!;
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i]! * middles[i]!;
  add('_bucket', infinity, seen);
  add('_sum', noLabels, sum / 1e6);
  add('_count', noLabels, seen);
  return samples;
}
