import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Asked } from '../../../src/admin/ha/asked.ts';
import { HeldOpen } from '../../../src/admin/ha/room.ts';
import { bytesOf, shown } from '../../../src/admin/ha/values.ts';
import { startWorld, type World } from '../fixture.ts';
import { type ClusterOfOne, clusterOfOne } from './fixture.ts';

let world: World;
let cluster: ClusterOfOne;
beforeEach(async () => {
  cluster = clusterOfOne();
  world = await startWorld({}, cluster.ha);
});
afterEach(() => world.close());

describe('hostile requests to the cluster', () => {
  // No waitMs: a wait for a lock that is taken would be as long as it says.
  const text = fc.string({ maxLength: 12, unit: 'binary' }).map((one) => {
    try {
      return encodeURIComponent(one);
    } catch {
      return '%ED%A0%80'; // half a pair
    }
  });
  const path = fc.oneof(
    text.map((one) => `/api/ha/state/${one}`),
    text.map((one) => `/api/ha/state/${one}/cas`),
    text.map((one) => `/api/ha/locks/${one}`),
    text.map((one) => `/api/ha/leases/${one}`),
    fc.constantFrom(
      '/api/ha/state',
      '/api/ha/leases',
      '/api/ha/events',

      '/api/ha/state/%',
      '/api/ha/state/%00',
      '/api/ha/cluster/members',
      '/ha/status',
    ),
  );
  const name = fc.constantFrom(
    ...['value', 'owner', 'token', 'ttlMs', 'revision', 'expected', 'ticket', 'encoding', 'consistency', 'lease'],
    ...['at', 'max', 'after', 'prefix', 'add', 'force', '__proto__', 'constructor', 'x'],
  );
  const query = fc
    .array(fc.tuple(name, fc.oneof(text, fc.constantFrom('0', '1', '-1', '9007199254740993', 'eventual', 'base64'))), {
      maxLength: 3,
    })
    .map((parts) => parts.map(([key, value]) => `${key}=${value}`).join('&'));
  const member = fc.oneof(
    fc.jsonValue(),
    fc.integer(),
    fc.constantFrom('a', 'base64', '\ud800', 1e300, '9'.repeat(20)),
  );
  const body = fc.oneof(
    fc.dictionary(name, member, { maxKeys: 4 }).map((one) => JSON.stringify(one)),
    fc.json(),
    fc.constantFrom('', '{', '{"__proto__":{"value":1}}', `{"value":${'['.repeat(10_000)}`),
  );

  it('are answered, never with 500, and never hang', async () => {
    const method = fc.constantFrom('GET', 'PUT', 'POST', 'DELETE');
    await fc.assert(
      fc.asyncProperty(method, path, query, body, async (verb, target, asked, sent) => {
        const answer = await world.ask({
          method: verb,
          path: `${target}?${asked}`,
          headers: { 'content-type': 'application/json' },
          ...(verb === 'GET' ? {} : { body: sent }),
        });
        expect([500, 502], `${verb} ${target}?${asked} ${sent}`).not.toContain(answer.status);
        expect(answer.headers['content-type']).toMatch(/^application\/(problem\+)?json$/);
      }),
      { numRuns: 400 },
    );
    expect(world.errors).toEqual([]);
    expect((await world.ask({ path: '/livez' })).status).toBe(200);
  });
});

describe('values', () => {
  it('any JSON comes back as it was; any bytes do as base64', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const bytes = bytesOf(value, 'json');
        expect(bytes.ok && shown(bytes.value, 'json').value).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const back = bytesOf(shown(bytes, 'base64').value, 'base64');
        expect(back.ok && back.value).toEqual(bytes);
      }),
    );
  });
});

describe('Asked', () => {
  it('takes digits from a query as a number, never from a body', () => {
    expect(new Asked({ n: '7' }, null).whole('n')).toBe(7);
    const fromBody = new Asked({}, '{"n":"7"}');
    fromBody.whole('n');
    expect(fromBody.wrong()).toMatchObject({ status: 422 });
  });

  it('says first what is wrong first', () => {
    const asked = new Asked({}, '{"a":1,"b":2}');
    asked.text('a');
    asked.text('b');
    expect(asked.wrong()?.detail).toContain('a must be a text');
  });
});

describe('HeldOpen', () => {
  it('lets in as many as it may, and another when one has left, once', () => {
    const held = new HeldOpen(2);
    const first = held.enter();
    held.enter();
    expect(held.enter()).toMatchObject({ ok: false, error: { status: 503 } });
    if (first.ok) for (let i = 0; i < 3; i++) first.value();
    expect(held.enter().ok).toBe(true);
    expect(held.enter().ok).toBe(false);
  });
});
