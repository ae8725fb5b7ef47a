import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
const send = (method: string, path: string, body: unknown = {}): Promise<Answer> =>
  world.ask({ method, path: `/api/ha/${path}`, headers, body: JSON.stringify(body) });
const get = (key: string): Promise<Answer> => world.ask({ path: `/api/ha/state/${key}` });

describe('a lease', () => {
  it('takes its keys with it when nobody keeps it alive', async () => {
    const granted = await send('POST', 'leases', { ttlMs: 10_000 });
    expect(granted.status).toBe(200);
    expect(granted.json).toMatchObject({ ttlMs: 10_000, expiresAt: '2026-01-02T00:00:10.000Z' });
    const { lease } = granted.json;
    expect((await send('PUT', 'state/a', { value: 1, lease })).json).toMatchObject({ lease, committed: true });
    expect((await send('POST', 'state/b/cas', { value: 2, revision: 0, lease })).json).toMatchObject({ lease });
    await send('PUT', 'state/c', { value: 3 });
    expect((await get('a')).json).toMatchObject({ value: 1, lease });
    cluster.pass(8000);
    expect((await send('PUT', `leases/${lease}`)).json).toEqual({ lease, expiresAt: '2026-01-02T00:00:18.000Z' });
    cluster.pass(8000);
    expect((await get('a')).status).toBe(200);
    cluster.pass(2001);
    expect([(await get('a')).status, (await get('b')).status, (await get('c')).status]).toEqual([404, 404, 200]);
    expect((await send('PUT', `leases/${lease}`)).json).toMatchObject({ status: 404, reason: 'absent', what: 'lease' });
  });

  it('is revoked with its keys, but for those that were set without it since', async () => {
    const { lease } = (await send('POST', 'leases', { ttlMs: 10_000 })).json;
    for (const key of ['a', 'b']) await send('PUT', `state/${key}`, { value: 1, lease });
    expect((await send('PUT', 'state/b', { value: 2, lease: null })).json).not.toHaveProperty('lease');
    expect((await world.ask({ method: 'DELETE', path: `/api/ha/leases/${lease}` })).json).toEqual({
      lease,
      revoked: true,
    });
    expect([(await get('a')).status, (await get('b')).json['lease']]).toEqual([404, null]);
    expect((await world.ask({ method: 'DELETE', path: `/api/ha/leases/${lease}` })).status).toBe(404);
  });

  it('that is not there takes no key', async () => {
    const refused = await send('PUT', 'state/a', { value: 1, lease: 7 });
    expect([refused.status, refused.json['what']]).toEqual([404, 'lease']);
    expect((await get('a')).status).toBe(404);
    const eventual = await send('PUT', 'state/a?consistency=eventual', { value: 1, lease: 7 });
    expect([eventual.status, eventual.json['reason']]).toEqual([422, 'not-eventual']);
  });

  it('is asked for in full, and for 30 days at most', async () => {
    for (const [body, said] of [
      [{}, 'ttlMs must be'],
      [{ ttlMs: 0 }, 'more than 0'],
      [{ ttlMs: '5s' }, 'ttlMs must be'],
      [{ ttlMs: 5, owner: 'a' }, '"owner" is not known here'],
      [{ ttlMs: 31 * 86_400_000 }, '2592000000'],
    ] as const) {
      const answer = await send('POST', 'leases', body);
      expect([answer.status, answer.json['detail']]).toEqual([422, expect.stringContaining(said)]);
    }
    for (const path of ['leases/x', 'leases/-1', 'leases/9007199254740993', 'leases/%00'])
      expect((await send('PUT', path)).status).toBe(422);
    expect((await send('PUT', 'leases/7', { ttlMs: 1 })).status).toBe(422);
    expect((await world.ask({ path: '/api/ha/leases/7' })).status).toBe(405);
  });
});
