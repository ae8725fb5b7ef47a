/** Is the process ready for traffic, and if not, why. Told by GET /readyz and GET /health. */
import type { Stats } from '../observe/stats-model.ts';
import type { ReadinessFacts } from './actions.ts';

export interface Readiness {
  readonly status: 'ready' | 'not-ready';
  /** Each a sentence; empty if ready. */
  readonly reasons: readonly string[];
  /** What is wrong all the same, and keeps no traffic away; left out if nothing is. */
  readonly warnings?: readonly string[];
}

export function readinessOf(facts: ReadinessFacts): Readiness {
  const reasons: string[] = [];
  if (!facts.configLoaded) reasons.push('no config has been loaded');
  for (const { name, open, problem } of facts.listeners) {
    if (!open) reasons.push(`listener ${name} is not open${problem === null ? '' : `: ${problem}`}`);
  }
  if (!facts.firstHealthRound) reasons.push('the first health checks are not complete');
  if (facts.draining) reasons.push('draining: the process is about to end');
  const { warnings = [] } = facts;
  const status = reasons.length === 0 ? 'ready' : 'not-ready';
  return { status, reasons, ...(warnings.length > 0 && { warnings }) };
}

export interface Health {
  /** `degraded`: it serves, but a pool has nodes that are not fit, or the last reload failed. */
  readonly status: 'ok' | 'degraded' | 'not-ready';
  readonly reasons: readonly string[];
  readonly warnings: readonly string[];
  readonly pools: readonly { readonly name: string; readonly fit: number; readonly total: number }[];
}

/** Nodes that are down make no process unready: a balancer in front of it would find the same nodes down elsewhere. */
export function healthOf(facts: ReadinessFacts, stats: Stats): Health {
  const { status, reasons, warnings: own = [] } = readinessOf(facts);
  const warnings = [...own, ...stats.pools.flatMap(poolWarnings), ...threadWarnings(stats)];
  if (stats.config.lastReload?.ok === false) warnings.push('the last reload failed, the old config is in force');
  return {
    status: status === 'not-ready' ? status : warnings.length > 0 ? 'degraded' : 'ok',
    reasons,
    warnings,
    pools: stats.pools.map(({ name, fit, total }) => ({ name, fit, total })),
  };
}

function poolWarnings({ name, fit, total, panic }: Stats['pools'][number]): string[] {
  if (panic) return [`pool ${name}: ${fit} of ${total} nodes are fit, so few that all are used`];
  return fit < total ? [`pool ${name}: ${fit} of ${total} nodes are fit`] : [];
}

function threadWarnings({ threads }: Stats): string[] {
  const down = threads.filter(({ state }) => state === 'waiting' || state === 'stopped').length;
  return down === 0 ? [] : [`${down} of ${threads.length} data threads are down`];
}
