/**
 * What every coordinator promises, whatever agrees beneath it. Called once per kind; `make` starts one that has a leader
 * and whose state is new.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Coordinator,
  type CoordinatorError,
  type Held,
  type WatchEvent,
  type WriteLease,
  writeDrainMs,
  writeLeaseMs,
} from '../../src/cluster/coordinator.ts';
import type { PoolRecord } from '../../src/cluster/failover/model.ts';
import type { ReplicaEvent } from '../../src/cluster/replica/events.ts';
import { change, next, poolRecord, targetOf } from '../cluster/replica/pool-records.ts';

export interface CoordinatorWorld {
  readonly coordinator: Coordinator;
  /** Bounds that the suite may meet: the largest value in bytes, the number of watchers. */
  readonly valueBytesMax: number;
  readonly watchersMax: number;
  /** The member's monotonic clock. */
  now(): number;
  /** So much time passes, and what falls due has happened when this resolves. */
  pass(ms: number): Promise<void>;
  close(): Promise<void>;
}

type Settled<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: CoordinatorError };

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);

async function good<T>(answer: Promise<Settled<T>>): Promise<T> {
  const settled = await answer;
  if (!settled.ok) throw new Error(`refused: ${JSON.stringify(settled.error)}`);
  return settled.value;
}

async function bad<T>(answer: Promise<Settled<T>>): Promise<CoordinatorError> {
  const settled = await answer;
  if (settled.ok) throw new Error(`not refused: ${JSON.stringify(settled.value)}`);
  return settled.error;
}

/** A lease is asked for anew or the running one is given: then both ends are read from the clock, a moment apart. */
const clockSlack = 5;

