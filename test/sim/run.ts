/** The form of the simulation that runs with the tests: a share of the seeds, and what they must have come by. */
import { beforeAll, describe, expect, it } from 'vitest';
import { faultNames } from './faults.ts';
import { failureText, runSeeds, type SeedsResult } from './seeds.ts';

const of = (room: string, ...names: readonly string[]): readonly string[] => names.map((name) => `${room}: ${name}`);

/** Faults, edges of the machines, and answers to clients that no run may miss. */
export const mustReach: readonly string[] = [
  ...faultNames,
  ...of('raft', 'role leader', 'role candidate', 'role follower', 'standing time-out', 'standing transfer'),
  ...of('raft', 'standing asked', 'election-lost refused', 'election-lost no-answer', 'stepped-down no-quorum'),
  ...of('raft', 'stepped-down stalled', 'stepped-down transferred', 'snapshot-installed', 'config', 'slow-disk'),
  ...of('raft', 'transfer asked', 'transfer slow-disk', 'transfer priority'),
  ...of('swim', 'joined', 'suspected', 'refuted', 'dead', 'restarted', 'met'),
  ...of('answer', 'read', 'leased read', 'quorum write', 'strong write', 'lock held'),
  ...of('answer', 'no-quorum', 'unknown-outcome', 'none in time'),
  ...of('history', 'keys checked', 'locks checked'),
  ...of('disk', 'unsynced writes lost', 'landed, never reported', 'torn tail'),
  ...of('kept', 'broken', 'bytes came after a cut', 'lost with its connection'),
  ...of('datagram', 'lost', 'doubled', 'late', 'cut'),
  ...of('lease', 'given', 'not-open'),
  ...of('pool', 'opened', 'resumed by a new leader'),
  ...of('void-leases', 'stalled'),
  ...of('ended', 'disk', 'removed'),
  ...of('remove', 'done'),
  ...of('ended', 'amnesia'),
  ...of('disk', 'put back', 'put back, started in silence', 'two processes on one', 'emptied', 'exchanged'),
  ...of('minority', 'no-quorum', 'reads nothing', 'says so'),
  ...of('world', '1 first voters', '2 first voters', '3 first voters', '5 first voters'),
  ...of('world', '2 first voters, faults while they form', '3 first voters, faults while they form'),
];

const fiveMinutes = 300_000;

export function simulate(from: number, count: number): void {
  describe(`the simulation, seeds ${from} to ${from + count - 1}`, () => {
    let result: SeedsResult;
    beforeAll(() => {
      result = runSeeds(Array.from({ length: count }, (_, i) => from + i));
    }, fiveMinutes);

    it('breaks no rule, and is whole again when the faults stop', () => {
      expect(failureText(result.failures)).toBe('');
    });

    it('comes by each fault, each edge and each kind of answer', () => {
      expect(result.coverage.missing(mustReach)).toEqual([]);
    });
  });
}
