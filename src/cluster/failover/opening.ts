/**
 * From a pending epoch to an open one, on the leader. Each look goes as far as what is agreed and known allows, so that a
 * new leader resumes wherever its predecessor stopped:
 *
 *   fence -> choose anew (failover) or demote and catch up (switch) -> make harmless who may have been promoted
 *         -> promote -> open
 */
import type { Millis } from '../../base/ids.ts';
import { failedRecord, fromFailed, openRecord, pendingRecord, possiblyPromoted } from './changes.ts';
import { tried, unfit } from './choice.ts';
import type { HookState, PoolLead, Switching } from './lead.ts';
import type { HookStart, PoolRecord, Target } from './model.ts';

/** After the fence candidates are looked at anew; this beyond a check's own time-out. */
const lookMs: Millis = 300;
const lookAgainMs: Millis = 60;

export function tendPending(lead: PoolLead): void {
  const record = lead.record!;
  if (!isFenced(lead, record)) return demoteMeanwhile(lead, record);
  lead.fencedAt ??= lead.core.now;
  if (lead.isBusy) return;
  switch (record.reason) {
    case 'failover':
      return chooseAnew(lead, record);
    case 'switchover':
    case 'failback':
      return handOver(lead, record);
    default:
      return promote(lead, record);
  }
}

function isFenced(lead: PoolLead, record: PoolRecord): boolean {
  if (lead.fencedAt !== null || record.last === null) return true;
  const { core, pool } = lead;
  const overAt = record.unleased ? null : core.writesOverAt(pool.name, lead.fence.missing(record));
  const { strangersUntil } = lead.context.leavers;
  if (lead.fence.isComplete(record, overAt, strangersUntil)) return true;
  if (overAt !== null) pool.wake(overAt);
  if (core.now < strangersUntil) pool.wake(strangersUntil);
  const names = lead.fence.missing(record).map((member) => core.nameOf(member));
  lead.reason = `the fence waits for ${names.join(', ') || 'leases of before'}`;
  return false;
}

/** A crash leaves nobody to demote; a primary that is only cut off from most may still hear it (3.3). */
function demoteMeanwhile(lead: PoolLead, record: PoolRecord): void {
  if (record.reason !== 'failover' || record.last === null || lead.policy.hooks.demote === null) return;
  lead.hook('demote', record.last.target);
}

/** 6.1: positions count only once nobody writes any more. */
function chooseAnew(lead: PoolLead, record: PoolRecord): void {
  const { core, pool, policy } = lead;
  const begun = record.hooks.some(({ kind, epoch }) => kind === 'promote' && epoch === record.epoch);
  if (begun || lead.chosenFor === record.epoch || !core.rules.choosesAnew()) return promote(lead, record);
  const since = lead.fencedAt!;
  if (waitsForLook(lead, since)) return;
  // A named one is no further from what was acknowledged than any other may be.
  const named = record.allowed?.force === true ? lead.choiceOf(record.target!.node, since) : null;
  const isFree = named === null || (named.winner === null && policy.mode === 'automatic' && record.automatic);
  const { winner, why } = isFree ? lead.choice(since, lead.bounds()) : named;
  if (winner === null) return giveUp(lead, record, named === null ? why : named.why);
  if (winner.node.id === record.target!.node) {
    lead.chosenFor = record.epoch;
    return promote(lead, record);
  }
  const target = { node: winner.node.id, url: winner.node.url };
  const allowed = record.allowed && { ...record.allowed, force: false };
  lead.propose(
    pendingRecord(record, lead.at, { target, reason: 'failover', allowed }),
    `${target.node} instead of ${record.target!.node}: after the fence it is further`,
  );
  lead.reason = '';
  pool.wake(core.now);
}

