import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CoordinatorError } from '../../../src/cluster/coordinator.ts';
import { type Answer, startWorld, type World } from '../fixture.ts';
import { type ClusterOfOne, clusterOfOne, memberStatus } from './fixture.ts';

let world: World;
let cluster: ClusterOfOne;
beforeEach(async () => {
  cluster = clusterOfOne();
  world = await startWorld({}, cluster.ha);
});
afterEach(() => world.close());

const headers = { 'content-type': 'application/json' };
const get = (path: string): Promise<Answer> => world.ask({ path: `/api/ha/${path}` });
const send = (method: string, path: string, body: unknown): Promise<Answer> =>
  world.ask({ method, path: `/api/ha/${path}`, headers, body: JSON.stringify(body) });
const put = (key: string, body: unknown): Promise<Answer> => send('PUT', `state/${key}`, body);

describe('a key', () => {
  it.each(['text', 'ünïcode \u{1f600}', '', 7, 0, true, null, [1, 'a'], { b: { c: [null] }, a: 1 }])(
    'comes back as %j was put',
    async (value) => {
      const written = await put('a', { value });
      expect(written.status).toBe(200);
      expect(written.json).toMatchObject({ key: 'a', value, committed: true });
      const read = await get('state/a');
      expect(read.status).toBe(200);
      expect(read.json).toMatchObject({ key: 'a', value, revision: written.json['revision'], lease: null });
      expect(read.json['freshness']).toMatchObject({ kind: 'current', revision: written.json['revision'] });
    },
  );

  it('may have any name, percent-encoded', async () => {
    expect((await put('app%2Fcolour%20of%3F', { value: 'red' })).json['key']).toBe('app/colour of?');
    expect((await get('state/app%2Fcolour%20of%3F')).json['value']).toBe('red');
  });

  it('holds bytes as base64, and shows those that are no JSON so', async () => {
    expect((await put('a?encoding=base64', { value: '/wA=' })).json).toMatchObject({
      value: '/wA=',
      encoding: 'base64',
    });
    expect((await get('state/a')).json).toMatchObject({ value: '/wA=', encoding: 'base64' });
    await put('b', { value: 'x' });
    expect((await get('state/b?encoding=base64')).json['value']).toBe(btoa('"x"'));
    expect((await put('a', { value: '?', encoding: 'base64' })).status).toBe(422);
  });

  it('that is absent is 404, and says how fresh that is', async () => {
    const answer = await get('state/nobody');
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json).toMatchObject({ reason: 'absent', key: 'nobody', freshness: { kind: 'current' } });
  });

  it('is read locally, and says how old that is', async () => {
    await put('a', { value: 1 });
    const read = await get('state/a?consistency=eventual');
    expect(read.json).toMatchObject({ value: 1, freshness: { kind: 'local', ageMs: 40 } });
  });

  it('can be read as it was', async () => {
    const { revision } = (await put('a', { value: 'old' })).json;
    await put('a', { value: 'new' });
    expect((await get(`state/a?at=${revision}`)).json['value']).toBe('old');
  });

  it('is deleted, once, and only at the revision that was named', async () => {
    const { revision } = (await put('a', { value: 1 })).json;
    const del = (query: string): Promise<Answer> => world.ask({ method: 'DELETE', path: `/api/ha/state/a${query}` });
    const refused = await del(`?revision=${Number(revision) + 1}`);
    expect([refused.status, refused.json['revision']]).toEqual([409, revision]);
    expect((await del('')).json).toMatchObject({ key: 'a', deleted: true, committed: true });
    expect((await del('')).json).toMatchObject({ deleted: false, revision: null });
    expect((await get('state/a')).status).toBe(404);
  });

  it('written as eventual is 202 and not committed', async () => {
    const answer = await put('a?consistency=eventual', { value: 1 });
    expect([answer.status, answer.json['committed']]).toEqual([202, false]);
  });

  it('written again with its ticket is written once', async () => {
    const first = (await put('a', { value: 1 })).json;
    const again = (await put(`a?ticket=${first['ticket']}`, { value: 1 })).json;
    expect(again).toMatchObject({ revision: first['revision'], ticket: first['ticket'] });
    const foreign = await put('a?ticket=uid-9.1.1', { value: 1 });
    expect([foreign.status, foreign.json['detail']]).toEqual([422, expect.stringContaining('another member')]);
    expect((await put('a?ticket=what', { value: 1 })).status).toBe(422);
  });
});

describe('compare and swap', () => {
  const cas = (body: unknown): Promise<Answer> => send('POST', 'state/a/cas', body);

  it('by revision; 0 and null: the key must be absent', async () => {
    const first = await cas({ value: 'one', revision: 0 });
    expect(first.status).toBe(200);
    const { revision } = first.json;
    expect((await cas({ value: 'two', revision: 0 })).json).toMatchObject({
      status: 409,
      reason: 'conflict',
      revision,
    });
    expect((await cas({ value: 'two', expected: null })).status).toBe(409);
    expect((await cas({ value: 'two', revision })).status).toBe(200);
    expect((await get('state/a')).json['value']).toBe('two');
  });

  it('by value', async () => {
    await put('a', { value: { n: 1 } });
    expect((await cas({ value: 2, expected: { n: 2 } })).status).toBe(409);
    expect((await cas({ value: 2, expected: { n: 1 } })).status).toBe(200);
    expect((await get('state/a')).json['value']).toBe(2);
  });

  it.each([{ value: 1 }, { value: 1, revision: 1, expected: 2 }, { revision: 1 }, { value: 1, revision: -1 }])(
    'refuses %j',
    async (body) => {
      expect((await cas(body)).status).toBe(422);
      expect((await get('state/a')).status).toBe(404);
    },
  );

  it('of which two are tried at once, one wins', async () => {
    const both = await Promise.all([cas({ value: 1, revision: 0 }), cas({ value: 2, revision: 0 })]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 409]);
  });
});

