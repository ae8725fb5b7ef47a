import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { allFull, anyNode, noNode, type PickFor, Pool, type Waiter } from '../../src/proxy/pool.ts';
import type { NodeRow, PoolRow } from '../../src/routing/snapshot.ts';
import { maxNodes, nodeCell, poolCell, poolCounters } from '../../src/scoreboard/layout.ts';
import { counterRow, nodeLine, poolLine, Scoreboard } from '../../src/scoreboard/scoreboard.ts';
import { node } from '../routing/fixtures.ts';
import { inFlight, poolGauge, setNode, view } from './fixtures.ts';

const limits = { maxConnections: 2, maxPending: 2, queueTimeout: 5000 };
const done = { responseMs: 1, failed: false, now: 0 };
const ask = (change: Partial<PickFor> = {}): PickFor => ({ hash: 0, tried: [], mayProbe: true, ...change });

interface World {
  readonly board: Scoreboard;
  readonly pool: Pool;
  /** The same pool in another thread. */
  readonly other: Pool;
}

/** Nodes of slots 0, 1, ...; those named are backups. All fit. */
function world(count: number, parts: Partial<PoolRow> = {}, backups: readonly number[] = []): World {
  const board = Scoreboard.create(2);
  const rows: NodeRow[] = Array.from({ length: count }, (_, slot) => ({
    ...node('app', `n-${slot}`, slot),
    backup: backups.includes(slot),
  }));
  const pools = [0, 1].map((thread) => {
    const memory = { ewma: new Float64Array(maxNodes), stamp: new Float64Array(maxNodes) };
    return new Pool(view(rows, { limits, ...parts }), { thread, scoreboard: board, random: seededRandom(1), memory });
  });
  for (let slot = 0; slot < count; slot++) setNode(board, slot);
  return { board, pool: pools[0]!, other: pools[1]! };
}

const slots = (board: Scoreboard, count: number): number[] =>
  Array.from({ length: count }, (_, i) => inFlight(board, i));

class Waiting implements Waiter {
  readonly pool: Pool;
  readonly name: string;
  readonly log: string[];
  readonly room: () => boolean;
  kind: number = anyNode;

  constructor(pool: Pool, name: string, log: string[], room: () => boolean) {
    this.pool = pool;
    this.name = name;
    this.log = log;
    this.room = room;
  }

  tryAgain(): boolean {
    if (!this.room()) return false;
    this.log.push(this.name);
    this.pool.stopWaiting(this);
    return true;
  }
}

describe('requests in flight', () => {
  it('are exact over threads, whatever is picked and released in whatever order', () => {
    const step = fc.record({ thread: fc.nat(1), release: fc.boolean(), which: fc.nat(99) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { board, pool, other } = world(3);
        const held: { pool: Pool; index: number }[] = [];
        for (const { thread, release, which } of steps) {
          if (release && held.length > 0) {
            const [one] = held.splice(which % held.length, 1);
            one!.pool.release(one!.index, done);
          } else {
            const by = thread === 0 ? pool : other;
            const index = by.pick(ask(), 0);
            if (held.length === 6) expect(index).toBe(allFull);
            else held.push({ pool: by, index });
          }
          expect(slots(board, 3)).toEqual([0, 1, 2].map((i) => held.filter((one) => one.index === i).length));
        }
        for (const one of held) one.pool.release(one.index, done);
        expect(slots(board, 3)).toEqual([0, 0, 0]);
        board.repair(0);
        board.repair(1);
        expect(slots(board, 3)).toEqual([0, 0, 0]);
      }),
      { numRuns: 50 },
    );
  });

  it('a place that another thread took is given back at once, and the next node is asked', () => {
    const { board, pool } = world(2);
    board.addInFlight(1, 0, 1);
    board.addInFlight(1, 0, 1);
    expect([pool.pick(ask(), 0), pool.pick(ask(), 0), pool.pick(ask(), 0)]).toEqual([1, 1, allFull]);
    expect(slots(board, 2)).toEqual([2, 2]);
  });
});

