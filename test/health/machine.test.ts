import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeId } from '../../src/base/ids.ts';
import type { Wish } from '../../src/base/node-state.ts';
import type { PoolConfig } from '../../src/config/model.ts';
import type { NodeHealthView, PassiveSignal } from '../../src/health/contract.ts';
import type { PoolSpec } from '../../src/health/policy.ts';
import { type Behaviour, healthPolicy, nodeSpec, passivePolicy, poolSpec, World } from './world.ts';

describe('start', () => {
  it('all nodes are unknown and take nothing until their first probe, which starts at once', () => {
    const world = new World(poolSpec(['a', 'b']));
    expect(world.view('a')).toMatchObject({ verdict: 'unknown', fitness: 'unfit', weight: 0, why: 'not checked yet' });
    expect(world.machine.unprobed).toBe(2);
    expect(world.probes.map((probe) => probe.at)).toEqual([1000, 1000]);
  });

  it('a first success makes a node healthy at once, a first failure unhealthy', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.set('a', 'ok');
    world.advance(3);
    expect(world.view('a')).toMatchObject({ verdict: 'healthy', fitness: 'fit', weight: 1 });
    expect(world.machine.unprobed).toBe(0);

    const other = new World(poolSpec(['a']));
    other.set('a', 'refuse');
    other.wish('a', 'maint');
    other.wish('a', 'ready');
    other.advance(100);
    expect(other.view('a').verdict).toBe('unhealthy');
  });

  it('without a health check nodes are fit at once, and are never probed', () => {
    const world = new World(poolSpec(['a'], { health: null }));
    expect(world.view('a')).toMatchObject({ fitness: 'fit', why: 'no health check is configured' });
    expect(world.machine.unprobed).toBe(0);
    world.advance(60_000);
    expect(world.probes).toEqual([]);
  });

  it('there is no slow start', () => {
    const world = new World(poolSpec(['a'], { slowStart: { window: 10_000, aggression: 1 } }));
    world.advance(3);
    expect(world.view('a').weight).toBe(1);
  });
});

describe('active checks', () => {
  it('fall failures in a row, at fastInterval, take a node down; then it is probed each downInterval', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    world.set('a', 'error');
    const from = world.probesOf('a').length;
    world.advance(20_000);
    const starts = world.probesOf('a').slice(from);
    const gaps = starts.slice(1).map((at, i) => Math.round(at - starts[i]!));
    expect(gaps).toEqual([500, 500, 5000, 5000, 5000]);
    expect(world.view('a')).toMatchObject({ verdict: 'unhealthy', downs: 1, weight: 0 });
    expect(world.lines).toContain('node app/a is down: 3 failed checks in a row: unexpected status 500 in 3 ms');
  });

  it('rise successes in a row bring it back', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    world.set('a', 'refuse');
    world.advance(10_000);
    world.set('a', 'ok');
    const from = world.probesOf('a').length;
    world.advance(12_000);
    const [, second] = world.probesOf('a').slice(from);
    expect(world.changes.at(-1)!.view).toMatchObject({ verdict: 'healthy', changedAt: second! + 3 + 1_000_000 });
    expect(world.lines.at(-1)).toBe('node app/a is up: 2 passed checks in a row: 200 in 3 ms');
  });

  it('a node whose listener is gone is down 100 ms after the first refused probe', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    world.set('a', 'refuse');
    world.report('a', 'refused', 'connect ECONNREFUSED');
    world.advance(60);
    expect(world.view('a').verdict).toBe('unhealthy');
  });

  it('probes of a node never overlap, however long they take', () => {
    const world = new World(poolSpec(['a', 'b'], { health: { ...healthPolicy, interval: 100, fastInterval: 100 } }));
    world.set('a', 'hang');
    world.advance(10_000);
    expect(world.overlaps).toBe(0);
    expect(world.view('a').verdict).toBe('unhealthy');
  });

  it('a failure that took far longer than its time-out is blamed on this process, not on the node', () => {
    const world = new World(poolSpec(['a']));
    world.advance(4000);
    const [job] = world.machine.due(1, { now: 10_000, wall: 0 });
    const result = { ok: false, detail: 'timed out', durationMs: 60_000, refused: false, answer: job!.entry.answer };
    world.now = 70_000;
    world.machine.probed(job!, result, world.at);
    expect(world.view('a').why).toMatch(/passed/);
    expect(world.machine.wakeAt(true)).toBeLessThanOrEqual(70_000);
  });

  it('tells downs and downtime', () => {
    const world = new World(poolSpec(['a']));
    world.advance(4000);
    world.set('a', 'refuse');
    world.report('a', 'refused');
    world.advance(10_000);
    world.set('a', 'ok');
    world.advance(20_000);
    const { downs, downtime } = world.view('a');
    expect(downs).toBe(1);
    expect(downtime).toBeGreaterThan(9000);
    expect(downtime).toBeLessThan(16_000);
    world.advance(10_000);
    expect(world.view('a').downtime).toBe(downtime);
  });
});

