/**
 * The shared memory in which threads count. The control thread creates it once; data threads attach to its buffers.
 *
 *   control: Scoreboard.create(threads) -> buffers -> workerData -> Scoreboard.attach(buffers) in each data thread
 *
 * Rows are handed out by SlotTable (slots.ts); here they are only addressed. Reads of one's own counters and of shared
 * lines are plain loads (3 to 7 times cheaper than Atomics.load); only gauges are changed with Atomics.
 */
import {
  type ClientBuffers,
  ClientTable,
  clientsUsed,
  createClientBuffers,
  keyClients,
  repairClients,
} from './clients.ts';
import { bucketCount } from './histogram.ts';
import {
  lineCells,
  listenerCounters,
  maxListeners,
  maxNodes,
  maxPools,
  maxRoutes,
  maxThreads,
  nodeCell,
  nodeCounters,
  poolCell,
  poolCounters,
  refusalReasons,
  routeCounters,
  threadCell,
  threadCounters,
} from './layout.ts';
import { createPrimaryBuffers, PrimaryBoard, type PrimaryBuffers } from './primary.ts';

export interface ScoreboardBuffers {
  readonly threads: number;
  readonly lines: SharedArrayBuffer;
  readonly gauges: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly primary: PrimaryBuffers;
  readonly clients: ClientBuffers;
}

const nodeGauges = 1;
const poolGauges = 6;
const gaugeCells = maxNodes * nodeGauges + maxPools * poolGauges;

const nodeColumns = nodeCounters.length + bucketCount;
const poolColumns = poolCounters.length + bucketCount;
const sections = {
  nodes: 0,
  pools: maxNodes * nodeColumns,
  routes: maxNodes * nodeColumns + maxPools * poolColumns,
  listeners: maxNodes * nodeColumns + maxPools * poolColumns + maxRoutes * routeCounters.length,
};
const refusalsAt = sections.listeners + maxListeners * listenerCounters.length;
const threadAt = refusalsAt + refusalReasons.length;
const counterCells = threadAt + threadCounters.length;

const nodesAt = maxThreads * lineCells;
const poolsAt = nodesAt + maxNodes * lineCells;
const lineTotal = poolsAt + maxPools * lineCells;

/** Cell of a node's shared line in `lines`. */
export const nodeLine = (slot: number): number => nodesAt + slot * lineCells;
export const poolLine = (slot: number): number => poolsAt + slot * lineCells;
export const threadLine = (thread: number): number => thread * lineCells;

/** Where a row of counters begins in a thread's own counters; add the column's index. */
export const counterRow = {
  node: (slot: number): number => sections.nodes + slot * nodeColumns,
  nodeHistogram: (slot: number): number => sections.nodes + slot * nodeColumns + nodeCounters.length,
  pool: (slot: number): number => sections.pools + slot * poolColumns,
  poolHistogram: (slot: number): number => sections.pools + slot * poolColumns + poolCounters.length,
  route: (slot: number): number => sections.routes + slot * routeCounters.length,
  listener: (slot: number): number => sections.listeners + slot * listenerCounters.length,
  refusals: (): number => refusalsAt,
  thread: (): number => threadAt,
} as const;

const poolGaugeNames = ['active', 'pending', 'retrying', 'writing', 'parked', 'parkedBytes'] as const;
export type PoolGauge = (typeof poolGaugeNames)[number];
const poolGaugeIndex: Record<PoolGauge, number> = {
  active: 0,
  pending: 1,
  retrying: 2,
  writing: 3,
  parked: 4,
  parkedBytes: 5,
};

export class Scoreboard {
  readonly buffers: ScoreboardBuffers;
  readonly threads: number;
  /** All shared lines: address with nodeLine(slot) + nodeCell.x, poolLine(slot) + poolCell.x, threadLine(t) + threadCell.x. */
  readonly lines: Int32Array;
  /** Who is primary of which pool, and until when its writes may begin. */
  readonly primary: PrimaryBoard;
  /** Each thread's rows of gauges, for repair. */
  readonly #gauges: Int32Array;
  readonly #counters: readonly Float64Array[];

