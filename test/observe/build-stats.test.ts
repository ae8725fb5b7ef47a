import { describe, expect, it } from 'vitest';
import { Activity } from '../../src/observe/activity.ts';
import { buildStats, poolsText, statsText, viewStats } from '../../src/observe/build-stats.ts';
import type { Stats } from '../../src/observe/stats-model.ts';
import { bucketOf } from '../../src/scoreboard/histogram.ts';
import {
  listenerCounters,
  type NodeCounter,
  nodeCell,
  nodeCounters,
  poolCell,
  refusalReasons,
  threadCell,
} from '../../src/scoreboard/layout.ts';
import { counterRow, nodeLine, poolLine, threadLine } from '../../src/scoreboard/scoreboard.ts';
import { node, pool, source, state, wall } from './fixture.ts';

const stats = (from: ReturnType<typeof source>, activity = new Activity()): Stats =>
  buildStats(from.view, { board: from.scoreboard, activity });

/** A process of so many pools of so many nodes, and as many routes, each with a count of its own. */
function large(pools: number, nodesEach: number): ReturnType<typeof source> {
  const view = state({
    pools: Array.from({ length: pools }, (_, p) =>
      pool(
        `p${p}`,
        p,
        Array.from({ length: nodesEach }, (_, n) => node(`p${p}`, `10.0.${p}.${n}`, p * nodesEach + n)),
      ),
    ),
    routes: Array.from({ length: pools * nodesEach }, (_, slot) => ({ name: `r${slot}`, slot, pool: 'p0' })),
  });
  const from = source(view);
  for (let slot = 0; slot < pools * nodesEach; slot++)
    from.scoreboard.counters(0)[counterRow.node(slot) + nodeCounters.indexOf('requests')] = slot;
  return from;
}

describe('stats as text', () => {
  it.each([
    ['no pool', 0, 0],
    ['a pool without nodes', 1, 0],
    ['few nodes', 2, 3],
    ['as many as fit in a piece', 1, 100],
    ['many nodes', 3, 250],
  ])('is the JSON of the same: %s', (_, pools, nodesEach) => {
    const from = large(pools, nodesEach);
    const given = { board: from.scoreboard, activity: new Activity() };
    const whole = buildStats(from.view, given);
    expect(JSON.parse([...statsText(from.view, given)].join(''))).toEqual(whole);
    expect(JSON.parse([...poolsText(from.view, given)].join(''))).toEqual(whole.pools);
    expect(viewStats(from.view, given)).toEqual(whole);
  });

  it('comes in pieces of at most a hundred rows', () => {
    const from = large(2, 1000);
    const pieces = [...statsText(from.view, { board: from.scoreboard, activity: new Activity() })];
    const rowsOf = (piece: string): number => piece.match(/"counters":/g)?.length ?? 0;
    expect(pieces.map(rowsOf).reduce((sum, rows) => sum + rows, 0)).toBeGreaterThanOrEqual(4000);
    expect(Math.max(...pieces.map(rowsOf))).toBeLessThanOrEqual(100);
  });
});

describe('a view of the stats', () => {
  it('reads the nodes of the pools that are looked at, and of no other', () => {
    const from = large(3, 10);
    const read: string[] = [];
    const watched = from.view.pools.map((one) => ({
      ...one,
      get nodes() {
        read.push(one.name);
        return one.nodes;
      },
    }));
    const view = viewStats({ ...from.view, pools: watched }, { board: from.scoreboard, activity: new Activity() });
    expect(view.pools.map(({ name, total }) => [name, total])).toEqual([
      ['p0', 10],
      ['p1', 10],
      ['p2', 10],
    ]);
    expect(read).toEqual([]);
    expect(view.pools[1]?.nodes[3]?.counters.requests).toBe(13);
    expect(view.pools[1]?.nodes.length).toBe(10);
    expect(read).toEqual(['p1']);
  });
});

