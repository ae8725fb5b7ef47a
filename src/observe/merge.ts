/**
 * The scoreboard's 82 buckets of response times, merged into the few that a Prometheus histogram should have. Bounds
 * are a subset of the scoreboard's own (powers of two of a microsecond), so that each `le` is exact: a round 0.1 would
 * have to guess what part of a bucket lies below it. The sum is estimated from the middles of the buckets.
 */
import type { Micros } from '../base/ids.ts';
import { bucketBound, bucketCount } from '../scoreboard/histogram.ts';
import type { Sample } from './metrics.ts';

/** Index of the first bucket that is not below each bound, with the bound's text in seconds. */
interface Bound {
  readonly end: number;
  readonly le: string;
}

/** 2^first us, 2^(first+step) us, ... up to 2^last us. */
function powersOfTwo(first: number, last: number, step: number): readonly Bound[] {
  const bounds: Bound[] = [];
  for (let power = first; power <= last; power += step) {
    const us = 2 ** power;
    let end = 0;
    while (bucketBound(end) <= us) end++;
    bounds.push({ end, le: String(us / 1e6) });
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
  readonly labels: Readonly<Record<string, string | number>>;
  readonly counts: Float64Array;
  readonly bounds: readonly Bound[];
}

export function histogramSamples(name: string, { labels, counts, bounds }: HistogramOptions): Sample[] {
  const samples: Sample[] = [];
  let seen = 0;
  let bucket = 0;
  for (const { end, le } of bounds) {
    for (; bucket < end; bucket++) seen += counts[bucket]!;
    samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: seen });
  }
  for (; bucket < counts.length; bucket++) seen += counts[bucket]!;
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i]! * middles[i]!;
  samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: seen });
  samples.push({ metricName: `${name}_sum`, labels, value: sum / 1e6 });
  samples.push({ metricName: `${name}_count`, labels, value: seen });
  return samples;
}
