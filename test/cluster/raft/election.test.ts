import { describe, expect, it } from 'vitest';
import { Lab } from './lab.ts';
import { Solo, sent } from './solo.ts';

const heartbeat = (round = 1) => ({ kind: 'heartbeat', round, commit: 0, grant: null }) as never;
const ready = (lab: Lab) => () => lab.leaders[0]?.raft?.status().ready ?? false;
const started = (options: Partial<ConstructorParameters<typeof Lab>[0]> = {}): Lab => {
  const lab = new Lab({ voters: ['a', 'b', 'c'], ...options });
  expect(lab.run(8000, ready(lab))).toBe(true);
  return lab;
};

describe('check-quorum', () => {
  it('a leader that no quorum answers for an election time-out steps down', () => {
    const lab = started();
    const old = lab.leaders[0]!;
    const { term } = old.raft!.status();
    lab.isolate(old.id);
    lab.run(1250);
    expect(old.raft!.status()).toMatchObject({ role: 'follower', term });
    expect(old.events).toContainEqual({ kind: 'stepped-down', term, why: 'no-quorum' });
  });

  it('a leader that stood still for so long steps down before it does anything else', () => {
    const lab = started();
    const old = lab.leaders[0]!;
    old.pausedUntil = lab.now + 3000;
    lab.step(old.id, { kind: 'read', id: 1, lease: true });
    lab.run(2990);
    expect(lab.leaders.some((machine) => machine !== old)).toBe(true);
    lab.run(20);
    expect(old.reads).toEqual([{ id: 1, index: null }]);
  });

  it('a leader with a quorum goes on though one is gone', () => {
    const lab = started();
    const leader = lab.leaders[0]!;
    lab.crash(lab.live.find((machine) => machine !== leader)!.id);
    lab.run(10_000);
    expect(lab.leaders).toEqual([leader]);
  });
});

describe('who was cut off does not disturb', () => {
  it('a pre-vote changes no term and no vote', () => {
    const solo = new Solo({ term: 3 });
    solo.hear('b', 3, { kind: 'preVote', next: 4, lastIndex: 9, lastTerm: 3 } as never);
    expect(solo.status).toMatchObject({ term: 3, vote: null });
  });

  it('followers that hear a leader refuse votes and pre-votes, and keep their term', () => {
    const solo = new Solo();
    solo.hear('b', 1, heartbeat());
    solo.wait(900);
    const pre = solo.hear('c', 1, { kind: 'preVote', next: 2, lastIndex: 9, lastTerm: 1 } as never);
    expect(sent(pre, 'preVoteReply')[0]!.granted).toBe(false);
    const real = solo.hear('c', 7, { kind: 'vote', lastIndex: 9, lastTerm: 1, transfer: false } as never);
    expect(real.send).toEqual([]);
    expect(solo.status).toMatchObject({ term: 1, leader: 'b' });
  });

  it('a member comes back after a minute alone: same leader, same term', () => {
    const lab = started();
    const [leader] = lab.leaders;
    const { term } = leader!.raft!.status();
    const alone = lab.live.find((machine) => machine !== leader)!;
    lab.isolate(alone.id);
    lab.run(60_000);
    lab.heal();
    lab.run(3000);
    expect(lab.leaders).toEqual([leader]);
    expect(alone.raft!.status()).toMatchObject({ term, leader: leader!.id });
  });

  it('a bridge: a and c hear only b; still there is one leader and no change of terms', () => {
    const lab = started();
    lab.part('a', 'c');
    lab.run(5000);
    const terms = lab.live.map(({ raft }) => raft!.status().term);
    lab.run(20_000);
    expect(lab.live.map(({ raft }) => raft!.status().term)).toEqual(terms);
    expect(lab.leaders).toHaveLength(1);
  });

  it('a member with a higher term that can still vote ends the old leader, and is not stuck', () => {
    const lab = started();
    const leader = lab.leaders[0]!;
    const other = lab.live.find((machine) => machine !== leader)!;
    const { term } = leader.raft!.status();
    lab.crash(other.id);
    other.disk = { restored: { ...other.disk.restored, hard: { term: term + 3, vote: other.id } } };
    lab.start(other.id);
    lab.run(6000);
    expect(lab.leaders).toHaveLength(1);
    expect(lab.live.map(({ raft }) => raft!.status().term)).toEqual([term + 4, term + 4, term + 4]);
  });

  it('being asked to stand is no reason to, while a leader may live: the own vote is one of those that it counts on', () => {
    const solo = new Solo({ terms: [1] });
    solo.step({ kind: 'campaign' });
    expect(solo.status.role).toBe('follower');
    solo.wait(900);
    solo.hear('b', 1, heartbeat());
    solo.step({ kind: 'campaign' });
    expect(solo.status.role).toBe('follower');
  });

  it('a restarted voter that may have acknowledged a leader helps nobody for the smallest time-out', () => {
    const solo = new Solo({ terms: [1] });
    const ask = { kind: 'preVote', next: 2, lastIndex: 1, lastTerm: 1 } as never;
    expect(sent(solo.hear('b', 1, ask), 'preVoteReply')[0]!.granted).toBe(false);
    solo.wait(999);
    expect(sent(solo.hear('b', 1, ask), 'preVoteReply')[0]!.granted).toBe(false);
    solo.wait(1);
    expect(sent(solo.hear('b', 1, ask), 'preVoteReply')[0]!.granted).toBe(true);
  });
});

