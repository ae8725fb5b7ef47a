import { describe, expect, it } from 'vitest';
import type { CoordinatorError } from '../../../src/cluster/coordinator.ts';
import { Hub } from '../../../src/cluster/replica/hub.ts';
import { LocalCoordinator } from '../../../src/cluster/replica/local.ts';
import { defaultLimits } from '../../../src/cluster/replica/model.ts';
import { explain } from '../../../src/cluster/replica/refusals.ts';
import { restore, snapshot } from '../../../src/cluster/replica/snapshot.ts';
import { type CoordinatorWorld, coordinatorContract } from '../../contract/coordinator.contract.ts';
import { Bench, bytes, wall } from './bench.ts';

function localWorld(): CoordinatorWorld & { readonly coordinator: LocalCoordinator } {
  let now = 1000;
  const coordinator = new LocalCoordinator({
    uid: 'me',
    clock: () => now,
    wall,
    watchersMax: 20,
  });
  return {
    coordinator,
    valueBytesMax: defaultLimits.valueBytes,
    watchersMax: 20,
    now: () => now,
    pass: (ms) => {
      const end = now + ms;
      // As a driver does: one timer, armed anew after each tick.
      for (let wake = coordinator.wakeAt(); wake <= end; wake = coordinator.wakeAt()) {
        now = Math.max(now, wake);
        coordinator.tick();
      }
      now = end;
      return Promise.resolve();
    },
    close: () => Promise.resolve(coordinator.close()),
  };
}

coordinatorContract('a cluster of one', () => Promise.resolve(localWorld()));

describe('a cluster of one', () => {
  it('sleeps until something runs out, and for ever when nothing can', async () => {
    const world = localWorld();
    expect(world.coordinator.wakeAt()).toBe(Number.POSITIVE_INFINITY);
    await world.coordinator.lease.grant(250);
    expect(world.coordinator.wakeAt()).toBe(world.now() + 250);
    await world.pass(250);
    expect(world.coordinator.wakeAt()).toBe(Number.POSITIVE_INFINITY);
  });

  it('without its timer what has run out ends late, but unseen by nobody', async () => {
    let now = 0;
    const coordinator = new LocalCoordinator({ uid: 'me', clock: () => now, wall });
    const granted = await coordinator.lease.grant(100);
    const lease = granted.ok ? granted.value.lease : 0;
    await coordinator.kv.set('a', bytes('1'), { lease });
    now = 100;
    expect(await coordinator.kv.set('b', bytes('1'), { lease })).toMatchObject({ error: { kind: 'absent' } });
    now = 300;
    const again = await coordinator.lease.grant(100);
    await coordinator.kv.set('c', bytes('1'), { lease: again.ok ? again.value.lease : 0 });
    now = 400;
    expect(await coordinator.kv.list('')).toMatchObject({ value: { value: { entries: [] } } });
  });

  it('refuses tickets that it never gave out', async () => {
    const { coordinator } = localWorld();
    for (const ticket of [
      { boot: 1, number: 99 },
      { boot: 2, number: 1 },
      { boot: 1, number: 0 },
    ]) {
      expect(await coordinator.kv.set('a', bytes('1'), { ticket })).toMatchObject({ error: { kind: 'invalid' } });
    }
  });
});

describe('a ticket', () => {
  it('of another kind of write is refused and changes nothing', async () => {
    const { coordinator } = localWorld();
    const first = await coordinator.kv.set('a', bytes('1'));
    const ticket = first.ok && first.value.committed ? first.value.ticket : { boot: 0, number: 0 };
    expect(await coordinator.kv.delete('a', { ticket })).toMatchObject({ error: { kind: 'invalid' } });
    expect(coordinator.replica.kv.size).toBe(1);
  });
});

