/** Which world a seed of failover is, and how many of them are run. */
import { Breach } from '../breach.ts';
import { Coverage } from '../coverage.ts';
import { styles } from './nodes.ts';
import type { Kind, PoolKind } from './policies.ts';
import { type FailoverResult, FailoverWorld, type FailoverWorldOptions } from './world.ts';

/** The pool of one; what it needs of its world beside is said by who calls. */
function poolOf(third: number): PoolKind {
  const manual = third % 8 === 7;
  const style = styles[third % 4]!;
  return {
    style,
    nodes: third % 3 === 0 ? 2 : 3,
    mode: manual ? 'manual' : 'automatic',
    withoutQuorum: 'stop',
    failback: third % 5 === 1 ? 'automatic' : 'manual',
    verify: third % 7 === 3,
    maxLag: style === 'after' && Math.floor(third / 8) % 2 === 0 ? 12 : 0,
    former: style === 'before' && third % 3 === 1,
  };
}

export function kindOf(seed: number): Kind {
  const third = Math.floor(seed / 5);
  const members = seed % 5 === 1 && third % 2 === 1 ? 2 : ([3, 1, 3, 5, 3] as const)[seed % 5]!;
  const pool = poolOf(third);
  const second = seed % 3 === 1 ? poolOf(third + 5) : null;
  return {
    ...pool,
    members,
    withoutQuorum: pool.mode === 'manual' && seed % 2 === 0 ? 'continue' : 'stop',
    onlyNodes: Math.floor(third / 4) % 4 === 0,
    spare: members === 3 && seed % 4 === 2,
    witness: members === 3 && seed % 5 === 0,
    second,
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
  readonly slowestEndMs: number;
}

export function runSeeds(
  seeds: Iterable<number>,
  worldOf: (seed: number) => Partial<FailoverWorldOptions> = () => ({}),
): SeedsResult {
  const coverage = new Coverage();
  const failures: Failure[] = [];
  const sums = { epochs: 0, acknowledged: 0, slowestHealMs: 0, slowestEndMs: 0 };
  for (const seed of seeds) {
    const result = runSeed(seed, worldOf(seed));
    if (isFailure(result)) {
      failures.push(result);
      continue;
    }
    coverage.add(result.coverage);
    sums.epochs += result.epochs;
    sums.acknowledged += result.acknowledged;
    sums.slowestHealMs = Math.max(sums.slowestHealMs, result.healedAfter);
    sums.slowestEndMs = Math.max(sums.slowestEndMs, result.slowestEndMs);
  }
  return { ...sums, coverage, failures };
}

export const repeat = (seed: number): string => `npm run sim -- --failover --seed ${seed}`;

export const failureText = (failures: readonly Failure[]): string =>
  failures.map(({ seed, message }) => `seed ${seed}: ${message}\n  repeat it: ${repeat(seed)}`).join('\n');
