/** What real traffic tells: a node that fails while its probes pass is taken out, tried once when its time is over, never the last. */
import { describe, expect, it } from 'vitest';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { statusOf } from '../helpers/http-bytes.ts';
import { until } from '../helpers/poll.ts';
import { ask, get } from '../helpers/raw-client.ts';
import { type RawNode, type Respond, startRawNode } from '../helpers/raw-node.ts';
import { testScope } from '../helpers/scope.ts';

const health = { path: '/health', timeout: '10s', interval: '100ms' };
const isProbe = (start: string): boolean => start.includes('/health');

/** Answers probes well and everything else with this status. */
const answering =
  (status: number): Respond =>
  (request, connection) =>
    connection.write(`HTTP/1.1 ${isProbe(request.start) ? 200 : status} X\r\nContent-Length: 0\r\n\r\n`);

const traffic = (node: RawNode): number => node.requests().filter((request) => !isProbe(request.start)).length;

describe('five errors in a row', () => {
  it('eject a node whose probes pass; one real request tries it later, then it is back', async () => {
    const scope = testScope();
    const [good, bad] = [await startRawNode(scope), await startRawNode(scope)];
    good.respond = answering(200);
    bad.respond = answering(500);
    const ek = await startEvenkeel(scope, {
      pools: {
        app: {
          balance: 'round-robin',
          nodes: [
            { id: 'good', url: good.url },
            { id: 'bad', url: bad.url },
          ],
          health,
          passive: { consecutiveErrors: 5, ejectBase: '600ms', maxEjected: '50%' },
        },
      },
    });
    await ek.fit(2);
    await until('ejected', async () => {
      await ask(ek.port, get('/'));
      return (await ek.node('bad')).ejectedUntil !== null;
    });
    const before = traffic(bad);
    expect(before).toBeGreaterThanOrEqual(5);
    const ejected = await ek.node('bad');
    expect(ejected).toMatchObject({ verdict: 'healthy', fitness: 'unfit', ejections: 1 });
    const stillOut = async (): Promise<boolean> => {
      const { fitness, ejections } = await ek.node('bad');
      return fitness === 'unfit' && ejections === 1;
    };
    for (let i = 0; i < 20; i++) {
      const still = await stillOut();
      const status = statusOf(await ask(ek.port, get('/')));
      if (still && (await stillOut())) expect([status, traffic(bad)]).toEqual([200, before]);
    }

    // Its time is over and it still fails: one request shows it, and it is out again.
    const { ejections } = await until('ejected again', async () => {
      await ask(ek.port, get('/'));
      const seen = await ek.node('bad');
      return seen.ejections >= 2 && seen;
    });
    expect(traffic(bad)).toBe(before + ejections - 1);

    bad.respond = answering(200);
    await until('back', async () => {
      await ask(ek.port, get('/'));
      return (await ek.node('bad')).fitness === 'fit';
    });
  });

  it('eject a node that only gets what may not be sent again: one of those tries it, and it is back', async () => {
    const scope = testScope();
    const [good, bad] = [await startRawNode(scope), await startRawNode(scope)];
    good.respond = answering(200);
    bad.respond = answering(500);
    const nodes = [
      { id: 'good', url: good.url },
      { id: 'bad', url: bad.url },
    ];
    const passive = { consecutiveErrors: 3, ejectBase: '100ms' };
    const ek = await startEvenkeel(scope, { pools: { app: { balance: 'round-robin', nodes, health, passive } } });
    await ek.fit(2);
    const post = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n';
    await until('ejected', async () => {
      await ask(ek.port, post);
      return (await ek.node('bad')).ejections > 0;
    });
    bad.respond = answering(200);
    await until('back', async () => {
      await ask(ek.port, post);
      return (await ek.node('bad')).fitness === 'fit';
    });
  });

  it('never eject the last one', async () => {
    const scope = testScope();
    const nodes = [await startRawNode(scope), await startRawNode(scope)];
    for (const node of nodes) node.respond = answering(500);
    const ek = await startEvenkeel(scope, {
      pools: {
        app: { nodes: nodes.map((node) => node.url), health, passive: { consecutiveErrors: 3, maxEjected: '100%' } },
      },
    });
    await ek.fit(2);
    for (let i = 0; i < 30; i++) expect(statusOf(await ask(ek.port, get('/')))).toBe(500);
    expect((await ek.pool()).fit).toBeGreaterThanOrEqual(1);
  });
});

describe('backup nodes', () => {
  it('serve only while no other is fit', async () => {
    const scope = testScope();
    const [main, backup] = [await startRawNode(scope), await startRawNode(scope)];
    const ek = await startEvenkeel(scope, {
      pools: {
        app: {
          nodes: [
            { id: 'main', url: main.url },
            { id: 'backup', url: backup.url, backup: true },
          ],
          health: { ...health, fall: 1, rise: 1 },
        },
      },
    });
    await ek.fit(2);
    for (let i = 0; i < 10; i++) await ask(ek.port, get('/'));
    expect([traffic(main), traffic(backup)]).toEqual([10, 0]);
    main.respond = (_request, connection) => connection.write('HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n');
    await until('main unfit', async () => (await ek.node('main')).fitness === 'unfit');
    for (let i = 0; i < 10; i++) expect(statusOf(await ask(ek.port, get('/')))).toBe(200);
    expect(traffic(backup)).toBe(10);
  });
});
