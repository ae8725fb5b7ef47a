/**
 * The writes of pools with a primary that this thread holds, each under the epoch in which it began.
 *
 *   begin: count it, then read the record and a fresh clock, then the first byte    (else the count is taken back)
 *   stands: asked before bytes are passed on, either way
 *   cut: at the end of its epoch's last lease, or as soon as the record has another epoch; tunnels before that, when the
 *        end of the epoch begins (`drain`): a switch would wait for them to its last moment, and every write with it
 *   end: the answer is in the kernel's hands whole, or both connections are gone
 *
 * Counting comes before reading: control stores a record first and reads the count then, so of a write that begins and
 * a lease that ends one sees the other (scoreboard/primary.ts). A thread cuts by itself, whether control runs or not;
 * and one that stood still past the lease's end looks before it passes a byte on.
 */
import type { Millis } from '../../base/ids.ts';
import { PrimaryRecord } from '../../scoreboard/primary.ts';
import type { Context } from './context.ts';
import type { Exchange } from './exchange.ts';

/** Whom a write is about to be sent to. */
export interface Leave {
  readonly epoch: number;
  readonly slot: number;
  readonly generation: number;
}

/** A lease that ends sooner has a timer of its own; the wheel looks each 50 ms. */
const soonMs: Millis = 100;

export class Write {
  readonly exchange: Exchange;
  readonly epoch: number;
  readonly #held: HeldWrites;
  #unflushed = 0;
  #settled = false;
  #ended = false;

  constructor(exchange: Exchange, epoch: number, held: HeldWrites) {
    this.exchange = exchange;
    this.epoch = epoch;
    this.#held = held;
  }

  /** Whether its lease, or a renewed one, still runs. If not it has been cut, and nothing of it may be passed on. */
  stands(): boolean {
    if (this.#ended) return false;
    if (this.#held.stands(this.epoch)) return true;
    this.cut();
    return false;
  }

  get isTunnel(): boolean {
    return this.exchange.status === 101;
  }

  /** Pass what this returns as the callback of each write of the answer. */
  passing(then?: () => void): () => void {
    this.#unflushed++;
    return () => {
      this.#unflushed--;
      then?.();
      if (this.#settled) this.#endIfFlushed();
    };
  }

  /** The exchange has settled and left its node. */
  settled(): void {
    this.#settled = true;
    const { client, answered } = this.exchange;
    if (!answered || client.socket.destroyed || client.socket.writableLength === 0) this.end();
    else {
      client.flushing ??= new Set();
      client.flushing.add(this);
      // What passed through a tunnel is not followed write by write: its end is that of the connection.
      if (!this.isTunnel) this.#endIfFlushed();
    }
  }

  #endIfFlushed(): void {
    if (this.#unflushed === 0) this.end();
  }

  cut(): void {
    try {
      this.exchange.cutWrite();
    } catch (error) {
      this.exchange.context.exception('cutting a write', error);
      this.exchange.client.socket.destroy();
    }
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.exchange.client.flushing?.delete(this);
    this.#held.remove(this);
  }
}

/** The writes of one pool. */
class HeldWrites {
  readonly pool: number;
  readonly #context: Context;
  readonly #record = new PrimaryRecord();
  readonly #writes = new Set<Write>();
  /** The end of the last lease seen, by epoch. */
  readonly #cutAt = new Map<number, Millis>();

  constructor(context: Context, pool: number) {
    this.#context = context;
    this.pool = pool;
  }

  get size(): number {
    return this.#writes.size;
  }

  #count(by: 1 | -1): void {
    const { scoreboard, thread } = this.#context.options;
    scoreboard.addPool('writing', { thread, slot: this.pool, by });
  }

  begin(exchange: Exchange, leave: Leave): Write | null {
    this.#count(1);
    const record = this.#record;
    this.#context.scoreboard.primary.read(this.pool, record);
    const same = record.epoch === leave.epoch && record.slot === leave.slot && record.generation === leave.generation;
    if (!same || !record.isLive(this.#context.hrtime())) {
      this.#count(-1);
      return null;
    }
    this.#cutAt.set(record.epoch, record.cutAt);
    const write = new Write(exchange, leave.epoch, this);
    this.#writes.add(write);
    return write;
  }

  remove(write: Write): void {
    this.#writes.delete(write);
    if (this.#writes.size === 0) this.#cutAt.clear();
    this.#count(-1);
  }

  stands(epoch: number): boolean {
    return this.#context.hrtime() < this.#endOf(epoch);
  }

  /** When writes of an epoch are cut. */
  #endOf(epoch: number): Millis {
    const record = this.#record;
    this.#context.scoreboard.primary.read(this.pool, record);
    if (record.epoch === epoch) this.#cutAt.set(epoch, record.cutAt);
    else if (record.epoch !== 0) return 0;
    return this.#cutAt.get(epoch) ?? 0;
  }

  /** Cuts what is over. Returns when the next lease ends, as far as is known. */
  look(now: Millis): Millis {
    let next = Number.POSITIVE_INFINITY;
    this.#context.scoreboard.primary.read(this.pool, this.#record);
    if (this.#record.mode === 'drain') for (const write of [...this.#writes]) if (write.isTunnel) write.cut();
    for (const epoch of [...this.#cutAt.keys()]) {
      const end = this.#endOf(epoch);
      if (end > now) next = Math.min(next, end);
      else this.#cut(epoch);
    }
    return next;
  }

  #cut(epoch: number): void {
    for (const write of [...this.#writes]) if (write.epoch === epoch) write.cut();
    this.#cutAt.delete(epoch);
  }
}

export class Writes {
  readonly #context: Context;
  readonly #pools = new Map<number, HeldWrites>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Leave for the first byte, which must follow at once; null: there is none. */
  begin(exchange: Exchange, pool: number, leave: Leave): Write | null {
    let held = this.#pools.get(pool);
    if (held === undefined) {
      held = new HeldWrites(this.#context, pool);
      this.#pools.set(pool, held);
    }
    return held.begin(exchange, leave);
  }

  /** Called with each turn of the wheel, and by the own timer. */
  look(): void {
    if (this.#pools.size === 0) return;
    const now = this.#context.hrtime();
    let next = Number.POSITIVE_INFINITY;
    for (const held of this.#pools.values()) if (held.size > 0) next = Math.min(next, held.look(now));
    if (next - now > soonMs || this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#expired(), Math.max(1, Math.ceil(next - now)));
  }

  #expired(): void {
    this.#timer = null;
    try {
      this.look();
    } catch (error) {
      this.#context.exception('the end of a lease', error);
    }
  }

  destroy(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
