import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Problem } from '../../src/config/model.ts';
import { type Answer, ready, startWorld, token, type World } from './fixture.ts';
import { clusterOfOne } from './ha/fixture.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world.close());

const type = { 'content-type': 'application/json' };
const get = (path: string): Promise<Answer> => world.ask({ path });
const patch = (path: string, body: string): Promise<Answer> =>
  world.ask({ method: 'PATCH', path, body, headers: type });
const wish = (body: unknown, node = '10.0.0.11:3000'): Promise<Answer> =>
  patch(`/api/pools/app/nodes/${node}`, JSON.stringify(body));

const problem: Problem = {
  file: 'config.yaml',
  line: 3,
  column: 5,
  path: 'pools.app.weight',
  message: 'unknown key `weight`',
  hint: 'weights belong to nodes',
  source: 'token: s3cret-in-the-source',
  severity: 'error',
};

describe('reading', () => {
  it('GET / lists what there is', async () => {
    const answer = await get('/');
    expect(answer.status).toBe(200);
    const { endpoints } = answer.json as { endpoints: { method: string; path: string }[] };
    for (const { method, path } of endpoints.filter((one) => one.method === 'GET' && !one.path.includes(':'))) {
      expect((await get(path)).status, `${method} ${path}`).toBe(200);
    }
  });

  it('docs/ADMIN-API.md lists the same', async () => {
    const page = readFileSync(new URL('../../docs/ADMIN-API.md', import.meta.url), 'utf8');
    const documented = [...page.matchAll(/`(GET|POST|PUT|PATCH|DELETE) (\/[^`]*)`/g)].map(
      ([, method, path]) => `${method} ${path}`,
    );
    const clustered = await startWorld({}, clusterOfOne().ha, 'starting');
    const { endpoints } = (await clustered.ask({ path: '/' })).json as {
      endpoints: { method: string; path: string }[];
    };
    await clustered.close();
    const offered = endpoints.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '<$1>')}`);
    expect(documented.toSorted()).toEqual(['GET /', ...offered].toSorted());
  });

  it('GET /stats and /api/pools tell states and reasons', async () => {
    const stats = await get('/stats');
    expect(stats.headers['content-type']).toBe('application/json');
    expect(stats.headers['cache-control']).toBe('no-store');
    expect(stats.text).toContain('3 failed checks in a row');
    const one = await get('/api/pools/app');
    expect(one.json).toMatchObject({ name: 'app', fit: 1, total: 2 });
    expect((await get('/api/pools')).json).toMatchObject({ pools: [{ name: 'app' }, { name: 'unix pool' }] });
  });

  it('GET /metrics is what Prometheus reads', async () => {
    const answer = await get('/metrics');
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.text).toContain('evenkeel_pool_fit_nodes{pool="app"} 1\n');
  });

  it('GET /api/version and /api/config', async () => {
    expect((await get('/api/version')).json).toEqual({ version: '1.2.3', config: 3, uptimeSeconds: 90 });
    expect((await get('/api/config')).json).toEqual({ admin: { token: '***' } });
  });

  it('HEAD is GET without a body', async () => {
    const answer = await world.ask({ method: 'HEAD', path: '/stats' });
    expect([answer.status, answer.text]).toEqual([200, '']);
  });

  it('an unknown pool is 404 and names those that there are, in whatever spelling the name comes', async () => {
    const answer = await get('/api/pools/shop');
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json).toMatchObject({ status: 404, title: 'Unknown pool' });
    expect(answer.json['detail']).toBe('there is no pool "shop"; known: "app", "unix pool"');
    expect((await get('/api/pools/unix%20pool')).status).toBe(200);
    for (const name of ['__proto__', 'constructor', '%ff', '%', '%00', 'x'.repeat(5000)]) {
      expect((await get(`/api/pools/${name}`)).status, name).toBe(404);
    }
  });

  it('an unknown path is 404, a known one with another method 405', async () => {
    expect((await get('/nowhere')).status).toBe(404);
    expect((await get('/stats/')).status).toBe(404);
    const answer = await world.ask({ method: 'DELETE', path: '/stats', headers: type });
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'GET']);
    expect((await get('/api/reload')).status).toBe(405);
  });
});

describe('probes', () => {
  it('/livez answers whatever the state', async () => {
    world.readiness = { ...ready, draining: true };
    expect((await get('/livez')).status).toBe(200);
  });

  it('/readyz is 503 with each reason', async () => {
    expect((await get('/readyz')).json).toEqual({ status: 'ready', reasons: [] });
    world.readiness = {
      configLoaded: true,
      listeners: [{ name: ':80', open: false, problem: 'EACCES: not permitted' }],
      firstHealthRound: false,
      draining: true,
    };
    const answer = await get('/readyz');
    expect(answer.status).toBe(503);
    expect(answer.json['reasons']).toEqual([
      'listener :80 is not open: EACCES: not permitted',
      'the first health checks are not complete',
      'draining: the process is about to end',
    ]);
    world.readiness = { ...ready, configLoaded: false };
    expect((await get('/readyz')).status).toBe(503);
  });

  it('/health is 200 and says what is degraded, 503 when not ready', async () => {
    const answer = await get('/health');
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({
      status: 'degraded',
      warnings: ['pool app: 1 of 2 nodes are fit', '1 of 2 data threads are down'],
    });
    world.readiness = { ...ready, draining: true };
    expect((await get('/health')).status).toBe(503);
  });
});

