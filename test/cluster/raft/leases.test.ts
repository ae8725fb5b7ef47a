import { describe, expect, it } from 'vitest';
import { problemsOf, type RaftOptions } from '../../../src/cluster/raft/options.ts';
import { Lab, type Machine } from './lab.ts';
import { Solo, sent } from './solo.ts';

function started(options: Partial<ConstructorParameters<typeof Lab>[0]> = {}): {
  lab: Lab;
  leader: Machine;
  followers: Machine[];
} {
  const lab = new Lab({ voters: ['a', 'b', 'c'], ...options });
  expect(lab.run(8000, () => lab.leaders[0]?.raft?.status().ready ?? false)).toBe(true);
  lab.run(1500);
  const leader = lab.leaders[0]!;
  return { lab, leader, followers: lab.live.filter((machine) => machine !== leader) };
}

const mayRead = (lab: Lab, machine: Machine): boolean => machine.raft!.mayRead(machine.clock(lab.now));
const write = (lab: Lab, machine: Machine, id: number, strong = false): void =>
  lab.step(machine.id, { kind: 'propose', id, data: new Uint8Array([id]), strong });

describe('reads by rounds', () => {
  it('are answered after a round that was begun after they came, not before', () => {
    const solo = new Solo();
    solo.lead();
    solo.ack('b', 1);
    solo.beat('b', 1);
    const out = solo.step({ kind: 'read', id: 1 });
    expect(out.reads).toEqual([]);
    const { round } = sent(out, 'heartbeat')[0]!;
    expect(solo.beat('b', round - 1).reads).toEqual([]);
    expect(solo.beat('b', round).reads).toEqual([{ id: 1, index: 1 }]);
  });

  it('wait until an entry of the own term is committed', () => {
    const solo = new Solo({ terms: [1, 1] });
    solo.lead();
    solo.step({ kind: 'read', id: 1, lease: true });
    expect(solo.beat('b', 2).reads).toEqual([]);
    const out = solo.ack('b', 3);
    const round = sent(out, 'heartbeat')[0]!.round;
    expect(solo.beat('b', round).reads).toEqual([{ id: 1, index: 3 }]);
  });

  it('that come while a round for reads runs share the next one', () => {
    const { lab, leader } = started({ delay: [20, 20] });
    const before = lab.sent;
    for (let id = 0; id < 100; id++) lab.step(leader.id, { kind: 'read', id });
    lab.run(150);
    expect(leader.reads).toHaveLength(100);
    expect(lab.sent - before).toBeLessThan(30);
  });

  it('at a follower ask the leader, and wait until its index is applied', () => {
    const { lab, leader, followers } = started();
    write(lab, leader, 1);
    lab.run(20);
    lab.step(followers[0]!.id, { kind: 'read', id: 5 });
    lab.run(20);
    expect(followers[0]!.reads).toEqual([{ id: 5, index: leader.applied }]);
  });

  it('are given up by a leader that steps down, and by a follower whose leader is silent', () => {
    const { lab, leader, followers } = started();
    lab.isolate(leader.id);
    lab.step(leader.id, { kind: 'read', id: 1 });
    lab.step(followers[0]!.id, { kind: 'read', id: 2 });
    lab.run(1500);
    expect(leader.reads).toEqual([{ id: 1, index: null }]);
    expect(followers[0]!.reads).toEqual([{ id: 2, index: null }]);
  });
});

describe("the leader's lease", () => {
  it('counts from when the confirmed round was sent', () => {
    const solo = new Solo();
    solo.lead();
    solo.ack('b', 1);
    const sentAt = solo.now;
    solo.now += 500;
    solo.beat('b', 1);
    expect(solo.status.readableUntil).toBe(sentAt + 800);
    expect(solo.raft.mayRead(sentAt + 799)).toBe(true);
    expect(solo.raft.mayRead(sentAt + 800)).toBe(false);
  });

  it('answers at once while it lives, by a round after', () => {
    const { lab, leader } = started();
    lab.step(leader.id, { kind: 'read', id: 1, lease: true });
    expect(leader.reads).toHaveLength(1);
    lab.isolate(leader.id);
    lab.run(850);
    expect(mayRead(lab, leader)).toBe(false);
    lab.step(leader.id, { kind: 'read', id: 2, lease: true });
    expect(leader.reads).toHaveLength(1);
  });

  it('is given up at step-down, at a hand-over, and when the clock can not be trusted', () => {
    const { lab, leader } = started();
    lab.step(leader.id, { kind: 'stalled', ms: 600 });
    expect(mayRead(lab, leader)).toBe(false);
    lab.run(450);
    expect(mayRead(lab, leader)).toBe(true);
    lab.onWire = (message) => (message.kind === 'stand' ? null : message);
    lab.step(leader.id, { kind: 'transfer', to: null });
    expect(mayRead(lab, leader)).toBe(false);
  });

  it('a stall as long as an election ends leadership', () => {
    const { lab, leader } = started();
    lab.step(leader.id, { kind: 'stalled', ms: 1000 });
    expect(leader.raft!.status().role).toBe('follower');
    expect(leader.events).toContainEqual(expect.objectContaining({ kind: 'stepped-down', why: 'stalled' }));
  });

  it('must be shorter, with drift, than the smallest election time-out', () => {
    const options = { readLeaseMs: 945 } as unknown as RaftOptions;
    expect(problemsOf(options)).toEqual(['readLeaseMs with drift must be below electionMinMs']);
    expect(problemsOf({} as unknown as RaftOptions)).toEqual([]);
  });
});