describe("a node's own word", () => {
  it('degraded is a verdict that still takes traffic; weight scales', () => {
    const world = new World(poolSpec([nodeSpec('a', { weight: 4 }), 'b']));
    world.set('a', { json: { status: 'degraded', weight: 25 } });
    world.advance(3);
    expect(world.view('a')).toMatchObject({ verdict: 'healthy' });
    world.advance(4000);
    expect(world.view('a')).toMatchObject({ verdict: 'degraded', fitness: 'fit', weight: 1 });
    world.set('a', 'ok');
    world.advance(4000);
    expect(world.view('a')).toMatchObject({ verdict: 'healthy', weight: 4 });
  });

  it('drain and maint take the node out of traffic, and it goes on being asked', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.set('a', { json: { status: 'drain' } });
    world.advance(4000);
    expect(world.view('a')).toMatchObject({
      verdict: 'healthy',
      fitness: 'unfit',
      why: 'its health answer says drain',
    });
    world.set('a', 'ok');
    world.advance(4000);
    expect(world.view('a').fitness).toBe('fit');
  });

  it('down is a failed check', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    world.set('a', { json: { status: 'down' } });
    world.advance(4000);
    expect(world.view('a').verdict).toBe('unhealthy');
  });
});

describe("the operator's wish", () => {
  it('drain: no new traffic, checks go on; ready: traffic again at once', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    world.wish('a', 'drain');
    expect(world.view('a')).toMatchObject({ verdict: 'healthy', wish: 'drain', fitness: 'unfit', weight: 0 });
    const probes = world.probesOf('a').length;
    world.advance(10_000);
    expect(world.probesOf('a').length).toBe(probes + 5);
    world.wish('a', 'ready');
    expect(world.view('a').fitness).toBe('fit');
    expect(world.lines).toContain('node app/a is draining: the operator wishes it: no new traffic');
  });

  it('maint: no traffic and no checks; afterwards the node must show itself first', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    world.wish('a', 'maint');
    const probes = world.probesOf('a').length;
    world.advance(60_000);
    expect(world.probesOf('a').length).toBe(probes);
    world.wish('a', 'ready');
    expect(world.view('a')).toMatchObject({ verdict: 'unknown', fitness: 'unfit' });
    world.advance(3);
    expect(world.view('a')).toMatchObject({ verdict: 'healthy', fitness: 'fit' });
  });

  it('what a probe answers that ran before maintenance began is thrown away, and none overlaps with it', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    world.set('a', 'hang');
    world.report('a', 'timeout');
    world.wish('a', 'maint');
    world.wish('a', 'ready');
    world.set('a', 'ok');
    world.advance(999);
    expect(world.view('a').verdict).toBe('unknown');
    world.advance(100);
    expect(world.view('a')).toMatchObject({ verdict: 'healthy', downs: 0 });
    expect(world.overlaps).toBe(0);
  });

  it('for a node that is not there is refused in words', () => {
    const world = new World(poolSpec(['a']));
    expect(world.machine.wish('app', nodeId('x'), 'drain', world.at)).toEqual({
      ok: false,
      error: 'pool app has no node x',
    });
    expect(world.machine.wish('web', nodeId('a'), 'drain', world.at)).toEqual({
      ok: false,
      error: 'there is no pool web',
    });
  });
});

describe('passive: refused and reset', () => {
  it('count as a failed check and start a probe now', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    const before = world.probesOf('a').length;
    world.report('a', 'reset', 'read ECONNRESET');
    expect(world.view('a').why).toBe('1 failed check: read ECONNRESET');
    expect(world.probesOf('a').length).toBe(before + 1);
    world.advance(3);
    expect(world.view('a').why).toBe('1 passed check: 200 in 3 ms');
  });

  it('start at most 20 probes a second per node', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    const before = world.probesOf('a').length;
    for (let i = 0; i < 1000; i++) {
      world.report('a', 'refused');
      world.advance(1);
    }
    expect(world.probesOf('a').length - before).toBeLessThanOrEqual(21);
    expect(world.probesOf('a').length - before).toBeGreaterThanOrEqual(18);
    expect(world.overlaps).toBe(0);
  });

  it('can not take down a node that answers its checks', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    for (let i = 0; i < 500; i++) {
      world.report('a', 'reset');
      world.advance(3);
    }
    expect(world.view('a')).toMatchObject({ fitness: 'fit', downs: 0 });
  });

  it('a time-out starts a probe but is no failed check', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    const before = world.probesOf('a').length;
    world.report('a', 'timeout');
    expect(world.probesOf('a').length).toBe(before + 1);
    expect(world.view('a').why).not.toMatch(/failed/);
  });

  it('without a health check a refused connection ejects', () => {
    const world = new World(poolSpec(['a', 'b'], { health: null }));
    world.report('a', 'refused', 'connect ECONNREFUSED');
    expect(world.view('a')).toMatchObject({
      verdict: 'healthy',
      fitness: 'unfit',
      why: 'connection refused: connect ECONNREFUSED',
    });
  });

  it('signals of nodes that are not there any more are ignored', () => {
    const world = new World(poolSpec(['a']));
    world.report('gone', 'refused');
    expect(world.fit()).toEqual([]);
  });
});

