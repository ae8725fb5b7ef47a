/** What a reload changes, in words for the log: `pool app: node 10.0.0.12:3000 added, balance`. */
import { sameData } from '../base/equal.ts';
import type { Config, NodeConfig, PoolConfig } from '../config/model.ts';

type Named = { readonly name: string };

/** Changes of nodes that are told one by one. */
const nodesTold = 10;

/** One phrase per thing that differs; empty if nothing does. */
export function describeChanges(from: Config, to: Config): string[] {
  return [
    ...named('listener', from.listen, to.listen),
    ...named('pool', from.pools, to.pools, poolChanges),
    ...named('route', from.routes, to.routes),
    ...routeOrder(from, to),
    ...fields(from, to, ['listen', 'pools', 'routes']),
  ];
}

/**
 * What can't be changed while the process runs: whom it is in the cluster, and where it remembers that. One line each.
 * Its keys can, and what it only tells the others.
 */
export function needsRestart(from: Config, to: Config): string[] {
  const [before, after] = [from.cluster, to.cluster];
  const restart = 'restart the process for that, or set it back';
  const keeps = ({ pools }: Config): boolean => pools.some(({ failover }) => failover !== null);
  if (before === null && after === null) {
    const moved = from.dataDir !== to.dataDir && keeps(from) && keeps(to);
    return moved ? [`dataDir was changed: ${restart}`] : [];
  }
  if (before === null) return [`cluster was added: ${restart}`];
  if (after === null) return [`cluster was removed: ${restart}`];
  const keys = fields(before, after, ['key', 'zone']).map((key) => `cluster.${key}`);
  // With the first key, or without the last, a member would be alone at once.
  if ((before.key.length === 0) !== (after.key.length === 0)) keys.push('cluster.key');
  if (from.dataDir !== to.dataDir) keys.push('dataDir');
  return keys.map((key) => `${key} was changed: ${restart}`);
}

function named<T extends Named>(
  what: string,
  from: readonly T[],
  to: readonly T[],
  detail: (from: T, to: T) => string[] = () => [],
): string[] {
  const before = new Map(from.map((one) => [one.name, one]));
  const after = new Set(to.map(({ name }) => name));
  const changes: string[] = [];
  for (const one of to) {
    const old = before.get(one.name);
    if (old === undefined) changes.push(`${what} ${one.name} added`);
    else if (!sameData(old, one)) changes.push(`${what} ${one.name}: ${detail(old, one).join(', ') || 'changed'}`);
  }
  for (const { name } of from) if (!after.has(name)) changes.push(`${what} ${name} removed`);
  return changes;
}

function poolChanges(from: PoolConfig, to: PoolConfig): string[] {
  const withName = (node: NodeConfig): NodeConfig & Named => ({ ...node, name: node.id });
  const all = named('node', from.nodes.map(withName), to.nodes.map(withName));
  const nodes = all.length > nodesTold ? [`${all.length} nodes added, changed or removed`] : all;
  const order = nodes.length === 0 && !sameData(from.nodes, to.nodes) ? ['order of nodes'] : [];
  return [...nodes, ...order, ...fields(from, to, ['name', 'nodes'])];
}

function routeOrder(from: Config, to: Config): string[] {
  const names = (config: Config): string[] => config.routes.map(({ name }) => name);
  const sameNames = sameData(names(from).sort(), names(to).sort());
  return sameNames && !sameData(names(from), names(to)) ? ['order of routes'] : [];
}

/** Names of the top-level keys that differ. */
function fields<T extends object>(from: T, to: T, except: readonly (keyof T)[]): string[] {
  const keys = Object.keys(to) as (keyof T & string)[];
  return keys.filter((key) => !except.includes(key) && !sameData(from[key], to[key]));
}
