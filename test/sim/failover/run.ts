/** The form of the failover simulation that runs with the tests: a share of the seeds, and what they must have come by. */
import { beforeAll, describe, expect, it } from 'vitest';
import { aimed, aimNames, aims } from './aims.ts';
import type { PlantedFailover } from './plants.ts';
import { failureText, isFailure, runSeed, runSeeds, type SeedsResult } from './seeds.ts';
import type { FailoverWorldOptions } from './world.ts';

const of = (room: string, ...names: readonly string[]): readonly string[] => names.map((name) => `${room}: ${name}`);

/** Faults, edges of the pool's record and answers that no run of 125 seeds may miss. */
export const mustReach: readonly string[] = [
  ...of(
    'fault',
    'kill',
    'hang',
    'unplug',
    'late',
    'hooks',
    'operator',
    'crash',
    'isolate',
    'split',
    'apart',
    'net',
    'disk',
    'deaf',
    'rows',
    'add',
    'remove',
  ),
  ...of(
    'fault',
    'drift',
    'transfer',
    'stall',
    'thread',
    'pause',
    'suspend',
    'elsewhere',
    'differs',
    'restart',
    'foreign',
  ),
  ...of('edge', 'open > pending', 'pending > open', 'pending > pending', 'pending > failed', 'failed > pending'),
  ...of('pool', 'open first', 'open failover', 'open switchover', 'open failback', 'open return'),
  ...of('pool', 'pending adopt', 'failed failover', 'failed return'),
  ...of('hook', 'promote took effect', 'demote took effect', 'rejoin took effect'),
  ...of('lease', 'given', 'no-quorum', 'not-open'),
  ...of('parked', 'sent afterwards', 'epoch n is being opened', 'a switch of primary is about to begin'),
  ...of('parked', 'node failed n checks in a row', 'waits for a write lease', 'its nodes are asked who is primary'),
  ...of('parked', 'a node knows better', 'the epoch is moving'),
  ...of('data', 'a write was cut', 'a tunnel was cut', 'bytes came late', 'a connection was refused, nothing was sent'),
  ...of('files', 'rows were replaced'),
  ...of('add', 'done'),
  ...of('remove', 'done'),
  ...of('ended', 'removed'),
  ...of('first', 'above what an earlier cluster had'),
  ...of('read', 'by a replica', 'by the primary', 'refused'),
  ...of('after', 'acknowledged writes lost, as its replication allows'),
  ...of('world', '1 members', '2 members', '3 members', '3 members, one a witness', '5 members', 'two pools'),
  ...of('node', 'gave up what only it had', 'begins what was sent before its epoch ended'),
  ...of('command', 'switch done', 'switch unfit', 'automatic done', 'adopt done', 'failback failed'),
  ...of('write', 'answered', 'failed', 'refused'),
  ...of('tunnel', 'answered', 'failed', 'refused'),
];

const tenMinutes = 600_000;

export function simulateFailover(from: number, count: number): void {
  describe(`failover, seeds ${from} to ${from + count - 1}`, () => {
    let result: SeedsResult;
    beforeAll(() => {
      result = runSeeds(Array.from({ length: count }, (_, i) => from + i));
    }, tenMinutes);

    it('breaks no rule, and every failover ends when the faults stop', () => {
      expect(failureText(result.failures)).toBe('');
    });

    it('comes by each fault, each edge and each kind of answer', () => {
      expect(result.coverage.missing(mustReach)).toEqual([]);
    });
  });
}

/** Within how many seeds each planted bug must show. */
export const plantedWithin = 500;

const worldOf = ({ aim, worlds }: PlantedFailover, seed: number): Partial<FailoverWorldOptions> => ({
  ...(aim && aimed(aim, seed)),
  ...worlds,
});

/** The first seed that shows it by a rule that it breaks; a failure of another kind does not. */
export function find(
  planted: PlantedFailover,
  to = plantedWithin,
): { readonly seed: number; readonly rule: string } | null {
  const { rules, memberRules, habits } = planted;
  for (let seed = 1; seed <= to; seed++) {
    const breach = { ...(rules && { rules }), ...(memberRules && { memberRules }), ...(habits && { habits }) };
    const result = runSeed(seed, { ...worldOf(planted, seed), ...breach });
    if (isFailure(result) && planted.breaks.includes(result.rule)) return { seed, rule: result.rule };
  }
  return null;
}

export function findPlantedFailover(planted: readonly PlantedFailover[]): void {
  it.each(planted)(
    '$rule $name is found',
    (one) => {
      const found = find(one);
      expect(found).not.toBeNull();
      // The same world without it is sound: nothing else was found.
      expect(runSeed(found!.seed, worldOf(one, found!.seed))).not.toHaveProperty('rule');
    },
    tenMinutes,
  );
}

/** How many seeds of each family run with the tests. */
const ofEach = 5;

export function runAims(): void {
  it.each(aimNames.map((name) => ({ name, what: aims[name].what })))(
    '$name: $what',
    ({ name }) => {
      const failures = Array.from({ length: ofEach }, (_, i) => runSeed(i + 1, aimed(name, i + 1)));
      expect(failures.filter(isFailure)).toEqual([]);
    },
    tenMinutes,
  );
}
