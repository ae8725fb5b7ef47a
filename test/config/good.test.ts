/**
 * Configs by chance, all of them good: each must load, mean what it says, print as the same config, and stay the same
 * however it is written (block or flow, quoted or not, its values from variables or not).
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { formatDuration, formatShare, formatSize } from '../../src/base/units.ts';
import type { LoadedConfig } from '../../src/config/load.ts';
import { plainConfig, renderConfig } from '../../src/config/print.ts';
import { type Env, loaded } from './helper.ts';

const some = <T>(shape: { readonly [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(shape, { requiredKeys: [] });
const oneOf = <T>(...values: T[]) => fc.constantFrom(...values);

const duration = fc.integer({ min: 10, max: 3_600_000 }).map(formatDuration);
const size = fc.integer({ min: 1024, max: 2 ** 20 }).map(formatSize);
const share = fc.integer({ min: 0, max: 100 }).map((percent) => formatShare(percent / 100));
const count = (max: number, min = 1) => fc.integer({ min, max });

const node = (index: number) => {
  const url = `http://10.0.${index}.1:${3000 + index}`;
  const long = fc.record(
    {
      url: fc.constant(url),
      id: fc.constant(`n${index}`),
      weight: count(1000, 0),
      backup: fc.boolean(),
      wish: oneOf('ready', 'drain', 'maint'),
    },
    { requiredKeys: ['url'] },
  );
  return fc.oneof(fc.constant(url), fc.constant(`unix:/run/${index}.sock`), long);
};
const nodes = count(5).chain((length) => fc.tuple(...Array.from({ length }, (_, index) => node(index))));

const timing = {
  interval: duration,
  fastInterval: duration,
  downInterval: duration,
  timeout: count(600_000).map(formatDuration),
  fall: count(100),
  rise: count(100),
  jitter: share,
};
const health = fc.oneof(
  oneOf<string | boolean>('off', false),
  some({ kind: fc.constant('tcp'), ...timing }),
  some({
    kind: oneOf('http', 'https'),
    path: oneOf('/', '/health', '/up?full=1'),
    method: fc.constant('GET'),
    host: oneOf('app.example', 'app.example:81', '10.0.0.1'),
    status: oneOf<unknown>(200, '2xx', '200-399', [200, '301-302']),
    body: oneOf('ok', '"status": "up"', '# 1', 'on', '12'),
    ...timing,
  }),
);

const hook = fc.oneof(
  fc.record(
    { post: oneOf('/promote', 'http://10.0.0.9:1/x?a=b'), timeout: oneOf('10ms', '3s', '10m') },
    { requiredKeys: ['post'] },
  ),
  fc.record({ exec: fc.array(oneOf('/bin/promote', '--now', 'a b', '007', 'true'), { minLength: 1 }) }),
);
const failover = fc.oneof(
  oneOf<unknown>('automatic', 'manual', 'off', false, {}),
  some({
    mode: oneOf('automatic', 'manual'),
    failureThreshold: count(100),
    recoveryWait: duration,
    failback: oneOf('manual', 'automatic'),
    maxAttempts: count(16),
    retryAfter: duration,
    minInterval: duration,
    maxLag: fc.oneof(oneOf<unknown>('any'), count(1000, 0)),
    demote: hook,
    promote: hook,
    rejoin: hook,
    parking: some({ writes: count(1000, 0), bytes: size }),
  }),
);
const split = some({
  writes: fc.constant('primary'),
  reads: oneOf<unknown>('replicas', 'primary', 'any', ['replicas'], ['any', 'primary']),
  maxLag: fc.oneof(oneOf<unknown>('any'), duration),
  stale: fc.oneof(oneOf<unknown>('off', false), duration),
  readYourWrites: fc.oneof(
    oneOf<unknown>('off', false, 'session', 'strict'),
    some({
      mode: oneOf('off', 'session', 'strict'),
      via: oneOf('cookie', 'header'),
      name: oneOf('X-After'),
      bound: duration,
    }),
  ),
});
const isOff = (one: unknown): boolean => one === undefined || one === 'off' || one === false;
/** Roles and split only where there is failover, whose pools are checked. */
const withPrimary = (one: Record<string, unknown>): Record<string, unknown> => {
  const { split: _, ...plain } = one;
  const { retry, health, ...rest } = isOff(one['failover']) ? { ...plain } : one;
  if (isOff(one['failover'])) return plain;
  const { methods: _methods, ...safe } = (retry ?? {}) as Record<string, unknown>;
  const { fastInterval: _fast, downInterval: _down, ...checks } = (health ?? {}) as Record<string, unknown>;
  return { ...rest, retry: safe, ...(isOff(health) ? {} : { health: checks }) };
};

const pool = fc
  .record(
    {
      nodes,
      balance: fc.oneof(
        oneOf('round-robin', 'weighted', 'least-connections', 'random-two', 'peak-ewma', 'consistent-hash'),
        fc.record({
          algorithm: fc.constant('consistent-hash'),
          key: oneOf('address', 'path', 'header:X-User', 'cookie:sid'),
        }),
      ),
      health,
      passive: fc.oneof(oneOf('off'), some({ consecutiveErrors: count(1000, 0), maxEjected: share })),
      slowStart: fc.oneof(oneOf('off'), duration, fc.record({ window: duration, aggression: oneOf(0.5, 1, 2.5) })),
      panicThreshold: fc.oneof(oneOf('off'), share),
      retry: some({
        attempts: count(10),
        budget: share,
        methods: fc.subarray(['PUT', 'delete']),
        statuses: fc.subarray([429, 502, 503]),
        buffer: size,
      }),
      upstream: some({
        connectTimeout: duration,
        responseTimeout: duration,
        tunnelTimeout: duration,
        maxIdle: count(65_536, 0),
        pipelining: count(64),
      }),
      limits: some({ maxConnections: count(1_000_000), maxPending: count(1_000_000, 0), queueTimeout: duration }),
      failover,
      split,
    },
    { requiredKeys: ['nodes'] },
  )
  .map(withPrimary);

