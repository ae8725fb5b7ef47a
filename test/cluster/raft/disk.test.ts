import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../../src/base/assert.ts';
import type { RaftEvent } from '../../../src/cluster/raft/contract.ts';
import { Disk } from '../../../src/cluster/raft/disk.ts';
import { safeRules } from '../../../src/cluster/raft/rules.ts';
import { Lab } from './lab.ts';
import { Solo, sent } from './solo.ts';

const vote = (transfer = false) => ({ kind: 'vote', lastIndex: 9, lastTerm: 9, transfer }) as never;

describe('what is known to be on disk', () => {
  it('a ticket counts only when all before it have returned', () => {
    const disk = new Disk(0, safeRules);
    for (const last of [1, 2, 3]) disk.issue(0, last);
    disk.returned(3);
    disk.returned(2);
    expect([disk.done, disk.durable]).toEqual([0, 0]);
    disk.returned(1);
    expect([disk.done, disk.durable]).toEqual([3, 3]);
  });

  it('what returns of entries that were rewritten since does not count', () => {
    const disk = new Disk(0, safeRules);
    disk.issue(0, 5);
    disk.truncated(3);
    disk.issue(0, 4);
    disk.returned(1);
    expect(disk.durable).toBe(2);
    disk.returned(2);
    expect(disk.durable).toBe(4);
  });

  it('a ticket twice, or one that was never issued, is a bug of the driver', () => {
    const disk = new Disk(0, safeRules);
    disk.issue(0, 1);
    disk.returned(1);
    expect(() => disk.returned(1)).toThrow(AssertionError);
    expect(() => disk.returned(2)).toThrow(AssertionError);
  });
});

describe('late persists', () => {
  it('no vote leaves before it is on disk', () => {
    const solo = new Solo({ holdDisk: true });
    expect(sent(solo.hear('b', 1, vote()), 'voteReply')).toEqual([]);
    expect(sent(solo.returned(1), 'voteReply')[0]).toMatchObject({ granted: true, term: 1 });
  });

  it('a vote that is overtaken by a newer term never leaves', () => {
    const solo = new Solo({ holdDisk: true });
    solo.hear('b', 1, vote());
    solo.hear('c', 2, vote());
    expect(sent(solo.returned(1), 'voteReply')).toEqual([]);
    expect(sent(solo.returned(2), 'voteReply')).toMatchObject([{ to: 'c', term: 2 }]);
  });

  it('a candidate asks nobody, and does not count itself, before its own vote is on disk', () => {
    const solo = new Solo({ holdDisk: true });
    solo.waitForTimeout();
    expect(sent(solo.hear('b', 0, { kind: 'preVoteReply', next: 1, granted: true } as never), 'vote')).toEqual([]);
    solo.hear('b', 1, { kind: 'voteReply', granted: true, age: 0 } as never);
    expect(solo.status.role).toBe('candidate');
    solo.returned(1);
    expect(solo.status.role).toBe('leader');
  });

  it('a follower acknowledges what is on disk, whatever the order of the returns', () => {
    const solo = new Solo({ holdDisk: true });
    solo.append('b', 1, [0, 0], [1]);
    solo.append('b', 1, [1, 1], [1]);
    solo.append('b', 1, [2, 1], [1]);
    expect(sent(solo.returned(3), 'appendReply')).toEqual([]);
    expect(sent(solo.returned(1), 'appendReply')[0]!.result).toEqual({ ok: true, match: 1 });
    expect(sent(solo.returned(2), 'appendReply')[0]!.result).toEqual({ ok: true, match: 3 });
  });

  it('an acknowledgement for an old leader does not go to the new one, nor count rewritten entries', () => {
    const solo = new Solo({ holdDisk: true });
    solo.append('b', 1, [0, 0], [1, 1, 1]);
    solo.append('c', 2, [1, 1], [2]);
    expect(sent(solo.returned(1), 'appendReply')).toEqual([]);
    expect(sent(solo.returned(2), 'appendReply')).toMatchObject([{ to: 'c', term: 2, result: { match: 2 } }]);
  });

  it('a leader counts its own copy only when it is on disk, and applies nothing before', () => {
    const lab = new Lab({ voters: ['a', 'b'], per: { b: { priority: 0 } } });
    lab.run(5000, () => lab.raft('a').status().ready);
    lab.machine('a').diskStuckUntil = lab.now + 500;
    lab.step('a', { kind: 'propose', id: 1, data: new Uint8Array(1) });
    lab.run(400);
    expect(lab.raft('a').status().peers[0]!.match).toBe(lab.raft('a').status().lastIndex);
    expect(lab.machine('a').answers).toEqual([]);
    lab.run(200);
    expect(lab.machine('a').answers).toHaveLength(1);
  });

  it('a heartbeat is answered though entries are still being written', () => {
    const solo = new Solo({ holdDisk: true });
    solo.append('b', 1, [0, 0], [1]);
    solo.returned(1);
    solo.append('b', 1, [1, 1], [1]);
    const out = solo.hear('b', 1, { kind: 'heartbeat', round: 4, commit: 0, grant: null } as never);
    expect(sent(out, 'heartbeatReply')).toHaveLength(1);
    expect(sent(out, 'appendReply')).toEqual([]);
  });

  it('a leader whose disk hangs for an election time-out hands over', () => {
    const lab = new Lab({ voters: ['a', 'b', 'c'], seed: 4 });
    lab.run(5000, () => lab.leaders[0]?.raft?.status().ready ?? false);
    const old = lab.leaders[0]!;
    old.diskStuckUntil = lab.now + 20_000;
    lab.step(old.id, { kind: 'propose', id: 1, data: new Uint8Array(1) });
    expect(lab.run(3000, () => lab.leaders.length === 1 && lab.leaders[0] !== old)).toBe(true);
    expect(old.events).toContainEqual(expect.objectContaining({ kind: 'transfer', why: 'slow-disk' }));
    // The next leader has everything, this one's last write included.
    lab.run(500);
    expect(lab.leaders[0]!.raft!.status()).toMatchObject({ ready: true });
  });

  it('a leader whose disk hangs steps down if the hand-over does not come about', () => {
    const solo = new Solo({ holdDisk: true });
    solo.waitForTimeout();
    solo.hear('b', 0, { kind: 'preVoteReply', next: 1, granted: true } as never);
    solo.returned(1);
    solo.hear('b', 1, { kind: 'voteReply', granted: true, age: 0 } as never);
    const events: RaftEvent[] = [];
    for (let round = 1; round <= 12 && solo.status.role === 'leader'; round++) {
      events.push(...solo.wait(200).events);
      solo.beat('b', round);
    }
    expect(events).toContainEqual({ kind: 'stepped-down', term: 1, why: 'slow-disk' });
    expect(solo.status).toMatchObject({ role: 'follower', term: 1 });
  });

  it('a follower whose disk hangs does not stand', () => {
    const solo = new Solo({ holdDisk: true });
    solo.append('b', 1, [0, 0], [1]);
    solo.wait(2500);
    expect(solo.status.role).toBe('follower');
    solo.returned(1);
    solo.wait(2500);
    expect(solo.status.role).toBe('candidate');
  });
});
