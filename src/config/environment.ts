/**
 * Variables that stand for keys by their own names, whether or not the file mentions them:
 *
 *   STATE_DIRECTORY       dataDir, if the file has none (systemd sets it)
 *   CLUSTER_NODE_ID, CLUSTER_ADDRESS, CLUSTER_PORT, CLUSTER_SEED_NODES, CLUSTER_NODE_PRIORITY, CLUSTER_EXPECT,
 *   CLUSTER_ZONE, CLUSTER_MODE, CLUSTER_WITNESS
 *                         override their keys of a `cluster:` that the file has; without one they mean nothing
 *   FAILOVER_MODE, FAILOVER_FAILURE_THRESHOLD, FAILOVER_RECOVERY_WAIT, FAILOVER_MAX_ATTEMPTS
 *                         the same for each pool's `failover:`
 *
 * They become part of the tree, before any schema sees it: so they are checked, and printed with where they came from,
 * like all that was written. An empty variable counts as one that is not set.
 */
import { clusterPort, splitAddress } from './cluster-words.ts';
import { type Env, typed } from './expand.ts';
import { at, type ListTree, type MapTree, type Mark, type ScalarTree, type Tree } from './tree.ts';

export function withEnvironment(tree: Tree, env: Env): Tree {
  if (tree.kind !== 'map') return tree;
  const values: Record<string, Tree> = {};
  const folder = given(env, 'STATE_DIRECTORY')?.split(':')[0];
  if (folder !== undefined && !tree.entries.has('dataDir')) {
    values['dataDir'] = scalar(folder, ['STATE_DIRECTORY'], tree.mark);
  }
  const cluster = tree.entries.get('cluster')?.value;
  if (cluster !== undefined) values['cluster'] = withCluster(cluster, env);
  const pools = tree.entries.get('pools')?.value;
  if (pools?.kind === 'map') values['pools'] = withFailover(pools, env);
  const whole = withEntries(tree, values);
  return given(env, 'CLUSTER_WITNESS') === 'true' && cluster !== undefined ? asWitness(whole) : whole;
}

/** A file that says how to carry traffic, for a member that is told from outside to carry none. */
function asWitness(tree: MapTree): MapTree {
  const entries = new Map(tree.entries);
  for (const key of ['listen', 'routes']) entries.delete(key);
  const pools = entries.get('pools');
  if (pools?.value.kind !== 'map') return { ...tree, entries };
  const watched = [...pools.value.entries].filter(([, { value }]) => {
    const failover = at(value, ['failover']);
    return failover !== null && !isOff(failover);
  });
  if (watched.length === 0) entries.delete('pools');
  else entries.set('pools', { ...pools, value: { ...pools.value, entries: new Map(watched) } });
  return { ...tree, entries };
}

const failoverKeys = {
  mode: 'FAILOVER_MODE',
  failureThreshold: 'FAILOVER_FAILURE_THRESHOLD',
  recoveryWait: 'FAILOVER_RECOVERY_WAIT',
  maxAttempts: 'FAILOVER_MAX_ATTEMPTS',
} as const;

function withFailover(pools: MapTree, env: Env): MapTree {
  const changed: Record<string, Tree> = {};
  for (const [name, { value: pool }] of pools.entries) {
    const failover = pool.kind === 'map' ? pool.entries.get('failover')?.value : undefined;
    if (pool.kind !== 'map' || failover === undefined || isOff(failover)) continue;
    const { mark } = failover;
    const values: Record<string, Tree> = {};
    for (const [key, variable] of Object.entries(failoverKeys)) {
      const text = given(env, variable);
      if (text !== undefined) values[key] = scalar(text, [variable], mark);
    }
    if (Object.keys(values).length === 0) continue;
    // A mode alone is the short form of a map that holds it.
    const isEmpty = failover.kind === 'scalar' && failover.value === null;
    const short = new Map(isEmpty ? [] : [['mode', { key: mark, value: failover }]]);
    const map: MapTree = failover.kind === 'map' ? failover : { kind: 'map', mark, entries: short };
    changed[name] = withEntries(pool, { failover: withEntries(map, values) });
  }
  return withEntries(pools, changed);
}

/** Nothing to override, or nothing that could be read. */
const isOff = (tree: Tree): boolean =>
  tree.kind === 'list' ||
  (tree.kind === 'scalar' && (tree.value === 'off' || tree.value === false || tree.broken === true));

function withCluster(cluster: Tree, env: Env): Tree {
  const isEmpty = cluster.kind === 'scalar' && cluster.value === null && cluster.broken !== true;
  if (cluster.kind !== 'map' && !isEmpty) return cluster;
  const { mark } = cluster;
  const values: Record<string, Tree> = {};
  const put = (key: string, name: string): void => {
    const text = given(env, name);
    if (text !== undefined) values[key] = scalar(text, [name], mark);
  };
  put('member', 'CLUSTER_NODE_ID');
  put('priority', 'CLUSTER_NODE_PRIORITY');
  put('expect', 'CLUSTER_EXPECT');
  put('zone', 'CLUSTER_ZONE');
  put('mode', 'CLUSTER_MODE');
  put('witness', 'CLUSTER_WITNESS');
  const address = addressFrom(cluster, env);
  if (address !== null) values['address'] = address;
  const seeds = given(env, 'CLUSTER_SEED_NODES');
  if (seeds !== undefined) values['seeds'] = seedsFrom(seeds, mark);
  if (Object.keys(values).length === 0) return cluster;
  return withEntries(cluster.kind === 'map' ? cluster : { kind: 'map', mark, entries: new Map() }, values);
}

/** Either variable alone changes its half of the address. */
function addressFrom(cluster: Tree, env: Env): ScalarTree | null {
  const host = given(env, 'CLUSTER_ADDRESS');
  const port = given(env, 'CLUSTER_PORT');
  if (host === undefined && port === undefined) return null;
  const written = at(cluster, ['address']);
  const before = splitAddress(written?.kind === 'scalar' ? String(written.value ?? '') : '');
  const named = host === undefined ? before : splitAddress(host);
  const text = `${named.host}:${port ?? named.port ?? before.port ?? clusterPort}`;
  const names = [...(host === undefined ? [] : ['CLUSTER_ADDRESS']), ...(port === undefined ? [] : ['CLUSTER_PORT'])];
  return scalar(text, names, cluster.mark);
}

function seedsFrom(text: string, mark: Mark): ListTree {
  const seeds = text.split(/[\s,]+/).filter((one) => one !== '');
  return { kind: 'list', mark, items: seeds.map((seed) => scalar(seed, ['CLUSTER_SEED_NODES'], mark)) };
}

const given = (env: Env, name: string): string | undefined =>
  Object.hasOwn(env, name) && env[name] !== '' ? env[name] : undefined;

const scalar = (text: string, variables: readonly string[], mark: Mark): ScalarTree => ({
  kind: 'scalar',
  mark,
  value: typed(text),
  written: text,
  variables,
  fromEnv: true,
});

function withEntries(map: MapTree, values: Readonly<Record<string, Tree>>): MapTree {
  const entries = new Map(map.entries);
  for (const [key, value] of Object.entries(values)) {
    entries.set(key, { key: map.entries.get(key)?.key ?? value.mark, value });
  }
  return { ...map, entries };
}
