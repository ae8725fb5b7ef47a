/** One test per sentence of sections 5.3 to 5.5 of the Raft paper (2014), in own words. */
import { describe, expect, it } from 'vitest';
import { Lab } from '../../cluster/raft/lab.ts';
import { Solo, sent } from '../../cluster/raft/solo.ts';

const kinds = (solo: Solo): string[] => solo.out.apply?.entries.map(({ index, term }) => `${index}.${term}`) ?? [];

describe('5.3 log replication', () => {
  it('a leader appends the command to its log and sends it to all others', () => {
    const solo = new Solo();
    solo.lead();
    solo.ack('b', 1);
    solo.ack('c', 1);
    const appends = sent(solo.propose(1), 'append');
    expect(appends.map(({ to, prevIndex, entries }) => [to, prevIndex, entries.length])).toEqual([
      ['b', 1, 1],
      ['c', 1, 1],
    ]);
    expect(solo.status.lastIndex).toBe(2);
  });

  it('once a majority has it, it is applied and answered', () => {
    const solo = new Solo();
    solo.lead();
    solo.propose(1);
    expect(solo.out.proposals).toEqual([]);
    const out = solo.ack('b', 2);
    expect(kinds(solo)).toEqual(['1.1', '2.1']);
    expect(out.proposals).toEqual([{ id: 1, outcome: { kind: 'committed', index: 2, term: 1 } }]);
  });

  it('it goes on sending to those who have not got it, also after the answer', () => {
    const lab = new Lab({ voters: ['a', 'b', 'c'] });
    lab.run(6000, () => lab.leaders[0]?.raft?.status().ready ?? false);
    const leader = lab.leaders[0]!;
    const late = lab.live.find(({ id }) => id !== leader.id)!;
    lab.isolate(late.id);
    lab.step(leader.id, { kind: 'propose', id: 1, data: new Uint8Array(1) });
    lab.run(500);
    expect(leader.answers).toHaveLength(1);
    lab.heal();
    lab.run(1500);
    expect(late.applied).toBe(leader.applied);
  });

  it('committing an entry commits all before it, also of earlier leaders', () => {
    const solo = new Solo({ terms: [1, 1, 2] });
    solo.lead();
    solo.ack('b', 4);
    expect(kinds(solo)).toEqual(['1.1', '2.1', '3.2', '4.3']);
  });

  it('followers learn from the next append what is committed, and apply it in order', () => {
    const solo = new Solo();
    solo.append('b', 1, [0, 0], [1, 1, 1], 0);
    expect(kinds(solo)).toEqual([]);
    solo.append('b', 1, [3, 1], [1], 3);
    expect(kinds(solo)).toEqual(['1.1', '2.1', '3.1']);
  });

  it('a follower knows no more as committed than what that append proved to be equal', () => {
    const solo = new Solo({ terms: [1, 1, 1] });
    solo.append('b', 2, [1, 1], [], 3);
    expect(solo.status.commit).toBe(1);
  });

  it('two entries with the same index and term have the same logs before them: without the previous entry it refuses', () => {
    const solo = new Solo({ terms: [1] });
    expect(sent(solo.append('b', 2, [3, 2], [2]), 'appendReply')[0]!.result).toMatchObject({ ok: false, rejected: 3 });
    expect(sent(solo.append('b', 2, [1, 2], [2]), 'appendReply')[0]!.result).toMatchObject({ ok: false, rejected: 1 });
    expect(sent(solo.append('b', 2, [1, 1], [2]), 'appendReply').at(-1)!.result).toEqual({ ok: true, match: 2 });
  });

  // Figure 7: logs that a new leader of term 8 may find. Its own is 1 1 1 4 4 5 5 6 6 6.
  it.each([
    ['a: an entry is missing', [1, 1, 1, 4, 4, 5, 5, 6, 6]],
    ['b: many are missing', [1, 1, 1, 4]],
    ['c: one too many', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]],
    ['d: two too many, of a later term', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]],
    ['e: missing and too many', [1, 1, 1, 4, 4, 4, 4]],
    ['f: many too many, of older terms', [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]],
  ])('the leader makes followers like itself: %s', (_name, terms) => {
    const own = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const leader = new Solo({ terms: own, term: 7 });
    const follower = new Solo({ terms, term: 7 });
    let out = leader.lead();
    for (let i = 0; i < 20; i++) {
      const toB = sent(out, 'append').filter(({ to }) => to === 'b');
      const answers = toB.flatMap((message) =>
        sent(
          follower.step({ kind: 'message', message: { ...message, from: 'b' as never, to: 'a' as never } }),
          'appendReply',
        ),
      );
      for (const answer of answers) {
        out = leader.step({ kind: 'message', message: { ...answer, from: 'b' as never, to: 'a' as never } });
      }
    }
    expect(leader.status.peers.find(({ id }) => id === 'b')).toMatchObject({ match: 11, state: 'replicate' });
    expect(follower.status).toMatchObject({ lastIndex: 11, lastTerm: 8 });
  });

  it('with the hint of a refusal that takes a step per term at most, not per entry', () => {
    const leader = new Solo({ terms: [1, ...Array.from({ length: 50 }, () => 3)] });
    const first = sent(leader.lead(), 'append').find(({ to }) => to === 'b')!;
    expect(first.prevIndex).toBe(51);
    const result = { ok: false, rejected: 51, hintIndex: 30, hintTerm: 2 };
    const next = leader.hear('b', 4, {
      kind: 'appendReply',
      result,
      applied: 0,
      about: { priority: 1, witness: false },
    } as never);
    expect(sent(next, 'append').find(({ to }) => to === 'b')!.prevIndex).toBe(1);
  });

  it('a leader never overwrites or deletes entries of its own log', () => {
    const solo = new Solo({ terms: [1, 1] });
    solo.lead();
    const before = solo.status.lastIndex;
    solo.append('b', 2, [0, 0], [2]);
    expect(solo.status).toMatchObject({ role: 'leader', lastIndex: before });
    expect(solo.status.refused.get('second-leader')).toBe(1);
  });

  it('a late append deletes nothing that is newer', () => {
    const solo = new Solo();
    solo.append('b', 1, [0, 0], [1, 1, 1]);
    solo.append('b', 1, [0, 0], [1]);
    expect(solo.status.lastIndex).toBe(3);
  });
});

