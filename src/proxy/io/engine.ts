/**
 * The data plane of one thread: listeners, client connections, pools and their connections to nodes. It knows nothing of
 * config files, probes or logs: a snapshot comes in, signals, events and outcomes go out.
 */
import type { Random } from '../../base/random.ts';
import type { ListenerSpec, Snapshot } from '../../routing/snapshot.ts';
import type { Scoreboard } from '../../scoreboard/scoreboard.ts';
import type { EngineEvent, NodeSignal, Outcome } from '../outcome.ts';
import { BorrowedReads, borrowedReadsWork } from './borrowed-reads.ts';
import { onBorrowedRead } from './client-events.ts';
import { Context } from './context.ts';
import { SnapshotHolds } from './holds.ts';
import { Listener } from './listener.ts';
import { Pools } from './pools.ts';

export interface EngineOptions {
  readonly thread: number;
  readonly scoreboard: Scoreboard;
  readonly random: Random;
  /** 48 bytes that seal TLS session tickets, the same in all threads. Default: random ones. */
  readonly ticketKeys?: Uint8Array;
  /** Signs the tokens of reads after writes, the same in all threads and members; 32 bytes. Default: random ones. */
  readonly tokenKey?: Uint8Array;
  readonly onSignal: (signal: NodeSignal) => void;
  readonly onEvent: (event: EngineEvent) => void;
  /** Called once per settled exchange when settings.accessLog is on. */
  readonly onOutcome: (outcome: Outcome) => void;
  /** Called once after drain(), when the last client connection has closed. */
  readonly onDrained: () => void;
}

export interface EngineContract {
  /** New exchanges route by this from now on; connections to unchanged nodes live on. */
  swap(snapshot: Snapshot): void;
  /**
   * Rejects with the system's error (code, message); nothing is left open then. A slot that is open already gets the new
   * listener before the old one closes.
   */
  listen(spec: ListenerSpec): Promise<void>;
  /** Gives an open listener other certificates, from the next handshake on. Throws if that can't be. */
  renew(slot: number, tls: ListenerSpec['tls']): void;
  /** Other keys for TLS session tickets; tickets of the old ones are worth nothing from now on. */
  useTicketKeys(keys: Uint8Array): void;
  /** Another key for the tokens of reads after writes; those of the old one are as good as forged from now on. */
  useTokenKey(key: Uint8Array): void;
  /** Closes a listener in a turn in which it accepted nothing. Its connections live on. */
  unlisten(slot: number): Promise<void>;
  /** Closes all listeners; what is answered from now on carries Connection: close; idle connections end. */
  drain(): void;
  /** Cuts everything at once. */
  destroy(): void;
}

export class Engine implements EngineContract {
  readonly #context: Context;
  readonly #listeners = new Map<number, Listener>();
  readonly #ticker: ReturnType<typeof setInterval>;
  #drainedTold = false;
  readonly #tested = new Map<'tcp' | 'tls', Promise<void>>();

  constructor(options: EngineOptions) {
    this.#context = new Context(options, {
      holds: new SnapshotHolds(options.scoreboard, options.thread),
      pools: (context) => new Pools(context),
    });
    this.#context.clientClosed = () => this.#tellDrained();
    this.#ticker = setInterval(() => this.#tick(), this.#context.tickMs);
  }

  /**
   * Deadlines come behind what sockets have to say in this turn: when the thread stood still for longer than a deadline, the
   * answer that it waits for may have been there all the time.
   */
  #tick(): void {
    this.#guard(() => this.#context.tick());
    setImmediate(() => this.#guard(() => this.#context.expire()));
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#context.exception('the timing wheel', error);
    }
  }

  swap(snapshot: Snapshot): void {
    this.#context.holds.swap(snapshot);
    this.#context.useSettings(snapshot.settings);
    this.#context.pools.swap(snapshot);
  }

  async listen(spec: ListenerSpec): Promise<void> {
    await this.#testReads(spec.tls === null ? 'tcp' : 'tls');
    const listener = new Listener(spec, this.#context);
    await listener.open();
    const old = this.#listeners.get(spec.slot);
    this.#listeners.set(spec.slot, listener);
    await old?.close();
  }

  /** Before the first listener of its kind. */
  #testReads(over: 'tcp' | 'tls'): Promise<void> {
    const known = this.#tested.get(over) ?? this.#testReadsOver(over);
    this.#tested.set(over, known);
    return known;
  }

  async #testReadsOver(over: 'tcp' | 'tls'): Promise<void> {
    const context = this.#context;
    const reads = (await borrowedReadsWork(over)) ? BorrowedReads.into(context.shared, onBorrowedRead) : null;
    if (over === 'tcp') context.borrowedReads = reads;
    else context.borrowedTlsReads = reads;
    if (reads !== null) return;
    context.options.onEvent({
      level: 'info',
      event: 'reads-not-borrowed',
      message: `sockets of clients (${over}) read the slower way, since Node ${process.version} has no other`,
      fields: { node: process.version, over },
    });
  }

  renew(slot: number, tls: ListenerSpec['tls']): void {
    const listener = this.#listeners.get(slot);
    if (listener?.renew(tls) !== true) throw new Error('no TLS listener is open there');
  }

  useTicketKeys(keys: Uint8Array): void {
    this.#context.ticketKeys = Buffer.from(keys);
    for (const listener of this.#listeners.values()) listener.useTicketKeys(this.#context.ticketKeys);
  }

  useTokenKey(key: Uint8Array): void {
    this.#context.tokenKey = Buffer.from(key);
  }

  async unlisten(slot: number): Promise<void> {
    const listener = this.#listeners.get(slot);
    this.#listeners.delete(slot);
    await listener?.close();
  }

  drain(): void {
    this.#context.draining = true;
    const closing = [...this.#listeners.values()].map((listener) => listener.close());
    this.#listeners.clear();
    for (const client of this.#context.clients) client.drain();
    void Promise.all(closing).then(() => this.#tellDrained());
  }

  #tellDrained(): void {
    if (!this.#context.draining || this.#drainedTold || this.#context.clients.size > 0) return;
    this.#drainedTold = true;
    this.#context.options.onDrained();
  }

  destroy(): void {
    clearInterval(this.#ticker);
    for (const listener of this.#listeners.values()) listener.closeNow();
    this.#listeners.clear();
    for (const client of this.#context.clients) client.socket.destroy();
    this.#context.pools.destroy();
    this.#context.writes.destroy();
    this.#context.parking.destroy();
  }
}
