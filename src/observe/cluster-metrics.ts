/** Metrics of the cluster, as this member sees it and as it counted. None where the process is a member of no cluster. */
import type { ObservedCluster } from './cluster-source.ts';
import { histogramSamples, poolBounds } from './merge.ts';
import { counter, type Family, gauge, one, type Sample } from './metrics-model.ts';

const memberStates = ['JOINING', 'ACTIVE', 'LEADER', 'DEGRADED', 'LEAVING', 'UNREACHABLE'] as const;
const clusterStates = ['FORMING', 'STABLE', 'DEGRADED', 'SPLIT_BRAIN'] as const;

type Read<T> = (cluster: ObservedCluster) => T;

const ofCluster =
  (read: Read<Sample[]>): Family['samples'] =>
  ({ state }) =>
    state.cluster === null ? [] : read(state.cluster);
const value = (read: Read<number>): Family['samples'] => ofCluster((cluster) => [one({}, read(cluster))]);
const flag = (read: Read<boolean>): Family['samples'] => value((cluster) => (read(cluster) ? 1 : 0));

const bytesOf = (read: Read<{ readonly in: number; readonly out: number }>): Family['samples'] =>
  ofCluster((cluster) => {
    const bytes = read(cluster);
    return [one({ direction: 'in' }, bytes.in), one({ direction: 'out' }, bytes.out)];
  });
const byResult = (label: string, read: Read<Iterable<readonly [string, number]>>): Family['samples'] =>
  ofCluster((cluster) => [...read(cluster)].map(([word, count]) => one({ [label]: word }, count)));
const times = (name: string, help: string, read: Read<Float64Array>): Family => ({
  ...gauge(
    name,
    help,
    ofCluster((cluster) =>
      histogramSamples(`evenkeel_${name}`, { labels: {}, counts: read(cluster), bounds: poolBounds }),
    ),
  ),
  type: 'histogram',
});

const agreement: readonly Family[] = [
  gauge(
    'cluster_members',
    'Members of the cluster that this one knows of, by state.',
    ofCluster(({ members }) => memberStates.map((state) => one({ state }, members.get(state) ?? 0))),
  ),
  gauge(
    'cluster_state',
    'State of the cluster as this member sees it: 1 for the one that holds, 0 for the others.',
    ofCluster((cluster) => clusterStates.map((state) => one({ state }, state === cluster.state ? 1 : 0))),
  ),
  gauge(
    'cluster_is_leader',
    'Whether this member leads.',
    flag(({ isLeader }) => isLeader),
  ),
  gauge(
    'cluster_has_quorum',
    'Whether something could be agreed now, as far as this member knows.',
    flag(({ hasQuorum }) => hasQuorum),
  ),
  gauge(
    'cluster_voters',
    'Members that vote.',
    value(({ voters }) => voters),
  ),
  gauge(
    'cluster_term',
    'Term of the agreement; grows with each election.',
    value(({ term }) => term),
  ),
  gauge(
    'cluster_commit_index',
    'Last entry of the log that is known to be committed.',
    value(({ commitIndex }) => commitIndex),
  ),
  gauge(
    'cluster_applied_index',
    'Last entry that is in the state of this member.',
    value(({ appliedIndex }) => appliedIndex),
  ),
  counter(
    'cluster_elections_total',
    'Elections in which this member stood.',
    value(({ elections }) => elections),
  ),
  gauge(
    'cluster_lag_entries',
    'Entries that a member is behind the leader; the leader knows all of them, others themselves.',
    ofCluster(({ lags }) => lags.map(({ member, entries }) => one({ member }, entries))),
  ),
  gauge(
    'cluster_lag_seconds',
    'How long a member has been behind the leader; 0 if it is level.',
    ofCluster(({ lags }) => lags.map(({ member, seconds }) => one({ member }, seconds))),
  ),
];

