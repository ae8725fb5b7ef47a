import { describe, expect, it } from 'vitest';
import { HealthBoard } from '../../src/app/health-board.ts';
import { nodeId } from '../../src/base/ids.ts';
import type { Fitness, NodeHealthView } from '../../src/health/contract.ts';
import { nodeCell, nodeState, poolCell } from '../../src/scoreboard/layout.ts';
import { nodeLine, poolLine, Scoreboard } from '../../src/scoreboard/scoreboard.ts';

const place = { node: 5, pool: 2 };

const view = (fitness: Fitness, weight: number): NodeHealthView => ({
  pool: 'app',
  node: nodeId('a'),
  verdict: 'healthy',
  wish: 'ready',
  fitness,
  weight,
  why: 'as told',
  changedAt: 0,
  ejectedUntil: null,
  ejections: 0,
  check: null,
  downs: 0,
  downtime: 0,
});

function world() {
  const scoreboard = Scoreboard.create(1);
  const board = new HealthBoard(scoreboard);
  const cell = (name: keyof typeof nodeCell): number => scoreboard.lines[nodeLine(place.node) + nodeCell[name]]!;
  const set = (name: keyof typeof nodeCell, value: number): void => {
    scoreboard.lines[nodeLine(place.node) + nodeCell[name]] = value;
  };
  const changes = (): number => scoreboard.lines[poolLine(place.pool) + poolCell.changes]!;
  return { board, cell, set, changes };
}

describe('health in the scoreboard', () => {
  it('is a state, a weight in thousandths, and a bump of the pool', () => {
    const { board, cell, changes } = world();
    board.write(view('fit', 2.5), place, true);
    expect([cell('state'), cell('weight'), changes()]).toEqual([nodeState.fit, 2500, 1]);
    board.write(view('unfit', 0), place, true);
    expect([cell('state'), cell('weight'), changes()]).toEqual([0, 0, 2]);
    board.write(view('fit', 0.0001), place, true);
    expect(cell('weight')).toBe(1);
  });

  it('forgets errors with a new fitness, not with a new weight', () => {
    const { board, cell, set } = world();
    board.write(view('fit', 1), place, true);
    set('consecutiveErrors', 3);
    board.write(view('fit', 0.5), place, false);
    expect(cell('consecutiveErrors')).toBe(3);
    board.write(view('probation', 1), place, true);
    expect([cell('consecutiveErrors'), cell('state')]).toEqual([0, nodeState.probation]);
  });

  it('gives the right to try a node again when nothing was heard for half a minute', () => {
    const { board, cell, set, changes } = world();
    board.write(view('probation', 1), place, true);
    set('probationTaken', 1);
    board.freeProbation(0);
    board.freeProbation(29_000);
    expect([cell('probationTaken'), changes()]).toEqual([1, 1]);
    board.freeProbation(30_000);
    expect([cell('probationTaken'), changes()]).toEqual([0, 2]);
  });

  it('lets any request try a node that none came to which could be sent again', () => {
    const { board, cell, set, changes } = world();
    board.write(view('probation', 1), place, true);
    board.freeProbation(0);
    board.freeProbation(4000);
    // One tried it, and was no answer: the time begins anew.
    set('probationTaken', 1);
    board.freeProbation(5000);
    set('probationTaken', 0);
    board.freeProbation(6000);
    board.freeProbation(10_900);
    expect([cell('state'), changes()]).toEqual([nodeState.probation, 1]);
    board.freeProbation(11_000);
    board.freeProbation(12_000);
    expect([cell('state'), changes()]).toEqual([nodeState.probation | nodeState.anyMayTry, 2]);
    board.write(view('probation', 2), place, false);
    expect(cell('state')).toBe(nodeState.probation | nodeState.anyMayTry);
    for (const fitness of ['unfit', 'probation'] as const) board.write(view(fitness, 1), place, true);
    board.freeProbation(13_000);
    expect(cell('state')).toBe(nodeState.probation);
  });

  it('leaves nodes alone that are no longer on probation, or gone', () => {
    const { board, cell, set } = world();
    for (const end of [() => board.write(view('fit', 1), place, true), () => board.keepOnly(new Set())]) {
      board.write(view('probation', 1), place, true);
      end();
      set('probationTaken', 1);
      board.freeProbation(0);
      board.freeProbation(60_000);
      expect(cell('probationTaken')).toBe(1);
    }
  });
});
