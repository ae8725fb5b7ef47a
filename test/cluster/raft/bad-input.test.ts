/** What peers may send without harm: nothing of it is asserted, all of it is counted. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MessageRefusal } from '../../../src/cluster/raft/contract.ts';
import type { RaftMessage } from '../../../src/cluster/raft/messages.ts';
import { Lab } from './lab.ts';
import { entriesOf, Solo } from './solo.ts';

const about = { priority: 1, witness: false };

function refusalOf(solo: Solo, message: object): MessageRefusal[] {
  solo.step({
    kind: 'message',
    message: { from: 'b', to: 'a', boot: 1, term: 1, ...message } as unknown as RaftMessage,
  });
  return [...solo.status.refused.keys()];
}

describe('refused and counted', () => {
  it.each([
    ['for another', { to: 'c', kind: 'preVoteReply', next: 1, granted: true }, 'not-for-us'],
    ['from ourselves', { from: 'a', kind: 'preVoteReply', next: 1, granted: true }, 'from-ourselves'],
    ['a term below 0', { term: -1, kind: 'preVoteReply', next: 1, granted: true }, 'malformed'],
    ['a term that is no whole number', { term: 1.5, kind: 'preVoteReply', next: 1, granted: true }, 'malformed'],
    ['a leader of term 0', { term: 0, kind: 'append', prevIndex: 0, prevTerm: 0, entries: [], commit: 0 }, 'malformed'],
    [
      'entries with a gap',
      { kind: 'append', prevIndex: 0, prevTerm: 0, entries: entriesOf([1], 2), commit: 0 },
      'malformed',
    ],
    [
      'entries of a later term than the leader',
      { kind: 'append', prevIndex: 0, prevTerm: 0, entries: entriesOf([9]), commit: 0 },
      'malformed',
    ],
    [
      'terms that fall',
      { term: 5, kind: 'append', prevIndex: 0, prevTerm: 4, entries: entriesOf([3]), commit: 0 },
      'malformed',
    ],
    ['an age below 0', { kind: 'voteReply', granted: true, age: -1 }, 'malformed'],
    [
      'a piece beyond its size',
      {
        kind: 'snapshot',
        meta: { index: 3, term: 1, config: { voters: ['a'], learners: [] } },
        size: 1,
        offset: 1,
        piece: new Uint8Array(1),
      },
      'malformed',
    ],
    [
      'a snapshot without voters',
      {
        kind: 'snapshot',
        meta: { index: 3, term: 1, config: { voters: [], learners: [] } },
        size: 0,
        offset: 0,
        piece: new Uint8Array(0),
      },
      'malformed',
    ],
    [
      'a snapshot that is too large',
      {
        kind: 'snapshot',
        meta: { index: 3, term: 1, config: { voters: ['a'], learners: [] } },
        size: 2 ** 40,
        offset: 0,
        piece: new Uint8Array(1),
      },
      'too-large',
    ],
    [
      'an answer to a leader that we are not',
      { kind: 'heartbeatReply', round: 1, applied: 0, askedAt: 0, about },
      'not-leader',
    ],
  ])('%s', (_name, message, why) => {
    expect(refusalOf(new Solo({ term: 1 }), message)).toEqual([why]);
  });

  it('an older run of a peer, after a newer one was heard', () => {
    const solo = new Solo();
    refusalOf(solo, { boot: 5, kind: 'preVoteReply', next: 1, granted: true });
    expect(refusalOf(solo, { boot: 4, kind: 'preVoteReply', next: 1, granted: true })).toEqual(['old-boot']);
  });

  it('an acknowledgement of more than there is', () => {
    const solo = new Solo();
    solo.lead();
    solo.ack('b', 99);
    solo.beat('b', 99);
    expect(solo.status.refused.get('malformed')).toBe(2);
    expect(solo.status.commit).toBe(0);
  });

  it('an append that would delete what is committed', () => {
    const solo = new Solo();
    solo.append('b', 1, [0, 0], [1, 1], 2);
    solo.append('c', 2, [0, 0], [2, 2, 2], 3);
    expect(solo.status.refused.get('contradicts-committed')).toBe(1);
    expect(solo.status).toMatchObject({ commit: 2, lastIndex: 2 });
  });

  it('a stranger with a high term does not depose a leader', () => {
    const solo = new Solo();
    solo.lead();
    solo.hear('z', 50, {
      kind: 'appendReply',
      result: { ok: false, rejected: 0, hintIndex: 0, hintTerm: 0 },
      applied: 0,
      about,
    } as never);
    expect(solo.status).toMatchObject({ role: 'leader', term: 1 });
  });

  it('the first of a kind is an event, the rest only counted', () => {
    const solo = new Solo();
    for (let i = 0; i < 3; i++) refusalOf(solo, { to: 'z', kind: 'preVoteReply', next: 1, granted: true });
    expect(solo.status.refused.get('not-for-us')).toBe(3);
    expect(solo.out.events).toEqual([]);
  });
});

describe('anything at all', () => {
  const number = fc.oneof(fc.integer({ min: -1, max: 12 }), fc.constantFrom(Number.NaN, 2 ** 60, 0.5));
  const config = fc.record({
    voters: fc.subarray(['a', 'b', 'c', 'd']),
    learners: fc.subarray(['c', 'd', 'e']),
  });
  const entry = fc.oneof(
    fc.record({ index: number, term: number, kind: fc.constant('noop') }),
    fc.record({ index: number, term: number, kind: fc.constant('config'), config }),
  );
  const message = fc.record({
    kind: fc.constantFrom(
      'preVote',
      'preVoteReply',
      'vote',
      'voteReply',
      'append',
      'appendReply',
      'heartbeat',
      'heartbeatReply',
      'snapshot',
      'snapshotReply',
      'stand',
      'readIndex',
      'readIndexReply',
    ),
    from: fc.constantFrom('a', 'b', 'c', 'z'),
    to: fc.constant('a'),
    boot: fc.integer({ min: 0, max: 2 }),
    term: number,
    next: number,
    lastIndex: number,
    lastTerm: number,
    granted: fc.boolean(),
    age: number,
    transfer: fc.boolean(),
    prevIndex: number,
    prevTerm: number,
    entries: fc.array(entry, { maxLength: 3 }),
    commit: number,
    round: number,
    grant: fc.option(fc.record({ askedAt: number, boot: number, index: number })),
    applied: number,
    askedAt: number,
    about: fc.record({ priority: number, witness: fc.boolean() }),
    result: fc.oneof(
      fc.record({ ok: fc.constant(true), match: number }),
      fc.record({ ok: fc.constant(false), rejected: number, hintIndex: number, hintTerm: number }),
    ),
    meta: fc.record({ index: number, term: number, config }),
    size: number,
    offset: number,
    piece: fc.uint8Array({ maxLength: 4 }),
    index: number,
    wanted: number,
    id: number,
  });

  it('no message throws, moves a commit back, or commits what is not there', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 30 }), fc.boolean(), (messages, leads) => {
        const solo = new Solo({ terms: [1, 1] });
        if (leads) solo.lead();
        let { commit, term } = solo.status;
        for (const one of messages) {
          solo.now += 100;
          solo.step({ kind: 'message', message: one as unknown as RaftMessage });
          const status = solo.status;
          expect(status.commit).toBeGreaterThanOrEqual(commit);
          expect(status.term).toBeGreaterThanOrEqual(term);
          expect(status.commit).toBeLessThanOrEqual(status.lastIndex);
          expect(Number.isNaN(solo.raft.wakeAt())).toBe(false);
          ({ commit, term } = status);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('flow control', () => {
  it('proposals beyond the bound are refused as busy, and taken again after', () => {
    const lab = new Lab({ voters: ['a', 'b', 'c'], raft: { maxUncommittedBytes: 1000, maxEntryBytes: 600 } });
    lab.run(8000, () => lab.leaders[0]?.raft?.status().ready ?? false);
    const leader = lab.leaders[0]!;
    const propose = (id: number, size: number): void =>
      lab.step(leader.id, { kind: 'propose', id, data: new Uint8Array(size) });
    for (const id of [1, 2, 3]) propose(id, 400);
    propose(4, 601);
    const why = leader.answers.map(({ id, outcome }) => [id, outcome.kind === 'refused' ? outcome.why : outcome.kind]);
    expect(why).toEqual([
      [3, 'busy'],
      [4, 'too-large'],
    ]);
    lab.run(50);
    propose(5, 400);
    lab.run(50);
    expect(leader.answers.filter(({ outcome }) => outcome.kind === 'committed').map(({ id }) => id)).toEqual([1, 2, 5]);
  });

  it('a follower that does not answer gets no more than the window', () => {
    const solo = new Solo({ raft: { maxInflight: 3, maxAppendBytes: 1 } });
    solo.lead();
    solo.ack('b', 1);
    let appends = 0;
    for (let id = 0; id < 20; id++)
      appends += solo.propose(id).send.filter(({ kind, to }) => kind === 'append' && to === 'b').length;
    expect(appends).toBe(3);
    // Each acknowledgement makes room for as much.
    expect(
      solo.ack('b', 3).send.filter(({ kind, to }) => kind === 'append' && to === 'b').length,
    ).toBeGreaterThanOrEqual(2);
  });
});
