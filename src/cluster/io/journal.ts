/**
 * The journal as the control thread sees it: persists go in, their tickets come back when they are on disk, at any
 * later time. A slow disk delays tickets, and nothing else.
 *
 *   write(persist) --thread--> one transaction for all that wait --> onDurable(ticket)
 *                                        `-- fails --> onFatal(error), once, and no ticket ever again
 *
 * After onFatal the process must end: it can't know what is on disk, so it must not vote or acknowledge.
 */
import { Worker } from 'node:worker_threads';
import type { Millis } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { JournalError, type JournalStats, type JournalWrite, type Restored } from './journal-model.ts';
import { type FromJournal, packWrite, type ToJournal } from './journal-wire.ts';

export interface JournalOptions {
  /** The data folder; made if it is not there. */
  readonly path: string;
  onDurable(ticket: number): void;
  onFatal(error: JournalError): void;
}

export class Journal {
  readonly restored: Restored;
  readonly #worker: Worker;
  readonly #options: JournalOptions;
  /** Tickets that wait, and since when; in the order of their writing. */
  readonly #waiting = new Map<number, Millis>();
  #stats: JournalStats = { commits: 0, persists: 0, checkpoints: 0, lastCommitMs: 0, slowestCommitMs: 0 };
  #state: 'open' | 'closing' | 'dead' = 'open';
  #closed: (() => void) | null = null;

  private constructor(options: JournalOptions, worker: Worker, restored: Restored) {
    this.#options = options;
    this.#worker = worker;
    this.restored = restored;
    worker.on('message', (message: FromJournal) => this.#heard(message));
    worker.on('error', (error) => this.#fatal(new JournalError('io', `the journal's thread failed: ${String(error)}`)));
    worker.on('exit', () => this.#exited());
  }

  /** Locks the folder, checks all that is there, raises the boot number. Refused with what to do. */
  static open(options: JournalOptions): Promise<Result<Journal, JournalError>> {
    const worker = new Worker(entry(), { workerData: { path: options.path }, name: 'journal' });
    return new Promise((resolve) => {
      // Only listeners by their names: the worker has some of its own, by which messages come at all.
      const failed = (error: unknown): void =>
        refused(new JournalError('io', `the journal's thread failed: ${String(error)}`));
      const refused = (error: JournalError): void => {
        worker.off('error', failed);
        void worker.terminate().then(() => resolve(err(error)));
      };
      worker.once('error', failed);
      worker.once('message', (message: FromJournal) => {
        if (message.kind === 'fault') return refused(new JournalError(message.code, message.message));
        worker.off('error', failed);
        if (message.kind === 'opened') resolve(ok(new Journal(options, worker, message.restored)));
      });
    });
  }

  get stats(): JournalStats {
    return this.#stats;
  }

  /** When the oldest persist that is not on disk yet was given; null if none waits. Of performance.now(). */
  get waitingSince(): Millis | null {
    const first = this.#waiting.values().next();
    return first.done === true ? null : first.value;
  }

  /** A ticket is of one persist, and may come back before that of an earlier one. */
  write(persist: JournalWrite): void {
    if (this.#state !== 'open') return;
    this.#waiting.set(persist.ticket, performance.now());
    const packed = packWrite(persist);
    this.#worker.postMessage(packed satisfies ToJournal, [packed.bytes.buffer]);
  }

  #heard(message: FromJournal): void {
    if (message.kind === 'fault') return this.#fatal(new JournalError(message.code, message.message));
    if (message.kind === 'closed') return this.#closed?.();
    if (message.kind !== 'durable' || this.#state === 'dead') return;
    this.#stats = message.stats;
    for (const ticket of message.tickets) {
      this.#waiting.delete(ticket);
      this.#options.onDurable(ticket);
    }
  }

  #fatal(error: JournalError): void {
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    this.#closed?.();
    this.#options.onFatal(error);
  }

  #exited(): void {
    if (this.#state === 'open') this.#fatal(new JournalError('io', "the journal's thread ended by itself"));
    this.#closed?.();
  }

  /** Writes what was given, marks the journal as closed, lets go of the folder. */
  async close(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    await new Promise<void>((resolve) => {
      this.#closed = resolve;
      this.#worker.postMessage({ kind: 'close' } satisfies ToJournal);
    });
    await this.#worker.terminate();
  }
}

/** The published files are .js. */
function entry(): URL {
  const source = new URL('./journal-worker.ts', import.meta.url);
  return import.meta.url.endsWith('.ts') ? source : new URL(source.href.replace(/\.ts$/, '.js'));
}
