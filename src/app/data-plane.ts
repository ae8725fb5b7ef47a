/**
 * A data thread: one engine, and what ties it to the control thread.
 *
 *   control --snapshot pieces--> queue --slices of 2 ms, loop turns between--> Snapshot --> engine.swap --> `swapped`
 *   engine --signals, events--> Outbox --> control          engine --outcomes--> access log (own file descriptor)
 *
 * The thread keeps nothing that control does not have: when it dies, another is given everything anew. An exception
 * that nobody caught is told and counted and the thread goes on; only what would leave it with a wrong snapshot (a
 * piece out of order) ends it, since its successor starts from a whole one.
 */
import { performance } from 'node:perf_hooks';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { assert, assertNever } from '../base/assert.ts';
import { seededRandom } from '../base/random.ts';
import { type AccessWriter, createAccessWriter } from '../observe/io/access-writer.ts';
import type { EngineContract, EngineOptions } from '../proxy/io/engine.ts';
import { SnapshotReceiver } from '../routing/receive.ts';
import { runSlice } from '../routing/slice.ts';
import type { ListenerSpec, Snapshot, SnapshotPiece } from '../routing/snapshot.ts';
import { threadCell, threadCounters } from '../scoreboard/layout.ts';
import { counterRow, Scoreboard, threadLine } from '../scoreboard/scoreboard.ts';
import type { FromThread, ThreadStart, ToThread } from './messages.ts';
import { Outbox } from './outbox.ts';

const sliceMs = 2;
const now = (): number => performance.now();

/** Runs this worker as a data thread, to its end. */
export function runDataThread(makeEngine: (options: EngineOptions) => EngineContract): void {
  assert(parentPort !== null, 'a data thread runs in a worker');
  new DataPlane(workerData as ThreadStart, parentPort, makeEngine);
}

class DataPlane {
  readonly #port: MessagePort;
  readonly #scoreboard: Scoreboard;
  readonly #thread: number;
  readonly #outbox: Outbox;
  readonly #engine: EngineContract;
  readonly #receiver = new SnapshotReceiver();
  /** The last opening of each listener, by slot. */
  readonly #opening = new Map<number, Promise<void>>();
  readonly #pieces: SnapshotPiece[] = [];
  #compiling: Generator<void, Snapshot> | null = null;
  #pumping = false;
  readonly #access: AccessWriter;

