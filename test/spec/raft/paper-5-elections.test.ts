/** One test per sentence of sections 5.1 and 5.2 of Ongaro and Ousterhout, "In Search of an Understandable Consensus
 * Algorithm" (2014), in own words. Where this core asks for a pre-vote first (dissertation 9.6), the test says so. */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import { Lab } from '../../cluster/raft/lab.ts';
import { Solo, sent } from '../../cluster/raft/solo.ts';

const end = { lastIndex: 0, lastTerm: 0 };
const heartbeat = { kind: 'heartbeat', round: 1, commit: 0, grant: null } as never;
const vote = (lastIndex = 0, lastTerm = 0, transfer = false): never =>
  ({ kind: 'vote', lastIndex, lastTerm, transfer }) as never;

describe('5.1 terms', () => {
  it('a machine is follower, candidate or leader, and starts as follower', () => {
    expect(new Solo().status.role).toBe('follower');
  });

  it('a follower issues nothing by itself before its time-out', () => {
    const solo = new Solo();
    expect(solo.wait(999).send).toEqual([]);
  });

  it('terms only grow, and are exchanged with every message', () => {
    const solo = new Solo({ term: 3 });
    solo.hear('b', 7, heartbeat);
    expect(solo.status.term).toBe(7);
    expect(solo.out.send.map(({ term }) => term)).toEqual([7]);
    solo.hear('c', 5, heartbeat);
    expect(solo.status.term).toBe(7);
  });

  it('the term is on disk before anything is said in it', () => {
    const solo = new Solo({ holdDisk: true });
    expect(sent(solo.hear('b', 2, heartbeat), 'heartbeatReply')).toEqual([]);
    expect(solo.persists[0]!.hard).toEqual({ term: 2, vote: null });
    expect(sent(solo.returned(1), 'heartbeatReply')).toHaveLength(1);
  });

  it.each(['candidate', 'leader'] as const)('a %s that sees a higher term becomes follower at once', (role) => {
    const solo = new Solo();
    if (role === 'leader') solo.lead();
    else {
      solo.waitForTimeout();
      solo.hear('b', 0, { kind: 'preVoteReply', next: 1, granted: true } as never);
    }
    expect(solo.status.role).toBe(role);
    solo.hear('b', 9, { kind: 'voteReply', granted: false, age: 0 } as never);
    expect(solo.status).toMatchObject({ role: 'follower', term: 9 });
  });

  it('a request with an older term is refused, and its sender told the newer one', () => {
    const solo = new Solo({ term: 4 });
    const [answer] = sent(solo.append('b', 3, [0, 0], [3]), 'appendReply');
    expect(answer).toMatchObject({ term: 4, result: { ok: false } });
    expect(sent(solo.hear('b', 3, vote()), 'voteReply')[0]).toMatchObject({ term: 4, granted: false });
    expect(solo.status.lastIndex).toBe(0);
  });
});