describe('stats', () => {
  it('tell names, states and reasons of the state', () => {
    const all = stats(source());
    expect(all.process).toEqual({ version: '1.2.3', pid: 4242, uptimeSeconds: 90 });
    expect(all.at).toBe(new Date(wall).toISOString());
    expect(all.pools[0]).toMatchObject({ name: 'app', fit: 1, total: 2, panic: false });
    expect(all.pools[0]?.nodes[1]).toMatchObject({
      id: '10.0.0.12:3000',
      verdict: 'unhealthy',
      fitness: 'unfit',
      why: '3 failed checks in a row: connect ECONNREFUSED 10.0.0.12:3000',
      check: null,
      downtimeSeconds: 4,
    });
  });

  it('add up the counters of all threads, and read the gauges', () => {
    const from = source();
    const { scoreboard: board } = from;
    const add = (thread: number, name: NodeCounter, by: number) => {
      board.counters(thread)[counterRow.node(0) + nodeCounters.indexOf(name)]! += by;
    };
    add(0, 'requests', 3);
    add(1, 'requests', 4);
    add(0, 'status2xx', 4);
    add(1, 'totalMs', 50);
    add(0, 'reused', 3);
    add(0, 'connects', 1);
    board.lines[nodeLine(0) + nodeCell.inFlight] = 6;
    board.lines[poolLine(0) + poolCell.pending] = 2;
    board.lines[threadLine(1) + threadCell.utilization] = 512;
    board.counters(0)[counterRow.listener(0) + listenerCounters.indexOf('accepted')] = 9;
    board.counters(1)[counterRow.listener(0) + listenerCounters.indexOf('closed')] = 5;
    const all = stats(from);
    const first = all.pools[0]?.nodes[0];
    expect(first).toMatchObject({ inFlight: 6, reuse: 0.75, meanTotalMs: 12.5, meanConnectMs: 0 });
    expect(first?.counters.requests).toBe(7);
    expect(all.pools[0]?.pending).toBe(2);
    expect(all.threads[1]?.utilization).toBe(0.512);
    expect(all.listeners[0]?.connections).toBe(4);
  });

  it('have percentiles in milliseconds, null where nothing was counted', () => {
    const from = source();
    const row = counterRow.nodeHistogram(0);
    from.scoreboard.counters(0)[row + bucketOf(900)] = 98;
    from.scoreboard.counters(1)[row + bucketOf(500_000)] = 2;
    const nodes = stats(from).pools[0]?.nodes;
    expect(nodes?.[0]?.latency).toEqual({ count: 100, p50Ms: 1.024, p90Ms: 1.024, p99Ms: 524.288, p999Ms: 524.288 });
    expect(nodes?.[1]?.latency).toEqual({ count: 0, p50Ms: null, p90Ms: null, p99Ms: null, p999Ms: null });
    expect(nodes?.[1]?.meanTotalMs).toBeNull();
  });

  it('name only reasons of refusal that happened', () => {
    const from = source();
    from.scoreboard.counters(1)[counterRow.refusals() + refusalReasons.indexOf('bad-host')] = 3;
    expect(stats(from).refused).toEqual({ 'bad-host': 3 });
  });

  it('tell the last reload with its problem', () => {
    const config = {
      ...state().config,
      lastReload: { ok: false, at: wall, problem: 'config.yaml:3:1: unknown key `pool`' },
    };
    expect(stats(source(state({ config }))).config.lastReload).toEqual({
      ok: false,
      at: new Date(wall).toISOString(),
      problem: 'config.yaml:3:1: unknown key `pool`',
    });
  });

  it('are plain JSON, also for an ejection without end', () => {
    const ejected = node('app', 'x', 0, { ejectedUntil: Number.POSITIVE_INFINITY, fitness: 'unfit', weight: 0 });
    const all = stats(source(state({ pools: [pool('app', 0, [ejected])] })));
    expect(JSON.parse(JSON.stringify(all))).toEqual(all);
  });
});
