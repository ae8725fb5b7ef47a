import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type SampleNode, SampleNodes } from '../../src/cli/sample-nodes.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { testScope } from '../helpers/scope.ts';
import { isGone } from './cli.ts';

async function startNodes(ports: readonly number[]) {
  const said: string[] = [];
  const nodes = new SampleNodes({ ports, restartAfterMs: 10, say: (line) => said.push(line) });
  testScope().own({ stop: () => nodes.stop() });
  return { nodes, said, started: await nodes.start() };
}

const get = async (node: SampleNode, path: string, init: RequestInit = {}): Promise<unknown> =>
  (await fetch(`http://127.0.0.1:${node.port}${path}`, init)).json();

describe('sample nodes', () => {
  it('are processes of their own that answer with their names', async () => {
    const { started } = await startNodes([0, 0]);
    expect(started.map((node) => node.name)).toEqual(['app-1', 'app-2']);
    expect(new Set(started.map((node) => node.pid)).size).toBe(2);
    for (const node of started) {
      expect(await get(node, '/')).toEqual({ node: node.name, pid: node.pid, answered: 1 });
      expect(await get(node, '/slow?ms=1')).toMatchObject({ answered: 2 });
      expect(await get(node, '/health')).toEqual({ status: 'up', node: node.name });
      const echoed = await get(node, '/echo?a=1', { method: 'POST', body: 'hello' });
      expect(echoed).toMatchObject({ node: node.name, method: 'POST', url: '/echo?a=1', body: 'hello' });
    }
  });

  it('come back when one was killed, and say so', async () => {
    const { started, said } = await startNodes([await freePort()]);
    const [node] = started;
    process.kill(node!.pid, 'SIGKILL');
    await until('the node is back', () => said.length === 2);
    expect(said[0]).toContain(`app-1 on port ${node!.port} (pid ${node!.pid}) ended: SIGKILL`);
    expect(said[1]).toMatch(/app-1 on port \d+ is back, pid \d+\./);
    expect(await get(node!, '/')).toMatchObject({ node: 'app-1', answered: 1 });
  });

  it('end with their parent’s wish, and stay ended', async () => {
    const { nodes, started, said } = await startNodes([0, 0]);
    nodes.stop();
    for (const node of started) await until(`end of ${node.pid}`, () => isGone(node.pid));
    expect(said).toEqual([]);
  });

  it('name the port that is taken, and leave none running', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    testScope().own({ stop: () => void holder.close() });
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    await expect(startNodes([0, port])).rejects.toThrow(`port ${port} is taken`);
  });
});
