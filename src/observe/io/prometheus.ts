/**
 * /metrics: the families of metrics.ts, written out by prom-client when Prometheus asks. Nothing is counted here: each
 * metric reads the scoreboard when it is rendered. Families are rendered one by one with a turn of the event loop
 * between them, so that a scrape of thousands of nodes does not hold up probes and heartbeats on the control thread.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Gauge, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';
import { beginScrape, families } from '../metrics.ts';
import type { Family, Scrape } from '../metrics-model.ts';
import type { StateSource } from '../source.ts';
import { ProcessMeter } from './process-meter.ts';

export interface Metrics {
  /** Value of Content-Type. */
  readonly contentType: string;
  render(): Promise<string>;
  /** Ends the measuring of the event loop. */
  close(): void;
}

export function createMetrics(source: StateSource): Metrics {
  const page = new Registry();
  const meter = new ProcessMeter();
  let scrape: Scrape | null = null;
  // The state is taken once per scrape; the numbers are as new as the moment at which they are read.
  const current = (): Scrape => {
    scrape ??= beginScrape(source.observe(), source.scoreboard);
    return scrape;
  };
  const all = [...families, ...meter.families];
  for (const family of all) page.registerMetric(new LiveMetric(family, current));

  const renderAll = async (): Promise<string> => {
    scrape = null;
    meter.read();
    const parts: string[] = [];
    for (const { name } of all) {
      parts.push(await page.getSingleMetricAsString(name));
      await nextTurn();
    }
    return `${parts.join('\n')}\n`;
  };
  // Two scrapes at once take turns: they share one view of the state.
  let last: Promise<unknown> = Promise.resolve();
  const render = (): Promise<string> => {
    const mine = last.then(renderAll, renderAll);
    last = mine;
    return mine;
  };
  return { contentType: page.contentType, render, close: () => meter.close() };
}

/** A metric whose values are read when they are asked for; prom-client's own would keep counts of its own. */
class LiveMetric extends Gauge<string> {
  readonly #family: Family;
  readonly #scrape: () => Scrape;

  constructor(family: Family, scrape: () => Scrape) {
    super({ name: family.name, help: family.help, registers: [] });
    this.#family = family;
    this.#scrape = scrape;
  }

  override get(): Promise<MetricObjectWithValues<MetricValue<string>>> {
    const { name, help, type } = this.#family;
    const values = this.#family.samples(this.#scrape()) as MetricValue<string>[];
    // Its type is declared as an enum, but is at run time the word that is written out.
    return Promise.resolve({ name, help, type: type as never, aggregator: 'sum', values, collect: () => {} });
  }
}
