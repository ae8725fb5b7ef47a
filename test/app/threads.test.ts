import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLog } from '../../src/app/log.ts';
import { ThreadPool } from '../../src/app/threads.ts';
import type { EngineEvent, NodeSignal } from '../../src/proxy/outcome.ts';
import { Publisher } from '../../src/routing/publisher.ts';
import type { ListenerSpec } from '../../src/routing/snapshot.ts';
import { nodeCell } from '../../src/scoreboard/layout.ts';
import { nodeLine, Scoreboard } from '../../src/scoreboard/scoreboard.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { testScope } from '../helpers/scope.ts';
import { askOnce, type Line, line } from './line-client.ts';
import { emptyTables } from './tables.ts';

const entry = new URL('./faulty-thread.ts', import.meta.url);

interface World {
  readonly pool: ThreadPool;
  readonly scoreboard: Scoreboard;
  readonly log: string[];
  readonly signals: NodeSignal[];
  readonly events: EngineEvent[];
  /** Publishes the next version; resolves when it is in force everywhere. */
  publish(): Promise<boolean>;
  tcp(): Promise<ListenerSpec & { readonly port: number }>;
  died(): string[];
}

async function world(workers: number, sharedPorts = true): Promise<World> {
  const scope = testScope();
  const scoreboard = Scoreboard.create(2 * workers);
  const log: string[] = [];
  const signals: NodeSignal[] = [];
  const events: EngineEvent[] = [];
  const publisher = new Publisher();
  let version = 1;
  publisher.publish(emptyTables, version);
  const pool = new ThreadPool({
    scoreboard,
    workers,
    sharedPorts,
    access: { format: 'off', file: null },
    ticketKeys: new Uint8Array(48),
    log: createLog('debug', { readable: false, write: (text) => void log.push(text) }),
    full: () => publisher.full(version),
    onSignals: (more) => void signals.push(...more),
    onEvents: (more) => void events.push(...more),
    onSwapped: () => {},
    entry,
  });
  scope.own({ stop: () => pool.close() });
  expect(await pool.start()).toBe(true);
  const publish = (): Promise<boolean> => pool.publish(publisher.publish(emptyTables, ++version), version);
  const tcp = async (): Promise<ListenerSpec & { port: number }> => {
    const port = await freePort();
    const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
    return {
      slot: 0,
      name: `127.0.0.1:${port}`,
      address,
      tls: null,
      sockets: sharedPorts ? 4 : 1,
      reusePort: sharedPorts,
      port,
    };
  };
  const died = (): string[] => log.filter((text) => text.includes('thread-died'));
  return { pool, scoreboard, log, signals, events, publish, tcp, died };
}

/** A connection to the thread of that row: the kernel spreads them, so several are tried. */
async function lineTo(port: number, row: number): Promise<Line> {
  return until(`a connection to thread ${row}`, async () => {
    const one = await line({ port });
    if ((await one.ask('row')) === String(row)) return one;
    one.end();
    return null;
  });
}

const running = (pool: ThreadPool): number[] =>
  pool
    .states()
    .filter(({ state }) => state === 'running')
    .map(({ thread }) => thread);

