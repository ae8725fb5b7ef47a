/**
 * What failover decided, into the scoreboard: where writes of a pool go and until when, which nodes take its reads.
 *
 *   machine's BoardWrite --+
 *                          +--> PrimaryBoard (scoreboard/primary.ts) --> every data thread, without a message
 *   reports of nodes ------+
 *
 * Rows of nodes move when a config is reloaded: then all is written again, to their new places.
 */
import { sameData } from '../base/equal.ts';
import type { Millis } from '../base/ids.ts';
import { writeDrainMs, writeLeaseMs } from '../cluster/coordinator.ts';
import type { BoardWrite, NodeReport } from '../cluster/failover/contract.ts';
import type { SplitConfig } from '../config/model.ts';
import type { PrimaryBoard, ReaderKind } from '../scoreboard/primary.ts';

export interface NodeSlot {
  readonly slot: number;
  readonly generation: number;
}

/** Where a pool and its nodes are in the scoreboard, and what its file says of reads. */
export interface PoolPlace {
  readonly slot: number;
  readonly nodes: ReadonlyMap<string, NodeSlot>;
  readonly split: Pick<SplitConfig, 'maxLag' | 'minReplicas'>;
}

/** Where a pool was before it left the file and came back: its writes of then are still writes of this pool. */
interface Former {
  readonly slot: number;
  readonly written: BoardWrite;
}

interface PoolOnBoard {
  place: PoolPlace;
  written: BoardWrite | null;
  /** As last put into the scoreboard. */
  epoch: number;
  /** Newest of each node. */
  readonly reports: Map<string, NodeReport>;
  /** Too few replicas for writes (`split.minReplicas`); empty if there are enough. */
  lacking: string;
  readonly former: Former | null;
}

export class FailoverBoard {
  readonly #primary: PrimaryBoard;
  readonly #now: () => Millis;
  readonly #pools = new Map<string, PoolOnBoard>();
  /** Pools that left the file. */
  readonly #left = new Map<string, Former>();

  constructor(primary: PrimaryBoard, now: () => Millis) {
    this.#primary = primary;
    this.#now = now;
  }

  /** The pools with failover of the config that comes into force. What was decided about them stays. */
  configure(places: ReadonlyMap<string, PoolPlace>): void {
    for (const [name, pool] of this.#pools) if (!places.has(name)) this.#leave(name, pool);
    const slots = new Set([...places.values()].map(({ slot }) => slot));
    for (const [name, place] of places) {
      const known = this.#pools.get(name);
      if (known === undefined) {
        const former = this.#comeBack(name, slots);
        this.#pools.set(name, { place, written: null, epoch: 0, reports: new Map(), lacking: '', former });
        continue;
      }
      // What a machine said says nothing of another one that has its name now.
      for (const node of known.reports.keys())
        if (!sameData(known.place.nodes.get(node), place.nodes.get(node))) known.reports.delete(node);
      known.place = place;
      this.#put(known);
    }
  }

  /** Its requests go on until data threads have the new config, and whatever else is under way for as long as a lease. */
  #leave(name: string, pool: PoolOnBoard): void {
    this.#pools.delete(name);
    const now = this.#now();
    if (pool.written === null) return;
    const cutAt = Math.min(pool.written.cutAt, now + writeLeaseMs);
    pool.written = { ...pool.written, writeUntil: Math.min(pool.written.writeUntil, cutAt - writeDrainMs), cutAt };
    this.#put(pool);
    this.#left.set(name, { slot: pool.place.slot, written: pool.written });
  }

  /** No write of before begins any more, and no fence is complete while one is under way. */
  #comeBack(name: string, slots: ReadonlySet<number>): Former | null {
    const former = this.#left.get(name) ?? null;
    this.#left.delete(name);
    if (former === null || slots.has(former.slot) || this.#now() >= former.written.cutAt) return null;
    const { epoch, cutAt, forks } = former.written;
    this.#primary.write(former.slot, { mode: 'park', epoch, node: null, writeUntil: 0, cutAt, forks }, this.#now());
    return former;
  }

  write(board: BoardWrite): void {
    const pool = this.#pools.get(board.pool);
    if (pool === undefined) return;
    pool.written = board;
    this.#put(pool);
  }

