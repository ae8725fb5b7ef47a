/** The files of the members of a world: one policy of a pool for all, but for those that a fault gave another. */
import type { HookHow, PoolPolicy } from '../../../src/cluster/failover/model.ts';
import type { Style } from './nodes.ts';

/** What a seed decides about a pool. */
export interface PoolKind {
  readonly nodes: 2 | 3;
  readonly style: Style;
  readonly mode: PoolPolicy['mode'];
  readonly withoutQuorum: PoolPolicy['withoutQuorum'];
  readonly failback: PoolPolicy['failback'];
  readonly verify: boolean;
  /** Positions that a candidate may be behind; where nodes tell any. */
  readonly maxLag: number;
  /** Its nodes come from an earlier cluster, and know its epochs. */
  readonly former: boolean;
}

/** And about its world. */
export interface Kind extends PoolKind {
  readonly members: 1 | 2 | 3 | 5;
  /** One more, that comes and goes. */
  readonly spare: boolean;
  /** The third of three carries no traffic. */
  readonly witness: boolean;
  /** Only nodes fail; members, and what is between them, are well. */
  readonly onlyNodes: boolean;
  /** Another pool beside it, with a policy of its own. */
  readonly second: PoolKind | null;
}

/** One node, as a file has it. */
export interface Row {
  readonly id: string;
  readonly url: string;
}

export const recoveryWaitMs = 2500;

const post = (url: string): HookHow => ({ kind: 'post', url, timeout: 3000 });

export function filePolicy(
  pool: string,
  kind: PoolKind,
  file: {
    readonly rows: readonly Row[];
    readonly version: number;
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
    recoveryWait: recoveryWaitMs,
    maxAttempts: 3,
    retryAfter: 3000,
    minInterval: 1500,
    maxLag: kind.style === 'shared' || kind.style === 'silent' ? null : kind.maxLag,
    switchTimeout: 1500,
    hooks: {
      promote: hooks ? post('/promote') : null,
      demote: hooks ? post('/demote') : null,
      rejoin: kind.style === 'before' ? post('/rejoin') : null,
    },
    // Whoever takes another's row takes its place.
    nodes: file.rows.map(({ id, url }, place) => ({
      id,
      url: file.moved(id) ? `http://elsewhere-${id}:3000` : url,
      role: place === 0 ? ('primary' as const) : ('replica' as const),
      priority: place === 2 ? 50 : 100,
      candidate: true,
    })),
    hash: `${file.version}${file.other ? ' another' : ''}`,
  };
}
