/** What failover has to know of the cluster, from a member's status. */
import type { MemberId } from '../base/ids.ts';
import type { ClusterView } from '../cluster/failover/contract.ts';
import type { MemberStatus } from '../cluster/member/contract.ts';

export function clusterViewOf(status: MemberStatus): ClusterView {
  const { uid, leader, raft, members } = status;
  return {
    leader,
    term: status.term,
    leads: leader === uid && raft?.ready === true,
    quorum: status.quorum,
    voters: raft?.config.voters ?? [],
    learners: raft?.config.learners ?? [],
    names: new Map(members.map(({ id, name }): [MemberId, string] => [id, name])),
    cluster: status.cluster,
    agreedNow: status.agreedNow,
  };
}

/** Everything but the clock. */
export function sameView(a: ClusterView, b: ClusterView): boolean {
  const same = (from: readonly string[], to: readonly string[]): boolean =>
    from.length === to.length && from.every((one, index) => one === to[index]);
  return (
    a.leader === b.leader &&
    a.term === b.term &&
    a.leads === b.leads &&
    a.quorum === b.quorum &&
    a.cluster === b.cluster &&
    same(a.voters, b.voters) &&
    same(a.learners, b.learners) &&
    same([...a.names.entries()].flat(), [...b.names.entries()].flat())
  );
}
