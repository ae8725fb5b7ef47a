/** Locks: acquire (with a wait, if asked for), extend, release, look. Whoever hangs up gives up its wait. */
import type { Context } from 'hono';
import type { Millis } from '../../base/ids.ts';
import type { Lock } from '../../cluster/replica/model.ts';
import { param } from '../changes.ts';
import { json, problemResponse } from '../problem.ts';
import type { HaActions } from './actions.ts';
import { isoTime } from './errors.ts';
import { answered, askedOf, consistencyOf, freshnessOf, type HaOptions, type HeldOpen, readAsked } from './room.ts';

const ttlDefault: Millis = 30_000;
const delayDefault: Millis = 15_000;
const waitMax: Millis = 600_000;

export function acquireLock(
  options: HaOptions,
  held: HeldOpen,
  { ha, context }: { readonly ha: HaActions; readonly context: Context },
): Promise<Response> {
  const name = param(context, 'name');
  return readAsked(options, context).then((body) => {
    if (!body.ok) return problemResponse(body.error);
    const asked = body.value;
    const owner = asked.text('owner');
    const ttlMs = asked.whole('ttlMs', ttlDefault);
    const waitMs = asked.whole('waitMs', 0);
    const delayMs = asked.whole('delayMs', delayDefault);
    if (waitMs > waitMax) asked.fail(`waitMs may be at most ${waitMax}: ask again to wait on, the place is kept`);
    const wrong = asked.wrong();
    if (wrong !== null) return problemResponse(wrong);
    const entered = held.enter();
    if (!entered.ok) return problemResponse(entered.error);
    const { signal } = context.req.raw;
    return ha.coordinator.lock
      .acquire(name, { owner, ttlMs, waitMs, delayMs, signal })
      .then((result) => {
        // Granted to somebody who has hung up: nobody would ever release it.
        if (result.ok && signal.aborted) void ha.coordinator.lock.release(result.value);
        return answered(ha, ({ token, expiresAt }: { readonly token: number; readonly expiresAt: Millis }) =>
          json({ name, owner, token, ttlMs, expiresAt: isoTime(expiresAt) }),
        )(result);
      })
      .finally(entered.value);
  });
}

export function extendLock(options: HaOptions, ha: HaActions, context: Context): Promise<Response> {
  const name = param(context, 'name');
  return readAsked(options, context).then((body) => {
    if (!body.ok) return problemResponse(body.error);
    const asked = body.value;
    const token = asked.whole('token');
    const ttlMs = asked.whole('ttlMs', ttlDefault);
    const wrong = asked.wrong();
    if (wrong !== null) return problemResponse(wrong);
    return ha.coordinator.lock
      .extend({ name, token }, ttlMs)
      .then(answered(ha, ({ expiresAt }) => json({ name, token, ttlMs, expiresAt: isoTime(expiresAt) })));
  });
}

/** By `token`: the lock. By `owner`: whatever that owner has of it, its place in the queue too. */
export function releaseLock(options: HaOptions, ha: HaActions, context: Context): Promise<Response> {
  const name = param(context, 'name');
  const { lock } = ha.coordinator;
  return readAsked(options, context).then((body) => {
    if (!body.ok) return problemResponse(body.error);
    const asked = body.value;
    const byToken = asked.has('token');
    if (byToken === asked.has('owner')) asked.fail('say one of token and owner: who releases it');
    const token = byToken ? asked.whole('token') : 0;
    const owner = byToken ? '' : asked.text('owner');
    const wrong = asked.wrong();
    if (wrong !== null) return problemResponse(wrong);
    const released = byToken ? lock.release({ name, token }) : lock.withdraw(name, owner);
    return released.then(answered(ha, () => json({ name, released: true })));
  });
}

const lockShown = (lock: Lock): object => ({
  holder: lock.holder && {
    owner: lock.holder.owner,
    token: lock.holder.token,
    ttlMs: lock.holder.ttlMs,
    since: isoTime(lock.holder.since),
    expiresAt: isoTime(lock.holder.expiresAt),
  },
  freeAt: lock.freeAt === 0 ? null : isoTime(lock.freeAt),
  queue: lock.queue.map(({ owner, deadline }) => ({ owner, deadline: isoTime(deadline) })),
});

export function getLock(ha: HaActions, context: Context): Response | Promise<Response> {
  const asked = askedOf(context);
  const consistency = consistencyOf(asked);
  const wrong = asked.wrong();
  if (wrong !== null) return problemResponse(wrong);
  const name = param(context, 'name');
  const nobody: Lock = { name, holder: null, freeAt: 0, queue: [] };
  return ha.coordinator.lock
    .get(name, { consistency })
    .then(answered(ha, (read) => json({ name, ...lockShown(read.value ?? nobody), freshness: freshnessOf(read) })));
}
