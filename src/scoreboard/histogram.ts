/**
 * Response times in buckets of about a quarter of an octave (each bucket's bound is 1.19 to 1.25 times the one before), from 64 us
 * to 68 s: exact enough for percentiles, small enough for one row per node and thread. Log-linear after HdrHistogram.
 */
import type { Micros } from '../base/ids.ts';

/** Buckets per doubling. */
const perOctave = 4;
const firstOctave = 6; // 2^6 us = 64 us
const octaves = 20;

/** Below 64 us, 20 octaves of four, and above 67 s. */
export const bucketCount = 2 + octaves * perOctave;

export function bucketOf(duration: Micros): number {
  if (duration >= 2 ** (firstOctave + octaves)) return bucketCount - 1; // before the bit operations: they wrap at 2^32
  const us = duration | 0;
  if (us < 1 << firstOctave) return 0;
  const octave = 31 - Math.clz32(us);
  const quarter = (us >>> (octave - 2)) & (perOctave - 1);
  return 1 + (octave - firstOctave) * perOctave + quarter;
}

/** Upper bound of a bucket, exclusive; infinite for the last. */
export function bucketBound(bucket: number): Micros {
  if (bucket <= 0) return 1 << firstOctave;
  if (bucket >= bucketCount - 1) return Number.POSITIVE_INFINITY;
  const octave = firstOctave + Math.floor((bucket - 1) / perOctave);
  const quarter = (bucket - 1) % perOctave;
  return 2 ** octave * (1 + (quarter + 1) / perOctave);
}

/** The duration below which the given share (0 to 1) of the counts lies; 0 if there are none. Rounded up to a bucket's bound. */
export function percentile(counts: ArrayLike<number>, share: number): Micros {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i]!;
  if (total === 0) return 0;
  const rank = Math.max(1, Math.ceil(total * share));
  let seen = 0;
  for (let i = 0; i < counts.length; i++) {
    seen += counts[i]!;
    if (seen >= rank) return i >= bucketCount - 1 ? bucketBound(bucketCount - 2) : bucketBound(i);
  }
  return bucketBound(bucketCount - 2);
}