describe('5.4 safety', () => {
  it.each([
    [[1, 1], 3, 1, true, 'same term, longer'],
    [[1, 1], 2, 1, true, 'equal'],
    [[1, 1], 1, 1, false, 'same term, shorter'],
    [[1, 1, 2], 9, 1, false, 'older term, longer'],
    [[1, 1, 1, 1], 2, 2, true, 'newer term, shorter'],
  ])('a voter with %j votes for a log that ends at %i of term %i: %s (%s)', (terms, lastIndex, lastTerm, granted) => {
    const solo = new Solo({ terms });
    solo.now = 1500;
    const out = solo.hear('b', 8, { kind: 'vote', lastIndex, lastTerm, transfer: false } as never);
    expect(sent(out, 'voteReply')[0]!.granted).toBe(granted);
    const pre = solo.hear('c', 8, { kind: 'preVote', next: 9, lastIndex, lastTerm } as never);
    expect(sent(pre, 'preVoteReply')[0]!.granted).toBe(granted);
  });

  it('an entry of an older term is not committed by counting, but with the first of the own term', () => {
    const solo = new Solo({ terms: [1, 2] });
    solo.lead();
    solo.ack('b', 2);
    expect(solo.status.commit).toBe(0);
    solo.ack('b', 3);
    expect(solo.status.commit).toBe(3);
  });
});

describe('5.5 crashes of followers and candidates', () => {
  it('requests are repeated until they are answered', () => {
    const solo = new Solo();
    solo.lead();
    solo.ack('b', 1);
    for (let i = 1; i <= 5; i++) {
      const out = solo.wait(200);
      solo.beat('b', i + 1);
      expect(sent(out, 'append').filter(({ to }) => to === 'c')).toHaveLength(1);
    }
  });

  it('the same request twice does nothing the second time but to be answered', () => {
    const solo = new Solo();
    const first = solo.append('b', 1, [0, 0], [1, 1], 1);
    const second = solo.append('b', 1, [0, 0], [1, 1], 1);
    expect(second.persist).toBeNull();
    expect(second.apply).toBeNull();
    expect(sent(second, 'appendReply')[0]!.result).toEqual(sent(first, 'appendReply')[0]!.result);
  });
});
