/** The files of the members of a world: one policy for all, but for those that a fault gave another. */
import type { HookHow, PoolPolicy } from '../../../src/cluster/failover/model.ts';
import type { AppNode, Style } from './nodes.ts';
import { pool } from './unit.ts';

/** What a seed decides about its world. */
export interface Kind {
  readonly members: 1 | 3 | 5;
  readonly nodes: 2 | 3;
  readonly style: Style;
  /** Only nodes fail; members, and what is between them, are well. */
  readonly onlyNodes: boolean;
  readonly mode: PoolPolicy['mode'];
  readonly withoutQuorum: PoolPolicy['withoutQuorum'];
  readonly failback: PoolPolicy['failback'];
  readonly verify: boolean;
}

const post = (url: string): HookHow => ({ kind: 'post', url, timeout: 3000 });

export function filePolicy(
  kind: Kind,
  file: {
    readonly nodes: readonly AppNode[];
    readonly moved: (node: string) => boolean;
    readonly other: boolean;
  },
): PoolPolicy {
  const hooks = kind.style === 'before' || kind.style === 'silent';
  const { mode, withoutQuorum, failback, verify } = kind;
  return {
    ...{ pool, mode, withoutQuorum, failback, verify },
    interval: 800,
    timeout: 400,
    failureThreshold: file.other ? 2 : 3,
    recoveryWait: 2500,
    maxAttempts: 3,
    retryAfter: 3000,
    minInterval: 500,
    maxLag: kind.style === 'shared' || kind.style === 'silent' ? null : 0,
    switchTimeout: 1500,
    hooks: {
      promote: hooks ? post('/promote') : null,
      demote: hooks ? post('/demote') : null,
      rejoin: kind.style === 'before' ? post('/rejoin') : null,
    },
    nodes: file.nodes.map(({ id, url }) => ({
      id,
      url: file.moved(id) ? `http://elsewhere-${id}:3000` : url,
      role: id === 'a' ? ('primary' as const) : ('replica' as const),
      priority: id === 'c' ? 50 : 100,
      candidate: true,
    })),
    hash: file.other ? 'another' : 'one',
  };
}
