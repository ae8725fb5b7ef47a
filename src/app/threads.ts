/**
 * The data threads: as many as there are seats, each in a worker of its own.
 *
 *   seat -- current: the thread that serves it
 *        -- next:    its replacement, until that listens; then it is current and the old one is leaving
 *        -- or none: it died, and a timer will start another (after 0, 1, 2, ... 30 s; a minute of life forgives)
 *   leaving: threads that drain (replaced, or too many after `workers` was lowered) until their last client is gone
 *
 * A thread has a row in the scoreboard; there are more rows than seats, so that a replacement can listen before the old
 * thread stops. When a thread has ended, what it had counted in flight is taken back before its row is used again.
 * Whatever happens to one thread, nothing is said to the others.
 *
 * Not handled here: an end of the whole process (a native abort), which is the supervisor's business.
 */
import { randomBytes } from 'node:crypto';
import type { Millis } from '../base/ids.ts';
import type { Result } from '../base/result.ts';
import type { ObservedThread } from '../observe/source.ts';
import type { EngineEvent, NodeSignal } from '../proxy/outcome.ts';
import type { ListenerSpec, SnapshotPiece } from '../routing/snapshot.ts';
import { threadCell } from '../scoreboard/layout.ts';
import { type Scoreboard, threadLine } from '../scoreboard/scoreboard.ts';
import { Conditions } from './conditions.ts';
import { type ListenFailure, Listening, type ListenOptions } from './listening.ts';
import type { Log } from './log.ts';
import type { FromThread, ThreadStart } from './messages.ts';
import { DataThread } from './thread.ts';
import { exceptionBound, hangMs } from './watchdog.ts';

export interface ThreadPoolOptions {
  /** With twice as many rows as `workers`: each thread may have a replacement beside it. */
  readonly scoreboard: Scoreboard;
  readonly workers: number;
  /** Whether several threads may listen on one port; else `workers` is 1. */
  readonly sharedPorts: boolean;
  readonly access: ThreadStart['access'];
  /** Of TLS sessions, for all threads. */
  readonly ticketKeys: Uint8Array;
  /** Of tokens of reads after writes, for all threads, 32 bytes; default: random ones, which no other member has. */
  readonly tokenKey?: Uint8Array;
  readonly log: Log;
  /** The messages that bring a new thread to what was published last. */
  readonly full: () => readonly (readonly SnapshotPiece[])[];
  readonly onSignals: (signals: readonly NodeSignal[]) => void;
  readonly onEvents: (events: readonly EngineEvent[]) => void;
  /** A thread has taken a snapshot over. */
  readonly onSwapped: () => void;
  /** Of the workers; default: the engine's. */
  readonly entry?: URL;
}

interface Seat {
  readonly number: number;
  /** The row last used; shown while no thread has it. */
  row: number;
  current: DataThread | null;
  next: DataThread | null;
  /** Deaths without a minute of life between. */
  deaths: number;
  restarts: number;
  timer: NodeJS.Timeout | null;
  /** No replacement before this: the last one died. */
  replaceAfter: Millis;
}

const lookEvery: Millis = 1000;
const forgivenAfter: Millis = 60_000;
const restartDelayMax: Millis = 30_000;
const startDeadline: Millis = 60_000;
const swapDeadline: Millis = 15_000;

