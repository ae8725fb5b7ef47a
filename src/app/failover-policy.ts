/**
 * From the file to what failover goes by: one policy per pool with `failover`, with a hash that members compare. What an
 * operator set by the API is agreed by all members, and counts before what their files say of a node.
 */
import { createHash } from 'node:crypto';
import type { PolicyNode, PoolPolicy } from '../cluster/failover/model.ts';
import type { Registered } from '../cluster/replica/model.ts';
import type { Config, NodeConfig, PoolConfig } from '../config/model.ts';

/** The name under which a node of a pool is registered. */
export const nodeName = (pool: string, node: string): string => JSON.stringify([pool, node]);

/** What operators set, by nodeName. */
export type NodeFacts = ReadonlyMap<string, Registered['facts']>;

export const factsOf = (registered: readonly Registered[]): NodeFacts =>
  new Map(registered.map(({ id, facts }) => [id, facts]));

export const policiesOf = (config: Config, facts: NodeFacts): readonly PoolPolicy[] =>
  config.pools.flatMap((pool) => policyOf(pool, facts) ?? []);

/** null: nobody is primary there. */
export function policyOf({ name, nodes, health, failover }: PoolConfig, facts: NodeFacts): PoolPolicy | null {
  // A pool with failover is checked: the config holds that.
  if (failover === null || health === null) return null;
  const { demote, promote, rejoin, parking: _, ...rest } = failover;
  const policy: Omit<PoolPolicy, 'hash'> = {
    ...rest,
    pool: name,
    interval: health.interval,
    timeout: health.timeout,
    hooks: { demote, promote, rejoin },
    nodes: nodes.map((node) => nodeOf(node, facts.get(nodeName(name, node.id)) ?? [])),
  };
  return { ...policy, hash: hashOf(policy) };
}

function nodeOf({ id, url, role, priority, candidate }: NodeConfig, facts: Registered['facts']): PolicyNode {
  const set = new Map(facts);
  const [wanted, rank] = [set.get('role'), Number(set.get('priority') ?? Number.NaN)];
  return {
    id,
    url,
    // Who is primary is no matter of roles once an epoch is agreed.
    role: wanted === 'replica' || wanted === 'standby' ? wanted : role,
    priority: Number.isSafeInteger(rank) ? rank : priority,
    candidate,
  };
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