/** Each candidate that was healthy before the fence is looked at after it, if it answers in time. */
function waitsForLook(lead: PoolLead, since: Millis): boolean {
  const { core, pool, policy } = lead;
  const seen = new Map(lead.candidates(since).map((candidate) => [candidate.node.id, candidate]));
  const waits = lead.candidates(-Infinity).filter(({ node, up, barred, position }) => {
    const now = seen.get(node.id);
    return up && barred === null && (now?.up !== true || (position !== null && now.position === null));
  });
  const until = since + policy.timeout + lookMs;
  if (waits.length === 0 || core.now >= until) return false;
  for (const { node } of waits) lookSoon(lead, node.id);
  pool.wake(until);
  lead.reason = `${waits.map(({ node }) => node.id).join(', ')} is looked at anew`;
  return true;
}

function lookSoon(lead: PoolLead, node: string): void {
  const { core, pool } = lead;
  const key = `look ${node}`;
  if (core.now >= (lead.againAt.get(key) ?? -Infinity)) {
    lead.againAt.set(key, core.now + lookAgainMs);
    lead.lookAt(node);
  }
  pool.wake(lead.againAt.get(key)!);
}

/** A switch: the old primary is demoted, the new one catches up; or all goes back. */
function handOver(lead: PoolLead, record: PoolRecord): void {
  const old = record.last!.target;
  let furthest = lead.bounds().reference;
  if (lead.policy.hooks.demote !== null && lead.isUp(old)) {
    const state = lead.hook('demote', old);
    if (state.at === 'running') return;
    if (state.at === 'ended' && !state.ok)
      return giveBack(lead, record, `demote of ${old.node} failed: ${state.detail}`);
    if (state.at === 'ended' && state.position !== null) furthest = Math.max(furthest ?? 0, state.position);
  }
  // Now that nobody writes it can tell what it has, where not all that clients were told is known.
  const known = lead.fence.knowsAll(record) && lead.fence.passed(record) !== null;
  if (!known && lead.isUp(old) && waitsForPosition(lead, old)) return;
  const why = behind(lead, record.target!, furthest);
  if (why === null) return promote(lead, record);
  const until = lead.fencedAt! + lead.policy.switchTimeout;
  if (lead.core.now >= until) return giveBack(lead, record, why);
  lookSoon(lead, record.target!.node);
  lead.pool.wake(until);
  lead.reason = why;
}

/** What it told before the fence may be less than it has: it is asked once more, if it answers in time. */
function waitsForPosition(lead: PoolLead, target: Target): boolean {
  const { core, pool, policy } = lead;
  const { reports } = pool;
  const since = lead.fencedAt!;
  const until = since + policy.timeout + lookMs;
  if (reports.position(target, -Infinity) === null || reports.position(target, since) !== null) return false;
  if (core.now >= until) return false;
  lookSoon(lead, target.node);
  pool.wake(until);
  lead.reason = `${target.node} is asked for its position`;
  return true;
}

/** Not as far as it must be; null: it is, or positions are not known here. */
function behind(lead: PoolLead, target: Target, furthest: number | null): string | null {
  const { pool } = lead;
  const ever = pool.reports.position(target, -Infinity);
  if (!lead.isUp(target, lead.fencedAt!)) return `${target.node} is not known to be healthy since the fence`;
  if (furthest === null || (ever === null && lead.policy.maxLag === null)) return null;
  const position = pool.reports.position(target, lead.fencedAt!);
  const bound = furthest - (pool.record?.allowed?.loss ?? 0);
  if (position !== null && position >= bound) return null;
  return `${target.node} is at ${position ?? 'an unknown position'}, ${furthest} was passed on`;
}

function promote(lead: PoolLead, record: PoolRecord): void {
  const target = record.target!;
  if (!areHarmless(lead, record) || !isLeftAlone(lead, record)) return;
  if (lead.pool.reports.isDown(target, lead.policy)) return candidateFailed(lead, record, 'it is down');
  if (lead.policy.hooks.promote === null) return open(lead, record, null);
  const state = lead.hook('promote', target);
  if (state.at === 'running') {
    lead.reason = `${target.node} is being promoted`;
    return;
  }
  if (state.at === 'nobody') return waitForRunner(lead, record);
  if (!state.ok) return candidateFailed(lead, record, `promote failed: ${state.detail}`);
  open(lead, record, state.position);
}

