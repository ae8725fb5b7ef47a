/** The table of client addresses: bounded, exact between threads, and mild where it is full. */
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ClientKey,
  type ClientRules,
  clientWays,
  connectionFate,
  halfSipHash,
  maxClients,
} from '../../src/scoreboard/clients.ts';
import { type ThreadCounter, threadCounters } from '../../src/scoreboard/layout.ts';
import { counterRow, Scoreboard } from '../../src/scoreboard/scoreboard.ts';
import { until } from '../helpers/poll.ts';
import { testScope } from '../helpers/scope.ts';
import type { ClientsStart } from './clients-thread.ts';

const now = 1_000_000;
const none: ClientRules = { connections: null, newConnections: null, requests: null };
const v4 = (low: number): ClientKey => ({ high: -1, low });

function table(threads = 1) {
  const board = Scoreboard.create(threads);
  board.keyClients([0x0123_4567, -0x1234_5678]);
  const count = (name: ThreadCounter): number => board.sum(counterRow.thread() + threadCounters.indexOf(name));
  return { board, clients: board.clients(0), count };
}

/** Addresses that fall into one set. */
function crowd(clients: ReturnType<Scoreboard['clients']>, size: number): ClientKey[] {
  const set = clients.setOf(v4(1));
  const found: ClientKey[] = [];
  for (let low = 1; found.length < size; low++) if (clients.setOf(v4(low)) === set) found.push(v4(low));
  return found;
}

describe('HalfSipHash-1-3', () => {
  it('gives what the reference gives', () => {
    const hash = halfSipHash(0x03020100, 0x07060504, 0x03020100, 0x07060504);
    expect(hash >>> 0).toBe(0x577999b1);
  });

  it('spreads addresses that follow one another, and differently under another key', () => {
    const { board, clients } = table();
    const sizes = new Map<number, number>();
    const keys = Array.from({ length: 65_536 }, (_, i) => v4(0x0a00_0000 + i));
    for (const key of keys) sizes.set(clients.setOf(key), (sizes.get(clients.setOf(key)) ?? 0) + 1);
    // 65536 in 16384 sets: 4 on the average; of random ones hardly any set has more than 16.
    expect(sizes.size).toBeGreaterThan(15_800);
    expect(Math.max(...sizes.values())).toBeLessThan(20);
    const before = keys.map((key) => clients.setOf(key));
    board.keyClients([5, 6]);
    const same = keys.filter((key, i) => clients.setOf(key) === before[i]).length;
    expect(same).toBeLessThan(40);
  });
});

describe('connections of one address', () => {
  const rules = { ...none, connections: 2 };

  it('are counted until they are gone, for each address alone', () => {
    const { clients } = table();
    const [first, second] = [clients.connect(v4(1), rules, now), clients.connect(v4(1), rules, now)];
    expect(Math.min(first, second)).toBeGreaterThanOrEqual(0);
    expect(clients.connect(v4(1), rules, now)).toBe(connectionFate.tooMany);
    expect(clients.connect(v4(2), rules, now)).toBeGreaterThanOrEqual(0);
    expect(clients.openOf(v4(1))).toBe(2);
    clients.release(first);
    expect(clients.connect(v4(1), rules, now)).toBe(first);
    expect(clients.connect(v4(1), rules, now)).toBe(connectionFate.tooMany);
  });

  it('one that is refused costs nothing of the rate of new ones, and one too fast is not counted as open', () => {
    const { clients } = table();
    const both = { connections: 1, newConnections: { interval: 1000, burst: 2 }, requests: null };
    const entry = clients.connect(v4(1), both, now);
    for (let i = 0; i < 5; i++) expect(clients.connect(v4(1), both, now)).toBe(connectionFate.tooMany);
    clients.release(entry);
    clients.release(clients.connect(v4(1), both, now));
    expect(clients.connect(v4(1), both, now)).toBe(connectionFate.tooFast);
    expect(clients.openOf(v4(1))).toBe(0);
    expect(clients.connect(v4(1), both, now + 1000)).toBe(entry);
  });

  it('any order of coming and going leaves the count that a plain map has', () => {
    const step = fc.record({ key: fc.integer({ min: 1, max: 6 }), thread: fc.nat(2), close: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 4 }), (steps, connections) => {
        const { board } = table(3);
        const threads = [0, 1, 2].map((thread) => board.clients(thread));
        const open = new Map<number, { entry: number; thread: number }[]>();
        for (const { key, thread, close } of steps) {
          const held = open.get(key) ?? [];
          open.set(key, held);
          if (close) {
            const gone = held.pop();
            if (gone !== undefined) threads[gone.thread]!.release(gone.entry);
            continue;
          }
          const entry = threads[thread]!.connect(v4(key), { ...none, connections }, now);
          expect(entry >= 0).toBe(held.length < connections);
          if (entry >= 0) held.push({ entry, thread });
        }
        for (const [key, held] of open) expect(threads[0]!.openOf(v4(key))).toBe(held.length);
      }),
      { numRuns: 30 },
    );
  });
});

