/**
 * Looking for planted bugs. One counts as found when it breaks a rule of the checkers that it should break: not when the
 * members merely throw, or never come to rest. The same world without it must be sound, or something else was found.
 */
import { expect, it } from 'vitest';
import { type AimName, aimed, aims } from './aims.ts';
import type { Planted } from './plants.ts';
import { type Failure, isFailure, runSeed } from './seeds.ts';
import type { WorldOptions } from './world.ts';

/** Within how many seeds each must show. */
export const plantedWithin = 500;

export interface Find {
  readonly seed: number;
  readonly failure: Failure;
}

const worldOf = ({ aim, worlds }: Planted, seed: number): Partial<WorldOptions> => ({
  ...(aim && aimed(aim, seed)),
  ...worlds,
});

/** The first seed that shows it; a failure of another kind does not. */
export function find(planted: Planted, from = 1, to = plantedWithin): Find | null {
  const { raftRules, rules, habits } = planted;
  for (let seed = from; seed <= to; seed++) {
    const world = { ...worldOf(planted, seed), raftRules: raftRules ?? {}, rules: rules ?? {}, habits: habits ?? {} };
    const failure = runSeed(seed, world);
    if (isFailure(failure) && planted.breaks.includes(failure.rule)) return { seed, failure };
  }
  return null;
}

const fiveMinutes = 300_000;

export function findEach(all: readonly Planted[]): void {
  it.each(all)(
    '$name is found',
    (planted) => {
      const found = find(planted);
      expect(found).not.toBeNull();
      expect(isFailure(runSeed(found!.seed, worldOf(planted, found!.seed)))).toBe(false);
    },
    fiveMinutes,
  );
}

/** How many seeds of each family run with the tests. */
const ofEach = 10;

export function runEach(): void {
  it.each(Object.entries(aims))(
    '%s: $what',
    (name) => {
      const failures = Array.from({ length: ofEach }, (_, i) => runSeed(i + 1, aimed(name as AimName, i + 1)));
      expect(failures.filter(isFailure)).toEqual([]);
    },
    fiveMinutes,
  );
}