describe('data threads', () => {
  it('share a port, take snapshots, and close it again', async () => {
    const { pool, publish, tcp } = await world(2);
    const spec = await tcp();
    expect(await pool.listen([spec])).toEqual({ ok: true, value: null });
    expect(pool.isOpen(0)).toBe(true);
    const seen = new Set<string>();
    await until('both threads to answer', async () => {
      seen.add(await askOnce(spec.port, 'row'));
      return seen.size === 2;
    });
    expect(await publish()).toBe(true);
    expect(await askOnce(spec.port, 'version')).toBe('2');
    const open = await line({ port: spec.port });
    await pool.unlisten([0]);
    expect(pool.isOpen(0)).toBe(false);
    await expect(line({ port: spec.port })).rejects.toThrow('ECONNREFUSED');
    expect(await open.ask('version')).toBe('2');
    open.end();
  });

  it('that die are started again, repaired, with the same listeners and the last snapshot; the other serves on', async () => {
    const { pool, scoreboard, publish, tcp, died } = await world(2);
    const spec = await tcp();
    await pool.listen([spec]);
    await publish();
    const victim = await lineTo(spec.port, 0);
    const other = await lineTo(spec.port, 1);
    for (const one of [victim, victim, other]) await one.ask('hold');
    expect(scoreboard.lines[nodeLine(0) + nodeCell.inFlight]).toBe(3);
    await pool.terminate(0);
    await victim.closed;
    expect(scoreboard.lines[nodeLine(0) + nodeCell.inFlight]).toBe(1);
    expect(await other.ask('row')).toBe('1');
    const again = await lineTo(spec.port, 0);
    expect(await again.ask('version')).toBe('2');
    again.end();
    other.end();
    expect(died()).toHaveLength(1);
    expect(died()[0]).toContain('data thread 0 died: it was terminated by request; 2 requests in flight were cut');
    expect(pool.states().map(({ restarts }) => restarts)).toEqual([1, 0]);
  });

  it('wait longer after each death', async () => {
    const { pool, died } = await world(1);
    await pool.terminate(0);
    await until('the second life', () => running(pool).length === 1);
    await pool.terminate(0);
    expect(died()[1]).toContain('another is started in 1 s');
    expect(pool.states()[0]?.state).toBe('waiting');
    await until('the third life', () => running(pool).length === 1);
  });

  it('that grow over their heap die alone, with the reason', async () => {
    const { pool, tcp, died } = await world(2);
    const spec = await tcp();
    await pool.listen([spec]);
    const other = await lineTo(spec.port, 1);
    const victim = await lineTo(spec.port, 0);
    await victim.ask('eat');
    await until('the death', () => died().length === 1, { withinMs: 90_000 });
    expect(died()[0]).toContain('its heap grew over 512 MiB');
    expect(await other.ask('row')).toBe('1');
    other.end();
  }, 120_000);

  it('live on after an exception that nobody caught, and tell of it', async () => {
    const { pool, events, tcp, died } = await world(1);
    const spec = await tcp();
    await pool.listen([spec]);
    const one = await line({ port: spec.port });
    await one.ask('throw');
    const event = await until('the event', () => events.find((each) => each.event === 'thread-exception'));
    expect(event.message).toContain('a bug of ours');
    expect(event.fields['stack']).toContain('faulty-thread.ts');
    expect(await one.ask('row')).toBe('0');
    expect(died()).toEqual([]);
    one.end();
  });

  it('that throw again and again are replaced: the new one listens first, the old one drains', async () => {
    const { pool, log, tcp, died } = await world(1);
    const spec = await tcp();
    await pool.listen([spec]);
    const kept = await line({ port: spec.port });
    for (let i = 0; i < 11; i++) await kept.ask('throw');
    await until('the replacement', () => running(pool).includes(1));
    expect(log.some((text) => text.includes('thread-replaced'))).toBe(true);
    await until('new connections to go to it', async () => (await askOnce(spec.port, 'row')) === '1');
    expect(pool.states().map(({ thread, state }) => `${thread} ${state}`)).toEqual(['0 draining', '1 running']);
    expect(await kept.ask('row')).toBe('0');
    kept.end();
    await until('the old one to end', () => pool.states().length === 1);
    expect(died()).toEqual([]);
  });

  it('are replaced also while a listener can not be opened, which the new one goes on trying', async () => {
    const { pool, tcp } = await world(1);
    const [good, bad] = [await tcp(), { ...(await tcp()), slot: 1 }];
    const other = createServer();
    testScope().own({ stop: () => new Promise<void>((resolve) => other.close(() => resolve())) });
    await new Promise<void>((resolve) => other.listen(bad.port, '127.0.0.1', resolve));
    await pool.listen([good]);
    expect((await pool.listen([bad], { keepTrying: true })).ok).toBe(false);
    const sick = await line({ port: good.port });
    for (let i = 0; i < 11; i++) await sick.ask('throw');
    const states = (): string[] => pool.states().map(({ thread, state }) => `${thread} ${state}`);
    await until('the replacement in its place', () => states().join() === '0 draining,1 running');
    sick.end();
    await new Promise<void>((resolve) => other.close(() => resolve()));
    await until('the listener', () => pool.isOpen(1));
  });

  it('are replaced and renewed where ports cannot be shared, too', async () => {
    const { pool, tcp } = await world(1, false);
    const spec = await tcp();
    await pool.listen([spec]);
    const kept = await line({ port: spec.port });
    expect(await pool.renew({ ...spec, name: 'renewed' })).toEqual({ ok: true, value: null });
    for (let i = 0; i < 11; i++) await kept.ask('throw');
    await until('the replacement to listen', async () => (await askOnce(spec.port, 'row')) === '1');
    expect(await kept.ask('row')).toBe('0');
    kept.end();
    await until('the old one to end', () => pool.states().length === 1);
  });

  it('that hang are ended after ten seconds', async () => {
    const { pool, tcp, died } = await world(1);
    const spec = await tcp();
    await pool.listen([spec]);
    await (await line({ port: spec.port })).ask('spin');
    await until('the death', () => died().length === 1, { withinMs: 90_000 });
    expect(died()[0]).toContain('it hung');
    await until('service', () => askOnce(spec.port, 'row'));
  }, 120_000);

  it('tell of a refused connection', async () => {
    const { pool, signals, tcp } = await world(1);
    const spec = await tcp();
    await pool.listen([spec]);
    await askOnce(spec.port, 'refused');
    await until('the signal', () => signals.length === 1);
    expect(signals[0]).toMatchObject({ signal: 'refused', slot: 0 });
  });

  it('drain: the pool waits for the last client', async () => {
    const { pool, tcp } = await world(2);
    const spec = await tcp();
    await pool.listen([spec]);
    const last = await line({ port: spec.port });
    const drained = pool.drain();
    await until('the listeners to close', () =>
      line({ port: spec.port }).then(
        (one) => one.end(),
        () => true,
      ),
    );
    expect(await last.ask('version')).toBe('1');
    last.end();
    await drained;
  });

  it('have rows of their own, also while one waits to be started again', async () => {
    const { pool } = await world(2);
    await pool.terminate(0);
    await until('the second life', () => running(pool).length === 2);
    await pool.terminate(0);
    // Row 1 is in use by the thread that leaves, so the new one needs another: not that of the one who waits.
    pool.resize(1);
    pool.resize(2);
    const rows = pool.states().map(({ thread, state }) => `${thread} ${state}`);
    expect(rows).toEqual(['0 waiting', '1 draining', '2 starting']);
    await until('both', () => running(pool).length === 2);
  });

  it('become more and fewer', async () => {
    const { pool, tcp } = await world(1);
    const spec = await tcp();
    await pool.listen([spec]);
    pool.resize(2);
    await until('two threads that listen', () => running(pool).length === 2 && pool.isOpen(0));
    const kept = await lineTo(spec.port, 1);
    pool.resize(1);
    expect(await kept.ask('row')).toBe('1');
    kept.end();
    await until('one thread', () => pool.states().length === 1);
    expect(running(pool)).toEqual([0]);
  });
});

