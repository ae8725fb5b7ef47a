import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { snapshotOf, type Tables } from '../../src/routing/compile.ts';
import { maxRowsPerMessage, Publisher } from '../../src/routing/publisher.ts';
import { SnapshotReceiver } from '../../src/routing/receive.ts';
import { runWhole } from '../../src/routing/slice.ts';
import type { RouteView, Snapshot, SnapshotPiece } from '../../src/routing/snapshot.ts';
import { anyRequest, anyRoute, listenerSlots, node, pool, prefix, request, route, settings } from './fixtures.ts';

interface Sketch {
  /** Pool name -> ids of its nodes. */
  readonly pools?: Readonly<Record<string, readonly string[]>>;
  readonly routes?: Tables['routes'];
  readonly accessLog?: boolean;
}

/** Always new objects, as after a reload. */
function tables({ pools = { app: ['a', 'b'] }, routes = [route('all')], accessLog = true }: Sketch = {}): Tables {
  const names = Object.keys(pools);
  return structuredClone({
    settings: { ...settings, accessLog },
    pools: names.map((name) => pool(name, pools[name]!.length)),
    nodes: new Map(names.map((name) => [name, pools[name]!.map((id, slot) => node(name, id, slot))])),
    routes,
    listeners: listenerSlots,
  });
}

/** Hands messages over as a message port does: cloned, in order. */
function deliver(messages: readonly SnapshotPiece[][], to: SnapshotReceiver): Snapshot {
  const pieces = structuredClone(messages).flat();
  const ends = pieces.map((piece) => to.accept(piece));
  expect(ends.indexOf(true)).toBe(pieces.length - 1);
  return runWhole(to.compile());
}

const kinds = (messages: readonly SnapshotPiece[][]): string[] => messages.flat().map((piece) => piece.kind);
const rowsIn = (message: readonly SnapshotPiece[]): number =>
  message.reduce((sum, piece) => sum + ('rows' in piece ? piece.rows.length : 0), 0);

/** A snapshot without the revisions, as plain data. */
function plain(snapshot: Snapshot): unknown {
  const view = (route: RouteView) => ({ ...route, pool: route.pool?.row.name });
  return {
    version: snapshot.version,
    settings: snapshot.settings,
    pools: [...snapshot.pools].map(([name, { row, nodes }]) => [name, { ...row, revision: 0 }, nodes]),
    routes: snapshot.routes.map(view),
  };
}

describe('publisher', () => {
  it('sends everything first, and nothing but the version when nothing changed', () => {
    const publisher = new Publisher();
    expect(kinds(publisher.publish(tables(), 1))).toEqual(['begin', 'settings', 'pools', 'nodes', 'routes', 'end']);
    expect(kinds(publisher.publish(tables(), 2))).toEqual(['begin', 'end']);
  });
  it.each<[string, Sketch, string[]]>([
    ['settings', { accessLog: false }, ['settings']],
    ['routes', { routes: [route('other')] }, ['routes']],
    ['a node', { pools: { app: ['a', 'c'] } }, ['pools', 'nodes']],
    ['the order of nodes', { pools: { app: ['b', 'a'] } }, ['pools', 'nodes']],
    ['a new pool', { pools: { app: ['a', 'b'], new: [] } }, ['pools', 'nodes']],
  ])('sends only what changed: %s', (_, sketch, sent) => {
    const publisher = new Publisher();
    publisher.publish(tables(), 1);
    expect(kinds(publisher.publish(tables(sketch), 2))).toEqual(['begin', ...sent, 'end']);
  });
  it('sends the nodes of no pool but the changed one, and the others keep their revision', () => {
    const publisher = new Publisher();
    const revisions = (messages: SnapshotPiece[][]) =>
      messages.flat().flatMap((piece) => (piece.kind === 'pools' ? piece.rows.map((row) => row.revision) : []));
    const [one, two] = revisions(publisher.publish(tables({ pools: { one: ['a'], two: ['b'] } }), 1));
    const messages = publisher.publish(tables({ pools: { one: ['a'], two: ['c'] } }), 2);
    const [oneNow, twoNow] = revisions(messages);
    expect(oneNow).toBe(one);
    expect(twoNow).toBeGreaterThan(Math.max(one!, two!));
    expect(messages.flat().filter((piece) => piece.kind === 'nodes')).toMatchObject([{ pool: 'two' }]);
  });
  it('a pool that went and came back has a revision of its own', () => {
    const publisher = new Publisher();
    const receiver = new SnapshotReceiver();
    const both = { pools: { app: ['a'], x: ['b'] } };
    const first = deliver(publisher.publish(tables(both), 1), receiver);
    deliver(publisher.publish(tables({ pools: { app: ['a'] } }), 2), receiver);
    const third = deliver(publisher.publish(tables(both), 3), receiver);
    expect(third.pools.get('x')!.row.revision).toBeGreaterThan(first.pools.get('x')!.row.revision);
  });
  it('a message holds at most 200 rows, however the tables are cut', () => {
    const pools = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`p${i}`, Array.from({ length: i % 7 }, (__, n) => `n${n}`)]),
    );
    const many = Array.from({ length: 450 }, (_, i) => `n${i}`);
    const routes = Array.from({ length: 1001 }, (_, i) => route(`r${i}`));
    const whole = tables({ pools: { app: many, ...pools }, routes });
    const messages = new Publisher().publish(whole, 1);
    expect(Math.max(...messages.map(rowsIn))).toBeLessThanOrEqual(maxRowsPerMessage);
    expect(Math.max(...messages.map((message) => message.length))).toBeLessThanOrEqual(maxRowsPerMessage + 3);
    const rows = 301 + [...whole.nodes.values()].flat().length + 1001;
    expect(messages.reduce((sum, message) => sum + rowsIn(message), 0)).toBe(rows);
    expect(plain(deliver(messages, new SnapshotReceiver()))).toEqual(plain(snapshotOf(1, whole)));
  });
  it('a pool without nodes counts, too: a thousand of them are no single message', () => {
    const pools = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`p${i}`, []]));
    const messages = new Publisher().publish(tables({ pools }), 1);
    expect(Math.max(...messages.map((message) => message.length))).toBeLessThanOrEqual(maxRowsPerMessage + 3);
  });
  it('full() brings a new thread to where the others are', () => {
    const publisher = new Publisher();
    const old = new SnapshotReceiver();
    deliver(publisher.publish(tables(), 1), old);
    const latest = deliver(publisher.publish(tables({ pools: { app: ['c'] } }), 2), old);
    const late = deliver(publisher.full(2), new SnapshotReceiver());
    expect(plain(late)).toEqual(plain(latest));
    expect(late.pools.get('app')?.row.revision).toBe(latest.pools.get('app')?.row.revision);
  });
  it('full() before anything was published is a bug that says so', () => {
    expect(() => new Publisher().full(1)).toThrow('before anything was published');
  });
});

