import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { type Answer, startWorld, type World } from '../fixture.ts';
import { type ClusterOfOne, clusterOfOne } from './fixture.ts';

let world: World;
let cluster: ClusterOfOne;
beforeEach(async () => {
  cluster = clusterOfOne();
  world = await startWorld({}, cluster.ha);
});
afterEach(() => world.close());

const headers = { 'content-type': 'application/json' };
const ask = (method: string, body: unknown, name = 'job'): Promise<Answer> =>
  world.ask({ method, path: `/api/ha/locks/${name}`, headers, body: JSON.stringify(body) });
const look = async (name = 'job') => (await world.ask({ path: `/api/ha/locks/${name}` })).json;

describe('a lock', () => {
  it('is acquired, extended, released; its token only grows', async () => {
    const held = await ask('POST', { owner: 'a', ttlMs: 10_000 });
    expect(held.status).toBe(200);
    expect(held.json).toMatchObject({ name: 'job', owner: 'a', ttlMs: 10_000, expiresAt: '2026-01-02T00:00:10.000Z' });
    const { token } = held.json;
    expect(await look()).toMatchObject({ holder: { owner: 'a', token }, queue: [], freshness: { kind: 'current' } });
    cluster.pass(8000);
    expect((await ask('PUT', { token, ttlMs: 10_000 })).json['expiresAt']).toBe('2026-01-02T00:00:18.000Z');
    cluster.pass(8000);
    expect((await ask('DELETE', { token })).json).toEqual({ name: 'job', released: true });
    expect((await look())['holder']).toBeNull();
    const next = await ask('POST', { owner: 'b' });
    expect(next.json['token']).toBeGreaterThan(Number(token));
    expect((await world.ask({ method: 'DELETE', path: `/api/ha/locks/job?token=${next.json['token']}` })).status).toBe(
      200,
    );
  });

  it('that another has is 409 with who and until when', async () => {
    await ask('POST', { owner: 'a', ttlMs: 10_000 });
    const refused = await ask('POST', { owner: 'b' });
    expect(refused.status).toBe(409);
    expect(refused.json).toMatchObject({ reason: 'busy', owner: 'a', until: '2026-01-02T00:00:10.000Z' });
  });

  it('that was lost can’t be extended or released, and rests', async () => {
    const { token } = (await ask('POST', { owner: 'a', ttlMs: 1000, delayMs: 5000 })).json;
    cluster.pass(1001);
    expect((await ask('PUT', { token })).json).toMatchObject({ status: 404, reason: 'absent', what: 'lock' });
    expect((await ask('DELETE', { token })).status).toBe(404);
    expect((await ask('POST', { owner: 'b' })).json).toMatchObject({ reason: 'busy', owner: null });
    cluster.pass(5000);
    expect((await ask('POST', { owner: 'b' })).status).toBe(200);
  });

  it('is waited for, in order', async () => {
    const { token } = (await ask('POST', { owner: 'a' })).json;
    const waiting = ask('POST', { owner: 'b', waitMs: 60_000 });
    await until('b in the queue', async () => ((await look())['queue'] as unknown[]).length === 1);
    expect((await look())['queue']).toMatchObject([{ owner: 'b' }]);
    await ask('DELETE', { token });
    expect((await waiting).json).toMatchObject({ owner: 'b' });
  });

  it('that does not come free in time is 409', async () => {
    await ask('POST', { owner: 'a', ttlMs: 60_000 });
    const waiting = ask('POST', { owner: 'b', waitMs: 1000 });
    await until('b in the queue', async () => ((await look())['queue'] as unknown[]).length === 1);
    cluster.pass(1001);
    expect((await waiting).json).toMatchObject({ status: 409, reason: 'timed-out' });
  });

  it('is no more waited for by who hung up', async () => {
    await ask('POST', { owner: 'a' });
    const path = '/api/ha/locks/job';
    const sent = request({ host: '127.0.0.1', port: world.port, method: 'POST', path, headers, agent: false });
    sent.on('error', () => {});
    sent.end(JSON.stringify({ owner: 'b', waitMs: 60_000 }));
    await until('b in the queue', async () => ((await look())['queue'] as unknown[]).length === 1);
    sent.destroy();
    await until('an empty queue', async () => ((await look())['queue'] as unknown[]).length === 0);
    expect(await look()).toMatchObject({ holder: { owner: 'a' } });
  });

  it('is given up by its owner, in the queue too', async () => {
    await ask('POST', { owner: 'a' });
    const waiting = ask('POST', { owner: 'b', waitMs: 60_000 });
    await until('b in the queue', async () => ((await look())['queue'] as unknown[]).length === 1);
    expect((await ask('DELETE', { owner: 'b' })).status).toBe(200);
    expect((await waiting).json).toMatchObject({ reason: 'withdrawn' });
    expect((await ask('DELETE', { owner: 'a' })).status).toBe(200);
    expect((await look())['holder']).toBeNull();
  });

  it('whose wait would close a circle is 409 with the circle', async () => {
    await ask('POST', { owner: 'a' }, 'one');
    await ask('POST', { owner: 'b' }, 'two');
    const waiting = ask('POST', { owner: 'a', waitMs: 60_000 }, 'two');
    await until('a in the queue', async () => ((await look('two'))['queue'] as unknown[]).length === 1);
    const refused = await ask('POST', { owner: 'b', waitMs: 60_000 }, 'one');
    expect(refused.status).toBe(409);
    expect(refused.json).toMatchObject({
      reason: 'deadlock',
      cycle: [
        { owner: 'b', lock: 'one' },
        { owner: 'a', lock: 'two' },
      ],
    });
    await ask('DELETE', { owner: 'b' }, 'two');
    expect((await waiting).status).toBe(200);
  });

  it.each([
    ['POST', {}],
    ['POST', { owner: '' }],
    ['POST', { owner: 'a', ttlMs: 0 }],
    ['POST', { owner: 'a', ttlMs: '5s' }],
    ['POST', { owner: 'a', waitMs: 600_001 }],
    ['POST', { owner: 'a', ttlMs: 31 * 86_400_000 }],
    ['POST', { owner: 'a', ttl: 5 }],
    ['PUT', {}],
    ['PUT', { token: '1' }],
    ['DELETE', {}],
    ['DELETE', { token: 1, owner: 'a' }],
  ])('%s %j is 422', async (method, body) => {
    expect((await ask(method, body)).status).toBe(422);
    expect((await look())['holder']).toBeNull();
  });
});