describe('the list of keys', () => {
  it('comes in pages of 2 MiB at most, so that nobody holds up the member by reading much; at least one key each', async () => {
    const keys = Array.from({ length: 7 }, (_, i) => `large/${i}`);
    const value = new Uint8Array(600 * 1024);
    for (const key of keys) await cluster.coordinator.kv.set(key, value);
    await cluster.coordinator.kv.set('large/7', new Uint8Array(1024 * 1024));
    const pages: string[][] = [];
    for (let after = ''; pages.length < 10; after = pages.at(-1)?.at(-1) ?? '') {
      const page = (await get(`state?prefix=large/${after === '' ? '' : `&after=${after}`}`)).json;
      pages.push((page['entries'] as { readonly key: string }[]).map(({ key }) => key));
      if (page['more'] !== true) break;
    }
    expect(pages).toEqual([keys.slice(0, 3), keys.slice(3, 6), ['large/6', 'large/7']]);
  });

  it('is in order, by prefix, in pages', async () => {
    for (const key of ['b', 'a%2F2', 'a%2F1', 'a%2F3']) await put(key, { value: key });
    const page = (await get('state?prefix=a/&max=2')).json;
    expect(page).toMatchObject({
      entries: [{ key: 'a/1' }, { key: 'a/2' }],
      more: true,
      freshness: { kind: 'current' },
    });
    expect((await get('state?prefix=a/&after=a/2')).json).toMatchObject({ entries: [{ key: 'a/3' }], more: false });
    expect((await get('state')).json['entries']).toHaveLength(4);
    expect((await get('state?max=0')).status).toBe(422);
  });
});

describe('what is not understood', () => {
  it.each(['state/a?consistency=some', 'state/a?consistancy=strong', 'state/a?at=x', 'state?max=1e3'])(
    'GET %s is 422',
    async (path) => {
      expect((await get(path)).status).toBe(422);
    },
  );

  it('a body that is no object is 400, an unknown member 422, one given twice 422', async () => {
    const answer = await world.ask({ method: 'PUT', path: '/api/ha/state/a', headers, body: '[1]' });
    expect(answer.status).toBe(400);
    expect((await put('a', { valeu: 1 })).status).toBe(422);
    expect((await put('a', { value: 1, tll: 1 })).json['detail']).toContain('"tll"');
    expect((await put('a?consistency=strong', { value: 1, consistency: 'quorum' })).status).toBe(422);
    expect((await get('state/a')).status).toBe(404);
  });

  it('is 413 beyond the bounds of key, value and body', async () => {
    const long = await put('a'.repeat(1025), { value: 1 });
    expect([long.status, long.json['max']]).toEqual([413, 1024]);
    const large = await put('a', { value: 'x'.repeat(1024 * 1024) });
    expect([large.status, large.json['what']]).toEqual([413, 'value']);
    expect((await put('a', { value: 'x'.repeat(3 * 1024 * 1024) })).status).toBe(413);
    expect((await put('a', { value: 'x'.repeat(1024 * 1024 - 2) })).status).toBe(200);
  });
});

describe('the cluster refuses', () => {
  const cases: readonly (readonly [CoordinatorError, number, object])[] = [
    [{ kind: 'no-quorum', missing: ['node-2', 'node-3'] }, 503, { missing: ['node-2', 'node-3'] }],
    [{ kind: 'unknown-outcome', ticket: { boot: 3, number: 9 } }, 504, { ticket: 'uid-1.3.9' }],
    [{ kind: 'not-leader', leader: 'uid-2' }, 421, { leader: 'node-2', admin: '10.0.0.1:9090' }],
    [{ kind: 'not-leader', leader: null }, 421, { leader: null, admin: null }],
    [{ kind: 'overloaded' }, 503, {}],
    [{ kind: 'full', what: 'keys', max: 5 }, 507, { what: 'keys', max: 5 }],
    [{ kind: 'unsupported' }, 501, {}],
    [{ kind: 'closed' }, 503, {}],
  ];

  it.each(cases)('%j as a problem', async (error, status, facts) => {
    cluster.refusal = error;
    const answer = await put('a', { value: 1 });
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json).toMatchObject({ status, reason: error.kind, ...facts });
    expect(answer.headers['retry-after']).toBe(status === 503 || status === 421 ? '1' : undefined);
  });

  it('says for whom a member waits that has no cluster yet', async () => {
    cluster.status = memberStatus({ state: 'FORMING', reason: 'waiting for 10.0.0.2:7946' });
    cluster.refusal = { kind: 'no-quorum', missing: [] };
    expect((await put('a', { value: 1 })).json['detail']).toContain('waiting for 10.0.0.2:7946');
  });

  it('a strong read without a quorum, not a local one', async () => {
    await put('a', { value: 1 });
    cluster.refusal = { kind: 'no-quorum', missing: ['node-2'] };
    expect((await get('state/a')).status).toBe(503);
    expect((await get('state/a?consistency=eventual')).json['value']).toBe(1);
  });

  it('what can’t be eventual', async () => {
    const answer = await send('POST', 'state/a/cas?consistency=eventual', { value: 1, revision: 0 });
    expect([answer.status, answer.json['reason']]).toEqual([422, 'not-eventual']);
  });
});