describe('a watch', () => {
  it('from a revision that this member has not reached yet is told nothing before it', () => {
    const b = new Bench();
    b.set('a', '1');
    const hub = new Hub();
    const seen: number[] = [];
    const after = b.replica.kv.revision.value + 2;
    hub.watch(b.replica, { prefix: '', after }, (event) => seen.push(event.kind === 'changes' ? event.revision : 0));
    for (let i = 0; i < 3; i++) {
      hub.tell(b.apply({ kind: 'set', key: 'a', value: bytes(''), lease: null, when: { kind: 'any' } }).events);
    }
    expect(seen).toEqual([after + 1]);
  });
});

describe('who waits when the state is replaced by a snapshot', () => {
  const replaced = (b: Bench): Bench['replica'] => {
    const result = restore(snapshot(b.replica));
    if (!result.ok) throw new Error(result.error);
    return result.value;
  };

  it('a watch that was told everything goes on; one that missed something is ended', () => {
    const b = new Bench();
    b.set('a', '1');
    const hub = new Hub();
    const seen: string[] = [];
    const watchAs = (name: string): void => {
      hub.watch(b.replica, { prefix: '' }, (event) => seen.push(`${name} ${event.kind}`));
    };
    watchAs('early');
    b.set('a', '2');
    watchAs('late');
    const next = replaced(b);
    hub.replaced(next);
    expect(seen).toEqual(['early ended']);
    b.replica = next;
    hub.tell(b.apply({ kind: 'delete', key: 'a', when: { kind: 'any' } }).events);
    expect(seen).toEqual(['early ended', 'late changes']);
    expect(hub.watchers).toBe(1);
  });

  it('a waiter that got the lock meanwhile is told so, one that left the queue too, one that stands there waits on', () => {
    const b = new Bench();
    const hub = new Hub();
    const told: Record<string, string> = {};
    b.acquire('l', 'ann', { ttlMs: 100 });
    for (const [owner, waitMs] of [
      ['bob', 5000],
      ['cid', 50],
      ['dan', 5000],
    ] as const) {
      b.acquire('l', owner, { waitMs });
      const done = (outcome: { readonly ok: boolean }): void => {
        told[owner] = outcome.ok ? 'held' : 'not';
      };
      hub.awaitLock(b.replica, { name: 'l', owner, done });
    }
    b.pass(200);
    expect(told).toEqual({});
    hub.replaced(replaced(b));
    expect(told).toEqual({ bob: 'held', cid: 'not' });
    expect(hub.waits).toBe(1);
  });
});

describe('errors', () => {
  it('each is explained in one line', () => {
    const errors: readonly CoordinatorError[] = [
      { kind: 'no-quorum', missing: ['b', 'c'] },
      { kind: 'no-quorum', missing: [] },
      { kind: 'unknown-outcome', ticket: { boot: 1, number: 1 } },
      { kind: 'not-leader', leader: 'b' },
      { kind: 'not-leader', leader: null },
      { kind: 'overloaded' },
      { kind: 'too-large', what: 'key', size: 2, max: 1 },
      { kind: 'full', what: 'locks', max: 1 },
      { kind: 'conflict', revision: 5 },
      { kind: 'conflict', revision: null },
      { kind: 'deadlock', cycle: [{ owner: 'a', lock: 'x' }] },
      { kind: 'busy', owner: 'a', until: 1 },
      { kind: 'busy', owner: null, until: 1 },
      { kind: 'timed-out' },
      { kind: 'withdrawn' },
      { kind: 'absent', what: 'lock' },
      { kind: 'compacted', floor: 1 },
      { kind: 'not-eventual' },
      { kind: 'invalid', what: 'x' },
      { kind: 'not-open', pool: 'p', open: 1 },
      { kind: 'not-open', pool: 'p', open: null },
      { kind: 'unsupported' },
      { kind: 'closed' },
    ];
    const lines = errors.map(explain);
    expect(new Set(lines).size).toBe(lines.length);
    for (const line of lines) expect(line).toMatch(/^[^\n]{10,120}$/);
  });
});
