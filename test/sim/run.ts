/** The form of the simulation that runs with the tests: a share of the seeds, and what they must have come by. */
import { beforeAll, describe, expect, it } from 'vitest';
import { faultNames } from './faults.ts';
import { type Failure, failureText, optionsOf, runSeeds, type SeedsResult } from './seeds.ts';

const of = (room: string, ...names: readonly string[]): readonly string[] => names.map((name) => `${room}: ${name}`);

/** Faults, edges of the machines, and answers to clients that no run may miss. */
export const mustReach: readonly string[] = [
  ...faultNames,
  ...of('raft', 'role leader', 'role candidate', 'role follower', 'standing time-out', 'standing transfer'),
  ...of('raft', 'standing asked', 'election-lost refused', 'election-lost no-answer', 'stepped-down no-quorum'),
  ...of('raft', 'stepped-down stalled', 'stepped-down transferred', 'snapshot-installed', 'config', 'slow-disk'),
  ...of('raft', 'transfer asked', 'transfer slow-disk'),
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
];

/**
 * A disk that is put back to an old copy takes entries from a quorum that had them: until the member on it is found out,
 * the rule can't hold. Open, and told to users in docs/CLUSTER.md (Limits); seed 307 shows it.
 */
const isTakenByCopy = ({ seed, rule }: Failure): boolean =>
  optionsOf(seed).copies === true && rule === 'a quorum has it';

const fiveMinutes = 300_000;

export function simulate(from: number, count: number): void {
  describe(`the simulation, seeds ${from} to ${from + count - 1}`, () => {
    let result: SeedsResult;
    beforeAll(() => {
      result = runSeeds(Array.from({ length: count }, (_, i) => from + i));
    }, fiveMinutes);

    it('breaks no rule, and is whole again when the faults stop', () => {
      expect(failureText(result.failures.filter((failure) => !isTakenByCopy(failure)))).toBe('');
    });

    it('comes by each fault, each edge and each kind of answer', () => {
      expect(result.coverage.missing(mustReach)).toEqual([]);
    });
  });
}
