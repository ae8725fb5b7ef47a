/** What real traffic does to a node's standing: refused and reset connections, consecutive errors, probation. */
import { describe, expect, it } from 'vitest';
import type { PassiveSignal } from '../../src/health/contract.ts';
import { passivePolicy, poolSpec, World } from './world.ts';

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
    world.report('a', 'errors', '5 failed requests in a row, the last: 503');
    return world;
  };

  it('eject for ejectBase, and the log says so', () => {
    const world = ejected();
    expect(world.view('a')).toMatchObject({ verdict: 'healthy', fitness: 'unfit', weight: 0, ejections: 1 });
    expect(world.view('a').ejectedUntil).toBe(world.at.wall + 30_000);
    expect(world.lines).toContain('node app/a is ejected for 30 s: 5 failed requests in a row, the last: 503');
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
    expect(told).toEqual(['node app/b is not ejected: x; too few other nodes are fit']);
  });

  it('of a node that takes no new traffic there is nothing to refuse: its last requests fail, and nothing is told', () => {
    const world = new World(poolSpec(['a', 'b', 'c', 'd']));
    world.advance(4000);
    world.set('b', 'refuse');
    world.advance(10_000);
    expect(world.view('b').verdict).toBe('unhealthy');
    world.wish('c', 'drain');
    for (const node of ['b', 'c']) world.report(node, 'errors', '5 failed requests in a row');
    expect(world.lines.filter((line) => line.includes('not ejected'))).toEqual([]);
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