describe('passive: consecutive errors', () => {
  const ejected = () => {
    const world = new World(poolSpec(['a', 'b', 'c']));
    world.advance(4000);
    world.report('a', 'errors', '503 from GET /');
    return world;
  };

  it('eject for ejectBase, and the log says so', () => {
    const world = ejected();
    expect(world.view('a')).toMatchObject({ verdict: 'healthy', fitness: 'unfit', weight: 0, ejections: 1 });
    expect(world.view('a').ejectedUntil).toBe(world.at.wall + 30_000);
    expect(world.lines).toContain('node app/a is ejected for 30 s: 5 errors in a row: 503 from GET /');
  });

  it('a passing active check does not undo it', () => {
    const world = ejected();
    const before = world.probesOf('a').length;
    world.advance(29_000);
    expect(world.probesOf('a').length).toBeGreaterThan(before + 10);
    expect(world.view('a').fitness).toBe('unfit');
  });

  it('probation by one real request: a success makes it fit', () => {
    const world = ejected();
    world.advance(30_000);
    expect(world.view('a')).toMatchObject({ fitness: 'probation', weight: 1, ejectedUntil: null });
    world.report('a', 'success');
    expect(world.view('a')).toMatchObject({ fitness: 'fit', ejections: 1 });
    world.advance(300_000);
    expect(world.view('a').ejections).toBe(0);
  });

  it.each(['failure', 'errors', 'timeout', 'reset', 'refused'] as PassiveSignal[])(
    'probation by one real request: %s ejects longer',
    (signal) => {
      const world = ejected();
      world.advance(30_000);
      world.report('a', signal, 'again');
      expect(world.view('a')).toMatchObject({ fitness: 'unfit', ejections: 2 });
      expect(world.view('a').ejectedUntil).toBe(world.at.wall + 60_000);
    },
  );

  it('at most maxEjected, and the refusal is told once', () => {
    const world = ejected();
    world.report('b', 'errors', 'x');
    world.report('b', 'errors', 'x');
    expect(world.view('b').fitness).toBe('fit');
    const told = world.lines.filter((line) => line.startsWith('node app/b is not ejected'));
    expect(told).toEqual(['node app/b is not ejected: 5 errors in a row: x; too few other nodes are fit']);
  });

  it('an ejected node is used again when the others fall, and not any more when they are back', () => {
    const world = ejected();
    for (const other of ['b', 'c']) {
      world.set(other, 'refuse');
      world.report(other, 'refused');
    }
    world.advance(100);
    expect(world.fit()).toEqual(['a']);
    expect(world.view('a').why).toMatch(/too few other nodes are fit/);
    world.set('b', 'ok');
    world.advance(6000);
    expect(world.fit()).toEqual(['b']);
  });

  it('consecutiveErrors 0: traffic ejects nobody', () => {
    const world = new World(poolSpec(['a', 'b'], { passive: { ...passivePolicy, consecutiveErrors: 0 } }));
    world.advance(4000);
    world.report('a', 'errors');
    expect(world.view('a').fitness).toBe('fit');
  });
});

describe('slow start', () => {
  it('weight grows from 10 % after the node was down, told at most each 250 ms', () => {
    const world = new World(
      poolSpec([nodeSpec('a', { weight: 10 }), 'b'], { slowStart: { window: 2000, aggression: 1 } }),
    );
    world.advance(4000);
    world.set('a', 'refuse');
    world.report('a', 'refused');
    world.advance(100);
    world.set('a', 'ok');
    const from = world.changes.length;
    world.lines.length = 0;
    world.advance(30_000);
    const weights = world.changes.slice(from).map((change) => change.view.weight);
    expect(weights[0]).toBe(1);
    expect(weights.at(-1)).toBe(10);
    expect(weights).toEqual([...weights].sort((x, y) => x - y));
    expect(weights.length).toBeLessThanOrEqual(9);
    expect(weights.length).toBeGreaterThanOrEqual(7);
    expect(world.lines.filter((line) => line.includes('node app/a is up'))).toHaveLength(1);
  });
});

