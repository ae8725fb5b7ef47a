import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/model.ts';
import { config, loaded, pool, pools, route, routes, warnings } from './helper.ts';

const only = (text: string) => config(text).pools[0]!;

describe('the least that works', () => {
  const least = config(pools);

  it('has every default', () => {
    const expected: Config = {
      listen: [{ name: '0.0.0.0:8080', address: { kind: 'tcp', host: '0.0.0.0', port: 8080 }, tls: null }],
      workers: 'auto',
      pools: [
        {
          name: 'app',
          balance: { algorithm: 'least-connections', key: { from: 'address' } },
          nodes: [
            {
              id: '127.0.0.1:3000' as Config['pools'][number]['nodes'][number]['id'],
              url: 'http://127.0.0.1:3000',
              address: { kind: 'tcp', host: '127.0.0.1', port: 3000 },
              weight: 1,
              backup: false,
              wish: 'ready',
              role: 'replica',
              priority: 100,
              candidate: true,
            },
          ],
          health: {
            kind: 'tcp',
            path: '/',
            method: 'GET',
            host: null,
            port: null,
            interval: 2000,
            fastInterval: 500,
            downInterval: 5000,
            timeout: 1000,
            fall: 3,
            rise: 2,
            jitter: 0.1,
            status: [[200, 399]],
            body: null,
          },
          passive: { consecutiveErrors: 5, ejectBase: 30_000, ejectMax: 300_000, maxEjected: 0.5 },
          slowStart: null,
          panicThreshold: 0,
          retry: { attempts: 2, budget: 0.2, methods: [], statuses: [], buffer: 65_536, backoff: 25 },
          upstream: {
            connectTimeout: 1000,
            responseTimeout: 60_000,
            bodyTimeout: 60_000,
            tunnelTimeout: 3_600_000,
            idleTimeout: 4000,
            maxIdle: 256,
            pipelining: 1,
            tls: { ca: null, cert: null, key: null, verify: true, servername: null },
          },
          limits: { maxConnections: 1024, maxPending: 1024, queueTimeout: 5000 },
          failover: null,
          split: null,
        },
      ],
      routes: [
        {
          name: 'route-1',
          listen: [],
          host: null,
          path: null,
          methods: [],
          headers: [],
          action: { kind: 'pool', pool: 'app', rewrite: null },
          requestFields: { set: [], remove: [] },
          responseFields: { set: [], remove: [] },
          abortOnFin: false,
          treatAs: null,
        },
      ],
      timeouts: { head: 10_000, body: 60_000, keepAlive: 75_000, write: 60_000 },
      limits: {
        maxHead: 32_768,
        maxFields: 100,
        maxField: 16_384,
        maxTarget: 8192,
        maxBody: null,
        maxConnections: 65_536,
        perAddress: { connections: null, newConnections: null, requests: null },
      },
      trustedProxies: [],
      fields: { forwarded: false, serverTiming: false, via: null, underscore: 'drop', trailers: false },
      admin: { address: { kind: 'tcp', host: '127.0.0.1', port: 9090 }, token: null },
      log: { level: 'info', access: 'json', accessFile: null },
      shutdown: { delay: 0, deadline: 30_000 },
      dataDir: './data',
      cluster: null,
    };
    expect(least).toEqual(expected);
  });

  it('gives no warning, and is frozen to the bottom', () => {
    expect(warnings(pools)).toEqual([]);
    expect(Object.isFrozen(least.pools[0]?.nodes[0]?.address)).toBe(true);
    expect(() => Object.assign(least.timeouts, { head: 1 })).toThrow(TypeError);
  });

  it('may also be JSON', () => {
    expect(config('{"pools":{"app":{"nodes":["http://127.0.0.1:3000"]}}}')).toEqual(least);
  });
});

