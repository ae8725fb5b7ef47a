/** Rows, facts and random tables of them, for the tests of this room. */
import fc from 'fast-check';
import { hash32 } from '../../src/base/hash.ts';
import { nodeId } from '../../src/base/ids.ts';
import type { RouteAction } from '../../src/config/model.ts';
import type { ListenerSlots } from '../../src/routing/candidates.ts';
import type { NodeRow, PoolRow, RequestFacts, RouteRow, Settings } from '../../src/routing/snapshot.ts';

export const settings: Settings = {
  timeouts: { head: 10_000, body: 60_000, keepAlive: 75_000, write: 60_000 },
  limits: {
    maxHead: 32_768,
    maxFields: 100,
    maxField: 16_384,
    maxTarget: 8192,
    maxBody: null,
    maxConnections: 20_000,
    perAddress: { connections: null, newConnections: null, requests: null },
  },
  fields: { forwarded: false, serverTiming: false, via: null, underscore: 'drop', trailers: false },
  trustedProxies: [],
  accessLog: true,
};

const toApp: RouteAction = { kind: 'pool', pool: 'app', rewrite: null };

export function route(name: string, parts: Partial<RouteRow> = {}): RouteRow {
  return {
    name,
    slot: 0,
    listen: [],
    host: null,
    path: null,
    methods: [],
    headers: [],
    action: toApp,
    requestFields: { set: [], remove: [] },
    responseFields: { set: [], remove: [] },
    abortOnFin: false,
    treatAs: null,
    ...parts,
  };
}

export const prefix = (value: string): RouteRow['path'] => ({ kind: 'prefix', value });
export const exact = (value: string): RouteRow['path'] => ({ kind: 'exact', value });

export function pool(name: string, nodeCount: number, parts: Partial<PoolRow> = {}): PoolRow {
  return {
    name,
    slot: 0,
    revision: 0,
    balance: { algorithm: 'round-robin', key: { from: 'address' } },
    retry: { attempts: 2, budget: 0.2, methods: [], statuses: [502, 503, 504], buffer: 65_536, backoff: 25 },
    upstream: {
      connectTimeout: 1000,
      responseTimeout: 60_000,
      bodyTimeout: 60_000,
      tunnelTimeout: 3_600_000,
      idleTimeout: 4000,
      maxIdle: 64,
      pipelining: 1,
    },
    limits: { maxConnections: 1024, maxPending: 1024, queueTimeout: 5000 },
    tls: null,
    errorsToEject: 5,
    primary: null,
    nodeCount,
    ...parts,
  };
}

export function node(poolName: string, id: string, slot: number): NodeRow {
  return {
    pool: poolName,
    id: nodeId(id),
    slot,
    generation: 1,
    address: { kind: 'tcp', host: '10.0.0.1', port: 3000 + slot },
    authority: `10.0.0.1:${3000 + slot}`,
    key: hash32(id),
    backup: false,
  };
}

export interface RequestParts {
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly listener?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export function request(parts: RequestParts = {}): RequestFacts {
  const headers = new Map(Object.entries(parts.headers ?? {}));
  return {
    listener: parts.listener ?? 0,
    host: parts.host ?? 'example.com',
    path: parts.path ?? '/',
    method: parts.method ?? 'GET',
    header: (name) => headers.get(name),
  };
}

export const listenerSlots: ListenerSlots = { 'a:80': 0, 'b:80': 1, 'c:80': 7 };

/** The rule said as plainly as possible: try all, in order. */
export function firstMatch(rows: readonly RouteRow[], listeners: ListenerSlots, facts: RequestFacts): number {
  return rows.findIndex(
    (row) =>
      hostMatches(row.host, facts.host) &&
      pathMatches(row.path, facts.path) &&
      (row.methods.length === 0 || row.methods.includes(facts.method)) &&
      (row.listen.length === 0 || row.listen.some((name) => listeners[name] === facts.listener)) &&
      row.headers.every(({ name, value }) =>
        value === null ? facts.header(name) !== undefined : facts.header(name) === value,
      ),
  );
}

function hostMatches(wanted: string | null, host: string): boolean {
  if (wanted === null) return true;
  if (!wanted.startsWith('*.')) return host === wanted;
  const tail = wanted.slice(1);
  return host.endsWith(tail) && host.length > tail.length;
}

function pathMatches(wanted: RouteRow['path'], path: string): boolean {
  if (wanted === null) return true;
  if (wanted.kind === 'exact') return path === wanted.value;
  const base = wanted.value.replace(/\/$/, '');
  return base === '' || path === base || path.startsWith(`${base}/`);
}

// Few words, so that random routes and requests meet often.
const label = fc.constantFrom('a', 'b', 'com', '__proto__');
const hostName = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const pathName = fc
  .array(fc.constantFrom('v1', 'v1x', 'x', '', 'constructor'), { maxLength: 4 })
  .map((segments) => `/${segments.join('/')}`);
const method = fc.constantFrom('GET', 'POST', 'PUT');
const headerName = fc.constantFrom('x-a', 'x-b', '__proto__');
const headerValue = fc.constantFrom('1', '2', '');
const listenerName = fc.constantFrom('a:80', 'b:80', 'c:80');

export const anyRoute: fc.Arbitrary<RouteRow> = fc.record({
  name: fc.constant('r'),
  slot: fc.nat(99),
  listen: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.uniqueArray(listenerName, { maxLength: 2 })),
  host: fc.oneof(
    fc.constant(null),
    hostName,
    hostName.map((name) => `*.${name}`),
  ),
  path: fc.oneof(
    fc.constant(null),
    fc.record({ kind: fc.constantFrom('prefix' as const, 'exact' as const), value: pathName }),
  ),
  methods: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.uniqueArray(method, { maxLength: 2 })),
  headers: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    fc.array(fc.record({ name: headerName, value: fc.option(headerValue) }), { maxLength: 2 }),
  ),
  action: fc.constant(toApp),
  requestFields: fc.constant({ set: [], remove: [] }),
  responseFields: fc.constant({ set: [], remove: [] }),
  abortOnFin: fc.boolean(),
  treatAs: fc.constantFrom(null, 'read' as const, 'write' as const),
});

export const anyRequest: fc.Arbitrary<RequestFacts> = fc
  .record({
    host: fc.oneof(hostName, fc.constantFrom('', '.', '.com', 'a..com', '[::1]')),
    path: fc.oneof({ weight: 9, arbitrary: pathName }, fc.constant('*')),
    method,
    listener: fc.constantFrom(0, 1, 7, 9),
    headers: fc.uniqueArray(fc.tuple(headerName, headerValue), { selector: ([name]) => name, maxLength: 3 }),
  })
  .map(({ headers, ...facts }) => {
    const fields = new Map<string, string>(headers);
    return { ...facts, header: (name: string) => fields.get(name) };
  });
