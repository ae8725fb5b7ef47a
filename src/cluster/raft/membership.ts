/**
 * Changes of who belongs, one voter at a time, so that any two configurations that follow each other have quorums that
 * meet (dissertation 4.1, with the later correction: not before an entry of the leader's own term is committed).
 *
 * Refused: a change while another runs; one that the new quorum could not commit now; a learner as voter before it has
 * caught up. `force` sets the last two aside. To replace a lost voter takes two changes, since one could leave two
 * quorums that do not meet should the lost one come back after all: it is removed, then the learner promoted.
 *
 * A leader that is left out leads until that is committed, does not count itself, then tells another to stand.
 */
import type { Change, Refusal } from './contract.ts';
import type { Core } from './core.ts';
import { noteLeft } from './following.ts';
import { appendOwn, trackPeers } from './leading.ts';
import { isReady } from './leases.ts';
import { type Config, isMember, isVoter, type MemberId, members } from './model.ts';
import { refusalOf } from './proposals.ts';
import { votersApart } from './quorum.ts';
import type { LeaderRole } from './role-state.ts';

export interface ChangeInput {
  readonly id: number;
  readonly change: Change;
  readonly force?: boolean;
}

export function change(core: Core, { id, change: wish, force = false }: ChangeInput): void {
  const { role } = core;
  const why = role.at === 'leader' ? whyNot(core, role, wish, force) : 'not-leader';
  if (role.at !== 'leader' || why !== null) {
    core.out.changes.push({ id, outcome: refusalOf(core, why ?? 'not-leader') });
    return;
  }
  begin(core, role, id, wish);
}

function whyNot(core: Core, leader: LeaderRole, wish: Change, force: boolean): Refusal | null {
  if (leader.transfer !== null) return 'transferring';
  const running = core.configs.index > core.commit || leader.change !== null;
  if (!core.rules.mayChangeConfig(isReady(core, leader), running)) return 'change-pending';
  const next = after(core.config, wish);
  if (next === null) return 'change-void';
  if (force) return null;
  const newcomer = wish.kind === 'promote' || wish.kind === 'replace' ? wish.member : null;
  if (newcomer !== null && !caughtUp(core, leader, newcomer)) return 'not-caught-up';
  return couldCommit(core, leader, next) ? null : 'no-quorum-after';
}

/** The configuration after the (first) step; null if it asks for what is so already, or makes no sense. */
export function after(config: Config, wish: Change): Config | null {
  const { voters, learners } = config;
  const without = (list: readonly MemberId[], id: MemberId): MemberId[] => list.filter((one) => one !== id);
  switch (wish.kind) {
    case 'add':
      return isMember(config, wish.member) ? null : { voters, learners: [...learners, wish.member] };
    case 'promote':
      if (!learners.includes(wish.member)) return null;
      return { voters: [...voters, wish.member], learners: without(learners, wish.member) };
    case 'demote':
      if (!isVoter(config, wish.member) || voters.length === 1) return null;
      return { voters: without(voters, wish.member), learners: [...learners, wish.member] };
    case 'remove': {
      const left = { voters: without(voters, wish.member), learners: without(learners, wish.member) };
      return isMember(config, wish.member) && left.voters.length > 0 ? left : null;
    }
    case 'replace':
      if (!learners.includes(wish.member) || !isVoter(config, wish.old)) return null;
      return after(config, { kind: 'remove', member: wish.old });
  }
}

function caughtUp(core: Core, leader: LeaderRole, id: MemberId): boolean {
  const peer = leader.peers.get(id);
  return (
    peer !== undefined &&
    heardLately(core, leader, id) &&
    peer.match + core.settings.caughtUpEntries >= core.log.lastIndex
  );
}

function heardLately(core: Core, leader: LeaderRole, id: MemberId): boolean {
  if (id === core.self) return true;
  const peer = leader.peers.get(id);
  return peer !== undefined && core.now - peer.heardAt < core.settings.electionMinMs;
}

function couldCommit(core: Core, leader: LeaderRole, next: Config): boolean {
  const live = next.voters.filter((id) => heardLately(core, leader, id)).length;
  return live >= core.rules.quorum(next.voters.length);
}

function begin(core: Core, leader: LeaderRole, id: number, wish: Change): void {
  const before = core.config;
  const next = after(before, wish);
  if (next === null || votersApart(before, next) > 1) {
    core.out.changes.push({ id, outcome: refusalOf(core, 'change-void') });
    return;
  }
  const { index } = appendOwn(core, { kind: 'config', config: next });
  leader.change = { id, index, promote: wish.kind === 'replace' ? wish.member : null };
  trackPeers(core, leader);
  noteLeft(core, members(before));
}

/** The running change is committed: answered, or its second step begun. */
export function finishChange(core: Core, leader: LeaderRole): void {
  const { change: running } = leader;
  if (running === null || running.index > core.applied) return;
  // A second step would take the log beyond what the next leader was told to have.
  if (running.promote !== null && leader.transfer !== null) return;
  leader.change = null;
  if (running.promote !== null) return begin(core, leader, running.id, { kind: 'promote', member: running.promote });
  core.out.changes.push({ id: running.id, outcome: { kind: 'committed', index: running.index, term: core.term } });
}