  constructor(start: ThreadStart, port: MessagePort, makeEngine: (options: EngineOptions) => EngineContract) {
    this.#port = port;
    this.#thread = start.thread;
    this.#scoreboard = Scoreboard.attach(start.buffers);
    this.#outbox = new Outbox({
      post: (message) => this.#post(message),
      schedule: (callback, delayMs) => void setTimeout(callback, delayMs),
      now,
      onDropped: (count) => this.#count('eventsDropped', count),
    });
    this.#access = this.#openAccess(start.access);
    process.on('uncaughtException', (error) => this.#caught('uncaught exception', error));
    process.on('unhandledRejection', (reason) => this.#caught('unhandled rejection', reason));
    this.#engine = makeEngine({
      thread: start.thread,
      scoreboard: this.#scoreboard,
      random: seededRandom(start.seed),
      ticketKeys: start.ticketKeys,
      tokenKey: start.tokenKey,
      onSignal: (signal) => this.#outbox.signal(signal),
      onEvent: (event) => this.#outbox.event(event),
      onOutcome: (outcome) => this.#access.write(outcome),
      onDrained: () => void this.#drained(),
    });
    this.#measureUtilization();
    port.on('message', (message: ToThread) => this.#take(message));
  }

  #post(message: FromThread): void {
    this.#port.postMessage(message);
  }

  #take(message: ToThread): void {
    switch (message.kind) {
      case 'snapshot':
        for (const piece of message.pieces) this.#pieces.push(piece);
        if (!this.#pumping) this.#pump();
        return;
      case 'listen':
        for (const spec of message.listeners) this.#opening.set(spec.slot, this.#listen(spec));
        return;
      case 'renew':
        void this.#renew(message.slot, message.tls);
        return;
      case 'ticket-keys':
        this.#engine.useTicketKeys(message.keys);
        return;
      case 'token-key':
        this.#engine.useTokenKey(message.key);
        return;
      case 'unlisten':
        for (const slot of message.slots) void this.#unlisten(slot);
        return;
      case 'drain':
        this.#engine.drain();
        return;
      case 'access':
        this.#access.set(message.format, message.file);
        return;
      case 'reopen-logs':
        this.#access.reopen();
        return;
      default:
        assertNever(message, 'message to a data thread');
    }
  }

  /** Works on the waiting pieces for one slice, then lets the loop turn. */
  #pump(): void {
    this.#pumping = true;
    const until = now() + sliceMs;
    try {
      while (this.#step(until)) if (now() >= until) break;
    } catch (error) {
      this.#caught('a snapshot could not be taken over, this data thread ends', error);
      this.#outbox.flush();
      process.exit(1); // ends the worker alone
    }
    this.#pumping = this.#compiling !== null || this.#pieces.length > 0;
    if (this.#pumping) setImmediate(() => this.#pump());
  }

  /** One step of the work that waits. False if there is none. */
  #step(until: number): boolean {
    if (this.#compiling !== null) {
      const slice = runSlice(this.#compiling, Math.max(0, until - now()), now);
      if (!slice.done) return true;
      this.#compiling = null;
      this.#engine.swap(slice.value);
      this.#post({ kind: 'swapped', version: slice.value.version });
      return true;
    }
    const piece = this.#pieces.shift();
    if (piece === undefined) return false;
    if (this.#pieces.length === 0) this.#post({ kind: 'taken' });
    if (this.#receiver.accept(piece)) this.#compiling = this.#receiver.compile();
    return true;
  }

  /** After another opening of the same listener that may be under way: the last one counts. */
  async #listen(spec: ListenerSpec): Promise<void> {
    await this.#opening.get(spec.slot);
    try {
      await this.#engine.listen(spec);
      this.#post({ kind: 'listening', slots: [spec.slot] });
    } catch (error) {
      const { code = 'UNKNOWN', message } = error as NodeJS.ErrnoException;
      this.#post({ kind: 'listen-failed', slot: spec.slot, code, message });
    }
  }

  /** After the opening that may be under way. */
  async #renew(slot: number, tls: ListenerSpec['tls']): Promise<void> {
    await this.#opening.get(slot);
    try {
      this.#engine.renew(slot, tls);
      this.#post({ kind: 'renewed', slot });
    } catch (error) {
      this.#post({ kind: 'listen-failed', slot, code: 'UNKNOWN', message: (error as Error).message });
    }
  }

  async #unlisten(slot: number): Promise<void> {
    await this.#engine.unlisten(slot);
    this.#post({ kind: 'unlistened', slots: [slot] });
  }

  async #drained(): Promise<void> {
    this.#outbox.flush();
    await this.#access.close();
    this.#post({ kind: 'drained' });
  }

  #openAccess(access: ThreadStart['access']): AccessWriter {
    return createAccessWriter({
      format: access.format,
      file: access.file,
      onDrop: (count) => this.#count('accessLinesDropped', count),
      onProblem: (message) =>
        this.#outbox.event({ level: 'error', event: 'access-log-failed', message, fields: { thread: this.#thread } }),
    });
  }

  #count(counter: 'accessLinesDropped' | 'eventsDropped', by: number): void {
    this.#scoreboard.counters(this.#thread)[counterRow.thread() + threadCounters.indexOf(counter)]! += by;
  }

  #caught(what: string, error: unknown): void {
    this.#scoreboard.lines[threadLine(this.#thread) + threadCell.exceptions]! += 1;
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    this.#outbox.event({
      level: 'error',
      event: 'thread-exception',
      message: `data thread ${this.#thread}: ${what}: ${message}`,
      fields: { thread: this.#thread, stack: stack ?? '' },
    });
  }

  /** Share of the last second in which the loop was busy, for metrics. */
  #measureUtilization(): void {
    let last = performance.eventLoopUtilization();
    setInterval(() => {
      const present = performance.eventLoopUtilization();
      const share = performance.eventLoopUtilization(present, last).utilization;
      last = present;
      this.#scoreboard.lines[threadLine(this.#thread) + threadCell.utilization] = Math.round(share * 1000);
    }, 1000).unref();
  }
}
