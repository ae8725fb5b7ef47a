/** Stats and metrics of a running process, with the timer that samples its counters once a second. */
import { performance } from 'node:perf_hooks';
import { Activity } from '../activity.ts';
import { buildStats } from '../build-stats.ts';
import type { StateSource } from '../source.ts';
import type { Stats } from '../stats-model.ts';
import { createMetrics, type Metrics } from './prometheus.ts';

const sampleEvery = 1000;

export interface Observer {
  stats(): Stats;
  readonly metrics: Pick<Metrics, 'contentType' | 'render'>;
  close(): void;
}

/** Begins to sample at once: call it when source.observe() can be asked. */
export function createObserver(source: StateSource): Observer {
  const activity = new Activity();
  const metrics = createMetrics(source);
  const sample = (): void => activity.sample(performance.now(), source.observe(), source.scoreboard);
  sample();
  const timer = setInterval(sample, sampleEvery).unref();
  return {
    stats: () => buildStats(source.observe(), { board: source.scoreboard, activity }),
    metrics,
    close: () => {
      clearInterval(timer);
      metrics.close();
    },
  };
}