describe('which node', () => {
  it('none that was tried, none that is not fit, none of weight 0', () => {
    const { board, pool } = world(4);
    setNode(board, 1, { fit: false });
    setNode(board, 2, { weight: 0 });
    expect(pool.pick(ask({ tried: [0] }), 0)).toBe(3);
    expect(pool.pick(ask({ tried: [0, 3] }), 0)).toBe(noNode);
    expect(slots(board, 4)).toEqual([0, 0, 0, 1]);
  });

  it('the next pick sees a node that became fit, and one that no longer is', () => {
    const { board, pool } = world(2);
    setNode(board, 0, { fit: false });
    expect([pool.pick(ask(), 0), pool.pick(ask(), 0)]).toEqual([1, 1]);
    setNode(board, 0);
    setNode(board, 1, { fit: false });
    expect(pool.pick(ask(), 0)).toBe(0);
  });

  it('no node at all, or none fit, is no queue', () => {
    expect(world(0).pool.pick(ask(), 0)).toBe(noNode);
    const { board, pool } = world(1);
    setNode(board, 0, { fit: false });
    expect(pool.pick(ask(), 0)).toBe(noNode);
  });

  it('tried nodes of another pool are no concern of this one', () => {
    expect(world(1).pool.pick(ask({ tried: [700, 701] }), 0)).toBe(0);
  });

  it('more full nodes than it looks at in one pick count as all', () => {
    const { board, pool } = world(60);
    for (let slot = 0; slot < 60; slot++) for (let i = 0; i < 2; i++) board.addInFlight(1, slot, 1);
    expect(pool.pick(ask(), 0)).toBe(allFull);
    expect(slots(board, 60).every((count) => count === 2)).toBe(true);
  });
});

describe('backups', () => {
  it('serve only when no other is fit or left', () => {
    const { board, pool } = world(2, {}, [1]);
    expect(pool.pick(ask(), 0)).toBe(0);
    expect(pool.pick(ask({ tried: [0] }), 0)).toBe(1);
    setNode(board, 0, { fit: false });
    expect(pool.pick(ask(), 0)).toBe(1);
    setNode(board, 0);
    expect(pool.pick(ask(), 0)).toBe(0);
  });

  it('serve too when the others are full', () => {
    const { pool } = world(2, {}, [1]);
    expect([1, 2, 3, 4, 5].map(() => pool.pick(ask(), 0))).toEqual([0, 0, 1, 1, allFull]);
  });

  it('full ordinary nodes and no fit backup mean: wait', () => {
    const { board, pool } = world(2, {}, [1]);
    setNode(board, 1, { fit: false });
    expect([1, 2, 3].map(() => pool.pick(ask(), 0))).toEqual([0, 0, allFull]);
  });
});

describe('a node on probation', () => {
  const onProbation = (): World => {
    const made = world(2);
    setNode(made.board, 1, { fit: false, probation: true });
    return made;
  };

  it('gets one request at a time, of all threads', () => {
    const { pool, other } = onProbation();
    expect([pool.pick(ask(), 0), pool.probing]).toEqual([1, true]);
    expect([pool.pick(ask(), 0), pool.probing]).toEqual([0, false]);
    expect([other.pick(ask(), 0), other.probing]).toEqual([0, false]);
    pool.unprobe(1);
    expect([other.pick(ask(), 0), other.probing]).toEqual([1, true]);
  });

  it('gets none that may not be sent again, or that was there already', () => {
    const { pool } = onProbation();
    expect(pool.pick(ask({ mayProbe: false }), 0)).toBe(0);
    expect(pool.pick(ask({ tried: [1] }), 0)).toBe(0);
    expect(pool.pick(ask({ tried: [0] }), 0)).toBe(1);
  });

  it('gets any, one at a time, once it has waited in vain for one that may be sent again', () => {
    const { board, pool, other } = onProbation();
    setNode(board, 1, { fit: false, probation: true, anyMayTry: true });
    expect([pool.pick(ask({ mayProbe: false }), 0), pool.probing]).toEqual([1, true]);
    expect([other.pick(ask({ mayProbe: false }), 0), other.probing]).toEqual([0, false]);
  });

  it('that is full keeps no claim', () => {
    const { board, pool } = onProbation();
    board.addInFlight(1, 1, 1);
    board.addInFlight(1, 1, 1);
    expect(pool.pick(ask(), 0)).toBe(0);
    expect(board.lines[nodeLine(1) + nodeCell.probationTaken]).toBe(0);
    expect(inFlight(board, 1)).toBe(2);
  });
});

