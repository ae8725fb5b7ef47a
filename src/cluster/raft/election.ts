/**
 * Elections: who stands, who votes, who wins.
 *
 *   follower --time-out--> pre-candidate --quorum would--> candidate --quorum does--> leader
 *                               ^                              |
 *                               +---- 100 to 300 ms ---- lost -+
 *
 * A pre-vote changes nothing anywhere, so a member that was cut off comes back without deposing anybody. Requests are
 * sent again to those who have not answered. A candidate's request leaves, and its own vote counts, only when both are
 * on disk: else a restart could stand twice in one term with two logs.
 *
 * Sources: Raft 5.2, 5.4.1, 6; dissertation 4.2.3 and 9.6 (pre-vote).
 */
import type { Core } from './core.ts';
import { becomeLeader } from './leading.ts';
import type { PreVote, PreVoteReply, Vote, VoteReply } from './messages.ts';
import { voteState } from './quorum.ts';
import { type CandidateRole, follower } from './role-state.ts';
import { becomeFollower, dropReadLease, endLeadership } from './roles.ts';

/**
 * Asks whether an election could be won. Does nothing if this member may not lead, or while a leader may live: its own
 * vote is one like any other, and that leader's lease rests on it.
 */
export function campaign(core: Core, why: 'time-out' | 'asked'): void {
  if (core.role.at === 'leader') return;
  if (why === 'asked' && leaderMayLive(core)) return;
  core.restartElectionTimer();
  if (!core.mayLead()) return;
  core.event({ kind: 'standing', term: core.term + 1, why });
  stand(core, { phase: 'pre', transfer: false });
}

/** Stands at once: the leader of this term asked for it, or it is that leader and takes its order back. */
export function campaignAtOnce(core: Core, why: 'transfer' | 'transfer-aborted'): void {
  if (core.role.at === 'leader') endLeadership(core, core.role, 'transfer-aborted');
  core.event({ kind: 'standing', term: core.term + 1, why });
  stand(core, { phase: 'real', transfer: true });
}

function stand(core: Core, how: { readonly phase: 'pre' | 'real'; readonly transfer: boolean }): void {
  const next = core.term + 1;
  const before = core.leader;
  if (how.phase === 'real') {
    core.setHard(next, core.self);
    dropReadLease(core);
    core.elections += 1;
  }
  const role: CandidateRole = {
    at: 'candidate',
    ...how,
    next,
    votes: new Map(),
    acknowledgedAt: [],
    ticket: core.ticketOfNow(),
    endsAt: Number.POSITIVE_INFINITY,
    resendAt: Number.POSITIVE_INFINITY,
  };
  core.role = role;
  core.event({ kind: 'role', role: 'candidate', term: core.term });
  if (before !== null) core.event({ kind: 'leader', leader: null, term: core.term });
  candidateClock(core, role);
}

/** Time passed, or the disk is done. */
export function candidateClock(core: Core, role: CandidateRole): void {
  if (role.phase === 'real' && !core.onDisk(role.ticket)) return;
  if (!role.votes.has(core.self)) {
    role.endsAt = core.now + core.settings.electionMinMs;
    role.resendAt = core.now;
    grant(core, role, core.self, core.lastAckAt);
    if (core.role !== role) return;
  }
  if (core.now >= role.endsAt) return lose(core, role, 'no-answer');
  if (core.now >= role.resendAt) requestVotes(core, role);
}

function requestVotes(core: Core, role: CandidateRole): void {
  role.resendAt = core.now + core.between(core.settings.retryMinMs, core.settings.retryMaxMs);
  const end = { lastIndex: core.log.lastIndex, lastTerm: core.log.lastTerm };
  for (const to of core.otherVoters()) {
    if (role.votes.get(to) === true || (role.phase === 'real' && role.votes.has(to))) continue;
    if (role.phase === 'pre') core.send({ kind: 'preVote', to, next: role.next, ...end });
    else core.send({ kind: 'vote', to, transfer: role.transfer, ...end });
  }
}

function lose(core: Core, role: CandidateRole, why: 'refused' | 'no-answer'): void {
  core.event({ kind: 'election-lost', term: role.next, why });
  core.role = follower(null);
  core.electionAt = core.now + core.between(core.settings.retryMinMs, core.settings.retryMaxMs);
  core.event({ kind: 'role', role: 'follower', term: core.term });
}

function grant(core: Core, role: CandidateRole, voter: Vote['from'], acknowledgedAt: number): void {
  role.votes.set(voter, true);
  role.acknowledgedAt.push(acknowledgedAt);
  if (voteState(core.config.voters, role.votes, core.rules.quorum) !== 'won') return;
  if (role.phase === 'pre') stand(core, { phase: 'real', transfer: false });
  else becomeLeader(core, core.rules.lastGrant(core.now, role.acknowledgedAt));
}

function refusal(core: Core, role: CandidateRole, voter: Vote['from']): void {
  if (role.votes.has(voter)) return;
  role.votes.set(voter, false);
  if (voteState(core.config.voters, role.votes, core.rules.quorum) === 'lost') lose(core, role, 'refused');
}

/** A live leader is a reason to help no other; so is being one, for a leader without a quorum gives up by itself. */
function leaderMayLive(core: Core): boolean {
  if (core.role.at === 'leader') return true;
  return core.rules.leaderMayLive(core.now, core.heardLeaderAt, core.settings.electionMinMs);
}

const logIsAsNew = (core: Core, message: PreVote | Vote): boolean =>
  core.rules.isAsNew(message, { lastIndex: core.log.lastIndex, lastTerm: core.log.lastTerm });

export function onPreVote(core: Core, message: PreVote): void {
  const granted = message.next > core.term && logIsAsNew(core, message) && !leaderMayLive(core);
  core.send({ kind: 'preVoteReply', to: message.from, next: message.next, granted });
}

export function onPreVoteReply(core: Core, message: PreVoteReply): void {
  const { role } = core;
  if (role.at !== 'candidate' || role.phase !== 'pre' || message.next !== role.next) return;
  if (message.granted) grant(core, role, message.from, core.now);
  else refusal(core, role, message.from);
}

export function onVote(core: Core, message: Vote): void {
  if (message.term > core.term) {
    // Not even its term is taken over: that would depose the leader all the same.
    if (!message.transfer && leaderMayLive(core)) return;
    becomeFollower(core, message.term, null);
  }
  const granted =
    message.term === core.term && core.rules.mayVote(core.vote, message.from) && logIsAsNew(core, message);
  if (!granted) return core.send({ kind: 'voteReply', to: message.from, granted, age: 0 });
  if (core.vote !== message.from) core.setHard(core.term, message.from);
  core.restartElectionTimer();
  core.sendAfter(core.ticketOfHard(), () => ({
    kind: 'voteReply',
    to: message.from,
    granted,
    age: core.now - core.lastAckAt,
  }));
}

export function onVoteReply(core: Core, message: VoteReply): void {
  const { role } = core;
  if (role.at !== 'candidate' || role.phase !== 'real' || message.term !== role.next) return;
  if (message.granted) grant(core, role, message.from, core.now - message.age);
  else refusal(core, role, message.from);
}
