import { describe, expect, it } from 'vitest';
import { nodeId } from '../../src/base/ids.ts';
import { healthPolicy, nodeSpec, poolSpec, World } from './world.ts';

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

  it('a node that could not be asked keeps its verdict, which is told once a minute', () => {
    const world = new World(poolSpec(['a', 'b']));
    world.advance(4000);
    const probes = world.probes.length;
    for (const node of ['a', 'b']) world.set(node, 'unasked');
    world.advance(59_000);
    expect(world.fit()).toEqual(['a', 'b']);
    expect(world.probes.length - probes).toBeLessThan(65); // no faster than before
    const told = 'health checks can not be made: connect EMFILE; verdicts stay as they are until they can';
    expect(world.lines.filter((line) => line === told)).toHaveLength(1);
    world.set('a', 'refuse');
    world.advance(4000);
    expect(world.fit()).toEqual(['b']);
  });

  it('a node that could not be asked at the start is unknown until it can', () => {
    const world = new World(poolSpec(['a']));
    world.set('a', 'unasked');
    world.machine.wish('app', nodeId('a'), 'maint', world.at);
    world.wish('a', 'ready');
    world.advance(5000);
    expect(world.view('a').verdict).toBe('unknown');
    world.set('a', 'ok');
    world.advance(3000);
    expect(world.fit()).toEqual(['a']);
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

describe('the log', () => {
  it('is quiet about a good start, loud about a loss, and neither about the rest', () => {
    const world = new World(poolSpec(['a', 'b', 'c']));
    world.advance(4000);
    expect(world.levels).toEqual(['debug', 'debug', 'debug']);
    world.lines.length = 0;
    world.levels.length = 0;
    world.report('b', 'errors', '5 failed requests in a row');
    world.advance(30_000);
    world.report('b', 'success');
    world.set('a', 'refuse');
    world.report('a', 'refused');
    world.advance(100);
    world.set('a', 'ok');
    world.advance(10_000);
    world.wish('c', 'maint');
    world.wish('c', 'ready');
    world.advance(100);
    world.set('c', { json: { status: 'drain' } });
    world.advance(4000);
    expect(world.lines.map((line, i) => `${world.levels[i]} ${line}`)).toEqual([
      'warn node app/b is ejected for 30 s: 5 failed requests in a row',
      'info node app/b is on probation: 5 failed requests in a row; one real request may try it now',
      expect.stringMatching(/^info node app\/b is up: \d+ passed checks in a row: 200 in 3 ms$/),
      'warn node app/a is down: 3 failed checks in a row: connect ECONNREFUSED',
      'info node app/a is up: 2 passed checks in a row: 200 in 3 ms',
      'info node app/c is in maintenance: the operator wishes it: no traffic, no checks',
      'info node app/c is unknown: not checked yet',
      'info node app/c is up: 1 passed check: 200 in 3 ms',
      'info node app/c is draining: its health answer says drain',
    ]);
  });
});
