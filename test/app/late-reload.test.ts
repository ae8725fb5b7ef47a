/** A reload whose file takes long to read, in a process that begins to end meanwhile. */
import { expect, it } from 'vitest';
import { App } from '../../src/app/app.ts';
import { Control, type Loaded } from '../../src/app/control.ts';
import { createLog } from '../../src/app/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { ok } from '../../src/base/result.ts';
import { loaded } from '../config/helper.ts';
import { testScope } from '../helpers/scope.ts';

const files = { tls: new Map(), upstreamTls: new Map(), files: new Map(), shown: '{}' };
const config = (node: string): Loaded => ({
  ...loaded(
    `listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: { access: off }\npools: { app: { nodes: [${node}], health: off } }\n`,
  ),
  ...files,
});

it('is refused, and opens nothing again', async () => {
  const log = createLog('fatal', { readable: false, write: () => {} });
  const control = new Control({
    loaded: config('http://127.0.0.1:1'),
    log,
    random: seededRandom(1),
    reusePort: false,
  });
  const [begun, reading] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const load = () => {
    begun.resolve();
    return reading.promise.then(() => ok(config('http://127.0.0.1:2')));
  };
  const app = new App({ control, load, file: null, log, version: '0.0.0' });
  testScope().own({ stop: () => app.close() });
  expect(await app.start()).toMatchObject({ ok: true });
  const reloaded = app.reload();
  await begun.promise;
  await app.drain();
  expect(app.adminAddress).toBeNull();
  reading.resolve();
  const result = await reloaded;
  expect(result.ok ? '' : result.problems.map(({ message }) => message).join()).toBe('the process is draining');
  expect(app.adminAddress).toBeNull();
  expect(app.listeners().filter(({ name }) => control.isOpen(name))).toEqual([]);
  expect(app.config.pools[0]!.nodes.map(({ url }) => url)).toEqual(['http://127.0.0.1:1']);
});
