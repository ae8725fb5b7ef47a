import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { err } from '../../../src/base/result.ts';
import type { CallError } from '../../../src/cluster/member/contract.ts';
import { type Answer, startWorld, token, type World } from '../fixture.ts';
import { type ClusterOfOne, clusterOfOne, memberStatus } from './fixture.ts';

let world: World;
let cluster: ClusterOfOne;
beforeEach(async () => {
  cluster = clusterOfOne();
  world = await startWorld({}, cluster.ha);
});
afterEach(() => world.close());

const headers = { 'content-type': 'application/json' };
const get = (path: string): Promise<Answer> => world.ask({ path });
const post = (path: string, body: unknown): Promise<Answer> =>
  world.ask({ method: 'POST', path: `/api/ha/cluster/${path}`, headers, body: JSON.stringify(body) });

describe('what this member sees', () => {
  it('GET /api/ha/cluster: members with reasons, by name; who sees whom; lag', async () => {
    const { json } = await get('/api/ha/cluster');
    expect(json).toMatchObject({
      ...{ member: 'node-1', leader: 'node-1', term: 7, quorum: true, state: 'STABLE', missing: [] },
      freshness: { kind: 'local', ageMs: 40 },
    });
    expect(json['members']).toMatchObject([
      { name: 'node-1', state: 'LEADER', self: true, seat: 'voter', admin: '10.0.0.1:9090', lag: { entries: 0 } },
      { name: 'node-2', state: 'ACTIVE', reach: 'direct', cannotReach: [] },
      {
        ...{ name: 'node-3', state: 'DEGRADED', reason: 'it is 1200 entries and 6 s behind', reach: 'indirect' },
        ...{ cannotReach: ['node-2'], lag: { entries: 1200, seconds: 6 } },
      },
    ]);
  });

  it('without a leader it is null, and who is missing is said', async () => {
    cluster.status = memberStatus({
      ...{ leader: null, quorum: false, state: 'DEGRADED' },
      ...{ reason: 'no leader with a quorum; not reached: node-2, node-3', missing: ['node-2', 'node-3'] },
    });
    for (const path of ['/api/ha/cluster', '/api/ha/status', '/ha/status']) {
      const answer = await get(path);
      expect(answer.status).toBe(200);
      expect(answer.json).toMatchObject({ leader: null, quorum: false, missing: ['node-2', 'node-3'] });
    }
  });

  it('GET /api/ha/cluster/backup is a file, or why there is none now', async () => {
    const answer = await get('/api/ha/cluster/backup');
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/octet-stream']);
    expect(answer.headers['content-length']).toBe('3');
    cluster.refusal = { kind: 'no-quorum', missing: ['node-2'] };
    const refused = await get('/api/ha/cluster/backup');
    expect(refused.status).toBe(503);
    expect(refused.json).toMatchObject({ reason: 'no-quorum', missing: ['node-2'] });
    expect((await get('/api/ha/cluster/backup?consistency=eventual')).status).toBe(200);
    expect((await get('/api/ha/cluster/backup?all=1')).status).toBe(422);
  });

  it('GET /ha/status counts, GET /ha/replication shows the lag', async () => {
    expect((await get('/ha/status')).json).toMatchObject({
      members: { LEADER: 1, ACTIVE: 1, DEGRADED: 1 },
      keys: ['00ab'],
      dropped: { key: 2, forged: 0 },
    });
    expect((await get('/ha/replication')).json).toMatchObject({
      leader: 'node-1',
      peers: null,
      members: [{ name: 'node-1' }, { name: 'node-2' }, { name: 'node-3', lag: { seconds: 6 } }],
      freshness: { kind: 'local' },
    });
    expect((await get('/ha/status?x=1')).status).toBe(422);
  });
});

