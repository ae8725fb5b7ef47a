/**
 * Handing leadership over: because somebody asked, because a fitter member is there, because the own disk hangs.
 *
 *   wish --> no proposals, no leases, no grants --target has the whole log--> told to stand (term, last entry named)
 *     |                                                                             |
 *     +-- target does not catch up: goes on as before                               +-- it wins: we follow
 *                                                                                   +-- it does not: we stand in the
 *                                                                                       next term, which voids the
 *                                                                                       order, however late it comes
 *
 * By priority leadership moves only after a time of stability, doubling with each move, and only while that is
 * allowed. A witness that had to lead hands over as soon as anybody can.
 */
import type { Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import { campaignAtOnce } from './election.ts';
import type { Stand } from './messages.ts';
import { isVoter, type MemberId } from './model.ts';
import type { Progress } from './progress.ts';
import type { FollowerRole, LeaderRole, Transfer } from './role-state.ts';
import { stepDown } from './roles.ts';

const longestStability: Millis = 3_600_000;

/** Begins to hand over. Without effect if one runs, or the target can't lead. */
export function transfer(core: Core, leader: LeaderRole, to: MemberId | null, why: Transfer['why']): boolean {
  const target = to ?? fittest(core, leader);
  if (leader.transfer !== null || target === null || target === core.self) return false;
  const peer = leader.peers.get(target);
  if (peer === undefined || !isVoter(core.config, target) || peer.about?.priority === 0) return false;
  leader.transfer = { to: target, why, deadline: core.now + core.settings.electionMinMs, told: false };
  core.event({ kind: 'transfer', to: target, why });
  return true;
}

/**
 * Could it take over now: a live voter that keeps up? It is not asked to have what was committed just now: under writes
 * somebody always lacks that for a moment, and the hand-over waits for it.
 */
function isFit(core: Core, leader: LeaderRole, [id, peer]: readonly [MemberId, Progress]): boolean {
  const { about } = peer;
  if (about === null || about.witness || about.priority === 0 || !isVoter(core.config, id)) return false;
  return core.now - peer.heardAt < 3 * core.settings.heartbeatMs && peer.match >= leader.commitBefore;
}

/** The fit member with the highest priority; of equals the one that has most of the log. */
export function fittest(core: Core, leader: LeaderRole): MemberId | null {
  const rank = ([, a]: readonly [MemberId, Progress], [, b]: readonly [MemberId, Progress]): number =>
    (b.about?.priority ?? 0) - (a.about?.priority ?? 0) || b.match - a.match;
  return [...leader.peers].filter((one) => isFit(core, leader, one)).sort(rank)[0]?.[0] ?? null;
}

/** Tells the target as soon as it has everything. */
export function advanceTransfer(core: Core, leader: LeaderRole): void {
  const { transfer: running } = leader;
  if (running === null || running.told) return;
  const peer = leader.peers.get(running.to);
  if (peer?.match !== core.log.lastIndex) return;
  running.told = true;
  tell(core, running.to);
}

function tell(core: Core, to: MemberId): void {
  core.send({ kind: 'stand', to, lastIndex: core.log.lastIndex, lastTerm: core.log.lastTerm });
}

/** The order may be lost: it is given again with each heartbeat. */
export function tellAgain(core: Core, leader: LeaderRole): void {
  if (leader.transfer?.told) tell(core, leader.transfer.to);
}

/** By the clock: gives up a hand-over that takes too long. */
export function transferClock(core: Core, leader: LeaderRole): void {
  const { transfer: running } = leader;
  if (running === null || core.now < running.deadline) return;
  if (running.why === 'slow-disk') stepDown(core, 'slow-disk');
  else if (running.told) campaignAtOnce(core, 'transfer-aborted');
  else leader.transfer = null;
}

/** An own persist hangs: acknowledged writes would wait for it. */
export function diskClock(core: Core, leader: LeaderRole): void {
  const isSlow = core.diskIsSlow();
  if (isSlow && !core.slowDisk) core.event({ kind: 'slow-disk', outstanding: core.now - core.disk.waitingSince });
  core.slowDisk = isSlow;
  if (!isSlow || leader.transfer !== null) return;
  if (!transfer(core, leader, null, 'slow-disk')) stepDown(core, 'slow-disk');
}

/** With each heartbeat: is there somebody who should lead instead? */
export function considerMove(core: Core, leader: LeaderRole): void {
  const { settings, now } = core;
  for (const [id, peer] of leader.peers) {
    if (!isFit(core, leader, [id, peer])) peer.fitSince = null;
    else peer.fitSince ??= now;
  }
  if (leader.transfer !== null || leader.change !== null || core.commit < leader.noop) return;
  const to = fittest(core, leader);
  const peer = to === null ? undefined : leader.peers.get(to);
  if (to === null || peer === undefined) return;
  if (settings.witness) {
    transfer(core, leader, to, 'witness');
    return;
  }
  const stability = Math.min(settings.moveAfterMs * 2 ** core.moves, longestStability);
  const isStable = now - leader.since >= stability && now - (peer.fitSince ?? now) >= stability;
  if (!core.mayMove || !isStable || (peer.about?.priority ?? 0) <= settings.priority) return;
  if (transfer(core, leader, to, 'priority')) core.moves += 1;
}

/** The order to stand. Void unless it is of our leader, of this term, and our log ends where it says. */
export function onStand(core: Core, role: FollowerRole, message: Stand): void {
  const { log } = core;
  if (role.leader !== message.from || log.lastIndex !== message.lastIndex || log.lastTerm !== message.lastTerm) return;
  if (core.mayLead()) campaignAtOnce(core, 'transfer');
}

/** The configuration that leaves this leader out is committed. */
export function leaveIfRemoved(core: Core, leader: LeaderRole): void {
  if (isVoter(core.config, core.self) || core.configs.index > core.applied) return;
  const to = fittest(core, leader);
  if (to !== null && leader.peers.get(to)?.match === core.log.lastIndex) {
    core.event({ kind: 'transfer', to, why: 'removed' });
    tell(core, to);
  }
  stepDown(core, 'removed');
}