describe('the queue', () => {
  it('lets those who wait go in their order, and stops at the first who finds no place', () => {
    const { pool } = world(1, { limits: { ...limits, maxPending: 9 } });
    const log: string[] = [];
    let places = 2;
    for (const name of ['a', 'b', 'c', 'd']) pool.wait(new Waiting(pool, name, log, () => places-- > 0));
    pool.wake();
    expect(log).toEqual(['a', 'b']);
    places = 9;
    pool.wake();
    expect(log).toEqual(['a', 'b', 'c', 'd']);
  });

  it('goes on behind one that may have some nodes only, and asks one of its like', () => {
    const { pool } = world(1, { limits: { ...limits, maxPending: 99 } });
    const log: string[] = [];
    let asked = 0;
    const waiting = (name: string, kind: number): void => {
      const has = kind === anyNode ? (): boolean => name !== 'last' : (): boolean => asked++ < 0;
      pool.wait(Object.assign(new Waiting(pool, name, log, has), { kind }));
    };
    for (const [name, kind] of [
      ['some', 7],
      ['alike', 7],
      ['a', anyNode],
      ['other', 8],
      ['b', anyNode],
    ] as const)
      waiting(name, kind);
    for (const [name, kind] of [
      ['last', anyNode],
      ['behind', anyNode],
    ] as const)
      waiting(name, kind);
    pool.wake();
    expect([log, asked]).toEqual([['a', 'b'], 2]);
  });

  it('is woken by each release', () => {
    const { pool } = world(1);
    const log: string[] = [];
    expect([pool.pick(ask(), 0), pool.pick(ask(), 0), pool.pick(ask(), 0)]).toEqual([0, 0, allFull]);
    const waiting: Waiter = new Waiting(pool, 'a', log, () => pool.pick(ask(), 0) >= 0);
    pool.wait(waiting);
    pool.wake();
    expect(log).toEqual([]);
    pool.release(0, done);
    expect(log).toEqual(['a']);
  });

  it('holds maxPending over all threads, and counts exactly', () => {
    const { board, pool, other } = world(1);
    const waiter = (): Waiting => new Waiting(pool, 'x', [], () => false);
    const first = waiter();
    expect([pool.wait(first), other.wait(waiter()), pool.wait(waiter())]).toEqual([true, true, false]);
    expect(poolGauge(board, 'pending')).toBe(2);
    pool.stopWaiting(first);
    pool.stopWaiting(first);
    expect(poolGauge(board, 'pending')).toBe(1);
    expect(pool.wait(waiter())).toBe(true);
  });
});

describe('the retry budget', () => {
  it('is at least 10 at once', () => {
    const { board, pool } = world(1);
    expect(Array.from({ length: 11 }, () => pool.beginRetry())).toEqual([...Array(10).fill(true), false]);
    expect(poolGauge(board, 'retrying')).toBe(10);
    pool.endRetry();
    expect(pool.beginRetry()).toBe(true);
  });

  it('is a share of the active requests where that is more, over all threads', () => {
    const { board, pool, other } = world(1, {
      retry: { attempts: 2, budget: 0.2, methods: [], statuses: [], buffer: 0, backoff: 1 },
    });
    for (let i = 0; i < 60; i++) (i % 2 === 0 ? pool : other).enter();
    expect(Array.from({ length: 13 }, () => pool.beginRetry()).filter(Boolean)).toHaveLength(12);
    for (let i = 0; i < 60; i++) pool.leave();
    expect(poolGauge(board, 'active')).toBe(0);
  });
});

describe('errors in a row', () => {
  const cell = (board: Scoreboard): number => board.lines[nodeLine(0) + nodeCell.consecutiveErrors]!;

  it('eject at the bound, once, and begin anew', () => {
    const { board, pool, other } = world(1, { errorsToEject: 3 });
    const failed = (by: Pool): boolean => by.countError(0, true);
    expect([failed(pool), failed(other), failed(pool), failed(pool), failed(pool)]).toEqual([
      false,
      false,
      true,
      false,
      false,
    ]);
    expect(cell(board)).toBe(2);
  });

  it('a good answer clears them', () => {
    const { board, pool } = world(1, { errorsToEject: 3 });
    pool.countError(0, true);
    pool.countError(0, true);
    expect(pool.countError(0, false)).toBe(false);
    expect(cell(board)).toBe(0);
    expect(pool.countError(0, true)).toBe(false);
  });

  it('0 never ejects', () => {
    const { pool } = world(1, { errorsToEject: 0 });
    expect(Array.from({ length: 20 }, () => pool.countError(0, true))).not.toContain(true);
  });
});

it('counts in its own row of its own thread', () => {
  const { board, pool } = world(1, { slot: 5 });
  pool.count('queued');
  pool.count('queueMs', 7);
  const row = counterRow.pool(5);
  expect(board.counters(0)[row + poolCounters.indexOf('queued')]).toBe(1);
  expect(board.sum(row + poolCounters.indexOf('queueMs'))).toBe(7);
  expect(board.lines[poolLine(5) + poolCell.active]).toBe(0);
});
