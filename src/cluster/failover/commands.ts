/** What operators ask for, on the leader. Each is answered once: at once, or when the change of primary has ended. */
import type { MemberId, Millis } from '../../base/ids.ts';
import { pendingRecord, update } from './changes.ts';
import { type Bounds, type Candidate, elsewhere, unfit } from './choice.ts';
import type { CommandAnswer, CommandError, FailoverCommand, SwitchPlan } from './contract.ts';
import { epochAbove } from './first.ts';
import { lagging, markPrimary } from './lagging.ts';
import type { PoolLead } from './lead.ts';
import type { Allowed, EpochReason, PoolRecord, Target } from './model.ts';
import { drainAll } from './watching.ts';

export type Switch = Extract<FailoverCommand, { kind: 'switch' }>;

const no = (error: CommandError): CommandAnswer => ({ ok: false, error });
const yes = (text: string, plan: SwitchPlan | null = null): CommandAnswer => ({ ok: true, plan, text });
/** What a pause is made of, beside the hooks: rounds between members, and the checks that positions wait for. */
const movesMs: Millis = 50;
/** A moment that is over for less is meant to be now: the wish was under way, or clocks differ. */
const lateMs: Millis = 60_000;

interface Picked {
  readonly target: Target;
  readonly plan: SwitchPlan;
}

/** null: the answer comes when the switch has ended. */
export function command(lead: PoolLead, id: number, wish: FailoverCommand): CommandAnswer | null {
  const record = lead.record;
  if (wish.kind === 'adopt') return adopt(lead, record, { id, node: wish.node });
  if (record === null) return no({ kind: 'busy', why: 'its nodes are still asked who is primary' });
  switch (wish.kind) {
    case 'automatic':
      return automatic(lead, record, { id, enabled: wish.enabled });
    case 'cancel':
      return cancelPlan(lead, record, id);
    case 'switch':
      return switchTo(lead, record, { id, wish, reason: 'switchover' });
    case 'failback':
      return failback(lead, record, { id, dryRun: wish.dryRun });
  }
}

interface Automatic {
  readonly id: number;
  readonly enabled: boolean;
}

function automatic(lead: PoolLead, record: PoolRecord, { id, enabled }: Automatic): CommandAnswer | null {
  if (lead.isBusy) return no({ kind: 'busy', why: 'another change is being agreed on' });
  const rested = enabled ? { failures: 0, retryAt: record.retryAt === 0 ? 0 : lead.at.agreed } : {};
  lead.propose(
    update(record, { automatic: enabled, ...rested }),
    `automatic failover is switched ${enabled ? 'on' : 'off'}`,
  );
  return lead.answerWhenAgreed(id, yes(`automatic failover of ${record.pool} is switched ${enabled ? 'on' : 'off'}`));
}

function cancelPlan(lead: PoolLead, record: PoolRecord, id: number): CommandAnswer | null {
  if (record.planned === null) return no({ kind: 'failed', why: 'no switch is planned' });
  if (lead.isBusy) return no({ kind: 'busy', why: 'another change is being agreed on' });
  lead.propose(update(record, { planned: null }), 'the planned switch is cancelled');
  return lead.answerWhenAgreed(id, yes('the planned switch is cancelled'));
}

interface Adopt {
  readonly id: number;
  readonly node: string;
}

function adopt(lead: PoolLead, record: PoolRecord | null, { id, node }: Adopt): CommandAnswer | null {
  const target = lead.pool.targetOf(node);
  if (target === null) return no({ kind: 'unknown-node', known: lead.policy.nodes.map(({ id }) => id) });
  if (record === null || lead.isBusy) return no({ kind: 'busy', why: 'its nodes are still asked who is primary' });
  if (record.phase === 'pending') return no({ kind: 'busy', why: `epoch ${record.epoch} is being opened` });
  // It may be this member's file that is wrong; the one that is meant can't be told.
  if (!lead.pool.reports.isAgreed(target)) return no({ kind: 'unfit', why: `${node}: ${elsewhere}`, forcible: false });
  const epoch = epochAbove(lead);
  // Others that hold themselves for primary may have writes of their own: no reads until they know their place.
  const others = lead.policy.nodes.filter(({ id }) => id !== node && lead.pool.reports.newest(id)?.role === 'primary');
  const returning = [...new Set([...record.returning, ...others.map(({ id }) => id)])];
  lead.propose(
    pendingRecord({ ...record, returning }, lead.at, { target, reason: 'adopt', epoch, allowed: null }),
    `an operator adopts ${node} as primary`,
  );
  return lead.answerWhenAgreed(id, yes(`${node} becomes primary of epoch ${epoch}`));
}

