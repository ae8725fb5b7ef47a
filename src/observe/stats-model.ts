/**
 * The JSON of GET /stats, and what `evenkeel status` draws. Every name says its unit: `...Ms` is milliseconds,
 * `...PerSecond` a rate over the last ten seconds, `at` and `since` are ISO times in UTC. Counters count since the
 * process began (or since the pool, node or route came into the config). null = not known, or nothing to tell.
 * Fields are only ever added: a reader may rely on those that are here.
 */
import type { Verdict, Wish } from '../base/node-state.ts';
import type { Fitness } from '../health/contract.ts';
import type {
  ListenerCounter,
  NodeCounter,
  PoolCounter,
  RefusalReason,
  RouteCounter,
  ThreadCounter,
} from '../scoreboard/layout.ts';
import type { ThreadState } from './source.ts';

export interface Stats {
  readonly at: string;
  readonly process: ProcessStats;
  readonly config: ConfigStats;
  readonly threads: readonly ThreadStats[];
  readonly listeners: readonly ListenerStats[];
  readonly pools: readonly PoolStats[];
  readonly routes: readonly RouteStats[];
  /** Requests refused before they were routed, by reason; reasons that never happened are left out. */
  readonly refused: Readonly<Partial<Record<RefusalReason, number>>>;
}

export interface ProcessStats {
  readonly version: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
}

export interface ConfigStats {
  readonly version: number;
  readonly file: string | null;
  readonly since: string;
  readonly reloadsOk: number;
  readonly reloadsFailed: number;
  readonly lastReload: { readonly ok: boolean; readonly at: string; readonly problem: string | null } | null;
}

export interface ThreadStats {
  readonly thread: number;
  readonly state: ThreadState;
  readonly restarts: number;
  readonly heartbeatAgeMs: number;
  readonly connections: number;
  /** Connections to nodes, idle and busy. */
  readonly upstreams: number;
  /** Share of the last second in which the event loop was busy, 0 to 1. */
  readonly utilization: number;
  /** Exceptions caught since the thread began. */
  readonly exceptions: number;
  /** Config version that new requests are routed by. */
  readonly configVersion: number;
  readonly counters: Readonly<Record<ThreadCounter, number>>;
}

export interface ListenerStats {
  readonly name: string;
  readonly tls: boolean;
  readonly open: boolean;
  /** Open client connections. */
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly counters: Readonly<Record<ListenerCounter, number>>;
}

/** Of the last 30 to 60 seconds; null where nothing was counted. Rounded up to a bucket, at most 25 % too high. */
export interface LatencyStats {
  readonly count: number;
  readonly p50Ms: number | null;
  readonly p90Ms: number | null;
  readonly p99Ms: number | null;
  readonly p999Ms: number | null;
}

export interface PoolStats {
  readonly name: string;
  readonly algorithm: string;
  readonly fit: number;
  readonly total: number;
  /** All nodes are used because too few are fit. */
  readonly panic: boolean;
  /** Requests that hold or wait for a node now. */
  readonly active: number;
  /** Requests that wait because every node is full. */
  readonly pending: number;
  /** Retries under way that count against the budget. */
  readonly retrying: number;
  readonly requestsPerSecond: number;
  readonly latency: LatencyStats;
  readonly counters: Readonly<Record<PoolCounter, number>>;
  readonly nodes: readonly NodeStats[];
}

export interface NodeStats {
  readonly id: string;
  readonly url: string;
  readonly backup: boolean;
  readonly verdict: Verdict;
  readonly wish: Wish;
  readonly fitness: Fitness;
  readonly weight: number;
  /** Weight in force: scaled by slow start and the node's own answer, 0 if unfit. */
  readonly weightInForce: number;
  /** Why it is fit or not, one sentence. */
  readonly why: string;
  readonly since: string;
  readonly check: {
    readonly ok: boolean;
    readonly detail: string;
    readonly durationMs: number;
    readonly at: string;
  } | null;
  readonly ejectedUntil: string | null;
  readonly ejections: number;
  readonly downs: number;
  readonly downtimeSeconds: number;
  readonly inFlight: number;
  readonly requestsPerSecond: number;
  readonly latency: LatencyStats;
  /** Mean over all requests, ms. */
  readonly meanConnectMs: number | null;
  readonly meanTtfbMs: number | null;
  readonly meanTotalMs: number | null;
  /** Share of requests that went over a kept connection, 0 to 1. */
  readonly reuse: number | null;
  readonly counters: Readonly<Record<NodeCounter, number>>;
}

export interface RouteStats {
  readonly name: string;
  /** null for a redirect. */
  readonly pool: string | null;
  readonly requestsPerSecond: number;
  readonly counters: Readonly<Record<RouteCounter, number>>;
}
