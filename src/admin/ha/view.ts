/** The cluster as this member sees it, with names where the member itself has ids. Nobody is asked for it. */
import type { MemberLine, MemberStatus } from '../../cluster/member/contract.ts';
import type { NetShown } from './actions.ts';
import { isoTime } from './errors.ts';
import { risksOf } from './risks.ts';

const nameIn =
  ({ members }: MemberStatus) =>
  (id: string): string =>
    members.find((one) => one.id === id)?.name ?? id;

const leaderOf = (status: MemberStatus): string | null => status.leader && nameIn(status)(status.leader);

function memberShown(status: MemberStatus, line: MemberLine): object {
  const { name, id, address, boot, state, reason, seat, metadata, reach, blindTo, lag, self } = line;
  return {
    ...{ name, id, address, boot, self, state, reason, seat },
    version: metadata?.version ?? null,
    admin: metadata?.admin || null,
    zone: metadata?.zone || null,
    priority: metadata?.priority ?? null,
    witness: metadata?.witness ?? false,
    reach,
    cannotReach: blindTo.map(nameIn(status)),
    lag,
  };
}

const head = (status: MemberStatus): object => ({
  member: status.members.find((one) => one.self)?.name ?? status.uid,
  cluster: status.cluster,
  state: status.state,
  reason: status.reason,
  phase: status.phase,
  stopped: status.stop,
  leader: leaderOf(status),
  term: status.term,
  quorum: status.quorum,
  missing: status.missing,
});

const logOf = ({ raft }: MemberStatus): object | null =>
  raft && {
    role: raft.role,
    first: raft.firstIndex,
    last: raft.lastIndex,
    commit: raft.commit,
    applied: raft.applied,
    durable: raft.durable,
    elections: raft.elections,
  };

export const clusterShown = (status: MemberStatus): object => ({
  ...head(status),
  members: status.members.map((line) => memberShown(status, line)),
  risks: risksOf(status),
});

/** `time`: the agreed one; null until there is a cluster. */
export function statusShown(status: MemberStatus, { keys, dropped }: NetShown): object {
  const counts: Record<string, number> = {};
  for (const { state } of status.members) counts[state] = (counts[state] ?? 0) + 1;
  return {
    ...head(status),
    members: counts,
    log: logOf(status),
    time: status.cluster && isoTime(status.agreedNow),
    calls: status.calls,
    keys,
    dropped,
    refused: Object.fromEntries(status.refused),
  };
}

/** `peers`: how far the leader has brought each of the others; only the leader knows, so it is null elsewhere. */
export function replicationShown(status: MemberStatus): object {
  const leader = status.members.find((one) => one.id === status.leader);
  const peers =
    status.raft?.role === 'leader'
      ? status.raft.peers.map(({ id, match, applied, state }) => ({ name: nameIn(status)(id), match, applied, state }))
      : null;
  return {
    leader: leaderOf(status),
    leaderAdmin: leader?.metadata?.admin || null,
    term: status.term,
    log: logOf(status),
    peers,
    members: status.members.map(({ name, seat, lag }) => ({ name, seat, lag })),
  };
}
