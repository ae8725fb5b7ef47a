/**
 * The control thread's end of the snapshot: knows what was published last and sends only the tables that changed.
 *
 *   rows, version -> [begin, settings?, pools?, nodes of changed pools, routes?, end], cut into messages
 *
 * A message holds at most 200 rows, about 2 ms of work for the thread that takes it. (Whole, 10 000 routes and nodes
 * stop a data thread for 32 ms.) The owner must give the thread's loop a turn between messages: a message port hands
 * over everything that waits in it in one turn.
 *
 * A pool's revision is a number that was never used before, given when its row, its nodes or their order change.
 */
import { assert } from '../base/assert.ts';
import { sameData } from '../base/equal.ts';
import type { Tables } from './compile.ts';
import type { NodeRow, PoolRow, SnapshotPiece } from './snapshot.ts';

export const maxRowsPerMessage = 200;

/** What has to be sent. Names of pools whose nodes are sent; the pools' table goes whole. */
interface Changes {
  readonly settings: boolean;
  readonly pools: boolean;
  readonly nodesOf: ReadonlySet<string>;
  readonly routes: boolean;
}

export class Publisher {
  #published: Tables | null = null;
  #revision = 0;

  /** The messages that bring threads from the last published rows to these. `rows` is kept and must not change. */
  publish(rows: Tables, version: number): SnapshotPiece[][] {
    const old = this.#published;
    const before = new Map(old?.pools.map((pool) => [pool.name, pool]));
    const pools = rows.pools.map((pool) => {
      const known = before.get(pool.name);
      const nodes = rows.nodes.get(pool.name);
      const same = known !== undefined && sameRow(known, pool) && sameData(old?.nodes.get(pool.name), nodes);
      return same ? known : { ...pool, revision: ++this.#revision };
    });
    const changes: Changes = {
      settings: old === null || !sameData(old.settings, rows.settings),
      pools: old === null || !sameData(old.pools, pools),
      nodesOf: new Set(pools.filter((pool) => before.get(pool.name) !== pool).map((pool) => pool.name)),
      routes: old === null || !sameData(old.routes, rows.routes) || !sameData(old.listeners, rows.listeners),
    };
    this.#published = { ...rows, pools };
    return toMessages(this.#published, version, changes);
  }

  /** The messages that bring a thread that knows nothing to what was published last. */
  full(version: number): SnapshotPiece[][] {
    assert(this.#published !== null, 'full() before anything was published');
    const nodesOf = new Set(this.#published.pools.map((pool) => pool.name));
    return toMessages(this.#published, version, { settings: true, pools: true, nodesOf, routes: true });
  }
}

const sameRow = (a: PoolRow, b: PoolRow): boolean => sameData({ ...a, revision: 0 }, { ...b, revision: 0 });

function toMessages(rows: Tables, version: number, changes: Changes): SnapshotPiece[][] {
  const messages = new Messages();
  messages.add({ kind: 'begin', version });
  if (changes.settings) messages.add({ kind: 'settings', settings: rows.settings });
  if (changes.pools) messages.addRows(rows.pools, (part) => ({ kind: 'pools', ...part }));
  for (const pool of changes.nodesOf) {
    const nodes: readonly NodeRow[] = rows.nodes.get(pool) ?? [];
    messages.addRows(nodes, (part) => ({ kind: 'nodes', pool, ...part }));
  }
  if (changes.routes) {
    const { listeners } = rows;
    messages.addRows(rows.routes, (part) => ({ kind: 'routes', ...part, listeners }));
  }
  messages.add({ kind: 'end', version });
  return messages.list;
}

/** Fills messages one after the other; a table is cut where a message is full. */
class Messages {
  readonly list: SnapshotPiece[][] = [[]];
  #room = maxRowsPerMessage;

  add(piece: SnapshotPiece): void {
    this.list.at(-1)!.push(piece);
  }

  /** An empty table is one piece without rows. */
  addRows<Row>(
    rows: readonly Row[],
    toPiece: (part: { readonly rows: readonly Row[]; readonly first: boolean }) => SnapshotPiece,
  ): void {
    let from = 0;
    do {
      if (this.#room <= 0) this.#next();
      const part = rows.slice(from, from + this.#room);
      this.add(toPiece({ rows: part, first: from === 0 }));
      from += part.length;
      this.#room -= Math.max(1, part.length); // a pool without nodes costs something too
    } while (from < rows.length);
  }

  #next(): void {
    this.list.push([]);
    this.#room = maxRowsPerMessage;
  }
}
