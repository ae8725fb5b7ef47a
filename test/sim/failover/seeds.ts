/** Which world a seed of failover is, and how many of them are run. */
import { Breach } from '../breach.ts';
import { Coverage } from '../coverage.ts';
import { styles } from './nodes.ts';
import type { Kind } from './policies.ts';
import { type FailoverResult, FailoverWorld, type FailoverWorldOptions } from './world.ts';

export function kindOf(seed: number): Kind {
  const members = ([3, 1, 3, 5, 3] as const)[seed % 5]!;
  const third = Math.floor(seed / 5);
  const manual = third % 8 === 7;
  return {
    members,
    nodes: third % 3 === 0 ? 2 : 3,
    style: styles[third % 4]!,
    onlyNodes: Math.floor(third / 4) % 4 === 0,
    mode: manual ? 'manual' : 'automatic',
    withoutQuorum: manual && seed % 2 === 0 ? 'continue' : 'stop',
    failback: third % 5 === 1 ? 'automatic' : 'manual',
    verify: third % 7 === 3,
  };
}

export interface Failure {
  readonly seed: number;
  readonly rule: string;
  readonly message: string;
}

export const isFailure = (result: FailoverResult | Failure): result is Failure => 'rule' in result;

export function runSeed(seed: number, more: Partial<FailoverWorldOptions> = {}): FailoverResult | Failure {
  try {
    return new FailoverWorld(seed, { ...kindOf(seed), ...more }).run();
  } catch (error) {
    const rule = error instanceof Breach ? error.rule : 'broken invariant';
    const message = error instanceof Breach ? error.message : String(error instanceof Error ? error.stack : error);
    return { seed, rule, message };
  }
}

export interface SeedsResult {
  readonly coverage: Coverage;
  readonly failures: readonly Failure[];
  readonly epochs: number;
  readonly acknowledged: number;
  readonly slowestHealMs: number;
}

export function runSeeds(seeds: Iterable<number>): SeedsResult {
  const coverage = new Coverage();
  const failures: Failure[] = [];
  const sums = { epochs: 0, acknowledged: 0, slowestHealMs: 0 };
  for (const seed of seeds) {
    const result = runSeed(seed);
    if (isFailure(result)) {
      failures.push(result);
      continue;
    }
    coverage.add(result.coverage);
    sums.epochs += result.epochs;
    sums.acknowledged += result.acknowledged;
    sums.slowestHealMs = Math.max(sums.slowestHealMs, result.healedAfter);
  }
  return { ...sums, coverage, failures };
}

export const repeat = (seed: number): string => `npm run sim -- --failover --seed ${seed}`;

export const failureText = (failures: readonly Failure[]): string =>
  failures.map(({ seed, message }) => `seed ${seed}: ${message}\n  repeat it: ${repeat(seed)}`).join('\n');