describe('a set that is full', () => {
  const rate = { interval: 1000, burst: 10 };

  it('forgets who owes least, not who owes most', () => {
    const { clients, count } = table();
    const [greedy, ...others] = crowd(clients, clientWays + 3);
    for (let i = 0; i < 10; i++) expect(clients.request(greedy!, rate, now)).toBe(0);
    for (const key of others) expect(clients.request(key, rate, now)).toBe(0);
    expect(clients.request(greedy!, rate, now)).toBeGreaterThan(0);
    expect(count('clientsForgotten')).toBe(3);
    // Who owes nothing any more is not missed.
    for (const key of others.slice(0, clientWays - 1)) expect(clients.request(key, rate, now + 60_000)).toBe(0);
    expect(count('clientsForgotten')).toBe(3);
  });

  it('never forgets open connections: a newcomer is let in uncounted', () => {
    const { clients, count } = table();
    const rules = { ...none, connections: 1 };
    const keys = crowd(clients, clientWays + 1);
    const newcomer = keys.pop()!;
    const entries = keys.map((key) => clients.connect(key, rules, now));
    expect(new Set(entries).size).toBe(clientWays);
    for (let i = 0; i < 3; i++) expect(clients.connect(newcomer, rules, now)).toBe(connectionFate.untracked);
    expect(clients.request(newcomer, rate, now)).toBe(0);
    expect(count('clientsUntracked')).toBe(4);
    for (const key of keys) expect(clients.connect(key, rules, now)).toBe(connectionFate.tooMany);
    clients.release(entries[3]!);
    expect(clients.connect(newcomer, rules, now)).toBe(entries[3]);
    expect(clients.connect(newcomer, rules, now)).toBe(connectionFate.tooMany);
  });

  it('a flood of a million addresses stays within the table, and refuses none of them', () => {
    const { board, clients } = table();
    const once = { interval: 1000, burst: 1 };
    for (let i = 0; i < 1_000_000; i++)
      if (clients.request(v4(0x0100_0000 + i), once, now + i / 1000) !== 0) throw new Error(`${i} was refused`);
    expect(board.clientsUsed()).toBe(maxClients);
  });
});

describe('several threads', () => {
  const start = async (start: Omit<ClientsStart, 'buffers' | 'thread' | 'open'>, threads: number) => {
    const scope = testScope();
    const { board, clients } = table(threads);
    const open = new SharedArrayBuffer((start.keys + 1) * 4);
    const workers = Array.from({ length: threads }, (_, thread) => {
      const workerData: ClientsStart = { ...start, buffers: board.buffers, thread, open };
      const worker = new Worker(new URL('./clients-thread.ts', import.meta.url), { workerData });
      scope.own({ stop: () => worker.terminate().then(() => {}) });
      return worker;
    });
    return { board, clients, workers };
  };
  const results = (workers: readonly Worker[]): Promise<{ taken: number; most: number }[]> =>
    Promise.all(
      workers.map(
        (worker) =>
          new Promise<{ taken: number; most: number }>((resolve, reject) => {
            worker.once('message', resolve);
            worker.once('error', reject);
          }),
      ),
    );

  it('together take of a rate exactly what one alone would', { timeout: 180_000 }, async () => {
    const { workers } = await start({ what: 'requests', rounds: 800_000, burst: 600_000, keys: 2 }, 3);
    const done = await results(workers);
    // The clock stands still for them: the burst of each address and not one more, whoever took it.
    expect(done.reduce((sum, { taken }) => sum + taken, 0)).toBe(2 * 600_000);
    expect(done.every(({ taken }) => taken > 0)).toBe(true);
  });

  it('never have more connections open than one address may, and none when all are closed', {
    timeout: 180_000,
  }, async () => {
    const { workers, clients, board } = await start({ what: 'connections', rounds: 500_000, burst: 5, keys: 2 }, 3);
    const done = await results(workers);
    expect(Math.max(...done.map(({ most }) => most))).toBeLessThanOrEqual(5);
    expect(Math.max(...done.map(({ most }) => most))).toBeGreaterThan(2);
    for (let low = 1; low <= 20; low++) expect(clients.openOf(v4(low))).toBe(0);
    expect(board.clientsUsed()).toBe(2);
  });

  it('one that is killed in the midst leaves its connections and its locks to repair', {
    timeout: 180_000,
  }, async () => {
    const { workers, clients, board } = await start({ what: 'forever', rounds: 0, burst: 1e9, keys: 20 }, 3);
    // The first takes and gives without end, and is ended wherever it is; the others leave what they took open.
    await results(workers.slice(1));
    const others = Array.from({ length: 20 }, (_, i) => clients.openOf(v4(i + 1)));
    await until('the first at work', () => board.sum(counterRow.thread()) > 1000);
    await workers[0]!.terminate();
    board.repair(0);
    expect(others.reduce((sum, open) => sum + open, 0)).toBeGreaterThanOrEqual(2 * 20);
    for (let low = 1; low <= 20; low++) {
      expect(clients.openOf(v4(low))).toBe(2);
      expect(clients.connect(v4(low), { ...none, connections: 3 }, now)).toBeGreaterThanOrEqual(0);
    }
    board.repair(1);
    for (let low = 1; low <= 20; low++) expect(clients.openOf(v4(low))).toBe(2);
  });
});

it('a lock whose holder is gone keeps nobody out, and repair frees it', () => {
  const { board, clients, count } = table(2);
  const locks = new Int32Array(board.buffers.clients.locks);
  locks[clients.setOf(v4(1))] = 2;
  const strict = { ...none, connections: 1 };
  expect(clients.connect(v4(1), strict, now)).toBe(connectionFate.untracked);
  expect(clients.request(v4(1), { interval: 1000, burst: 1 }, now)).toBe(0);
  expect(count('clientsUntracked')).toBe(2);
  board.repair(1);
  expect(clients.connect(v4(1), strict, now)).toBeGreaterThanOrEqual(0);
  expect(clients.connect(v4(1), strict, now)).toBe(connectionFate.tooMany);
});