describe('how fast', () => {
  it('after a crash of the leader there is a new one within the largest time-out and a second', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const lab = started({ seed });
      lab.crash(lab.leaders[0]!.id);
      expect(lab.run(3000, ready(lab)), `seed ${seed}`).toBe(true);
    }
  });

  it('a cluster of one leads as soon as its time-out is over', () => {
    const lab = started({ voters: ['a'] });
    lab.step('a', { kind: 'propose', id: 1, data: new Uint8Array(1) });
    lab.step('a', { kind: 'read', id: 2, lease: true });
    lab.run(50);
    expect(lab.machine('a').answers).toHaveLength(1);
    expect(lab.machine('a').reads).toHaveLength(1);
  });
});

describe('who may lead', () => {
  it('priority 0 never does, though it is alone in hearing nobody', () => {
    const lab = started({ per: { a: { priority: 0 } } });
    for (let i = 0; i < 5; i++) {
      lab.step('a', { kind: 'campaign' });
      lab.run(3000);
    }
    lab.isolate('a');
    lab.run(10_000);
    expect(lab.machine('a').events.filter(({ kind }) => kind === 'standing')).toEqual([]);
  });

  it('a learner does not stand, but votes when asked: it may not know yet that it is a voter', () => {
    const solo = new Solo({ voters: ['b', 'c'] });
    solo.wait(5000);
    expect(solo.status.role).toBe('follower');
    const out = solo.hear('b', 2, { kind: 'vote', lastIndex: 3, lastTerm: 1, transfer: false } as never);
    expect(sent(out, 'voteReply')[0]!.granted).toBe(true);
  });

  it('a witness lets others go first', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const lab = started({ seed, per: { a: { witness: true } } });
      expect(lab.leaders[0]!.id).not.toBe('a');
      lab.crash(lab.leaders[0]!.id);
      expect(lab.run(8000, ready(lab))).toBe(true);
      expect(lab.leaders[0]!.id).not.toBe('a');
    }
  });

  it('a witness that alone has the newest log leads, and hands over as soon as another can', () => {
    const lab = started({ seed: 3, per: { a: { witness: true } } });
    const leader = lab.leaders[0]!;
    const behind = lab.live.find(({ id }) => id !== leader.id && id !== 'a')!;
    lab.isolate(behind.id);
    lab.step(leader.id, { kind: 'propose', id: 1, data: new Uint8Array(1) });
    lab.run(300);
    expect(leader.answers).toHaveLength(1);
    lab.crash(leader.id);
    lab.heal();
    expect(lab.run(20_000, () => lab.leaders[0] === behind)).toBe(true);
    const led = lab.machine('a').events.filter(({ kind }) => kind === 'became-leader' || kind === 'transfer');
    expect(led).toMatchObject([{ kind: 'became-leader' }, { kind: 'transfer', why: 'witness', to: behind.id }]);
  });
});

describe('ages in votes', () => {
  it('a vote tells since when its voter has acknowledged no leader', () => {
    const solo = new Solo();
    solo.wait(500);
    solo.hear('b', 1, heartbeat());
    solo.wait(1300);
    const out = solo.hear('c', 2, { kind: 'vote', lastIndex: 0, lastTerm: 0, transfer: false } as never);
    expect(sent(out, 'voteReply')[0]!.age).toBe(1300);
  });

  it('a restarted voter counts from its start', () => {
    const solo = new Solo({ terms: [1] });
    solo.wait(1200);
    const out = solo.hear('c', 2, { kind: 'vote', lastIndex: 1, lastTerm: 1, transfer: false } as never);
    expect(sent(out, 'voteReply')[0]!.age).toBe(1200);
  });

  it('a new leader takes the latest of its voters, its own included', () => {
    const solo = new Solo();
    solo.wait(100);
    solo.hear('b', 1, heartbeat());
    solo.now = 5000;
    solo.lead();
    // b says 5000 ms ago, it itself answered at 100.
    expect(solo.status.lastPossibleGrant).toBe(100);
    const other = new Solo();
    other.now = 5000;
    other.waitForTimeout();
    other.hear('b', 0, { kind: 'preVoteReply', next: 1, granted: true } as never);
    other.hear('b', 1, { kind: 'voteReply', granted: true, age: 300 } as never);
    expect(other.status.lastPossibleGrant).toBe(other.now - 300);
  });
});
