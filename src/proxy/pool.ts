/**
 * A pool as one data thread sees it: two groups of nodes (the ordinary ones and the backups), each with its balancer,
 * and the requests that wait because every node is full.
 *
 *   pick: probation? -> balancer of the ordinary nodes -> balancer of the backups -> full? wait : no node
 *
 * Weights and fitness are read from the scoreboard whenever the pool's change counter moved, so a health flip is seen by
 * the next pick. In flight is add-then-undo: a node is never over its limit, whatever other threads do meanwhile.
 * One Pool lives as long as its PoolView (same revision); exchanges that began under an older one keep that one.
 */

import type { Balancer, BalancerMemory, PickRequest } from '../balancers/contract.ts';
import { createBalancer } from '../balancers/create.ts';
import { Group } from '../balancers/group.ts';
import type { Random } from '../base/random.ts';
import type { NodeRow, PoolRow, PoolView } from '../routing/snapshot.ts';
import {
  lineCells,
  nodeCell,
  nodeState,
  type PoolCounter,
  poolCell,
  poolCounters,
  weightScale,
} from '../scoreboard/layout.ts';
import { readerKind } from '../scoreboard/primary.ts';
import { counterRow, nodeLine, poolLine, type Scoreboard } from '../scoreboard/scoreboard.ts';

/** No node is fit, or all fit ones were tried. */
export const noNode = -1;
/** Fit nodes are there, but each has its maxConnections in flight. */
export const allFull = -2;

/** More full nodes than this in one pick count as all of them. */
const maxTried = 32;

/** Kinds of waiting requests that are looked at in one go. */
const maxKinds = 32;

/** Retries are allowed up to this number whatever the budget's share. */
const leastRetries = 10;

export interface PickFor {
  /** Hash of the balancing key; 0 if the algorithm has none. */
  readonly hash: number;
  /** Slots that this exchange must not get again. */
  readonly tried: readonly number[];
  /** The request may be tried on a node on probation: it can be sent again if that fails. */
  readonly mayProbe: boolean;
}

/** Which nodes a read may get, in a pool with a primary. */
export interface ReaderNeeds {
  /** Slot of the primary; -1: none. */
  readonly primary: number;
  readonly withPrimary: boolean;
  /** That a replica must have reached; -1: any. */
  readonly position: number;
}

/** Of what may have any node. */
export const anyNode = 0;

/** Something that waits for a node. */
export interface Waiter {
  /** What waits for the same nodes has the same number. */
  readonly kind: number;
  /** A node may be free: pick again. True if it no longer waits. */
  tryAgain(): boolean;
}

const columns = Object.fromEntries(poolCounters.map((name, index) => [name, index])) as Record<PoolCounter, number>;

interface Side {
  readonly group: Group;
  readonly balancer: Balancer;
  /** Index in the group -> index in the pool. */
  readonly members: readonly number[];
  readonly bySlot: ReadonlyMap<number, number>;
}

export interface PoolEnv {
  readonly thread: number;
  readonly scoreboard: Scoreboard;
  readonly random: Random;
  readonly memory: BalancerMemory;
}

export class Pool {
  readonly row: PoolRow;
  readonly nodes: readonly NodeRow[];
  readonly waiters = new Set<Waiter>();
  /** The last pick took a node that is on probation. */
  probing = false;
  readonly #env: PoolEnv;
  readonly #lines: Int32Array;
  readonly #sides: readonly Side[];
  readonly #probation: number[] = [];
  readonly #request: PickRequest = { hash: 0, now: 0, tried: new Int32Array(maxTried), triedCount: 0 };
  readonly #counters: number;
  #changes = -1;
  #needs: ReaderNeeds | null = null;

  constructor(view: PoolView, env: PoolEnv) {
    this.row = view.row;
    this.nodes = view.nodes;
    this.#env = env;
    this.#lines = env.scoreboard.lines;
    this.#counters = counterRow.pool(view.row.slot);
    const indexes = view.nodes.map((_, index) => index);
    this.#sides = [
      indexes.filter((index) => !view.nodes[index]!.backup),
      indexes.filter((index) => view.nodes[index]!.backup),
    ]
      .filter((members) => members.length > 0)
      .map((members) => this.#side(members));
  }

