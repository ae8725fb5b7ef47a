/** A process to be watched, made of a real scoreboard and of a state that each test may change. */
import { nodeId } from '../../src/base/ids.ts';
import type { NodeHealthView } from '../../src/health/contract.ts';
import type { ObservedCluster } from '../../src/observe/cluster-source.ts';
import type { ObservedNode, ObservedPool, ObservedState, StateSource } from '../../src/observe/source.ts';
import type { Outcome } from '../../src/proxy/outcome.ts';
import { bucketCount, bucketOf } from '../../src/scoreboard/histogram.ts';
import { Scoreboard } from '../../src/scoreboard/scoreboard.ts';

export const wall = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

export const health = (pool: string, node: string, change: Partial<NodeHealthView> = {}): NodeHealthView => ({
  pool,
  node: nodeId(node),
  verdict: 'healthy',
  wish: 'ready',
  fitness: 'fit',
  weight: 1,
  why: 'last check: 200 in 3 ms',
  changedAt: wall - 60_000,
  ejectedUntil: null,
  ejections: 0,
  check: { ok: true, detail: '200 in 3 ms', durationMs: 3.25, at: wall - 500 },
  downs: 0,
  downtime: 0,
  ...change,
});

export const node = (pool: string, id: string, slot: number, change: Partial<NodeHealthView> = {}): ObservedNode => ({
  id,
  url: `http://${id}`,
  slot,
  backup: false,
  weight: 1,
  health: health(pool, id, change),
});

export const pool = (name: string, slot: number, nodes: readonly ObservedNode[]): ObservedPool => ({
  name,
  slot,
  algorithm: 'least-connections',
  health: {
    pool: name,
    panic: false,
    fit: nodes.filter((one) => one.health.fitness === 'fit').length,
    total: nodes.length,
  },
  nodes,
});

export const state = (change: Partial<ObservedState> = {}): ObservedState => ({
  version: '1.2.3',
  pid: 4242,
  at: wall,
  uptime: 90_000,
  config: { version: 3, file: 'config.yaml', loadedAt: wall - 30_000, reloads: { ok: 2, failed: 1 }, lastReload: null },
  threads: [
    { thread: 0, state: 'running', restarts: 0, heartbeatAge: 12 },
    { thread: 1, state: 'waiting', restarts: 2, heartbeatAge: 900 },
  ],
  listeners: [{ name: '0.0.0.0:8080', slot: 0, tls: false, certificates: [], open: true }],
  pools: [
    pool('app', 0, [
      node('app', '10.0.0.11:3000', 0),
      node('app', '10.0.0.12:3000', 1, {
        verdict: 'unhealthy',
        fitness: 'unfit',
        weight: 0,
        why: '3 failed checks in a row: connect ECONNREFUSED 10.0.0.12:3000',
        check: null,
        downs: 1,
        downtime: 4000,
      }),
    ]),
  ],
  routes: [{ name: 'route-1', slot: 0, pool: 'app' }],
  cluster: null,
  failover: [],
  ...change,
});

export function observedCluster(): ObservedCluster {
  const commitTimes = new Float64Array(bucketCount);
  for (const us of [1000, 3000]) commitTimes[bucketOf(us)] = 1;
  return {
    members: new Map([
      ['LEADER', 1],
      ['ACTIVE', 2],
    ]),
    ...{ state: 'STABLE', isLeader: true, hasQuorum: true, voters: 3, term: 7 },
    ...{ commitIndex: 90, appliedIndex: 89, elections: 2, logEntries: 40, diskBytes: 65_536 },
    lags: [
      { member: 'n1', entries: 1, seconds: 0 },
      { member: 'n2', entries: 12, seconds: 1.5 },
    ],
    held: { keys: 4, bytes: 400, locks: 2, leases: 1 },
    disk: { commits: 50, persists: 80, slowestMs: 250 },
    net: {
      datagrams: { in: 1000, out: 1100 },
      connections: { in: 5000, out: 4000 },
      unsent: 3,
      dropped: { key: 5, replayed: 0 },
      refused: new Map([['amnesia', 1]]),
    },
    gossip: { suspicions: 6, refutations: 5, deaths: 1 },
    asked: {
      writes: { committed: 2, 'no-quorum': 1 },
      ...{ commitTimes, lockWaitTimes: new Float64Array(bucketCount), calls: 3, lockWaits: 1, watches: 2 },
    },
  };
}

export function source(view: ObservedState = state()): StateSource & { view: ObservedState } {
  const made = { scoreboard: Scoreboard.create(2), view, observe: () => made.view };
  return made;
}

export const outcome = (change: Partial<Outcome> = {}, headers: Readonly<Record<string, string>> = {}): Outcome => ({
  id: '0f3a-1',
  client: '10.1.2.3',
  method: 'GET',
  host: 'shop.example.com',
  target: '/cart?id=7',
  protocol: 'HTTP/1.1',
  status: 200,
  bytesIn: 0,
  bytesOut: 512,
  headOut: 112,
  durationMs: 3.4567,
  startedAt: wall,
  listener: '0.0.0.0:8080',
  route: 'route-1',
  pool: 'app',
  node: '10.0.0.11:3000',
  connectMs: -1,
  ttfbMs: 3.1,
  tries: 1,
  epoch: 0,
  end: 'ok',
  header: (name) => headers[name],
  ...change,
});