export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #scoreboard: Scoreboard;
  readonly #log: Log;
  readonly #entry: URL;
  readonly #listening: Listening;
  readonly #seats: Seat[] = [];
  readonly #leaving = new Set<DataThread>();
  readonly #rowsInUse = new Set<number>();
  readonly #conditions = new Conditions();
  #access: ThreadStart['access'];
  #ticketKeys: Uint8Array;
  #tokenKey: Uint8Array;
  #watch: NodeJS.Timeout | null = null;
  #ending = false;
  #seeds = (Math.random() * 0x7fffffff) | 0;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
    this.#scoreboard = options.scoreboard;
    this.#log = options.log;
    this.#access = options.access;
    this.#ticketKeys = options.ticketKeys;
    this.#tokenKey = options.tokenKey ?? randomBytes(32);
    this.#entry = options.entry ?? ownEntry();
    this.#listening = new Listening({
      log: options.log,
      seats: () => this.#seats,
      living: () => this.#living(),
      conditions: this.#conditions,
    });
  }

  /** Resolves when every thread has its first snapshot in force; false if that took too long. */
  start(): Promise<boolean> {
    this.#watch = setInterval(() => this.#look(), lookEvery).unref();
    this.resize(this.#options.workers);
    return this.#conditions.until(() => this.#seats.every((seat) => (seat.current?.version ?? 0) > 0), startDeadline);
  }

  /** Sends a snapshot to all. Resolves when it is in force in each thread that lives; false after the deadline. */
  publish(messages: readonly (readonly SnapshotPiece[])[], version: number): Promise<boolean> {
    const threads = this.#living();
    for (const thread of threads) thread.publish(messages);
    return this.#conditions.until(
      () => threads.every((one) => one.version >= version || !this.#lives(one)),
      swapDeadline,
    );
  }

  /** Opens listeners in every thread, now and in those to come. */
  listen(specs: readonly ListenerSpec[], options: ListenOptions = {}): Promise<Result<null, ListenFailure>> {
    return this.#listening.open(specs, options);
  }

  /** Gives an open listener other certificates, or makes it plain or encrypted. */
  renew(spec: ListenerSpec): Promise<Result<null, ListenFailure>> {
    return this.#listening.renew(spec);
  }

  /** Closes listeners in every thread; their connections live on. */
  unlisten(slots: readonly number[]): Promise<void> {
    return this.#listening.close(slots);
  }

  /** Whether each thread that runs has the listener open. */
  isOpen(slot: number): boolean {
    return this.#listening.isOpen(slot);
  }

  /** More threads, or fewer: those too many drain. */
  resize(workers: number): void {
    while (this.#seats.length > workers) this.#vacate(this.#seats.pop()!);
    while (this.#seats.length < workers) {
      const number = this.#seats.length;
      const seat = {
        number,
        row: number,
        current: null,
        next: null,
        deaths: 0,
        restarts: 0,
        timer: null,
        replaceAfter: 0,
      };
      this.#seats.push(seat);
      this.#fill(seat);
    }
  }

  setAccess(access: ThreadStart['access']): void {
    this.#access = access;
    for (const thread of this.#living()) thread.post({ kind: 'access', ...access });
  }

  useTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = keys;
    for (const thread of this.#living()) thread.post({ kind: 'ticket-keys', keys });
  }

  /** Tokens of another key are as good as forged from now on: their reads go to the primary. */
  useTokenKey(key: Uint8Array): void {
    this.#tokenKey = key;
    for (const thread of this.#living()) thread.post({ kind: 'token-key', key });
  }

  reopenLogs(): void {
    for (const thread of this.#living()) thread.post({ kind: 'reopen-logs' });
  }

  /** The oldest snapshot version that an exchange of any thread may still hold. */
  oldestHeld(): number {
    const held = this.#living().map((thread) => this.#cell(thread, threadCell.oldestHeld));
    return held.length === 0 ? 0 : Math.min(...held);
  }

  /** Open client connections. */
  connections(): number {
    return this.#living().reduce((sum, thread) => sum + this.#cell(thread, threadCell.connections), 0);
  }

  states(): ObservedThread[] {
    const states: ObservedThread[] = [];
    for (const { row, current, next, restarts } of this.#seats) {
      if (current === null) states.push({ thread: row, state: 'waiting', restarts, heartbeatAge: 0 });
      for (const thread of [current, next]) if (thread !== null) states.push(observed(thread, restarts));
    }
    for (const thread of this.#leaving) states.push({ ...observed(thread, 0), state: 'draining' });
    return states.sort((a, b) => a.thread - b.thread);
  }

  /** Ends the thread in a row of the scoreboard at once, as a crash would. It is started again. */
  async terminate(row: number): Promise<void> {
    const thread = this.#living().find((one) => one.row === row);
    if (thread !== undefined) await thread.terminate('it was terminated by request');
  }

  /**
   * Stops accepting, answers what is under way; resolves true when no client connection is left, false if close() came
   * before. Nothing is started again. All listeners of all threads close before the first client is told to go: it would
   * come back on a new connection, and what the kernel has queued on a listener that closes is reset.
   */
  async drain(): Promise<boolean> {
    this.#stopRestarts();
    await this.#listening.closeAll();
    const threads = this.#living();
    for (const thread of threads) thread.post({ kind: 'drain' });
    return this.#conditions.until(() => threads.every((thread) => thread.drained || !this.#lives(thread)), null);
  }

  /** Ends every thread at once. */
  async close(): Promise<void> {
    this.#stopRestarts();
    await Promise.all(this.#living().map((thread) => thread.terminate('')));
    this.#listening.end();
    this.#conditions.end();
  }

  #stopRestarts(): void {
    this.#ending = true;
    if (this.#watch !== null) clearInterval(this.#watch);
    for (const seat of this.#seats) if (seat.timer !== null) clearTimeout(seat.timer);
  }

  #living(): DataThread[] {
    const seated = this.#seats.flatMap(({ current, next }) => [current, next]);
    return [...seated, ...this.#leaving].filter((thread) => thread !== null);
  }

  #lives(thread: DataThread): boolean {
    return this.#leaving.has(thread) || this.#seatOf(thread) !== undefined;
  }

  #seatOf(thread: DataThread): Seat | undefined {
    return this.#seats.find((seat) => seat.current === thread || seat.next === thread);
  }

  #cell(thread: DataThread, cell: number): number {
    return this.#scoreboard.lines[threadLine(thread.row) + cell]!;
  }

  /** Starts the seat's thread. */
  #fill(seat: Seat): void {
    seat.timer = null;
    const row = this.#takeRow(seat.row, seat);
    if (row === null) {
      this.#fillLater(seat, lookEvery);
      return;
    }
    seat.row = row;
    seat.current = this.#launch(row);
  }

  #fillLater(seat: Seat, delay: Millis): void {
    seat.timer = setTimeout(() => this.#fill(seat), delay);
  }

  #launch(row: number): DataThread {
    const thread = new DataThread({
      start: this.#startOf(row),
      entry: this.#entry,
      now: () => performance.now(),
      onMessage: (from, message) => this.#take(from, message),
      onExit: (from, reason) => this.#exited(from, reason),
    });
    thread.publish(this.#options.full());
    return thread;
  }

  #startOf(row: number): ThreadStart {
    const { buffers } = this.#scoreboard;
    return {
      thread: row,
      buffers,
      seed: this.#seeds++,
      access: this.#access,
      ticketKeys: this.#ticketKeys,
      tokenKey: this.#tokenKey,
    };
  }

  /**
   * A free row, the preferred one if it is, and none under which another seat, without a thread now, is shown if there is another. null:
   * all are in use, by threads that drain. While another thread serves, they are waited for; when none does, the one that
   * has drained longest makes room.
   */
  #takeRow(preferred: number, seat: Seat): number | null {
    const rows = [preferred, ...Array.from({ length: this.#scoreboard.threads }, (_, row) => row)];
    const free = rows.filter((each) => !this.#rowsInUse.has(each));
    const waiting = this.#seats.filter((other) => other !== seat && other.current === null);
    const row = free.find((each) => waiting.every((other) => other.row !== each)) ?? free[0];
    if (row !== undefined) {
      this.#rowsInUse.add(row);
      return row;
    }
    const [oldest] = this.#leaving;
    const served = this.#seats.some(({ current }) => current?.phase === 'running');
    if (!served) void oldest?.terminate('its row in the scoreboard is needed for a new thread');
    return null;
  }

  #take(thread: DataThread, message: FromThread): void {
    switch (message.kind) {
      case 'signals':
        this.#options.onSignals(message.signals);
        return;
      case 'events':
        this.#options.onEvents(message.events);
        return;
      case 'swapped':
        this.#swapped(thread);
        break;
      case 'listening':
        // Perhaps it was asked before it had to leave.
        if (this.#leaving.has(thread)) thread.post({ kind: 'unlisten', slots: message.slots });
        else this.#listening.opened(thread, message.slots);
        break;
      case 'listen-failed':
        this.#listening.failed(thread, message);
        break;
      case 'unlistened':
        this.#unlistened(thread);
        break;
      case 'drained':
        // After a drain of the whole process, close() ends the threads.
        if (this.#leaving.has(thread)) void thread.terminate('');
        break;
    }
    this.#promote(thread);
    this.#conditions.check();
  }

  #swapped(thread: DataThread): void {
    const seat = this.#seatOf(thread);
    const waits = seat?.next === thread && !this.#options.sharedPorts;
    if (seat !== undefined && !waits && !this.#ending) this.#listening.ask(seat.number, thread);
    this.#options.onSwapped();
  }

  /** A leaving thread has closed its listeners: it drains, and where ports are not shared, its successor can listen. */
  #unlistened(thread: DataThread): void {
    if (!this.#leaving.has(thread) || thread.open.size > 0) return;
    thread.post({ kind: 'drain' });
    if (!this.#ending) for (const { number, current } of this.#seats) this.#listening.ask(number, current);
  }

  /**
   * A replacement that has all listeners open takes the seat; the old thread drains. Where ports are not shared it takes
   * the seat first, and listens once the old one has closed.
   */
  #promote(thread: DataThread): void {
    const seat = this.#seatOf(thread);
    if (seat === undefined || seat.next !== thread || thread.phase !== 'running') return;
    const old = seat.current;
    if (this.#options.sharedPorts && !this.#listening.complete(seat.number, thread, old)) return;
    seat.current = thread;
    seat.next = null;
    seat.row = thread.row;
    if (old !== null) this.#leave(old);
  }

  /** Closes its listeners first, as drain() does, then lets its clients go. */
  #leave(thread: DataThread): void {
    this.#leaving.add(thread);
    const slots = [...thread.open];
    if (slots.length > 0) thread.post({ kind: 'unlisten', slots });
    else thread.post({ kind: 'drain' });
  }

  #vacate(seat: Seat): void {
    if (seat.timer !== null) clearTimeout(seat.timer);
    for (const thread of [seat.current, seat.next]) if (thread !== null) this.#leave(thread);
  }

  #exited(thread: DataThread, reason: string): void {
    const cut = this.#scoreboard.repair(thread.row);
    this.#rowsInUse.delete(thread.row);
    const seat = this.#seatOf(thread);
    const left = this.#leaving.delete(thread);
    if (this.#ending || (left && thread.drained)) this.#removeFrom(seat, thread);
    else if (left) this.#log.warn(`data thread ${thread.row} ended before it had drained: ${reason}`, { cut });
    else if (seat !== undefined) this.#died(seat, thread, `${reason}; ${cut} requests in flight were cut`);
    this.#conditions.check();
  }

  #removeFrom(seat: Seat | undefined, thread: DataThread): void {
    if (seat?.current === thread) seat.current = null;
    if (seat?.next === thread) seat.next = null;
  }

  #died(seat: Seat, thread: DataThread, reason: string): void {
    const wasCurrent = seat.current === thread;
    this.#removeFrom(seat, thread);
    if (!wasCurrent) {
      seat.replaceAfter = performance.now() + restartDelayMax;
      this.#log.error(`data thread ${thread.row}, a replacement, died: ${reason}; the old one serves on`);
      return;
    }
    if (performance.now() - thread.startedAt >= forgivenAfter) seat.deaths = 0;
    const delay = Math.min(restartDelayMax, seat.deaths * 1000);
    seat.deaths++;
    seat.restarts++;
    const again = delay === 0 ? 'another is started now' : `another is started in ${delay / 1000} s`;
    this.#log.error(`data thread ${thread.row} died: ${reason}; ${again}, the others serve on`, {
      event: 'thread-died',
      thread: thread.row,
      restarts: seat.restarts,
    });
    if (seat.next !== null) {
      seat.current = seat.next;
      seat.next = null;
      seat.row = seat.current.row;
    } else if (delay === 0) this.#fill(seat);
    else this.#fillLater(seat, delay);
  }

  /** Once a second: who hangs, who is sick, and which listeners are still missing. */
  #look(): void {
    const now = performance.now();
    for (const thread of this.#living()) {
      if (thread.phase === 'starting') {
        if (now - thread.startedAt > startDeadline) void thread.terminate('it did not start within a minute');
        continue;
      }
      const exceptions = this.#cell(thread, threadCell.exceptions);
      const finding = thread.watchdog.look(now, this.#cell(thread, threadCell.heartbeat), exceptions);
      if (finding === 'hung') void thread.terminate(`it hung: its heartbeat stood still for ${hangMs / 1000} s`);
      else if (finding === 'sick') this.#replace(thread);
    }
    for (const { number, current, next } of this.#seats) {
      this.#listening.ask(number, current);
      // What it could not open, or what a reload has added since it was asked.
      if (this.#options.sharedPorts) this.#listening.ask(number, next);
    }
  }

  #replace(thread: DataThread): void {
    const seat = this.#seats.find((each) => each.current === thread);
    if (seat === undefined || seat.next !== null || performance.now() < seat.replaceAfter) return;
    const row = this.#takeRow((seat.row + this.#seats.length) % this.#scoreboard.threads, seat);
    if (row === null) return;
    this.#log.error(
      `data thread ${thread.row} caught more than ${exceptionBound} exceptions in a minute; thread ${row} takes its place`,
      { event: 'thread-replaced', thread: thread.row, by: row },
    );
    seat.next = this.#launch(row);
  }
}

const observed = (thread: DataThread, restarts: number): ObservedThread => ({
  thread: thread.row,
  state: thread.phase,
  restarts,
  heartbeatAge: thread.watchdog.stoodFor,
});

/** data-thread.ts beside this file, or what it was compiled to. */
function ownEntry(): URL {
  const source = new URL('./data-thread.ts', import.meta.url);
  return import.meta.url.endsWith('.ts') ? source : new URL(source.href.replace(/\.ts$/, '.js'));
}