interface Ask {
  readonly id: number | null;
  readonly wish: Switch;
  readonly reason: EpochReason;
}

export function switchTo(lead: PoolLead, record: PoolRecord, { id, wish, reason }: Ask): CommandAnswer | null {
  if (record.phase === 'pending' && wish.lost.length > 0) return loseMore(lead, record, { id, wish });
  if (record.phase === 'pending' || lead.switching !== null || lead.isBusy)
    return no({ kind: 'busy', why: 'another change of primary is under way' });
  if (record.phase === 'undecided') return no({ kind: 'busy', why: 'nobody is primary yet: adopt one' });
  if (wish.at !== null && wish.at < lead.at.agreed - lateMs)
    return no({ kind: 'failed', why: 'that moment is past: name a later one, or none to switch at once' });
  const lost = lostOf(lead, wish.lost);
  if (lost === null) return no({ kind: 'failed', why: `no such member: ${wish.lost.join(', ')}` });
  const picked = pick(lead, record, wish);
  if ('ok' in picked) return picked;
  // Of a later moment nobody can know it.
  const isNow = wish.at === null || wish.at <= lead.at.agreed;
  const late = isNow && !wish.force ? lagging(lead, record, picked.target, wish.acceptLoss ?? 0) : null;
  if (late !== null) return no({ kind: 'unfit', why: `${picked.target.node}: ${late}`, forcible: true });
  if (wish.dryRun) return yes(`${picked.target.node} would become primary`, picked.plan);
  if (wish.at !== null && wish.at > lead.at.agreed) {
    lead.propose(
      update(record, { planned: { at: wish.at, target: wish.target } }),
      `a switch to ${wish.target ?? 'the fittest'} is planned`,
    );
    const answer = yes('the switch is planned', picked.plan);
    return id === null ? answer : lead.answerWhenAgreed(id, answer);
  }
  const allowed: Allowed = { force: wish.force || wish.target !== null, loss: wish.acceptLoss ?? 0, lost };
  return begin(lead, record, { command: id, target: picked.target, reason, allowed });
}

function begin(
  lead: PoolLead,
  record: PoolRecord,
  to: { readonly command: number | null; readonly target: Target; reason: EpochReason; allowed: Allowed },
): null {
  // Out of FAILED it is proposed when the pool is tended, until it is agreed on.
  lead.switching = { ...to, startedAt: lead.core.now, from: record.epoch };
  if (record.phase === 'open') {
    lead.fence.forgetDrained();
    drainAll(lead, record.epoch, true);
  }
  lead.core.log('info', 'switch_begins', record.pool, `${to.reason} to ${to.target.node}`);
  return null;
}

/** Uids of members that an operator named; null if one is unknown. */
function lostOf({ core }: PoolLead, names: readonly string[]): readonly MemberId[] | null {
  const uids = names.map((name) => core.members.find((member) => member === name || core.nameOf(member) === name));
  return uids.every((uid) => uid !== undefined) ? uids : null;
}

/** The fence of a switch that is under way waits for members that are gone: an operator names them (2.9). */
function loseMore(
  lead: PoolLead,
  record: PoolRecord,
  { id, wish }: { readonly id: number | null; readonly wish: Switch },
): CommandAnswer | null {
  const { node } = record.target!;
  const waits = record.unleased && lead.fencedAt === null;
  if (!waits || lead.isBusy || (wish.target ?? node) !== node || wish.at !== null)
    return no({ kind: 'busy', why: `epoch ${record.epoch} is being opened on ${node}` });
  const named = lostOf(lead, wish.lost);
  if (named === null) return no({ kind: 'failed', why: `no such member: ${wish.lost.join(', ')}` });
  const text = `${wish.lost.join(', ')} is not waited for any more: ${node} becomes primary of epoch ${record.epoch}`;
  if (wish.dryRun) return yes(text);
  const { force = false, loss = 0, lost = [] } = record.allowed ?? {};
  const allowed: Allowed = {
    force: force || wish.force,
    loss: Math.max(loss, wish.acceptLoss ?? 0),
    lost: [...new Set([...lost, ...named])],
  };
  lead.propose(update(record, { allowed }), `${wish.lost.join(', ')} is lost, says an operator`);
  const answer = yes(text);
  return id === null ? answer : lead.answerWhenAgreed(id, answer);
}

