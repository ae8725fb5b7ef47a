/**
 * Tree -> Draft: each section, pool, node and route is held to the schema on its own, so that a fault in one hides none
 * in another, and the checks across sections (check.ts) still see all that is well.
 */
import * as z from 'zod';
import { didYouMean } from '../base/words.ts';
import { type FlatIssue, flatten, report, unknownKey } from './issues.ts';
import type { Problems } from './problems.ts';
import { node, poolRest } from './schema/pool.ts';
import { nameForm, nameMessage, route } from './schema/route.ts';
import { section } from './schema/scalars.ts';
import { synonyms, topLevel } from './schema.ts';
import { at, child, keyMark, type MapTree, type Path, plain, type ScalarTree, type Tree } from './tree.ts';

const restSchema = section({ ...poolRest, nodes: z.unknown().optional() });

export type NodeDraft = z.output<typeof node>;
export type RouteDraft = z.output<typeof route>;
export type PoolRest = z.output<typeof restSchema>;

export interface PoolDraft {
  readonly name: string;
  readonly rest: PoolRest | null;
  /** null where a node did not pass. */
  readonly nodes: readonly (NodeDraft | null)[];
}

type Section<K extends keyof typeof topLevel> = z.output<(typeof topLevel)[K]> | null;

/** null in a field: there was a problem, already told. */
export interface Draft {
  /** undefined: not in the file. */
  readonly preset: Section<'preset'>;
  readonly listen: Section<'listen'>;
  readonly workers: Section<'workers'>;
  readonly pools: readonly PoolDraft[];
  /** undefined: not in the file. */
  readonly routes: readonly (RouteDraft | null)[] | undefined;
  readonly timeouts: Section<'timeouts'>;
  readonly limits: Section<'limits'>;
  readonly trustedProxies: Section<'trustedProxies'>;
  readonly fields: Section<'fields'>;
  readonly admin: Section<'admin'>;
  readonly log: Section<'log'>;
  readonly shutdown: Section<'shutdown'>;
  readonly dataDir: Section<'dataDir'>;
  /** undefined: not in the file. */
  readonly cluster: Section<'cluster'>;
}

export function readDraft(tree: Tree, problems: Problems): Draft {
  const keys = Object.keys(topLevel);
  if (tree.kind !== 'map') {
    problems.error({ mark: tree.mark }, 'the file must be a map of keys such as listen and pools', 'write key: value');
  } else {
    for (const key of tree.entries.keys()) if (!keys.includes(key)) unknownKey([key], keys, tree, problems);
  }
  const read = <K extends keyof typeof topLevel>(key: K): Section<K> =>
    hold(topLevel[key], { tree, path: [key], problems }) as Section<K>;
  return {
    preset: read('preset'),
    listen: read('listen'),
    workers: read('workers'),
    pools: tree.kind === 'map' ? readPools(tree, problems) : [],
    routes: readRoutes(tree, problems),
    timeouts: read('timeouts'),
    limits: read('limits'),
    trustedProxies: read('trustedProxies'),
    fields: read('fields'),
    admin: read('admin'),
    log: read('log'),
    shutdown: read('shutdown'),
    dataDir: read('dataDir'),
    cluster: read('cluster'),
  };
}

function readPools(tree: MapTree, problems: Problems): PoolDraft[] {
  const pools = child(tree, 'pools');
  if (pools?.kind !== 'map') {
    if (pools === null && isWitness(tree)) return [];
    if (pools === null && !isMeant('pools', tree)) {
      const place = { mark: tree.mark, path: ['pools'] };
      // Where a later version's name or a slip explains the absence, this is still the thing to do.
      problems.error(place, 'pools is missing', 'name the nodes: pools: { app: { nodes: [http://127.0.0.1:3000] } }');
    } else if (pools !== null) hold(topLevel.pools, { tree, path: ['pools'], problems });
    return [];
  }
  if (pools.entries.size === 0 && !problems.failed)
    problems.error({ mark: pools.mark, path: ['pools'] }, 'pools is empty', 'name at least one pool');
  return [...pools.entries.keys()].map((name) => readPool(name, tree, problems));
}

/** A member that only votes: it has no pools, and needs none. */
function isWitness(tree: MapTree): boolean {
  const witness = at(tree, ['cluster', 'witness']);
  return witness?.kind === 'scalar' && witness.value === true;
}