describe('5.2 leader election', () => {
  it('stays follower as long as it hears a leader', () => {
    const solo = new Solo();
    for (let round = 1; round < 60; round++) {
      solo.wait(200);
      solo.hear('b', 1, { kind: 'heartbeat', round, commit: 0, grant: null } as never);
    }
    expect(solo.status).toMatchObject({ role: 'follower', leader: 'b', term: 1 });
  });

  it('a leader keeps its authority by heartbeats to all', () => {
    const solo = new Solo();
    solo.lead();
    const to = sent(solo.wait(200), 'heartbeat').map((message) => message.to);
    expect(to).toEqual(['b', 'c']);
  });

  it('hearing nobody for its time-out it asks all whether they would vote (pre-vote), in its old term', () => {
    const solo = new Solo({ term: 3 });
    const asked = sent(solo.waitForTimeout(), 'preVote');
    expect(asked.map(({ to, term, next }) => ({ to, term, next }))).toEqual([
      { to: 'b', term: 3, next: 4 },
      { to: 'c', term: 3, next: 4 },
    ]);
    expect(solo.status.term).toBe(3);
  });

  it('then raises its term, votes for itself and asks all others', () => {
    const solo = new Solo({ term: 3 });
    solo.waitForTimeout();
    const out = solo.hear('b', 3, { kind: 'preVoteReply', next: 4, granted: true } as never);
    expect(out.persist!.hard).toEqual({ term: 4, vote: 'a' });
    expect(sent(out, 'vote').map(({ to, term }) => [to, term])).toEqual([
      ['b', 4],
      ['c', 4],
    ]);
  });

  it('wins with votes of a majority, its own included, and tells all at once', () => {
    const solo = new Solo({ voters: ['a', 'b', 'c', 'd', 'e'] });
    solo.waitForTimeout();
    for (const from of ['b', 'c']) solo.hear(from, 0, { kind: 'preVoteReply', next: 1, granted: true } as never);
    solo.hear('b', 1, { kind: 'voteReply', granted: true, age: 1 } as never);
    expect(solo.status.role).toBe('candidate');
    const out = solo.hear('c', 1, { kind: 'voteReply', granted: true, age: 1 } as never);
    expect(solo.status.role).toBe('leader');
    expect(sent(out, 'heartbeat')).toHaveLength(4);
  });

  it('the same vote twice is one vote', () => {
    const solo = new Solo({ voters: ['a', 'b', 'c', 'd', 'e'] });
    solo.waitForTimeout();
    for (const from of ['b', 'c']) solo.hear(from, 0, { kind: 'preVoteReply', next: 1, granted: true } as never);
    for (let i = 0; i < 3; i++) solo.hear('b', 1, { kind: 'voteReply', granted: true, age: 1 } as never);
    expect(solo.status.role).toBe('candidate');
  });

  it('votes for at most one candidate per term, first come, first served', () => {
    const solo = new Solo();
    expect(sent(solo.hear('b', 5, vote()), 'voteReply')[0]!.granted).toBe(true);
    expect(sent(solo.hear('c', 5, vote()), 'voteReply')[0]!.granted).toBe(false);
    expect(sent(solo.hear('b', 5, vote()), 'voteReply')[0]!.granted).toBe(true);
  });

  it('remembers its vote over a restart', () => {
    const solo = new Solo({ term: 5, vote: 'b' });
    solo.now = 2000;
    expect(sent(solo.hear('c', 5, vote()), 'voteReply')[0]!.granted).toBe(false);
    expect(sent(solo.hear('b', 5, vote()), 'voteReply')[0]!.granted).toBe(true);
  });

  it('a candidate that hears a leader of its term follows it', () => {
    const solo = new Solo();
    solo.waitForTimeout();
    solo.hear('b', 0, { kind: 'preVoteReply', next: 1, granted: true } as never);
    solo.hear('c', 1, heartbeat);
    expect(solo.status).toMatchObject({ role: 'follower', leader: 'c', term: 1 });
  });

  it('a candidate that hears a leader of an older term refuses it and stays', () => {
    const solo = new Solo({ term: 4 });
    solo.waitForTimeout();
    solo.hear('b', 4, { kind: 'preVoteReply', next: 5, granted: true } as never);
    solo.append('c', 3, [0, 0], [3]);
    expect(solo.status).toMatchObject({ role: 'candidate', term: 5 });
  });

  it('nobody wins: it tries again, 100 to 300 ms after it was refused', () => {
    const solo = new Solo();
    solo.waitForTimeout();
    solo.hear('b', 0, { kind: 'preVoteReply', next: 1, granted: true } as never);
    for (const from of ['b', 'c']) solo.hear(from, 1, { kind: 'voteReply', granted: false, age: 0 } as never);
    expect(solo.status.role).toBe('follower');
    const pause = solo.raft.wakeAt() - solo.now;
    expect(pause).toBeGreaterThanOrEqual(100);
    expect(pause).toBeLessThanOrEqual(300);
    expect(sent(solo.waitForTimeout(), 'preVote')[0]!.next).toBe(2);
  });

  it('time-outs are drawn anew from 1 to 2 s', () => {
    const draws = new Set<number>();
    const random = seededRandom(3);
    for (let i = 0; i < 50; i++) draws.add(new Solo({ raft: { random } }).raft.wakeAt());
    expect(draws.size).toBeGreaterThan(40);
    expect(Math.min(...draws)).toBeGreaterThanOrEqual(1000);
    expect(Math.max(...draws)).toBeLessThanOrEqual(2000);
    expect(Math.max(...draws) - Math.min(...draws)).toBeGreaterThan(500);
  });

  it('so split votes are rare and end soon: five machines elect one leader', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const lab = new Lab({ seed, voters: ['a', 'b', 'c', 'd', 'e'], delay: [5, 30] });
      expect(lab.run(6000, () => lab.leaders.length === 1)).toBe(true);
    }
  });

  it('a request for votes from one who is no member of its own configuration is answered all the same', () => {
    const solo = new Solo();
    expect(sent(solo.hear('z', 1, { kind: 'vote', ...end, transfer: false } as never), 'voteReply')[0]!.granted).toBe(
      true,
    );
  });
});
