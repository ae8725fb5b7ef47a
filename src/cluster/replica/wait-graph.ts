/**
 * Who waits for whom, and whether one more wait would close a circle.
 *
 *   an owner that waits for a lock waits for its holder and for everybody ahead of it in the queue
 *
 * The new waiter stands last and nobody waits for it on account of this lock, so any circle runs through its own edges:
 * search from there, breadth first, and the first way back to it is a shortest circle. Each queue is looked at once.
 */
import type { Lock, Wait } from './model.ts';

/** Longest circle that is told whole; of a longer one the beginning. */
const toldMax = 100;

interface Step extends Wait {
  readonly from: Step | null;
}

export class WaitGraph {
  /** Locks that an owner waits for. */
  readonly #waits = new Map<string, Set<string>>();

  add(owner: string, lock: string): void {
    this.#waits.set(owner, (this.#waits.get(owner) ?? new Set()).add(lock));
  }

  remove(owner: string, lock: string): void {
    const locks = this.#waits.get(owner);
    locks?.delete(lock);
    if (locks?.size === 0) this.#waits.delete(owner);
  }

  /** The circle that would be closed if `owner` stood last in the queue of `lock`; null if none would. */
  cycle(owner: string, lock: string, lockOf: (name: string) => Lock | undefined): readonly Wait[] | null {
    const steps: Step[] = [{ owner, lock, from: null }];
    const seenOwners = new Set<string>();
    const seenUpTo = new Map<string, number>();
    for (let at = 0; at < steps.length; at++) {
      const step = steps[at]!;
      for (const blocker of blockers(step, lockOf(step.lock), seenUpTo)) {
        if (blocker === owner) return told(step);
        if (seenOwners.has(blocker)) continue;
        seenOwners.add(blocker);
        // Sorted, since the order in which a set was filled is not the same on a member that was restored.
        const next = [...(this.#waits.get(blocker) ?? [])].sort();
        for (const name of next) steps.push({ owner: blocker, lock: name, from: step });
      }
    }
    return null;
  }
}

/** Whom this step waits for, without those of the same lock that were looked at before. */
function blockers(step: Step, lock: Lock | undefined, seenUpTo: Map<string, number>): string[] {
  if (lock === undefined) return [];
  const seen = seenUpTo.get(lock.name);
  if (seen === lock.queue.length) return [];
  const place = lock.queue.findIndex((waiter) => waiter.owner === step.owner);
  const ahead = place === -1 ? lock.queue.length : place;
  const found = lock.queue.slice(seen ?? 0, ahead).map((waiter) => waiter.owner);
  if (seen === undefined && lock.holder !== null) found.unshift(lock.holder.owner);
  seenUpTo.set(lock.name, Math.max(seen ?? 0, ahead));
  return found;
}

function told(last: Step): readonly Wait[] {
  const cycle: Wait[] = [];
  for (let step: Step | null = last; step !== null; step = step.from) {
    cycle.push({ owner: step.owner, lock: step.lock });
  }
  return cycle.reverse().slice(0, toldMax);
}
