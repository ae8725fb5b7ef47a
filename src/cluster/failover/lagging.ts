/**
 * Whether the target of a planned switch is so far behind that it could not catch up while writes wait: then it is said
 * before one waits. Known only where nodes report positions.
 *
 *   mark    where the primary was, `switchTimeout` and two rounds of checks ago or before
 *   target  the newest that was seen of it, so at least `switchTimeout` later
 *
 * One that follows, as slowly as may be, is beyond the mark.
 */
import { formatDuration } from '../../base/units.ts';
import type { PoolLead } from './lead.ts';
import type { PoolPolicy, PoolRecord, Target } from './model.ts';

const ageOf = ({ switchTimeout, interval, timeout }: PoolPolicy): number => switchTimeout + 2 * interval + timeout;

/** Looks where the primary is, now and then: the older of the two marks is what counts. */
export function markPrimary(lead: PoolLead, { epoch, target }: PoolRecord): void {
  const [newest] = lead.marks;
  const { now } = lead.core;
  const same = newest?.epoch === epoch;
  if (same && now - newest.at < ageOf(lead.policy)) return;
  const position = lead.pool.reports.position(target!, -Infinity);
  if (position !== null) lead.marks = [{ epoch, position, at: now }, ...(same ? [newest] : [])];
}

/** Why it would not be in time; null: it may be. `loss`: positions that an operator gives up. */
export function lagging(lead: PoolLead, { phase, epoch, target }: PoolRecord, to: Target, loss: number): string | null {
  const { core, policy, pool } = lead;
  const mark = lead.marks.find((one) => one.epoch === epoch && core.now - one.at >= ageOf(policy));
  const there = pool.reports.position(to, -Infinity);
  // What it says now counts as well: a primary that was set back is waited for no further.
  const here = target === null ? null : pool.reports.position(target, -Infinity);
  if (phase !== 'open' || mark === undefined || there === null || here === null) return null;
  const least = Math.min(mark.position, here);
  if (there + loss >= least) return null;
  return `it is at ${there}, and ${target!.node} was at ${least} ${formatDuration(Math.round(core.now - mark.at))} ago: it would not catch up within switchTimeout, while writes wait`;
}
