import { get, type IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { CommandError } from '../../../src/cluster/failover/contract.ts';
import { until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { type Answer, startWorld } from '../fixture.ts';
import { failoverWorld, poolView, record } from './failover-fixture.ts';

async function api() {
  const failover = failoverWorld();
  const world = await startWorld({}, undefined, failover.failover);
  testScope().own({ stop: () => world.close() });
  const send = (method: string, path: string, body?: unknown): Promise<Answer> =>
    world.ask({
      method,
      path,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
  return { failover, world, look: (path: string) => send('GET', path), send };
}

describe('GET /ha/failover', () => {
  it('shows each pool: who is primary, and why it is so', async () => {
    const { look } = await api();
    const { status, json } = await look('/ha/failover');
    expect(status).toBe(200);
    expect(json).toMatchObject({
      pools: {
        app: {
          ...{ state: 'RECOVERING', reason: 'b is back, without reads yet', primary: 'a', secondaries: ['b', 'c'] },
          ...{
            epoch: 7,
            phase: 'open',
            mode: 'automatic',
            automatic: true,
            lastFailoverTime: '2026-01-02T00:00:00.000Z',
          },
          writes: { sent: true, why: '', waiting: 0, leaseMs: 1000 },
          lastChange: { reason: 'failover', from: 'b', to: 'a', promotedAt: null },
          nodes: [
            { id: 'a', role: 'PRIMARY', up: true, position: 40, lagMs: 5, priority: 100, returning: false },
            { id: 'b', role: 'SECONDARY', returning: true },
            { id: 'c', role: 'SECONDARY', up: false, position: null },
          ],
        },
      },
    });
  });

  it('says why writes are not sent', async () => {
    const { failover, look } = await api();
    failover.pools = [poolView({ writeUntil: null, stopped: 'epoch 8 is being opened' }, { parked: 12 })];
    const shown = async () => ((await look('/ha/failover')).json['pools'] as { app: { writes: object } }).app.writes;
    expect(await shown()).toEqual({ sent: false, why: 'epoch 8 is being opened', waiting: 12, leaseMs: 0 });
    failover.pools = [poolView({}, { lacking: '0 of at least 1 replicas follow' })];
    expect(await shown()).toMatchObject({ sent: false, why: '0 of at least 1 replicas follow' });
  });

  it('of a pool of which nothing is agreed yet shows what there is', async () => {
    const { failover, look } = await api();
    failover.pools = [poolView({ record: null, writeUntil: null, state: 'DETECTING' })];
    const { json } = await look('/ha/failover');
    expect(json).toMatchObject({ pools: { app: { primary: null, epoch: 0, phase: null, lastChange: null } } });
  });
});

describe('checks for other balancers', () => {
  it('/ha/primary is 200 while a primary takes writes', async () => {
    const { failover, look } = await api();
    expect((await look('/ha/primary/app')).json).toEqual({ pool: 'app', primary: 'a', epoch: 7, writes: true });
    expect((await look('/ha/primary/app?node=a')).status).toBe(200);
    expect((await look('/ha/primary/app?node=b')).status).toBe(503);
    failover.pools = [poolView({ writeUntil: 7999 })];
    expect((await look('/ha/primary/app')).status).toBe(503);
    failover.pools = [poolView({ record: { ...record, phase: 'pending' } })];
    expect((await look('/ha/primary/app')).status).toBe(503);
    expect((await look('/ha/primary/nope')).status).toBe(404);
    expect((await look('/ha/primary/app?nod=a')).status).toBe(422);
  });

  it('/ha/replica is 200 for a replica that is up and knows its place', async () => {
    const { failover, look } = await api();
    const status = async (node: string) => (await look(`/ha/replica/app/${node}`)).status;
    expect([await status('a'), await status('b'), await status('c'), await status('zz')]).toEqual([503, 503, 503, 404]);
    failover.pools = [poolView({ record: { ...record, returning: [] } })];
    expect(await status('b')).toBe(200);
    expect((await look('/ha/replica/nope/a')).status).toBe(404);
  });
});

describe('POST /api/ha/failover', () => {
  it('asks for a switch, with all that may be said of it', async () => {
    const { failover, send, world } = await api();
    const { status, json } = await send('POST', '/api/ha/failover', { pool: 'app' });
    expect([status, json]).toEqual([200, { pool: 'app', dryRun: false, text: 'b is primary of epoch 8', plan: null }]);
    const at = '2026-05-01T03:00:00Z';
    await send('POST', '/api/ha/failover', { pool: 'app', targetNodeId: 'b', at });
    const all = { pool: 'app', targetNodeId: 'b', dryRun: true, force: true, acceptLoss: 4, lost: ['n3'] };
    await send('POST', '/api/ha/failover', all);
    expect(failover.commands).toEqual([
      ...[
        {
          kind: 'switch',
          pool: 'app',
          target: null,
          at: null,
          dryRun: false,
          force: false,
          acceptLoss: null,
          lost: [],
        },
      ],
      ...[
        {
          kind: 'switch',
          pool: 'app',
          target: 'b',
          at: Date.parse(at),
          dryRun: false,
          force: false,
          acceptLoss: null,
          lost: [],
        },
      ],
      ...[
        {
          kind: 'switch',
          pool: 'app',
          target: 'b',
          at: null,
          dryRun: true,
          force: true,
          acceptLoss: 4,
          lost: ['n3'],
        },
      ],
    ]);
    expect(world.audited.map(({ action, value, result }) => [action, value, result])).toEqual([
      ['failover', 'app to the fittest', 'done'],
      ['failover', 'app to b', 'done'],
      ['failover', 'app to b, dry run, by force', 'done'],
    ]);
  });

  it('answers a dry run with the plan', async () => {
    const { failover, send } = await api();
    const plan = { pool: 'app', from: 'a', to: 'b', why: 'the only one that is fit', others: [], pauseMs: 200 };
    failover.answer = { ok: true, plan, text: 'b would become primary' };
    const { json } = await send('POST', '/api/ha/failover', { pool: 'app', dryRun: true });
    expect(json).toMatchObject({ dryRun: true, plan: { from: 'a', to: 'b', pauseMs: 200 } });
  });

  it.each<[CommandError, number, RegExp]>([
    [{ kind: 'unknown-pool', known: ['app'] }, 404, /no pool "app" with failover; known: "app"/],
    [{ kind: 'unknown-node', known: ['a', 'b'] }, 404, /no node "zz" there; known: "a", "b"/],
    [{ kind: 'unfit', why: 'zz: it is 3 behind', forcible: true }, 409, /zz: it is 3 behind/],
    [{ kind: 'busy', why: 'another change of primary is under way' }, 409, /another change/],
    [{ kind: 'no-quorum', missing: ['n2', 'n3'] }, 503, /no majority .* missing n2, n3/],
    [{ kind: 'not-leader', leader: null }, 503, /the leader did not answer in time/],
    [{ kind: 'failed', why: 'no node could be made primary' }, 409, /no node could be made primary/],
  ])('that is refused says why: %j', async (error, status, detail) => {
    const { failover, send, world } = await api();
    failover.answer = { ok: false, error };
    const answer = await send('POST', '/api/ha/failover', { pool: 'app', targetNodeId: 'zz' });
    expect(answer.status).toBe(status);
    expect(answer.json).toMatchObject({ reason: error.kind, detail: expect.stringMatching(detail) });
    expect(world.audited.at(-1)).toMatchObject({ action: 'failover', target: '', result: 'failed' });
  });

  it.each([
    [{}, 'pool must be a text'],
    [{ pool: 7 }, 'pool must be a text'],
    [{ pool: 'app', at: 'tomorrow' }, 'at must be a moment'],
    [{ pool: 'app', at: -1 }, 'at must be a moment'],
    [{ pool: 'app', at: '2026-05-01T03:00:00Z', force: true }, 'force, acceptLoss and lost are words on a switch now'],
    [{ pool: 'app', at: '2026-05-01T03:00:00Z', acceptLoss: 4 }, 'what is so then nobody has looked at'],
    [{ pool: 'app', at: '2026-05-01T03:00:00Z', lost: ['n3'] }, 'ask without at'],
    [{ pool: 'app', dryRun: 'maybe' }, 'dryRun must be true or false'],
    [{ pool: 'app', acceptLoss: -1 }, 'acceptLoss must be a whole number'],
    [{ pool: 'app', lost: 'n3' }, 'lost must be a list of names'],
    [{ pool: 'app', target: 'b' }, '"target" is not known here'],
  ])('that is not understood asks for nothing: %j', async (body, detail) => {
    const { failover, send } = await api();
    const { status, json } = await send('POST', '/api/ha/failover', body);
    expect(status).toBe(422);
    expect(json['detail']).toContain(detail);
    expect(failover.commands).toEqual([]);
  });
});

describe('the other deeds', () => {
  it('ask for what they say', async () => {
    const { failover, send } = await api();
    const deeds: readonly (readonly [string, object])[] = [
      ['/failback', { pool: 'app', dryRun: true }],
      ['/cancel', { pool: 'app' }],
      ['/adopt', { pool: 'app', nodeId: 'b' }],
      ['/enable', { pool: 'app' }],
      ['/disable', {}],
    ];
    for (const [path, body] of deeds)
      expect((await send('POST', `/api/ha/failover${path}`, body)).status, path).toBe(200);
    expect(failover.commands).toEqual([
      { kind: 'failback', pool: 'app', dryRun: true },
      { kind: 'cancel', pool: 'app' },
      { kind: 'adopt', pool: 'app', node: 'b' },
      { kind: 'automatic', pool: 'app', enabled: true },
      { kind: 'automatic', pool: null, enabled: false },
    ]);
  });
});

describe('PATCH /api/ha/nodes/:node', () => {
  it('sets role and priority, or leaves them to the file again', async () => {
    const { failover, send } = await api();
    const { status, json } = await send('PATCH', '/api/ha/nodes/b', { role: 'standby', priority: 7 });
    expect([status, json]).toEqual([200, { pool: 'app', id: 'b', role: 'standby', priority: 7 }]);
    await send('PATCH', '/api/ha/nodes/b', { pool: 'app', role: null, priority: null });
    expect((await send('PATCH', '/api/ha/nodes/b', { priority: 8 })).json).toEqual({
      ...{ pool: 'app', id: 'b', priority: 8 },
    });
    await send('PATCH', '/api/ha/nodes/b', { role: 'replica' });
    expect(failover.set).toEqual([
      { pool: 'app', node: 'b', role: 'standby', priority: 7 },
      { pool: 'app', node: 'b', role: null, priority: null },
      { pool: 'app', node: 'b', role: undefined, priority: 8 },
      { pool: 'app', node: 'b', role: 'replica', priority: undefined },
    ]);
    expect(failover.set[2]!.role).toBeUndefined();
  });

  it('makes no primary: 409, with the way to do it', async () => {
    const { failover, send } = await api();
    const { status, json } = await send('PATCH', '/api/ha/nodes/b', { role: 'primary' });
    expect(status).toBe(409);
    expect(json).toMatchObject({ reason: 'use-failover', detail: expect.stringMatching(/POST \/api\/ha\/failover/) });
    expect(failover.set).toEqual([]);
  });

  it.each([
    ['zz', { priority: 1 }, 404, /no node "zz" there; known: "a", "b", "c"/],
    ['b', { pool: 'nope', priority: 1 }, 404, /no pool "nope"/],
    ['b', {}, 422, /say role or priority/],
    ['b', { priority: 70_000 }, 422, /from 0 to 65535/],
    ['b', { role: 'boss' }, 422, /primary or replica or standby/],
  ])('of %s with %j is %i', async (node, body, status, detail) => {
    const { failover, send } = await api();
    const answer = await send('PATCH', `/api/ha/nodes/${node}`, body);
    expect(answer.status).toBe(status);
    expect(answer.json['detail']).toMatch(detail);
    expect(failover.set).toEqual([]);
  });

  it('asks which pool is meant, where several have the node', async () => {
    const { failover, send } = await api();
    const other = poolView();
    failover.pools = [poolView(), { ...other, status: { ...other.status, pool: 'db' } }];
    expect(await send('PATCH', '/api/ha/nodes/b', { priority: 1 })).toMatchObject({
      status: 422,
      json: { known: ['app', 'db'] },
    });
    expect((await send('PATCH', '/api/ha/nodes/b', { pool: 'db', priority: 1 })).json).toMatchObject({ pool: 'db' });
  });

  it('without a quorum changes nothing', async () => {
    const { failover, send } = await api();
    failover.refusal = { kind: 'no-quorum', missing: ['n2'] };
    expect((await send('PATCH', '/api/ha/nodes/b', { priority: 1 })).status).toBe(503);
  });
});

describe('history and events', () => {
  it('are what was agreed on, newest last', async () => {
    const { failover, look } = await api();
    const at = failover.history[0]!.at;
    failover.history = [1, 2, 3, 4].map((number) => ({
      ...{ number, at, topic: 'failover', subject: number % 2 === 0 ? 'db' : 'app', text: `event ${number}` },
    }));
    const texts = async (query: string): Promise<unknown> =>
      ((await look(`/api/ha/failover/history${query}`)).json['events'] as { text: string }[]).map(({ text }) => text);
    expect(await texts('')).toEqual(['event 1', 'event 2', 'event 3', 'event 4']);
    expect(await texts('?pool=db')).toEqual(['event 2', 'event 4']);
    expect(await texts('?limit=1')).toEqual(['event 4']);
    expect(await texts('?after=2')).toEqual(['event 3', 'event 4']);
    expect((await look('/api/ha/failover/history?limit=x')).status).toBe(422);
    failover.refusal = { kind: 'closed' };
    expect((await look('/api/ha/failover/history')).status).toBe(503);
  });

  it('come as server-sent events, until the reader goes', async () => {
    const { failover, world } = await api();
    const chunks: string[] = [];
    const request = get({ host: '127.0.0.1', port: world.port, path: '/api/ha/failover/events' }, (response) => {
      response.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
      response.on('error', () => {});
    });
    request.on('error', () => {});
    await until('a reader', () => failover.sinks.size === 1 && chunks.join('').includes('event: begin'));
    for (const sink of failover.sinks) sink({ level: 'warn', event: 'epoch_pending', pool: 'app', text: 'epoch 8' });
    await until('the event', () =>
      chunks.join('').includes('event: failover\ndata: {"event":"epoch_pending","pool":"app"'),
    );
    request.destroy();
    await until('nobody is told any more', () => failover.sinks.size === 0);
  });

  it('end for a reader that falls behind, and say so: what it missed it would never know', async () => {
    const { failover, world } = await api();
    const path = '/api/ha/failover/events';
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ host: '127.0.0.1', port: world.port, path }, resolve).on('error', reject);
    });
    await until('a reader', () => failover.sinks.size === 1);
    const text = 'x'.repeat(10_000);
    for (let i = 0; i < 300; i++)
      for (const sink of failover.sinks) sink({ level: 'info', event: 'state', pool: 'app', text });
    await until('nobody is told any more', () => failover.sinks.size === 0);
    const chunks: string[] = [];
    for await (const chunk of response.setEncoding('utf8')) chunks.push(chunk);
    expect(chunks.join('')).toMatch(/\n\nevent: ended\ndata: \{"why":"slow"\}\n\n$/);
  });

  it('asked for by HEAD keep nothing open', async () => {
    const { failover, world } = await api();
    const path = '/api/ha/failover/events';
    for (let i = 0; i < 70; i++) {
      const url = `http://127.0.0.1:${world.port}${path}`;
      expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
    }
    await until('nobody is told', () => failover.sinks.size === 0);
  });
});

describe('without failover', () => {
  it('every path is a 404 that says so, and none is offered', async () => {
    const world = await startWorld();
    testScope().own({ stop: () => world.close() });
    const { status, json } = await world.ask({ path: '/ha/failover' });
    expect([status, json['title']]).toEqual([404, 'No failover']);
    expect((await world.ask({ path: '/' })).text).not.toContain('/ha/failover');
  });

  it('is 503 while the agreed state is not read yet', async () => {
    const world = await startWorld({}, undefined, 'starting');
    testScope().own({ stop: () => world.close() });
    expect((await world.ask({ path: '/ha/failover' })).status).toBe(503);
  });
});
