/** One of several threads that hammer the table of client addresses. */
import { parentPort, workerData } from 'node:worker_threads';
import { seededRandom } from '../../src/base/random.ts';
import { counterRow, Scoreboard, type ScoreboardBuffers, threadLine } from '../../src/scoreboard/scoreboard.ts';

export interface ClientsStart {
  readonly thread: number;
  readonly buffers: ScoreboardBuffers;
  /**
   * requests: each round one request. connections: opens and closes by chance, then closes all. forever: thread 0 opens
   * and closes without end, the others open one connection of each address and say so.
   */
  readonly what: 'requests' | 'connections' | 'forever';
  readonly rounds: number;
  /** Of requests at once, or of open connections. */
  readonly burst: number;
  /** Addresses 1 to keys. */
  readonly keys: number;
  /** Per address: connections that are known to be open, by all threads. */
  readonly open: SharedArrayBuffer;
}

const now = 1_000_000;
const { thread, buffers, what, rounds, burst, keys, open } = workerData as ClientsStart;
const known = new Int32Array(open);
const board = Scoreboard.attach(buffers);
const clients = board.clients(thread);
const random = seededRandom(thread + 1);
const rules = { connections: burst, newConnections: null, requests: null };
const key = (): { high: number; low: number } => ({ high: -1, low: 1 + random.below(keys) });

function requests(): number {
  let taken = 0;
  for (let i = 0; i < rounds; i++) if (clients.request(key(), { interval: 1000, burst }, now) === 0) taken++;
  return taken;
}

/**
 * The most that were ever open at once. Each is counted after it was opened and until it is closed, so that none of them is
 * too many: openOf() adds up cells that others change meanwhile.
 */
function connections(): number {
  const held: { readonly entry: number; readonly low: number }[] = [];
  const close = ({ entry, low }: (typeof held)[number]): void => {
    Atomics.sub(known, low, 1);
    clients.release(entry);
  };
  let most = 0;
  for (let i = 0; i < rounds; i++) {
    const each = key();
    const entry = random.below(2) === 0 || held.length > 40 ? -1 : clients.connect(each, rules, now);
    if (entry >= 0) {
      held.push({ entry, low: each.low });
      most = Math.max(most, Atomics.add(known, each.low, 1) + 1);
    } else if (held.length > 0) close(held.splice(random.below(held.length), 1)[0]!);
  }
  held.forEach(close);
  return most;
}

// All begin at once: a thread takes longer to start than to do its rounds.
Atomics.add(board.lines, threadLine(0), 1);
while (Atomics.load(board.lines, threadLine(0)) < board.threads);

if (what === 'requests') parentPort!.postMessage({ taken: requests(), most: 0 });
else if (what === 'connections') parentPort!.postMessage({ taken: 0, most: connections() });
else if (thread === 0) {
  for (;;) {
    const entry = clients.connect(key(), rules, now);
    if (entry >= 0 && random.below(3) > 0) clients.release(entry);
    board.counters(0)[counterRow.thread()]!++;
  }
} else {
  for (let low = 1; low <= keys; low++) clients.connect({ high: -1, low }, rules, now);
  parentPort!.postMessage({ taken: 0, most: 0 });
}
