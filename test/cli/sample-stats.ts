/** A /stats answer of a healthy process with one pool, and ways to change it. */
import type { NodeStats, PoolStats, Stats } from '../../src/observe/stats-model.ts';
import {
  listenerCounters,
  nodeCounters,
  poolCounters,
  routeCounters,
  threadCounters,
} from '../../src/scoreboard/layout.ts';

const zeros = <Name extends string>(names: readonly Name[]): Record<Name, number> =>
  Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;

const at = '2026-01-01T00:00:00.000Z';
const latency = { count: 100, p50Ms: 2, p90Ms: 3.5, p99Ms: 12, p999Ms: 30 };

export const nodeStats = (changes: Partial<NodeStats> = {}): NodeStats => ({
  id: '127.0.0.1:3001',
  url: 'http://127.0.0.1:3001',
  backup: false,
  verdict: 'healthy',
  wish: 'ready',
  fitness: 'fit',
  weight: 1,
  weightInForce: 1,
  why: '200 in 3 ms',
  since: at,
  check: { ok: true, detail: '200 in 3 ms', durationMs: 3, at },
  ejectedUntil: null,
  ejections: 0,
  downs: 0,
  downtimeSeconds: 0,
  inFlight: 4,
  requestsPerSecond: 12.5,
  latency,
  meanConnectMs: 0.4,
  meanTtfbMs: 1.9,
  meanTotalMs: 2.2,
  reuse: 0.98,
  counters: zeros(nodeCounters),
  ...changes,
});

export const poolStats = (changes: Partial<PoolStats> = {}): PoolStats => ({
  name: 'app',
  algorithm: 'least-connections',
  fit: 1,
  total: 1,
  panic: false,
  active: 4,
  pending: 0,
  retrying: 0,
  requestsPerSecond: 12.5,
  latency,
  counters: zeros(poolCounters),
  nodes: [nodeStats()],
  ...changes,
});

export const sampleStats = (changes: Partial<Stats> = {}): Stats => ({
  at,
  process: { version: '0.1.0', pid: 42, uptimeSeconds: 3700 },
  config: { version: 1, file: 'config.yaml', since: at, reloadsOk: 0, reloadsFailed: 0, lastReload: null },
  threads: [
    {
      thread: 0,
      state: 'running',
      restarts: 0,
      heartbeatAgeMs: 12,
      connections: 3,
      upstreams: 2,
      utilization: 0.1,
      exceptions: 0,
      configVersion: 1,
      counters: zeros(threadCounters),
    },
  ],
  listeners: [
    {
      name: '0.0.0.0:8080',
      tls: false,
      open: true,
      connections: 3,
      requestsPerSecond: 12.5,
      counters: zeros(listenerCounters),
    },
  ],
  pools: [poolStats()],
  routes: [{ name: 'app', pool: 'app', requestsPerSecond: 12.5, counters: zeros(routeCounters) }],
  refused: {},
  ...changes,
});