const disk: readonly Family[] = [
  gauge(
    'cluster_log_entries',
    'Entries in the log of this member, behind its snapshot.',
    value(({ logEntries }) => logEntries),
  ),
  gauge(
    'cluster_disk_bytes',
    "Size of the journal's files: log, snapshot and what is kept beside them.",
    value(({ diskBytes }) => diskBytes),
  ),
  counter(
    'cluster_journal_commits_total',
    'Transactions of the journal that were synced to the disk.',
    value(({ disk: { commits } }) => commits),
  ),
  counter(
    'cluster_journal_persists_total',
    'What was to be kept in them, many in one.',
    value(({ disk: { persists } }) => persists),
  ),
  gauge(
    'cluster_journal_slowest_commit_seconds',
    'The slowest transaction of the journal since the process began.',
    value(({ disk: { slowestMs } }) => slowestMs / 1000),
  ),
];

const state: readonly Family[] = [
  gauge(
    'cluster_keys',
    'Keys in the agreed state.',
    value(({ held }) => held.keys),
  ),
  gauge(
    'cluster_key_bytes',
    'Bytes of all keys and their values.',
    value(({ held }) => held.bytes),
  ),
  gauge(
    'cluster_locks',
    'Locks that are held, waited for, or in their delay.',
    value(({ held }) => held.locks),
  ),
  gauge(
    'cluster_leases',
    'Leases that are kept alive.',
    value(({ held }) => held.leases),
  ),
];

const words: readonly Family[] = [
  counter(
    'cluster_gossip_bytes_total',
    'Bytes of datagrams between members: probes and gossip.',
    bytesOf(({ net }) => net.datagrams),
  ),
  counter(
    'cluster_connection_bytes_total',
    'Bytes of the connections between members: agreement, forwarded writes, exchanges of gossip.',
    bytesOf(({ net }) => net.connections),
  ),
  counter(
    'cluster_unsent_total',
    'Datagrams and messages that were not sent: the other was not reachable, or its queue full.',
    value(({ net }) => net.unsent),
  ),
  counter(
    'cluster_frames_dropped_total',
    'Frames and connections that were not let in, by reason.',
    byResult('reason', ({ net }) => Object.entries(net.dropped)),
  ),
  counter(
    'cluster_words_refused_total',
    'Words of members that were not accepted, by reason.',
    byResult('reason', ({ net }) => net.refused),
  ),
  counter(
    'cluster_suspicions_total',
    'How often this member held another for suspect.',
    value(({ gossip }) => gossip.suspicions),
  ),
  counter(
    'cluster_refutations_total',
    'How often a suspect or dead one, or this member itself, showed that it lives.',
    value(({ gossip }) => gossip.refutations),
  ),
  counter(
    'cluster_deaths_total',
    'How often this member held another for dead.',
    value(({ gossip }) => gossip.deaths),
  ),
];

const asked: readonly Family[] = [
  counter(
    'cluster_writes_total',
    'Writes to the agreed state that were asked of this member, by how they ended.',
    byResult('result', ({ asked: { writes } }) => Object.entries(writes)),
  ),
  times(
    'cluster_commit_seconds',
    'Time from a write on this member to its commit.',
    ({ asked: { commitTimes } }) => commitTimes,
  ),
  times(
    'cluster_lock_wait_seconds',
    'Time from asking for a lock, ready to wait, to its grant or to the end of the wait.',
    ({ asked: { lockWaitTimes } }) => lockWaitTimes,
  ),
  gauge(
    'cluster_lock_waits',
    'Waits for locks that are under way on this member.',
    value(({ asked: { lockWaits } }) => lockWaits),
  ),
  gauge(
    'cluster_watches',
    'Watches of keys that are open on this member.',
    value(({ asked: { watches } }) => watches),
  ),
  gauge(
    'cluster_calls',
    'Requests to the agreed state that are under way on this member.',
    value(({ asked: { calls } }) => calls),
  ),
];

export const clusterFamilies: readonly Family[] = [...agreement, ...disk, ...state, ...words, ...asked];
