import { describe, expect, it } from 'vitest';
import { FailoverBoard, type PoolPlace } from '../../src/app/failover-board.ts';
import type { BoardWrite, NodeReport } from '../../src/cluster/failover/contract.ts';
import { PrimaryRecord } from '../../src/scoreboard/primary.ts';
import { Scoreboard } from '../../src/scoreboard/scoreboard.ts';

const slots = { a: 3, b: 4, c: 5 } as const;

function placeOf(change: Partial<PoolPlace['split']> = {}, from = 0): PoolPlace {
  const nodes = Object.entries(slots).map(([id, slot]) => [id, { slot: slot + from, generation: 1 }] as const);
  return { slot: 1, nodes: new Map(nodes), split: { maxLag: 1000, minReplicas: 0, ...change } };
}

const open: BoardWrite = {
  ...{ pool: 'app', epoch: 7, node: 'a', writeUntil: 5000, cutAt: 5250, otherwise: 'park', why: '' },
  ...{ fencing: false, readers: ['a', 'b', 'c'], forks: [{ epoch: 7, position: 40 }] },
};

const report = (node: string, change: Partial<NodeReport> = {}): NodeReport => ({
  ...{ pool: 'app', node, up: true, failures: 0, at: 0, detail: '', role: null, epoch: null, cluster: null },
  ...{ position: null, lag: null, primaryHeard: null, wanted: true, ...change },
});

function world(split: Partial<PoolPlace['split']> = {}) {
  const scoreboard = Scoreboard.create(1);
  const { primary } = scoreboard;
  let now = 1000;
  const board = new FailoverBoard(primary, () => now);
  board.configure(new Map([['app', placeOf(split)]]));
  const record = (slot = 1) => {
    const read = new PrimaryRecord();
    primary.read(slot, read);
    return read;
  };
  const kinds = () => Object.values(slots).map((slot) => ['none', 'fit', 'behind'][primary.reader(slot)]);
  const pass = (ms: number): void => {
    now += ms;
  };
  return { scoreboard, primary, board, record, kinds, pass };
}

describe('writes', () => {
  it('go to the slot of the primary, until the lease ends', () => {
    const { board, record, primary } = world();
    board.write(open);
    expect(record()).toMatchObject({ mode: 'send', epoch: 7, slot: 3, generation: 1, writeUntil: 5000, cutAt: 5250 });
    expect(primary.forks(1)).toEqual([{ epoch: 7, position: 40 }]);
  });

  it('wait, or are refused, as soon as there is no leave', () => {
    const { board, record } = world();
    board.write({ ...open, writeUntil: 0, why: 'waits for a write lease' });
    expect(record()).toMatchObject({ mode: 'park', writeUntil: 0, slot: 3, cutAt: 5250 });
    board.write({ ...open, writeUntil: 0, otherwise: 'refuse' });
    expect(record().mode).toBe('refuse');
  });

  it('wait, and tunnels are cut, when the end of an epoch begins', () => {
    const { board, record } = world();
    board.write({ ...open, writeUntil: 0, fencing: true });
    expect(record()).toMatchObject({ mode: 'drain', writeUntil: 0, slot: 3, cutAt: 5250 });
    board.write({ ...open, writeUntil: 0, fencing: true, otherwise: 'refuse' });
    expect(record().mode).toBe('refuse');
    board.write(open);
    expect(record().mode).toBe('send');
  });

  it('do not begin under a lease that is over already, or for a node that has no row', () => {
    const { board, record, pass } = world();
    pass(4001);
    board.write(open);
    expect(record().mode).toBe('park');
    const other = world();
    other.board.write({ ...open, node: 'zz' });
    expect(other.record()).toMatchObject({ mode: 'park', slot: -1 });
  });

  it('move with the rows of their nodes', () => {
    const { board, record } = world();
    board.write(open);
    board.configure(new Map([['app', placeOf({}, 10)]]));
    expect(record()).toMatchObject({ mode: 'send', slot: 13 });
  });

  it('end with the process', () => {
    const { board, record } = world();
    board.write(open);
    board.close();
    expect(record()).toMatchObject({ mode: 'refuse', writeUntil: 0 });
  });

  it('of a pool that leaves the file end with its lease, and where none ends it, as if it had one', () => {
    const leased = world();
    leased.board.write(open);
    leased.board.configure(new Map());
    expect(leased.record()).toMatchObject({ mode: 'send', writeUntil: 3750, cutAt: 4000 });
    const unleased = world();
    const forever = Number.MAX_SAFE_INTEGER;
    unleased.board.write({ ...open, writeUntil: forever, cutAt: forever });
    unleased.board.configure(new Map());
    expect(unleased.record()).toMatchObject({ mode: 'send', writeUntil: 3750, cutAt: 4000 });
  });

  it('of a pool that left the file and came back count as its own, while they are under way', () => {
    const { scoreboard, board, record, pass } = world();
    board.write(open);
    scoreboard.addPool('writing', { thread: 0, slot: 1, by: 1 });
    board.configure(new Map());
    board.configure(new Map([['app', { ...placeOf(), slot: 2 }]]));
    expect(record(1)).toMatchObject({ mode: 'park', writeUntil: 0, epoch: 7, cutAt: 4000 });
    board.write({ ...open, writeUntil: 0, fencing: true });
    expect(board.held('app')).toEqual({ writing: 1, passed: null });
    scoreboard.primary.notePassed(0, 1, { epoch: 7, position: 55 });
    scoreboard.addPool('writing', { thread: 0, slot: 1, by: -1 });
    expect(board.held('app')).toEqual({ writing: 0, passed: 55 });
    pass(3000);
    // Its row may be another's now.
    scoreboard.addPool('writing', { thread: 0, slot: 1, by: 1 });
    expect(board.held('app')).toMatchObject({ writing: 0 });
  });

  it('of a pool that is not there any more are nobody', () => {
    const { board, record } = world();
    board.configure(new Map());
    board.write(open);
    expect([record().mode, board.held('app'), board.parked('app')]).toEqual(['none', null, 0]);
  });
});

