/** This member as those who watch the process see it: its own view of the cluster, and what it counted. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { MemberCoordinator } from '../cluster/io/coordinator.ts';
import type { MemberHost } from '../cluster/io/member-host.ts';
import type { MemberEvent, MemberStatus } from '../cluster/member/contract.ts';
import type { ObservedCluster } from '../observe/cluster-source.ts';

/** What gossip told since the start. */
export class GossipCounts {
  suspicions = 0;
  refutations = 0;
  deaths = 0;

  heard(event: MemberEvent): void {
    if (event.kind !== 'swim') return;
    const { kind } = event.event;
    if (kind === 'suspected') this.suspicions += 1;
    else if (kind === 'refuted') this.refutations += 1;
    else if (kind === 'dead') this.deaths += 1;
  }
}

export interface ObservedParts {
  readonly host: MemberHost;
  readonly coordinator: MemberCoordinator;
  readonly gossip: GossipCounts;
  readonly dataDir: string;
}

export function observeCluster({ host, coordinator, gossip, dataDir }: ObservedParts): ObservedCluster {
  const status = host.status();
  const measures = host.measures();
  const { raft } = status;
  return {
    members: countsOf(status),
    state: status.state,
    isLeader: status.leader === status.uid && host.isOpen,
    hasQuorum: status.quorum && host.isOpen,
    voters: raft?.config.voters.length ?? 0,
    term: status.term,
    commitIndex: raft?.commit ?? 0,
    appliedIndex: raft?.applied ?? 0,
    elections: raft?.elections ?? 0,
    lags: status.members.flatMap(({ name, lag }) => (lag === null ? [] : [{ member: name, ...lag }])),
    logEntries: raft === null ? 0 : raft.lastIndex - raft.firstIndex + 1,
    diskBytes: diskBytes(dataDir),
    held: heldBy(host),
    disk: {
      commits: measures.journal.commits,
      persists: measures.journal.persists,
      slowestMs: measures.journal.slowestCommitMs,
    },
    net: {
      ...measures.traffic,
      unsent: measures.net.unsent,
      dropped: measures.net.dropped,
      refused: status.refused,
    },
    gossip,
    asked: {
      writes: coordinator.timings.writes,
      commitTimes: coordinator.timings.commits,
      lockWaitTimes: coordinator.timings.lockWaits,
      calls: status.calls,
      lockWaits: host.hub.waits,
      watches: host.hub.watchers,
    },
  };
}

function countsOf({ members }: MemberStatus): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { state } of members) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

function heldBy({ replica }: MemberHost): ObservedCluster['held'] {
  const { kv, locks, leases } = replica;
  return { keys: kv.size, bytes: kv.bytes, locks: locks.table.size, leases: leases.table.size };
}

/** The journal's database and its log. */
function diskBytes(dataDir: string): number {
  let bytes = 0;
  for (const name of ['journal.db', 'journal.db-wal']) {
    bytes += statSync(join(dataDir, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}
