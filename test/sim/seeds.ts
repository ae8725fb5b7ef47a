/** Which world a seed is, and how many of them are run. */
import { Breach } from './breach.ts';
import { Coverage } from './coverage.ts';
import { World, type WorldOptions, type WorldResult } from './world.ts';

type Kind = Pick<WorldOptions, 'members' | 'spares' | 'copies' | 'swaps' | 'early'>;

/** Of 64 seeds each of these is one. */
const rare: readonly Kind[] = [
  { members: 1 },
  { members: 2 },
  { members: 2, early: true },
  { members: 3, early: true },
  { members: 3, early: true, swaps: 'empty' },
  { members: 3, swaps: 'empty' },
  { members: 3, swaps: 'exchange' },
  { members: 3, swaps: 'twin' },
];

/**
 * Of eight seeds two have 3 members and nothing special, one loses what a disk knew, two have 5 members, one has members
 * that come and go, one has six where three vote; the eighth is one of the rare kinds.
 */
export function optionsOf(seed: number): Kind {
  const kind = seed % 8;
  if (kind === 1) return rare[Math.floor(seed / 8) % rare.length]!;
  if (kind < 4) return { members: 3, copies: kind === 3 };
  if (kind < 6) return { members: 5 };
  return { members: 3, spares: kind === 6 ? 1 : 3 };
}

export interface Failure {
  readonly seed: number;
  readonly rule: string;
  readonly message: string;
}

export interface SeedsResult {
  readonly seeds: number;
  readonly steps: number;
  readonly committed: number;
  readonly answered: number;
  readonly slowestHealMs: number;
  readonly coverage: Coverage;
  readonly failures: readonly Failure[];
}

/** The breach, or null. Anything else that is thrown is the machine's own broken invariant, and a failure too. */
export function runSeed(seed: number, more: Partial<WorldOptions> = {}): WorldResult | Failure {
  const world = new World(seed, { ...optionsOf(seed), ...more });
  try {
    return world.run();
  } catch (error) {
    const rule = error instanceof Breach ? error.rule : 'broken invariant';
    const message = error instanceof Breach ? error.message : String(error instanceof Error ? error.stack : error);
    return { seed, rule, message };
  }
}

export const isFailure = (result: WorldResult | Failure): result is Failure => 'rule' in result;

export function runSeeds(
  seeds: Iterable<number>,
  each: (result: Failure | WorldResult) => void = () => {},
  worldOf: (seed: number) => Partial<WorldOptions> = () => ({}),
): SeedsResult {
  const coverage = new Coverage();
  const failures: Failure[] = [];
  const sums = { seeds: 0, steps: 0, committed: 0, answered: 0, slowestHealMs: 0 };
  for (const seed of seeds) {
    const result = runSeed(seed, worldOf(seed));
    each(result);
    sums.seeds += 1;
    if (isFailure(result)) {
      failures.push(result);
      continue;
    }
    coverage.add(result.coverage);
    sums.steps += result.steps;
    sums.committed += result.committed;
    sums.answered += result.clients.answered;
    sums.slowestHealMs = Math.max(sums.slowestHealMs, result.healedAfter);
  }
  return { ...sums, coverage, failures };
}

export const repeat = (seed: number): string => `npm run sim -- --seed ${seed}`;

export function failureText(failures: readonly Failure[]): string {
  return failures.map(({ seed, message }) => `seed ${seed}: ${message}\n  repeat it: ${repeat(seed)}`).join('\n');
}
