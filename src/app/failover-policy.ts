/** From the file to what failover goes by: one policy per pool with `failover`, with a hash that members compare. */
import { createHash } from 'node:crypto';
import type { PoolPolicy } from '../cluster/failover/model.ts';
import type { Config, PoolConfig } from '../config/model.ts';

export const policiesOf = (config: Config): readonly PoolPolicy[] =>
  config.pools.flatMap((pool) => policyOf(pool) ?? []);

/** null: nobody is primary there. */
export function policyOf({ name, nodes, health, failover }: PoolConfig): PoolPolicy | null {
  // A pool with failover is checked: the config holds that.
  if (failover === null || health === null) return null;
  const { demote, promote, rejoin, parking: _, ...rest } = failover;
  const policy: Omit<PoolPolicy, 'hash'> = {
    ...rest,
    pool: name,
    interval: health.interval,
    timeout: health.timeout,
    hooks: { demote, promote, rejoin },
    nodes: nodes.map(({ id, url, role, priority, candidate }) => ({ id, url, role, priority, candidate })),
  };
  return { ...policy, hash: hashOf(policy) };
}

/** The order of nodes in the file says nothing. */
function hashOf(policy: Omit<PoolPolicy, 'hash'>): string {
  const nodes = policy.nodes.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify(sorted({ ...policy, nodes })))
    .digest('hex')
    .slice(0, 16);
}

/** The same value always as the same text, in whatever order its keys were given. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
