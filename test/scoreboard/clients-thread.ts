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
}

const now = 1_000_000;
const { thread, buffers, what, rounds, burst, keys } = workerData as ClientsStart;
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

/** The most that were ever seen open at once. */
function connections(): number {
  const held: number[] = [];
  let most = 0;
  for (let i = 0; i < rounds; i++) {
    const each = key();
    const entry = random.below(2) === 0 || held.length > 40 ? -1 : clients.connect(each, rules, now);
    if (entry >= 0) held.push(entry);
    else if (held.length > 0) clients.release(held.splice(random.below(held.length), 1)[0]!);
    most = Math.max(most, clients.openOf(each));
  }
  for (const entry of held) clients.release(entry);
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
