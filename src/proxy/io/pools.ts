/**
 * The pools in force and the connections to their nodes, per thread. A pool whose revision did not change keeps its
 * balancer and queue; a node whose slot and generation did not change keeps its connections.
 */
import type { BalancerMemory } from '../../balancers/contract.ts';
import type { NodeRow, PoolRow, PoolView, Snapshot } from '../../routing/snapshot.ts';
import { maxNodes } from '../../scoreboard/layout.ts';
import { Pool } from '../pool.ts';
import type { Context } from './context.ts';
import { Turn } from './turn.ts';
import { UpstreamNode } from './upstream-node.ts';

/** While requests wait, other threads may free places that this one isn't told of. */
const queuePollMs = 5;

export class Pools {
  readonly turn = new Turn();
  readonly #context: Context;
  readonly #memory: BalancerMemory = { ewma: new Float64Array(maxNodes), stamp: new Float64Array(maxNodes) };
  readonly #pools = new Map<PoolView, Pool>();
  readonly #nodes = new Map<number, UpstreamNode>();
  readonly #waiting = new Set<Pool>();
  #poll: ReturnType<typeof setTimeout> | null = null;

  constructor(context: Context) {
    this.#context = context;
  }

  /** The pool of a view, made when it is first asked for. */
  of(view: PoolView): Pool {
    let pool = this.#pools.get(view);
    if (pool === undefined) {
      const { scoreboard, thread, random } = this.#context.options;
      pool = new Pool(view, { scoreboard, thread, random, memory: this.#memory });
      this.#pools.set(view, pool);
    }
    return pool;
  }

  /** The connections to a node. */
  node(row: NodeRow, pool: PoolRow): UpstreamNode {
    const known = this.#nodes.get(row.slot);
    if (known !== undefined && known.row.generation === row.generation) return known;
    known?.retire();
    const node = new UpstreamNode(this.#context, row, pool);
    this.#memory.ewma[row.slot] = 0;
    this.#memory.stamp[row.slot] = 0;
    this.#nodes.set(row.slot, node);
    return node;
  }

  /** Forgets pools and nodes that the new snapshot has no more. Exchanges that hold them go on. */
  swap(snapshot: Snapshot): void {
    const views = new Set(snapshot.pools.values());
    for (const view of this.#pools.keys()) if (!views.has(view)) this.#pools.delete(view);
    const rows = new Map<number, { row: NodeRow; view: PoolView }>();
    for (const view of views) for (const row of view.nodes) rows.set(row.slot, { row, view });
    for (const [slot, node] of this.#nodes) {
      const now = rows.get(slot);
      if (now === undefined || now.row.generation !== node.row.generation) {
        node.retire();
        this.#nodes.delete(slot);
      } else node.update(now.row, now.view.row);
    }
  }

  /** A request began to wait in this pool: look again every few milliseconds until none does. */
  watchQueue(pool: Pool): void {
    this.#waiting.add(pool);
    this.#poll ??= setTimeout(() => this.#pollQueues(), queuePollMs);
  }

  #pollQueues(): void {
    this.#poll = null;
    for (const pool of this.#waiting) {
      try {
        pool.wake();
      } catch (error) {
        this.#context.exception('the queue', error);
      }
      if (pool.waiters.size === 0) this.#waiting.delete(pool);
    }
    if (this.#waiting.size > 0) this.#poll = setTimeout(() => this.#pollQueues(), queuePollMs);
  }

  destroy(): void {
    if (this.#poll !== null) clearTimeout(this.#poll);
    for (const node of this.#nodes.values()) node.retire();
    this.#nodes.clear();
  }
}
