/**
 * Becoming a follower: what ends with each role, and what of it must be told.
 */
import { AssertionError } from '../../base/assert.ts';
import type { StepDownReason } from './contract.ts';
import type { Core } from './core.ts';
import type { MemberId, Term } from './model.ts';
import { follower, type LeaderRole } from './role-state.ts';

/** Follows `leader`, or nobody yet, in `term`, which is the present one or a later one. */
export function becomeFollower(core: Core, term: Term, leader: MemberId | null): void {
  if (term < core.term) throw new AssertionError(`raft: term ${core.term} can't go back to ${term}`);
  if (core.role.at === 'leader') endLeadership(core, core.role, 'higher-term');
  const before = core.leader;
  if (term > core.term) {
    core.setHard(term, null);
    dropReadLease(core);
  }
  const wasFollower = core.role.at === 'follower';
  core.role = follower(leader);
  if (!wasFollower) core.event({ kind: 'role', role: 'follower', term });
  if (leader !== before) {
    core.event({ kind: 'leader', leader, term });
    giveUpAskedReads(core);
  }
}

/** The leader gives up by itself, and stays in its term. */
export function stepDown(core: Core, why: StepDownReason): void {
  if (core.role.at !== 'leader') return;
  endLeadership(core, core.role, why);
  core.role = follower(null);
  core.restartElectionTimer();
  core.event({ kind: 'role', role: 'follower', term: core.term });
  core.event({ kind: 'leader', leader: null, term: core.term });
}

/** Answers what this leader can't answer any more. The caller sets the next role. */
export function endLeadership(core: Core, leader: LeaderRole, why: StepDownReason): void {
  const reason = why === 'higher-term' && leader.transfer?.told ? 'transferred' : why;
  for (const { id } of leader.proposals) core.out.proposals.push({ id, outcome: { kind: 'unknown' } });
  if (leader.change !== null) core.out.changes.push({ id: leader.change.id, outcome: { kind: 'unknown' } });
  for (const read of [...leader.earlyReads, ...leader.reads]) {
    if (read.from === null) core.out.reads.push({ id: read.id, index: null });
    else core.send({ kind: 'readIndexReply', to: read.from, id: read.id, index: null });
  }
  core.event({ kind: 'stepped-down', term: core.term, why: reason });
}

export function dropReadLease(core: Core): void {
  core.readable = { until: Number.NEGATIVE_INFINITY, index: 0 };
}

export function giveUpAskedReads(core: Core): void {
  for (const id of core.askedReads.keys()) core.out.reads.push({ id, index: null });
  core.askedReads.clear();
}
