/**
 * An open epoch on the leader: is its primary down, is a switch wanted, and which nodes that were primary know their place
 * again?
 */
import type { Millis } from '../../base/ids.ts';
import { foreignSign } from './board.ts';
import { pendingRecord, restBetween, update } from './changes.ts';
import { drainWordMs } from './guard.ts';
import type { PoolLead, Switching } from './lead.ts';
import type { PoolPolicy, PoolRecord, Target } from './model.ts';
import { reportWordMs } from './words.ts';

/** Rest after a hook on a returned node failed. */
const rejoinAgainMs: Millis = 5000;
/** Whoever has a node in its file says something of it within this: a check, and the word of it. */
const saidWithin = ({ interval }: PoolPolicy): Millis => 2 * interval + reportWordMs;

export function tendOpen(lead: PoolLead): void {
  const record = lead.record!;
  lead.fencedAt = null;
  lead.chosenFor = 0;
  if (lead.isBusy) return;
  if (lead.switching !== null && record.epoch === lead.switching.from) return tendSwitch(lead, record, lead.switching);
  if (detect(lead, record)) return;
  if (record.planned !== null && lead.at.agreed >= record.planned.at) return;
  if (writesUnleasedNow(lead, record)) return;
  keepReturning(lead, record);
}

/** The policy says so now; the other way round only with the next epoch. */
function writesUnleasedNow(lead: PoolLead, record: PoolRecord): boolean {
  const { mode, withoutQuorum } = lead.policy;
  if (record.unleased || mode !== 'manual' || withoutQuorum !== 'continue') return false;
  lead.propose(update(record, { unleased: true }), 'members write on without a quorum from now on');
  return true;
}

/** True if a failover was begun. */
function detect(lead: PoolLead, record: PoolRecord): boolean {
  const { pool, policy } = lead;
  const target = record.target!;
  lead.reason = '';
  if (!pool.reports.isDown(target, policy)) return false;
  const rest = restOf(lead, record, target);
  if (rest !== null) {
    lead.reason = rest;
    return false;
  }
  const { winner, why, others } = lead.choice(-Infinity, { reference: null, loss: 0 });
  if (winner === null) {
    // No fence without a candidate: a primary that is only slow goes on (3.4).
    lead.reason = `${target.node} is down, and there is no other: ${why}`;
    return false;
  }
  const to = { node: winner.node.id, url: winner.node.url };
  const by = pool.reports.downBy(target, policy).map((member) => lead.core.nameOf(member));
  lead.propose(
    pendingRecord(record, lead.at, { target: to, reason: 'failover', allowed: null }),
    `${target.node} is down, say ${by.join(', ')}; ${to.node} is next${others.length === 0 ? '' : ` of ${others.length + 1}`}`,
  );
  return true;
}

/** Why a primary that is down is not replaced; null: it is. */
function restOf(lead: PoolLead, record: PoolRecord, target: Target): string | null {
  const { policy, pool, core } = lead;
  const foreign = foreignSign(core, pool);
  if (foreign !== null) return `${target.node} is down, and ${foreign}: adopt one`;
  if (policy.mode === 'manual') return `${target.node} is down; failover is manual`;
  if (!record.automatic) return `${target.node} is down; automatic failover is switched off`;
  const heard = policy.verify && core.rules.heedsHeard() ? hearsPrimary(lead, target) : null;
  if (heard !== null) return `${target.node} can't be reached, but ${heard} still hears it`;
  const next = core.rules.restsUntil(record.lastFailoverAt, restBetween(policy, record));
  if (lead.at.agreed >= next) return null;
  pool.wake(core.localOf(next));
  return `${target.node} is down, ${Math.ceil((next - lead.at.agreed) / 1000)} s before another failover may come`;
}

/** A node that still hears its primary (5.3). */
function hearsPrimary(lead: PoolLead, target: Target): string | null {
  const { policy, pool, core } = lead;
  const within = policy.failureThreshold * policy.interval;
  for (const node of policy.nodes) {
    if (node.id === target.node) continue;
    for (const [, report] of pool.reports.fresh({ node: node.id, url: node.url }, policy)) {
      if (report.up !== true || report.primaryHeard === null) continue;
      const over = report.at + within - report.primaryHeard;
      if (core.now >= over) continue;
      pool.wake(over);
      return node.id;
    }
  }
  return null;
}

export function drainAll(lead: PoolLead, epoch: number, on: boolean): void {
  lead.core.tellAll({ kind: 'drain', pool: lead.pool.name, epoch, on });
  lead.drainToldAt = lead.core.now;
}

