/**
 * The leader's side of the log: what to send to whom, what comes back, what is committed by it.
 *
 * Appends leave before the leader's own disk has the entries; its own vote for a commit counts only after (Raft 5.3,
 * dissertation 10.2.1). Followers learn of a commit at once, in an empty append if there is nothing else to say.
 */
import type { Core } from './core.ts';
import { confirmRounds } from './leading.ts';
import { onAsk } from './leases.ts';
import type { AppendReply, HeartbeatReply } from './messages.ts';
import { entrySize, type Index, type MemberId } from './model.ts';
import type { Progress } from './progress.ts';
import { reached } from './quorum.ts';
import type { LeaderRole } from './role-state.ts';
import { sendPiece } from './snapshots.ts';

/** Sends every follower what it may be sent now. */
export function feedAll(core: Core, leader: LeaderRole): void {
  for (const [id, peer] of leader.peers) feed(core, id, peer);
}

function feed(core: Core, to: MemberId, peer: Progress): void {
  while (peer.mayAppend(core.settings)) {
    const isNew = peer.sending.at === 'replicate';
    const upToDate = peer.next > core.log.lastIndex && peer.commitSent >= core.commit;
    if (isNew && upToDate) return;
    if (!append(core, to, peer)) return;
    if (peer.sending.at !== 'replicate') return;
  }
}

/** One append. False if what it needs is compacted: a snapshot is begun instead. */
function append(core: Core, to: MemberId, peer: Progress): boolean {
  const prevIndex = peer.next - 1;
  const prevTerm = core.log.term(prevIndex);
  if (prevTerm === null) {
    peer.becomeSnapshot(core.snapshot, core.now);
    sendPiece(core, to, peer);
    return false;
  }
  const entries = core.log.slice(peer.next, core.settings.maxAppendBytes);
  core.send({ kind: 'append', to, prevIndex, prevTerm, entries, commit: core.commit });
  const bytes = entries.reduce((sum, entry) => sum + entrySize(entry), 0);
  peer.commitSent = Math.max(peer.commitSent, core.commit);
  peer.sent(prevIndex + entries.length, bytes, core.now);
  return true;
}

export function onAppendReply(core: Core, leader: LeaderRole, message: AppendReply): void {
  const peer = leader.peers.get(message.from);
  if (peer === undefined) return core.refuse(message.from, 'unknown-member');
  const { result } = message;
  if (result.ok && result.match > core.log.lastIndex) return core.refuse(message.from, 'malformed');
  heard(core, peer, message);
  if (result.ok) return peer.accepted(result.match);
  peer.refused(result.rejected, core.log.lastNotAbove(result.hintIndex, result.hintTerm));
}

export function onHeartbeatReply(core: Core, leader: LeaderRole, message: HeartbeatReply): void {
  const peer = leader.peers.get(message.from);
  if (peer === undefined) return core.refuse(message.from, 'unknown-member');
  if (message.round > leader.rounds.current) return core.refuse(message.from, 'malformed');
  heard(core, peer, message);
  peer.ackedRound = Math.max(peer.ackedRound, message.round);
  onAsk(core, peer, message);
  confirmRounds(core, leader);
}

function heard(core: Core, peer: Progress, message: AppendReply | HeartbeatReply): void {
  peer.heardAt = core.now;
  peer.about = message.about;
  peer.applied = Math.max(peer.applied, Math.min(message.applied, core.commit));
}

/** How far a quorum has the log on disk. True if that committed something. */
export function advanceCommit(core: Core, leader: LeaderRole): boolean {
  const match = (id: MemberId): Index => (id === core.self ? core.disk.durable : (leader.peers.get(id)?.match ?? 0));
  const index = reached(core.config.voters, match, core.rules.quorum);
  if (index <= core.commit || !Number.isFinite(index)) return false;
  const term = core.log.term(index);
  if (term === null || !core.rules.countsForCommit(term, core.term)) return false;
  core.commit = index;
  return true;
}