/** Who would win, or why nobody may. */
function pick(lead: PoolLead, record: PoolRecord, wish: Switch): Picked | CommandAnswer {
  const candidates = lead.candidates(-Infinity);
  const bounds: Bounds = { reference: null, loss: wish.acceptLoss ?? 0 };
  if (wish.target === null) {
    const { winner, why, others } = lead.choice(-Infinity, bounds);
    const blind = winner === null ? why : blindOf(lead, record, winner);
    if (winner === null || blind !== null) return no({ kind: 'unfit', why: blind ?? why, forcible: false });
    return pickedOf(lead, record, { target: winner.node.id, why, others });
  }
  if (lead.pool.targetOf(wish.target) === null)
    return no({ kind: 'unknown-node', known: lead.policy.nodes.map(({ id }) => id) });
  const candidate = candidates.find(({ node }) => node.id === wish.target);
  if (candidate === undefined)
    return no({ kind: 'unfit', why: `${wish.target} is the primary already`, forcible: false });
  const why = unfit(candidate, lead.policy, bounds);
  // A word of force helps against the file's wish and an earlier failure; not against what would lose data.
  const isAgreed = lead.pool.reports.isAgreed({ node: candidate.node.id, url: candidate.node.url });
  const forcible = candidate.up && isAgreed && record.returning.includes(wish.target) === false;
  if (why !== null && !(wish.force && forcible)) return no({ kind: 'unfit', why: `${wish.target}: ${why}`, forcible });
  const blind = blindOf(lead, record, candidate);
  if (blind !== null) return no({ kind: 'unfit', why: blind, forcible: false });
  return pickedOf(lead, record, { target: wish.target, why: 'named by an operator', others: [] });
}

/** Where the primary tells its position, one that does not could never be shown to have caught up; null: it can. */
function blindOf(lead: PoolLead, { phase, target }: PoolRecord, { node, position }: Candidate): string | null {
  if (phase !== 'open' || position !== null || lead.policy.maxLag === null) return null;
  const there = lead.pool.reports.position(target!, -Infinity);
  return there === null ? null : `${node.id}: its position is not known, and ${target!.node} is at ${there}`;
}

function pickedOf(
  lead: PoolLead,
  record: PoolRecord,
  { target, why, others }: { readonly target: string; readonly why: string; readonly others: SwitchPlan['others'] },
): Picked {
  const { hooks } = lead.policy;
  const pauseMs = movesMs * 4 + (hooks.demote === null ? 0 : movesMs) + (hooks.promote === null ? 0 : movesMs);
  const from = record.target?.node ?? null;
  return {
    target: lead.pool.targetOf(target)!,
    plan: { pool: record.pool, from, to: target, why, others, pauseMs },
  };
}

function failback(
  lead: PoolLead,
  record: PoolRecord,
  { id, dryRun }: { readonly id: number | null; readonly dryRun: boolean },
): CommandAnswer | null {
  const target = homeOf(lead, record);
  if (target === null) return no({ kind: 'failed', why: 'the primary is where it belongs' });
  const wish: Switch = { ...plainSwitch(record.pool, target), dryRun };
  return switchTo(lead, record, { id, wish, reason: 'failback' });
}

const plainSwitch = (pool: string, target: string | null): Switch => ({
  kind: 'switch',
  pool,
  target,
  at: null,
  dryRun: false,
  force: false,
  acceptLoss: null,
  lost: [],
});

/** The node that the file wants as primary, else the primary of before; null if it is primary now. */
function homeOf(lead: PoolLead, record: PoolRecord): string | null {
  const wish = lead.policy.nodes.find(({ role }) => role === 'primary')?.id ?? record.last?.target.node ?? null;
  return wish === record.target?.node ? null : wish;
}

