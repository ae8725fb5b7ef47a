/**
 * How long the tests of the cluster run. In the suite they take a form of seconds; `npm run prove:cluster` runs the same
 * in full, and prints what it measured. No time that was measured is judged: machines differ.
 */
import { quantile } from '../../../bench/load/statistics.ts';

const isFull = process.env['PROVE'] === 'full';

/** The first in the suite, the second in full. */
export const proving = (short: number, full: number): number => (isFull ? full : short);

/** Nothing takes longer than this, on a machine that others load too. */
export const soonMs = 60_000;

export const print = (line: string): void => console.log(line);

/** `3 rounds: p50 1.20 s, p99 1.91 s, most 1.95 s` */
export function spread(times: readonly number[]): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  const most = seconds(Math.max(...times));
  return `${times.length} rounds: p50 ${seconds(quantile(times, 0.5))}, p99 ${seconds(quantile(times, 0.99))}, most ${most}`;
}