describe('listen', () => {
  const names = (value: string) => config(`listen: ${value}\n${pools}`).listen.map((one) => one.name);

  it.each([
    ['0.0.0.0:8080', ['0.0.0.0:8080']],
    ['":8080"', ['0.0.0.0:8080']],
    ['8080', ['0.0.0.0:8080']],
    ['"*:81"', ['0.0.0.0:81']],
    ['"[::]:80"', ['[::]:80']],
    ['localhost:80', ['localhost:80']],
    ['unix:/run/ek.sock', ['unix:/run/ek.sock']],
    ['{ address: ":8081" }', ['0.0.0.0:8081']],
    ['[8080, { address: ":8081" }, "unix:/a"]', ['0.0.0.0:8080', '0.0.0.0:8081', 'unix:/a']],
  ])('%s', (written, expected) => {
    expect(names(written)).toEqual(expected);
  });

  it('keeps the names of certificate files', () => {
    const [one] = config(`listen: { address: ":443", tls: { cert: a.pem, key: /etc/b.pem } }\n${pools}`).listen;
    expect(one?.tls).toEqual({
      certificates: [{ cert: 'a.pem', key: '/etc/b.pem' }],
      minVersion: '1.2',
      clientCert: null,
    });
  });

  it('takes several certificates, a version and authorities', () => {
    const tls = '{ certificates: [{ cert: a, key: b }, { cert: c, key: d }], minVersion: 1.3, clientCert: { ca: e } }';
    const [one] = config(`listen: { address: ":443", tls: ${tls} }\n${pools}`).listen;
    expect(one?.tls).toEqual({
      certificates: [
        { cert: 'a', key: 'b' },
        { cert: 'c', key: 'd' },
      ],
      minVersion: '1.3',
      clientCert: { ca: 'e', mode: 'require' },
    });
  });
});

describe('pools', () => {
  it('keep the order of the file', () => {
    expect(config(routes('{ path: /api, pool: api }', '{ pool: app }')).pools.map((one) => one.name)).toEqual([
      'app',
      'api',
    ]);
  });

  it('nodes in short and long form', () => {
    const text = [
      'pools:',
      '  app:',
      '    nodes:',
      '      - http://app',
      '      - http://[::1]:3000/',
      '      - unix:/run/app.sock',
      '      - { id: 007, url: http://b:1, weight: 0, backup: true, wish: drain }',
    ].join('\n');
    const unasked = { role: 'replica', priority: 100, candidate: true };
    expect(only(text).nodes).toEqual([
      {
        id: 'app:80',
        url: 'http://app',
        address: { kind: 'tcp', host: 'app', port: 80 },
        weight: 1,
        backup: false,
        wish: 'ready',
        ...unasked,
      },
      {
        id: '[::1]:3000',
        url: 'http://[::1]:3000',
        address: { kind: 'tcp', host: '::1', port: 3000 },
        weight: 1,
        backup: false,
        wish: 'ready',
        ...unasked,
      },
      {
        id: '/run/app.sock',
        url: 'unix:/run/app.sock',
        address: { kind: 'unix', path: '/run/app.sock' },
        weight: 1,
        backup: false,
        wish: 'ready',
        ...unasked,
      },
      {
        id: '007',
        url: 'http://b:1',
        address: { kind: 'tcp', host: 'b', port: 1 },
        weight: 0,
        backup: true,
        wish: 'drain',
        ...unasked,
      },
    ]);
  });

  it.each([
    ['balance: round-robin', { algorithm: 'round-robin', key: { from: 'address' } }],
    ['balance: { algorithm: random-two }', { algorithm: 'random-two', key: { from: 'address' } }],
    ['balance: consistent-hash', { algorithm: 'consistent-hash', key: { from: 'address' } }],
    ['balance: { algorithm: consistent-hash, key: path }', { algorithm: 'consistent-hash', key: { from: 'path' } }],
    [
      'balance: { algorithm: consistent-hash, key: "header:X-User" }',
      { algorithm: 'consistent-hash', key: { from: 'header', name: 'x-user' } },
    ],
    [
      'balance: { algorithm: consistent-hash, key: "cookie:Sid" }',
      { algorithm: 'consistent-hash', key: { from: 'cookie', name: 'Sid' } },
    ],
  ])('%s', (written, balance) => {
    expect(only(pool(written)).balance).toEqual(balance);
  });

  it.each(['off', 'false', '"off"'])('health: %s', (word) => {
    expect(only(pool(`health: ${word}`)).health).toBeNull();
  });

  it('a health map means http', () => {
    expect(only(pool('health: {}')).health).toMatchObject({
      kind: 'http',
      path: '/',
      method: 'GET',
      status: [[200, 399]],
    });
    const given =
      'health: { path: "/up?full=1", method: HEAD, host: "app.example:81", port: 81, interval: 1s, timeout: 300ms, fall: 1, rise: 1, jitter: 0%, status: [200, 2xx, 301-303] }';
    expect(only(pool(given)).health).toMatchObject({
      path: '/up?full=1',
      method: 'HEAD',
      host: 'app.example:81',
      port: 81,
      interval: 1000,
      timeout: 300,
      fall: 1,
      rise: 1,
      jitter: 0,
      status: [
        [200, 200],
        [200, 299],
        [301, 303],
      ],
    });
  });

  it.each([
    ['100ms', 100, 5000],
    ['2s', 500, 5000],
    ['1m', 500, 60_000],
  ])('with interval %s, fastInterval is never longer and downInterval never shorter', (interval, fast, down) => {
    expect(only(pool(`health: { interval: ${interval} }`)).health).toMatchObject({
      fastInterval: fast,
      downInterval: down,
    });
  });

  it.each([
    ['slowStart: off', null],
    ['slowStart: 30s', { window: 30_000, aggression: 1 }],
    ['slowStart: { window: 1m, aggression: 1.5 }', { window: 60_000, aggression: 1.5 }],
  ])('%s', (written, slowStart) => {
    expect(only(pool(written)).slowStart).toEqual(slowStart);
  });

  it('the rest', () => {
    const one = only(
      pool(
        'passive: off',
        'panicThreshold: 30%',
        'retry: { attempts: 3, budget: 0.5, methods: [put, DELETE], statuses: [502, 503], buffer: 1MiB, backoff: 0s }',
        'upstream: { connectTimeout: 100ms, maxIdle: 0 }',
        'limits: { maxConnections: 1, maxPending: 0, queueTimeout: 0 }',
      ),
    );
    expect(one.passive.consecutiveErrors).toBe(0);
    expect(one.panicThreshold).toBe(0.3);
    expect(one.retry).toEqual({
      attempts: 3,
      budget: 0.5,
      methods: ['PUT', 'DELETE'],
      statuses: [502, 503],
      buffer: 2 ** 20,
      backoff: 0,
    });
    expect(one.upstream).toMatchObject({ connectTimeout: 100, maxIdle: 0, idleTimeout: 4000 });
    expect(one.limits).toEqual({ maxConnections: 1, maxPending: 0, queueTimeout: 0 });
  });
});

