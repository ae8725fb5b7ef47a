/**
 * The journal's thread. While one sync runs, further persists gather in the port; all that are there go into the next
 * transaction. So the slower the disk, the larger the groups, and no timer is needed to form them.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { JournalError } from './journal-model.ts';
import { JournalStore } from './journal-store.ts';
import { type FromJournal, type PackedWrite, type ToJournal, unpackWrite } from './journal-wire.ts';

/** A transaction is not made larger than this many persists. */
const groupMax = 1024;

const port = parentPort;
if (port === null) throw new Error('journal-worker.ts is the entry of a worker thread');
const { path } = workerData as { readonly path: string };
const say = (message: FromJournal): void => port.postMessage(message);

let store: JournalStore | null = null;
let stepping = false;

/** After the first fault nothing is written or acknowledged any more. */
function fault(error: unknown): void {
  const known = error instanceof JournalError ? error : new JournalError('io', String(error));
  const failed = store;
  store = null;
  port?.removeAllListeners('message');
  say({ kind: 'fault', code: known.code, message: known.message });
  failed?.close();
  port?.close();
}

function gather(first: ToJournal): { readonly writes: PackedWrite[]; readonly close: boolean } {
  const writes: PackedWrite[] = [];
  let next: ToJournal | undefined = first;
  while (next !== undefined) {
    if (next.kind === 'close') return { writes, close: true };
    writes.push(next);
    if (writes.length >= groupMax || port === null) break;
    next = receiveMessageOnPort(port)?.message as ToJournal | undefined;
  }
  return { writes, close: false };
}

function done(tickets: readonly number[]): void {
  if (store !== null && tickets.length > 0) say({ kind: 'durable', tickets, stats: store.stats });
}

function step(): void {
  stepping = false;
  if (store === null) return;
  try {
    done(store.background());
    arm();
  } catch (error) {
    fault(error);
  }
}

function arm(): void {
  if (stepping || store?.busy !== true) return;
  stepping = true;
  setImmediate(step);
}

function handle(first: ToJournal): void {
  if (store === null) return;
  try {
    const { writes, close } = gather(first);
    if (writes.length > 0) done(store.commit(writes.map(unpackWrite)));
    if (!close) return arm();
    while (store.busy) done(store.background());
    store.close();
    store = null;
    say({ kind: 'closed' });
    port?.close();
  } catch (error) {
    fault(error);
  }
}

try {
  store = JournalStore.open(path);
  say({ kind: 'opened', restored: store.restored });
  port.on('message', handle);
} catch (error) {
  fault(error);
}
