/** Picks in a pool with a primary: readers only, only those that are far enough, and the very node that is asked for. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { Algorithm } from '../../src/config/model.ts';
import { allFull, noNode, type PickFor, Pool } from '../../src/proxy/pool.ts';
import { maxNodes } from '../../src/scoreboard/layout.ts';
import type { ReaderKind } from '../../src/scoreboard/primary.ts';
import { Scoreboard } from '../../src/scoreboard/scoreboard.ts';
import { node } from '../routing/fixtures.ts';
import { inFlight, setNode, view } from './fixtures.ts';
import { parking, split } from './primary-world.ts';

const ask = (tried: readonly number[] = []): PickFor => ({ hash: 7, tried, mayProbe: true });
const free = { responseMs: 1, failed: false, now: 0 };

function world(count: number, options: { algorithm?: Algorithm; any?: boolean; maxConnections?: number } = {}) {
  const board = Scoreboard.create(1);
  const rows = Array.from({ length: count }, (_, slot) => node('app', `n-${slot}`, slot));
  const memory = { ewma: new Float64Array(maxNodes), stamp: new Float64Array(maxNodes) };
  const pool = new Pool(
    view(rows, {
      limits: { maxConnections: options.maxConnections ?? 100, maxPending: 10, queueTimeout: 1000 },
      balance: { algorithm: options.algorithm ?? 'round-robin', key: { from: 'address' } },
      primary: { parking, split: { ...split, reads: options.any ? ['any'] : ['replicas'] }, alone: true },
    }),
    { thread: 0, scoreboard: board, random: seededRandom(1), memory },
  );
  for (let slot = 0; slot < count; slot++) setNode(board, slot);
  const primary = (slot: number): void => {
    const record = { mode: 'send', epoch: 1, writeUntil: 1e9, cutAt: 1e9, forks: [] } as const;
    board.primary.write(0, { ...record, node: { slot, generation: 1 } }, 0);
  };
  return { board, pool, primary };
}

const algorithms: readonly Algorithm[] = [
  'round-robin',
  'weighted',
  'least-connections',
  'random-two',
  'peak-ewma',
  'consistent-hash',
];

describe('a reader', () => {
  it('is fit, takes reads, has the position, was not tried, and is the primary only where that may be', () => {
    const anyNode = fc.record({
      kind: fc.constantFrom<ReaderKind>('none', 'fit', 'fit', 'behind'),
      fit: fc.boolean(),
      position: fc.integer({ min: -1, max: 4 }),
      tried: fc.boolean(),
    });
    const setup = fc.record({
      nodes: fc.array(anyNode, { minLength: 1, maxLength: 6 }),
      algorithm: fc.constantFrom(...algorithms),
      any: fc.boolean(),
      position: fc.integer({ min: -1, max: 4 }),
    });
    fc.assert(
      fc.property(setup, ({ nodes, algorithm, any, position }) => {
        const { board, pool, primary } = world(nodes.length, { algorithm, any });
        primary(0);
        nodes.forEach(({ kind, fit, position: at }, slot) => {
          setNode(board, slot, { fit });
          board.primary.setReader({ pool: 0, node: slot }, { kind, lag: null });
          board.primary.setPosition(slot, at < 0 ? null : at);
        });
        const tried = nodes.flatMap((one, slot) => (one.tried ? [slot] : []));
        const suits = nodes.map(
          (one, slot) =>
            one.fit &&
            !one.tried &&
            (slot === 0 ? any : one.kind === 'fit' && (position < 0 || one.position >= position)),
        );
        for (let i = 0; i < 4; i++) {
          const index = pool.pickReader(ask(tried), 0, { primary: 0, withPrimary: any, position });
          if (index >= 0) expect(suits[index]).toBe(true);
          else expect([index, suits.includes(true)]).toEqual([noNode, false]);
        }
      }),
    );
  });

  it('is none of those too far behind, also where they are more than can be left out at once', () => {
    const { board, pool, primary } = world(60);
    primary(0);
    for (let slot = 1; slot < 60; slot++) {
      board.primary.setReader({ pool: 0, node: slot }, { kind: 'fit', lag: null });
      board.primary.setPosition(slot, slot === 59 ? 10 : 1);
    }
    for (let i = 0; i < 100; i++) {
      const index = pool.pickReader(ask(), 0, { primary: 0, withPrimary: false, position: 5 });
      expect([noNode, 59]).toContain(index);
    }
  });

  it('on probation is held to the same', () => {
    const { board, pool, primary } = world(2);
    primary(0);
    setNode(board, 1, { fit: false, probation: true });
    board.primary.setReader({ pool: 0, node: 1 }, { kind: 'fit', lag: null });
    expect(pool.pickReader(ask(), 0, { primary: 0, withPrimary: false, position: 5 })).toBe(noNode);
    board.primary.setPosition(1, 5);
    expect(pool.pickReader(ask(), 0, { primary: 0, withPrimary: false, position: 5 })).toBe(1);
    board.primary.setReader({ pool: 0, node: 1 }, { kind: 'none', lag: null });
    expect(pool.pickReader(ask(), 0, { primary: 0, withPrimary: false, position: -1 })).toBe(noNode);
  });
});

describe('the very node', () => {
  it('is the one of that slot and generation, fit or not, up to its maxConnections', () => {
    const { board, pool } = world(3, { maxConnections: 1 });
    setNode(board, 2, { fit: false });
    expect([pool.takeNode(2, 2), pool.takeNode(7, 1)]).toEqual([noNode, noNode]);
    expect([pool.takeNode(2, 1), pool.takeNode(2, 1)]).toEqual([2, allFull]);
    expect(inFlight(board, 2)).toBe(1);
    pool.release(2, free);
    expect(pool.takeNode(2, 1)).toBe(2);
  });
});
