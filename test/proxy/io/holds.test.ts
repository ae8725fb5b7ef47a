import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Hold, SnapshotHolds } from '../../../src/proxy/io/holds.ts';
import { snapshotOf } from '../../../src/routing/compile.ts';
import type { Snapshot } from '../../../src/routing/snapshot.ts';
import { threadCell } from '../../../src/scoreboard/layout.ts';
import { Scoreboard, threadLine } from '../../../src/scoreboard/scoreboard.ts';
import { settings } from '../../routing/fixtures.ts';

const version = (number: number): Snapshot =>
  snapshotOf(number, { settings, pools: [], nodes: new Map(), routes: [], listeners: {} });

const board = Scoreboard.create(2);
const cell = (name: 'oldestHeld' | 'snapshotVersion'): number => board.lines[threadLine(1) + threadCell[name]]!;

it('the oldest version that somebody holds, or the one in force, stands in the scoreboard', () => {
  const holds = new SnapshotHolds(board, 1);
  holds.swap(version(1));
  const old = holds.current!;
  old.count++;
  holds.swap(version(2));
  holds.swap(version(3));
  expect([cell('oldestHeld'), cell('snapshotVersion')]).toEqual([1, 3]);
  holds.release(old);
  expect(cell('oldestHeld')).toBe(3);
});

it('a version between that nobody holds does not matter, and one that is released does not free an older one', () => {
  const holds = new SnapshotHolds(board, 1);
  const taken: Hold[] = [];
  for (const number of [1, 2, 3]) {
    holds.swap(version(number));
    holds.current!.count++;
    taken.push(holds.current!);
  }
  holds.swap(version(4));
  holds.release(taken[1]!);
  expect(cell('oldestHeld')).toBe(1);
  holds.release(taken[0]!);
  expect(cell('oldestHeld')).toBe(3);
  holds.release(taken[2]!);
  expect(cell('oldestHeld')).toBe(4);
});

it('is the least of what is held, whatever is swapped, taken and released', () => {
  const step = fc.oneof(fc.constant('swap' as const), fc.constant('take' as const), fc.nat(9));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const holds = new SnapshotHolds(board, 1);
      const held: Hold[] = [];
      let number = 1;
      holds.swap(version(number));
      for (const each of steps) {
        if (each === 'swap') holds.swap(version(++number));
        else if (each === 'take') {
          holds.current!.count++;
          held.push(holds.current!);
        } else for (const one of held.splice(each, 1)) holds.release(one);
        expect(cell('oldestHeld')).toBe(Math.min(number, ...held.map((one) => one.snapshot.version)));
        expect(cell('snapshotVersion')).toBe(number);
      }
    }),
  );
});
