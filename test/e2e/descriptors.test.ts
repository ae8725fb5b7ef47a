/** A process without a free file descriptor: who is served goes on being served, nothing spins, and it comes back by itself. */
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { statusOf } from '../helpers/http-bytes.ts';
import { startAppNode } from '../helpers/nodes.ts';
import { pause, until } from '../helpers/poll.ts';
import { ask, get, RawClient } from '../helpers/raw-client.ts';
import { testScope } from '../helpers/scope.ts';

const descriptors = 160;

/** CPU time of a process so far, ms: user and system, in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

async function start() {
  const scope = testScope();
  const node = await startAppNode(scope, 'a');
  const ek = await startEvenkeel(
    scope,
    { pools: { app: { nodes: [node.url], health: { path: '/health', timeout: '10s', interval: '200ms' } } } },
    { through: ['prlimit', `--nofile=${descriptors}:${descriptors}`] },
  );
  await ek.fit(1);
  const client = (): RawClient => scope.own(new RawClient(ek.port));
  /** Connections that say nothing, more than there are descriptors: some are let in, the others hang or are closed. */
  const crowd = async (): Promise<Socket[]> => {
    const sockets = Array.from({ length: 2 * descriptors }, () => {
      const socket = connect(ek.port, '127.0.0.1').on('error', () => {});
      scope.own({ stop: () => void socket.destroy() });
      return socket;
    });
    await until('no descriptor left', () => openFiles(ek.child.pid) >= descriptors - 1);
    return sockets;
  };
  return { node, ek, client, crowd };
}

describe('more connections than descriptors', () => {
  it('who is served goes on, CPU stays low, the node keeps its health; new ones are served when some have gone', async () => {
    const { ek, client, crowd } = await start();
    const kept = client();
    let asked = 0;
    const asks = async (): Promise<number> => {
      await kept.send(get('/'));
      return statusOf((await kept.answers(++asked))[asked - 1]!);
    };
    expect(await asks()).toBe(200);
    const sockets = await crowd();
    const from = { cpu: cpuMs(ek.child.pid), at: performance.now() };
    for (let i = 0; i < 20; i++) {
      expect(await asks()).toBe(200);
      await pause(100);
    }
    // A thread that spins takes a whole core, or as much of one as it gets.
    expect((cpuMs(ek.child.pid) - from.cpu) / (performance.now() - from.at)).toBeLessThan(0.5);
    for (const socket of sockets) socket.destroy();
    await until('new ones served', async () => statusOf(await ask(ek.port, get('/'))) === 200);
    const [node] = (await ek.pool()).nodes;
    expect([node!.fitness, ek.child.exited]).toEqual(['fit', null]);
  });

  it('a request for which no connection to the node can be opened is answered 503, and the node is not blamed', async () => {
    const { ek, client, crowd, node } = await start();
    const [first, second] = [client(), client()];
    await first.connected;
    await second.send(get('/'));
    await second.answers(1);
    // The only connection to the node is taken, and there is none for another.
    await first.send(get('/hold'));
    await until('held', async () => (await node.stats()).held === 1);
    const sockets = await crowd();
    await second.send(get('/'));
    expect(statusOf((await second.answers(2))[1]!)).toBe(503);
    for (const socket of sockets) socket.destroy();
    await node.release();
    expect((await first.answers(1)).map(statusOf)).toEqual([200]);
    await second.send(get('/'));
    expect(statusOf((await second.answers(3))[2]!)).toBe(200);
    const { fitness, counters } = (await ek.pool()).nodes[0]!;
    expect([fitness, counters.resets, counters.timeouts]).toEqual(['fit', 0, 0]);
  });
});