/** Its checks may be due just now; not for long. */
function waitForRunner(lead: PoolLead, record: PoolRecord): void {
  if (!isLookedFor(lead, record, record.target!.node)) candidateFailed(lead, record, 'no member finds it healthy');
}

/** Nobody finds it healthy, and in this epoch it was not waited for long yet. */
function isLookedFor(lead: PoolLead, record: PoolRecord, node: string): boolean {
  const key = `runner ${node} ${record.epoch}`;
  const until = lead.againAt.get(key) ?? lead.core.now + 2 * lead.policy.interval;
  lead.againAt.set(key, until);
  if (lead.core.now >= until) return false;
  lookSoon(lead, node);
  lead.pool.wake(until);
  return true;
}

/** Demoted with the newer epoch, or past the time at which its promotion can take effect (3.2). */
function areHarmless(lead: PoolLead, record: PoolRecord): boolean {
  let harmless = true;
  for (const hook of possiblyPromoted(record)) {
    const state = undo(lead, lead.pool.targetOf(hook.node));
    if (state?.at === 'ended' && state.ok) continue;
    const looked = state?.at === 'nobody' && isLookedFor(lead, record, hook.node);
    const undoing = state?.at === 'running' || looked;
    // By itself back to the old primary only if the promotion was undone (3.4); a person who names it may know better.
    if (record.reason === 'return' && record.allowed?.force !== true && !undoing) {
      fail(lead, record, `${hook.node} may have been promoted, and could not be demoted`);
      return false;
    }
    const over = lead.overAt(hook);
    const waits = undoing || lead.core.now < over;
    if (lead.core.rules.mayPromote({ possiblyPromoted: waits })) continue;
    if (lead.core.now < over) lead.pool.wake(over);
    lead.reason = `${hook.node} may have been promoted: it is demoted first`;
    harmless = false;
  }
  return harmless;
}

/** null: there is no way. At another machine, which our file alone means, a demote would undo nothing. */
function undo(lead: PoolLead, node: Target | null): HookState | null {
  if (node === null || lead.policy.hooks.demote === null) return null;
  return lead.pool.reports.isAgreed(node) ? lead.hook('demote', node) : { at: 'nobody' };
}

/** A demote that is still under way there could undo the promotion. */
function isLeftAlone(lead: PoolLead, record: PoolRecord): boolean {
  const late = record.hooks.filter(
    (hook) => hook.kind !== 'promote' && hook.node === record.target!.node && lead.core.now < lead.overAt(hook),
  );
  if (late.length === 0) return true;
  lead.pool.wake(Math.min(...late.map((hook) => lead.overAt(hook))));
  lead.reason = `a hook on ${record.target!.node} is still under way`;
  return false;
}

function open(lead: PoolLead, record: PoolRecord, position: number | null): void {
  const target = record.target!;
  const { node } = target;
  const { reports } = lead.pool;
  if (position === null && waitsForPosition(lead, target)) return;
  const known = position ?? reports.position(target, lead.fencedAt!) ?? reports.position(target, -Infinity);
  const promoted = record.hooks.some(({ kind, epoch }: HookStart) => kind === 'promote' && epoch === record.epoch);
  lead.propose(
    openRecord(record, lead.at, { position: known, promoted }),
    `${node} is primary (${record.reason})${known === null ? '' : ` at position ${known}`}${lossNote(lead, known)}`,
  );
  lead.reason = '';
}

/** For the history: how much of what clients were told of is gone, as maxLag above 0 or an operator allowed. */
function lossNote(lead: PoolLead, position: number | null): string {
  const { reference } = lead.bounds();
  if (position === null || reference === null || position >= reference) return '';
  return `, ${reference - position} behind what clients were told of`;
}

