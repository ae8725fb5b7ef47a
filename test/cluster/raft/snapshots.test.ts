import { describe, expect, it } from 'vitest';
import { Lab, type Machine } from './lab.ts';
import { Solo, sent } from './solo.ts';

function started(options: Partial<ConstructorParameters<typeof Lab>[0]> = {}): {
  lab: Lab;
  leader: Machine;
  late: Machine;
} {
  const lab = new Lab({ voters: ['a', 'b', 'c'], raft: { keepEntries: 3, snapshotPieceBytes: 100 }, ...options });
  expect(lab.run(8000, () => lab.leaders[0]?.raft?.status().ready ?? false)).toBe(true);
  const leader = lab.leaders[0]!;
  return { lab, leader, late: lab.live.find((machine) => machine !== leader)! };
}

function write(lab: Lab, leader: Machine, count: number): void {
  for (let id = 0; id < count; id++) lab.step(leader.id, { kind: 'propose', id, data: new Uint8Array([id]) });
  lab.run(200);
}

const state = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i % 251);

describe('snapshots', () => {
  it('take the place of the entries before them, but for some that are kept', () => {
    const { lab, leader } = started();
    write(lab, leader, 20);
    lab.step(leader.id, { kind: 'snapshot', index: 15, data: state(10) });
    lab.run(20);
    expect(leader.raft!.status().firstIndex).toBe(13);
    expect(leader.disk.restored.snapshot).toMatchObject({ index: 15, data: state(10) });
    expect(leader.disk.restored.entries[0]!.index).toBe(13);
  });

  it.each([0, 99, 100, 101, 1000])('bring a follower up that needs what is gone: %i bytes in pieces of 100', (size) => {
    const { lab, leader, late } = started();
    lab.isolate(late.id);
    write(lab, leader, 20);
    const installed: Uint8Array[] = [];
    lab.watch = (machine, out) => {
      if (machine === late && out.apply?.snapshot) installed.push(out.apply.snapshot.data);
    };
    lab.step(leader.id, { kind: 'snapshot', index: 18, data: state(size) });
    write(lab, leader, 5);
    lab.heal();
    expect(lab.run(3000, () => late.applied === leader.applied)).toBe(true);
    expect(installed).toEqual([state(size)]);
    expect(late.disk.restored.snapshot.index).toBe(18);
  });

  it('come whole over a net that loses, doubles and reorders', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const { lab, leader, late } = started({ seed });
      lab.isolate(late.id);
      write(lab, leader, 20);
      lab.step(leader.id, { kind: 'snapshot', index: 18, data: state(2000) });
      lab.heal();
      lab.loss = 0.2;
      lab.doubling = 0.2;
      lab.delay = [1, 40];
      const data: Uint8Array[] = [];
      lab.watch = (_, out) => {
        if (out.apply?.snapshot) data.push(out.apply.snapshot.data);
      };
      expect(
        lab.run(60_000, () => late.applied >= 18),
        `seed ${seed}`,
      ).toBe(true);
      expect(data.every((one) => one.length === 2000)).toBe(true);
    }
  });

  it('survive a restart: what is kept of the log before them is kept', () => {
    const { lab, leader } = started();
    write(lab, leader, 20);
    lab.step(leader.id, { kind: 'snapshot', index: 15, data: state(10) });
    lab.run(20);
    lab.restart(leader.id);
    expect(leader.raft!.status()).toMatchObject({ commit: 15, applied: 15, lastIndex: 21 });
    expect(lab.run(8000, () => leader.applied >= 21)).toBe(true);
  });

  it('that are older than ours, or of what is not applied, are passed over', () => {
    const { lab, leader } = started();
    write(lab, leader, 10);
    lab.step(leader.id, { kind: 'snapshot', index: 8, data: state(1) });
    lab.step(leader.id, { kind: 'snapshot', index: 5, data: state(2) });
    lab.step(leader.id, { kind: 'snapshot', index: 99, data: state(3) });
    lab.run(20);
    expect(leader.disk.restored.snapshot).toMatchObject({ index: 8, data: state(1) });
  });

  it('are acknowledged, and handed out, only when they are on disk', () => {
    const solo = new Solo({ holdDisk: true });
    solo.hear('b', 1, { kind: 'heartbeat', round: 1, commit: 0, grant: null } as never);
    solo.returned(1);
    const meta = { index: 7, term: 1, config: { voters: ['a', 'b', 'c'], learners: [] } };
    const out = solo.hear('b', 1, { kind: 'snapshot', meta, size: 2, offset: 0, piece: state(2) } as never);
    expect(sent(out, 'snapshotReply')[0]!.wanted).toBe(2);
    expect([out.apply, sent(out, 'appendReply')]).toEqual([null, []]);
    const done = solo.returned(2);
    expect(done.apply!.snapshot!.index).toBe(7);
    expect(sent(done, 'appendReply')[0]!.result).toEqual({ ok: true, match: 7 });
  });

  it('do not replace a log that has their last entry already', () => {
    const solo = new Solo();
    solo.append('b', 1, [0, 0], [1, 1, 1, 1]);
    const meta = { index: 3, term: 1, config: { voters: ['a', 'b', 'c'], learners: [] } };
    const out = solo.hear('b', 1, { kind: 'snapshot', meta, size: 9, offset: 0, piece: state(4) } as never);
    expect(out.apply).toMatchObject({ snapshot: null });
    expect(solo.status).toMatchObject({ commit: 3, lastIndex: 4, firstIndex: 1 });
  });
});