describe('listeners', () => {
  it('that cannot open are one failure, and none of them stays open', async () => {
    const { pool, tcp } = await world(2);
    const good = await tcp();
    const address = { kind: 'tcp', host: '192.0.2.1', port: good.port } as const;
    const bad = { ...good, slot: 1, address };
    const result = await pool.listen([good, bad]);
    expect(result).toMatchObject({ ok: false, error: { slot: 1, code: 'EADDRNOTAVAIL' } });
    expect(pool.isOpen(0)).toBe(false);
    await expect(line({ port: good.port })).rejects.toThrow('ECONNREFUSED');
  });

  it('that change while a thread is opening them are opened as they are now', async () => {
    const { pool, tcp } = await world(1);
    const [before, now] = [await tcp(), await tcp()];
    // Both are asked of the thread in one turn, as when a reload comes while a thread is being started again.
    const opened = pool.listen([before]);
    const renewed = pool.renew(now);
    expect([await opened, await renewed].map(({ ok }) => ok)).toEqual([true, true]);
    const one = await until('the listener as it is now', () => line({ port: now.port }));
    one.end();
  });

  it('are not left open in a thread that leaves while it opens them', async () => {
    const { pool, tcp } = await world(2);
    const [first, second] = [await tcp(), { ...(await tcp()), slot: 1 }];
    await pool.listen([first]);
    const kept = await lineTo(first.port, 1);
    const opened = pool.listen([second]);
    pool.resize(1);
    expect((await opened).ok).toBe(true);
    await until('all connections at the other thread', async () => {
      const lines = await Promise.all(Array.from({ length: 32 }, () => line({ port: second.port })));
      const rows = await Promise.all(lines.map((one) => one.ask('row')));
      for (const one of lines) one.end();
      return rows.every((row) => row === '0');
    });
    expect(await kept.ask('row')).toBe('1');
    kept.end();
  });

  it('on a unix socket survive the death of the thread that has it', async () => {
    const { pool, tcp } = await world(2);
    const scope = testScope();
    const path = join(await scope.folder(), 'web.sock');
    const spec = { ...(await tcp()), address: { kind: 'unix', path } as const };
    expect(await pool.listen([spec])).toEqual({ ok: true, value: null });
    expect(pool.isOpen(0)).toBe(true);
    const one = await line({ path });
    expect(await one.ask('row')).toBe('0');
    await pool.terminate(0);
    await one.closed;
    const again = await until('service', () => line({ path }));
    expect(await again.ask('row')).toBe('0');
    again.end();
    await pool.unlisten([0]);
    await expect(line({ path })).rejects.toThrow('ENOENT');
  });
});
