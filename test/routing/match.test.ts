import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileIndex } from '../../src/routing/match.ts';
import { prefixBase } from '../../src/routing/path-tree.ts';
import { runWhole } from '../../src/routing/slice.ts';
import type { RouteRow } from '../../src/routing/snapshot.ts';
import {
  anyRequest,
  anyRoute,
  exact,
  firstMatch,
  listenerSlots,
  prefix,
  type RequestParts,
  request,
  route,
} from './fixtures.ts';

/** Name of the route that takes the request; null if none. */
function match(rows: readonly RouteRow[], parts: RequestParts): string | null {
  const found = runWhole(compileIndex(rows, listenerSlots)).find(request(parts));
  return rows[found]?.name ?? null;
}

describe('which route takes a request', () => {
  describe('host', () => {
    const rows = [
      route('api', { host: 'api.example.com' }),
      route('sub', { host: '*.example.com' }),
      route('ip', { host: '[::1]' }),
    ];
    it('an exact host matches that host alone', () => {
      expect(match(rows, { host: 'api.example.com' })).toBe('api');
      expect(match(rows, { host: '[::1]' })).toBe('ip');
      expect(match(rows, { host: 'example.org' })).toBeNull();
    });
    it('a wildcard stands for one or more labels, never for none', () => {
      expect(match(rows, { host: 'x.example.com' })).toBe('sub');
      expect(match(rows, { host: 'x.y.example.com' })).toBe('sub');
      expect(match(rows, { host: 'example.com' })).toBeNull();
      expect(match(rows, { host: '.example.com' })).toBeNull();
    });
    it('a wildcard begins at a dot: notexample.com is no part of *.example.com', () => {
      expect(match(rows, { host: 'x.notexample.com' })).toBeNull();
    });
    it('a route that takes all of a host hides those behind it, and no route before it', () => {
      const host = 'api.example.com';
      const before = [
        route('path', { host, path: exact('/a') }),
        route('sub', { host: '*.example.com', methods: ['PUT'] }),
      ];
      const all = [...before, route('all', { host }), route('late', { host, path: exact('/b') })];
      expect(match(all, { host, path: '/a' })).toBe('path');
      expect(match(all, { host, path: '/b' })).toBe('all');
      expect(match(all, { host, path: '*', method: 'OPTIONS' })).toBe('all');
      expect(match(all, { host, path: '/b', method: 'PUT' })).toBe('sub');
      // The same where it is the host's first.
      const first = [before[1]!, ...all.slice(2), route('again', { host }), route('any', {})];
      expect(match(first, { host, path: '/b' })).toBe('all');
      expect(match(first, { host, path: '*', method: 'OPTIONS' })).toBe('all');
      expect(match(first, { host, path: '/b', method: 'PUT' })).toBe('sub');
      expect(match(first, { host: 'example.org' })).toBe('any');
      expect(match([route('any', {}), ...first], { host })).toBe('any');
    });
    it('wildcards of unlike depth live side by side', () => {
      const deep = [route('deep', { host: '*.a.b.com' }), route('shallow', { host: '*.com' })];
      expect(match(deep, { host: 'x.a.b.com' })).toBe('deep');
      expect(match(deep, { host: 'x.b.com' })).toBe('shallow');
    });
    it('a request without a host matches only routes that name none', () => {
      expect(match([...rows, route('any')], { host: '' })).toBe('any');
    });
  });

  describe('path', () => {
    it.each(['/v1', '/v1/'])('prefix %s ends on a segment border', (value) => {
      const rows = [route('v1', { path: prefix(value) })];
      for (const path of ['/v1', '/v1/', '/v1/x', '/v1//x']) expect(match(rows, { path }), path).toBe('v1');
      for (const path of ['/v1x', '/v', '/', '/V1', '//v1', '*']) expect(match(rows, { path }), path).toBeNull();
    });
    it('prefix / matches everything', () => {
      for (const path of ['/', '/x', '//', '*'])
        expect(match([route('all', { path: prefix('/') })], { path })).toBe('all');
    });
    it('an exact path matches itself alone', () => {
      const rows = [route('exact', { path: exact('/v1') }), route('slash', { path: exact('/v1/') })];
      expect(match(rows, { path: '/v1' })).toBe('exact');
      expect(match(rows, { path: '/v1/' })).toBe('slash');
      expect(match(rows, { path: '/v1/x' })).toBeNull();
    });
    it('the target * is no path: exact / does not take it, a route without path does', () => {
      expect(match([route('root', { path: exact('/') }), route('any')], { path: '*', method: 'OPTIONS' })).toBe('any');
    });
    it('an encoded slash is no border', () => {
      expect(match([route('v1', { path: prefix('/v1') })], { path: '/v1%2Fx' })).toBeNull();
    });
  });

  describe('method, field, listener', () => {
    it('methods are exact: GET is not HEAD', () => {
      const rows = [route('get', { methods: ['GET', 'POST'] })];
      expect(match(rows, { method: 'POST' })).toBe('get');
      expect(match(rows, { method: 'HEAD' })).toBeNull();
    });
    it('a field must be there, or have exactly the value', () => {
      const rows = [
        route('both', {
          headers: [
            { name: 'x-a', value: '1' },
            { name: 'x-b', value: null },
          ],
        }),
        route('a1', { headers: [{ name: 'x-a', value: '1' }] }),
        route('has-a', { headers: [{ name: 'x-a', value: null }] }),
      ];
      expect(match(rows, { headers: { 'x-a': '1', 'x-b': '' } })).toBe('both');
      expect(match(rows, { headers: { 'x-a': '1' } })).toBe('a1');
      expect(match(rows, { headers: { 'x-a': '11' } })).toBe('has-a');
      expect(match(rows, {})).toBeNull();
    });
    it('a route serves the listeners that it names', () => {
      const rows = [route('b', { listen: ['b:80', 'c:80'] }), route('unknown', { listen: ['toString'] })];
      expect(match(rows, { listener: 7 })).toBe('b');
      expect(match(rows, { listener: 0 })).toBeNull();
    });
  });

  describe('the first in the order of the config wins', () => {
    it('across any, wildcard and exact host', () => {
      const any = route('any', { path: prefix('/x') });
      const wild = route('wild', { host: '*.example.com' });
      const host = route('host', { host: 'a.example.com' });
      expect(match([any, wild, host], { host: 'a.example.com', path: '/x' })).toBe('any');
      expect(match([wild, any, host], { host: 'a.example.com', path: '/x' })).toBe('wild');
      expect(match([host, any, wild], { host: 'a.example.com', path: '/x' })).toBe('host');
    });
    it('a shorter prefix that comes first beats a longer one', () => {
      const rows = [route('short', { path: prefix('/a') }), route('long', { path: prefix('/a/b') })];
      expect(match(rows, { path: '/a/b' })).toBe('short');
    });
    it('a route that fails on a condition leaves the request to a later one', () => {
      const rows = [route('post', { path: prefix('/a'), methods: ['POST'] }), route('rest', { path: prefix('/a') })];
      expect(match(rows, { path: '/a' })).toBe('rest');
    });
    it('a route for a field value that comes after a catch-all is never taken', () => {
      const rows = [route('all'), route('canary', { headers: [{ name: 'x-a', value: '1' }] })];
      expect(match(rows, { headers: { 'x-a': '1' } })).toBe('all');
      expect(match(rows.toReversed(), { headers: { 'x-a': '1' } })).toBe('canary');
    });
  });

  it('agrees with trying all routes in order, for any routes and requests', () => {
    fc.assert(
      fc.property(
        fc.array(anyRoute, { maxLength: 40 }),
        fc.array(anyRequest, { minLength: 1, maxLength: 20 }),
        (rows, requests) => {
          const index = runWhole(compileIndex(rows, listenerSlots));
          for (const facts of requests) expect(index.find(facts)).toBe(firstMatch(rows, listenerSlots, facts));
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('the work is bounded', () => {
  it('a table is compiled in steps of at most 200 routes', () => {
    const rows = Array.from({ length: 1000 }, (_, i) => route(`r${i}`, { host: `h${i}.com` }));
    expect([...compileIndex(rows, listenerSlots)]).toHaveLength(4);
  });
  it('10 000 routes on one path that ask for unlike field values cost one look-up', () => {
    const rows = Array.from({ length: 10_000 }, (_, i) =>
      route(`t${i}`, { headers: [{ name: 'x-tenant', value: `t${i}` }] }),
    );
    let looks = 0;
    const facts = {
      ...request({}),
      header: () => {
        looks++;
        return 't9999';
      },
    };
    expect(runWhole(compileIndex(rows, listenerSlots)).find(facts)).toBe(9999);
    expect(looks).toBeLessThanOrEqual(2);
  });
  it.each([
    ['in a wider host', { host: 'example.com' }, {}],
    ['on a deeper path', {}, { path: prefix('/a') }],
    ['in the same place', {}, {}],
  ])('what comes after a route that matches is not looked at: %s', (_, first, later) => {
    const rows = [route('first', first), route('later', { ...later, headers: [{ name: 'x-a', value: '1' }] })];
    const facts = {
      ...request({ path: '/a' }),
      header: () => {
        throw new Error('a field was looked at');
      },
    };
    expect(runWhole(compileIndex(rows, listenerSlots)).find(facts)).toBe(0);
  });
  it('paths and hosts of thousands of parts are answered', () => {
    const rows = [route('v1', { host: '*.example.com', path: prefix('/v1') })];
    expect(match(rows, { host: `${'a.'.repeat(8000)}example.com`, path: `/v1${'/'.repeat(8000)}` })).toBe('v1');
    expect(match(rows, { host: 'a.'.repeat(8000), path: '/'.repeat(8000) })).toBeNull();
  });
});

describe('prefixBase', () => {
  it('takes one slash from the end', () => {
    expect(['/', '/v1', '/v1/', '/v1//'].map(prefixBase)).toEqual(['', '/v1', '/v1', '/v1/']);
  });
});