const match = {
  host: oneOf('a.example', '*.example', '10.0.0.1', 'A.B'),
  method: oneOf<unknown>('GET', ['GET', 'post']),
  headers: oneOf<unknown>({}, { 'X-A': 'b', 'x-c': true }, { A: 'on', B: '1' }),
};
const edits = some({
  set: oneOf<unknown>({}, { 'X-A': 'b: c', 'X-N': '007' }),
  remove: fc.subarray(['Cookie', 'Server']),
});
const route = fc.oneof(
  some({ ...match, path: oneOf('/', '/a', '/a/b/'), request: edits, response: edits, abortOnFin: fc.boolean() }).map(
    (one) => ({ ...one, pool: 'app' }),
  ),
  some({ ...match, exact: oneOf('/', '/x/', '/%20') }).map((one) => ({ ...one, pool: 'other' })),
  some(match).chain((one) =>
    oneOf({ stripPrefix: true }, { replacePrefix: '/' }, { replacePrefix: '/b' }).map((edit) => ({
      ...one,
      path: '/p',
      ...edit,
      pool: 'app',
    })),
  ),
  some(match).chain((one) =>
    oneOf<unknown>('/new', 'https://{host}{path}', { to: '/x', status: 308 }).map((redirect) => ({ ...one, redirect })),
  ),
);

const rate = fc.oneof(
  oneOf<unknown>('off', false, 0.5),
  count(1_000_000),
  fc.record({ perSecond: count(1000), burst: count(1000) }),
);

const file = fc.record(
  {
    pools: fc.record({ app: pool, other: pool }),
    routes: fc.array(route, { minLength: 1, maxLength: 5 }),
    listen: oneOf<unknown>(8080, ':80', 'unix:/run/ek.sock', [
      ':80',
      { address: '[::]:443', tls: { cert: 'a b.pem', key: 'k' } },
    ]),
    workers: fc.oneof(oneOf<unknown>('auto'), count(64)),
    timeouts: some({ head: duration, body: duration, keepAlive: duration, write: duration }),
    limits: some({
      maxFields: count(10_000),
      maxBody: fc.oneof(oneOf('unlimited'), size),
      maxConnections: count(1_000_000),
      perAddress: some({
        connections: fc.oneof(oneOf<unknown>('off'), count(1_000_000)),
        newConnections: rate,
        requests: rate,
      }),
    }),
    trustedProxies: fc.subarray(['10.0.0.0/8', '::1', 'fd00::/8']),
    fields: some({
      forwarded: fc.boolean(),
      via: oneOf<unknown>('off', false, 'edge-1'),
      underscore: oneOf('drop', 'allow', 'reject'),
    }),
    admin: oneOf<unknown>('127.0.0.1:1', { address: 'localhost:2' }, { address: 'unix:/run/admin.sock' }),
    log: some({
      level: oneOf('warn', 'trace'),
      access: oneOf('json', 'combined', 'off'),
      accessFile: oneOf(null, '/var/log/a b.log'),
    }),
    shutdown: some({ delay: duration, deadline: duration }),
  },
  { requiredKeys: ['pools', 'routes'] },
);

const load = (value: unknown, env: Env = {}): LoadedConfig => loaded(stringify(value), env);
const holds = (check: (value: unknown) => void): void => fc.assert(fc.property(file, check), { numRuns: 100 });

describe('any good config', () => {
  it('prints as itself', () => {
    holds((value) => {
      const first = load(value);
      const printed = renderConfig(first);
      expect(loaded(printed).config).toEqual(first.config);
      expect(plainConfig(first)).toEqual(parse(printed));
      expect(
        printed.split('\n').every((row) => row === '' || / # |:$/.test(row)),
        printed,
      ).toBe(true);
    });
  });

  it('means the same however it is written', () => {
    holds((value) => {
      const { config } = load(value);
      expect(loaded(JSON.stringify(value)).config).toEqual(config);
      expect(loaded(stringify(value, { collectionStyle: 'flow', defaultStringType: 'QUOTE_SINGLE' })).config).toEqual(
        config,
      );
      expect(loaded(`\ufeff# first\r\n---\r\n${stringify(value).replaceAll('\n', '\r\n')}`).config).toEqual(config);
    });
  });

  it('means the same when its scalars come from variables', () => {
    holds((value) => {
      const env: Record<string, string> = {};
      // A plain variable gets the type of its text, so that numbers, `true` and words each become what they were.
      const through = (one: unknown): unknown => {
        if (Array.isArray(one)) return one.map(through);
        if (typeof one === 'object' && one !== null)
          return Object.fromEntries(Object.entries(one).map(([key, inner]) => [key, through(inner)]));
        const name = `V${Object.keys(env).length}`;
        env[name] = one === null ? '' : String(one);
        return `\${${name}}`;
      };
      const masked = stringify(through(value), { defaultStringType: 'PLAIN' });
      expect(loaded(masked, env).config).toEqual(load(value).config);
    });
  });

  it('loads twice to equal values that share nothing', () => {
    holds((value) => {
      const [first, second] = [load(value).config, load(value).config];
      expect(first).toEqual(second);
      expect(first.pools[0]).not.toBe(second.pools[0]);
      expect(structuredClone(first)).toEqual(first);
    });
  });
});
