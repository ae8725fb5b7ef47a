/**
 * A small harness for operations of nanoseconds: warm-up, then several rounds; the median round counts, and the spread
 * between the fastest and the slowest is kept, since on a shared machine a single number lies. What is measured is the
 * CPU time of the thread, not the clock: other processes take turns, but not the measurement's time.
 *
 *   const t = measure((ops) => { let sum = 0; for (let i = 0; i < ops; i++) sum += work(); return sum; });
 *
 * The loop stands in the measured function, so that its call costs nothing per operation, and returns something that
 * depends on every operation, so that none can be left out by the compiler.
 */
import { mkdirSync, writeFileSync } from 'node:fs';

export interface Timing {
  /** Nanoseconds per operation. */
  readonly median: number;
  readonly fastest: number;
  readonly slowest: number;
}

export interface MeasureOptions {
  readonly rounds?: number;
  /** How long a round should last, ms. */
  readonly roundMs?: number;
}

/** Sum of all results: kept so that no measured work is dead code. */
let sink = 0;

export function measure(run: (ops: number) => number, options: MeasureOptions = {}): Timing {
  const { rounds = 9, roundMs = 30 } = options;
  const ops = calibrate(run, roundMs);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push((time(run, ops) * 1e6) / ops);
  times.sort((a, b) => a - b);
  return { median: times[rounds >> 1]!, fastest: times[0]!, slowest: times[rounds - 1]! };
}

/** Doubles the number of operations until a round lasts long enough; that is the warm-up, too. */
function calibrate(run: (ops: number) => number, roundMs: number): number {
  let ops = 1;
  while (time(run, ops) < roundMs) ops *= 2;
  return ops;
}

/** Milliseconds of CPU. */
function time(run: (ops: number) => number, ops: number): number {
  const start = process.threadCpuUsage();
  sink += run(ops);
  const used = process.threadCpuUsage(start);
  return (used.user + used.system) / 1000;
}

export type Row = Readonly<Record<string, string | number>>;

export function printTable(title: string, rows: readonly Row[]): void {
  console.log(`\n${title}`);
  const columns = Object.keys(rows[0] ?? {});
  const width = (column: string): number =>
    Math.max(column.length, ...rows.map((row) => String(row[column] ?? '').length));
  const line = (cell: (column: string) => string): string =>
    columns
      .map((column, i) => (i === 0 ? cell(column).padEnd(width(column)) : cell(column).padStart(width(column))))
      .join('  ');
  console.log(line((column) => column));
  for (const row of rows) console.log(line((column) => String(row[column] ?? '')));
}

/** Writes bench/results/<name>.json. */
export function writeResults(name: string, results: unknown): void {
  const folder = new URL('../results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(results, null, 2)}\n`);
  if (!Number.isFinite(sink)) throw new Error(`bench ${name}: a measured operation returned no number`);
}
