/** Leases: spans of time that somebody keeps alive; the keys that were set with one go when it ends. */
import type { Context } from 'hono';
import { param } from '../changes.ts';
import { json, type ProblemAnswer, problemResponse, shortened } from '../problem.ts';
import type { HaActions } from './actions.ts';
import { isoTime } from './errors.ts';
import { answered, askedOf, type HaOptions, readAsked } from './room.ts';

export function grantLease(options: HaOptions, ha: HaActions, context: Context): Promise<Response> {
  return readAsked(options, context).then((body) => {
    if (!body.ok) return problemResponse(body.error);
    const asked = body.value;
    const ttlMs = asked.whole('ttlMs');
    if (ttlMs === 0) asked.fail('ttlMs must be more than 0');
    const wrong = asked.wrong();
    if (wrong !== null) return problemResponse(wrong);
    return ha.coordinator.lease
      .grant(ttlMs)
      .then(answered(ha, ({ lease, expiresAt }) => json({ lease, ttlMs, expiresAt: isoTime(expiresAt) })));
  });
}

/** Of the path; a problem if it is no number that a lease can have. */
function leaseOf(context: Context): number | ProblemAnswer {
  const given = param(context, 'lease');
  const lease = Number(given);
  if (/^\d{1,16}$/.test(given) && Number.isSafeInteger(lease)) return lease;
  return { status: 422, title: 'Not understood', detail: `${shortened(given)} is not the number of a lease` };
}

/** For another of its spans, from now on. */
export function keepLease(options: HaOptions, ha: HaActions, context: Context): Promise<Response> {
  return readAsked(options, context).then((body) => {
    const lease = leaseOf(context);
    const wrong = typeof lease === 'number' ? (body.ok ? body.value.wrong() : body.error) : lease;
    if (wrong !== null || typeof lease !== 'number') return problemResponse(wrong!);
    return ha.coordinator.lease
      .keepAlive(lease)
      .then(answered(ha, ({ expiresAt }) => json({ lease, expiresAt: isoTime(expiresAt) })));
  });
}

/** Ends it, and deletes its keys. */
export function revokeLease(ha: HaActions, context: Context): Response | Promise<Response> {
  const lease = leaseOf(context);
  const wrong = typeof lease === 'number' ? askedOf(context).wrong() : lease;
  if (wrong !== null || typeof lease !== 'number') return problemResponse(wrong!);
  return ha.coordinator.lease.revoke(lease).then(answered(ha, () => json({ lease, revoked: true })));
}
