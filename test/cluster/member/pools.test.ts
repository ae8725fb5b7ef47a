import { describe, expect, it } from 'vitest';
import { type WriteLease, writeLeaseMs } from '../../../src/cluster/coordinator.ts';
import type { PoolRecord } from '../../../src/cluster/failover/model.ts';
import { decodeWord } from '../../../src/cluster/member/codec.ts';
import type { CallAnswer, MemberOptions, MemberOutput } from '../../../src/cluster/member/contract.ts';
import { change, next, poolRecord, targetOf } from '../replica/pool-records.ts';
import { type Host, Lab } from './lab.ts';

const wish = { kind: 'write-lease', pool: 'app', epoch: 1 } as const;
const notOpen = (open: number | null) => ({ ok: false, error: { kind: 'not-open', pool: 'app', open } }) as const;
const propose = (record: PoolRecord) => ({ kind: 'propose', command: change(record), consistency: 'quorum' }) as const;
const leaseWithDrift = writeLeaseMs * 1.01 + 50;

const first = poolRecord();
const pending = next(first, { phase: 'pending', epoch: 2, target: targetOf('b') });
const opened = next(pending, { phase: 'open' });

/** Pool `app` is open in epoch 1. */
function formed(
  count: number,
  over: Partial<MemberOptions> = {},
): { lab: Lab; leader: Host; followers: readonly Host[] } {
  const lab = Lab.of(count, over);
  lab.start();
  const leader = lab.form();
  expect(lab.answer(leader.name, propose(first))).toMatchObject({ ok: true });
  lab.run(500);
  return { lab, leader, followers: lab.followers() };
}

function leaseOf(answer: CallAnswer['answer']): WriteLease {
  if (!answer.ok || answer.value.kind !== 'lease') throw new Error(`no lease: ${JSON.stringify(answer)}`);
  return answer.value.lease;
}

const moved = (host: Host): number => host.effects.filter(({ kind }) => kind === 'moving').length;

/** All that this run of the host gives out from now on. */
function outputsOf(host: Host): MemberOutput[] {
  const outputs: MemberOutput[] = [];
  const take = host.up.take.bind(host.up);
  host.up.take = () => {
    const out = take();
    outputs.push(out);
    return out;
  };
  return outputs;
}

describe('2.6 leave to write follows the agreed record', () => {
  it('for the open epoch only, on every member', () => {
    const { lab, leader } = formed(3);
    for (const host of lab.running) leaseOf(lab.answer(host.name, wish));
    lab.answer(leader.name, propose(pending));
    for (const host of lab.running) {
      expect(lab.answer(host.name, wish)).toEqual(notOpen(null));
      expect(lab.answer(host.name, { ...wish, epoch: 2 })).toEqual(notOpen(null));
    }
    lab.answer(leader.name, propose(opened));
    lab.run(500);
    for (const host of lab.running) {
      expect(lab.answer(host.name, wish)).toEqual(notOpen(2));
      leaseOf(lab.answer(host.name, { ...wish, epoch: 2 }));
    }
  });

  it('who was answered that it is open gets leave, also while the leader’s own disk is behind those of the others', () => {
    const lab = Lab.of(3);
    lab.start();
    const leader = lab.form();
    const [asker] = lab.followers();
    // Its reports come so late that the entry is committed by the followers alone, and applied there before it is here.
    leader.diskDelay = 800;
    expect(lab.answer(asker!.name, propose(first))).toMatchObject({ ok: true });
    expect(leader.up.replica.pools.openEpoch('app')).toBe(null);
    leaseOf(lab.answer(asker!.name, wish));
  });

  it('who was answered that it is open gets leave of a new leader that does not know yet that this is committed', () => {
    const lab = Lab.of(3);
    lab.start();
    const leader = lab.form();
    const [asker, other] = lab.followers();
    const end = other!.up.status().raft!.lastIndex;
    const call = lab.call(leader.name, propose(first));
    // It has the entry, and is not told that it is committed.
    expect(lab.run(1000, () => other!.up.status().raft!.lastIndex > end)).toBe(true);
    lab.cut.add(`${leader.name}>${other!.name}`);
    expect(lab.run(1000, () => leader.answers.has(call) && asker!.up.replica.pools.openEpoch('app') === 1)).toBe(true);
    lab.crash(leader.name);
    // The first entry of the next term is committed late: it needs the asker’s disk.
    asker!.diskDelay = 400;
    const leads = (): boolean => other!.up.status().raft?.role === 'leader';
    lab.step(other!.name, { kind: 'tick' });
    expect(lab.run(20_000, () => leads() && asker!.up.status().leader !== null)).toBe(true);
    expect(other!.up.replica.pools.openEpoch('app')).toBe(null);
    leaseOf(lab.answer(asker!.name, wish));
  });

  it('a change that leaves the epoch open stops nobody’s writes', () => {
    const { lab, leader, followers } = formed(3);
    for (const { name } of followers) lab.part(leader.name, name);
    lab.call(leader.name, propose(next(first, { automatic: false })));
    expect(moved(leader)).toBe(0);
    // The question waits for a quorum; it is not refused.
    const call = lab.call(leader.name, wish);
    lab.run(50);
    expect(leader.answers.has(call)).toBe(false);
  });

  it('a lease that was asked for before the epoch moves is refused once it does', () => {
    const { lab, leader, followers } = formed(3);
    for (const { name } of followers) lab.cut.add(`${name}>${leader.name}`);
    const call = lab.call(followers[0]!.name, wish);
    lab.cut.clear();
    lab.cut.add(`${followers[0]!.name}>${leader.name}`);
    lab.run(5);
    lab.call(leader.name, propose(pending));
    lab.cut.clear();
    lab.run(2000);
    expect(followers[0]!.answers.get(call)).toEqual(notOpen(null));
  });
});

