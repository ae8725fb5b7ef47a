/**
 * One data thread as the control thread sees it: a worker, the snapshots on their way to it, and what it has said.
 *
 *   starting --first `swapped`--> running --drain()--> draining --> exit        (exit may come at any time)
 *
 * Messages of a snapshot are paced: the next is posted when the last has been worked on, since a port hands over all
 * that waits in it in one turn, and a big reload would stop traffic for that long.
 */
import { Worker } from 'node:worker_threads';
import type { Millis } from '../base/ids.ts';
import type { SnapshotPiece } from '../routing/snapshot.ts';
import type { FromThread, ThreadStart, ToThread } from './messages.ts';
import { Watchdog } from './watchdog.ts';

export interface DataThreadEvents {
  readonly onMessage: (thread: DataThread, message: FromThread) => void;
  /** The worker has ended; `reason` in words. */
  readonly onExit: (thread: DataThread, reason: string) => void;
}

export interface DataThreadOptions extends DataThreadEvents {
  readonly start: ThreadStart;
  readonly entry: URL;
  readonly now: () => Millis;
}

/** Old generation of a data thread's heap. Bytes in buffers are outside; the engine bounds those. */
const heapMiB = 512;

export class DataThread {
  /** Row in the scoreboard. */
  readonly row: number;
  readonly startedAt: Millis;
  readonly watchdog: Watchdog;
  phase: 'starting' | 'running' | 'draining' = 'starting';
  /** Version of the snapshot in force; 0 before the first. */
  version = 0;
  /** No client connection is left. */
  drained = false;
  /** Slots of the listeners that are open. */
  readonly open = new Set<number>();
  /** Listeners to open or renew, not yet answered. */
  readonly asked = new Set<number>();
  readonly #worker: Worker;
  readonly #outgoing: (readonly SnapshotPiece[])[] = [];
  #untaken = 0;
  #endedWhy: string | null = null;
  #error: Error | null = null;

  constructor(options: DataThreadOptions) {
    this.row = options.start.thread;
    this.startedAt = options.now();
    this.watchdog = new Watchdog(this.startedAt);
    this.#worker = new Worker(options.entry, {
      workerData: options.start,
      name: `data-${this.row}`,
      resourceLimits: { maxOldGenerationSizeMb: heapMiB },
    });
    this.#worker.on('message', (message: FromThread) => {
      this.#note(message);
      options.onMessage(this, message);
    });
    this.#worker.on('error', (error) => {
      this.#error = error instanceof Error ? error : new Error(String(error));
    });
    this.#worker.on('exit', (code) => options.onExit(this, this.#reason(code)));
  }

  post(message: Exclude<ToThread, { kind: 'snapshot' }>): void {
    if (message.kind === 'listen') for (const { slot } of message.listeners) this.asked.add(slot);
    if (message.kind === 'renew') this.asked.add(message.slot);
    if (message.kind === 'drain') this.phase = 'draining';
    this.#worker.postMessage(message);
  }

  /** Sends the messages of a snapshot, after those under way. */
  publish(messages: readonly (readonly SnapshotPiece[])[]): void {
    this.#outgoing.push(...messages);
    this.#sendNext();
  }

  /** Ends the worker, wherever it is. `why` goes into the reason of its exit. */
  async terminate(why: string): Promise<void> {
    this.#endedWhy ??= why;
    await this.#worker.terminate();
  }

  #sendNext(): void {
    if (this.#untaken > 0) return;
    const pieces = this.#outgoing.shift();
    if (pieces === undefined) return;
    this.#untaken++;
    this.#worker.postMessage({ kind: 'snapshot', pieces } satisfies ToThread);
  }

  #note(message: FromThread): void {
    switch (message.kind) {
      case 'taken':
        this.#untaken--;
        this.#sendNext();
        return;
      case 'swapped':
        this.version = message.version;
        if (this.phase === 'starting') this.phase = 'running';
        return;
      case 'listening':
        for (const slot of message.slots) {
          this.asked.delete(slot);
          this.open.add(slot);
        }
        return;
      case 'renewed':
      case 'listen-failed':
        this.asked.delete(message.slot);
        return;
      case 'unlistened':
        for (const slot of message.slots) this.open.delete(slot);
        return;
      case 'drained':
        this.drained = true;
        return;
      default:
        return;
    }
  }

  #reason(code: number): string {
    if (this.#endedWhy !== null) return this.#endedWhy;
    const error = this.#error as NodeJS.ErrnoException | null;
    if (error?.code === 'ERR_WORKER_OUT_OF_MEMORY') return `its heap grew over ${heapMiB} MiB`;
    if (error !== null) return `${error.name}: ${error.message}`;
    return `it exited with code ${code}`;
  }
}
