/**
 * Opens and closes listeners in all data threads, now and in those to come.
 *
 * A listener is open when every thread that should have it says so. The first opening of one is all or nothing; later,
 * a thread that cannot open it (the port of a single thread was taken while it was being started again) is asked again
 * each second, and that is said once.
 */
import type { Millis } from '../base/ids.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { ListenerSpec } from '../routing/snapshot.ts';
import type { Conditions } from './conditions.ts';
import { ListenerTable } from './listeners.ts';
import type { Log } from './log.ts';
import type { FromThread } from './messages.ts';
import type { DataThread } from './thread.ts';

export interface ListenFailure {
  readonly slot: number;
  readonly code: string;
  readonly message: string;
}

export interface ListenOptions {
  /** After a failure all stay wanted, and what failed is tried again each second. */
  readonly keepTrying?: boolean;
}

export interface ListeningSeat {
  readonly number: number;
  readonly current: DataThread | null;
}

export interface ListeningOptions {
  readonly log: Log;
  readonly seats: () => readonly ListeningSeat[];
  /** All threads that have not ended: replacements and draining ones, too. */
  readonly living: () => readonly DataThread[];
  /** Checked by the owner after each message and each end of a thread. */
  readonly conditions: Conditions;
}

const answerDeadline: Millis = 15_000;
const unanswered = { code: 'ETIMEDOUT', message: 'the data threads did not answer in time' } as const;

export class Listening {
  readonly #options: ListeningOptions;
  readonly #table: ListenerTable;
  readonly #failures = new Map<number, ListenFailure>();
  /** Slots that open() or renew() waits for: it tells its caller of a failure, nobody else need. */
  readonly #awaited = new Set<number>();

  constructor(options: ListeningOptions) {
    this.#options = options;
    this.#table = new ListenerTable(options.log);
  }