describe("followers' leases and strong writes", () => {
  it('all may read in a healthy cluster, and stop to when they hear nothing', () => {
    const { lab, leader, followers } = started();
    expect(lab.live.every((machine) => mayRead(lab, machine))).toBe(true);
    expect(leader.raft!.leaseHolders(leader.clock(lab.now))).toHaveLength(2);
    lab.isolate(followers[0]!.id);
    lab.run(850);
    expect(mayRead(lab, followers[0]!)).toBe(false);
    expect(mayRead(lab, followers[1]!)).toBe(true);
  });

  it('a lease counts from the own request, however late the grant comes', () => {
    const solo = new Solo();
    solo.now = 1000;
    const grant = (askedAt: number, boot = 1) =>
      ({ kind: 'heartbeat', round: 1, commit: 0, grant: { askedAt, boot, index: 0 } }) as never;
    solo.hear('b', 1, grant(400));
    expect(solo.status.readableUntil).toBe(1200);
    // Of another run of this machine, whose clock may have been another one; or of the future.
    solo.hear('b', 1, grant(900, 7));
    solo.hear('b', 1, grant(5000));
    expect(solo.status.readableUntil).toBe(1200);
  });

  it('a lease is no use before what was committed when it was granted is applied', () => {
    const solo = new Solo();
    solo.hear('b', 1, { kind: 'heartbeat', round: 1, commit: 0, grant: { askedAt: 0, boot: 1, index: 2 } } as never);
    expect(solo.raft.mayRead(10)).toBe(false);
    solo.append('b', 1, [0, 0], [1, 1], 2);
    expect(solo.raft.mayRead(10)).toBe(true);
  });

  it('a strong write is answered when all have applied it', () => {
    const { lab, leader, followers } = started();
    write(lab, leader, 1, true);
    expect(lab.run(50, () => leader.answers.length === 1)).toBe(true);
    expect(followers.every(({ applied }) => applied === leader.applied)).toBe(true);
    expect([...leader.raft!.appliedBy().values()]).toEqual([leader.applied, leader.applied, leader.applied]);
  });

  it('with one member cut off it waits for that lease to end, a quorum write does not', () => {
    const { lab, leader, followers } = started();
    const lost = followers[0]!;
    lab.isolate(lost.id);
    write(lab, leader, 1, true);
    write(lab, leader, 2);
    lab.run(50);
    expect(leader.answers.map(({ id }) => id)).toEqual([2]);
    expect(mayRead(lab, lost)).toBe(true);
    expect(lab.run(1000, () => leader.answers.length === 2)).toBe(true);
    expect(mayRead(lab, lost)).toBe(false);
    // And the next one does not wait for it any more.
    write(lab, leader, 3, true);
    lab.run(50);
    expect(leader.answers).toHaveLength(3);
  });

  it('a member that hears but does not apply gets no new lease', () => {
    const { lab, leader, followers } = started();
    const slow = followers[0]!;
    slow.diskStuckUntil = lab.now + 20_000;
    for (let id = 0; id < 10; id++) {
      write(lab, leader, id, true);
      lab.run(250);
    }
    expect(mayRead(lab, slow)).toBe(false);
    expect(leader.answers.length).toBeGreaterThan(5);
  });

  it('a new leader waits for what its predecessor may have granted', () => {
    const { lab, leader, followers } = started();
    const lost = followers[0]!;
    lab.step(leader.id, { kind: 'transfer', to: followers[1]!.id });
    lab.run(10);
    lab.isolate(lost.id);
    expect(lab.run(100, () => followers[1]!.raft!.status().ready)).toBe(true);
    write(lab, followers[1]!, 1, true);
    lab.run(100);
    expect(followers[1]!.answers).toEqual([]);
    expect(lab.run(1500, () => followers[1]!.answers.length === 1)).toBe(true);
    expect(mayRead(lab, lost)).toBe(false);
  });

  it('a removed member is waited for as long as it may still read', () => {
    const { lab, leader, followers } = started();
    const out = followers[0]!;
    lab.isolate(out.id);
    lab.step(leader.id, { kind: 'change', id: 9, change: { kind: 'remove', member: out.id } });
    lab.run(20);
    expect(leader.changes).toMatchObject([{ outcome: { kind: 'committed' } }]);
    write(lab, leader, 1, true);
    lab.run(100);
    expect(mayRead(lab, out)).toBe(true);
    expect(leader.answers).toEqual([]);
    expect(lab.run(1000, () => leader.answers.length === 1)).toBe(true);
    expect(mayRead(lab, out)).toBe(false);
  });
});