/** Somebody wrote it, by another name. */
function isMeant(key: string, tree: MapTree): boolean {
  return [...tree.entries.keys()].some((other) => synonyms[other] === key || didYouMean(other, [key]) === key);
}

function readPool(name: string, tree: Tree, problems: Problems): PoolDraft {
  const path = ['pools', name];
  if (!nameForm.test(name))
    problems.error({ mark: keyMark(tree, path), path }, `${JSON.stringify(name)} ${nameMessage}`);
  const pool = at(tree, path);
  const nodesPath = [...path, 'nodes'];
  const nodes = at(tree, nodesPath);
  const rest = hold(restSchema, { tree, path, problems, without: 'nodes' });
  if (pool?.kind !== 'map') return { name, rest, nodes: [] };
  if (nodes === null) {
    const place = { mark: keyMark(tree, path), path: nodesPath };
    problems.error(place, `pool ${name} has no nodes`, 'list them: nodes: [http://127.0.0.1:3000]');
    return { name, rest, nodes: [] };
  }
  if (nodes.kind !== 'list' || nodes.items.length === 0) {
    hold(z.array(z.unknown()).min(1), { tree, path: nodesPath, problems });
    return { name, rest, nodes: [] };
  }
  return {
    name,
    rest,
    nodes: nodes.items.map((_, index) => hold(node, { tree, path: [...nodesPath, index], problems })),
  };
}

function readRoutes(tree: Tree, problems: Problems): Draft['routes'] {
  const routes = child(tree, 'routes');
  if (routes === null) return undefined;
  if (routes.kind !== 'list' || routes.items.length === 0) {
    hold(z.array(z.unknown()).min(1), { tree, path: ['routes'], problems });
    return [null];
  }
  return routes.items.map((_, index) => hold(route, { tree, path: ['routes', index], problems }));
}

interface Place {
  /** The whole file's. */
  readonly tree: Tree;
  readonly path: Path;
  readonly problems: Problems;
  /** A key that is read elsewhere. */
  readonly without?: string;
}

/** The value at the path by the schema, defaults filled in; null after telling what is wrong. */
function hold<S extends z.ZodType>(schema: S, place: Place): z.output<S> | null {
  const { tree, path, problems, without } = place;
  const whole = at(tree, path);
  const here = whole?.kind === 'map' && without !== undefined ? leaveOut(whole, without) : whole;
  const asText = new Set<ScalarTree>();
  for (;;) {
    const result = schema.safeParse(here === null ? undefined : plain(here, asText));
    if (result.success) return problems.failed && here !== null && isBroken(here) ? null : result.data;
    const more = wantedAsText(result.error.issues, path, tree).filter((scalar) => !asText.has(scalar));
    if (more.length === 0) {
      report(flatten(result.error.issues, path, tree), tree, problems);
      return null;
    }
    for (const scalar of more) asText.add(scalar);
  }
}

/** A value that could not be read counts as empty for the schema; nothing may be concluded from that. */
function isBroken(tree: Tree): boolean {
  if (tree.kind === 'scalar') return tree.broken === true;
  if (tree.kind === 'list') return tree.items.some(isBroken);
  return [...tree.entries.values()].some(({ value }) => isBroken(value));
}

function leaveOut(tree: Tree & { readonly kind: 'map' }, key: string): Tree {
  return { ...tree, entries: new Map([...tree.entries].filter(([name]) => name !== key)) };
}

/** Plain numbers, `true` and `false` where text is wanted: they are tried again as they were written. */
function wantedAsText(issues: readonly z.core.$ZodIssue[], base: Path, tree: Tree): ScalarTree[] {
  return everyIssue(issues, base).flatMap(({ path, issue }) => {
    if (issue.code !== 'invalid_type' || issue.expected !== 'string') return [];
    const here = at(tree, path);
    const swap =
      here?.kind === 'scalar' && here.written !== null && here.value !== null && typeof here.value !== 'string';
    return swap ? [here] : [];
  });
}

function everyIssue(issues: readonly z.core.$ZodIssue[], base: Path): FlatIssue[] {
  return issues.flatMap((issue): FlatIssue[] => {
    const path = [...base, ...(issue.path as Path)];
    return issue.code === 'invalid_union'
      ? issue.errors.flatMap((branch) => everyIssue(branch, path))
      : [{ path, issue }];
  });
}
