import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drawStatus } from '../../src/cli/status-table.ts';
import { freePort } from '../helpers/ports.ts';
import { testScope } from '../helpers/scope.ts';
import { cli } from './cli.ts';
import { nodeStats, poolStats, sampleStats } from './sample-stats.ts';

/** An admin API that answers GET /stats as told. */
async function adminApi(listener: RequestListener, path?: string): Promise<string> {
  const server = createServer(listener);
  const port = path ?? (await freePort());
  await new Promise<void>((resolve) => server.listen(typeof port === 'string' ? { path: port } : { port }, resolve));
  testScope().own({ stop: () => void server.close() });
  return typeof port === 'string' ? `unix:${port}` : `127.0.0.1:${port}`;
}

const answering =
  (body: unknown, status = 200): RequestListener =>
  (request, response) => {
    response.statusCode = request.url === '/stats' ? status : 404;
    response.end(JSON.stringify(body));
  };

describe('evenkeel status', () => {
  it('draws a table and exits 0 when every pool has a fit node', async () => {
    const admin = await adminApi(answering(sampleStats()));
    const { code, stdout, stderr } = await cli(['status', '--admin', admin]);
    expect(stderr).toBe('');
    expect(stdout).toBe(drawStatus(sampleStats()));
    expect(code).toBe(0);
  });

  it('prints what the API said with --json, over a unix socket too', async () => {
    const folder = await testScope().folder();
    const admin = await adminApi(answering(sampleStats()), join(folder, 'admin.sock'));
    const { code, stdout } = await cli(['status', '--json', '--admin', admin]);
    expect(JSON.parse(stdout)).toEqual(sampleStats());
    expect(code).toBe(0);
  });

  it('exits 3 when a pool has no fit node', async () => {
    const dead = poolStats({ fit: 0, nodes: [nodeStats({ fitness: 'unfit', verdict: 'unhealthy' })] });
    const admin = await adminApi(answering(sampleStats({ pools: [poolStats(), dead] })));
    expect((await cli(['status', '--admin', `http://${admin}`])).code).toBe(3);
  });

  it('sends the token, from the option or the environment', async () => {
    const seen: (string | undefined)[] = [];
    const admin = await adminApi((request, response) => {
      seen.push(request.headers.authorization);
      answering(sampleStats())(request, response);
    });
    await cli(['status', '--admin', admin, '--token', 'one']);
    await cli(['status', '--admin', admin], { env: { EVENKEEL_ADMIN_TOKEN: 'two' } });
    expect(seen).toEqual(['Bearer one', 'Bearer two']);
  });

  it('exits 4 with one line when nothing answers, or something else does', async () => {
    const nobody = await cli(['status', '--admin', `127.0.0.1:${await freePort()}`]);
    expect(nobody).toMatchObject({ code: 4, stdout: '' });
    expect(nobody.stderr).toMatch(/^Cannot read \/stats .*ECONNREFUSED.*--admin\.\n$/);
    const locked = await cli(['status', '--admin', await adminApi(answering({}, 401))]);
    expect(locked).toMatchObject({ code: 4, stdout: '' });
    expect(locked.stderr).toContain('--token');
    const why = { title: 'Host not allowed', detail: 'ask by an IP address' };
    const elsewhere = await cli(['status', '--admin', await adminApi(answering(why, 403))]);
    expect(elsewhere).toMatchObject({ code: 4, stdout: '' });
    expect(elsewhere.stderr).toMatch(/it answers 403\. Host not allowed: ask by an IP address\n$/);
    const other = await cli(['status', '--admin', await adminApi((_request, response) => void response.end('<html>'))]);
    expect(other).toMatchObject({ code: 4, stdout: '' });
    const shape = await cli(['status', '--admin', await adminApi(answering({ hello: 1 }))]);
    expect(shape).toMatchObject({ code: 4, stdout: '' });
    const bad = await cli(['status', '--admin', 'not an address']);
    expect(bad).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('drawStatus', () => {
  const drawn = (node: Parameters<typeof nodeStats>[0]): string =>
    drawStatus(sampleStats({ pools: [poolStats({ nodes: [nodeStats(node)] })] }))
      .split('\n')
      .at(-2) ?? '';

  it('says the operator’s wish first, then what traffic and checks found', () => {
    expect(drawn({ wish: 'drain', verdict: 'unhealthy', fitness: 'unfit' })).toContain(' drain ');
    expect(drawn({ fitness: 'unfit', ejectedUntil: '2026-01-01T00:00:30.000Z' })).toContain(' ejected ');
    expect(drawn({ fitness: 'probation' })).toContain(' probation ');
    expect(drawn({ fitness: 'unfit', verdict: 'unhealthy' })).toContain(' unhealthy ');
    expect(drawn({ verdict: 'unknown', fitness: 'unfit' })).toContain(' unknown ');
    expect(drawn({})).toContain(' healthy ');
  });

  it('shows a weight that slow start holds down beside the configured one', () => {
    expect(drawn({ weight: 5, weightInForce: 0.5 })).toContain(' 0.5/5 ');
    expect(drawn({ weight: 5, weightInForce: 5 })).toMatch(/ 5 /);
  });

  it('tells of a refused reload, restarted threads, waiting requests, panic', () => {
    const base = sampleStats();
    const text = drawStatus({
      ...base,
      config: { ...base.config, lastReload: { ok: false, at: '2026-01-01T00:00:00.000Z', problem: 'bad weight' } },
      threads: base.threads.map((thread) => ({ ...thread, restarts: 2 })),
      pools: [poolStats({ panic: true, pending: 3 })],
    });
    for (const part of ['reload refused', 'bad weight', '2 restarted', 'PANIC', '3 waiting'])
      expect(text).toContain(part);
  });
});
