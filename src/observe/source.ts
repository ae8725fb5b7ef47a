/**
 * What the rooms that watch (metrics, stats, admin) need to know of the rest of the process. Compose implements it.
 *
 *   compose: StateSource { scoreboard, observe() } --> metrics.ts, stats.ts, rates.ts --> /metrics, /stats
 *
 * `observe()` is called at each scrape and once a second by the sampler; it gives names, slots and states as plain data
 * of this instant. The numbers themselves are read from the scoreboard by slot, so that nothing is counted twice.
 */
import type { Millis } from '../base/ids.ts';
import type { NodeHealthView, PoolHealthView } from '../health/contract.ts';
import type { Scoreboard } from '../scoreboard/scoreboard.ts';
import type { ObservedCluster } from './cluster-source.ts';
import type { ObservedFailover } from './failover-source.ts';

export interface StateSource {
  readonly scoreboard: Scoreboard;
  observe(): ObservedState;
}

export interface ObservedState {
  /** evenkeel's own version, as in package.json. */
  readonly version: string;
  readonly pid: number;
  /** Wall time of this view, ms. */
  readonly at: Millis;
  readonly uptime: Millis;
  readonly config: ObservedConfig;
  readonly threads: readonly ObservedThread[];
  readonly listeners: readonly ObservedListener[];
  readonly pools: readonly ObservedPool[];
  readonly routes: readonly ObservedRoute[];
  /** null: the process is a member of no cluster. */
  readonly cluster: ObservedCluster | null;
  /** Pools with failover; empty while what is agreed on is not read yet. */
  readonly failover: readonly ObservedFailover[];
}

export interface ObservedConfig {
  /** Version of the snapshot in force; grows by one with each reload that was taken. */
  readonly version: number;
  /** File it came from; null when it was made of command-line arguments. */
  readonly file: string | null;
  /** Wall time at which the config in force was taken, ms. */
  readonly loadedAt: Millis;
  /** Reloads since the start, the first load left out. */
  readonly reloads: { readonly ok: number; readonly failed: number };
  /** The last reload; null if there was none. `problem` is one line for humans, null if it was taken. */
  readonly lastReload: { readonly ok: boolean; readonly at: Millis; readonly problem: string | null } | null;
}

export type ThreadState = 'starting' | 'running' | 'draining' | 'waiting' | 'stopped';

export interface ObservedThread {
  /** Row in the scoreboard. */
  readonly thread: number;
  /** `waiting`: it died and is to be started again after a pause. */
  readonly state: ThreadState;
  readonly restarts: number;
  /** Since its heartbeat last moved, ms. */
  readonly heartbeatAge: Millis;
}

export interface ObservedListener {
  readonly name: string;
  readonly slot: number;
  readonly tls: boolean;
  /** Names are unique in a listener. `expiresAt`: wall time, ms. */
  readonly certificates: readonly { readonly name: string; readonly expiresAt: Millis }[];
  /** Every data thread that runs listens on it. */
  readonly open: boolean;
}

export interface ObservedPool {
  readonly name: string;
  readonly slot: number;
  readonly algorithm: string;
  readonly health: PoolHealthView;
  readonly nodes: readonly ObservedNode[];
}

export interface ObservedNode {
  readonly id: string;
  readonly url: string;
  readonly slot: number;
  readonly backup: boolean;
  /** As configured. The weight in force is in `health`. */
  readonly weight: number;
  readonly health: NodeHealthView;
}

export interface ObservedRoute {
  readonly name: string;
  readonly slot: number;
  /** null for a redirect. */
  readonly pool: string | null;
}
