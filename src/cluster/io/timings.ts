/** What this member counted of its own requests to the agreed state, for metrics. Times in the buckets of the scoreboard. */
import type { Millis } from '../../base/ids.ts';
import type { Result } from '../../base/result.ts';
import { bucketCount, bucketOf } from '../../scoreboard/histogram.ts';
import type { CoordinatorError, LockRoom, Written } from '../coordinator.ts';

/** How a write ended. `unknown`: it may have been committed or not. */
export const writeResults = ['committed', 'handed-on', 'unknown', 'no-quorum', 'refused'] as const;
export type WriteResult = (typeof writeResults)[number];

function resultOf(result: Result<Written<unknown>, CoordinatorError>): WriteResult {
  if (result.ok) return result.value.committed ? 'committed' : 'handed-on';
  if (result.error.kind === 'unknown-outcome') return 'unknown';
  return result.error.kind === 'no-quorum' ? 'no-quorum' : 'refused';
}

export class Timings {
  /** From a write's proposal to its answer, of those that were committed. */
  readonly commits = new Float64Array(bucketCount);
  /** From asking for a lock, ready to wait, to the grant or the end of the wait. */
  readonly lockWaits = new Float64Array(bucketCount);
  readonly writes: Record<WriteResult, number> = {
    committed: 0,
    'handed-on': 0,
    unknown: 0,
    'no-quorum': 0,
    refused: 0,
  };

  wrote(started: Millis, result: Result<Written<unknown>, CoordinatorError>): void {
    const how = resultOf(result);
    this.writes[how] += 1;
    if (how === 'committed') note(this.commits, started);
  }

  /** The same room, with its waits timed. */
  timed(room: LockRoom): LockRoom {
    return {
      ...room,
      acquire: (name, terms) => {
        if ((terms.waitMs ?? 0) === 0) return room.acquire(name, terms);
        const started = performance.now();
        return room.acquire(name, terms).finally(() => note(this.lockWaits, started));
      },
    };
  }
}

function note(buckets: Float64Array, started: Millis): void {
  const bucket = bucketOf((performance.now() - started) * 1000);
  buckets[bucket] = buckets[bucket]! + 1;
}
