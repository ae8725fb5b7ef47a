/**
 * A follower's side: hearing the leader, making its log equal, acknowledging what is on disk.
 *
 * An acknowledgement says one number: up to where this log is equal to the leader's *and* on disk. It is written as
 * late as possible, from these two facts, so that disks may return in any order and several appends share one answer.
 *
 * Source: Raft 5.3; for the hint of a refusal see `lastNotAbove` in log.ts.
 */
import type { Core } from './core.ts';
import { onGrant } from './leases.ts';
import type { About, Append, Heartbeat, RaftMessage } from './messages.ts';
import { type Entry, type Index, isMember, members } from './model.ts';
import { withDrift } from './options.ts';
import type { FollowerRole } from './role-state.ts';
import { becomeFollower } from './roles.ts';

/** A leader of the present term speaks. null: there can't be two, so something is badly wrong with one of them. */
export function hearLeader(core: Core, message: RaftMessage): FollowerRole | null {
  const { role } = core;
  const second =
    role.at === 'leader' || (role.at === 'follower' && role.leader !== null && role.leader !== message.from);
  if (second) {
    core.refuse(message.from, 'second-leader');
    return null;
  }
  core.heardLeaderAt = core.now;
  core.restartElectionTimer();
  if (role.at === 'follower' && role.leader === message.from) return role;
  becomeFollower(core, core.term, message.from);
  return core.role as FollowerRole;
}

export function onHeartbeat(core: Core, role: FollowerRole, message: Heartbeat): void {
  advanceTo(core, core.rules.followerCommit(message.commit, Math.max(role.verified, core.commit)));
  onGrant(core, message);
  core.sendAfter(core.ticketOfHard(), () => {
    core.lastAckAt = core.now;
    const { round } = message;
    return {
      kind: 'heartbeatReply',
      to: message.from,
      round,
      applied: core.applied,
      askedAt: core.now,
      about: about(core),
    };
  });
}

export function onAppend(core: Core, role: FollowerRole, message: Append): void {
  const skipped = Math.max(0, Math.min(core.commit - message.prevIndex, message.entries.length));
  const prevIndex = message.prevIndex + skipped;
  const prevTerm = skipped === 0 ? message.prevTerm : message.entries[skipped - 1]!.term;
  role.ackDue = true;
  // What is committed here is equal in every leader's log.
  if (prevIndex < core.commit) {
    role.verified = Math.max(role.verified, core.commit);
    return;
  }
  if (!core.log.has(prevIndex, prevTerm)) {
    role.ackDue = false;
    return skipped > 0 ? core.refuse(message.from, 'contradicts-committed') : refuseAppend(core, message);
  }
  if (!merge(core, message.entries.slice(skipped))) {
    role.ackDue = false;
    return core.refuse(message.from, 'contradicts-committed');
  }
  const matched = message.prevIndex + message.entries.length;
  role.verified = Math.max(role.verified, matched);
  advanceTo(core, core.rules.followerCommit(message.commit, matched));
}

function refuseAppend(core: Core, message: Append): void {
  const hintIndex = core.log.lastNotAbove(message.prevIndex, message.prevTerm);
  const hintTerm = core.log.term(hintIndex) ?? 0;
  core.lastAckAt = core.now;
  const result = { ok: false, rejected: message.prevIndex, hintIndex, hintTerm } as const;
  core.send({ kind: 'appendReply', to: message.from, result, applied: core.applied, about: about(core) });
}

/** Adds what is new. False, and nothing done, if it would delete something committed. */
function merge(core: Core, entries: readonly Entry[]): boolean {
  const first = entries[0];
  if (first === undefined) return true;
  const differs = entries.find(({ index, term }) => core.log.term(index) !== term);
  const conflict = differs !== undefined && differs.index <= core.log.lastIndex ? differs.index : null;
  const from = core.rules.deletesFrom(conflict, first.index);
  if (from !== null && from <= core.log.lastIndex) {
    if (from <= core.commit) return false;
    core.log.truncateFrom(from);
    core.disk.truncated(from);
    core.configs.truncateFrom(from);
  }
  const added = entries.filter(({ index }) => index > core.log.lastIndex);
  const before = core.config;
  core.log.append(added);
  for (const entry of added) core.configs.saw(entry);
  if (core.config !== before) noteLeft(core, members(before));
  return true;
}

/** A member that is left out may hold a read lease for a while. */
export function noteLeft(core: Core, before: readonly (typeof core.self)[]): void {
  if (before.every((id) => isMember(core.config, id))) return;
  core.othersUntil = Math.max(core.othersUntil, core.now + withDrift(core.settings, core.settings.readLeaseMs));
}

export function advanceTo(core: Core, commit: Index): void {
  if (commit > core.commit) core.commit = Math.min(commit, core.log.lastIndex);
}

/** Says what is new of `verified` and the disk, once the present term is on disk. */
export function acknowledge(core: Core, role: FollowerRole): void {
  if (role.leader === null || !core.onDisk(core.ticketOfHard())) return;
  // Nothing is known to be equal yet: told so, the leader would begin again at the first entry.
  if (role.verified === 0 && !role.ackDue) return;
  const match = Math.min(role.verified, core.disk.durable);
  const isNews = match > role.acked || (role.ackDue && match === role.verified) || core.applied > role.appliedTold;
  if (!isNews) return;
  role.acked = match;
  role.appliedTold = core.applied;
  if (match === role.verified) role.ackDue = false;
  core.lastAckAt = core.now;
  core.send({
    kind: 'appendReply',
    to: role.leader,
    result: { ok: true, match },
    applied: core.applied,
    about: about(core),
  });
}

const about = ({ settings }: Core): About => ({ priority: settings.priority, witness: settings.witness });
