/**
 * What a reload may not do to a pool with failover: take its primary away, or the node that is just becoming it, or take
 * traffic off it while it is primary. One line each, with the way out; empty if all stays where it is.
 */
import type { PoolRecord, Target } from '../cluster/failover/model.ts';
import type { Config, PoolConfig } from '../config/model.ts';
import type { Failover } from './failover.ts';

export function primaryKept(failover: Pick<Failover, 'status'> | null, from: Config, to: Config): string[] {
  if (failover === null) return [];
  const before = from.pools.filter((pool) => pool.failover !== null);
  return before.flatMap(({ name, nodes }) => {
    const record = failover.status(name)?.record ?? null;
    const after = to.pools.find((pool) => pool.name === name);
    // A pool that is gone as a whole takes its requests with it.
    if (record === null || after === undefined) return [];
    return [...lossesOf(record, after), ...drained(record, { before: nodes, after })];
  });
}

/** As the API: another one becomes primary before a primary is taken out. */
function drained(
  { phase, target }: PoolRecord,
  { before, after }: { readonly before: PoolConfig['nodes']; readonly after: PoolConfig },
): string[] {
  if ((phase !== 'open' && phase !== 'pending') || target === null) return [];
  const wishIn = (nodes: PoolConfig['nodes']): string => nodes.find(({ id }) => id === target.node)?.wish ?? 'ready';
  const wish = wishIn(after.nodes);
  if (wish === 'ready' || wish === wishIn(before)) return [];
  const what = phase === 'open' ? 'is the primary' : 'is just becoming primary';
  return [
    `pool ${after.name}: node ${target.node} ${what}, and shall have wish ${wish}: evenkeel failover switch ${after.name}, then reload`,
  ];
}

function lossesOf(record: PoolRecord, { name, failover, nodes }: PoolConfig): string[] {
  if (failover === null)
    return [`pool ${name} has epoch ${record.epoch}, and would write to all its nodes: restart the process for that`];
  // Nobody writes to them; another file may be the way out.
  if (record.phase === 'failed' || record.phase === 'undecided') return [];
  const held: Target[] = record.target === null ? [] : [record.target];
  if (record.phase === 'pending' && record.last !== null) held.push(record.last.target);
  return held.flatMap(({ node, url }) => {
    const found = nodes.find(({ id }) => id === node);
    if (found?.url === url) return [];
    const what = found === undefined ? 'is not in the new config' : `has another url in the new config, ${found.url}`;
    const place = record.phase === 'open' ? 'is the primary' : 'takes part in a change of primary';
    return [`pool ${name}: node ${node} at ${url} ${place} and ${what}: evenkeel failover switch ${name}, then reload`];
  });
}
