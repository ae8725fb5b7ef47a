import { describe, expect, it } from 'vitest';
import { hash32 } from '../../src/base/hash.ts';
import { nodeId } from '../../src/base/ids.ts';
import type {
  ClusterConfig,
  Config,
  FailoverConfig,
  NodeAddress,
  NodeConfig,
  PoolConfig,
  RouteConfig,
} from '../../src/config/model.ts';
import { buildRows, type SlotLookups } from '../../src/routing/build.ts';
import { split } from '../proxy/primary-world.ts';
import { pool as poolRow, route as routeRow, settings } from './fixtures.ts';

const slots: SlotLookups = {
  pool: (name) => name.length,
  node: (_pool, id, url) => ({ slot: id.length, generation: url.length }),
  route: (name) => name.length,
  listener: (name) => name.length,
};

function node(id: string, address: NodeAddress): NodeConfig {
  const place = { id: nodeId(id), url: `http://${id}`, address, weight: 1 };
  return { ...place, backup: id === 'spare', wish: 'ready', role: 'replica', priority: 100, candidate: true };
}

const noTls = { ca: null, cert: null, key: null, verify: true, servername: null };

function poolOf(name: string, nodes: readonly NodeConfig[]): PoolConfig {
  const { balance, retry, upstream, limits } = poolRow(name, 0);
  const passive = { consecutiveErrors: 7, ejectBase: 30_000, ejectMax: 300_000, maxEjected: 0.5 };
  return {
    name,
    nodes,
    balance,
    retry,
    upstream: { ...upstream, tls: noTls },
    limits,
    passive,
    health: null,
    slowStart: null,
    panicThreshold: 0,
    failover: null,
    split: null,
  };
}

function configOf(pools: readonly PoolConfig[], routes: readonly RouteConfig[]): Config {
  const address = { kind: 'tcp', host: '0.0.0.0', port: 80 } as const;
  return {
    listen: [{ name: '0.0.0.0:80', address, tls: null }],
    workers: 1,
    pools,
    routes,
    timeouts: settings.timeouts,
    limits: settings.limits,
    trustedProxies: ['10.0.0.0/8'],
    fields: settings.fields,
    admin: { address: { kind: 'tcp', host: '127.0.0.1', port: 9090 }, token: null },
    log: { level: 'info', access: 'json', accessFile: null },
    shutdown: { delay: 0, deadline: 30_000 },
    dataDir: './data',
    cluster: null,
  };
}

const tcp = (host: string, port: number): NodeAddress => ({ kind: 'tcp', host, port });

describe('buildRows', () => {
  it('gives each thing its slot, and each node its pool, generation and hash', () => {
    const rows = buildRows(configOf([poolOf('app', [node('n-1', tcp('10.0.0.1', 3000))])], [routeRow('r')]), slots);
    expect(rows.pools[0]).toMatchObject({ name: 'app', slot: 3, nodeCount: 1, errorsToEject: 7 });
    expect(rows.nodes.get('app')).toEqual([
      {
        pool: 'app',
        id: 'n-1',
        slot: 3,
        generation: 10,
        address: tcp('10.0.0.1', 3000),
        authority: '10.0.0.1:3000',
        key: hash32('n-1'),
        backup: false,
      },
    ]);
    expect(rows.routes[0]).toEqual({ ...routeRow('r'), slot: 1 });
    expect(rows.listeners).toEqual({ '0.0.0.0:80': 10 });
  });
  it.each([
    [tcp('10.0.0.1', 3000), '10.0.0.1:3000'],
    [tcp('::1', 3000), '[::1]:3000'],
    [tcp('[::1]', 3000), '[::1]:3000'],
    [{ kind: 'unix', path: '/run/app.sock' } as const, 'localhost'],
  ])('the Host of a node at %j is %s', (address, authority) => {
    const rows = buildRows(configOf([poolOf('app', [node('n', address)])], []), slots);
    expect(rows.nodes.get('app')?.[0]?.authority).toBe(authority);
  });
  it('a pool with failover has a primary, and knows whether other members pass writes on, too', () => {
    const plain = poolOf('app', []);
    expect(buildRows(configOf([plain], []), slots).pools[0]?.primary).toBeNull();
    const parking = { writes: 1, bytes: 2, time: 3 };
    const config = configOf([{ ...plain, failover: { parking } as FailoverConfig, split }], []);
    expect(buildRows(config, slots).pools[0]?.primary).toEqual({ parking, split, alone: true });
    const member = { ...config, cluster: {} as ClusterConfig };
    expect(buildRows(member, slots).pools[0]?.primary).toEqual({ parking, split, alone: false });
  });
  it('without an access log no outcome is told', () => {
    const config = configOf([], []);
    expect(buildRows(config, slots).settings.accessLog).toBe(true);
    expect(buildRows({ ...config, log: { ...config.log, access: 'off' } }, slots).settings.accessLog).toBe(false);
  });
  it('the host of a route is written as the host of a request is', () => {
    const hosts = ['Example.com.', '*.Example.com', null];
    const rows = buildRows(
      configOf(
        [],
        hosts.map((host) => routeRow('r', { host })),
      ),
      slots,
    );
    expect(rows.routes.map((row) => row.host)).toEqual(['example.com', '*.example.com', null]);
  });
  it.each([
    ['X-A', 'a\r\nX-B: b'],
    ['X-A', 'a\nb'],
    ['X-A', '\u010a'], // a line feed once it is cut to latin1
    ['X A', 'a'],
    ['', 'a'],
  ])('refuses to set %j: %j, which could break a head in two', (name, value) => {
    const edits = { set: [{ name, value }], remove: [] };
    expect(() => buildRows(configOf([], [routeRow('r', { requestFields: edits })]), slots)).toThrow(/route r/);
    expect(() => buildRows(configOf([], [routeRow('r', { responseFields: edits })]), slots)).toThrow(/route r/);
  });
  it('what the lookups throw comes through', () => {
    const full: SlotLookups = {
      ...slots,
      pool: () => {
        throw new Error('more than 1024 pools at once');
      },
    };
    expect(() => buildRows(configOf([poolOf('app', [])], []), full)).toThrow('more than 1024 pools');
  });
});
