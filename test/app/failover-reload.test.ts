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
import { startRawNode } from '../helpers/raw-node.ts';
import { testScope } from '../helpers/scope.ts';

describe('a reload', () => {
  it('is refused if the node that it takes away became primary while it was being prepared', async () => {
    const scope = testScope();
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
          '    failover: manual',
        ].join('\n'),
      ),
      ...{ tls: new Map(), upstreamTls: new Map(), files: new Map() },
    });
    const [first, second] = [`{ id: a, url: '${a.url}', role: primary }`, `{ id: b, url: '${b.url}' }`];
    const file = { now: fileOf(first, second) };
    const log = createLog('error', { readable: false, write: () => {} });
    const control = new Control({ loaded: file.now, log, random: seededRandom(1), reusePort: false });
    const app = new App({ control, load: async () => ok(file.now), file: null, log, version: '0.0.0' });
    scope.own({ stop: () => app.close() });
    expect(await app.start()).toMatchObject({ ok: true });
    const address = app.adminAddress;
    const admin = `http://127.0.0.1:${address?.kind === 'tcp' ? address.port : 0}`;
    await until('a is primary', async () => (await fetch(`${admin}/ha/primary/app?node=a`)).status === 200);
    const apply = control.apply.bind(control);
    control.apply = async (...given) => {
      const body = JSON.stringify({ pool: 'app', targetNodeId: 'b' });
      const headers = { 'content-type': 'application/json' };
      const switched = await fetch(`${admin}/api/ha/failover`, { method: 'POST', headers, body });
      expect(await switched.json()).toMatchObject({ text: 'b is primary of epoch 2' });
      return apply(...given);
    };
    file.now = fileOf(first);
    const result = await app.reload();
    expect(result.ok ? '' : result.problems.map(({ message }) => message).join()).toContain('node b at');
    expect(app.config.pools[0]!.nodes.map(({ id }) => id)).toEqual(['a', 'b']);
    expect((await fetch(`${admin}/ha/primary/app?node=b`)).status).toBe(200);
  });
});