  private constructor(buffers: ScoreboardBuffers) {
    this.buffers = buffers;
    this.threads = buffers.threads;
    this.lines = new Int32Array(buffers.lines);
    this.#gauges = new Int32Array(buffers.gauges);
    this.primary = new PrimaryBoard(buffers.primary, { cells: this.lines, node: nodeLine, pool: poolLine });
    const bytes = counterCells * Float64Array.BYTES_PER_ELEMENT;
    this.#counters = Array.from(
      { length: buffers.threads },
      (_, thread) => new Float64Array(buffers.counters, thread * bytes, counterCells),
    );
  }

  static create(threads: number): Scoreboard {
    return new Scoreboard({
      threads,
      lines: new SharedArrayBuffer(lineTotal * Int32Array.BYTES_PER_ELEMENT),
      gauges: new SharedArrayBuffer(threads * gaugeCells * Int32Array.BYTES_PER_ELEMENT),
      counters: new SharedArrayBuffer(threads * counterCells * Float64Array.BYTES_PER_ELEMENT),
      primary: createPrimaryBuffers(threads),
      clients: createClientBuffers(threads),
    });
  }

  static attach(buffers: ScoreboardBuffers): Scoreboard {
    return new Scoreboard(buffers);
  }

  /** The table of client addresses, for one thread. */
  clients(thread: number): ClientTable {
    return new ClientTable(this.buffers.clients, this.threads, {
      thread,
      counters: this.counters(thread),
      forgotten: threadAt + threadCounters.indexOf('clientsForgotten'),
      untracked: threadAt + threadCounters.indexOf('clientsUntracked'),
    });
  }

  /** Gives that table its key, two random words, before any thread begins. */
  keyClients(key: readonly [number, number]): void {
    keyClients(this.buffers.clients, key);
  }

  /** Its entries in use. */
  clientsUsed(): number {
    return clientsUsed(this.buffers.clients);
  }

  /** A thread's own counters: one writer. */
  counters(thread: number): Float64Array {
    return this.#counters[thread]!;
  }

  /** Sum of one counter cell over all threads. */
  sum(cell: number): number {
    let total = 0;
    for (const counters of this.#counters) total += counters[cell]!;
    return total;
  }

  /** The histogram that begins at a cell, summed over all threads. */
  histogram(cell: number): Float64Array {
    const total = new Float64Array(bucketCount);
    for (const counters of this.#counters) {
      for (let i = 0; i < bucketCount; i++) total[i]! += counters[cell + i]!;
    }
    return total;
  }

  /** Sets a row of counters to zero in every thread, when its slot is given away. */
  clearRow(cell: number, columns: number): void {
    for (const counters of this.#counters) counters.fill(0, cell, cell + columns);
  }

  /**
   * Adds to a node's requests in flight and to the thread's own row; returns the new total. Nothing is called between
   * the two changes, so that a thread that is terminated (V8 looks for that where a function begins) makes both or none.
   */
  addInFlight(thread: number, slot: number, by: 1 | -1): number {
    const total = nodeLine(slot) + nodeCell.inFlight;
    this.#gauges[thread * gaugeCells + slot]! += by;
    return Atomics.add(this.lines, total, by) + by;
  }

  /** Adds to a pool's gauge and to the thread's own row; returns the new total. */
  addPool(gauge: PoolGauge, change: { readonly thread: number; readonly slot: number; readonly by: number }): number {
    const own = change.thread * gaugeCells + maxNodes + change.slot * poolGauges + poolGaugeIndex[gauge];
    const total = poolLine(change.slot) + poolCell[gauge];
    this.#gauges[own]! += change.by;
    return Atomics.add(this.lines, total, change.by) + change.by;
  }

  /**
   * Takes back what a dead thread had counted in; its client connections count as closed. Call once it is known to have
   * ended: its rows have no other writer then. Returns its requests in flight.
   */
  repair(thread: number): number {
    const base = thread * gaugeCells;
    let inFlight = 0;
    for (let slot = 0; slot < maxNodes; slot++) {
      const left = this.#gauges[base + slot]!;
      if (left === 0) continue;
      Atomics.sub(this.lines, nodeLine(slot) + nodeCell.inFlight, left);
      inFlight += left;
    }
    for (let slot = 0; slot < maxPools; slot++) this.#repairPool(base + maxNodes + slot * poolGauges, slot);
    this.#gauges.fill(0, base, base + gaugeCells);
    repairClients(this.buffers.clients, this.threads, thread);
    const line = threadLine(thread);
    this.lines.fill(0, line + threadCell.connections, line + lineCells);
    this.#closeConnections(this.#counters[thread]!);
    return inFlight;
  }

  /** Client connections end with their thread: accepted less closed stays the number of open ones. */
  #closeConnections(own: Float64Array): void {
    const accepted = listenerCounters.indexOf('accepted');
    const closed = listenerCounters.indexOf('closed');
    for (let slot = 0; slot < maxListeners; slot++) {
      const row = counterRow.listener(slot);
      own[row + closed] = own[row + accepted]!;
    }
  }

  #repairPool(own: number, slot: number): void {
    for (const gauge of poolGaugeNames) {
      const left = this.#gauges[own + poolGaugeIndex[gauge]]!;
      if (left !== 0) Atomics.sub(this.lines, poolLine(slot) + poolCell[gauge], left);
    }
  }
}

/** Number of counter columns, histogram included, of a row of each kind. */
export const rowColumns = {
  node: nodeColumns,
  pool: poolColumns,
  route: routeCounters.length,
  listener: listenerCounters.length,
} as const;
