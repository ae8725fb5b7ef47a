/**
 * Becoming leader, and what a leader does by the clock: rounds, and giving up when no quorum answers.
 *
 * The first thing a leader writes is an empty entry of its own term: once that is committed, so is all before it, and
 * only then does it know what is committed (Raft 8).
 */
import { assert } from '../../base/assert.ts';
import type { Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import { grantFor } from './leases.ts';
import { type Entry, type EntryBody, isMember, type MemberId } from './model.ts';
import { withDrift } from './options.ts';
import { Progress } from './progress.ts';
import { reached } from './quorum.ts';
import type { LeaderRole } from './role-state.ts';
import { giveUpAskedReads } from './roles.ts';
import { Rounds } from './rounds.ts';

export function becomeLeader(core: Core, lastPossibleGrant: Millis): void {
  assert(core.role.at === 'candidate', 'raft: only a candidate becomes leader');
  const { now, log } = core;
  const role: LeaderRole = {
    at: 'leader',
    since: now,
    noop: log.lastIndex + 1,
    lastPossibleGrant,
    peers: new Map(),
    rounds: new Rounds(),
    heartbeatAt: now,
    commitAtBeat: core.commit,
    commitBefore: core.commit,
    transfer: null,
    proposals: [],
    uncommitted: 0,
    earlyReads: [],
    reads: [],
    change: null,
  };
  core.role = role;
  giveUpAskedReads(core);
  // An earlier leader may have let any of them read until then.
  const mayReadUntil = lastPossibleGrant + withDrift(core.settings, core.settings.readLeaseMs);
  for (const id of core.others()) role.peers.set(id, new Progress(log.lastIndex + 1, now, mayReadUntil));
  core.event({ kind: 'role', role: 'leader', term: core.term });
  core.event({ kind: 'leader', leader: core.self, term: core.term });
  core.event({ kind: 'became-leader', term: core.term, lastPossibleGrant });
  appendOwn(core, { kind: 'noop' });
  heartbeat(core, role);
}

/** Puts an entry of the leader's own term at the end of its log. */
export function appendOwn(core: Core, body: EntryBody): Entry {
  const entry: Entry = { index: core.log.lastIndex + 1, term: core.term, ...body };
  core.log.append([entry]);
  core.configs.saw(entry);
  return entry;
}

/** Followers come and go with the configuration. One that was removed is told until its removal is committed. */
export function trackPeers(core: Core, leader: LeaderRole): void {
  for (const id of core.others()) {
    if (!leader.peers.has(id)) leader.peers.set(id, new Progress(core.log.lastIndex + 1, core.now, core.now));
  }
  if (core.configs.index > core.commit) return;
  for (const id of leader.peers.keys()) if (!isMember(core.config, id)) leader.peers.delete(id);
}

/** Whether a quorum was heard lately enough to go on. */
export const hasQuorum = (core: Core, leader: LeaderRole): boolean => core.now < quorumEndsAt(core, leader);

/** When the leader gives up unless somebody is heard before. */
export function quorumEndsAt(core: Core, leader: LeaderRole): Millis {
  const heard = reached(core.config.voters, (id) => heardAt(core, leader, id), core.rules.quorum);
  return core.rules.leadsUntil(heard, core.settings.electionMinMs);
}

function heardAt(core: Core, leader: LeaderRole, id: MemberId): Millis {
  if (id === core.self) return core.now;
  return leader.peers.get(id)?.heardAt ?? Number.NEGATIVE_INFINITY;
}

/** The regular round. */
export function heartbeat(core: Core, leader: LeaderRole): void {
  leader.heartbeatAt = core.now + core.settings.heartbeatMs;
  leader.commitBefore = leader.commitAtBeat;
  leader.commitAtBeat = core.commit;
  const lost = core.now - 3 * core.settings.heartbeatMs;
  for (const peer of leader.peers.values()) {
    if (peer.overdue(lost)) peer.becomeProbe();
    if (peer.sending.at === 'probe') peer.sending.asked = false;
  }
  beginRound(core, leader, true);
}

/** Only regular rounds carry read leases: a burst of reads must not make a follower look slow. */
export function beginRound(core: Core, leader: LeaderRole, regular: boolean): void {
  const round = leader.rounds.begin(core.now);
  core.lastAckAt = core.now;
  for (const [to, peer] of leader.peers) {
    const grant = regular ? grantFor(core, leader, to, peer) : null;
    core.send({ kind: 'heartbeat', to, round, commit: Math.min(peer.match, core.commit), grant });
  }
  confirmRounds(core, leader);
}

/** Which rounds has a quorum answered? Our own answer is certain. */
export function confirmRounds(core: Core, leader: LeaderRole): void {
  const { rounds } = leader;
  const acked = (id: MemberId): number => (id === core.self ? rounds.current : (leader.peers.get(id)?.ackedRound ?? 0));
  const confirmed = reached(core.config.voters, acked, core.rules.quorum);
  if (confirmed <= rounds.confirmed) return;
  rounds.confirm(Math.min(confirmed, rounds.current), core.now, core.rules);
  for (const peer of leader.peers.values()) {
    const ripe = peer.asks.findLastIndex((ask) => ask.receivedAt <= rounds.provenAt);
    if (ripe === -1) continue;
    peer.ready = peer.asks[ripe]!;
    peer.asks.splice(0, ripe + 1);
  }
}
