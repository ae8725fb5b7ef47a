/**
 * What the counters did lately, from samples: requests per second over the last ten seconds, and response times over
 * the last 30 to 60. The scoreboard only ever counts up; this keeps what it said a while ago and subtracts.
 *
 *   rate      a ring of eleven samples, one a second: (newest - oldest) / time between
 *   latency   two copies of a histogram, taken 30 s apart; now - older covers 30 to 60 s
 *
 * Rows are named by slot. A counter that went down was cleared for another owner: its history starts anew.
 */
import type { Millis } from '../base/ids.ts';
import { listenerCounters, nodeCounters, poolCounters, routeCounters } from '../scoreboard/layout.ts';
import { counterRow, type Scoreboard } from '../scoreboard/scoreboard.ts';
import type { ObservedState } from './source.ts';

const samplesKept = 11;
const windowMs = 30_000;

export class RateMeter {
  readonly #at = new Float64Array(samplesKept);
  readonly #values = new Float64Array(samplesKept);
  #count = 0;
  #newest = -1;

  /** `now` of any monotonic clock in ms; call about once a second. */
  sample(now: Millis, counter: number): void {
    if (this.#count > 0 && counter < this.#values[this.#newest]!) this.#count = 0;
    this.#newest = (this.#newest + 1) % samplesKept;
    this.#at[this.#newest] = now;
    this.#values[this.#newest] = counter;
    if (this.#count < samplesKept) this.#count++;
  }

  /** Per second; 0 until there are two samples. */
  get perSecond(): number {
    if (this.#count < 2) return 0;
    const oldest = (this.#newest - this.#count + 1 + samplesKept) % samplesKept;
    const ms = this.#at[this.#newest]! - this.#at[oldest]!;
    return ms > 0 ? ((this.#values[this.#newest]! - this.#values[oldest]!) * 1000) / ms : 0;
  }
}

export class HistogramWindow {
  #older: Float64Array | null = null;
  #newer: Float64Array | null = null;

  /** Takes a copy of the counts so far; call every 30 s. The array is kept. */
  rotate(counts: Float64Array): void {
    this.#older = this.#newer;
    this.#newer = counts;
  }

  /** The given counts less what they were 30 to 60 s ago. */
  recent(counts: Float64Array): Float64Array {
    const before = this.#older;
    if (before === null) return counts;
    const recent = counts.map((count, i) => count - before[i]!);
    return recent.some((count) => count < 0) ? counts : recent;
  }
}

type Kind = 'listener' | 'pool' | 'node' | 'route';

/** Rates and windows of all rows. One per process, fed by sampler.ts. */
export class Activity {
  readonly #meters: Readonly<Record<Kind, Map<number, RateMeter>>> = {
    listener: new Map(),
    pool: new Map(),
    node: new Map(),
    route: new Map(),
  };
  readonly #windows = { pool: new Map<number, HistogramWindow>(), node: new Map<number, HistogramWindow>() };
  #rotatedAt = Number.NEGATIVE_INFINITY;

  sample(now: Millis, state: ObservedState, board: Scoreboard): void {
    const nodes = state.pools.flatMap((pool) => pool.nodes);
    this.#meter('listener', state.listeners, (slot) => board.sum(listenerRequests(slot)), now);
    this.#meter('pool', state.pools, (slot) => board.sum(poolRequests(slot)), now);
    this.#meter('node', nodes, (slot) => board.sum(nodeRequests(slot)), now);
    this.#meter('route', state.routes, (slot) => board.sum(routeRequests(slot)), now);
    if (now - this.#rotatedAt < windowMs) return;
    this.#rotatedAt = now;
    this.#rotate('pool', state.pools, (slot) => board.histogram(counterRow.poolHistogram(slot)));
    this.#rotate('node', nodes, (slot) => board.histogram(counterRow.nodeHistogram(slot)));
  }

  perSecond(kind: Kind, slot: number): number {
    return this.#meters[kind].get(slot)?.perSecond ?? 0;
  }

  /** Counts of response times of the last 30 to 60 s. */
  recent(kind: 'pool' | 'node', slot: number, board: Scoreboard): Float64Array {
    const row = kind === 'pool' ? counterRow.poolHistogram(slot) : counterRow.nodeHistogram(slot);
    const counts = board.histogram(row);
    return this.#windows[kind].get(slot)?.recent(counts) ?? counts;
  }

  #meter(kind: Kind, rows: readonly Row[], read: (slot: number) => number, now: Millis): void {
    const meters = this.#meters[kind];
    for (const { slot } of rows) entry(meters, slot, () => new RateMeter()).sample(now, read(slot));
    forget(meters, rows);
  }

  #rotate(kind: 'pool' | 'node', rows: readonly Row[], read: (slot: number) => Float64Array): void {
    const windows = this.#windows[kind];
    for (const { slot } of rows) entry(windows, slot, () => new HistogramWindow()).rotate(read(slot));
    forget(windows, rows);
  }
}

interface Row {
  readonly slot: number;
}

// `requests` is the column of each kind; named here once.
const listenerRequests = (slot: number): number => counterRow.listener(slot) + listenerCounters.indexOf('requests');
const poolRequests = (slot: number): number => counterRow.pool(slot) + poolCounters.indexOf('requests');
const nodeRequests = (slot: number): number => counterRow.node(slot) + nodeCounters.indexOf('requests');
const routeRequests = (slot: number): number => counterRow.route(slot) + routeCounters.indexOf('requests');

function entry<V>(map: Map<number, V>, slot: number, make: () => V): V {
  const known = map.get(slot);
  if (known !== undefined) return known;
  const made = make();
  map.set(slot, made);
  return made;
}

/** Drops what has no row any more. */
function forget(map: Map<number, unknown>, rows: readonly Row[]): void {
  if (map.size <= rows.length) return;
  const slots = new Set(rows.map((row) => row.slot));
  for (const slot of map.keys()) if (!slots.has(slot)) map.delete(slot);
}
