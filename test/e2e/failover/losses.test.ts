/** The new primary has what clients were told, or nobody takes over until an operator gives it up by number. */
import { expect, it } from 'vitest';
import { runCli, startEvenkeel } from '../../helpers/evenkeel.ts';
import { until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { failoverOf, type PoolShown, poolOf, startReplicaNodes } from './world.ts';

const patient = { withinMs: 60_000 };

it('a replica that lacks acknowledged writes does not take over by itself; reads go on, and say that they are stale', async () => {
  const scope = testScope();
  const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
  const ek = await startEvenkeel(scope, { pools: { app: poolOf([a!, b!]) }, dataDir: await scope.folder() });
  const shown = (): Promise<PoolShown> => failoverOf((path) => ek.admin(path));
  const write = (id: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${ek.port}/write?id=${id}`, { method: 'POST' });
  await until('a primary', async () => (await shown()).writes.sent, patient);
  expect((await write('both')).status).toBe(200);
  await until('b has it', async () => (await b!.newest()) !== null, patient);

  await b!.kill();
  // These nodes acknowledge without a replica that does not answer: what is told now is on `a` alone.
  await until('a write that b lacks', async () => (await write('a-alone')).status === 200, patient);
  await a!.kill();
  await b!.start();
  const failed = await until(
    'nobody takes over',
    async () => {
      const now = await shown();
      if (now.nodes.some(({ id, up }) => id === 'b' && up === true) && now.state === 'FAILED') return now;
      throw new Error(JSON.stringify(now));
    },
    patient,
  );
  expect(failed).toMatchObject({ primary: null, writes: { sent: false } });
  expect(failed.reason).toMatch(/b/);
  expect((await b!.entries()).map(({ id }) => id)).toEqual(['both']);
  await until(
    'b is read, as stale',
    async () => {
      const read = await fetch(`http://127.0.0.1:${ek.port}/read`);
      const told = `${read.status} ${read.headers.get('x-node')} ${read.headers.has('x-ha-stale')}: ${await read.text()}`;
      if (told.startsWith('200 b true')) return true;
      throw new Error(told);
    },
    patient,
  );

  const admin = ['--admin', `127.0.0.1:${ek.adminPort}`];
  const refused = await runCli('failover', 'switch', 'app', '--to', 'b', '--force', ...admin);
  expect(refused.code).not.toBe(0);
  await until('FAILED still', async () => (await shown()).state === 'FAILED', patient);
  const taken = await runCli('failover', 'switch', 'app', '--to', 'b', '--accept-loss', '1000', ...admin);
  expect(taken).toMatchObject({ code: 0 });
  expect((await write('on-b')).status).toBe(200);
  expect((await b!.entries()).map(({ id }) => id)).toEqual(['both', 'on-b']);
}, 180_000);
