/**
 * Which row of the scoreboard belongs to which pool, node, route and listener, for as long as anybody counts in it.
 *
 *   take (rows of a new config are built) -> in use -> retire (gone from the config as of a version) -> sweep: free again
 *
 * A node is named by its pool, id and url: with another url it is another node, and begins anew. A row that is given
 * away again has been cleared, and a node's generation has grown, so that what is said late of the one before is known.
 */
import type { NodeId } from '../base/ids.ts';
import type { Config } from '../config/model.ts';
import type { SlotLookups } from '../routing/build.ts';
import {
  listenerCounters,
  maxListeners,
  maxNodes,
  maxPools,
  maxRoutes,
  nodeCell,
  poolCell,
} from '../scoreboard/layout.ts';
import { counterRow, nodeLine, poolLine, rowColumns, type Scoreboard } from '../scoreboard/scoreboard.ts';
import { SlotTable } from '../scoreboard/slots.ts';

const nodeName = (pool: string, id: NodeId, url: string): string => JSON.stringify([pool, id, url]);
const listenerColumn = (name: (typeof listenerCounters)[number]): number => listenerCounters.indexOf(name);

export class Slots implements SlotLookups {
  readonly #board: Scoreboard;
  readonly #pools = new SlotTable('pools', maxPools);
  readonly #nodes = new SlotTable('nodes', maxNodes);
  readonly #routes = new SlotTable('routes', maxRoutes);
  readonly #listeners = new SlotTable('listeners', maxListeners);

  constructor(board: Scoreboard) {
    this.#board = board;
  }

  pool(name: string): number {
    return this.#pools.take(name).slot;
  }

  node(pool: string, id: NodeId, url: string): { readonly slot: number; readonly generation: number } {
    const { slot, fresh } = this.#nodes.take(nodeName(pool, id, url));
    if (fresh) this.#begin(slot);
    return { slot, generation: this.#board.lines[nodeLine(slot) + nodeCell.generation]! };
  }

  route(name: string): number {
    return this.#routes.take(name).slot;
  }

  listener(name: string): number {
    return this.#listeners.take(name).slot;
  }

  /** The slot of a node that has one. */
  slotOfNode(pool: string, id: NodeId, url: string): number | undefined {
    return this.#nodes.slotOf(nodeName(pool, id, url));
  }

  /** What the config does not name is gone from the snapshot of this version on. */
  retire(config: Config, version: number): void {
    keepOnly(this.#pools, new Set(config.pools.map(({ name }) => name)), version);
    const nodes = config.pools.flatMap((pool) => pool.nodes.map(({ id, url }) => nodeName(pool.name, id, url)));
    keepOnly(this.#nodes, new Set(nodes), version);
    keepOnly(this.#routes, new Set(config.routes.map(({ name }) => name)), version);
    keepOnly(this.#listeners, new Set(config.listen.map(({ name }) => name)), version);
  }

  /** Frees the rows in which nothing can count any more. `oldestHeld`: the oldest snapshot that any thread holds. */
  sweep(oldestHeld: number): void {
    const { lines } = this.#board;
    const nodes = this.#nodes.sweep(oldestHeld, (slot) => lines[nodeLine(slot) + nodeCell.inFlight] === 0);
    for (const slot of nodes) this.#board.clearRow(counterRow.node(slot), rowColumns.node);
    for (const slot of this.#pools.sweep(oldestHeld, (slot) => this.#poolIdle(slot))) {
      this.#board.clearRow(counterRow.pool(slot), rowColumns.pool);
      this.#board.primary.clear(slot);
    }
    for (const slot of this.#routes.sweep(oldestHeld, () => true))
      this.#board.clearRow(counterRow.route(slot), rowColumns.route);
    for (const slot of this.#listeners.sweep(oldestHeld, (slot) => this.#listenerIdle(slot)))
      this.#board.clearRow(counterRow.listener(slot), rowColumns.listener);
  }

  #begin(slot: number): void {
    const { lines } = this.#board;
    const line = nodeLine(slot);
    lines[line + nodeCell.generation]! += 1;
    for (const cell of [nodeCell.state, nodeCell.weight, nodeCell.consecutiveErrors, nodeCell.probationTaken])
      lines[line + cell] = 0;
    lines[line + nodeCell.reader] = 0;
    this.#board.primary.beginEra(slot);
  }

  #poolIdle(slot: number): boolean {
    const line = poolLine(slot);
    const gauges = [poolCell.active, poolCell.pending, poolCell.retrying, poolCell.writing];
    return gauges.every((cell) => this.#board.lines[line + cell] === 0);
  }

  /** Connections outlive their listener, and no snapshot is held between two requests: so they are counted. */
  #listenerIdle(slot: number): boolean {
    const row = counterRow.listener(slot);
    return this.#board.sum(row + listenerColumn('accepted')) === this.#board.sum(row + listenerColumn('closed'));
  }
}

function keepOnly(table: SlotTable, wanted: ReadonlySet<string>, version: number): void {
  for (const name of [...table.names()]) if (!wanted.has(name)) table.remove(name, version);
}
