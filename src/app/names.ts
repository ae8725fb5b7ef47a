/** Names of nodes that cannot be resolved: a line each at start and reload. Not fatal, since the name may come later. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Config } from '../config/model.ts';

/** One line per name that cannot be resolved, with the nodes that have it. */
export async function unresolvedNames(config: Config): Promise<string[]> {
  const nodesOf = new Map<string, string[]>();
  for (const pool of config.pools) {
    for (const { id, address } of pool.nodes) {
      if (address.kind !== 'tcp' || isIP(address.host.replace(/^\[|\]$/g, '')) !== 0) continue;
      nodesOf.set(address.host, [...(nodesOf.get(address.host) ?? []), `${pool.name}/${id}`]);
    }
  }
  const lines = await Promise.all([...nodesOf].map(([host, nodes]) => problemOf(host, nodes)));
  return lines.filter((line) => line !== null);
}

async function problemOf(host: string, nodes: readonly string[]): Promise<string | null> {
  try {
    await lookup(host);
    return null;
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    const who = nodes.length === 1 ? `node ${nodes[0]} gets` : `nodes ${nodes.join(', ')} get`;
    return `the name ${host} cannot be resolved (${code}): ${who} no traffic until it can; correct the url, or the DNS`;
  }
}
