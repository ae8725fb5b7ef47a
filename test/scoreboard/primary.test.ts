/** The record of who is primary, between real threads: never torn, and a fence that was read as such holds. */
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { maxPools, nodeCell, poolCell } from '../../src/scoreboard/layout.ts';
import { maxForks, PrimaryRecord, type PrimaryWrite } from '../../src/scoreboard/primary.ts';
import { nodeLine, poolLine, Scoreboard } from '../../src/scoreboard/scoreboard.ts';
import { type Scope, testScope } from '../helpers/scope.ts';

const nowhere: PrimaryWrite = { mode: 'none', epoch: 0, node: null, writeUntil: 0, cutAt: 0, forks: [] };
const lease = (change: Partial<PrimaryWrite> = {}): PrimaryWrite => ({
  mode: 'send',
  epoch: 1,
  node: { slot: 3, generation: 2 },
  writeUntil: 1000,
  cutAt: 1250,
  forks: [],
  ...change,
});

function recordOf(board: Scoreboard, pool = 0): PrimaryRecord {
  const record = new PrimaryRecord();
  board.primary.read(pool, record);
  return record;
}

describe('the record', () => {
  it('is none before control has said anything', () => {
    expect(recordOf(Scoreboard.create(1))).toMatchObject({ mode: 'none', epoch: 0, slot: -1, writeUntil: 0 });
    expect(recordOf(Scoreboard.create(1)).isLive(0)).toBe(false);
  });

  it('is read as it was written, whole numbers up to 2^53, in each pool its own', () => {
    const board = Scoreboard.create(1);
    const other = Scoreboard.attach(board.buffers);
    const epoch = 2 ** 53 - 1;
    const forks = [
      { epoch: 4, position: 2 ** 40 + 7 },
      { epoch: epoch - 1, position: null },
      { epoch, position: 0 },
    ];
    board.primary.write(maxPools - 1, lease({ epoch, writeUntil: 86_400_000_000.5, cutAt: 86_400_000_250, forks }), 0);
    board.primary.write(0, lease({ epoch: 7 }), 0);
    const record = recordOf(other, maxPools - 1);
    expect(record).toMatchObject({ mode: 'send', epoch, slot: 3, generation: 2, cutAt: 86_400_000_250 });
    expect(record.writeUntil).toBe(86_400_000_000.5);
    expect(other.primary.forks(maxPools - 1)).toEqual(forks);
    expect(recordOf(other).epoch).toBe(7);
    expect(recordOf(other, 1).mode).toBe('none');
  });

  it('is live until its end, and only with a primary and leave to send', () => {
    const board = Scoreboard.create(1);
    const live = (record: PrimaryWrite, now: number): boolean => {
      board.primary.write(0, record, 0);
      return recordOf(board).isLive(now);
    };
    expect(live(lease(), 999.9)).toBe(true);
    expect(live(lease(), 1000)).toBe(false);
    expect(live(lease({ node: null }), 10)).toBe(false);
    for (const mode of ['none', 'park', 'refuse'] as const) expect(live(lease({ mode }), 10)).toBe(false);
  });

  it('takes a time without end for a very late one', () => {
    const board = Scoreboard.create(1);
    board.primary.write(0, lease({ writeUntil: Number.MAX_SAFE_INTEGER, cutAt: Number.MAX_SAFE_INTEGER }), 0);
    expect(recordOf(board).isLive(1e12)).toBe(true);
    expect(recordOf(board).cutAt).toBeGreaterThan(1e12);
  });

  it('rounds a lease down, never up', () => {
    const board = Scoreboard.create(1);
    board.primary.write(0, lease({ writeUntil: 1000.000_9, cutAt: 1250.000_9 }), 0);
    expect(recordOf(board)).toMatchObject({ writeUntil: 1000, cutAt: 1250 });
  });

  it('remembers until when there was leave', () => {
    const board = Scoreboard.create(1);
    board.primary.write(0, lease({ writeUntil: 1000 }), 500);
    expect(recordOf(board).heldUntil).toBe(1000);
    board.primary.write(0, lease({ mode: 'park', writeUntil: 0 }), 600);
    expect(recordOf(board)).toMatchObject({ heldUntil: 600, writeUntil: 0 });
    board.primary.write(0, nowhere, 700);
    expect(recordOf(board).heldUntil).toBe(600);
  });

  it('keeps the newest forks', () => {
    const board = Scoreboard.create(1);
    const forks = Array.from({ length: maxForks + 3 }, (_, epoch) => ({ epoch, position: epoch * 10 }));
    board.primary.write(0, lease({ forks }), 0);
    expect(board.primary.forks(0)).toEqual(forks.slice(3));
  });

  it('lets readers know when another node is primary, not when a lease is renewed', () => {
    const board = Scoreboard.create(1);
    const changes = (): number => board.lines[poolLine(0) + poolCell.changes]!;
    board.primary.write(0, lease(), 0);
    const first = changes();
    board.primary.write(0, lease({ writeUntil: 2000 }), 0);
    expect(changes()).toBe(first);
    board.primary.write(0, lease({ node: { slot: 4, generation: 1 } }), 0);
    expect(changes()).toBeGreaterThan(first);
  });
});