describe('receiver', () => {
  const routes = [
    route('api', { path: prefix('/api'), action: { kind: 'pool', pool: 'api', rewrite: null } }),
    route('web', { action: { kind: 'pool', pool: 'web', rewrite: null } }),
    route('old', { action: { kind: 'redirect', to: '/', status: 308 } }),
  ];
  const start = { pools: { api: ['a'], web: ['w'] }, routes };

  function twice(second: Sketch): readonly [Snapshot, Snapshot] {
    const publisher = new Publisher();
    const receiver = new SnapshotReceiver();
    return [
      deliver(publisher.publish(tables(start), 1), receiver),
      deliver(publisher.publish(tables(second), 2), receiver),
    ];
  }

  it('what did not change is the same object', () => {
    const [before, after] = twice(start);
    expect(after.version).toBe(2);
    expect(after.pools).toBe(before.pools);
    expect(after.routes).toBe(before.routes);
    expect(after.settings).toBe(before.settings);
  });
  it('a changed pool is bound anew, the other pool and its routes stay', () => {
    const [before, after] = twice({ ...start, pools: { api: ['a', 'b'], web: ['w'] } });
    expect(after.pools.get('api')).not.toBe(before.pools.get('api'));
    expect(after.pools.get('web')).toBe(before.pools.get('web'));
    expect(after.match(request({ path: '/api' }))?.pool).toBe(after.pools.get('api'));
    expect(after.routes[1]).toBe(before.routes[1]);
    expect(after.routes[2]).toBe(before.routes[2]);
    expect(before.match(request({ path: '/api' }))?.pool?.nodes).toHaveLength(1);
  });
  it('changed routes keep the views of the pools', () => {
    const [before, after] = twice({ ...start, routes: routes.slice(1) });
    expect(after.match(request({ path: '/api' }))?.row.name).toBe('web');
    expect(after.pools).toBe(before.pools);
  });
  it('the order of pools is that of the config', () => {
    const [, after] = twice({ ...start, pools: { web: ['w'], api: ['a'] } });
    expect([...after.pools.keys()]).toEqual(['web', 'api']);
  });
  it('nothing of a snapshot can be changed', () => {
    const [, after] = twice(start);
    const view = after.routes[0]!;
    for (const value of [after, after.routes, view, view.pool, view.pool?.nodes])
      expect(Object.isFrozen(value)).toBe(true);
  });
  it('fields to set leave as lines, and take the place of what the other side sent', () => {
    const edits = {
      set: [
        { name: 'X-A', value: '1' },
        { name: 'X-B', value: '' },
      ],
      remove: ['server'],
    };
    const [, after] = twice({ ...start, routes: [route('r', { responseFields: edits, action: routes[1]!.action })] });
    expect(after.routes[0]).toMatchObject({
      requestSet: '',
      requestDrop: null,
      responseSet: 'X-A: 1\r\nX-B: \r\n',
      responseDrop: new Set(['server', 'x-a', 'x-b']),
    });
  });
  it('a version that came while another was compiled is compiled next; the first can be given up', () => {
    const publisher = new Publisher();
    const receiver = new SnapshotReceiver();
    const first = deliver(publisher.publish(tables(start), 1), receiver);
    for (const piece of publisher.publish(tables({ ...start, pools: { api: ['b'], web: ['w'] } }), 2).flat())
      receiver.accept(piece);
    receiver.compile().next(); // and no further
    const third = deliver(publisher.publish(tables({ ...start, accessLog: false }), 3), receiver);
    expect(third.pools.get('api')?.nodes[0]?.id).toBe('a');
    expect(third.pools.get('api')).not.toBe(first.pools.get('api'));
    expect(third.pools.get('web')).toBe(first.pools.get('web'));
    expect(third.settings.accessLog).toBe(false);
  });
  it('a compile that is under way keeps to its version while the next one comes', () => {
    const publisher = new Publisher();
    const receiver = new SnapshotReceiver();
    for (const piece of publisher.publish(tables(start), 1).flat()) receiver.accept(piece);
    const work = receiver.compile();
    work.next();
    for (const piece of publisher.publish(tables({ ...start, routes: routes.slice(1) }), 2).flat())
      receiver.accept(piece);
    const first = runWhole(work);
    expect([first.version, first.routes.length]).toEqual([1, 3]);
    const second = runWhole(receiver.compile());
    expect([second.version, second.routes.length]).toEqual([2, 2]);
  });
  it('pieces out of order are a bug that is told, not a wrong table', () => {
    const [message] = new Publisher().publish(tables(), 1);
    const [begin, ...rest] = message!;
    expect(() => new SnapshotReceiver().accept(rest[0]!)).toThrow('outside a snapshot');
    expect(() => new SnapshotReceiver().compile().next()).toThrow('before a snapshot');
    const receiver = new SnapshotReceiver();
    receiver.accept(begin!);
    expect(() => receiver.accept(begin!)).toThrow('inside another');
    expect(() => receiver.accept({ kind: 'end', version: 9 })).toThrow('ended as 9');
    expect(() => receiver.accept({ kind: 'end', version: 1 })).toThrow('a table is missing');
    expect(() => receiver.accept({ kind: 'pools', rows: [], first: false })).toThrow('not its first');
  });
  it('a pool whose nodes have not all come is told', () => {
    const receiver = new SnapshotReceiver();
    const pieces = new Publisher().publish(tables(), 1).flat();
    for (const piece of pieces) if (piece.kind !== 'nodes') receiver.accept(piece);
    expect(() => runWhole(receiver.compile())).toThrow('pool app: 0 of 2 nodes have come');
  });
});