describe('the wish of a node', () => {
  it.each(['ready', 'drain', 'maint'])('%s is set, answered with the node, and audited', async (value) => {
    const answer = await wish({ wish: value });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ id: '10.0.0.11:3000' });
    expect(world.wishes).toEqual([{ pool: 'app', node: '10.0.0.11:3000', wish: value }]);
    expect(world.audited).toMatchObject([
      { action: 'set-wish', target: 'app/10.0.0.11:3000', value, result: 'done', reason: '', peer: '127.0.0.1' },
    ]);
  });

  it('finds a node whose id has a slash', async () => {
    const answer = await patch('/api/pools/unix%20pool/nodes/unix:%2Frun%2Fa.sock', '{"wish":"drain"}');
    expect(answer.status).toBe(200);
    expect(world.wishes).toEqual([{ pool: 'unix pool', node: 'unix:/run/a.sock', wish: 'drain' }]);
  });

  it('is 404 for an unknown node, and names those that there are', async () => {
    const answer = await wish({ wish: 'drain' }, 'nobody');
    expect(answer.status).toBe(404);
    expect(answer.json['detail']).toBe('pool "app" has no node "nobody"; known: "10.0.0.11:3000", "10.0.0.12:3000"');
    expect(world.wishes).toEqual([]);
    expect(world.audited).toMatchObject([{ result: 'refused', target: 'app/nobody' }]);
  });

  it.each([
    {},
    { wish: 'down' },
    { wish: null },
    { wish: ['drain'] },
    { wish: 'drain', force: true },
    { Wish: 'drain' },
  ])('refuses %j', async (body) => {
    expect((await wish(body)).status).toBe(422);
    expect(world.wishes).toEqual([]);
  });

  it.each(['', 'drain', '[]', '"drain"', '{"wish":"drain"', 'null', '\0'])('refuses the body %j', async (body) => {
    expect((await patch('/api/pools/app/nodes/10.0.0.11:3000', body)).status).toBe(400);
    expect(world.wishes).toEqual([]);
  });

  it('refuses a body above 64 KiB, sized or chunked', async () => {
    const path = '/api/pools/app/nodes/10.0.0.11:3000';
    const body = `{"wish":"drain"${' '.repeat(64 * 1024)}}`;
    expect((await patch(path, body)).status).toBe(413);
    const chunked = { ...type, 'transfer-encoding': 'chunked' };
    expect((await world.ask({ method: 'PATCH', path, body, headers: chunked })).status).toBe(413);
    expect(world.wishes).toEqual([]);
  });
});

describe('a reload', () => {
  const reload = (body?: string): Promise<Answer> =>
    world.ask({ method: 'POST', path: '/api/reload', headers: type, ...(body === undefined ? {} : { body }) });

  it('answers with the version in force', async () => {
    expect((await reload()).json).toEqual({ version: 4, changed: true, warnings: [] });
    expect((await reload('{}')).status).toBe(200);
    expect(world.audited).toMatchObject([
      { action: 'reload', result: 'done' },
      { action: 'reload', result: 'done' },
    ]);
  });

  it('answers 422 with all problems, without the source lines', async () => {
    const warning: Problem = { ...problem, severity: 'warning' }; // shown, and not counted: it refuses nothing
    world.reload = () => Promise.resolve({ ok: false, version: 3, problems: [problem, warning, problem] });
    const answer = await reload();
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({
      title: 'Config refused',
      detail: '2 problems; config 3 stays in force',
      version: 3,
    });
    expect(answer.json['problems']).toHaveLength(3);
    expect(answer.text).toContain('weights belong to nodes');
    expect(answer.text).not.toContain('s3cret');
    expect(world.audited).toMatchObject([{ action: 'reload', result: 'failed' }]);
  });

  it('that throws is a 500 without its cause, and told to the log', async () => {
    world.reload = () => Promise.reject(new Error('s3cret cause'));
    const answer = await reload();
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('s3cret');
    expect(world.errors).toHaveLength(1);
    expect(world.audited).toMatchObject([{ action: 'reload', result: 'failed', reason: 'internal error' }]);
    expect((await get('/livez')).status).toBe(200);
  });

  it('is never done by GET', async () => {
    expect((await get('/api/reload')).status).toBe(405);
    expect(world.audited).toEqual([]);
  });
});

describe('with a token', () => {
  const authorization = `Bearer ${token}`;
  beforeEach(() => {
    world.access = { ...world.access, token };
  });

  it('reading and changing need it, probes do not', async () => {
    const refused = await get('/stats');
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'Bearer realm="evenkeel"']);
    expect((await get('/metrics')).status).toBe(401);
    expect((await wish({ wish: 'drain' })).status).toBe(401);
    expect(world.wishes).toEqual([]);
    expect(world.audited).toMatchObject([{ action: 'PATCH', result: 'refused', reason: 'Token missing or wrong' }]);
    for (const path of ['/livez', '/readyz', '/health']) expect((await get(path)).status, path).toBe(200);
    expect((await world.ask({ path: '/stats', headers: { authorization } })).status).toBe(200);
  });

  it('no answer holds it', async () => {
    for (const path of ['/', '/stats', '/metrics', '/api/config', '/nowhere', `/api/pools/${token.slice(0, 3)}`]) {
      expect((await world.ask({ path, headers: { authorization } })).text, path).not.toContain(token);
    }
  });
});

describe('a browser on another site', () => {
  it('is refused by Host and by Origin', async () => {
    expect((await world.ask({ path: '/stats', headers: { host: 'evil.com' } })).status).toBe(403);
    const headers = { ...type, origin: 'http://evil.com' };
    expect((await world.ask({ method: 'POST', path: '/api/reload', headers, body: '{}' })).status).toBe(403);
    expect(
      (await world.ask({ method: 'POST', path: '/api/reload', headers: { 'content-type': 'text/plain' } })).status,
    ).toBe(415);
    expect(world.audited.every((entry) => entry.result === 'refused')).toBe(true);
  });
});