describe('2.8 what counts is what is accepted, not what is committed', () => {
  it('a leader that is cut off gives itself no leave once the change is in its log', () => {
    const { lab, leader } = formed(3);
    lab.isolate(leader.name);
    const outputs = outputsOf(leader);
    lab.call(leader.name, propose(pending));
    expect(outputs[0]!.effects).toContainEqual({ kind: 'moving', pool: 'app' });
    expect(leader.up.replica.pools.openEpoch('app')).toBe(1);
    expect(leader.answers.get(lab.call(leader.name, wish))).toEqual(notOpen(null));
  });

  it('a change that a new leader takes out of the log again never was: the epoch comes back', () => {
    const { lab, leader } = formed(3);
    lab.isolate(leader.name);
    const call = lab.call(leader.name, propose(pending));
    lab.run(50);
    expect(moved(leader)).toBe(1);
    // Or it would be asked for again, of the next leader.
    lab.step(leader.name, { kind: 'cancel', id: call });
    expect(lab.run(10_000, () => lab.followers().some(({ up }) => up.status().raft?.role === 'leader'))).toBe(true);
    const other = lab.running.find((host) => host !== leader && host.up.status().raft?.role === 'leader')!;
    const otherPending = next(first, { phase: 'pending', epoch: 2, target: targetOf('c') });
    expect(lab.set(other.name, 'k', 'v').ok).toBe(true);
    lab.cut.clear();
    lab.form(10_000);
    leaseOf(lab.answer(leader.name, wish));
    expect(leader.up.replica.pools.get('app')).toEqual(first);
    expect(lab.answer(leader.name, propose(otherPending)).ok).toBe(true);
  });

  it('a lease that is given and ends in one take is none: the driver is told of the end first', () => {
    const { lab, leader } = formed(1);
    const member = leader.up;
    const lease = (id: number) => member.step(lab.now, { kind: 'call', id, call: wish });
    const answers = (): unknown => new Map(member.take().answers.map(({ id, answer }) => [id, answer]));
    lease(1001);
    expect(answers()).toMatchObject(new Map([[1001, { ok: true }]]));
    lease(1002);
    member.step(lab.now, { kind: 'stalled', ms: 600 });
    expect(answers()).toEqual(new Map([[1002, { ok: false, error: { kind: 'no-quorum', missing: [] } }]]));
    lease(1003);
    member.step(lab.now, { kind: 'call', id: 1004, call: propose(pending) });
    expect(answers()).toEqual(new Map([[1003, notOpen(null)]]));
  });

  it('the driver is told before the acknowledgement leaves', () => {
    for (const diskDelay of [0, 1, 40]) {
      const { lab, leader, followers } = formed(3);
      const [follower] = followers;
      follower!.diskDelay = diskDelay;
      const outputs = outputsOf(follower!);
      lab.call(leader.name, propose(pending));
      lab.run(300);
      const speaker = { id: follower!.disk.uid, boot: follower!.disk.boot };
      const { lastIndex } = leader.up.status().raft!;
      const acknowledges = ({ messages }: MemberOutput): boolean =>
        messages.some(({ bytes }) => {
          const decoded = decodeWord(bytes, speaker);
          const message = decoded.ok && decoded.value.word.kind === 'raft' ? decoded.value.word.message : null;
          return message?.kind === 'appendReply' && message.result.ok && message.result.match >= lastIndex;
        });
      const toldAt = outputs.findIndex(({ effects }) => effects.some(({ kind }) => kind === 'moving'));
      const acknowledgedAt = outputs.findIndex(acknowledges);
      expect(toldAt).toBeGreaterThanOrEqual(0);
      expect(acknowledgedAt).toBeGreaterThan(toldAt);
    }
  });

  it('one of two voters writes on until it has accepted the change, and no epoch opens without it', () => {
    const { lab, leader, followers } = formed(2);
    const [other] = followers;
    lab.isolate(other!.name);
    const call = lab.call(leader.name, propose(pending));
    lab.run(500);
    expect(leader.answers.has(call)).toBe(false);
    expect(lab.answer(leader.name, wish)).toEqual(notOpen(null));
    leaseOf(lab.answer(other!.name, wish));
    expect(moved(other!)).toBe(0);
    lab.cut.clear();
    expect(lab.run(10_000, () => other!.up.replica.pools.openEpoch('app') === null)).toBe(true);
    expect(moved(other!)).toBe(1);
    expect(lab.answer(other!.name, wish)).toEqual(notOpen(null));
  });

  it('what was accepted before a restart counts after it, and is told anew', () => {
    const { lab, leader, followers } = formed(2, { settings: { snapshotEvery: 5 } });
    const [other] = followers;
    for (let i = 0; i < 8; i++) lab.set(leader.name, `k${i}`, 'v');
    lab.run(100);
    // It acknowledges, and hears nothing of the commit.
    const outputs = outputsOf(other!);
    lab.call(leader.name, propose(pending));
    lab.run(100, () => outputs.some(({ effects }) => effects.some(({ kind }) => kind === 'moving')));
    lab.crash(leader.name);
    lab.run(50);
    lab.crash(other!.name);
    lab.start(other!.name);
    lab.run(100);
    expect(other!.up.replica.pools.openEpoch('app')).toBe(1);
    expect(moved(other!)).toBe(2);
    expect(lab.answer(other!.name, wish)).toEqual(notOpen(null));
  });

  it('a snapshot that takes the place of the log may hold a move: no pool is open until it is applied', () => {
    const settings = { snapshotEvery: 5 };
    const { lab, leader, followers } = formed(3, { settings, raft: { keepEntries: 1 } });
    const [follower] = followers;
    lab.isolate(follower!.name);
    lab.answer(leader.name, propose(pending));
    for (let i = 0; i < 20; i++) lab.set(leader.name, `k${i}`, 'v');
    lab.run(1000);
    expect(follower!.up.replica.pools.openEpoch('app')).toBe(1);
    follower!.diskDelay = 400;
    const outputs = outputsOf(follower!);
    lab.cut.clear();
    const wasTold = (): boolean => outputs.some(({ effects }) => effects.some(({ kind }) => kind === 'moving'));
    expect(lab.run(10_000, wasTold)).toBe(true);
    expect(follower!.replaced).toBe(0);
    expect(follower!.up.replica.pools.openEpoch('app')).toBe(1);
    expect(follower!.answers.get(lab.call(follower!.name, wish))).toEqual(notOpen(null));
    expect(lab.run(10_000, () => follower!.replaced > 0)).toBe(true);
    expect(follower!.up.replica.pools.openEpoch('app')).toBeNull();
  });
});