export function coordinatorContract(name: string, make: () => Promise<CoordinatorWorld>): void {
  let world: CoordinatorWorld;
  let coordinator: Coordinator;
  beforeEach(async () => {
    world = await make();
    coordinator = world.coordinator;
  });
  afterEach(() => world.close());

  const set = async (key: string, value: string): Promise<number> => {
    const written = await good(coordinator.kv.set(key, bytes(value)));
    if (!written.committed) throw new Error('not committed');
    return written.value;
  };
  const get = async (key: string): Promise<string | undefined> =>
    text((await good(coordinator.kv.get(key))).value?.value);
  const acquire = (lock: string, owner: string, more: object = {}): Promise<Held> =>
    good(coordinator.lock.acquire(lock, { owner, ttlMs: 10_000, waitMs: 60_000, delayMs: 0, ...more }));

  describe(`${name}: keys`, () => {
    it('knows a leader and has a quorum', () => {
      const view = coordinator.leader();
      expect(view.leader).not.toBeNull();
      expect(view.quorum).toBe(true);
      expect(view.term).toBeGreaterThan(0);
    });

    it('a read sees what was written before it was asked, and says how fresh it is', async () => {
      const revision = await set('a', '1');
      for (const consistency of ['quorum', 'strong'] as const) {
        const read = await good(coordinator.kv.get('a', { consistency }));
        expect(text(read.value?.value)).toBe('1');
        expect(read.value?.revision).toBe(revision);
        expect(read.revision).toBeGreaterThanOrEqual(revision);
        expect(read.index).toBeGreaterThan(0);
        expect(read.freshness).toEqual({ kind: 'current' });
      }
      const local = await good(coordinator.kv.get('a', { consistency: 'eventual' }));
      expect(['current', 'local']).toContain(local.freshness.kind);
    });

    it('revisions grow with each change, above 2^40 from the first on', async () => {
      const first = await set('a', '1');
      expect(first).toBeGreaterThan(2 ** 40);
      expect(await set('b', '1')).toBe(first + 1);
      expect(await good(coordinator.kv.delete('a'))).toMatchObject({ committed: true, value: first + 2 });
      expect(await good(coordinator.kv.delete('a'))).toMatchObject({ committed: true, value: null });
      expect(await get('a')).toBeUndefined();
    });

    it('a condition that does not hold is a conflict that tells the revision', async () => {
      const revision = await set('a', '1');
      const when = { kind: 'revision', revision } as const;
      await good(coordinator.kv.set('a', bytes('2'), { when }));
      expect(await bad(coordinator.kv.set('a', bytes('3'), { when }))).toEqual({
        kind: 'conflict',
        revision: revision + 1,
      });
      expect(await bad(coordinator.kv.delete('x', { when }))).toEqual({ kind: 'conflict', revision: null });
      const value = { kind: 'value', value: bytes('2') } as const;
      await good(coordinator.kv.set('a', bytes('4'), { when: value }));
      expect(await bad(coordinator.kv.set('a', bytes('5'), { when: { kind: 'absent' } }))).toMatchObject({
        kind: 'conflict',
      });
      expect(await get('a')).toBe('4');
    });

    it('only unconditional writes of keys can be eventual, and they say that they are not committed', async () => {
      const consistency = 'eventual' as const;
      expect(await good(coordinator.kv.set('a', bytes('1'), { consistency }))).toEqual({ committed: false });
      const when = { kind: 'absent' } as const;
      const refused = [
        coordinator.kv.set('b', bytes('1'), { consistency, when }),
        coordinator.propose({ kind: 'grant', ttlMs: 1000 }, { consistency }),
        coordinator.propose({ kind: 'withdraw', name: 'l', owner: 'o' }, { consistency }),
      ];
      for (const answer of refused) expect(await bad<unknown>(answer)).toEqual({ kind: 'not-eventual' });
    });

    it('a write made again with its ticket gets its first answer and changes nothing', async () => {
      const first = await good(coordinator.kv.set('a', bytes('1'), { when: { kind: 'absent' } }));
      if (!first.committed) throw new Error('not committed');
      await set('a', '2');
      const { ticket } = first;
      const again = await good(coordinator.kv.set('a', bytes('1'), { when: { kind: 'absent' }, ticket }));
      expect(again).toMatchObject({ committed: true, value: first.value });
      expect(await get('a')).toBe('2');
    });

    it('lists keys with a prefix in order, in pages', async () => {
      for (const key of ['p/b', 'p/a', 'q', 'p/c']) await set(key, '');
      const page = await good(coordinator.kv.list('p/', { max: 2 }));
      expect(page.value.entries.map((entry) => entry.key)).toEqual(['p/a', 'p/b']);
      expect(page.value.more).toBe(true);
      const rest = await good(coordinator.kv.list('p/', { max: 2, after: 'p/b' }));
      expect(rest.value).toMatchObject({ more: false, entries: [{ key: 'p/c' }] });
    });

    it('a key can be read as it was at an earlier revision', async () => {
      const revision = await set('a', '1');
      await set('a', '2');
      expect(text((await good(coordinator.kv.get('a', { at: revision }))).value?.value)).toBe('1');
      expect(await bad(coordinator.kv.get('a', { at: 1 }))).toMatchObject({ kind: 'compacted' });
    });

    it('what is too large or no text is refused, not thrown', async () => {
      const large = new Uint8Array(world.valueBytesMax + 1);
      expect(await bad(coordinator.kv.set('a', large))).toEqual({
        kind: 'too-large',
        what: 'value',
        size: large.length,
        max: world.valueBytesMax,
      });
      expect(await bad(coordinator.kv.set('\ud800', bytes('')))).toMatchObject({ kind: 'invalid' });
      expect(await bad(coordinator.lease.grant(1.5))).toMatchObject({ kind: 'invalid' });
      expect(await bad(coordinator.lease.grant(-1))).toMatchObject({ kind: 'invalid' });
      expect(await bad(coordinator.lease.keepAlive(Number.NaN))).toMatchObject({ kind: 'invalid' });
      const facts = [
        ['b', ''],
        ['a', ''],
      ] as const;
      expect(await bad(coordinator.propose({ kind: 'register', what: 'node', id: 'n', facts }))).toMatchObject({
        kind: 'invalid',
      });
    });
  });

  describe(`${name}: leases`, () => {
    it('keys of a lease go when it is not kept alive, and stay while it is', async () => {
      const { lease } = await good(coordinator.lease.grant(1000));
      await good(coordinator.kv.set('a', bytes('1'), { lease }));
      for (let i = 0; i < 4; i++) {
        await world.pass(600);
        await good(coordinator.lease.keepAlive(lease));
      }
      expect(await get('a')).toBe('1');
      await world.pass(1100);
      expect(await get('a')).toBeUndefined();
      expect(await bad(coordinator.lease.keepAlive(lease))).toEqual({ kind: 'absent', what: 'lease' });
    });

    it('revoking ends it now; what names an ended one is refused', async () => {
      const { lease } = await good(coordinator.lease.grant(60_000));
      await good(coordinator.kv.set('a', bytes('1'), { lease }));
      await good(coordinator.lease.revoke(lease));
      expect(await get('a')).toBeUndefined();
      expect(await bad(coordinator.kv.set('a', bytes('1'), { lease }))).toEqual({ kind: 'absent', what: 'lease' });
    });
  });

  describe(`${name}: watches`, () => {
    it('tell changes of the prefix in order, without gaps, each once, until they are closed', async () => {
      const first = await set('p/a', '1');
      const seen: WatchEvent[] = [];
      const watch = coordinator.watch({ prefix: 'p/', after: first - 1 }, (event) => seen.push(event));
      if (!watch.ok) throw new Error(watch.error.kind);
      await set('q', '1');
      await set('p/b', '1');
      await good(coordinator.kv.delete('p/a'));
      const changes = seen.flatMap((event) => (event.kind === 'changes' ? event.changes : []));
      expect(changes.map((one) => [one.key, text(one.entry?.value), one.revision])).toEqual([
        ['p/a', '1', first],
        ['p/b', '1', first + 2],
        ['p/a', undefined, first + 3],
      ]);
      expect(seen.at(-1)).toMatchObject({ kind: 'changes', revision: first + 3 });
      watch.value.close();
      await set('p/b', '2');
      expect(seen).toHaveLength(3);
    });

    it('from a revision that is gone are refused with the one from which they can go on', async () => {
      await set('a', '1');
      const watch = coordinator.watch({ prefix: '', after: 1 }, () => {});
      expect(watch).toMatchObject({ ok: false, error: { kind: 'compacted' } });
    });

    it('a sink that throws is closed, and harms nobody else', async () => {
      const seen: WatchEvent[] = [];
      let calls = 0;
      coordinator.watch({ prefix: '' }, () => {
        calls += 1;
        throw new Error('sink');
      });
      coordinator.watch({ prefix: '' }, (event) => seen.push(event));
      await set('a', '1');
      await set('a', '2');
      expect(seen).toHaveLength(2);
      expect(calls).toBe(1);
    });

    it('a sink that writes does not make others miss or reorder changes', async () => {
      const seen: string[] = [];
      const more: Promise<unknown>[] = [];
      const observed: string[] = [];
      const stop = coordinator.observe((event) => {
        if (event.kind === 'changed') observed.push(event.change.key);
      });
      coordinator.watch({ prefix: 'a' }, (event) => {
        if (event.kind === 'changes') more.push(coordinator.kv.set('b', bytes('2')));
      });
      coordinator.watch({ prefix: '' }, (event) => {
        if (event.kind === 'changes') seen.push(...event.changes.map((one) => one.key));
      });
      await set('a', '1');
      await Promise.all(more);
      expect(seen).toEqual(['a', 'b']);
      expect(observed).toEqual(['a', 'b']);
      stop();
    });

    it('are bounded in number', () => {
      for (let i = 0; i < world.watchersMax; i++) expect(coordinator.watch({ prefix: '' }, () => {}).ok).toBe(true);
      expect(coordinator.watch({ prefix: '' }, () => {})).toEqual({
        ok: false,
        error: { kind: 'full', what: 'watchers', max: world.watchersMax },
      });
    });
  });

  describe(`${name}: locks`, () => {
    it('a waiter gets the lock when the holder releases it, with a higher token', async () => {
      const first = await acquire('l', 'ann');
      const waits = acquire('l', 'bob');
      const lock = await good(coordinator.lock.get('l'));
      expect(lock.value?.holder?.owner).toBe('ann');
      await good(coordinator.lock.release(first));
      const second = await waits;
      expect(second).toMatchObject({ name: 'l', owner: 'bob' });
      expect(second.token).toBeGreaterThan(first.token);
      await good(coordinator.lock.release(second));
      expect((await good(coordinator.lock.get('l'))).value).toBeNull();
    });

    it('without time to wait a taken lock is busy; with some, the wait ends in time', async () => {
      await acquire('l', 'ann');
      const wish = { owner: 'bob', ttlMs: 10_000 };
      expect(await bad(coordinator.lock.acquire('l', wish))).toMatchObject({ kind: 'busy', owner: 'ann' });
      const waits = coordinator.lock.acquire('l', { ...wish, waitMs: 500 });
      await good(coordinator.lock.get('l'));
      await world.pass(600);
      expect(await bad(waits)).toEqual({ kind: 'timed-out' });
    });

    it('a holder that does not extend loses it; after the delay the next one gets it; the loss is told', async () => {
      const told: ReplicaEvent[] = [];
      const stop = coordinator.observe((event) => told.push(event));
      const held = await acquire('l', 'ann', { ttlMs: 1000, delayMs: 2000 });
      const waits = acquire('l', 'bob');
      await world.pass(700);
      await good(coordinator.lock.extend(held, 1000));
      await world.pass(700);
      expect((await good(coordinator.lock.get('l'))).value?.holder?.owner).toBe('ann');
      await world.pass(400);
      expect(told).toContainEqual({ kind: 'lock-ended', name: 'l', owner: 'ann', token: held.token, why: 'lost' });
      expect((await good(coordinator.lock.get('l'))).value?.holder).toBeNull();
      expect(await bad(coordinator.lock.extend(held, 1000))).toEqual({ kind: 'absent', what: 'lock' });
      await world.pass(2100);
      expect((await waits).token).toBeGreaterThan(held.token);
      const history = await good(coordinator.history(0));
      expect(history.value).toMatchObject([{ topic: 'lock lost', subject: 'l' }]);
      stop();
    });

    it('a circle of waits is refused and named', async () => {
      await acquire('x', 'ann');
      await acquire('y', 'bob');
      const waits = coordinator.lock.acquire('y', { owner: 'ann', ttlMs: 10_000, waitMs: 5000 });
      await good(coordinator.lock.get('y'));
      expect(await bad(coordinator.lock.acquire('x', { owner: 'bob', ttlMs: 10_000, waitMs: 5000 }))).toEqual({
        kind: 'deadlock',
        cycle: [
          { owner: 'bob', lock: 'x' },
          { owner: 'ann', lock: 'y' },
        ],
      });
      await good(coordinator.lock.withdraw('y', 'ann'));
      expect(await bad(waits)).toEqual({ kind: 'withdrawn' });
    });

    it('a wait that is aborted leaves the queue, and the lock goes to the next one', async () => {
      const held = await acquire('l', 'ann');
      const abort = new AbortController();
      const gone = coordinator.lock.acquire('l', { owner: 'bob', ttlMs: 5000, waitMs: 60_000, signal: abort.signal });
      await good(coordinator.lock.get('l'));
      const waits = acquire('l', 'cid');
      await good(coordinator.lock.get('l'));
      abort.abort();
      expect(await bad(gone)).toEqual({ kind: 'withdrawn' });
      await good(coordinator.lock.release(held));
      expect((await waits).owner).toBe('cid');
      const before = coordinator.lock.acquire('m', { owner: 'bob', ttlMs: 5000, signal: abort.signal });
      expect(await bad(before)).toEqual({ kind: 'withdrawn' });
    });
  });

  describe(`${name}: records`, () => {
    it('what is registered can be listed', async () => {
      const facts = [['zone', 'eu']] as const;
      await good(coordinator.propose({ kind: 'register', what: 'member', id: 'm1', facts }));
      expect((await good(coordinator.records('member'))).value).toMatchObject([{ id: 'm1', facts }]);
      expect((await good(coordinator.records('node'))).value).toEqual([]);
    });
  });

  describe(`${name}: pools with a primary`, () => {
    it('what is agreed about them can be read, and is told as it changes', async () => {
      const events: ReplicaEvent[] = [];
      coordinator.observe((event) => events.push(event));
      const first = poolRecord({ pool: 'b' });
      const written = await good(coordinator.propose(change(first, 'a is primary')));
      expect(written).toMatchObject({ committed: true, value: { kind: 'done' } });
      await good(coordinator.propose(change(poolRecord({ pool: 'a' }))));
      const read = await good(coordinator.pools());
      expect(read.value.map(({ pool }) => pool)).toEqual(['a', 'b']);
      expect(read.value[1]).toEqual(first);
      expect(read.freshness).toEqual({ kind: 'current' });
      expect(events).toContainEqual({ kind: 'pool', record: first });
      const [line] = (await good(coordinator.history(0))).value;
      expect(line).toMatchObject({ topic: 'failover', subject: 'b', text: 'a is primary' });
    });

    it('of two changes of the same step one loses', async () => {
      const first = poolRecord();
      await good(coordinator.propose(change(first)));
      const two = ['b', 'c'].map((node) =>
        coordinator.propose(change(next(first, { phase: 'pending', epoch: 2, target: targetOf(node) }))),
      );
      const answers = await Promise.all(two);
      expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
      expect(answers.find(({ ok }) => !ok)).toEqual({ ok: false, error: { kind: 'conflict', revision: 2 } });
    });

    it('a change that may not follow, or that no state could take, is refused', async () => {
      const first = poolRecord();
      await good(coordinator.propose(change(first)));
      const other = next(first, { target: targetOf('b') });
      expect(await bad(coordinator.propose(change(other)))).toEqual({ kind: 'conflict', revision: 1 });
      const broken = next(first, { retryAt: 0.5 });
      expect(await bad(coordinator.propose(change(broken)))).toMatchObject({ kind: 'invalid' });
      const eventual = coordinator.propose(change(next(first)), { consistency: 'eventual' });
      expect(await bad(eventual)).toEqual({ kind: 'not-eventual' });
    });
  });

  describe(`${name}: write leases`, () => {
    /** From its answer on this member gets leave by it: nothing else is waited for. */
    const agree = async (record: PoolRecord): Promise<PoolRecord> => {
      await good(coordinator.propose(change(record)));
      return record;
    };
    /** This epoch is the pool's first, and open. */
    const open = (pool: string, epoch: number): Promise<PoolRecord> => agree(poolRecord({ pool, epoch }));
    const leased = (pool: string, epoch: number): Promise<WriteLease> => good(coordinator.writeLease(pool, epoch));

    it('are given for exactly the open epoch, and for nothing else', async () => {
      expect(await bad(coordinator.writeLease('app', 1))).toEqual({ kind: 'not-open', pool: 'app', open: null });
      const record = await open('app', 4);
      expect((await leased('app', 4)).epoch).toBe(4);
      for (const epoch of [3, 5]) {
        expect(await bad(coordinator.writeLease('app', epoch))).toEqual({ kind: 'not-open', pool: 'app', open: 4 });
      }
      expect(await bad(coordinator.writeLease('other', 4))).toMatchObject({ kind: 'not-open', open: null });
      const pending = await agree(next(record, { phase: 'pending', epoch: 5, target: targetOf('b') }));
      for (const epoch of [4, 5]) {
        expect(await bad(coordinator.writeLease('app', epoch))).toEqual({ kind: 'not-open', pool: 'app', open: null });
      }
      await agree(next(pending, { phase: 'open' }));
      expect((await leased('app', 5)).epoch).toBe(5);
      expect(await bad(coordinator.writeLease('app', 4))).toEqual({ kind: 'not-open', pool: 'app', open: 5 });
    });

    it('count from before they were asked for: writes begin until drain before the end, and are cut at the end', async () => {
      await open('app', 1);
      const asked = world.now();
      const lease = await leased('app', 1);
      expect(lease.sentAt).toBeLessThanOrEqual(world.now());
      expect(lease.sentAt).toBeGreaterThanOrEqual(asked);
      expect(lease.cutAt).toBe(lease.sentAt + writeLeaseMs);
      expect(lease.writeUntil).toBe(lease.cutAt - writeDrainMs);
    });

    it('a later one reaches further', async () => {
      await open('app', 1);
      const first = await leased('app', 1);
      await world.pass(1000);
      const second = await leased('app', 1);
      expect(second.writeUntil + clockSlack).toBeGreaterThanOrEqual(first.writeUntil + 1000);
    });
  });

  describe(`${name}: the end`, () => {
    it('everybody who waits is told, and later calls are answered', async () => {
      await acquire('l', 'ann');
      const waits = coordinator.lock.acquire('l', { owner: 'bob', ttlMs: 1000, waitMs: 60_000 });
      await good(coordinator.lock.get('l'));
      const seen: WatchEvent[] = [];
      coordinator.watch({ prefix: '' }, (event) => seen.push(event));
      await world.close();
      expect(await bad(waits)).toEqual({ kind: 'closed' });
      expect(seen).toMatchObject([{ kind: 'ended', why: 'closed' }]);
      expect(await bad(coordinator.kv.set('a', bytes('1')))).toEqual({ kind: 'closed' });
      expect(await bad(coordinator.kv.get('a'))).toEqual({ kind: 'closed' });
      expect(await bad(coordinator.writeLease('app', 1))).toEqual({ kind: 'closed' });
      expect(coordinator.watch({ prefix: '' }, () => {})).toEqual({ ok: false, error: { kind: 'closed' } });
    });
  });
}
