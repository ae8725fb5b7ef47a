import { describe, expect, it } from 'vitest';
import { memberId } from '../../../src/cluster/raft/model.ts';
import { Lab, type Machine } from './lab.ts';
import { Solo, sent } from './solo.ts';

function started(options: Partial<ConstructorParameters<typeof Lab>[0]> = {}): {
  lab: Lab;
  leader: Machine;
  others: Machine[];
} {
  const lab = new Lab({ voters: ['a', 'b', 'c'], ...options });
  expect(lab.run(8000, () => lab.leaders[0]?.raft?.status().ready ?? false)).toBe(true);
  lab.run(500);
  const leader = lab.leaders[0]!;
  return { lab, leader, others: lab.live.filter((machine) => machine !== leader) };
}

describe('handing leadership over', () => {
  it('the other leads within a few round trips, and the old leader says why it stepped down', () => {
    const { lab, leader, others } = started();
    lab.step(leader.id, { kind: 'transfer', to: others[1]!.id });
    expect(lab.run(50, () => others[1]!.raft!.status().ready)).toBe(true);
    expect(leader.events).toContainEqual(expect.objectContaining({ kind: 'stepped-down', why: 'transferred' }));
  });

  it('first the target gets the whole log, and meanwhile no proposal is taken', () => {
    const { lab, leader, others } = started({ delay: [20, 20] });
    lab.step(leader.id, { kind: 'propose', id: 1, data: new Uint8Array(1) });
    lab.step(leader.id, { kind: 'transfer', to: others[0]!.id });
    lab.step(leader.id, { kind: 'propose', id: 2, data: new Uint8Array(1) });
    expect(leader.answers).toMatchObject([{ id: 2, outcome: { kind: 'refused', why: 'transferring' } }]);
    lab.run(400);
    expect(lab.leaders[0]).toBe(others[0]);
    expect(leader.answers.map(({ id }) => id)).toEqual([2, 1]);
  });

  it('the order names the term and the last entry, and is void for any other', () => {
    const order = (term: number, lastIndex: number, lastTerm: number): Solo => {
      const solo = new Solo({ terms: [1, 2] });
      solo.hear('b', 2, { kind: 'heartbeat', round: 1, commit: 0, grant: null } as never);
      solo.hear('b', term, { kind: 'stand', lastIndex, lastTerm } as never);
      return solo;
    };
    expect(order(2, 3, 2).status.role).toBe('follower');
    expect(order(2, 2, 1).status.role).toBe('follower');
    expect(order(1, 2, 2).status.role).toBe('follower');
    const good = order(2, 2, 2);
    expect(good.status).toMatchObject({ role: 'candidate', term: 3 });
    expect(sent(good.out, 'vote').map(({ transfer }) => transfer)).toEqual([true, true]);
  });

  it('an order that is lost: the old leader stands in the next term, so that it is void', () => {
    const { lab, leader, others } = started();
    const { term } = leader.raft!.status();
    const orders: number[] = [];
    lab.onWire = (message) => {
      if (message.kind !== 'stand') return message;
      orders.push(message.term);
      return null;
    };
    lab.step(leader.id, { kind: 'transfer', to: others[0]!.id });
    lab.run(1500);
    expect(orders.length).toBeGreaterThan(1);
    expect(leader.raft!.status()).toMatchObject({ role: 'leader', term: term + 1, ready: true });
    expect(leader.events).toContainEqual({ kind: 'stepped-down', term, why: 'transfer-aborted' });
  });

  it('a target that does not catch up: the leader goes on in its term', () => {
    const { lab, leader, others } = started();
    const { term } = leader.raft!.status();
    others[0]!.diskStuckUntil = lab.now + 60_000;
    lab.step(leader.id, { kind: 'propose', id: 1, data: new Uint8Array(1) });
    lab.step(leader.id, { kind: 'transfer', to: others[0]!.id });
    lab.run(1500);
    expect(leader.raft!.status()).toMatchObject({ role: 'leader', term, transferring: null });
    lab.step(leader.id, { kind: 'propose', id: 2, data: new Uint8Array(1) });
    lab.run(100);
    expect(leader.answers).toHaveLength(2);
  });

  it('refuses itself, strangers, learners, members that never lead, and followers who are asked', () => {
    const { lab, leader, others } = started({ spare: ['d'], per: { a: { priority: 0 } } });
    lab.step(leader.id, { kind: 'change', id: 1, change: { kind: 'add', member: memberId('d') } });
    lab.run(1000);
    for (const to of [leader.id, 'd', 'z', 'a']) {
      lab.step(leader.id, { kind: 'transfer', to: memberId(to) });
      expect(leader.events.at(-1), to).toEqual({ kind: 'transfer-refused', to });
    }
    lab.step(others[0]!.id, { kind: 'transfer', to: null });
    expect(others[0]!.events.at(-1)).toMatchObject({ kind: 'transfer-refused' });
  });
});

describe('priority', () => {
  const per = { a: { priority: 200 } };
  const withoutA = (): ReturnType<typeof started> => {
    const lab = new Lab({ voters: ['a', 'b', 'c'], per });
    lab.crash('a');
    expect(lab.run(8000, () => lab.leaders[0]?.raft?.status().ready ?? false)).toBe(true);
    lab.start(memberId('a'));
    const leader = lab.leaders[0]!;
    return { lab, leader, others: lab.live.filter((machine) => machine !== leader) };
  };

  it('leadership moves to the higher one after 30 s of stability, and only while it is allowed', () => {
    const { lab, leader } = withoutA();
    lab.run(60_000);
    expect(lab.leaders).toEqual([leader]);
    lab.step(leader.id, { kind: 'mayMove', allowed: true });
    expect(lab.run(1000, () => lab.leaders[0]?.id === 'a')).toBe(true);
    lab.run(120_000);
    expect(lab.leaders.map(({ id }) => id)).toEqual(['a']);
  });

  it('also while there are writes all the time, and the higher one is not the first to have each', () => {
    const { lab, leader } = withoutA();
    for (const { id } of lab.live) lab.step(id, { kind: 'mayMove', allowed: true });
    lab.slowTo.set(memberId('a'), 5);
    let id = 0;
    const write = (): void => {
      id += 1;
      if (lab.leaders[0] !== undefined) lab.step(lab.leaders[0].id, { kind: 'propose', id, data: new Uint8Array(1) });
      lab.at(lab.now + 7, write);
    };
    write();
    expect(lab.leaders).toEqual([leader]);
    expect(lab.run(40_000, () => lab.leaders[0]?.id === 'a')).toBe(true);
  });

  it('not before, and twice as long after each move', () => {
    const { lab, leader } = withoutA();
    for (const { id } of lab.live) lab.step(id, { kind: 'mayMove', allowed: true });
    const begun = lab.now;
    expect(lab.run(60_000, () => lab.leaders[0]?.id === 'a')).toBe(true);
    expect(lab.now - begun).toBeGreaterThan(29_000);
    // Back to the same leader, who has moved it once.
    lab.step('a', { kind: 'transfer', to: leader.id });
    lab.run(1000);
    expect(lab.leaders).toEqual([leader]);
    expect(lab.run(55_000, () => lab.leaders[0]?.id === 'a')).toBe(false);
    expect(lab.run(10_000, () => lab.leaders[0]?.id === 'a')).toBe(true);
  });
});
