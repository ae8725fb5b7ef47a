/** Locks against a model that is too simple to be wrong: one list of facts per lock, everything looked at every time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bench, wall } from './bench.ts';

interface Asked {
  readonly owner: string;
  readonly ttlMs: number;
  readonly delayMs: number;
  readonly deadline: number;
}

class Naive {
  holder: { owner: string; expiresAt: number; delayMs: number } | null = null;
  freeAt = 0;
  queue: Asked[] = [];

  serve(now: number): void {
    this.queue = this.queue.filter((one) => one.deadline > now);
    if (this.holder !== null || this.freeAt > now) return;
    const first = this.queue.shift();
    if (first) this.holder = { owner: first.owner, expiresAt: now + first.ttlMs, delayMs: first.delayMs };
  }

  expire(now: number): void {
    if (this.holder !== null && this.holder.expiresAt <= now) {
      this.freeAt = now + this.holder.delayMs;
      this.holder = null;
    }
    this.serve(now);
  }
}

type Step = { readonly pass: number; readonly name: string; readonly owner: string } & (
  | { readonly do: 'acquire'; readonly ttlMs: number; readonly waitMs: number; readonly delayMs: number }
  | { readonly do: 'release' | 'expire' | 'withdraw' }
);

const span = fc.constantFrom(0, 1, 10, 30, 200);
const common = {
  pass: fc.constantFrom(0, 0, 1, 5, 25),
  name: fc.constantFrom('x', 'y'),
  owner: fc.constantFrom('ann', 'bob', 'cid', 'dan'),
};
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({ ...common, do: fc.constant('acquire' as const), ttlMs: span, waitMs: span, delayMs: span }),
    fc.record({ ...common, do: fc.constantFrom('release' as const, 'expire' as const, 'withdraw' as const) }),
  ),
  { maxLength: 60 },
);

/** Whether `owner`, if it waited for `name`, would wait for itself in the end. */
function circle(model: ReadonlyMap<string, Naive>, owner: string, name: string): boolean {
  const waitsFor = (who: string, lock: string): string[] => {
    const { holder, queue } = model.get(lock)!;
    const place = queue.findIndex((one) => one.owner === who);
    const ahead = (place === -1 ? queue : queue.slice(0, place)).map((one) => one.owner);
    return holder ? [holder.owner, ...ahead] : ahead;
  };
  const reached = new Set(waitsFor(owner, name));
  for (const who of reached) {
    for (const [lock, { queue }] of model) {
      if (queue.some((one) => one.owner === who)) for (const next of waitsFor(who, lock)) reached.add(next);
    }
  }
  return reached.has(owner);
}

function expected(model: ReadonlyMap<string, Naive>, step: Step, now: number): string {
  const lock = model.get(step.name)!;
  if (step.do === 'expire') {
    for (const one of model.values()) one.expire(now);
    return 'done';
  }
  if (step.do === 'acquire') return expectedAcquire(model, step, now);
  if (lock.holder?.owner === step.owner) {
    lock.holder = null;
    lock.freeAt = 0;
    lock.serve(now);
    return 'done';
  }
  const waits = lock.queue.some((one) => one.owner === step.owner);
  if (step.do === 'release' || !waits) return 'absent';
  lock.queue = lock.queue.filter((one) => one.owner !== step.owner);
  lock.serve(now);
  return 'done';
}

function expectedAcquire(
  model: ReadonlyMap<string, Naive>,
  step: Extract<Step, { readonly do: 'acquire' }>,
  now: number,
): string {
  const { owner, name, ttlMs, waitMs, delayMs } = step;
  const lock = model.get(name)!;
  lock.serve(now);
  const wish = { owner, ttlMs, delayMs, deadline: now + waitMs };
  if (lock.holder?.owner === owner || (lock.holder === null && lock.freeAt <= now)) {
    lock.holder = { owner, expiresAt: now + ttlMs, delayMs };
    return 'acquired';
  }
  if (waitMs === 0) return 'busy';
  const place = lock.queue.findIndex((one) => one.owner === owner);
  if (place !== -1) {
    lock.queue[place] = wish;
    return 'waiting';
  }
  if (circle(model, owner, name)) return 'deadlock';
  lock.queue.push(wish);
  return 'waiting';
}

describe('locks', () => {
  it('do what the naive model does, for any steps', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(steps, (all) => {
        const b = new Bench();
        const model = new Map(['x', 'y'].map((name) => [name, new Naive()]));
        for (const step of all) {
          b.now += step.pass;
          const { name, owner } = step;
          const token = b.holder(name) === owner ? b.replica.locks.get(name)!.holder!.token : 1;
          const result =
            step.do === 'acquire'
              ? b.acquire(name, owner, step)
              : step.do === 'release'
                ? b.do({ kind: 'release', name, token })
                : b.do(step.do === 'expire' ? { kind: 'expire' } : { kind: 'withdraw', name, owner });
          expect(result.kind).toBe(expected(model, step, b.now));
          seen.add(`${step.do} ${result.kind}`);
          for (const [each, { holder, queue }] of model) {
            const lock = b.replica.locks.get(each);
            expect(lock?.holder?.owner).toBe(holder?.owner);
            expect(lock?.holder?.expiresAt).toBe(holder?.expiresAt);
            expect(lock?.queue.map((one) => one.owner) ?? []).toEqual(queue.map((one) => one.owner));
          }
        }
        expect(b.now).toBeGreaterThanOrEqual(wall);
      }),
      { numRuns: 400 },
    );
    for (const kind of ['acquired', 'busy', 'waiting', 'deadlock']) expect(seen).toContain(`acquire ${kind}`);
  });
});
