/** What was agreed on is lost with its folder: the nodes are asked who is primary, and whoever was it before is not believed. */
import { expect, it } from 'vitest';
import { type Evenkeel, runCli, startEvenkeel } from '../../helpers/evenkeel.ts';
import { pause, until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { failoverOf, type PoolShown, poolOf, startReplicaNodes } from './world.ts';

const patient = { withinMs: 60_000 };
const shown = (ek: Evenkeel): Promise<PoolShown> => failoverOf((path) => ek.admin(path));
const adminOf = ({ adminPort }: Evenkeel): readonly string[] => ['--admin', `127.0.0.1:${adminPort}`];

it('the old primary is back, the new one is not there: no write is taken until an operator adopts one', async () => {
  const scope = testScope();
  const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
  const pools = { app: poolOf([a!, b!]) };
  const first = await startEvenkeel(scope, { pools, dataDir: await scope.folder() });
  await until('a primary', async () => (await shown(first)).writes.sent, patient);
  // The next probe tells it its epoch.
  await until('a knows of epoch 1', async () => (await a!.health()).epoch === 1, patient);
  await a!.kill();
  await until('b is primary', async () => (await shown(first)).primary === 'b', patient);
  await first.stop();
  await b!.kill();
  // It still takes itself for the primary, of epoch 1.
  await a!.start();
  expect(await a!.health()).toMatchObject({ role: 'primary', epoch: 1 });

  const second = await startEvenkeel(scope, { pools, dataDir: await scope.folder() });
  await until('a is seen', async () => (await shown(second)).nodes.some(({ id, up }) => id === 'a' && up), patient);
  await pause(2000);
  expect(await shown(second)).toMatchObject({ primary: null, writes: { sent: false } });
  await b!.start();
  await until('b is seen', async () => (await shown(second)).nodes.some(({ id, up }) => id === 'b' && up), patient);
  // Nobody guesses afterwards, either.
  expect(await shown(second)).toMatchObject({ primary: null, reason: 'epoch 1 was seen, and b did not answer' });
  const refused = await fetch(`http://127.0.0.1:${second.port}/write?id=1`, { method: 'POST' });
  expect(refused.status).toBe(503);
  const adopted = await runCli('failover', 'adopt', 'app', 'b', ...adminOf(second));
  expect(adopted).toMatchObject({ code: 0, stdout: 'b becomes primary of epoch 3' });
  await until('NORMAL', async () => (await shown(second)).state === 'NORMAL', patient);
  expect(await shown(second)).toMatchObject({ primary: 'b', epoch: 3, writes: { sent: true } });
  expect(await a!.health()).toMatchObject({ role: 'replica', epoch: 3 });
  await second.stop();

  const third = await startEvenkeel(scope, { pools, dataDir: await scope.folder() });
  await until('b is primary, by its own word', async () => (await shown(third)).primary === 'b', patient);
  expect((await shown(third)).epoch).toBe(4);
}, 180_000);
