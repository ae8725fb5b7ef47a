import { describe, expect, it } from 'vitest';
import type { MemberId } from '../../../src/base/ids.ts';
import { type WriteLease, writeDrainMs, writeLeaseMs } from '../../../src/cluster/coordinator.ts';
import type { CallAnswer } from '../../../src/cluster/member/contract.ts';
import { addressOf, Lab } from './lab.ts';

const wish = { kind: 'write-lease', pool: 'app', epoch: 1 } as const;

function formed(count = 3): { lab: Lab; epochs: Map<string, number> } {
  const epochs = new Map([['app', 1]]);
  const lab = Lab.of(count, { openEpoch: (pool) => epochs.get(pool) ?? null });
  lab.start();
  lab.form();
  return { lab, epochs };
}

function leaseOf(answer: CallAnswer['answer']): WriteLease {
  if (!answer.ok || answer.value.kind !== 'lease') throw new Error(`no lease: ${JSON.stringify(answer)}`);
  return answer.value.lease;
}

describe('2 write leases', () => {
  it('2.3 count from the moment in which they were asked for, however late they come', () => {
    const { lab } = formed();
    const [follower] = lab.followers();
    const leader = lab.leader!;
    lab.cut.add(`${leader.name}>${follower!.name}`);
    const sentAt = lab.now;
    const call = lab.call(follower!.name, wish);
    lab.run(300);
    lab.cut.clear();
    expect(lab.run(2500, () => follower!.answers.has(call))).toBe(true);
    expect(lab.now - sentAt).toBeGreaterThan(300);
    const lease = leaseOf(follower!.answers.get(call)!);
    expect(lease).toEqual({
      ...{ pool: 'app', epoch: 1, sentAt },
      writeUntil: sentAt + writeLeaseMs - writeDrainMs,
      cutAt: sentAt + writeLeaseMs,
    });
  });

  it('2.6 only for the open epoch', () => {
    const { lab, epochs } = formed();
    for (const host of lab.running) {
      expect(lab.answer(host.name, { ...wish, epoch: 2 })).toEqual({
        ok: false,
        error: { kind: 'not-open', pool: 'app', open: 1 },
      });
      leaseOf(lab.answer(host.name, wish));
    }
    epochs.delete('app');
    for (const host of lab.running) expect(lab.answer(host.name, wish)).toMatchObject({ error: { kind: 'not-open' } });
  });

  it('2.6 the leader looks too: a member whose state is older gets none', () => {
    const { lab } = formed();
    const leader = lab.leader!;
    const [follower] = lab.followers();
    lab.crash(follower!.name);
    follower!.options = { ...follower!.options, openEpoch: () => 7 };
    lab.start(follower!.name);
    lab.form(10_000);
    expect(lab.leader).toBe(leader);
    expect(lab.answer(follower!.name, { ...wish, epoch: 7 })).toEqual({
      ok: false,
      error: { kind: 'not-open', pool: 'app', open: 1 },
    });
  });

  it('2.6 a member that was removed gets none, and is waited for', () => {
    const { lab } = formed();
    const leader = lab.leader!;
    const [follower] = lab.followers();
    const lease = leaseOf(lab.answer(follower!.name, wish));
    expect(lab.answer(leader.name, { kind: 'change', change: 'remove', member: follower!.name })).toMatchObject({
      ok: true,
    });
    expect(leader.up.writesOverAt('app')).toBeGreaterThan(lease.cutAt);
    expect(leader.up.writesOverAt('app')).toBeGreaterThan(lab.now + writeLeaseMs - 200);
    lab.run(500);
    expect(follower!.effects).toContainEqual({ kind: 'void-leases', why: 'removed' });
    expect(lab.answer(follower!.name, wish).ok).toBe(false);
  });

  it('2.7 a new leader takes no earlier time for the end of its predecessor’s grants than they have', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const lab = Lab.of(3, { openEpoch: () => 1 }, seed);
      lab.start();
      lab.form();
      const [follower, other] = lab.followers();
      lab.run(seed * 37);
      const lease = leaseOf(lab.answer(follower!.name, wish));
      lab.run(seed * 11);
      lab.crash(lab.leader!.name);
      expect(lab.run(10_000, () => lab.leader !== null)).toBe(true);
      expect([follower, other]).toContain(lab.leader);
      expect(lab.leader!.up.writesOverAt('app')).toBeGreaterThanOrEqual(lease.cutAt);
    }
  });

  it('2.5 who has confirmed is not waited for: only what others were given counts', () => {
    const { lab } = formed();
    const leader = lab.leader!;
    const [one, two] = lab.followers();
    const early = leaseOf(lab.answer(one!.name, wish));
    lab.run(1000);
    const late = leaseOf(lab.answer(two!.name, wish));
    const uid = (name: string): MemberId => leader.up.status().members.find((line) => line.name === name)!.id;
    const of = (...names: string[]): number => leader.up.writesOverAt('app', names.map(uid))!;
    expect(of(one!.name, two!.name)).toBe(leader.up.writesOverAt('app'));
    expect(of(two!.name)).toBeGreaterThanOrEqual(late.cutAt);
    expect(of(one!.name)).toBeGreaterThanOrEqual(early.cutAt);
    expect(of(one!.name)).toBeLessThan(late.cutAt);
    // What an earlier leader may have given, to whomever, is waited for in any case.
    expect(of()).toBeGreaterThan(leader.up.status().raft!.lastPossibleGrant! + writeLeaseMs);
  });

  it('2.7 a leader that is cut off grants nothing, not even to itself', () => {
    const { lab } = formed();
    const leader = lab.leader!;
    lab.isolate(leader.name);
    const call = lab.call(leader.name, wish);
    lab.run(8000);
    expect(leader.answers.get(call)).toMatchObject({ error: { kind: 'no-quorum' } });
  });

  it('2.8 one of two voters needs nobody: the other’s death does not stop its writes', () => {
    const { lab } = formed(2);
    lab.crash('b');
    lab.run(10_000);
    expect(lab.host('a').up.status().quorum).toBe(false);
    expect(leaseOf(lab.answer('a', wish))).toMatchObject({ sentAt: lab.now });
  });

  it('2.8 one of three does, also while it is one of two', () => {
    const { lab } = formed();
    const [follower] = lab.followers();
    const leader = lab.leader!;
    lab.answer(leader.name, { kind: 'change', change: 'remove', member: follower!.name });
    const [left] = lab.running.filter((host) => host !== leader && host !== follower);
    expect(lab.run(2000, () => left!.up.status().raft?.config.voters.length === 2)).toBe(true);
    lab.crash(leader.name);
    lab.run(5000);
    expect(lab.answer(left!.name, wish)).toMatchObject({ error: { kind: 'no-quorum' } });
  });

  it('2.8 one of two who write without leases is not removed from afar: it leaves, or is said to be lost', () => {
    const { lab } = formed(2);
    const leader = lab.leader!;
    const [other] = lab.followers();
    const remove = { kind: 'change', change: 'remove', member: other!.name } as const;
    expect(lab.answer(leader.name, remove)).toEqual({
      ok: false,
      error: { kind: 'change-refused', why: 'must-leave' },
    });
    expect(lab.answer(other!.name, { kind: 'leave', forGood: true }, 15_000)).toMatchObject({ ok: true });
    expect(lab.run(1000, () => leader.up.status().raft?.config.voters.length === 1)).toBe(true);
    expect(other!.effects).toContainEqual({ kind: 'departed' });
    expect(lab.answer(other!.name, wish).ok).toBe(false);
    expect(lab.set(leader.name, 'k', 'v')).toMatchObject({ ok: true });
  });

  it('2.8 who was on its way out writes without a lease no more, not even after a restart', () => {
    const { lab } = formed(2);
    const [other] = lab.followers();
    lab.isolate(other!.name);
    lab.call(other!.name, { kind: 'leave', forGood: true });
    lab.run(200);
    expect(lab.answer(other!.name, wish).ok).toBe(false);
    lab.crash(other!.name);
    lab.start(other!.name);
    lab.run(200);
    expect(lab.answer(other!.name, wish).ok).toBe(false);
  });

  it('2.8 a third voter waits until both write under leases', () => {
    const { lab } = formed(2);
    lab.add('c', { expect: 3, seeds: ['a', 'b'] });
    lab.start('c');
    const leader = lab.leader!;
    const isLearner = (): boolean => leader.up.status().raft?.config.learners.length === 1;
    expect(lab.run(10_000, isLearner)).toBe(true);
    const promote = { kind: 'change', change: 'promote', member: 'c' } as const;
    expect(lab.answer(leader.name, promote)).toEqual({
      ok: false,
      error: { kind: 'change-refused', why: 'writes-without-lease' },
    });
    for (const name of 'ab') {
      const [one, two] = name === 'a' ? 'bc' : 'ac';
      lab.crash(name);
      const seeds = [addressOf(one!), addressOf(two!)];
      lab.host(name).options = { ...lab.host(name).options, cluster: { expect: 3, seeds } };
      lab.start(name);
      lab.run(5000);
    }
    expect(lab.run(10_000, () => lab.host('c').up.status().raft?.config.voters.length === 3)).toBe(true);
  });

  it('a sleep that the clock did not see voids them, and what was asked before it brings none', () => {
    const { lab } = formed();
    const [follower] = lab.followers();
    const call = lab.call(follower!.name, wish);
    lab.step(follower!.name, { kind: 'stalled', ms: 4000 });
    lab.run(1000);
    expect(follower!.effects).toContainEqual({ kind: 'void-leases', why: 'stalled' });
    expect(follower!.answers.get(call)).toMatchObject({ ok: false });
    expect(lab.run(5000, () => lab.answer(follower!.name, wish).ok)).toBe(true);
  });
});