describe('positions', () => {
  it('that were passed on: the highest of an epoch over all threads; another epoch begins anew', () => {
    const board = Scoreboard.create(3);
    expect(board.primary.passed(5, 1)).toBeNull();
    board.primary.notePassed(0, 5, { epoch: 1, position: 10 });
    board.primary.notePassed(2, 5, { epoch: 1, position: 12 });
    board.primary.notePassed(2, 5, { epoch: 1, position: 11 });
    expect(board.primary.passed(5, 1)).toBe(12);
    board.primary.notePassed(2, 5, { epoch: 2, position: 3 });
    board.primary.notePassed(2, 5, { epoch: 1, position: 99 });
    expect([board.primary.passed(5, 1), board.primary.passed(5, 2), board.primary.passed(4, 1)]).toEqual([10, 3, null]);
    board.primary.notePassed(0, 5, { epoch: 2, position: 0 });
    expect(board.primary.passed(5, 2)).toBe(3);
    board.primary.clear(5);
    expect(board.primary.passed(5, 2)).toBeNull();
  });

  it('of a node: an answer raises it, a health answer sets it, and what is late by an era says nothing', () => {
    const { primary } = Scoreboard.create(1);
    expect(primary.position(9)).toBe(-1);
    const era = primary.era(9);
    primary.raisePosition(9, era, 5);
    primary.raisePosition(9, era, 4);
    expect(primary.position(9)).toBe(5);
    primary.setPosition(9, 3);
    expect(primary.position(9)).toBe(3);
    primary.beginEra(9);
    expect(primary.position(9)).toBe(-1);
    primary.raisePosition(9, era, 100);
    expect(primary.position(9)).toBe(-1);
    primary.raisePosition(9, primary.era(9), 2 ** 53 - 1);
    expect(primary.position(9)).toBe(2 ** 53 - 1);
    primary.setPosition(9, null);
    expect(primary.position(9)).toBe(-1);
    for (let i = 0; i < 1200; i++) primary.beginEra(9);
    expect(primary.position(9)).toBe(-1);
  });

  it('of a node that takes no reads any more are forgotten', () => {
    const board = Scoreboard.create(1);
    const place = { pool: 0, node: 9 };
    board.primary.setReader(place, { kind: 'fit', lag: 12.5 });
    board.primary.setPosition(9, 44);
    board.primary.setReader(place, { kind: 'behind', lag: null });
    expect([board.primary.position(9), board.primary.lag(9), board.primary.reader(9)]).toEqual([44, -1, 2]);
    const changes = board.lines[poolLine(0) + poolCell.changes]!;
    board.primary.setReader(place, { kind: 'none', lag: null });
    expect(board.primary.position(9)).toBe(-1);
    expect(board.lines[poolLine(0) + poolCell.changes]).toBeGreaterThan(changes);
    expect(board.lines[nodeLine(9) + nodeCell.reader]).toBe(0);
  });
});

describe('the gauge of writes', () => {
  it('is repaired when a thread has died', () => {
    const board = Scoreboard.create(2);
    for (const thread of [0, 1, 1]) board.addPool('writing', { thread, slot: 4, by: 1 });
    board.addPool('parked', { thread: 1, slot: 4, by: 1 });
    board.addPool('parkedBytes', { thread: 1, slot: 4, by: 70_000 });
    expect(board.primary.writing(4)).toBe(3);
    board.repair(1);
    expect([board.primary.writing(4), board.primary.parked(4)]).toEqual([1, 0]);
    expect(board.lines[poolLine(4) + poolCell.parkedBytes]).toBe(0);
  });
});

/** Cells that the threads of a test share beside the board. */
const at = { stop: 0, ready: 1, fenced: 2, broken: 3, looked: 4, begun: 5 } as const;

