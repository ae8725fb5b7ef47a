/**
 * `preset:` fills in what the file and the environment leave open in `cluster` and in each pool's `health` and `failover`.
 *
 *   development       one member alone; trouble is seen soon
 *   simple-failover   two members and a witness
 *   full-ha           three members
 *   distributed       five members or more, over zones whose networks may be slow
 *
 * It becomes part of the tree, as the environment does, so that it is held to the same schema, and printed with where it
 * came from. It makes no section: without `cluster:` there is no cluster, and `health: off` stays off.
 */
import { typed } from './expand.ts';
import { at, type MapTree, type Mark, type ScalarTree, type Tree } from './tree.ts';

export const presets = ['development', 'simple-failover', 'full-ha', 'distributed'] as const;
export type Preset = (typeof presets)[number];

type Values = Readonly<Record<string, string>>;

interface Defaults {
  readonly cluster: Values;
  readonly health: Values;
  readonly failover: Values;
}

export const presetDefaults: Readonly<Record<Preset, Defaults>> = {
  development: {
    cluster: { expect: '1' },
    health: { interval: '500ms', timeout: '500ms', fall: '2', rise: '1' },
    failover: { failureThreshold: '2', recoveryWait: '5s' },
  },
  'simple-failover': {
    cluster: { expect: '3' },
    health: { interval: '1s', timeout: '1s', fall: '3', rise: '2' },
    failover: {},
  },
  'full-ha': {
    cluster: { expect: '3' },
    health: { interval: '1s', timeout: '1s', fall: '3', rise: '2' },
    failover: {},
  },
  distributed: {
    cluster: { expect: '5' },
    health: { interval: '1s', timeout: '1500ms', fall: '3', rise: '3' },
    failover: {},
  },
};

export function withPreset(tree: Tree): Tree {
  const given = at(tree, ['preset']);
  const name = presets.find((one) => given?.kind === 'scalar' && given.value === one);
  if (tree.kind !== 'map' || name === undefined) return tree;
  const from: From = { name, mark: given!.mark };
  const defaults = presetDefaults[name];
  const entries = new Map(tree.entries);
  const cluster = entries.get('cluster');
  if (cluster !== undefined)
    entries.set('cluster', { ...cluster, value: filled(cluster.value, defaults.cluster, from) });
  const pools = entries.get('pools');
  if (pools?.value.kind === 'map') {
    const inner = [...pools.value.entries].map(
      ([pool, entry]) => [pool, { ...entry, value: poolFilled(entry.value, defaults, from) }] as const,
    );
    entries.set('pools', { ...pools, value: { ...pools.value, entries: new Map(inner) } });
  }
  return { ...tree, entries };
}

interface From {
  readonly name: Preset;
  readonly mark: Mark;
}

const isEmpty = (tree: Tree): boolean => tree.kind === 'scalar' && tree.value === null && tree.broken !== true;

/** A map, or nothing in its place, with what is missing put in; anything else as it is. */
function filled(tree: Tree, values: Values, from: From): Tree {
  if (tree.kind !== 'map' && !isEmpty(tree)) return tree;
  const entries = new Map(tree.kind === 'map' ? tree.entries : []);
  for (const [key, text] of Object.entries(values)) {
    if (!entries.has(key)) entries.set(key, { key: from.mark, value: scalar(text, from, `preset ${from.name}`) });
  }
  return { kind: 'map', mark: tree.mark, entries };
}

function poolFilled(pool: Tree, defaults: Defaults, from: From): Tree {
  if (pool.kind !== 'map') return pool;
  const entries = new Map(pool.entries);
  const health = entries.get('health');
  // Without the key nodes are probed by connecting; with an empty map in its place it would be by HTTP.
  const probing: MapTree = {
    kind: 'map',
    mark: from.mark,
    entries: new Map([['kind', { key: from.mark, value: scalar('tcp', from, 'default') }]]),
  };
  const checks = filled(health?.value ?? probing, defaults.health, from);
  entries.set('health', { key: health?.key ?? from.mark, value: checks });
  const failover = entries.get('failover');
  if (failover !== undefined) {
    const long = isMode(failover.value) ? modeAlone(failover.value) : failover.value;
    const isFilled = Object.keys(defaults.failover).length > 0;
    if (isFilled) entries.set('failover', { ...failover, value: filled(long, defaults.failover, from) });
  }
  return { ...pool, entries };
}

/** `failover: automatic` is the short form of a map with that mode. */
const isMode = (tree: Tree): tree is ScalarTree =>
  tree.kind === 'scalar' && (tree.value === 'automatic' || tree.value === 'manual');

const modeAlone = (mode: ScalarTree): MapTree => ({
  kind: 'map',
  mark: mode.mark,
  entries: new Map([['mode', { key: mode.mark, value: mode }]]),
});

const scalar = (text: string, { mark }: From, origin: string): ScalarTree => ({
  ...{ kind: 'scalar', mark, value: typed(text), written: text, variables: [], origin },
});
