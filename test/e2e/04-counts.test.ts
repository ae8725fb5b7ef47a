/** What is counted across threads is exact: requests in flight per node, and shares by weight. */
import { describe, expect, it } from 'vitest';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { type AppNode, startAppNodes } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { get, RawClient } from '../helpers/raw-client.ts';
import { type Scope, testScope } from '../helpers/scope.ts';

const health = { path: '/health', timeout: '10s', interval: '200ms' };
const listed = (nodes: readonly AppNode[], weights: readonly number[] = []): unknown[] =>
  nodes.map((node, i) => ({ id: node.name, url: node.url, weight: weights[i] ?? 1 }));

const heldBy = async (nodes: readonly AppNode[]): Promise<number[]> =>
  (await Promise.all(nodes.map((node) => node.stats()))).map((stats) => stats.held);

const inFlight = async (ek: Pick<Evenkeel, 'pool'>): Promise<number[]> =>
  (await ek.pool()).nodes.map((node) => node.inFlight);

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

/** Opens connections one after the other, each with a request that a node holds. */
async function hold(scope: Scope, port: number, nodes: readonly AppNode[], count: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  const before = sum(await heldBy(nodes));
  for (let i = 1; i <= count; i++) {
    const client = scope.own(new RawClient(port));
    clients.push(client);
    await client.send(get('/hold'));
    await until(`held request ${i}`, async () => sum(await heldBy(nodes)) === before + i, { everyMs: 1 });
  }
  return clients;
}

describe('least-connections over two data threads', () => {
  it('72 connections lie evenly on three nodes, and the counts are the nodes’ own', async () => {
    const scope = testScope();
    const nodes = await startAppNodes(scope, 'a', 'b', 'c');
    const ek = await startEvenkeel(scope, {
      workers: 2,
      pools: { app: { balance: 'least-connections', nodes: listed(nodes), health } },
    });
    await ek.fit(3);
    const clients = await hold(scope, ek.port, nodes, 72);
    expect(await heldBy(nodes)).toEqual([24, 24, 24]);
    expect(await inFlight(ek)).toEqual([24, 24, 24]);
    const threads = (await ek.stats()).threads.map((thread) => thread.connections);
    expect(Math.min(...threads)).toBeGreaterThan(0);

    // A reset: a mere end of their sending would leave them waiting for the answer.
    for (const client of clients.slice(0, 24)) client.socket.resetAndDestroy();
    await until('the gone ones are counted out', async () => sum(await inFlight(ek)) === 48);
    await until('and have left the nodes', async () => sum(await heldBy(nodes)) === 48);
    expect(await inFlight(ek)).toEqual(await heldBy(nodes));

    for (const node of nodes) await node.release();
    for (const client of clients.slice(24)) expect((await client.answers(1)).length).toBe(1);
    await until('nothing in flight', async () => sum(await inFlight(ek)) === 0);
    expect((await ek.pool()).active).toBe(0);
  });

  it('weights 5/1/1: 70 connections lie as 50/10/10', async () => {
    const scope = testScope();
    const nodes = await startAppNodes(scope, 'a', 'b', 'c');
    const ek = await startEvenkeel(scope, {
      workers: 2,
      pools: { app: { balance: 'least-connections', nodes: listed(nodes, [5, 1, 1]), health } },
    });
    await ek.fit(3);
    await hold(scope, ek.port, nodes, 70);
    expect(await inFlight(ek)).toEqual([50, 10, 10]);
    expect(await heldBy(nodes)).toEqual([50, 10, 10]);
  });

  it('a data thread is killed: what it had in flight is counted out, the rest stays exact', async () => {
    const scope = testScope();
    const nodes = await startAppNodes(scope, 'a', 'b', 'c');
    const ek = await startEvenkeel(
      scope,
      {
        workers: 2,
        pools: { app: { balance: 'least-connections', nodes: listed(nodes), health } },
      },
      { composed: true },
    );
    await ek.fit(3);
    const clients = await hold(scope, ek.port, nodes, 72);
    const [victim] = (await ek.stats()).threads;
    await ek.killThread(victim!.thread);
    await until('the dead thread’s connections are gone', () => clients.some((client) => client.end !== 'open'));
    await until('both threads run', async () =>
      (await ek.stats()).threads.every((thread) => thread.state === 'running'),
    );
    await until('counts are the nodes’ own', async () => {
      const [counted, real] = [await inFlight(ek), await heldBy(nodes)];
      return sum(real) < 72 && counted.join() === real.join();
    });
    const left = clients.filter((client) => client.end === 'open').length;
    expect(sum(await heldBy(nodes))).toBe(left);

    // New ones fill up what is missing: evenly again, and still exact.
    await hold(scope, ek.port, nodes, 72 - left);
    expect(await inFlight(ek)).toEqual([24, 24, 24]);
    expect(await heldBy(nodes)).toEqual([24, 24, 24]);
    for (const node of nodes) await node.release();
    await until('nothing in flight', async () => sum(await inFlight(ek)) === 0);
  });
});

describe('weighted', () => {
  it.each([1, 2])('5/1/1 gives 5/1/1 with %i data threads', async (workers) => {
    const scope = testScope();
    const nodes = await startAppNodes(scope, 'a', 'b', 'c');
    const ek = await startEvenkeel(scope, {
      workers,
      pools: { app: { balance: 'weighted', nodes: listed(nodes, [5, 1, 1]), health } },
    });
    await ek.fit(3);
    // Each thread takes turns of its own: a multiple of seven per connection comes out even, however they are spread.
    const connections = 64;
    const each = 14;
    await Promise.all(
      Array.from({ length: connections }, async () => {
        const client = scope.own(new RawClient(ek.port));
        for (let i = 1; i <= each; i++) {
          await client.send(get('/'));
          expect((await client.answers(i)).length).toBe(i);
        }
      }),
    );
    const counts = (await Promise.all(nodes.map((node) => node.stats()))).map((stats) => stats.requests);
    expect(counts).toEqual([640, 128, 128]);
  });
});