  /** If one fails, none of these stays open, unless `keepTrying` is set. */
  async open(specs: readonly ListenerSpec[], options: ListenOptions): Promise<Result<null, ListenFailure>> {
    const slots = specs.map(({ slot }) => slot);
    for (const spec of specs) this.#expect(spec);
    for (const { number, current } of this.#options.seats()) this.ask(number, current);
    const open = (): boolean => slots.every((slot) => this.isOpen(slot));
    await this.#options.conditions.until(() => this.#failure(slots) !== undefined || open(), answerDeadline);
    for (const slot of slots) this.#awaited.delete(slot);
    const failure = this.#failure(slots);
    if (failure === undefined && open()) return ok(null);
    if (options.keepTrying !== true) await this.close(slots);
    return err(failure ?? { ...unanswered, slot: slots.find((slot) => !this.isOpen(slot)) ?? -1 });
  }

  /** Gives an open listener other certificates, or makes it plain or encrypted. Open connections stay as they are. */
  async renew(spec: ListenerSpec): Promise<Result<null, ListenFailure>> {
    const { slot, address, reusePort } = spec;
    if (spec.tls !== null && this.#table.get(slot)?.tls) return this.#renewInPlace(spec);
    if (address.kind === 'tcp' && !reusePort) {
      await this.close([slot]); // the port has room for one
      return this.open([spec], { keepTrying: true });
    }
    this.#expect(spec);
    // One that is just opening it as it was opens it anew, too.
    const has = (thread: DataThread): boolean => thread.open.has(slot) || thread.asked.has(slot);
    const threads = this.#options.living().filter((thread) => has(thread) && thread.phase === 'running');
    for (const thread of threads) thread.post({ kind: 'listen', listeners: [this.#table.specFor(spec, thread.row)] });
    return this.#answers(slot, threads);
  }

  /** No socket is touched. */
  async #renewInPlace(spec: ListenerSpec): Promise<Result<null, ListenFailure>> {
    const { slot, tls } = spec;
    this.#expect(spec);
    const has = (thread: DataThread): boolean => thread.open.has(slot) || thread.asked.has(slot);
    const threads = this.#options.living().filter(has);
    for (const thread of threads) thread.post({ kind: 'renew', slot, tls });
    return this.#answers(slot, threads);
  }

  async #answers(slot: number, threads: readonly DataThread[]): Promise<Result<null, ListenFailure>> {
    const all = await this.#forEach(threads, (thread) => !thread.asked.has(slot));
    this.#awaited.delete(slot);
    const failure = this.#failure([slot]) ?? (all ? undefined : { ...unanswered, slot });
    return failure === undefined ? ok(null) : err(failure);
  }

  /** Connections of a closed listener live on. */
  async close(slots: readonly number[]): Promise<void> {
    for (const slot of slots) this.#table.remove(slot);
    const threads = [...this.#options.living()];
    for (const thread of threads) thread.post({ kind: 'unlisten', slots });
    // One that is just being opened says so later, and is then told to close it (opened() below).
    const closed = (thread: DataThread): boolean =>
      slots.every((slot) => !thread.open.has(slot) && !thread.asked.has(slot));
    await this.#forEach(threads, closed);
  }

  /** Closes every listener. */
  closeAll(): Promise<void> {
    return this.close(this.#table.slots());
  }

  /** Whether each thread that runs has it open (a unix socket: the first seat's). */
  isOpen(slot: number): boolean {
    const seats = this.#options
      .seats()
      .filter((seat) => this.#table.wanted(seat.number).some((one) => one.slot === slot));
    const running = seats.flatMap(({ current }) => (current === null || current.phase === 'starting' ? [] : [current]));
    return running.length > 0 && running.every((thread) => thread.open.has(slot));
  }

  /** Whether the thread has all that a thread of this seat should have, or at least what the one before it has. */
  complete(seat: number, thread: DataThread, before: DataThread | null): boolean {
    const has = ({ slot }: ListenerSpec): boolean => thread.open.has(slot) || before?.open.has(slot) === false;
    return this.#table.wanted(seat).every(has);
  }

  /** Asks the thread for what it should have open and has not. */
  ask(seat: number, thread: DataThread | null): void {
    if (thread === null || thread.phase !== 'running') return;
    const missing = this.#table.wanted(seat).filter(({ slot }) => !thread.open.has(slot) && !thread.asked.has(slot));
    const listeners = missing.map((spec) => this.#table.specFor(spec, thread.row));
    if (listeners.length > 0) thread.post({ kind: 'listen', listeners });
  }

  /** A thread listens. If that is no longer wanted (it was asked before), it is told so. */
  opened(thread: DataThread, slots: readonly number[]): void {
    const unwanted = slots.filter((slot) => !this.#table.has(slot));
    if (unwanted.length > 0) thread.post({ kind: 'unlisten', slots: unwanted });
    for (const slot of slots) {
      this.#failures.delete(slot);
      this.#table.opened(slot, thread.row);
    }
  }

  failed(thread: DataThread, { slot, code, message }: Extract<FromThread, { kind: 'listen-failed' }>): void {
    const told = this.#awaited.has(slot) || this.#failures.has(slot);
    this.#failures.set(slot, { slot, code, message });
    if (told) return;
    const what = `data thread ${thread.row} cannot listen on ${this.#table.nameOf(slot)}: ${message}`;
    this.#options.log.error(`${what}; tried again each second`, { event: 'listen-failed', thread: thread.row, code });
  }

  /** Removes what is left of them in the file system. All threads have ended. */
  end(): void {
    this.#table.close();
  }

  #expect(spec: ListenerSpec): void {
    this.#failures.delete(spec.slot);
    this.#awaited.add(spec.slot);
    this.#table.add(spec);
  }

  #failure(slots: readonly number[]): ListenFailure | undefined {
    return slots.map((slot) => this.#failures.get(slot)).find((failure) => failure !== undefined);
  }

  /** Until it holds for each of the threads that have not ended meanwhile. */
  #forEach(threads: readonly DataThread[], holds: (thread: DataThread) => boolean): Promise<boolean> {
    const { conditions, living } = this.#options;
    const done = (): boolean => {
      const alive = new Set(living());
      return threads.every((thread) => !alive.has(thread) || holds(thread));
    };
    return conditions.until(done, answerDeadline);
  }
}