/** What is due without that anybody asks now: a planned switch, and an automatic failback. */
export function tendWishes(lead: PoolLead): void {
  const record = lead.record;
  if (record?.phase === 'open') markPrimary(lead, record);
  if (record?.phase !== 'open' || lead.isBusy || lead.switching !== null) return;
  const { core, pool, policy } = lead;
  if (record.planned !== null) {
    const at = core.localOf(record.planned.at);
    if (core.now < at) return pool.wake(at);
    const wish = plainSwitch(record.pool, record.planned.target);
    const answer = switchTo(lead, record, { id: null, wish, reason: 'switchover' });
    if (answer === null || answer.ok) return;
    // A leader that has just begun, as after a restart, does not know yet who is healthy.
    const known = lead.since + 2 * policy.interval + policy.timeout;
    if (answer.error.kind === 'unfit' && core.now < known) return pool.wake(known);
    const why = 'why' in answer.error ? answer.error.why : answer.error.kind;
    return lead.propose(update(record, { planned: null }), `the planned switch is given up: ${why}`);
  }
  if (policy.failback !== 'automatic' || !record.automatic) return;
  // Only to the node that the file names: to the primary of before it would go to and fro for ever.
  const named = policy.nodes.find(({ role }) => role === 'primary')?.id ?? null;
  const home = named === record.target?.node ? null : named;
  const since = home === null ? undefined : lead.upSince.get(home);
  if (home === null || since === undefined || record.returning.includes(home)) return;
  // A planned switch moved it away though it was healthy: that is no reason to undo it at once.
  const movedAt = core.localOf(record.times.openedAt);
  const due = Math.max(Math.max(since, movedAt) + policy.recoveryWait, lead.failbackAt);
  if (core.now < due) return pool.wake(due);
  if (!isNear(lead, record, home)) return;
  lead.failbackAt = core.now + Math.max(policy.recoveryWait, 1000);
  failback(lead, record, { id: null, dryRun: false });
}

/**
 * Whether it has, by its own word, what the primary had a moment before. A failback to one that is further behind would
 * stop writes for as long as `switchTimeout`, end where it began, and do so again and again. Where positions are not told
 * nothing speaks against it.
 */
function isNear(lead: PoolLead, { epoch, target }: PoolRecord, home: string): boolean {
  const { core, pool, policy } = lead;
  const to = pool.targetOf(home);
  const there = pool.reports.position(target!, -Infinity);
  if (there === null || to === null) return true;
  const unknown = pool.reports.position(to, -Infinity) === null;
  if (unknown && policy.maxLag === null) return true;
  const mark = lead.failbackMark?.epoch === epoch ? lead.failbackMark : null;
  const here = mark === null ? null : pool.reports.position(to, mark.at);
  if (mark !== null && here !== null && here >= mark.position) return true;
  const isOver = mark === null || core.now >= mark.at + 2 * policy.interval;
  const waits = mark !== null && isOver && (here !== null || unknown);
  const text = `failback to ${home} waits: it is at ${here ?? 'an unknown position'}, ${target!.node} was at ${mark?.position} before`;
  if (waits && !mark.said) core.log('info', 'failback_waits', pool.name, text);
  if (isOver) lead.failbackMark = { epoch, position: there, at: core.now, said: waits || mark?.said === true };
  pool.wake(lead.failbackMark!.at + 2 * policy.interval);
  return false;
}

/** A switch whose epoch is over or open has ended, and who asked is answered. */
export function endSwitch(lead: PoolLead): void {
  const { switching, pool } = lead;
  const record = pool.record;
  if (switching === null || record === null || record.epoch === switching.from || record.phase === 'pending') return;
  lead.switching = null;
  const done = record.phase === 'open' && record.target?.node === switching.target.node;
  const why =
    record.phase === 'open' ? `${record.target?.node} is primary` : `no node could be made primary: ${lead.reason}`;
  if (switching.command === null) return;
  const answer = done
    ? yes(`${switching.target.node} is primary of epoch ${record.epoch}`)
    : no({ kind: 'failed', why });
  lead.core.out.answers.push({ id: switching.command, answer });
}
