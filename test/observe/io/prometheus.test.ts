import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics, type Metrics } from '../../../src/observe/io/prometheus.ts';
import { nodeBounds } from '../../../src/observe/merge.ts';
import { bucketOf } from '../../../src/scoreboard/histogram.ts';
import { nodeCell, nodeCounters, poolCounters } from '../../../src/scoreboard/layout.ts';
import { counterRow, nodeLine } from '../../../src/scoreboard/scoreboard.ts';
import { node, observedCluster, pool, source, state } from '../fixture.ts';

let open: Metrics | null = null;
afterEach(() => {
  open?.close();
  open = null;
});

function metricsOf(from: ReturnType<typeof source>): Metrics {
  open = createMetrics(from);
  return open;
}

const promtool = spawnSync('promtool', ['--version']).status === 0;
const inCi = process.env['CI'] === 'true';
if (!promtool && !inCi) console.warn("promtool is not installed (Debian's package prometheus): its check is left out");

describe('/metrics', () => {
  it.skipIf(!promtool && !inCi)('passes promtool check metrics', async () => {
    const text = await metricsOf(source(state({ cluster: observedCluster() }))).render();
    expect(text).toContain('\nevenkeel_cluster_commit_seconds_bucket{le="0.002048"} 1\n');
    const check = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    expect(`${check.error?.message ?? ''}${check.stdout}${check.stderr}`).toBe('');
    expect(check.status).toBe(0);
  });

  it('reads the scoreboard when it is asked, summed over the threads', async () => {
    const from = source();
    const metrics = metricsOf(from);
    const requests = counterRow.node(1) + nodeCounters.indexOf('requests');
    from.scoreboard.counters(0)[requests] = 5;
    from.scoreboard.counters(1)[requests] = 7;
    from.scoreboard.lines[nodeLine(1) + nodeCell.inFlight] = 3;
    const labels = '{pool="app",node="10.0.0.12:3000"}';
    const first = await metrics.render();
    expect(first).toContain(`\nevenkeel_node_requests_total${labels} 12\n`);
    expect(first).toContain(`\nevenkeel_node_in_flight_requests${labels} 3\n`);
    from.scoreboard.counters(1)[requests] = 8;
    expect(await metrics.render()).toContain(`\nevenkeel_node_requests_total${labels} 13\n`);
  });

  it('tells times in seconds and sizes in bytes', async () => {
    const from = source();
    from.scoreboard.counters(0)[counterRow.pool(0) + poolCounters.indexOf('queueMs')] = 1500;
    from.scoreboard.counters(0)[counterRow.poolHistogram(0) + bucketOf(700)] = 4;
    const text = await metricsOf(from).render();
    expect(text).toContain('\nevenkeel_pool_queue_wait_seconds_total{pool="app"} 1.5\n');
    expect(text).toContain('\nevenkeel_pool_response_seconds_bucket{le="0.000512",pool="app"} 0\n');
    expect(text).toContain('\nevenkeel_pool_response_seconds_bucket{le="0.001024",pool="app"} 4\n');
    expect(text).toContain('\nevenkeel_pool_response_seconds_count{pool="app"} 4\n');
    expect(text).toContain('\nevenkeel_node_down_seconds_total{pool="app",node="10.0.0.12:3000"} 4\n');
  });

  it('drops what left the config, and shows what came', async () => {
    const from = source();
    const metrics = metricsOf(from);
    expect(await metrics.render()).toContain('node="10.0.0.12:3000"');
    from.view = state({ pools: [pool('app', 0, [node('app', 'new', 1)])] });
    const text = await metrics.render();
    expect(text).not.toContain('10.0.0.12');
    expect(text).toContain('evenkeel_node_up{pool="app",node="new"} 1');
  });

  it('escapes names from the config', async () => {
    const text = await metricsOf(source(state({ routes: [{ name: 'a"b\\c\nd', slot: 0, pool: null }] }))).render();
    expect(text).toContain('evenkeel_route_requests_total{route="a\\"b\\\\c\\nd"} 0\n');
  });

  it('tells many rows in slices, each family as one list with one head', async () => {
    const nodes = Array.from({ length: 1234 }, (_, slot) => node('app', `n${slot}`, slot));
    const routes = Array.from({ length: 1001 }, (_, slot) => ({ name: `r${slot}`, slot, pool: 'app' }));
    const from = source(state({ pools: [pool('app', 0, nodes)], routes }));
    for (const slot of [0, 499, 500, 1233])
      from.scoreboard.counters(0)[counterRow.node(slot) + nodeCounters.indexOf('requests')] = slot + 1;
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      counting = setImmediate(turn);
    };
    let counting = setImmediate(turn);
    const text = await metricsOf(from).render();
    clearImmediate(counting);
    const families = text.split('\n').filter((line) => line.startsWith('# TYPE'));
    expect(new Set(families).size).toBe(families.length);
    const perNode = families.filter((line) => line.includes(' evenkeel_node_')).length;
    expect(turns).toBeGreaterThanOrEqual(families.length + 2 * perNode); // three slices of each
    const listOf = (name: string): string[] =>
      text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.endsWith(` ${name} counter`));
    expect(listOf('evenkeel_node_requests_total')).toEqual([
      '# TYPE evenkeel_node_requests_total counter',
      ...nodes.map(
        ({ id, slot }) =>
          `evenkeel_node_requests_total{pool="app",node="${id}"} ${[0, 499, 500, 1233].includes(slot) ? slot + 1 : 0}`,
      ),
    ]);
    expect(listOf('evenkeel_route_requests_total')).toEqual([
      '# TYPE evenkeel_route_requests_total counter',
      ...routes.map(({ name }) => `evenkeel_route_requests_total{route="${name}"} 0`),
    ]);
    expect(text).not.toMatch(/\n\n/);
    expect(text.match(/\nevenkeel_node_response_seconds_bucket\{/g)?.length).toBe(1234 * (nodeBounds.length + 1));
  });

  it('tells nothing under the name of a node whose slot became another node within the scrape', async () => {
    const from = source();
    const metrics = metricsOf(from);
    const requests = counterRow.node(1) + nodeCounters.indexOf('requests');
    from.scoreboard.counters(0)[requests] = 5;
    const page = metrics.render();
    await new Promise((resolve) => setImmediate(resolve)); // it has begun
    from.scoreboard.lines[nodeLine(1) + nodeCell.generation]! += 1;
    from.scoreboard.counters(0)[requests] = 7777;
    const text = await page;
    expect(text).not.toContain('7777');
    expect(text).toContain('evenkeel_node_requests_total{pool="app",node="10.0.0.11:3000"} 0');
    expect(text).not.toContain('evenkeel_node_requests_total{pool="app",node="10.0.0.12:3000"}');
  });

  it('gives each of several scrapes at once a whole page', async () => {
    const metrics = metricsOf(source());
    const pages = await Promise.all([metrics.render(), metrics.render(), metrics.render()]);
    const heads = (page: string) => page.split('\n').filter((line) => line.startsWith('# TYPE'));
    for (const page of pages) expect(heads(page)).toEqual(heads(pages[0] ?? ''));
    expect(heads(pages[0] ?? '').length).toBeGreaterThan(60);
  });

  it('tells what the process costs', async () => {
    const text = await metricsOf(source()).render();
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'evenkeel_control_heap_bytes']) {
      expect(Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]), name).toBeGreaterThan(0);
    }
    expect(text).toContain('evenkeel_control_loop_delay_seconds{stat="p99"}');
  });
});