describe('what may be done to members', () => {
  it('transfer, leave, add, promote, remove: done, and audited', async () => {
    expect((await post('transfer', {})).json).toEqual({ transfer: null });
    expect((await post('transfer', { to: 'node-2' })).status).toBe(200);
    expect((await post('leave', {})).json).toEqual({ left: true, forGood: true });
    expect((await post('leave', { forGood: false })).status).toBe(200);
    expect((await post('members', { add: 'node-4' })).status).toBe(200);
    expect((await post('members', { promote: 'node-4' })).status).toBe(200);
    expect((await post('members', { remove: 'node-3', force: true })).status).toBe(200);
    expect(cluster.called).toEqual([
      ...[null, 'node-2', true, false],
      { change: 'add', member: 'node-4', force: false },
      { change: 'promote', member: 'node-4', force: false },
      { change: 'remove', member: 'node-3', force: true },
    ]);
    expect(world.audited.map(({ action, value, result }) => `${action} ${value} ${result}`)).toEqual([
      'transfer to the fittest done',
      'transfer to node-2 done',
      'leave for good done',
      'leave for a while done',
      'members add node-4 done',
      'members promote node-4 done',
      'members remove node-3 by force done',
    ]);
  });

  it.each([
    ['members', {}],
    ['members', { add: 'a', remove: 'b' }],
    ['members', { add: 7 }],
    ['members', { add: 'a', force: 'yes' }],
    ['transfer', { to: '' }],
    ['leave', { forever: true }],
  ])('POST %s %j is 422, and nothing is done', async (path, body) => {
    expect((await post(path, body)).status).toBe(422);
    expect(cluster.called).toEqual([]);
    expect(world.audited).toMatchObject([{ result: 'refused' }]);
  });

  const refusals: readonly (readonly [CallError, number])[] = [
    [{ kind: 'change-refused', why: 'no-such-member' }, 404],
    [{ kind: 'change-refused', why: 'change-pending' }, 503],
    [{ kind: 'change-refused', why: 'no-quorum-after' }, 409],
    [{ kind: 'change-refused', why: 'slow' }, 504],
    [{ kind: 'no-quorum', missing: ['node-2'] }, 503],
  ];
  it.each(refusals)('%j is a problem that says what to do', async (error, status) => {
    cluster.verdict = err(error);
    const answer = await post('members', { remove: 'node-3' });
    expect([answer.status, answer.json['reason']]).toEqual([status, error.kind]);
    expect(answer.headers['retry-after']).toBe(status === 503 ? '1' : undefined);
    expect(world.audited).toMatchObject([{ action: 'members', result: 'failed' }]);
  });
});

describe('who may ask', () => {
  const everything = ['/api/ha/status', '/api/ha/cluster', '/ha/status', '/api/ha/state/a', '/api/ha/watch'];

  it('a missing or wrong token is 401 and a line of the audit log, for reads too', async () => {
    world.access = { ...world.access, token };
    for (const path of everything) expect((await get(path)).status, path).toBe(401);
    const wrong = { ...headers, authorization: 'Bearer nonsense' };
    const put = { method: 'PUT', path: '/api/ha/state/a', body: '{"value":1}' };
    expect((await world.ask({ ...put, headers: wrong })).status).toBe(401);
    expect(world.audited).toHaveLength(everything.length + 1);
    for (const entry of world.audited) expect(entry).toMatchObject({ result: 'refused', peer: '127.0.0.1' });
    const right = { ...headers, authorization: `Bearer ${token}` };
    expect((await world.ask({ ...put, headers: right })).status).toBe(200);
    expect(world.audited).toHaveLength(everything.length + 1);
  });

  it('without a cluster all of it is 404 and says so', async () => {
    const alone = await startWorld();
    for (const path of everything) {
      const answer = await alone.ask({ path });
      expect([answer.status, answer.json['title']]).toEqual([404, 'No cluster']);
    }
    expect((await alone.ask({ path: '/' })).text).not.toContain('/ha/');
    await alone.close();
  });

  it('until the member is there all of it is 503, never 404: "not yet" is not "no such key"', async () => {
    const early = await startWorld({}, 'starting');
    for (const path of everything) {
      const answer = await early.ask({ path });
      expect([answer.status, answer.json['reason'], answer.headers['retry-after']]).toEqual([503, 'starting', '1']);
    }
    await early.close();
  });

  it('another method is 405 with those that there are', async () => {
    const answer = await world.ask({ method: 'PATCH', path: '/api/ha/state/a', headers, body: '{}' });
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'GET, PUT, DELETE']);
  });
});