/** Runs a body in a thread of its own, with `board`, `cells`, `at`, `thread`, `record` and `now` at hand. */
function thread(
  scope: Scope,
  board: Scoreboard,
  cells: Int32Array,
  { number, body }: { number: number; body: string },
) {
  const modules = ['scoreboard', 'primary'].map(
    (name) => new URL(`../../src/scoreboard/${name}.ts`, import.meta.url).href,
  );
  const source = `
    import { workerData } from 'node:worker_threads';
    const [{ Scoreboard }, { PrimaryRecord }] = await Promise.all(workerData.modules.map((name) => import(name)));
    const board = Scoreboard.attach(workerData.buffers);
    const cells = new Int32Array(workerData.cells);
    const { at, thread } = workerData;
    const record = new PrimaryRecord();
    Atomics.add(cells, at.ready, 1);
    ${body}
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: { modules, buffers: board.buffers, cells: cells.buffer, at, thread: number },
  });
  scope.own({ stop: () => worker.terminate().then(() => {}) });
  return new Promise<void>((resolve, reject) => {
    worker.once('exit', () => resolve());
    worker.once('error', reject);
  });
}

async function ready(cells: Int32Array, threads: number): Promise<void> {
  while (Atomics.load(cells, at.ready) < threads) await new Promise((resolve) => setImmediate(resolve));
}

const spin = (turns: number): void => {
  for (let i = 0; i < turns; i++) Math.sqrt(i);
};

describe('between real threads', () => {
  it('no record is ever torn', { timeout: 180_000 }, async () => {
    const board = Scoreboard.create(2);
    const cells = new Int32Array(new SharedArrayBuffer(64));
    const scope = testScope();
    // Each field follows from the epoch; times and forks cross 2^32 all the time.
    const body = `
      while (Atomics.load(cells, at.stop) === 0) {
        board.primary.read(1, record);
        const { epoch } = record;
        if (epoch === 0) continue;
        Atomics.add(cells, at.looked, 1);
        const right = record.slot === epoch % 1000 && record.generation === epoch % 77
          && record.writeUntil === epoch / 2 && record.cutAt === epoch / 2 + 250;
        if (!right) Atomics.add(cells, at.broken, 1);
        const forks = board.primary.forks(1);
        if (forks.some((fork) => fork.epoch !== forks[0].epoch || fork.position !== fork.epoch - 1)) Atomics.add(cells, at.broken, 1);
      }`;
    const ends = [0, 1].map((number) => thread(scope, board, cells, { number, body }));
    await ready(cells, 2);
    const from = 2 ** 32 - 60_000;
    // On a busy machine the others may come late.
    for (let n = 1; n <= 120_000 || Atomics.load(cells, at.looked) <= 100; n++) {
      const epoch = from + (n % 120_000);
      board.primary.write(
        1,
        lease({
          epoch,
          node: { slot: epoch % 1000, generation: epoch % 77 },
          writeUntil: epoch / 2,
          cutAt: epoch / 2 + 250,
          forks: [
            { epoch, position: epoch - 1 },
            { epoch, position: epoch - 1 },
          ],
        }),
        0,
      );
    }
    Atomics.store(cells, at.stop, 1);
    await Promise.all(ends);
    expect(cells[at.looked]).toBeGreaterThan(100);
    expect(cells[at.broken]).toBe(0);
  });

  it('after the record is void and the gauge was read as 0, no write begins (2.1, 2.5)', {
    timeout: 180_000,
  }, async () => {
    const board = Scoreboard.create(2);
    const cells = new Int32Array(new SharedArrayBuffer(64));
    const scope = testScope();
    // As proxy/io/writes.ts does it: add, then check, then the first byte.
    const body = `
      while (Atomics.load(cells, at.stop) === 0) {
        board.addPool('writing', { thread, slot: 0, by: 1 });
        for (let i = 0; i < 200; i++) Math.sqrt(i);
        board.primary.read(0, record);
        if (record.isLive(1)) {
          Atomics.add(cells, at.begun, 1);
          if (Atomics.load(cells, at.fenced) === 1) Atomics.add(cells, at.broken, 1);
        }
        board.addPool('writing', { thread, slot: 0, by: -1 });
      }`;
    const ends = [0, 1].map((number) => thread(scope, board, cells, { number, body }));
    await ready(cells, 2);
    let fences = 0;
    const enough = (): boolean => fences >= 10_000 && cells[at.begun]! >= 10_000;
    for (let epoch = 1; epoch <= 200_000 && !enough(); epoch++) {
      board.primary.write(0, lease({ epoch }), 0);
      spin(200 + (epoch % 300));
      board.primary.write(0, lease({ epoch, mode: 'park', writeUntil: 0 }), 0);
      let zero = false;
      for (let tries = 0; tries < 1000 && !zero; tries++) zero = board.primary.writing(0) === 0;
      // Who holds it may not have a core: it gets this one for a while.
      if (!zero) Atomics.wait(cells, at.begun + 1, 0, 1);
      if (!zero) continue;
      fences++;
      Atomics.store(cells, at.fenced, 1);
      spin(3000);
      Atomics.store(cells, at.fenced, 0);
    }
    Atomics.store(cells, at.stop, 1);
    await Promise.all(ends);
    expect(cells[at.broken], 'writes that began behind a fence').toBe(0);
    expect(fences, 'fences').toBeGreaterThan(100);
    expect(cells[at.begun], 'writes').toBeGreaterThan(100);
    expect(board.primary.writing(0)).toBe(0);
  });
});
