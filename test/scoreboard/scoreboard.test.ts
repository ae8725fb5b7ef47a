import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { bucketOf } from '../../src/scoreboard/histogram.ts';
import {
  listenerCounters,
  maxNodes,
  maxPools,
  nodeCell,
  nodeCounters,
  poolCell,
  threadCell,
} from '../../src/scoreboard/layout.ts';
import { counterRow, nodeLine, poolLine, rowColumns, Scoreboard, threadLine } from '../../src/scoreboard/scoreboard.ts';

const inFlight = (board: Scoreboard, slot: number): number => board.lines[nodeLine(slot) + nodeCell.inFlight]!;

describe('gauges', () => {
  it('add up over threads and give back the new total', () => {
    const board = Scoreboard.create(3);
    const other = Scoreboard.attach(board.buffers);
    expect(board.addInFlight(0, 7, 1)).toBe(1);
    expect(other.addInFlight(2, 7, 1)).toBe(2);
    expect(inFlight(board, 7)).toBe(2);
    expect(board.addInFlight(0, 7, -1)).toBe(1);
    expect(inFlight(other, 6)).toBe(0);
    expect(inFlight(other, 8)).toBe(0);
  });

  it('lose nothing when real threads count in the same cell at once', async () => {
    const board = Scoreboard.create(2);
    const source = `
      import { workerData } from 'node:worker_threads';
      const { Scoreboard } = await import(workerData.module);
      const board = Scoreboard.attach(workerData.buffers);
      for (let i = 0; i < 50_000; i++) { board.addInFlight(workerData.thread, 3, 1); board.addPool('active', { thread: workerData.thread, slot: 1, by: 1 }); }
      for (let i = 0; i < 49_990; i++) { board.addInFlight(workerData.thread, 3, -1); board.addPool('active', { thread: workerData.thread, slot: 1, by: -1 }); }
    `;
    const module = new URL('../../src/scoreboard/scoreboard.ts', import.meta.url).href;
    const ends = [0, 1].map(
      (thread) =>
        new Promise((resolve, reject) => {
          const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
          const worker = new Worker(url, { workerData: { module, buffers: board.buffers, thread } });
          worker.once('exit', resolve);
          worker.once('error', reject);
        }),
    );
    await Promise.all(ends);
    expect(inFlight(board, 3)).toBe(20);
    expect(board.lines[poolLine(1) + poolCell.active]).toBe(20);
    expect(board.repair(0)).toBe(10);
    expect(inFlight(board, 3)).toBe(10);
    expect(board.lines[poolLine(1) + poolCell.active]).toBe(10);
  });
});

describe('repair', () => {
  it('takes back exactly what the dead thread had counted, once, at every slot', () => {
    const board = Scoreboard.create(2);
    for (const slot of [0, 1, maxNodes - 1]) {
      board.addInFlight(0, slot, 1);
      board.addInFlight(1, slot, 1);
      board.addInFlight(1, slot, 1);
    }
    for (const gauge of ['active', 'pending', 'retrying'] as const) {
      board.addPool(gauge, { thread: 1, slot: maxPools - 1, by: 1 });
      board.addPool(gauge, { thread: 0, slot: maxPools - 1, by: 1 });
    }
    expect(board.repair(1)).toBe(6);
    expect(board.repair(1)).toBe(0);
    for (const slot of [0, 1, maxNodes - 1]) expect(inFlight(board, slot)).toBe(1);
    for (const gauge of ['active', 'pending', 'retrying'] as const)
      expect(board.lines[poolLine(maxPools - 1) + poolCell[gauge]]).toBe(1);
  });

  it('clears the thread’s line but for its heartbeat, and leaves counters, states and other threads alone', () => {
    const board = Scoreboard.create(2);
    board.lines[threadLine(1) + threadCell.heartbeat] = 5;
    board.lines[threadLine(1) + threadCell.connections] = 12;
    board.lines[threadLine(0) + threadCell.connections] = 3;
    board.lines[nodeLine(4) + nodeCell.state] = 1;
    board.counters(1)[counterRow.node(4)] = 9;
    board.repair(1);
    expect(board.lines[threadLine(1) + threadCell.heartbeat]).toBe(5);
    expect(board.lines[threadLine(1) + threadCell.connections]).toBe(0);
    expect(board.lines[threadLine(0) + threadCell.connections]).toBe(3);
    expect(board.lines[nodeLine(4) + nodeCell.state]).toBe(1);
    expect(board.sum(counterRow.node(4))).toBe(9);
  });
});

describe('repair of a thread that had open client connections', () => {
  it('counts them as closed, and those of other threads not', () => {
    const board = Scoreboard.create(2);
    const accepted = counterRow.listener(2) + listenerCounters.indexOf('accepted');
    const closed = counterRow.listener(2) + listenerCounters.indexOf('closed');
    for (const thread of [0, 1]) {
      board.counters(thread)[accepted] = 50;
      board.counters(thread)[closed] = 20;
    }
    board.repair(1);
    expect(board.sum(accepted) - board.sum(closed)).toBe(30);
  });
});

describe('connections of a dead thread', () => {
  it('count as closed', () => {
    const board = Scoreboard.create(2);
    const cell = (slot: number, name: 'accepted' | 'closed'): number =>
      counterRow.listener(slot) + listenerCounters.indexOf(name);
    for (const thread of [0, 1]) board.counters(thread)[cell(3, 'accepted')] = 9;
    board.counters(1)[cell(3, 'closed')] = 2;
    board.repair(1);
    expect(board.sum(cell(3, 'closed'))).toBe(9);
    expect(board.counters(0)[cell(3, 'closed')]).toBe(0);
  });
});

describe('counters', () => {
  it('are summed over threads, histograms too', () => {
    const board = Scoreboard.create(2);
    const cell = counterRow.node(9) + nodeCounters.indexOf('bytesIn');
    board.counters(0)[cell]! += 2 ** 40;
    board.counters(1)[cell]! += 3;
    expect(board.sum(cell)).toBe(2 ** 40 + 3);
    board.counters(0)[counterRow.nodeHistogram(9) + bucketOf(1000)]! += 1;
    board.counters(1)[counterRow.nodeHistogram(9) + bucketOf(1000)]! += 4;
    expect(board.histogram(counterRow.nodeHistogram(9))[bucketOf(1000)]).toBe(5);
  });

  it('have rows of each kind that don’t overlap', () => {
    expect(counterRow.node(1) - counterRow.node(0)).toBe(rowColumns.node);
    expect(counterRow.pool(0)).toBe(counterRow.node(maxNodes - 1) + rowColumns.node);
    expect(counterRow.route(0)).toBe(counterRow.pool(maxPools - 1) + rowColumns.pool);
    const last = Scoreboard.create(1).counters(0).length;
    expect(counterRow.thread()).toBeLessThan(last);
    expect(counterRow.refusals()).toBeGreaterThan(counterRow.listener(0));
  });

  it('are cleared by row, in all threads', () => {
    const board = Scoreboard.create(2);
    for (const thread of [0, 1]) for (const slot of [1, 2, 3]) board.counters(thread)[counterRow.route(slot)] = 1;
    board.clearRow(counterRow.route(2), rowColumns.route);
    expect([1, 2, 3].map((slot) => board.sum(counterRow.route(slot)))).toEqual([2, 0, 2]);
  });
});
