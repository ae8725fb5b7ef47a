import { describe, expect, it } from 'vitest';
import type { CommandResult } from '../../../src/cluster/replica/command.ts';
import { counterFloor } from '../../../src/cluster/replica/model.ts';
import { restore, snapshot } from '../../../src/cluster/replica/snapshot.ts';
import { Bench, wall } from './bench.ts';

const base = counterFloor(wall);
const tokenOf = (result: CommandResult): number => {
  if (result.kind !== 'acquired') throw new Error(`not acquired: ${result.kind}`);
  return result.token;
};

describe('locks', () => {
  it('one owner has it, the others wait in the order of their arrival', () => {
    const b = new Bench();
    expect(b.acquire('l', 'ann')).toMatchObject({ kind: 'acquired', token: base + 1 });
    const names = ['bob', 'cid', 'dan', 'eve'];
    names.forEach((owner, ahead) => {
      expect(b.acquire('l', owner)).toMatchObject({ kind: 'waiting', ahead });
    });
    const order: string[] = [];
    for (let token = base + 1; b.holder('l') !== undefined; token++) {
      order.push(b.holder('l')!);
      expect(b.do({ kind: 'release', name: 'l', token })).toEqual({ kind: 'done' });
    }
    expect(order).toEqual(['ann', ...names]);
    expect(b.replica.locks.get('l')).toBeNull();
  });

  it('with no time to wait the answer says who has it and until when', () => {
    const b = new Bench();
    b.acquire('l', 'ann', { ttlMs: 500 });
    expect(b.acquire('l', 'bob', { waitMs: 0 })).toEqual({ kind: 'busy', owner: 'ann', until: wall + 500 });
    expect(b.replica.locks.get('l')?.queue).toEqual([]);
  });

  it('asked twice, the holder keeps its token and gets new time, the waiter keeps its place', () => {
    const b = new Bench();
    const token = tokenOf(b.acquire('l', 'ann', { ttlMs: 100 }));
    b.acquire('l', 'bob');
    b.acquire('l', 'cid');
    b.now += 50;
    expect(b.acquire('l', 'ann', { ttlMs: 100 })).toEqual({ kind: 'acquired', token, expiresAt: wall + 150 });
    expect(b.acquire('l', 'bob')).toMatchObject({ kind: 'waiting', ahead: 0 });
    expect(b.replica.locks.get('l')?.queue.map((waiter) => waiter.owner)).toEqual(['bob', 'cid']);
  });

  it('a waiter past its deadline leaves the queue, and never gets the lock afterwards', () => {
    const b = new Bench();
    const token = tokenOf(b.acquire('l', 'ann', { ttlMs: 1000 }));
    b.acquire('l', 'bob', { waitMs: 100 });
    b.acquire('l', 'cid', { waitMs: 500 });
    expect(b.replica.nextExpiry()).toBe(wall + 100);
    b.now += 200;
    const { events } = b.apply({ kind: 'release', name: 'l', token });
    expect(events).toMatchObject([
      { kind: 'lock-ended', owner: 'ann', why: 'released' },
      { kind: 'wait-ended', owner: 'bob', why: 'timed-out' },
      { kind: 'lock-granted', owner: 'cid' },
    ]);
    expect(b.holder('l')).toBe('cid');
  });

  it('a waiter that times out while the lock is held is told so by expire', () => {
    const b = new Bench();
    b.acquire('l', 'ann');
    b.acquire('l', 'bob', { waitMs: 100 });
    expect(b.pass(99)).toEqual([]);
    expect(b.pass(1)).toEqual([{ kind: 'wait-ended', name: 'l', owner: 'bob', why: 'timed-out' }]);
    expect(b.holder('l')).toBe('ann');
  });

  it('extending needs the token; a lock that was lost cannot be extended or released', () => {
    const b = new Bench();
    const token = tokenOf(b.acquire('l', 'ann', { ttlMs: 100 }));
    expect(b.do({ kind: 'extend', name: 'l', token: token + 1, ttlMs: 100 })).toEqual({ kind: 'absent', what: 'lock' });
    b.now += 90;
    expect(b.do({ kind: 'extend', name: 'l', token, ttlMs: 100 })).toEqual({ kind: 'extended', expiresAt: wall + 190 });
    b.pass(99);
    expect(b.holder('l')).toBe('ann');
    b.pass(1);
    expect(b.do({ kind: 'extend', name: 'l', token, ttlMs: 100 })).toEqual({ kind: 'absent', what: 'lock' });
    expect(b.do({ kind: 'release', name: 'l', token })).toEqual({ kind: 'absent', what: 'lock' });
  });

  it('after a lost holder nobody gets it for its delay; after a release the next one does at once', () => {
    const b = new Bench();
    b.acquire('l', 'ann', { ttlMs: 100, delayMs: 15_000 });
    b.acquire('l', 'bob', { delayMs: 15_000 });
    expect(b.pass(100)).toMatchObject([
      { kind: 'lock-ended', owner: 'ann', why: 'lost' },
      { kind: 'noted', event: { topic: 'lock lost', subject: 'l' } },
    ]);
    expect(b.holder('l')).toBeUndefined();
    expect(b.acquire('l', 'ann', { waitMs: 0 })).toEqual({ kind: 'busy', owner: null, until: b.now + 15_000 });
    expect(b.replica.nextExpiry()).toBe(b.now + 15_000);
    expect(b.pass(14_999)).toEqual([]);
    expect(b.pass(1)).toMatchObject([{ kind: 'lock-granted', owner: 'bob' }]);
    b.acquire('l', 'cid');
    const token = b.replica.locks.get('l')!.holder!.token;
    b.do({ kind: 'release', name: 'l', token });
    expect(b.holder('l')).toBe('cid');
  });

  it('a delay that nobody waits for ends too, and the lock is forgotten', () => {
    const b = new Bench();
    b.acquire('l', 'ann', { ttlMs: 100, delayMs: 1000 });
    b.pass(100);
    expect(b.replica.locks.table.size).toBe(1);
    b.pass(1000);
    expect(b.replica.locks.table.size).toBe(0);
    expect(b.replica.nextExpiry()).toBe(Number.POSITIVE_INFINITY);
  });

  it('withdrawing leaves the queue, and gives the lock up if it came meanwhile', () => {
    const b = new Bench();
    const token = tokenOf(b.acquire('l', 'ann'));
    b.acquire('l', 'bob');
    b.acquire('l', 'cid');
    const { result, events } = b.apply({ kind: 'withdraw', name: 'l', owner: 'bob' });
    expect(result).toEqual({ kind: 'done' });
    expect(events).toEqual([{ kind: 'wait-ended', name: 'l', owner: 'bob', why: 'withdrawn' }]);
    b.do({ kind: 'release', name: 'l', token });
    expect(b.holder('l')).toBe('cid');
    expect(b.do({ kind: 'withdraw', name: 'l', owner: 'cid' })).toEqual({ kind: 'done' });
    expect(b.holder('l')).toBeUndefined();
    expect(b.do({ kind: 'withdraw', name: 'l', owner: 'cid' })).toEqual({ kind: 'absent', what: 'lock' });
  });

  it('tokens strictly grow over all locks, over releases, losses, and a restart from a snapshot', () => {
    const b = new Bench();
    const tokens: number[] = [];
    for (let i = 0; i < 40; i++) {
      const result = b.acquire(`l${i % 3}`, `o${i}`, { ttlMs: 50, waitMs: 0 });
      if (result.kind === 'acquired') tokens.push(result.token);
      if (i % 4 === 0) b.do({ kind: 'release', name: `l${i % 3}`, token: tokens.at(-1)! });
      if (i % 5 === 0) b.pass(60);
      if (i % 7 === 0) {
        const restored = restore(snapshot(b.replica));
        if (!restored.ok) throw new Error(restored.error);
        b.replica = restored.value;
      }
    }
    expect(tokens.length).toBeGreaterThan(20);
    expect(tokens.every((token, i) => i === 0 || token > tokens[i - 1]!)).toBe(true);
  });

  it('a state that was brought back from a backup is raised above what was given out since', () => {
    const b = new Bench();
    const backup = snapshot(b.replica);
    b.acquire('l', 'ann');
    b.set('k', '1');
    const fresh = restore(backup);
    if (!fresh.ok) throw new Error(fresh.error);
    const given = { token: b.replica.tokens.value, revision: b.replica.kv.revision.value };
    b.replica = fresh.value;
    b.now += 60_000;
    b.do({ kind: 'raise' });
    expect(tokenOf(b.acquire('l', 'bob'))).toBeGreaterThan(given.token);
    expect(b.replica.kv.revision.value).toBeGreaterThan(given.revision);
  });

  it('what is too much is refused with its bound', () => {
    const b = new Bench({ nameBytes: 4, ttlMaxMs: 1000, locks: 2, waitersPerLock: 1 });
    const quick = { ttlMs: 100, waitMs: 100 };
    expect(b.acquire('12345', 'a', quick)).toEqual({ kind: 'too-large', what: 'name', size: 5, max: 4 });
    expect(b.acquire('l', '12345', quick)).toMatchObject({ kind: 'too-large', what: 'name' });
    expect(b.acquire('l', 'a', { ...quick, ttlMs: 1001 })).toMatchObject({ kind: 'too-large', what: 'ttl' });
    expect(b.acquire('l', 'a', { ...quick, delayMs: 1001 })).toMatchObject({ kind: 'too-large', what: 'ttl' });
    b.acquire('l', 'a', quick);
    b.acquire('m', 'a', quick);
    expect(b.acquire('n', 'a', quick)).toEqual({ kind: 'full', what: 'locks', max: 2 });
    expect(b.acquire('l', 'b', quick)).toMatchObject({ kind: 'waiting' });
    expect(b.acquire('l', 'c', quick)).toEqual({ kind: 'full', what: 'waiters', max: 1 });
  });
});

