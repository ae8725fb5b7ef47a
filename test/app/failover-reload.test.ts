/** What a reload may not take away, judged in the moment in which it comes into force. Real nodes, a cluster of one. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { App } from '../../src/app/app.ts';
import { Control, type Loaded } from '../../src/app/control.ts';
import { createLog } from '../../src/app/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { ok } from '../../src/base/result.ts';
import { loaded } from '../config/helper.ts';
import { until } from '../helpers/poll.ts';
import { type RawConnection, type RawNode, sayWhat, startRawNode } from '../helpers/raw-node.ts';
import { type Scope, testScope } from '../helpers/scope.ts';

interface Running {
  readonly app: App;
  readonly control: Control;
  readonly a: RawNode;
  readonly b: RawNode;
  /** The file that the next reload finds. */
  readonly file: { now: Loaded };
  fileOf(...nodes: readonly string[]): Loaded;
  ask(path: string, method?: string, body?: object): Promise<Response>;
}

const nodeOf = (id: string, { url }: RawNode, more = ''): string => `{ id: ${id}, url: '${url}'${more} }`;

/** Two nodes, of which `a` is primary. */
async function start(scope: Scope): Promise<Running> {
  const [a, b] = [await startRawNode(scope), await startRawNode(scope)];
  const dataDir = join(await scope.folder(), 'data');
  const fileOf = (...nodes: readonly string[]): Loaded => ({
    ...loaded(
      [
        'listen: 127.0.0.1:0',
        'admin: 127.0.0.1:0',
        `dataDir: ${dataDir}`,
        'log: { access: off }',
        'pools:',
        '  app:',
        `    nodes: [${nodes.join(', ')}]`,
        '    health: { path: /health, interval: 200ms }',
        '    failover: { mode: manual, promote: { post: /promote, timeout: 60s } }',
      ].join('\n'),
    ),
    ...{ tls: new Map(), upstreamTls: new Map(), files: new Map(), shown: '{}' },
  });
  const file = { now: fileOf(nodeOf('a', a, ', role: primary'), nodeOf('b', b)) };
  const log = createLog('error', { readable: false, write: () => {} });
  const control = new Control({ loaded: file.now, log, random: seededRandom(1), reusePort: false });
  const app = new App({ control, load: async () => ok(file.now), file: null, log, version: '0.0.0' });
  scope.own({ stop: () => app.close() });
  expect(await app.start()).toMatchObject({ ok: true });
  const address = app.adminAddress;
  const admin = `http://127.0.0.1:${address?.kind === 'tcp' ? address.port : 0}`;
  const headers = { 'content-type': 'application/json' };
  const ask = (path: string, method = 'GET', body?: object): Promise<Response> =>
    fetch(`${admin}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  await until('a is primary', async () => (await ask('/ha/primary/app?node=a')).status === 200);
  return { app, control, a, b, file, fileOf, ask };
}

const toB = { pool: 'app', targetNodeId: 'b' };

describe('a reload', () => {
  it('is refused if the node that it takes away became primary while it was being prepared', async () => {
    const { app, control, a, file, fileOf, ask } = await start(testScope());
    const apply = control.apply.bind(control);
    control.apply = async (...given) => {
      expect(await (await ask('/api/ha/failover', 'POST', toB)).json()).toMatchObject({
        text: 'b is primary of epoch 2',
      });
      return apply(...given);
    };
    file.now = fileOf(nodeOf('a', a, ', role: primary'));
    const result = await app.reload();
    expect(result.ok ? '' : result.problems.map(({ message }) => message).join()).toContain('node b at');
    expect(app.config.pools[0]!.nodes.map(({ id }) => id)).toEqual(['a', 'b']);
    expect((await ask('/ha/primary/app?node=b')).status).toBe(200);
  });
});

describe('a node that is just becoming primary', () => {
  it('is not taken out of traffic, by the API or by a reload', async () => {
    const { app, a, b, file, fileOf, ask } = await start(testScope());
    const promoting: RawConnection[] = [];
    b.respond = (request, connection) => {
      if (request.start.startsWith('POST /promote ')) promoting.push(connection);
      else sayWhat(request, connection);
    };
    const switched = ask('/api/ha/failover', 'POST', toB);
    await until('b is being promoted', () => promoting.length === 1);
    const wished = await ask('/api/pools/app/nodes/b', 'PATCH', { wish: 'drain' });
    expect([wished.status, await wished.text()]).toEqual([409, expect.stringContaining('b is just becoming primary')]);
    file.now = fileOf(nodeOf('a', a, ', role: primary'), nodeOf('b', b, ', wish: drain'));
    const result = await app.reload();
    expect(result.ok ? '' : result.problems.map(({ message }) => message).join()).toContain('wish drain');
    promoting[0]!.write('HTTP/1.1 204 No Content\r\n\r\n');
    expect(await (await switched).json()).toMatchObject({ text: 'b is primary of epoch 2' });
  });
});
