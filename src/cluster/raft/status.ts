/** What the machine tells of itself, and when it wants to be woken. Changes nothing. */
import type { Millis } from '../../base/ids.ts';
import type { PeerStatus, RaftStatus } from './contract.ts';
import type { Core } from './core.ts';
import { quorumEndsAt } from './leading.ts';
import { isReady, readableUntil } from './leases.ts';
import type { Index, MemberId } from './model.ts';
import { strongWakeAt } from './proposals.ts';
import type { LeaderRole } from './role-state.ts';

export function wakeAt(core: Core): Millis {
  const { role } = core;
  const reads = Math.min(...core.askedReads.values());
  if (role.at === 'follower') return Math.min(core.electionAt, reads);
  if (role.at === 'candidate') return Math.min(role.endsAt, role.resendAt, reads);
  // A hand-over that runs has its own deadline, also if it is because of the disk.
  const disk = role.transfer === null ? core.disk.waitingSince + core.settings.electionMinMs : role.transfer.deadline;
  return Math.min(role.heartbeatAt, quorumEndsAt(core, role), disk, strongWakeAt(core, role), reads);
}

export function statusOf(core: Core): RaftStatus {
  const { role, log, configs } = core;
  const leader = role.at === 'leader' ? role : null;
  return {
    role: role.at,
    term: core.term,
    vote: core.vote,
    leader: core.leader,
    commit: core.commit,
    applied: core.applied,
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    durable: core.disk.durable,
    firstIndex: log.firstIndex,
    config: configs.current,
    configIndex: configs.index,
    configCommitted: configs.index <= core.commit,
    ready: leader !== null && isReady(core, leader),
    transferring: leader?.transfer?.to ?? null,
    lastPossibleGrant: leader?.lastPossibleGrant ?? null,
    readableUntil: readableUntil(core),
    peers: leader === null ? [] : [...leader.peers.keys()].map((id) => peerStatus(leader, id)),
    refused: new Map(core.refused),
    elections: core.elections,
  };
}

function peerStatus(leader: LeaderRole, id: MemberId): PeerStatus {
  const { match, next, applied, sending, heardAt, mayReadUntil } = leader.peers.get(id)!;
  return { id, match, next, applied, state: sending.at, heardAt, mayReadUntil };
}

export function appliedBy(core: Core): ReadonlyMap<MemberId, Index> {
  const known = new Map<MemberId, Index>([[core.self, core.applied]]);
  if (core.role.at === 'leader') for (const [id, peer] of core.role.peers) known.set(id, peer.applied);
  return known;
}
