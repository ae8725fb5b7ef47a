/** Bounds of load: a full node gets no more, who waits is answered when there is room, who can't wait is told so. */
import { describe, expect, it } from 'vitest';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { field, statusOf } from '../helpers/http-bytes.ts';
import { startAppNode } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { ask, get, RawClient } from '../helpers/raw-client.ts';
import { type Scope, testScope } from '../helpers/scope.ts';

const holdOne = async (scope: Scope, port: number): Promise<RawClient> => {
  const client = scope.own(new RawClient(port));
  await client.send(get('/hold'));
  return client;
};

describe.each([1, 2])('maxConnections of a node, %i data threads', (workers) => {
  it('holds across threads; the queue is answered in its turn; past it 503 with Retry-After', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const limits = { maxConnections: 4, maxPending: 6, queueTimeout: '5m' };
    const ek = await startEvenkeel(scope, { workers, pools: { app: { nodes: [node.url], limits } } });
    await ek.fit(1);
    const holding = await Promise.all(Array.from({ length: 4 }, () => holdOne(scope, ek.port)));
    await until('four at the node', async () => (await node.stats()).held === 4);
    const waiting = await Promise.all(Array.from({ length: 6 }, () => holdOne(scope, ek.port)));
    await until('six in the queue', async () => (await ek.pool()).pending === 6);

    const refused = await ask(ek.port, get('/'));
    expect(statusOf(refused)).toBe(503);
    expect(field(refused, 'retry-after')).toMatch(/^\d+$/);
    expect((await node.stats()).held).toBe(4);

    for (let served = 4; served <= 10; served += 4) {
      await node.release();
      await until('the next ones', async () => {
        const { requests, held } = await node.stats();
        return requests === Math.min(served + 4, 10) && held <= 4;
      });
    }
    await until('all answered', async () => {
      await node.release();
      return [...holding, ...waiting].every((client) => client.received.includes('200 OK'));
    });
    const pool = await until('nothing under way', async () => {
      const seen = await ek.pool();
      return seen.pending === 0 && seen.active === 0 && seen;
    });
    expect(pool.counters).toMatchObject({ queued: 6, queueFull: 1 });
  });
});

describe('the queue', () => {
  it('ends at its deadline with 503', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const limits = { maxConnections: 1, maxPending: 10, queueTimeout: '200ms' };
    const ek = await startEvenkeel(scope, { pools: { app: { nodes: [node.url], limits } } });
    await ek.fit(1);
    await holdOne(scope, ek.port);
    await until('one at the node', async () => (await node.stats()).held === 1);
    const late = await ask(ek.port, get('/'));
    expect(statusOf(late)).toBe(503);
    expect((await ek.pool()).counters.queueTimeouts).toBe(1);
    expect((await node.stats()).requests).toBe(1);
  });

  it('is left by clients that go away', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const limits = { maxConnections: 1, maxPending: 10, queueTimeout: '5m' };
    const ek = await startEvenkeel(scope, { pools: { app: { nodes: [node.url], limits } } });
    await ek.fit(1);
    await holdOne(scope, ek.port);
    await until('one at the node', async () => (await node.stats()).held === 1);
    const gone = await holdOne(scope, ek.port);
    await until('one in the queue', async () => (await ek.pool()).pending === 1);
    gone.socket.resetAndDestroy();
    await until('nobody in the queue', async () => (await ek.pool()).pending === 0);
    await node.release();
    await until('nothing in flight', async () => (await ek.pool()).active === 0);
    expect((await node.stats()).requests).toBe(1);
  });
});

describe('limits.maxConnections of the process', () => {
  it('one more is answered 503 and closed; when one has gone there is room again', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const ek = await startEvenkeel(scope, { limits: { maxConnections: 3 }, pools: { app: { nodes: [node.url] } } });
    await ek.fit(1);
    const clients = [];
    for (let i = 0; i < 3; i++) {
      const client = scope.own(new RawClient(ek.port));
      await client.send(get('/'));
      await client.answers(1);
      clients.push(client);
    }
    const fourth = scope.own(new RawClient(ek.port));
    await fourth.connected;
    await fourth.ended();
    expect(fourth.received).toMatch(/^HTTP\/1\.1 503 /);
    clients[0]!.stop();
    await until('room again', async () => statusOf(await ask(ek.port, get('/'))) === 200);
  });
});