/** Writes in flight finish on the old primary, within `switchTimeout`; then the epoch moves. */
function tendSwitch(lead: PoolLead, record: PoolRecord, wish: Switching): void {
  const { core, pool, policy } = lead;
  const primaryDown = pool.reports.isDown(record.target!, policy);
  if (pool.reports.isDown(wish.target, policy) || !lead.isUp(wish.target)) return cancel(lead, record, wish);
  // The leases of others are waited for by the fence.
  const heard = core.members.filter((member) => lead.hears(member));
  const waits = lead.fence.undrained(record, heard);
  const until = wish.startedAt + policy.switchTimeout;
  if (!primaryDown && waits.length > 0 && core.now < until) {
    if (core.now >= lead.drainToldAt + drainWordMs) drainAll(lead, record.epoch, true);
    pool.wake(Math.min(until, lead.drainToldAt + drainWordMs));
    lead.reason = `writes in flight on ${waits.map((member) => core.nameOf(member)).join(', ')} finish`;
    return;
  }
  const reason = primaryDown ? 'failover' : wish.reason;
  lead.propose(
    pendingRecord(record, lead.at, { target: wish.target, reason, allowed: wish.allowed }),
    `${wish.target.node} is to be primary: ${wish.reason}${waits.length === 0 ? '' : ', writes in flight are cut'}`,
  );
}

function cancel(lead: PoolLead, record: PoolRecord, wish: Switching): void {
  lead.switching = null;
  drainAll(lead, record.epoch, false);
  lead.reason = `switch to ${wish.target.node} given up: it is not healthy any more`;
  lead.core.log('warn', 'switch_cancelled', record.pool, lead.reason);
  if (wish.command !== null)
    lead.core.out.answers.push({
      id: wish.command,
      answer: { ok: false, error: { kind: 'unfit', why: lead.reason, forcible: false } },
    });
}

/** 3.7: a node that was primary takes no reads until it has shown that it knows its place. */
function keepReturning(lead: PoolLead, record: PoolRecord): void {
  const back = record.returning.filter((node) => {
    const target = lead.pool.targetOf(node);
    if (target === null) return isForgotten(lead, node);
    lead.againAt.delete(`gone ${node}`);
    const shown = !isElsewhere(lead, target) && knowsItsPlace(lead, record, target);
    return lead.core.rules.mayReturn({ shown });
  });
  if (back.length === 0 || lead.isBusy) return;
  const returning = record.returning.filter((node) => !back.includes(node));
  lead.propose(update(record, { returning }), `${back.join(', ')} knows its place again`);
}

/** Most have not said that they have it there; or somebody has it at another url, and would read from that one. */
function isElsewhere({ core, pool, policy }: PoolLead, { node, url }: Target): boolean {
  const other = core.members.some((member) => {
    const report = pool.reports.of(node, member);
    return report !== null && report.url !== url && core.now < report.at + saidWithin(policy);
  });
  return other || !pool.reports.isAgreed({ node, url });
}

/** It is in no file any more, as far as members say; each says so again and again, and some may take the new file later. */
function isForgotten({ core, pool, policy, againAt }: PoolLead, node: string): boolean {
  const within = saidWithin(policy);
  const known = core.members.some((member) => core.now < (pool.reports.of(node, member)?.at ?? -Infinity) + within);
  const key = `gone ${node}`;
  const since = againAt.get(key) ?? core.now;
  againAt.set(key, since);
  pool.wake(Math.max(since + within, core.now + reportWordMs));
  return !known && core.now >= since + within;
}

function knowsItsPlace(lead: PoolLead, record: PoolRecord, target: Target): boolean {
  const { policy, pool, core } = lead;
  const since = lead.upSince.get(target.node);
  if (since === undefined) return false;
  const done = record.hooks.some(
    ({ kind, node, epoch, outcome }) =>
      kind !== 'promote' && node === target.node && epoch === record.epoch && outcome === 'done',
  );
  const report = pool.reports.newest(target.node);
  if (done || (report?.role === 'replica' && report.epoch === record.epoch)) return true;
  const kind = policy.hooks.rejoin !== null ? 'rejoin' : policy.hooks.demote !== null ? 'demote' : null;
  if (kind !== null) {
    tryHook(lead, kind, target);
    return false;
  }
  if ((report?.role ?? null) !== null) return false;
  if (core.now >= since + policy.recoveryWait) return true;
  pool.wake(since + policy.recoveryWait);
  return false;
}

function tryHook(lead: PoolLead, kind: 'rejoin' | 'demote', target: Target): void {
  const key = `${kind} ${target.node}`;
  const again = lead.againAt.get(key) ?? -Infinity;
  const due = lead.core.now >= again;
  const state = lead.hook(kind, target, due && again > -Infinity);
  if (state.at === 'ended' && !state.ok) {
    if (due) lead.againAt.set(key, lead.core.now + rejoinAgainMs);
    lead.pool.wake(lead.againAt.get(key)!);
  }
  if (state.at === 'running') lead.againAt.delete(key);
}

/** Since when each node is healthy, without a break. */
export function watchNodes(lead: PoolLead): void {
  for (const { id, url } of lead.policy.nodes) {
    if (!lead.isUp({ node: id, url })) lead.upSince.delete(id);
    else if (!lead.upSince.has(id)) lead.upSince.set(id, lead.core.now);
  }
}
