/** Draft -> Config of what a pool with `failover` has. */
import type { NodeDraft, PoolRest } from './draft.ts';
import type { FailoverConfig, HookConfig, ReadYourWritesConfig, SplitConfig } from './model.ts';

type FailoverDraft = NonNullable<PoolRest['failover']>;
type SplitDraft = NonNullable<PoolRest['split']>;
type HookDraft = FailoverDraft['promote'];

export function buildFailover({ promote, demote, rejoin, ...rest }: FailoverDraft): FailoverConfig {
  return { ...rest, demote: buildHook(demote), promote: buildHook(promote), rejoin: buildHook(rejoin) };
}

function buildHook(hook: HookDraft): HookConfig | null {
  if (hook === undefined) return null;
  const { post, exec, timeout } = hook;
  return post === undefined ? { kind: 'exec', argv: exec ?? [], timeout } : { kind: 'post', url: post, timeout };
}

const ownReads: SplitDraft['readYourWrites'] = {
  mode: 'session',
  via: 'cookie',
  name: undefined,
  wait: 500,
  bound: 5000,
};

/** Without `split` nobody reads anything old: all goes to the primary, and tokens have no use. */
export function buildSplit(split: SplitDraft | undefined): SplitConfig {
  if (split === undefined) {
    const readYourWrites = buildOwnReads({ ...ownReads, mode: 'off' });
    return { writes: 'primary', reads: ['primary'], maxLag: null, minReplicas: 0, stale: 0, readYourWrites };
  }
  return { ...split, readYourWrites: buildOwnReads(split.readYourWrites) };
}

function buildOwnReads({ name, via, ...rest }: SplitDraft['readYourWrites']): ReadYourWritesConfig {
  return { ...rest, via, name: name ?? (via === 'cookie' ? 'ek-after' : 'X-HA-Token') };
}

/** Where no node is named primary, the first of the highest priority is that one, of those whose role is left open. */
export function rolesOf(nodes: readonly NodeDraft[], hasPrimary: boolean): readonly NodeDraft[] {
  if (!hasPrimary || nodes.some(({ role }) => role === 'primary')) return nodes;
  const open = nodes.filter(({ role, candidate }) => role === undefined && candidate);
  const first = open.reduce<NodeDraft | null>(
    (best, one) => (best && best.priority >= one.priority ? best : one),
    null,
  );
  return nodes.map((node) => (node === first ? { ...node, role: 'primary' } : node));
}
