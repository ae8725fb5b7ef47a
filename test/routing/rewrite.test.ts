import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostOf, normalizePath, pathOf, redirectLocation, rewritePath } from '../../src/routing/rewrite.ts';

/** Paths full of what is dangerous in them. */
const nastyPath = fc
  .array(
    fc.constantFrom('/', '/', '.', '..', '%2e', '%2E', '%2f', '%5C', 'a', 'b', ';', '%', '%252e', '//', '/../', '/./'),
    { maxLength: 14 },
  )
  .map((parts) => `/${parts.join('')}`);
const query = fc.constantFrom('', '?', '?a=/../b', '?x=%2e%2e', '?a?b');

/** Segments that a node would take for `.` or `..`. */
const dotSegments = (target: string): string[] =>
  pathOf(target)
    .split('/')
    .filter((segment) => /^(\.|%2e){1,2}$/i.test(segment));

describe('normalizePath', () => {
  it.each([
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/.', '/a/'],
    ['/a/..', '/'],
    ['/.', '/'],
    ['/..', '/'],
    ['/../../etc/passwd', '/etc/passwd'],
    ['/a/b/c/./../../g', '/a/g'], // RFC 3986 5.2.4's own example
    ['/a/%2e%2e/b', '/b'],
    ['/a/%2E./b', '/b'],
    ['/a/.%2e/b', '/b'],
    ['/a/%2e/b', '/a/b'],
    ['/a//../b', '/a/b'],
    ['/;x/../a', '/a'],
    ['/a/../b?c=/../d', '/b?c=/../d'],
  ])('%s becomes %s', (target, normal) => {
    expect(normalizePath(target)).toBe(normal);
  });
  it.each([
    '/',
    '/a/b',
    '//a//b',
    '/a%2F..%2Fb',
    '/a%5C..%5cb',
    '/..;/a',
    '/.well-known/x',
    '/...',
    '/a/..b',
    '/a%2eb',
    '/%252e%252e/a',
    '/%00',
    '/a?b=/../c',
    '/a?b=%2e%2e/',
    '*',
  ])('leaves %s alone', (target) => {
    expect(normalizePath(target)).toBe(target);
  });
  it('doing it twice changes nothing, no dot segment is left, and the query stays', () => {
    fc.assert(
      fc.property(nastyPath, query, (path, search) => {
        const once = normalizePath(path + search);
        expect(normalizePath(once)).toBe(once);
        expect(dotSegments(once)).toEqual([]);
        expect(once.startsWith('/')).toBe(true);
        expect(once.slice(pathOf(once).length)).toBe(search);
      }),
    );
  });
  it('agrees with the URL standard where there is nothing that only it understands', () => {
    fc.assert(
      fc.property(nastyPath, (path) => {
        expect(normalizePath(path)).toBe(new URL(`http://h${path}`).pathname);
      }),
    );
  });
});

describe('rewritePath', () => {
  it.each([
    ['/v1', '/', '/v1', '/'],
    ['/v1', '/', '/v1/', '/'],
    ['/v1', '/', '/v1/x/y', '/x/y'],
    ['/v1/', '/', '/v1/x', '/x'],
    ['/v1', '/', '/v1?a=/v1', '/?a=/v1'],
    ['/v1', '/v2', '/v1/x?q', '/v2/x?q'],
    ['/v1', '/v2/', '/v1/x', '/v2/x'],
    ['/v1', '/v2', '/v1', '/v2'],
    ['/', '/base', '/x', '/base/x'],
    ['/', '/', '//x', '//x'],
    ['/v1', 'v2', '/v1/x', '/v2/x'],
  ])('prefix %s to %s: %s becomes %s', (prefix, replacement, target, rewritten) => {
    expect(rewritePath(target, { prefix, replacement })).toBe(rewritten);
  });
  it('a target outside the prefix is not touched', () => {
    for (const target of ['/v1x/y', '/', '*', '/a?/v1'])
      expect(rewritePath(target, { prefix: '/v1', replacement: '/' })).toBe(target);
  });
  it('a strip makes no // at the front, which a node could take for another host', () => {
    expect(rewritePath('/v1//evil.com/x', { prefix: '/v1', replacement: '/' })).toBe('/evil.com/x');
  });
  it('a dot segment that a replacement brings in is resolved, too', () => {
    expect(rewritePath('/v1/x', { prefix: '/v1', replacement: '/a/..' })).toBe('/x');
  });
  it('after a strip the path begins with one slash and holds no dot segment, whatever came', () => {
    fc.assert(
      fc.property(nastyPath, query, (path, search) => {
        const result = rewritePath(normalizePath(`/v1/${path}${search}`), { prefix: '/v1', replacement: '/' });
        fc.pre(normalizePath(`/v1/${path}`).startsWith('/v1/'));
        expect(result).toMatch(/^\/(?!\/)/);
        expect(dotSegments(result)).toEqual([]);
        expect(result.endsWith(search)).toBe(true);
      }),
    );
  });
});

describe('redirectLocation', () => {
  const parts = { host: 'example.com', target: '/a/b?c=d', scheme: 'http' } as const;
  it.each([
    ['https://{host}{path}', 'https://example.com/a/b?c=d'],
    ['{scheme}://www.{host}/', 'http://www.example.com/'],
    ['/moved{path}', '/moved/a/b?c=d'],
    ['https://elsewhere.org/', 'https://elsewhere.org/'],
  ])('%s', (to, location) => {
    expect(redirectLocation(to, parts)).toBe(location);
  });
  it('what a client put in is not filled in again', () => {
    expect(redirectLocation('https://{host}{path}', { ...parts, target: '/{host}' })).toBe(
      'https://example.com/%7Bhost%7D',
    );
  });
  it('the target * leads to the root', () => {
    expect(redirectLocation('https://new.org{path}', { ...parts, target: '*' })).toBe('https://new.org/');
  });
  it.each(['{path}', '/{path}'])("a client's path can't lead to another host through %s", (to) => {
    for (const target of ['//evil.com', '///evil.com', '/\\evil.com', '/evil.com'])
      expect(redirectLocation(to, { ...parts, target })).toMatch(/^\/(?![/\\])/);
  });
  it('without a host there is no answer to a template that needs one', () => {
    expect(redirectLocation('https://{host}{path}', { ...parts, host: '' })).toBeNull();
    expect(redirectLocation('{path}', { ...parts, host: '' })).toBe('/a/b?c=d');
  });
  it('text of other scripts leaves as percent-encoded UTF-8', () => {
    expect(redirectLocation('https://example.com/é€😀', parts)).toBe('https://example.com/%C3%A9%E2%82%AC%F0%9F%98%80');
  });
  it('holds nothing but visible ASCII, whatever the template and the request hold', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(text, text, text, (to, host, target) => {
        const location = redirectLocation(`${to}{host}{path}`, {
          host: `h${host}`,
          target: `/${target}`,
          scheme: 'https',
        });
        expect(location).toMatch(/^[\x21-\x7e]+$/);
      }),
    );
  });
});

describe('hostOf', () => {
  it.each([
    ['example.com', 'example.com'],
    ['Example.COM', 'example.com'],
    ['example.com:8080', 'example.com'],
    ['EXAMPLE.com:', 'example.com'],
    ['example.com.', 'example.com'],
    ['example.com.:80', 'example.com'],
    ['[::1]', '[::1]'],
    ['[FE80::1]:8080', '[fe80::1]'],
    ['10.0.0.1:80', '10.0.0.1'],
    ['.', '.'],
    ['', ''],
  ])('%s is %s', (field, host) => {
    expect(hostOf(field)).toBe(host);
  });
});