describe('deadlocks', () => {
  it('two owners that want what the other has: the second wait is refused and names the circle', () => {
    const b = new Bench();
    b.acquire('x', 'ann');
    b.acquire('y', 'bob');
    expect(b.acquire('y', 'ann')).toMatchObject({ kind: 'waiting' });
    expect(b.acquire('x', 'bob')).toEqual({
      kind: 'deadlock',
      cycle: [
        { owner: 'bob', lock: 'x' },
        { owner: 'ann', lock: 'y' },
      ],
    });
    expect(b.replica.locks.get('x')?.queue).toEqual([]);
  });

  it('three owners in a circle', () => {
    const b = new Bench();
    b.acquire('x', 'ann');
    b.acquire('y', 'bob');
    b.acquire('z', 'cid');
    b.acquire('y', 'ann');
    b.acquire('z', 'bob');
    expect(b.acquire('x', 'cid')).toEqual({
      kind: 'deadlock',
      cycle: [
        { owner: 'cid', lock: 'x' },
        { owner: 'ann', lock: 'y' },
        { owner: 'bob', lock: 'z' },
      ],
    });
  });

  it('a circle through somebody ahead in a queue, who has the lock before us', () => {
    const b = new Bench();
    b.acquire('x', 'ann');
    b.acquire('y', 'bob');
    b.acquire('x', 'cid');
    b.acquire('y', 'cid');
    expect(b.acquire('x', 'bob')).toMatchObject({
      kind: 'deadlock',
      cycle: [
        { owner: 'bob', lock: 'x' },
        { owner: 'cid', lock: 'y' },
      ],
    });
  });

  it('of several circles the same one is told on every member, whatever order the waits came in', () => {
    for (const order of [
      ['y', 'z'],
      ['z', 'y'],
    ]) {
      const b = new Bench();
      b.acquire('x', 'bob');
      for (const name of order) b.acquire(name, 'ann');
      for (const name of order) b.acquire(name, 'bob');
      expect(b.acquire('x', 'ann')).toMatchObject({ cycle: [{ lock: 'x' }, { owner: 'bob', lock: 'y' }] });
    }
  });

  it('a chain is no circle, and a circle that was broken by leaving is none any more', () => {
    const b = new Bench();
    b.acquire('x', 'ann');
    b.acquire('y', 'bob');
    b.acquire('x', 'cid');
    b.acquire('y', 'ann');
    expect(b.acquire('x', 'dan')).toMatchObject({ kind: 'waiting', ahead: 1 });
    b.do({ kind: 'withdraw', name: 'y', owner: 'ann' });
    expect(b.acquire('x', 'bob')).toMatchObject({ kind: 'waiting', ahead: 2 });
  });

  it('who would not wait is never refused for a circle', () => {
    const b = new Bench();
    b.acquire('x', 'ann');
    b.acquire('y', 'bob');
    b.acquire('y', 'ann');
    expect(b.acquire('x', 'bob', { waitMs: 0 })).toMatchObject({ kind: 'busy', owner: 'ann' });
  });

  it('a long queue and a long chain are searched once each', () => {
    const b = new Bench();
    for (let i = 0; i < 400; i++) b.acquire(`c${i}`, `o${i}`);
    for (let i = 0; i < 399; i++) expect(b.acquire(`c${i + 1}`, `o${i}`).kind).toBe('waiting');
    for (let i = 0; i < 400; i++) expect(b.acquire('c0', `w${i}`).kind).toBe('waiting');
    const closed = b.acquire('c0', 'o399');
    expect(closed.kind === 'deadlock' && closed.cycle.length).toBe(100);
  });
});