  #side(members: readonly number[]): Side {
    const rows = members.map((index) => this.nodes[index]!);
    const group = new Group({
      keys: Uint32Array.from(rows, (row) => row.key),
      slots: Int32Array.from(rows, (row) => row.slot),
      inflight: this.#lines,
      inflightStride: lineCells,
      inflightOffset: nodeLine(0) + nodeCell.inFlight,
    });
    const { random, memory } = this.#env;
    const balancer = createBalancer(this.row.balance.algorithm, { group, random, memory });
    return { group, balancer, members, bySlot: new Map(rows.map((row, index) => [row.slot, index])) };
  }

  /**
   * The index of a node for a request, its in-flight count already raised; or noNode, or allFull. Whoever takes it calls
   * release() exactly once.
   */
  pick(pick: PickFor, now: number): number {
    this.#refresh();
    this.probing = false;
    if (this.#probation.length > 0) {
      const index = this.#probe(pick);
      if (index !== noNode) return index;
    }
    let full = false;
    for (const side of this.#sides) {
      const index = this.#pickFrom(side, pick, now);
      if (index >= 0) return index;
      full ||= index === allFull;
    }
    return full ? allFull : noNode;
  }

  #pickFrom(side: Side, pick: PickFor, now: number): number {
    const request = this.#request;
    request.hash = pick.hash;
    request.now = now;
    request.triedCount = 0;
    for (const slot of pick.tried) {
      const index = side.bySlot.get(slot);
      if (index !== undefined && request.triedCount < maxTried) request.tried[request.triedCount++] = index;
    }
    if (this.#needs !== null && !this.#leaveOut(side, this.#needs)) return noNode;
    let full = false;
    for (;;) {
      const choice = side.balancer.pick(request);
      if (choice < 0) return full ? allFull : noNode;
      if (this.#take(side.group.slots[choice]!)) return side.members[choice]!;
      full = true;
      if (request.triedCount === maxTried) return allFull;
      request.tried[request.triedCount++] = choice;
    }
  }

  /** As pick(), among the nodes that take reads. */
  pickReader(pick: PickFor, now: number, needs: ReaderNeeds): number {
    this.#needs = needs;
    try {
      return this.pick(pick, now);
    } finally {
      this.#needs = null;
    }
  }

  #suits(slot: number, { primary, withPrimary, position }: ReaderNeeds): boolean {
    if (slot === primary) return withPrimary;
    return position < 0 || this.#env.scoreboard.primary.position(slot) >= position;
  }

  /** Adds the nodes that don't suit to those that are not to be picked. False: they are too many. */
  #leaveOut(side: Side, needs: ReaderNeeds): boolean {
    const request = this.#request;
    const { slots, live, liveCount } = side.group;
    for (let i = 0; i < liveCount; i++) {
      const member = live[i]!;
      if (this.#suits(slots[member]!, needs) || request.tried.subarray(0, request.triedCount).includes(member))
        continue;
      if (request.triedCount === maxTried) return false;
      request.tried[request.triedCount++] = member;
    }
    return true;
  }

  /** The index of this very node, its in-flight count raised; or noNode, or allFull. Fitness and weight don't matter. */
  takeNode(slot: number, generation: number): number {
    this.probing = false;
    const index = this.nodes.findIndex((node) => node.slot === slot && node.generation === generation);
    if (index === -1) return noNode;
    return this.#take(slot) ? index : allFull;
  }

  #take(slot: number): boolean {
    const { scoreboard, thread } = this.#env;
    if (scoreboard.addInFlight(thread, slot, 1) <= this.row.limits.maxConnections) return true;
    scoreboard.addInFlight(thread, slot, -1);
    return false;
  }

  /** Gives one request to a node whose ejection is over; of all threads, one at a time. */
  #probe(pick: PickFor): number {
    for (const index of this.#probation) {
      const slot = this.nodes[index]!.slot;
      if (!pick.mayProbe && (this.#lines[nodeLine(slot) + nodeCell.state]! & nodeState.anyMayTry) === 0) continue;
      if (pick.tried.includes(slot) || (this.#needs !== null && !this.#suits(slot, this.#needs))) continue;
      if (Atomics.compareExchange(this.#lines, nodeLine(slot) + nodeCell.probationTaken, 0, 1) !== 0) continue;
      if (this.#take(slot)) {
        this.probing = true;
        return index;
      }
      Atomics.store(this.#lines, nodeLine(slot) + nodeCell.probationTaken, 0);
    }
    return noNode;
  }

  /** The probing request ended without a word on the node: another may try. */
  unprobe(index: number): void {
    Atomics.store(this.#lines, nodeLine(this.nodes[index]!.slot) + nodeCell.probationTaken, 0);
  }

  /** A request is no longer at a node. Lets one that waits have its place. */
  release(
    index: number,
    outcome: { readonly responseMs: number; readonly failed: boolean; readonly now: number },
  ): void {
    const slot = this.nodes[index]!.slot;
    this.#env.scoreboard.addInFlight(this.#env.thread, slot, -1);
    for (const side of this.#sides) {
      const member = side.bySlot.get(slot);
      if (member !== undefined) side.balancer.done(member, outcome.responseMs, outcome.failed, outcome.now);
    }
    if (this.waiters.size > 0) this.wake();
  }

  /**
   * Lets those who wait try in order, until one who may have any node finds no place. Whoever may have only some (the others
   * were tried, or it is a write) keeps none waiting behind it but its like.
   */
  wake(): void {
    let without: Set<number> | null = null;
    for (const waiter of this.waiters) {
      const { kind } = waiter;
      if (without?.has(kind) || waiter.tryAgain()) continue;
      without ??= new Set();
      without.add(kind);
      if (kind === anyNode || without.size === maxKinds) return;
    }
  }

  /** Takes a place in the queue; false if maxPending wait already. */
  wait(waiter: Waiter): boolean {
    if (!this.enterQueue()) return false;
    this.waiters.add(waiter);
    return true;
  }

  stopWaiting(waiter: Waiter): void {
    if (this.waiters.delete(waiter)) this.leaveQueue();
  }

  /** A place among those who wait, wherever that is; false if maxPending wait already. */
  enterQueue(): boolean {
    if (this.#gauge('pending', 1) <= this.row.limits.maxPending) return true;
    this.leaveQueue();
    return false;
  }

  leaveQueue(): void {
    this.#gauge('pending', -1);
  }

  enter(): void {
    this.#gauge('active', 1);
  }

  leave(): void {
    this.#gauge('active', -1);
  }

  /** Room in the retry budget: at most its share of active requests, at least 10. */
  beginRetry(): boolean {
    const active = this.#lines[poolLine(this.row.slot) + poolCell.active]!;
    if (this.#gauge('retrying', 1) <= Math.max(leastRetries, active * this.row.retry.budget)) return true;
    this.endRetry();
    return false;
  }

  endRetry(): void {
    this.#gauge('retrying', -1);
  }

  #gauge(gauge: 'active' | 'pending' | 'retrying', by: 1 | -1): number {
    return this.#env.scoreboard.addPool(gauge, { thread: this.#env.thread, slot: this.row.slot, by });
  }

  /** Notes how a request to a node went. True if so many in a row have failed that the node is to be ejected. */
  countError(index: number, failed: boolean): boolean {
    const cell = nodeLine(this.nodes[index]!.slot) + nodeCell.consecutiveErrors;
    if (!failed) {
      if (this.#lines[cell] !== 0) Atomics.store(this.#lines, cell, 0);
      return false;
    }
    if (this.row.errorsToEject === 0 || Atomics.add(this.#lines, cell, 1) + 1 < this.row.errorsToEject) return false;
    Atomics.store(this.#lines, cell, 0);
    return true;
  }

  count(counter: PoolCounter, by = 1): void {
    this.#env.scoreboard.counters(this.#env.thread)[this.#counters + columns[counter]]! += by;
  }

  /** Reads weights and fitness anew if any of them changed. */
  #refresh(): void {
    const changes = this.#lines[poolLine(this.row.slot) + poolCell.changes]!;
    if (changes === this.#changes) return;
    this.#changes = changes;
    this.#probation.length = 0;
    for (const side of this.#sides) {
      side.members.forEach((index, member) => {
        side.group.setWeight(member, this.#weight(index));
      });
      side.group.rebuildLive();
      side.balancer.refresh();
    }
  }

  /** In a pool with a primary the balancer is for reads alone. */
  #mayRead(slot: number): boolean {
    if (this.row.primary === null) return true;
    const { primary } = this.#env.scoreboard;
    if (slot === primary.slotOf(this.row.slot)) return this.row.primary.split.reads.includes('any');
    return primary.reader(slot) === readerKind.fit;
  }

  #weight(index: number): number {
    const { slot } = this.nodes[index]!;
    if (!this.#mayRead(slot)) return 0;
    const line = nodeLine(slot);
    const state = this.#lines[line + nodeCell.state]!;
    if ((state & nodeState.probation) !== 0) this.#probation.push(index);
    return (state & nodeState.fit) === 0 ? 0 : this.#lines[line + nodeCell.weight]! / weightScale;
  }
}
