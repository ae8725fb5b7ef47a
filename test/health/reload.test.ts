/** What a new config does to what is known. */
import { describe, expect, it } from 'vitest';
import type { PoolConfig } from '../../src/config/model.ts';
import type { PoolSpec } from '../../src/health/policy.ts';
import { healthPolicy, nodeSpec, poolSpec, World } from './world.ts';

describe('reload', () => {
  const other: Partial<PoolSpec> = { health: { ...healthPolicy, interval: 7000, fall: 5 } };

  it('keeps all that is known of unchanged nodes, also when policies change', () => {
    const world = new World(poolSpec(['a', 'b', 'c']));
    world.advance(4000);
    world.report('a', 'errors');
    world.wish('b', 'drain');
    const before = world.machine.views(world.at);
    const told = world.changes.length;
    world.configure(poolSpec(['c', 'a', 'b'], other));
    expect(new Set(world.machine.views(world.at))).toEqual(new Set(before));
    expect(world.changes.length).toBe(told);
    expect(world.machine.views(world.at).map((view) => view.node)).toEqual(['c', 'a', 'b']);
  });

  it('a new node, and one whose url changed, start unknown and are probed at once', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    world.configure(poolSpec([nodeSpec('a', { url: 'http://elsewhere' }), 'b', 'c']));
    expect(world.fit()).toEqual(['b']);
    expect(world.machine.unprobed).toBe(2);
    world.advance(3);
    expect(world.fit()).toEqual(['a', 'b', 'c']);
  });

  it('weights change at once and are told', () => {
    const world = new World(poolSpec(['a']));
    world.advance(4000);
    world.configure(poolSpec([nodeSpec('a', { weight: 7 })]));
    expect(world.changes.at(-1)).toMatchObject({ view: { weight: 7 }, previous: { weight: 1 } });
  });

  it("the operator's wish stays, until the config itself says something new", () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    world.wish('a', 'drain');
    world.configure(poolSpec(['a', 'b']));
    expect(world.view('a').wish).toBe('drain');
    world.configure(poolSpec([nodeSpec('a', { wish: 'maint' }), 'b']));
    expect(world.view('a').wish).toBe('maint');
    world.configure(poolSpec(['a', 'b']));
    expect(world.view('a').wish).toBe('ready');
  });

  it('checks that are switched on find the node in traffic and leave it there; switched off they end', () => {
    const world = new World(poolSpec(['a', 'b'], { health: null }));
    world.set('a', 'refuse');
    world.configure(poolSpec(['a', 'b']));
    expect(world.fit()).toEqual(['a', 'b']);
    world.advance(200);
    expect(world.fit()).toEqual(['b']);
    world.configure(poolSpec(['a', 'b'], { health: null }));
    expect(world.fit()).toEqual(['a', 'b']);
    const probes = world.probes.length;
    world.advance(60_000);
    expect(world.probes.length).toBe(probes);
  });

  it('removed nodes and pools are neither probed nor shown', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    world.configure(poolSpec(['b']));
    const probes = world.probesOf('a').length;
    world.advance(60_000);
    expect(world.probesOf('a').length).toBe(probes);
    world.configure();
    expect(world.machine.views(world.at)).toEqual([]);
    expect(world.machine.wakeAt(true)).toBe(Number.POSITIVE_INFINITY);
    expect(world.machine.pool('app')).toEqual({ pool: 'app', panic: false, fit: 0, total: 0 });
  });

  it('pools of the config can be handed over as they are', () => {
    const configured: PoolConfig = {
      ...poolSpec(['a']),
      nodes: [{ ...nodeSpec('a'), role: 'replica', priority: 100, candidate: true }],
      balance: { algorithm: 'round-robin', key: { from: 'address' } },
      retry: { attempts: 2, budget: 0.2, methods: [], statuses: [], buffer: 65_536, backoff: 25 },
      upstream: {
        connectTimeout: 5000,
        responseTimeout: 60_000,
        bodyTimeout: 60_000,
        tunnelTimeout: 3_600_000,
        idleTimeout: 4000,
        maxIdle: 64,
        pipelining: 1,
        tls: { ca: null, cert: null, key: null, verify: true, servername: null },
      },
      limits: { maxConnections: 1024, maxPending: 1024, queueTimeout: 5000 },
      failover: null,
      split: null,
    };
    const world = new World(configured);
    world.advance(3);
    expect(world.fit()).toEqual(['a']);
  });
});
