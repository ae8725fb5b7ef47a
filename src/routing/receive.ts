/**
 * A data thread's end of the snapshot: takes pieces as they come and makes a Snapshot of them.
 *
 *   begin -> changed tables, in pieces -> end -> compile() in slices, between loop turns -> swap by the owner
 *
 * Pieces come in order and whole (a message port keeps both); anything else is a bug and is asserted. After such a
 * throw tables may be missing: the owner ends the thread, and a new one starts from full().
 * Further pieces may come while compile() is under way: it works on the tables of its own version. Reuse is judged
 * against the last compile() that ran to its end, so an abandoned one costs nothing but its time.
 */
import { assert, assertNever } from '../base/assert.ts';
import type { ListenerSlots } from './candidates.ts';
import { type CompiledSnapshot, compileSnapshot, type Tables } from './compile.ts';
import type { NodeRow, PoolRow, RouteRow, Settings, Snapshot, SnapshotPiece } from './snapshot.ts';

/** Tables under way. null = not sent: the previous one stays. */
interface Staging {
  readonly version: number;
  settings: Settings | null;
  pools: PoolRow[] | null;
  readonly nodes: Map<string, NodeRow[]>;
  routes: RouteRow[] | null;
  listeners: ListenerSlots | null;
}

export class SnapshotReceiver {
  #staging: Staging | null = null;
  #tables: Tables | null = null;
  #version = 0;
  #compiled: CompiledSnapshot | null = null;

  /** Takes one piece. True after `end`: compile() gives that version now. Throws on pieces out of order. */
  accept(piece: SnapshotPiece): boolean {
    if (piece.kind === 'begin') {
      assert(this.#staging === null, `snapshot ${piece.version} began inside another`);
      this.#staging = {
        version: piece.version,
        settings: null,
        pools: null,
        nodes: new Map(),
        routes: null,
        listeners: null,
      };
      return false;
    }
    assert(this.#staging !== null, `a piece of kind ${piece.kind} came outside a snapshot`);
    if (piece.kind !== 'end') {
      stage(this.#staging, piece);
      return false;
    }
    assert(piece.version === this.#staging.version, `snapshot ${this.#staging.version} ended as ${piece.version}`);
    this.#tables = merge(this.#staging, this.#tables);
    this.#version = piece.version;
    this.#staging = null;
    return true;
  }

  /** Compiles the last version that came whole; yields often. The result is the base of the next one. */
  *compile(): Generator<void, Snapshot> {
    assert(this.#tables !== null, 'compile() before a snapshot came whole');
    const snapshot = yield* compileSnapshot(this.#version, this.#tables, this.#compiled);
    this.#compiled = snapshot;
    return snapshot;
  }
}

function stage(to: Staging, piece: Exclude<SnapshotPiece, { kind: 'begin' } | { kind: 'end' }>): void {
  switch (piece.kind) {
    case 'settings':
      to.settings = piece.settings;
      return;
    case 'pools':
      to.pools = extended(to.pools, piece);
      return;
    case 'nodes':
      to.nodes.set(piece.pool, extended(to.nodes.get(piece.pool) ?? null, piece));
      return;
    case 'routes':
      to.routes = extended(to.routes, piece);
      to.listeners = piece.listeners;
      return;
    default:
      assertNever(piece, 'piece of a snapshot');
  }
}

function extended<Row>(list: Row[] | null, piece: { readonly rows: readonly Row[]; readonly first: boolean }): Row[] {
  if (piece.first) return [...piece.rows];
  assert(list !== null, 'a table began with a piece that is not its first');
  for (const row of piece.rows) list.push(row);
  return list;
}

function merge(staged: Staging, old: Tables | null): Tables {
  const pools = staged.pools ?? old?.pools;
  const settings = staged.settings ?? old?.settings;
  const routes = staged.routes ?? old?.routes;
  const listeners = staged.listeners ?? old?.listeners;
  assert(pools && settings && routes && listeners, `snapshot ${staged.version}: a table is missing`);
  const nodes = new Map<string, readonly NodeRow[]>();
  for (const pool of pools) {
    const rows = staged.nodes.get(pool.name) ?? old?.nodes.get(pool.name);
    nodes.set(pool.name, rows ?? []);
  }
  return { settings, pools, nodes, routes, listeners };
}
