/** The form of the failover simulation that runs with the tests: a share of the seeds, and what they must have come by. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { PlantedFailover } from './plants.ts';
import { failureText, isFailure, runSeed, runSeeds, type SeedsResult } from './seeds.ts';

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
  ...of('parked', 'node failed n checks in a row', 'waits for leave to write', 'its nodes are asked who is primary'),
  ...of('data', 'a write was cut', 'bytes came late'),
  ...of('node', 'gave up what only it had', 'begins what was sent before its epoch ended'),
  ...of('command', 'switch done', 'switch unfit', 'automatic done', 'adopt done', 'failback failed'),
  ...of('write', 'answered', 'failed', 'refused'),
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
const plantedWithin = 500;

export function findPlantedFailover(planted: readonly PlantedFailover[]): void {
  it.each(planted)(
    '$name is found',
    ({ name: _name, worlds, ...breach }) => {
      const seeds = Array.from({ length: plantedWithin }, (_, i) => i + 1);
      expect(seeds.find((seed) => isFailure(runSeed(seed, { ...breach, ...worlds })))).toBeDefined();
    },
    tenMinutes,
  );
}
