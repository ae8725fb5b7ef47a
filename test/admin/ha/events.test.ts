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

const get = (query = ''): Promise<Answer> => world.ask({ path: `/api/ha/events${query}` });
const lose = async (name: string): Promise<void> => {
  await cluster.coordinator.lock.acquire(name, { owner: `${name}'s`, ttlMs: 1000, delayMs: 0 });
  cluster.pass(1001);
};

describe('what happened', () => {
  it('names lost locks, oldest first', async () => {
    expect((await get()).json).toMatchObject({ events: [], freshness: { kind: 'current' } });
    await lose('one');
    await lose('two');
    const { events } = (await get()).json as { readonly events: readonly { readonly number: number }[] };
    expect(events).toMatchObject([
      { topic: 'lock lost', subject: 'one', at: '2026-01-02T00:00:01.001Z', text: expect.stringContaining("one's") },
      { topic: 'lock lost', subject: 'two' },
    ]);
    expect((await get(`?after=${events[0]!.number}`)).json['events']).toEqual([events[1]]);
    expect((await get('?limit=1')).json['events']).toEqual([events[1]]);
    expect((await get('?topic=failover')).json['events']).toEqual([]);
  });

  it('is read with the consistency that is asked for', async () => {
    cluster.refusal = { kind: 'no-quorum', missing: [] };
    expect((await get()).status).toBe(503);
    expect((await get('?consistency=eventual')).json).toMatchObject({ events: [], freshness: { kind: 'local' } });
    for (const query of ['?limit=0', '?limit=1001', '?after=x', '?pool=a']) expect((await get(query)).status).toBe(422);
  });
});