describe('split.minReplicas', () => {
  it('makes writes wait until so many replicas follow, while the primary answers reads', () => {
    const { board, record } = world({ minReplicas: 2 });
    board.write(open);
    expect(record()).toMatchObject({ mode: 'hold', cutAt: 5250 });
    expect([record().isLive(4999), record().isPrimary(4999), record().isPrimary(5000)]).toEqual([false, true, false]);
    board.report(report('b'));
    expect(board.lacking('app')).toBe('1 of at least 2 replicas follow (split.minReplicas)');
    board.report(report('c', { lag: 1000 }));
    expect([record().mode, board.lacking('app')]).toEqual(['send', '']);
    board.report(report('c', { lag: 1001 }));
    expect(record().mode).toBe('hold');
    board.report(report('c', { up: false }));
    expect(record().mode).toBe('hold');
    board.report(report('a'));
    expect(record().mode).toBe('hold');
    board.write({ ...open, writeUntil: 0 });
    expect([record().mode, record().isPrimary(1000)]).toEqual(['park', false]);
  });

  it('counts no replica by what the machine said that had its name before', () => {
    const { board, record } = world({ minReplicas: 1 });
    board.write(open);
    board.report(report('b'));
    expect(record().mode).toBe('send');
    const moved = placeOf({ minReplicas: 1 });
    const nodes = new Map(moved.nodes).set('b', { slot: 9, generation: 1 });
    board.configure(new Map([['app', { ...moved, nodes }]]));
    expect([record().mode, board.lacking('app')]).toEqual([
      'hold',
      '0 of at least 1 replicas follow (split.minReplicas)',
    ]);
    board.report(report('b'));
    expect(record().mode).toBe('send');
  });
});

describe('reads', () => {
  it('go to readers within the bound; the primary is always near itself', () => {
    const { board, kinds } = world();
    board.write({ ...open, readers: ['a', 'b'] });
    expect(kinds()).toEqual(['fit', 'fit', 'none']);
    board.report(report('b', { lag: 1001 }));
    board.report(report('a', { lag: 9999 }));
    expect(kinds()).toEqual(['fit', 'behind', 'none']);
    board.report(report('b', { lag: 10 }));
    expect(kinds()).toEqual(['fit', 'fit', 'none']);
  });

  it('know positions of this epoch only', () => {
    const { board, primary } = world();
    board.write(open);
    board.report(report('b', { position: 41, epoch: 7 }));
    board.report(report('c', { position: 42 }));
    expect([primary.position(4), primary.position(5)]).toEqual([41, 42]);
    board.report(report('b', { position: 43, epoch: 6 }));
    expect(primary.position(4)).toBe(-1);
    board.write({ ...open, epoch: 8, node: 'b' });
    // c says no epoch: what it said before this one opened may lie beyond the fork. Its next word counts.
    expect(primary.position(5)).toBe(-1);
    board.report(report('c', { position: 42 }));
    expect(primary.position(5)).toBe(42);
    board.write({ ...open, epoch: 8, node: 'b', writeUntil: 1 });
    board.report(report('c', { position: null }));
    expect(primary.position(5)).toBe(42);
  });
});

it('what threads hold is told with the highest position of the epoch that clients know', () => {
  const { board, primary } = world();
  expect(board.held('app')).toBeNull();
  board.write(open);
  primary.notePassed(0, 1, { epoch: 7, position: 44 });
  expect(board.held('app')).toEqual({ writing: 0, passed: 44 });
});
