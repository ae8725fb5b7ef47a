/** The rooms over an engine whose log is slow: what was proposed is applied when the test says so, in any order. */
import { describe, expect, it } from 'vitest';
import { ok, type Result } from '../../../src/base/result.ts';
import type { CoordinatorError, Held, Written } from '../../../src/cluster/coordinator.ts';
import type { Command, CommandResult } from '../../../src/cluster/replica/command.ts';
import { Hub } from '../../../src/cluster/replica/hub.ts';
import { type Engine, kvRoom, lockRoom } from '../../../src/cluster/replica/rooms.ts';
import { Bench, bytes } from './bench.ts';

type Answered = Result<Written<CommandResult>, CoordinatorError>;

class SlowEngine implements Engine {
  readonly hub = new Hub();
  readonly bench = new Bench();
  readonly #proposed: { readonly command: Command; readonly settle: (answer: Answered) => void }[] = [];

  get replica(): Bench['replica'] {
    return this.bench.replica;
  }

  propose(command: Command): Promise<Answered> {
    const { promise, resolve } = Promise.withResolvers<Answered>();
    this.#proposed.push({ command, settle: resolve });
    return promise;
  }

  ready(): Promise<Result<{ readonly kind: 'current' }, never>> {
    return Promise.resolve(ok({ kind: 'current' }));
  }

  /** Applies the oldest proposal of this kind, and answers it. */
  apply(kind: Command['kind']): void {
    const place = this.#proposed.findIndex((one) => one.command.kind === kind);
    const [{ command, settle } = { command: null, settle: null }] = this.#proposed.splice(place, 1);
    if (place === -1 || command === null) throw new Error(`no ${kind} was proposed`);
    const { result, events } = this.bench.apply(command);
    this.hub.tell(events);
    settle(ok({ committed: true, value: result, index: this.replica.index, ticket: { boot: 1, number: 1 } }));
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const terms = { ttlMs: 1000, waitMs: 5000, delayMs: 0 };

/** ann has the lock, bob waits for it under a signal. */
async function contended() {
  const engine = new SlowEngine();
  const room = lockRoom(engine);
  const first = room.acquire('l', { ...terms, owner: 'ann' });
  engine.apply('acquire');
  const held = await first;
  if (!held.ok) throw new Error(held.error.kind);
  const abort = new AbortController();
  const second: Promise<Result<Held, CoordinatorError>> = room.acquire('l', {
    ...terms,
    owner: 'bob',
    signal: abort.signal,
  });
  return { engine, room, held: held.value, abort, second };
}

describe('a wait for a lock', () => {
  it('that is given up while the grant is on its way ends withdrawn, and the lock is given back', async () => {
    const { engine, room, held, abort, second } = await contended();
    engine.apply('acquire');
    await turn();
    void room.release(held);
    abort.abort();
    engine.apply('release');
    expect(engine.bench.holder('l')).toBe('bob');
    engine.apply('withdraw');
    expect(await second).toEqual({ ok: false, error: { kind: 'withdrawn' } });
    expect(engine.bench.holder('l')).toBeUndefined();
    expect(engine.hub.waits).toBe(0);
  });

  it('that was granted before its own answer came is found in the state', async () => {
    const { engine, room, held, second } = await contended();
    void room.release(held);
    engine.apply('acquire');
    engine.apply('release');
    expect(await second).toMatchObject({ ok: true, value: { owner: 'bob' } });
    expect(engine.hub.waits).toBe(0);
  });

  it('that was given up before its own answer came is withdrawn', async () => {
    const { engine, abort, second } = await contended();
    abort.abort();
    engine.apply('acquire');
    await turn();
    engine.apply('withdraw');
    expect(await second).toEqual({ ok: false, error: { kind: 'withdrawn' } });
    expect(engine.replica.locks.get('l')?.queue).toEqual([]);
  });

  it('leaves nothing behind on the signal once it is settled', async () => {
    const { engine, room, held, abort, second } = await contended();
    engine.apply('acquire');
    await turn();
    void room.release(held);
    engine.apply('release');
    expect((await second).ok).toBe(true);
    abort.abort();
    expect(() => engine.apply('withdraw')).toThrow('no withdraw was proposed');
    expect(engine.bench.holder('l')).toBe('bob');
  });
});

describe('keys', () => {
  it('a read is of the state as it is when it may be read', async () => {
    const engine = new SlowEngine();
    const room = kvRoom(engine);
    void room.set('a', bytes('1'));
    const read = room.get('a');
    engine.apply('set');
    expect(await read).toMatchObject({ ok: true, value: { value: { key: 'a' }, index: 1 } });
  });
});