describe('2.5 from when on nobody writes', () => {
  it.each([1, 2])('with %i voters: while the epoch is open, whatever is given now is over then', (count) => {
    const { lab, leader } = formed(count);
    for (let i = 0; i < 5; i++) {
      lab.run(777);
      for (const host of lab.running) {
        const { cutAt } = leaseOf(lab.answer(host.name, wish));
        expect(leader.up.writesOverAt('app')).toBeGreaterThanOrEqual(cutAt);
      }
    }
  });

  it.each([1, 2])('with %i voters: once the change is committed, that + L + drift, and no later', (count) => {
    const { lab, leader } = formed(count);
    const calls = lab.running.map((host) => [host, lab.call(host.name, wish)] as const);
    const before = lab.now;
    expect(lab.answer(leader.name, propose(pending)).ok).toBe(true);
    const overAt = leader.up.writesOverAt('app')!;
    for (const [host, call] of calls) expect(overAt).toBeGreaterThanOrEqual(leaseOf(host.answers.get(call)!).cutAt);
    expect(overAt).toBeGreaterThanOrEqual(before + leaseWithDrift);
    expect(overAt).toBeLessThanOrEqual(lab.now + leaseWithDrift);
    lab.run(2000);
    lab.answer(leader.name, propose(next(pending, { excluded: ['x'] })));
    expect(leader.up.writesOverAt('app')).toBe(overAt);
  });

  it('of two voters the one that lags writes on: it is waited for from the commit, not from the proposal', () => {
    const { lab, leader, followers } = formed(2);
    const [other] = followers;
    lab.isolate(other!.name);
    lab.call(leader.name, propose(pending));
    lab.run(400);
    const late = leaseOf(lab.answer(other!.name, wish));
    lab.cut.clear();
    expect(lab.run(10_000, () => leader.up.replica.pools.openEpoch('app') === null)).toBe(true);
    expect(lab.leader!.up.writesOverAt('app')).toBeGreaterThanOrEqual(late.cutAt);
  });

  it('a leader that was restarted does not know when it was committed: as if it were just now', () => {
    const { lab, leader } = formed(1);
    lab.answer(leader.name, propose(pending));
    lab.run(100);
    lab.crash(leader.name);
    const startedAt = lab.now;
    lab.start(leader.name);
    expect(lab.run(5000, () => leader.up.replica.pools.openEpoch('app') === null && lab.leader !== null)).toBe(true);
    expect(leader.up.writesOverAt('app')).toBeGreaterThanOrEqual(startedAt + leaseWithDrift);
  });

  it('with three voters a pending epoch’s end does not move on with the clock', () => {
    const { lab, leader } = formed(3);
    for (const host of lab.running) leaseOf(lab.answer(host.name, wish));
    lab.answer(leader.name, propose(pending));
    const overAt = leader.up.writesOverAt('app')!;
    lab.run(2000);
    expect(leader.up.writesOverAt('app')).toBe(overAt);
    expect(overAt).toBeLessThanOrEqual(lab.now - 2000 + leaseWithDrift);
  });

  it('who does not lead can’t say', () => {
    const { followers } = formed(3);
    for (const { up } of followers) expect(up.writesOverAt('app')).toBeNull();
  });
});

describe('8.4 versions', () => {
  it('a voter that does not know pools keeps them out of the log', () => {
    const lab = Lab.of(3);
    lab.host('c').options = { ...lab.host('c').options, settings: { commandVersion: 1 } };
    lab.start();
    const leader = lab.form();
    lab.run(1000);
    expect(lab.answer(leader.name, propose(first))).toEqual({ ok: false, error: { kind: 'unsupported' } });
    expect(lab.set(leader.name, 'k', 'v').ok).toBe(true);
  });

  it('one that died before this leader came does not', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    lab.crash('a', 'b', 'c');
    lab.start('a', 'b');
    expect(lab.run(10_000, () => lab.leader !== null)).toBe(true);
    expect(lab.answer(lab.leader!.name, propose(first))).toMatchObject({ ok: true });
  });
});
