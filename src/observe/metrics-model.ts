/** What a metric is here: a family that reads its samples when it is asked. */
import type { Scoreboard } from '../scoreboard/scoreboard.ts';
import type { ObservedNode, ObservedState } from './source.ts';

export type Labels = Readonly<Record<string, string | number>>;
export type MetricType = 'counter' | 'gauge' | 'histogram';

export interface Sample {
  /** Name of the series where it is not the family's (`..._bucket`). */
  readonly metricName?: string;
  readonly labels: Labels;
  /** Further labels, one object for many samples: prom-client writes each such object out once. */
  readonly sharedLabels: Labels;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** What it has samples of each of: it may be asked for a part of them at a time (slicesOf). */
  readonly rows?: Rows;
  samples(scrape: Scrape): Sample[];
}

export type Rows = 'nodes' | 'routes' | 'pools';

/** One instant, read by all families of a scrape. */
export interface Scrape {
  readonly state: ObservedState;
  readonly board: Scoreboard;
  /** All nodes, with the labels that name them. */
  readonly nodes: readonly ScrapedNode[];
}

export interface ScrapedNode {
  readonly node: ObservedNode;
  readonly labels: Labels;
  /** Of its slot as the scrape began: with another one, the slot is another node's by now. */
  readonly generation: number;
}

export const noLabels: Labels = {};

export const gauge = (name: string, help: string, samples: Family['samples']): Family => ({
  name: `evenkeel_${name}`,
  type: 'gauge',
  help,
  samples,
});
export const counter = (name: string, help: string, samples: Family['samples']): Family => ({
  ...gauge(name, help, samples),
  type: 'counter',
});
export const one = (labels: Labels, value: number, sharedLabels: Labels = noLabels): Sample => ({
  labels,
  sharedLabels,
  value,
});
