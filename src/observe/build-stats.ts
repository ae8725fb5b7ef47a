/** Puts together the JSON of GET /stats (stats-model.ts says what its fields mean) from the state and the scoreboard. */
import type { Millis } from '../base/ids.ts';
import type { CheckView } from '../health/contract.ts';
import { percentile } from '../scoreboard/histogram.ts';
import { nodeCell, poolCell, type RefusalReason, threadCell } from '../scoreboard/layout.ts';
import { nodeLine, poolLine, type Scoreboard, threadLine } from '../scoreboard/scoreboard.ts';
import type { Activity } from './activity.ts';
import { listenerCounts, nodeCounts, poolCounts, refusalCounts, routeCounts, threadCounts } from './counts.ts';
import type {
  ObservedConfig,
  ObservedListener,
  ObservedNode,
  ObservedPool,
  ObservedRoute,
  ObservedState,
  ObservedThread,
} from './source.ts';
import type {
  ConfigStats,
  LatencyStats,
  ListenerStats,
  NodeStats,
  PoolStats,
  Stats,
  ThreadStats,
} from './stats-model.ts';

interface From {
  readonly board: Scoreboard;
  readonly activity: Activity;
}

export function buildStats(state: ObservedState, from: From): Stats {
  const view = viewStats(state, from);
  return { ...view, pools: view.pools.map((pool) => ({ ...pool })) };
}

/**
 * The same for who looks at once: nodes and routes may be thousands, and most who ask want few of them, so each pool's
 * nodes, and the routes, are read when they are first looked at.
 */
export function viewStats(state: ObservedState, from: From): Stats {
  let routes: Stats['routes'] | null = null;
  return {
    ...headStats(state, from),
    pools: state.pools.map((pool) => poolStats(pool, from)),
    get routes() {
      routes ??= state.routes.map((route) => routeStats(route, from));
      return routes;
    },
    refused: refused(from.board),
  };
}

/** JSON of the same in pieces, none of which is long work. The numbers are as new as the moment of their piece. */
export function* statsText(state: ObservedState, from: From): Generator<string, void> {
  yield `${unclosed(headStats(state, from))},"pools":`;
  yield* poolsText(state, from);
  yield ',"routes":';
  yield* listText(state.routes, (route) => routeStats(route, from));
  yield `,"refused":${JSON.stringify(refused(from.board))}}`;
}

/** JSON of its pools alone, a list. */
export function* poolsText({ pools }: ObservedState, from: From): Generator<string, void> {
  let before = '[';
  for (const pool of pools) {
    yield `${before}${unclosed(poolHead(pool, from))},"nodes":`;
    yield* listText(pool.nodes, (node) => nodeStats(node, from));
    before = '},';
  }
  yield pools.length === 0 ? '[]' : '}]';
}

const rowsPerPiece = 100;

function* listText<Row>(rows: readonly Row[], make: (row: Row) => object): Generator<string, void> {
  for (let from = 0; from < rows.length; from += rowsPerPiece) {
    const part = rows.slice(from, from + rowsPerPiece).map((row) => JSON.stringify(make(row)));
    yield `${from === 0 ? '[' : ','}${part.join(',')}`;
  }
  yield rows.length === 0 ? '[]' : ']';
}

const unclosed = (head: object): string => JSON.stringify(head).slice(0, -1);

function headStats(state: ObservedState, from: From): Omit<Stats, 'pools' | 'routes' | 'refused'> {
  return {
    at: iso(state.at),
    process: { version: state.version, pid: state.pid, uptimeSeconds: Math.round(state.uptime / 1000) },
    config: configStats(state.config),
    threads: state.threads.map((thread) => threadStats(thread, from.board)),
    listeners: state.listeners.map((listener) => listenerStats(listener, from)),
  };
}

function routeStats({ name, pool, slot }: ObservedRoute, { board, activity }: From): Stats['routes'][number] {
  return {
    name,
    pool,
    requestsPerSecond: tenths(activity.perSecond('route', slot)),
    counters: routeCounts(board, slot),
  };
}

/** ISO time in UTC; the largest time that there is for one beyond it (an ejection without end). */
function iso(wall: Millis): string {
  const date = new Date(Math.min(wall, 8.64e15));
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString();
}

const tenths = (value: number): number => Math.round(value * 10) / 10;
const thousandths = (value: number): number => Math.round(value * 1000) / 1000;
const mean = (sum: number, count: number): number | null => (count > 0 ? thousandths(sum / count) : null);