/** Not this one: the next, or none. */
function candidateFailed(lead: PoolLead, record: PoolRecord, why: string): void {
  const { node } = record.target!;
  lead.core.log('error', 'candidate_failed', record.pool, `${node}: ${why}`);
  // There nobody else is meant.
  if (record.reason === 'return' || record.reason === 'adopt') return fail(lead, record, `${node}: ${why}`);
  const excluded = [...record.excluded, node];
  if (excluded.length >= lead.policy.maxAttempts) return giveUp(lead, { ...record, excluded }, `${node}: ${why}`);
  const choice = lead.choice(lead.fencedAt!, lead.bounds(), excluded);
  if (choice.winner === null) return giveUp(lead, { ...record, excluded }, `${node}: ${why}; ${choice.why}`);
  const target = { node: choice.winner.node.id, url: choice.winner.node.url };
  lead.propose(
    pendingRecord(record, lead.at, { target, reason: 'failover', excluded }),
    `${target.node} instead of ${node}: ${why}`,
  );
}

/** A switch that can't be finished ends where it began, as long as that is possible. */
function giveBack(lead: PoolLead, record: PoolRecord, why: string): void {
  if (lead.isUp(record.last!.target)) return giveUp(lead, record, why);
  candidateFailed(lead, record, why);
}

/** Nobody is left: back to the old primary if it lives and nobody may have been promoted; else FAILED (3.4). */
function giveUp(lead: PoolLead, record: PoolRecord, why: string): void {
  const old = record.last?.target ?? null;
  const undone = possiblyPromoted({ ...record, target: old }).length === 0 || lead.policy.hooks.demote !== null;
  if (old === null || !lead.isUp(old) || !undone) return fail(lead, record, why);
  const { excluded } = record;
  const allowed = record.allowed && { ...record.allowed, force: false };
  lead.propose(
    pendingRecord(record, lead.at, { target: old, reason: 'return', excluded, allowed }),
    `back to ${old.node}: ${why}`,
  );
}

function fail(lead: PoolLead, record: PoolRecord, why: string): void {
  lead.reason = why;
  lead.propose(failedRecord(record, lead.at), `no node could be made primary: ${why}`);
}

/** FAILED: another try when its rest is over; back to the old primary as soon as nothing speaks against it. */
export function tendFailed(lead: PoolLead): void {
  const record = lead.record!;
  if (lead.isBusy) return;
  if (lead.switching !== null && record.epoch === lead.switching.from) return leaveFailed(lead, record, lead.switching);
  if (lead.policy.mode !== 'automatic' || !record.automatic || record.last === null) return;
  // Why nobody could be promoted is what is shown, not what this waits for.
  const { reason } = lead;
  lead.fencedAt ??= isFenced(lead, record) ? lead.core.now : null;
  lead.reason = reason;
  const old = record.last.target;
  const promotedOthers = possiblyPromoted({ ...record, target: old }).length > 0;
  if (lead.isUp(old) && !promotedOthers)
    return lead.propose(
      pendingRecord(record, lead.at, { target: old, reason: 'return', excluded: [] }),
      `back to ${old.node}: it is healthy again, and no other was promoted`,
    );
  if (record.retryAt === 0) return;
  if (lead.at.agreed < record.retryAt) return lead.pool.wake(lead.core.localOf(record.retryAt));
  const fit = lead
    .candidates(-Infinity)
    .filter((candidate) => unfit({ ...candidate, barred: null }, lead.policy, { reference: null, loss: 0 }) === null);
  const winner = fit.find(({ barred }) => barred === null || barred === tried);
  if (winner === undefined) return lead.pool.wake(lead.core.now + 1000);
  const target = { node: winner.node.id, url: winner.node.url };
  lead.propose(
    pendingRecord(record, lead.at, { target, reason: fromFailed(record, target), excluded: [] }),
    `${target.node} is tried again`,
  );
}

/** At the word of an operator, again until it is agreed on. */
function leaveFailed(lead: PoolLead, record: PoolRecord, { target, allowed }: Switching): void {
  lead.propose(
    pendingRecord(record, lead.at, { target, reason: fromFailed(record, target), excluded: [], allowed }),
    `an operator wants ${target.node}`,
  );
}
