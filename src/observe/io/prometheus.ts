/**
 * /metrics: the families of metrics.ts, written out by prom-client when Prometheus asks. Nothing is counted here: each
 * metric reads the scoreboard when it is rendered. Families are rendered one by one, those of many rows in slices, with a
 * turn of the event loop after each, so that a scrape of thousands of nodes does not hold up probes and heartbeats on
 * the control thread.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Gauge, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';
import { beginScrape, families, slicesOf } from '../metrics.ts';
import type { Family, Scrape } from '../metrics-model.ts';
import type { StateSource } from '../source.ts';
import { ProcessMeter } from './process-meter.ts';

export interface Metrics {
  /** Value of Content-Type. */
  readonly contentType: string;
  /** The page in UTF-8: as text, a large one would be copied and encoded in one long turn. */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  render(): Promise<string>;
  /** Ends the measuring of the event loop. */
  close(): void;
}

export function createMetrics(source: StateSource): Metrics {
  const page = new Registry();
  const meter = new ProcessMeter();
  let slice: Scrape | null = null;
  const current = (): Scrape => {
    slice ??= beginScrape(source.observe(), source.scoreboard);
    return slice;
  };
  const all = [...families, ...meter.families];
  for (const family of all) page.registerMetric(new LiveMetric(family, current));

  // The state is taken once per scrape; the numbers are as new as the moment at which they are read.
  const renderAll = async (): Promise<Uint8Array<ArrayBuffer>> => {
    const scrape = beginScrape(source.observe(), source.scoreboard);
    meter.read();
    const parts: Uint8Array[] = [];
    for (const family of all) {
      let isFirst = true;
      for (slice of slicesOf(family, scrape)) {
        const text = await page.getSingleMetricAsString(family.name);
        const part = isFirst ? text : withoutHead(text);
        if (part !== '') parts.push(Buffer.from(`${part}\n`));
        isFirst = false;
        await nextTurn();
      }
    }
    return Buffer.concat(parts);
  };
  // Two scrapes at once take turns: they share one view of the state.
  let last: Promise<unknown> = Promise.resolve();
  const bytes = (): Promise<Uint8Array<ArrayBuffer>> => {
    const mine = last.then(renderAll, renderAll);
    last = mine;
    return mine;
  };
  const render = (): Promise<string> => bytes().then((page) => new TextDecoder().decode(page));
  return { contentType: page.contentType, bytes, render, close: () => meter.close() };
}

/** HELP and TYPE are told once. Empty if the slice has no sample. */
function withoutHead(text: string): string {
  const end = text.indexOf('\n', text.indexOf('\n') + 1);
  return end === -1 ? '' : text.slice(end + 1);
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