describe('routes', () => {
  it('match by host, path, method, field and listener', () => {
    const text = `listen: [":80", ":81"]\n${routes(
      '{ name: v1, listen: 81, host: "*.Example.COM", path: /v1/, method: get, headers: { X-A: 1, X-B: true, X-C: }, pool: api }',
      '{ listen: [":80", "0.0.0.0:81"], exact: /v1/, method: [GET, post], pool: app }',
    )}`;
    const [first, second] = config(text).routes;
    expect(first).toMatchObject({
      name: 'v1',
      listen: ['0.0.0.0:81'],
      host: '*.example.com',
      path: { kind: 'prefix', value: '/v1' },
      methods: ['GET'],
      headers: [
        { name: 'x-a', value: '1' },
        { name: 'x-b', value: null },
        { name: 'x-c', value: null },
      ],
      action: { kind: 'pool', pool: 'api', rewrite: null },
    });
    expect(second).toMatchObject({
      name: 'route-2',
      listen: ['0.0.0.0:80', '0.0.0.0:81'],
      path: { kind: 'exact', value: '/v1/' },
      methods: ['GET', 'POST'],
    });
  });

  it.each([
    ['{ path: /, pool: app }', { kind: 'prefix', value: '/' }],
    ['{ path: /a/b/, pool: app }', { kind: 'prefix', value: '/a/b' }],
    ['{ exact: /, pool: app }', { kind: 'exact', value: '/' }],
  ])('%s', (written, path) => {
    expect(route(written).path).toEqual(path);
  });

  it.each([
    ['{ path: /v1, pool: app, stripPrefix: true }', { prefix: '/v1', replacement: '/' }],
    ['{ path: /v1/, pool: app, replacePrefix: /x/y/ }', { prefix: '/v1', replacement: '/x/y' }],
    ['{ path: /v1, pool: app, stripPrefix: false }', null],
  ])('%s', (written, rewrite) => {
    expect(route(written).action).toEqual({ kind: 'pool', pool: 'app', rewrite });
  });

  it.each([
    ['{ exact: /, redirect: /new }', '/new', 302],
    ['{ exact: /, redirect: "https://{host}{path}" }', 'https://{host}{path}', 302],
    ['{ exact: /, redirect: { to: "{scheme}://x.y{path}", status: 308 } }', '{scheme}://x.y{path}', 308],
  ])('%s', (written, to, status) => {
    expect(route(written).action).toEqual({ kind: 'redirect', to, status });
  });

  it('edit fields', () => {
    const one = route(
      '{ exact: /, pool: app, abortOnFin: true, request: { set: { Host: a.b, X-N: 1 }, remove: [Cookie] }, response: { set: { Cache-Control: "no-store, private" }, remove: [Server] } }',
    );
    expect(one.requestFields).toEqual({
      set: [
        { name: 'Host', value: 'a.b' },
        { name: 'X-N', value: '1' },
      ],
      remove: ['cookie'],
    });
    expect(one.responseFields).toEqual({
      set: [{ name: 'Cache-Control', value: 'no-store, private' }],
      remove: ['server'],
    });
    expect(one.abortOnFin).toBe(true);
  });
});

