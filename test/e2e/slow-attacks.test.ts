/**
 * slowhttptest's four attacks by 600 connections each: heads, bodies and readers that trickle, and ranges by the thousand.
 * Meanwhile everybody else is served, memory stays bounded, and afterwards nothing of the attack is left.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { startAppNode } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { get, RawClient } from '../helpers/raw-client.ts';
import { fileScope, testScope } from '../helpers/scope.ts';

const run = promisify(execFile);
const scope = fileScope();
const connections = 600;
const seconds = 10;
let ek: Evenkeel;

beforeAll(async () => {
  const app = await startAppNode(scope, 'a');
  ek = await startEvenkeel(scope, {
    pools: { app: { nodes: [app.url], health: { timeout: '10s' } } },
    timeouts: { head: '4s', body: '4s', write: '4s', keepAlive: '4s' },
  });
  await ek.fit(1);
});

/** What it sends, where to, and how many connections stand open at once at least. */
const attacks = {
  'slow heads': { args: ['-H', '-i', '1'], path: '/', least: connections / 4 },
  'slow bodies': { args: ['-B', '-i', '1', '-s', '8192'], path: '/echo', least: connections / 4 },
  'slow readers': {
    args: ['-X', '-w', '10', '-y', '20', '-n', '1', '-z', '32', '-k', '3'],
    path: '/big?bytes=1048576',
    least: connections / 4,
  },
  'many ranges': { args: ['-R', '-a', '1', '-b', '3000'], path: '/', least: 0 },
} as const;

/** Open client connections, by the process's own count. */
const open = async (): Promise<number> => {
  const { listeners } = await ek.stats();
  return listeners.reduce((sum, { connections: count }) => sum + count, 0);
};

describe.each(Object.entries(attacks))('%s', (_name, { args, path, least }) => {
  it('keep nobody else out, and end', { timeout: 240_000 }, async () => {
    const own = testScope();
    const before = ek.residentBytes();
    const url = `http://127.0.0.1:${ek.port}${path}`;
    const load = ['-c', String(connections), '-r', '200', '-l', String(seconds), '-p', '5', '-u', url];
    let over = false;
    const attack = run('slowhttptest', [...args, ...load], { timeout: 60_000, cwd: await own.folder() })
      .catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }))
      .finally(() => {
        over = true;
      });
    let [answered, most, resident] = [0, 0, before];
    while (!over) {
      const client = own.own(new RawClient(ek.port));
      await client.send(get('/'));
      const [answer] = await client.answers(1, { withinMs: 60_000 });
      expect(answer?.start).toBe('HTTP/1.1 200 OK');
      answered++;
      await client.stop();
      most = Math.max(most, await open());
      resident = Math.max(resident, ek.residentBytes());
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await attack;
    expect(answered).toBeGreaterThan(3);
    expect(most).toBeGreaterThanOrEqual(least);
    // Of each attacker: its sockets, a head or a part of a body, and what the kernel would not take of an answer.
    expect(resident - before).toBeLessThan(connections * 256 * 1024);
    await until('the last attacker gone', async () => (await open()) === 0, { withinMs: 90_000 });
    const [node] = (await ek.pool()).nodes;
    await until('nothing in flight', async () => (await ek.pool()).nodes[0]?.inFlight === 0);
    expect(node?.fitness).toBe('fit');
  });
});