function configStats(config: ObservedConfig): ConfigStats {
  const last = config.lastReload;
  return {
    version: config.version,
    file: config.file,
    since: iso(config.loadedAt),
    reloadsOk: config.reloads.ok,
    reloadsFailed: config.reloads.failed,
    lastReload: last === null ? null : { ok: last.ok, at: iso(last.at), problem: last.problem },
  };
}

function threadStats(thread: ObservedThread, board: Scoreboard): ThreadStats {
  const line = threadLine(thread.thread);
  const cell = (name: keyof typeof threadCell): number => board.lines[line + threadCell[name]] ?? 0;
  return {
    thread: thread.thread,
    state: thread.state,
    restarts: thread.restarts,
    heartbeatAgeMs: Math.round(thread.heartbeatAge),
    connections: cell('connections'),
    upstreams: cell('upstreams'),
    utilization: cell('utilization') / 1000,
    exceptions: cell('exceptions'),
    configVersion: cell('snapshotVersion'),
    counters: threadCounts(board, thread.thread),
  };
}

function listenerStats(listener: ObservedListener, { board, activity }: From): ListenerStats {
  const counters = listenerCounts(board, listener.slot);
  return {
    name: listener.name,
    tls: listener.tls,
    open: listener.open,
    connections: Math.max(0, counters.accepted - counters.closed),
    requestsPerSecond: tenths(activity.perSecond('listener', listener.slot)),
    counters,
  };
}

function latencyStats(counts: Float64Array): LatencyStats {
  const count = counts.reduce((sum, one) => sum + one, 0);
  const ms = (share: number): number | null => (count === 0 ? null : thousandths(percentile(counts, share) / 1000));
  return { count, p50Ms: ms(0.5), p90Ms: ms(0.9), p99Ms: ms(0.99), p999Ms: ms(0.999) };
}

function poolStats(pool: ObservedPool, from: From): PoolStats {
  let nodes: readonly NodeStats[] | null = null;
  return {
    ...poolHead(pool, from),
    get nodes() {
      nodes ??= pool.nodes.map((node) => nodeStats(node, from));
      return nodes;
    },
  };
}

function poolHead(pool: ObservedPool, { board, activity }: From): Omit<PoolStats, 'nodes'> {
  const gauge = (name: 'active' | 'pending' | 'retrying'): number =>
    board.lines[poolLine(pool.slot) + poolCell[name]] ?? 0;
  return {
    name: pool.name,
    algorithm: pool.algorithm,
    fit: pool.health.fit,
    total: pool.health.total,
    panic: pool.health.panic,
    active: gauge('active'),
    pending: gauge('pending'),
    retrying: gauge('retrying'),
    requestsPerSecond: tenths(activity.perSecond('pool', pool.slot)),
    latency: latencyStats(activity.recent('pool', pool.slot, board)),
    counters: poolCounts(board, pool.slot),
  };
}

function nodeStats(node: ObservedNode, { board, activity }: From): NodeStats {
  const counters = nodeCounts(board, node.slot);
  const { health } = node;
  const answered = counters.status2xx + counters.status3xx + counters.status4xx + counters.status5xx;
  const carried = counters.reused + counters.connects;
  return {
    id: node.id,
    url: node.url,
    backup: node.backup,
    verdict: health.verdict,
    wish: health.wish,
    fitness: health.fitness,
    weight: node.weight,
    weightInForce: thousandths(health.weight),
    why: health.why,
    since: iso(health.changedAt),
    check: checkStats(health.check),
    ejectedUntil: health.ejectedUntil === null ? null : iso(health.ejectedUntil),
    ejections: health.ejections,
    downs: health.downs,
    downtimeSeconds: Math.round(health.downtime / 1000),
    inFlight: board.lines[nodeLine(node.slot) + nodeCell.inFlight] ?? 0,
    requestsPerSecond: tenths(activity.perSecond('node', node.slot)),
    latency: latencyStats(activity.recent('node', node.slot, board)),
    meanConnectMs: mean(counters.connectMs, counters.connects),
    meanTtfbMs: mean(counters.ttfbMs, answered),
    meanTotalMs: mean(counters.totalMs, answered),
    reuse: mean(counters.reused, carried),
    counters,
  };
}

function checkStats(check: CheckView | null): NodeStats['check'] {
  if (check === null) return null;
  return { ok: check.ok, detail: check.detail, durationMs: thousandths(check.durationMs), at: iso(check.at) };
}

function refused(board: Scoreboard): Stats['refused'] {
  const happened: Partial<Record<RefusalReason, number>> = {};
  for (const [reason, count] of Object.entries(refusalCounts(board))) {
    if (count > 0) happened[reason as RefusalReason] = count;
  }
  return happened;
}