describe('the rest of the process', () => {
  const part = (text: string) => config(`${text}\n${pools}`);

  it('workers', () => {
    expect(part('workers: 4').workers).toBe(4);
    expect(part('workers: auto').workers).toBe('auto');
  });

  it('limits and timeouts keep the defaults of what is not given', () => {
    expect(part('timeouts: { head: 5s }').timeouts).toEqual({
      head: 5000,
      body: 60_000,
      keepAlive: 75_000,
      write: 60_000,
    });
    expect(part('limits: { maxBody: 10MiB }').limits.maxBody).toBe(10 * 2 ** 20);
    expect(part('limits: { maxBody: 0 }').limits.maxBody).toBe(0);
    expect(part('limits: { maxBody: unlimited }').limits.maxBody).toBeNull();
  });

  it.each([
    ['{}', {}],
    ['{ connections: 100 }', { connections: 100 }],
    ['{ connections: off, newConnections: false, requests: off }', {}],
    ['{ requests: 50 }', { requests: { perSecond: 50, burst: 50 } }],
    ['{ requests: 0.25 }', { requests: { perSecond: 0.25, burst: 1 } }],
    ['{ requests: 2.5 }', { requests: { perSecond: 2.5, burst: 3 } }],
    ['{ newConnections: { perSecond: 5, burst: 40 } }', { newConnections: { perSecond: 5, burst: 40 } }],
  ])('limits per address: %s', (written, expected) => {
    const none = { connections: null, newConnections: null, requests: null };
    expect(part(`limits: { perAddress: ${written} }`).limits.perAddress).toEqual({ ...none, ...expected });
  });

  it('trusted proxies', () => {
    expect(part('trustedProxies: [10.0.0.0/8, "::1", FD00::/8]').trustedProxies).toEqual([
      '10.0.0.0/8',
      '::1',
      'fd00::/8',
    ]);
  });

  it('fields', () => {
    expect(part('fields: { forwarded: true, via: edge-1, underscore: allow }').fields).toEqual({
      forwarded: true,
      serverTiming: false,
      via: 'edge-1',
      underscore: 'allow',
      trailers: false,
    });
    expect(part('fields: { via: off }').fields.via).toBeNull();
  });

  it('admin, with a token that may be empty or all digits', () => {
    const token = (text: string) => part(`admin: { token: ${text} }`).admin.token;
    expect(part('admin: localhost:1').admin).toEqual({
      address: { kind: 'tcp', host: 'localhost', port: 1 },
      token: null,
    });
    expect(part('admin: unix:/run/admin.sock').admin.address).toEqual({ kind: 'unix', path: '/run/admin.sock' });
    expect(token('""')).toBeNull();
    expect(token('')).toBeNull();
    expect(token('01234567890123456')).toBe('01234567890123456');
    expect(part('admin: { address: 0.0.0.0:9090, token: 0123456789abcdef }').admin.token).toBe('0123456789abcdef');
  });

  it('log and shutdown', () => {
    expect(part('log: { level: debug, access: off, accessFile: /var/log/a.log }').log).toEqual({
      level: 'debug',
      access: 'off',
      accessFile: '/var/log/a.log',
    });
    expect(part('shutdown: { delay: 5s, deadline: 0 }').shutdown).toEqual({ delay: 5000, deadline: 0 });
  });
});

it('anchors and aliases are values like any other', () => {
  const text = [
    'pools:',
    '  app: { nodes: &nodes [http://a:1], health: &health { path: /up } }',
    '  api: { nodes: *nodes, health: *health }',
    'routes: [{ path: /api, pool: api }, { pool: app }]',
  ].join('\n');
  const [app, api] = config(text).pools;
  expect(api).toEqual({ ...app, name: 'api' });
});

it('says where everything stood', () => {
  const { tree, source } = loaded(pools);
  expect(source).toEqual({ file: 'c.yaml', lines: [pools.trimEnd(), ''] });
  expect(tree.kind).toBe('map');
});
