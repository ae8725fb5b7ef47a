/** Stats and metrics of a running process, with the timer that samples its counters once a second. */
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Activity } from '../activity.ts';
import { buildStats, poolsText, statsText, viewStats } from '../build-stats.ts';
import type { StateSource } from '../source.ts';
import type { Stats } from '../stats-model.ts';
import { createMetrics, type Metrics } from './prometheus.ts';

const sampleEvery = 1000;

/** `pools`: an object with nothing else. */
export type StatsPart = 'all' | 'pools';

export interface Observer {
  stats(): Stats;
  /** To be looked at in the same turn: nodes and routes are read when they are looked at. */
  view(): Stats;
  /** JSON of the same, and a line's end, in UTF-8; made in slices, with a turn of the event loop between them. */
  statsBytes(part: StatsPart): Promise<Uint8Array<ArrayBuffer>>;
  readonly metrics: Pick<Metrics, 'contentType' | 'bytes' | 'render'>;
  close(): void;
}

/** Begins to sample at once: call it when source.observe() can be asked. */
export function createObserver(source: StateSource): Observer {
  const activity = new Activity();
  const metrics = createMetrics(source);
  const sample = (): void => activity.sample(performance.now(), source.observe(), source.scoreboard);
  sample();
  const timer = setInterval(sample, sampleEvery).unref();
  const from = { board: source.scoreboard, activity };
  return {
    stats: () => buildStats(source.observe(), from),
    view: () => viewStats(source.observe(), from),
    statsBytes: (part) => {
      const state = source.observe();
      return inSlices(part === 'all' ? statsText(state, from) : poolsObject(poolsText(state, from)));
    },
    metrics,
    close: () => {
      clearInterval(timer);
      metrics.close();
    },
  };
}

function* poolsObject(pools: Generator<string, void>): Generator<string, void> {
  yield '{"pools":';
  yield* pools;
  yield '}';
}

/** In characters; some hundred rows. */
const sliceLength = 64 * 1024;

async function inSlices(pieces: Iterable<string>): Promise<Uint8Array<ArrayBuffer>> {
  const slices: Uint8Array[] = [];
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < sliceLength) continue;
    slices.push(Buffer.from(text));
    text = '';
    await nextTurn();
  }
  slices.push(Buffer.from(`${text}\n`));
  return Buffer.concat(slices);
}