describe('panic', () => {
  it('is told when it begins and when it ends', () => {
    const world = new World(poolSpec(['a', 'b', 'c'], { panicThreshold: 0.5 }));
    world.advance(4000);
    for (const id of ['a', 'b']) {
      world.set(id, 'refuse');
      world.report(id, 'refused');
    }
    world.advance(100);
    expect(world.fit()).toEqual(['a', 'b', 'c']);
    expect(world.machine.pool('app')).toEqual({ pool: 'app', panic: true, fit: 1, total: 3 });
    expect(world.view('a').why).toMatch(/^too few nodes of the pool are fit; \d failed checks in a row: /);
    world.set('a', 'ok');
    world.advance(10_000);
    expect(world.fit()).toEqual(['a', 'c']);
    const told = world.lines.filter((line) => line.startsWith('pool app'));
    expect(told).toEqual([
      'pool app is in panic: 1 of 3 nodes fit, threshold 50 %: all its nodes are used',
      'pool app is no longer in panic: 2 of 3 nodes fit, threshold 50 %',
    ]);
  });
});

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
      balance: { algorithm: 'round-robin', key: { from: 'address' } },
      retry: { attempts: 2, budget: 0.2, methods: [], statuses: [], buffer: 65_536, backoff: 25 },
      upstream: {
        connectTimeout: 5000,
        responseTimeout: 60_000,
        bodyTimeout: 60_000,
        tunnelTimeout: 3_600_000,
        idleTimeout: 4000,
        maxIdle: 64,
      },
      limits: { maxConnections: 1024, maxPending: 1024, queueTimeout: 5000 },
    };
    const world = new World(configured);
    world.advance(3);
    expect(world.fit()).toEqual(['a']);
  });
});

type Step =
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'behave'; readonly node: number; readonly as: Behaviour }
  | { readonly do: 'signal'; readonly node: number; readonly signal: PassiveSignal }
  | { readonly do: 'wish'; readonly node: number; readonly wish: Wish }
  | { readonly do: 'reload'; readonly nodes: number; readonly checked: boolean };

const ids = ['a', 'b', 'c', 'd', 'e'];
const anyIndex = fc.nat(ids.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 50, 500, 5000, 40_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('behave' as const),
      node: anyIndex,
      as: fc.constantFrom<Behaviour>('ok', 'ok', 'refuse', 'error', 'hang', { json: { status: 'degraded' } }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('signal' as const),
      node: anyIndex,
      signal: fc.constantFrom<PassiveSignal>('errors', 'errors', 'refused', 'reset', 'timeout', 'success', 'failure'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('wish' as const),
      node: anyIndex,
      wish: fc.constantFrom<Wish>('ready', 'ready', 'drain', 'maint'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('reload' as const),
      nodes: fc.integer({ min: 1, max: ids.length }),
      checked: fc.boolean(),
    }),
  },
);

function play(world: World, one: Step): void {
  const known = (index: number): string | undefined => world.machine.views(world.at)[index]?.node;
  if (one.do === 'advance') world.advance(one.ms);
  else if (one.do === 'behave') world.set(ids[one.node]!, one.as);
  else if (one.do === 'signal') world.report(ids[one.node]!, one.signal);
  else if (one.do === 'wish') {
    const node = known(one.node);
    if (node !== undefined) world.wish(node, one.wish);
  } else world.configure(specOf(one.nodes, one.checked));
}

function specOf(nodes: number, checked: boolean): PoolSpec {
  const slowStart = { window: 3000, aggression: 1 };
  return poolSpec(ids.slice(0, nodes), { health: checked ? healthPolicy : null, slowStart });
}

describe('any sequence of events', () => {
  it('never ejects the last usable node, never overlaps probes, and tells each change exactly once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(), (steps, seed) => {
        const world = new World(specOf(5, true), seed);
        for (const one of steps) {
          play(world, one);
          const views = world.machine.views(world.at);
          const usable = views.filter(
            (view) => view.wish === 'ready' && (view.verdict === 'healthy' || view.verdict === 'degraded'),
          );
          if (usable.length > 0) expect(views.some((view) => view.fitness === 'fit')).toBe(true);
          expect(world.machine.settle(world.at).changes).toEqual([]);
        }
        expect(world.overlaps).toBe(0);
        checkStories(world);
      }),
      { numRuns: 200 },
    );
  });
});

/** Replaying the changes gives the state at the end, and no change repeats the one before. */
function checkStories(world: World): void {
  const facts = ({ verdict, wish, fitness, weight }: NodeHealthView) => ({ verdict, wish, fitness, weight });
  const last = new Map<string, NodeHealthView>();
  for (const { node, view, previous } of world.changes) {
    if (previous !== null) {
      expect(previous).toBe(last.get(node));
      expect(facts(view)).not.toEqual(facts(previous));
    }
    last.set(node, view);
  }
  for (const view of world.machine.views(world.at)) expect(facts(last.get(view.node)!)).toEqual(facts(view));
}
