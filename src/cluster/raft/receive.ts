/**
 * Messages from peers: which are heard at all, and what their term means (Raft 5.1).
 *
 *   higher term   we follow, whatever we were; except that asking for votes deposes nobody (election.ts)
 *   same term     the matter itself
 *   lower term    its sender is behind: a leader is told our term, so that it steps down; the rest is dropped
 */
import type { Core } from './core.ts';
import { onPreVote, onPreVoteReply, onVote, onVoteReply } from './election.ts';
import { hearLeader, onAppend, onHeartbeat } from './following.ts';
import type { RaftMessage } from './messages.ts';
import { isMember } from './model.ts';
import { onReadIndex, onReadIndexReply } from './reads.ts';
import { onAppendReply, onHeartbeatReply } from './replication.ts';
import type { FollowerRole } from './role-state.ts';
import { becomeFollower } from './roles.ts';
import { onPiece, onSnapshotReply } from './snapshots.ts';
import { onStand } from './transfer.ts';
import { isWellFormed } from './validate.ts';

export function receive(core: Core, message: RaftMessage): void {
  const { from } = message;
  if (message.to !== core.self) return core.refuse(from, 'not-for-us');
  if (from === core.self) return core.refuse(from, 'from-ourselves');
  if (!isWellFormed(message)) return core.refuse(from, 'malformed');
  if (!isNewEnoughBoot(core, message)) return core.refuse(from, 'old-boot');
  if (message.kind === 'preVote') return onPreVote(core, message);
  if (message.kind === 'vote') return onVote(core, message);
  if (message.term > core.term) {
    // Who was removed may have stood until it learnt of it; that is no reason to depose anybody.
    if (core.role.at === 'leader' && !isMember(core.config, from)) return core.refuse(from, 'unknown-member');
    becomeFollower(core, message.term, null);
  }
  if (message.term < core.term) return answerOldTerm(core, message);
  dispatch(core, message);
}

/** A restarted peer has lost what was under way to it; what an older run of it says does not count any more. */
function isNewEnoughBoot(core: Core, { from, boot }: RaftMessage): boolean {
  const known = core.boots.get(from);
  if (known !== undefined && boot < known) return false;
  if (known === boot) return true;
  core.boots.set(from, boot);
  const peer = core.role.at === 'leader' ? core.role.peers.get(from) : undefined;
  if (peer !== undefined && known !== undefined && peer.sending.at === 'replicate') peer.becomeProbe();
  return true;
}

function answerOldTerm(core: Core, message: RaftMessage): void {
  const { kind, from: to } = message;
  // A voter that would help us need not have reached our term.
  if (kind === 'preVoteReply') return onPreVoteReply(core, message);
  if (kind === 'readIndex') return onReadIndex(core, message);
  if (kind !== 'append' && kind !== 'heartbeat' && kind !== 'snapshot') return;
  const { priority, witness } = core.settings;
  const result = { ok: false, rejected: 0, hintIndex: 0, hintTerm: 0 } as const;
  core.send({ kind: 'appendReply', to, result, applied: 0, about: { priority, witness } });
}

function dispatch(core: Core, message: Exclude<RaftMessage, { kind: 'preVote' | 'vote' }>): void {
  switch (message.kind) {
    case 'preVoteReply':
      return onPreVoteReply(core, message);
    case 'voteReply':
      return onVoteReply(core, message);
    case 'readIndex':
      return onReadIndex(core, message);
    case 'readIndexReply':
      return onReadIndexReply(core, message);
    case 'appendReply':
    case 'heartbeatReply':
    case 'snapshotReply':
      return onReply(core, message);
    case 'append':
    case 'heartbeat':
    case 'snapshot':
    case 'stand': {
      const role = hearLeader(core, message);
      if (role !== null) onLeader(core, role, message);
    }
  }
}

function onReply(
  core: Core,
  message: Extract<RaftMessage, { kind: 'appendReply' | 'heartbeatReply' | 'snapshotReply' }>,
): void {
  if (core.role.at !== 'leader') return core.refuse(message.from, 'not-leader');
  if (message.kind === 'appendReply') onAppendReply(core, core.role, message);
  else if (message.kind === 'heartbeatReply') onHeartbeatReply(core, core.role, message);
  else onSnapshotReply(core, core.role, message);
}

function onLeader(
  core: Core,
  role: FollowerRole,
  message: Extract<RaftMessage, { kind: 'append' | 'heartbeat' | 'snapshot' | 'stand' }>,
): void {
  if (message.kind === 'append') onAppend(core, role, message);
  else if (message.kind === 'heartbeat') onHeartbeat(core, role, message);
  else if (message.kind === 'snapshot') onPiece(core, role, message);
  else onStand(core, role, message);
}