describe('any sequence of configs', () => {
  const ids = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 });
  const sketch: fc.Arbitrary<Sketch> = fc.record({
    pools: fc.record({ app: ids, x: fc.option(ids, { nil: undefined }) }, { requiredKeys: ['app'] }).map((pools) => ({
      app: pools.app,
      ...(pools.x ? { x: pools.x } : {}),
    })),
    routes: fc.array(anyRoute, { maxLength: 6 }),
    accessLog: fc.boolean(),
  });

  it('arrives as if each had been built directly, and keeps what did not change', () => {
    fc.assert(
      fc.property(fc.array(sketch, { minLength: 1, maxLength: 5 }), fc.array(anyRequest), (sketches, requests) => {
        const publisher = new Publisher();
        const receiver = new SnapshotReceiver();
        let before: Snapshot | null = null;
        sketches.forEach((each, i) => {
          const now = deliver(publisher.publish(tables(each), i + 1), receiver);
          const direct = snapshotOf(i + 1, tables(each));
          expect(plain(now)).toEqual(plain(direct));
          for (const facts of requests) expect(now.match(facts)?.row).toEqual(direct.match(facts)?.row);
          for (const [name, view] of now.pools) {
            const known: unknown = before?.pools.get(name);
            expect(view === known).toBe(JSON.stringify(each.pools?.[name]) === idsIn(before, name));
          }
          before = now;
        });
      }),
      { numRuns: 100 },
    );
  });
});

function idsIn(snapshot: Snapshot | null, pool: string): string | undefined {
  const view = snapshot?.pools.get(pool);
  return view && JSON.stringify(view.nodes.map((each) => each.id));
}