  report(report: NodeReport): void {
    const pool = this.#pools.get(report.pool);
    if (pool === undefined || !pool.place.nodes.has(report.node)) return;
    pool.reports.set(report.node, report);
    this.#reader(pool, report.node);
    this.#position(pool, report);
    const lacking = this.#lacking(pool);
    if (lacking !== pool.lacking) this.#put(pool);
  }

  /** Writes that data threads hold, and the highest position of the epoch that clients were told of. */
  held(name: string): { readonly writing: number; readonly passed: number | null } | null {
    const pool = this.#pools.get(name);
    if (pool?.written === null || pool === undefined) return null;
    const { place, former, written } = pool;
    const isOver = former === null || this.#now() >= former.written.cutAt;
    const slots = isOver ? [place.slot] : [place.slot, former.slot];
    const passed = slots.map((slot) => this.#primary.passed(slot, written.epoch)).filter((one) => one !== null);
    return {
      writing: slots.reduce((sum, slot) => sum + this.#primary.writing(slot), 0),
      passed: passed.length === 0 ? null : Math.max(...passed),
    };
  }

  parked(name: string): number {
    const pool = this.#pools.get(name);
    return pool === undefined ? 0 : this.#primary.parked(pool.place.slot);
  }

  /** Why writes wait here though the pool has a primary; empty if they don't. */
  lacking(name: string): string {
    return this.#pools.get(name)?.lacking ?? '';
  }

  /** Nobody writes any more: this process ends. */
  close(): void {
    for (const pool of this.#pools.values()) {
      if (pool.written === null) continue;
      pool.written = { ...pool.written, writeUntil: 0, otherwise: 'refuse', why: 'this process ends' };
      this.#put(pool);
    }
  }

  #put(pool: PoolOnBoard): void {
    const { place, written } = pool;
    if (written === null) return;
    const { epoch, node, writeUntil, cutAt, otherwise, forks } = written;
    if (epoch !== pool.epoch) {
      // What was known of positions is of another epoch.
      for (const { slot } of place.nodes.values()) this.#primary.beginEra(slot);
      pool.epoch = epoch;
    }
    pool.lacking = this.#lacking(pool);
    const target = node === null ? null : (place.nodes.get(node) ?? null);
    const now = this.#now();
    const may = writeUntil > now && target !== null;
    const waits = written.fencing ? 'drain' : 'park';
    const leased = pool.lacking === '' ? 'send' : 'hold';
    const mode = may ? leased : otherwise === 'park' ? waits : 'refuse';
    const until = may ? writeUntil : 0;
    this.#primary.write(place.slot, { mode, epoch, node: target, writeUntil: until, cutAt, forks }, now);
    for (const name of place.nodes.keys()) this.#reader(pool, name);
  }

  #reader({ place, written, reports }: PoolOnBoard, name: string): void {
    const node = place.nodes.get(name);
    if (node === undefined) return;
    const report = reports.get(name);
    const kind: ReaderKind =
      written?.readers.includes(name) !== true
        ? 'none'
        : name === written.node || isNear(report, place.split.maxLag)
          ? 'fit'
          : 'behind';
    this.#primary.setReader({ pool: place.slot, node: node.slot }, { kind, lag: report?.lag ?? null });
  }

  /**
   * Said once per report: what was told before an epoch opened means nothing in it, and what the node's answers have told
   * since is not to be overwritten by an older word.
   */
  #position({ place, written }: PoolOnBoard, report: NodeReport): void {
    const node = place.nodes.get(report.node);
    if (node === undefined || !report.up || written?.readers.includes(report.node) !== true) return;
    // A node that has not heard of this epoch counts in the epoch before.
    const isOld = report.epoch !== null && report.epoch < written.epoch;
    if (isOld || report.position !== null) this.#primary.setPosition(node.slot, isOld ? null : report.position);
  }

  #lacking({ place, written, reports }: PoolOnBoard): string {
    const { minReplicas, maxLag } = place.split;
    if (minReplicas === 0 || written === null) return '';
    const following = written.readers.filter((name) => {
      const report = reports.get(name);
      return name !== written.node && report?.up === true && isNear(report, maxLag);
    });
    return following.length >= minReplicas
      ? ''
      : `${following.length} of at least ${minReplicas} replicas follow (split.minReplicas)`;
  }
}

const isNear = (report: NodeReport | undefined, maxLag: Millis | null): boolean =>
  maxLag === null || (report?.lag ?? 0) <= maxLag;
