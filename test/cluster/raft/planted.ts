/**
 * Breaches of single rules, each a way in which real implementations have lost data or served stale reads. The
 * simulation must find every one. Two more need a sequence that chance does not make in time: an entry of an older term
 * committed by counting, which test/spec/raft/figure-8.test.ts plays, and a follower that commits beyond what is known to
 * be equal, which followers-word.test.ts shows.
 */
import type { Rules } from '../../../src/cluster/raft/rules.ts';

export interface Planted {
  readonly name: string;
  readonly rules: Partial<Rules>;
}

export const planted: readonly Planted[] = [
  { name: 'a quorum of half the voters', rules: { quorum: (voters) => Math.max(1, Math.floor(voters / 2)) } },
  { name: 'two votes in one term', rules: { mayVote: () => true } },
  { name: 'a vote for a candidate with an older log', rules: { isAsNew: () => true } },
  { name: 'a late append deletes newer entries', rules: { deletesFrom: (_conflict, first) => first } },
  { name: 'votes and acknowledgements before the disk has them', rules: { waitsForDisk: () => false } },
  {
    name: 'a late disk acknowledges what was rewritten since',
    rules: { durableAfterTruncation: (durable) => durable },
  },
  { name: 'votes while a leader may live', rules: { leaderMayLive: () => false } },
  { name: 'a restarted voter forgets that it heard a leader', rules: { heardAtStart: () => Number.NEGATIVE_INFINITY } },
  {
    name: 'a lease counted from when its round was answered',
    rules: { leaseFrom: (_sentAt, confirmedAt) => confirmedAt },
  },
  { name: 'a read confirmed by a round begun before it', rules: { confirmsRead: () => true } },
  { name: 'reads before an entry of the own term is committed', rules: { mayAnswerReads: () => true } },
  { name: 'a change of members before the last one is committed', rules: { mayChangeConfig: () => true } },
  { name: 'a lease kept while leadership is handed over', rules: { keepsLease: () => true } },
  { name: 'no ages in votes: no grant before the election is known of', rules: { lastGrant: (now) => now - 5000 } },
  { name: 'a strong write answered by commit alone', rules: { strongWaitsFor: () => false } },
];
