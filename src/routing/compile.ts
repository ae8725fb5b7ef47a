/**
 * Tables of rows -> Snapshot. What did not change is the same object as before:
 *
 *   pool of unchanged revision -> its PoolView        (balancers and upstream pools hang on its identity)
 *   routes table not sent      -> its index, its views (a view is made anew only if the view of its pool was)
 *
 * A generator that yields every few hundred rows; abandoning it half way is harmless, since `previous` is only read.
 */
import { assert } from '../base/assert.ts';
import type { FieldEdits } from '../config/model.ts';
import type { ListenerSlots } from './candidates.ts';
import { compileIndex, type RouteIndex } from './match.ts';
import { runWhole } from './slice.ts';
import type { NodeRow, PoolRow, PoolView, RequestFacts, RouteRow, RouteView, Settings, Snapshot } from './snapshot.ts';

const rowsPerStep = 200;

/** All rows of one version. A table that did not change is the same object as in the version before. */
export interface Tables {
  readonly settings: Settings;
  readonly pools: readonly PoolRow[];
  readonly nodes: ReadonlyMap<string, readonly NodeRow[]>;
  readonly routes: readonly RouteRow[];
  readonly listeners: ListenerSlots;
}

/** A snapshot that remembers what it was made of, for the next one to take over. */
export class CompiledSnapshot implements Snapshot {
  readonly version: number;
  readonly settings: Settings;
  readonly pools: ReadonlyMap<string, PoolView>;
  readonly routes: readonly RouteView[];
  readonly tables: Tables;
  readonly index: RouteIndex;

  constructor(version: number, tables: Tables, parts: Pick<CompiledSnapshot, 'pools' | 'routes' | 'index'>) {
    this.version = version;
    this.settings = tables.settings;
    this.pools = parts.pools;
    this.routes = parts.routes;
    this.tables = tables;
    this.index = parts.index;
    Object.freeze(this);
  }

  match(facts: RequestFacts): RouteView | null {
    const found = this.index.find(facts);
    return found === -1 ? null : this.routes[found]!;
  }
}

/** Compiles the tables, taking over from `previous` what did not change. */
export function* compileSnapshot(
  version: number,
  tables: Tables,
  previous: CompiledSnapshot | null,
): Generator<void, CompiledSnapshot> {
  const pools = yield* poolViews(tables, previous);
  const kept = previous !== null && sameRoutes(previous.tables, tables) ? previous : null;
  const index = kept?.index ?? (yield* compileIndex(tables.routes, tables.listeners));
  const routes = kept === null ? yield* routeViews(tables.routes, pools) : yield* rebind(kept, pools);
  return new CompiledSnapshot(version, tables, { pools, routes, index });
}

/** The snapshot of these tables, compiled at once. */
export function snapshotOf(version: number, tables: Tables): Snapshot {
  return runWhole(compileSnapshot(version, tables, null));
}

const sameRoutes = (a: Tables, b: Tables): boolean => a.routes === b.routes && a.listeners === b.listeners;

/** The map itself is the previous one if no view and no place changed. */
function* poolViews(tables: Tables, previous: CompiledSnapshot | null): Generator<void, ReadonlyMap<string, PoolView>> {
  const views = new Map<string, PoolView>();
  for (const row of tables.pools) {
    const known = previous?.pools.get(row.name);
    if (known !== undefined && known.row.revision === row.revision) views.set(row.name, known);
    else {
      views.set(row.name, newPoolView(row, tables.nodes.get(row.name) ?? []));
      yield;
    }
  }
  return previous !== null && sameEntries(previous.pools, views) ? previous.pools : views;
}

function newPoolView(row: PoolRow, nodes: readonly NodeRow[]): PoolView {
  assert(nodes.length === row.nodeCount, `pool ${row.name}: ${nodes.length} of ${row.nodeCount} nodes have come`);
  return Object.freeze({ row, nodes: Object.freeze([...nodes]) });
}

function sameEntries(a: ReadonlyMap<string, PoolView>, b: ReadonlyMap<string, PoolView>): boolean {
  if (a.size !== b.size) return false;
  const others = b.values();
  for (const view of a.values()) if (others.next().value !== view) return false;
  return true;
}

function* routeViews(
  rows: readonly RouteRow[],
  pools: ReadonlyMap<string, PoolView>,
): Generator<void, readonly RouteView[]> {
  const views: RouteView[] = [];
  for (const row of rows) {
    views.push(newRouteView(row, pools));
    if (views.length % rowsPerStep === 0) yield;
  }
  return Object.freeze(views);
}

/** The same routes over other pools. */
function* rebind(from: CompiledSnapshot, pools: ReadonlyMap<string, PoolView>): Generator<void, readonly RouteView[]> {
  if (pools === from.pools) return from.routes;
  const views: RouteView[] = [];
  let changed = false;
  for (const view of from.routes) {
    const pool = poolOf(view.row, pools);
    changed ||= pool !== view.pool;
    views.push(pool === view.pool ? view : Object.freeze({ ...view, pool }));
    if (views.length % rowsPerStep === 0) yield;
  }
  return changed ? Object.freeze(views) : from.routes;
}

function newRouteView(row: RouteRow, pools: ReadonlyMap<string, PoolView>): RouteView {
  return Object.freeze({
    row,
    slot: row.slot,
    pool: poolOf(row, pools),
    rewrite: row.action.kind === 'pool' ? row.action.rewrite : null,
    requestSet: fieldLines(row.requestFields),
    responseSet: fieldLines(row.responseFields),
    requestDrop: dropped(row.requestFields),
    responseDrop: dropped(row.responseFields),
  });
}

function poolOf(row: RouteRow, pools: ReadonlyMap<string, PoolView>): PoolView | null {
  if (row.action.kind === 'redirect') return null;
  const pool = pools.get(row.action.pool);
  assert(pool !== undefined, `route ${row.name}: its pool ${row.action.pool} has not come`);
  return pool;
}

const fieldLines = (edits: FieldEdits): string =>
  edits.set.map((field) => `${field.name}: ${field.value}\r\n`).join('');

function dropped(edits: FieldEdits): ReadonlySet<string> | null {
  if (edits.set.length === 0 && edits.remove.length === 0) return null;
  return new Set([...edits.remove, ...edits.set.map((field) => field.name.toLowerCase())]);
}
