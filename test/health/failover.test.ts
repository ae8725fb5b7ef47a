/** What failover gets from the checks: reports, a threshold of its own for the primary, checks now. */
import { describe, expect, it } from 'vitest';
import { nodeId } from '../../src/base/ids.ts';
import { poolSpec, World } from './world.ts';

const withPrimary = (node: string | null, failureThreshold: number, nodes = ['a', 'b']): World => {
  const world = new World(poolSpec(nodes, { failover: { failureThreshold } }));
  world.machine.lead('app', { node, epoch: 7 });
  world.advance(4000);
  return world;
};

describe('the primary', () => {
  it('is down after failureThreshold failed checks, others after fall', () => {
    const world = withPrimary('a', 5);
    world.set('a', 'error');
    world.set('b', 'error');
    const downAfter = (node: string) => world.reports.findIndex((one) => one.node === node && one.up === false);
    world.advance(10_000);
    const first = (node: string) => world.reports[downAfter(node)];
    expect(first('a')).toMatchObject({ up: false, failures: 5, detail: 'unexpected status 500 in 3 ms' });
    expect(first('b')).toMatchObject({ up: false, failures: 3 });
  });

  it('is found dead by refused connections, probed 50 ms apart', () => {
    const world = withPrimary('a', 3);
    world.set('a', 'refuse');
    const before = world.probesOf('a').length;
    world.advance(2500);
    const [first = 0, second = 0, third = 0] = world.probesOf('a').slice(before);
    expect([second - first, third - second]).toEqual([51, 51]);
    const down = world.reports.find((one) => one.node === 'a' && one.up === false);
    expect(down).toMatchObject({ failures: 3, refused: true, at: third + 1 });
  });

  it('is judged by checks alone: refused requests only have it checked now', () => {
    const world = withPrimary('a', 1);
    const before = world.probesOf('a').length;
    world.report('a', 'refused');
    world.advance(10);
    expect(world.probesOf('a').length).toBe(before + 1);
    expect(world.view('a').verdict).toBe('healthy');
  });
});

describe('reports', () => {
  it('come after every check, with what the node says of itself', () => {
    const world = withPrimary('a', 3);
    world.set('b', { json: { role: 'replica', epoch: 7, cluster: 'c', position: 40, lag: 12, primaryHeard: 3 } });
    world.advance(2500);
    expect(world.reports.filter((one) => one.node === 'b')).toHaveLength(world.probesOf('b').length);
    const said = { role: 'replica', epoch: 7, cluster: 'c', position: 40, lag: 12, primaryHeard: 3 };
    expect(world.reports.findLast((one) => one.node === 'b')).toMatchObject({
      up: true,
      failures: 0,
      wanted: true,
      ...said,
    });
    world.set('b', 'error');
    world.advance(2500);
    expect(world.reports.findLast((one) => one.node === 'b')).toMatchObject({
      role: null,
      epoch: null,
      position: null,
    });
  });

  it('say what the operator wishes, and the node itself', () => {
    const world = withPrimary('a', 3);
    world.wish('b', 'drain');
    expect(world.reports.at(-1)).toMatchObject({ node: 'b', up: true, wanted: false });
    world.wish('b', 'maint');
    expect(world.reports.at(-1)).toMatchObject({ node: 'b', up: null, wanted: false });
    world.wish('b', 'ready');
    world.set('b', { json: { status: 'maint' } });
    world.advance(10_000);
    expect(world.reports.findLast((one) => one.node === 'b')).toMatchObject({ up: true, wanted: false });
  });

  it('count failures in a row, until one check goes well', () => {
    const world = withPrimary(null, 3);
    world.set('b', 'error');
    world.advance(4000);
    const last = () => world.reports.findLast((one) => one.node === 'b');
    expect(last()?.failures).toBeGreaterThanOrEqual(3);
    world.set('b', 'ok');
    world.advance(5100);
    expect(last()).toMatchObject({ failures: 0 });
  });

  it('are not made of pools without failover', () => {
    const world = new World(poolSpec(['a']));
    world.advance(4000);
    expect([world.reports, world.machine.reports()]).toEqual([[], []]);
  });
});

describe('a check now', () => {
  it('is made at once, but at most 20 times a second, and never beside another', () => {
    const world = withPrimary('a', 3);
    const before = world.probesOf('a').length;
    for (let i = 0; i < 200; i += 1) {
      world.machine.probeNow('app', nodeId('a'), world.at);
      world.advance(5);
    }
    const count = world.probesOf('a').length - before;
    expect(count).toBeGreaterThan(15);
    expect(count).toBeLessThanOrEqual(21);
    expect(world.overlaps).toBe(0);
  });

  it('of an unknown node is nothing', () => {
    const world = withPrimary('a', 3);
    world.machine.probeNow('app', nodeId('zz'), world.at);
    world.machine.probeNow('zz', nodeId('a'), world.at);
  });
});

it('checks carry the epoch', () => {
  const world = withPrimary('a', 3);
  expect(world.epochs.at(-1)).toBe(7);
  world.machine.lead('app', { node: 'b', epoch: 8 });
  world.advance(2500);
  expect(world.epochs.at(-1)).toBe(8);
});
