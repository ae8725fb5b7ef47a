import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkEdit,
  parseFieldName,
  parseFieldValue,
  parseMethod,
  parsePath,
  parsePrefix,
  parseRedirect,
  parseStatusRange,
} from '../../src/config/http-words.ts';

const value = <T>(result: { ok: true; value: T } | { ok: false; error: string }) =>
  result.ok ? result.value : result.error;

describe('field names', () => {
  it.each(['A', 'X-Forwarded-For', 'x_y', "!#$%&'*+.^_`|~-", '0'])('%s', (text) =>
    expect(value(parseFieldName(text))).toBe(text),
  );
  it.each(['', ' ', 'a b', 'a:', 'a\r\n', 'ä', '(a)', 'a"', 'a/b', 'a,b', '\0', 'a'.repeat(129)])(
    '%j is none',
    (text) => expect(parseFieldName(text).ok).toBe(false),
  );
});

describe('field values', () => {
  it.each(['', 'a', 'a b\tc', '~!@#"\'', 'max-age=1; x="y"'])('%j', (text) =>
    expect(value(parseFieldValue(text))).toBe(text),
  );
  it.each([
    ['a\r\nb', /line break/],
    ['a\nb', /line break/],
    ['a\rb', /line break/],
    ['\0', /control character/],
    ['\x7f', /control character/],
    ['\x1b[1m', /control character/],
    ['\x80', /not ASCII/],
    ['€', /not ASCII/],
    [' a', /starts or ends with a space/],
    ['a\t', /starts or ends with a space/],
    ['a'.repeat(8193), /more than 8192/],
  ])('%j is refused', (text, message) => {
    expect(value(parseFieldValue(text))).toMatch(message);
  });

  it('what passes cannot end a line on the wire', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        if (parseFieldValue(text).ok) expect(text).toMatch(/^([\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?)?$/);
      }),
    );
  });
});

describe('fields that may be edited', () => {
  const edit = (name: string, side: 'request' | 'response' = 'request', remove = false) =>
    checkEdit(name, { side, remove });

  it('most', () => {
    for (const name of ['Authorization', 'Cookie', 'Set-Cookie', 'Server', 'X-Forwarded', 'X-HAT', 'Date']) {
      expect(edit(name), name).toBeNull();
      expect(edit(name, 'response', true), name).toBeNull();
    }
  });

  it('Host may be set, not removed', () => {
    expect(edit('Host')).toBeNull();
    expect(edit('hOsT', 'request', true)).toMatch(/cannot be removed/);
  });

  it('not those of the framing, nor our own', () => {
    for (const name of ['CONTENT-LENGTH', 'te', 'HTTP2-Settings', 'Proxy-Connection'])
      expect(edit(name)).toMatch(/framing/);
    for (const name of ['x-ha-epoch', 'X-HA-', 'VIA', 'x-forwarded-PORT'])
      expect(edit(name)).toMatch(/set by evenkeel/);
  });
});

describe('methods', () => {
  it.each([
    ['get', 'GET'],
    ['PROPFIND', 'PROPFIND'],
    ['M-SEARCH', 'M-SEARCH'],
  ])('%s', (text, method) => expect(value(parseMethod(text))).toBe(method));
  it.each(['', 'A B', 'GET,POST', 'connect', 'TRACE', 'x'.repeat(33)])('%j is refused', (text) =>
    expect(parseMethod(text).ok).toBe(false),
  );
});

describe('paths', () => {
  it.each(['/', '/a', '/a/', '/a.b/..c', '/...', '/%2F', "/~a-b_c;d=e,f!$&'()+:@"])('%s', (text) =>
    expect(value(parsePath(text))).toBe(text),
  );
  it.each([
    '',
    'a',
    'http://a/',
    '/a?b',
    '/a#b',
    '/a b',
    '/ä',
    '/a\n',
    '/a*',
    '//',
    '/a//b',
    '/.',
    '/..',
    '/./a',
    '/a/..',
    `/${'a'.repeat(4096)}`,
  ])('%j is refused', (text) => expect(parsePath(text).ok).toBe(false));
  it.each([
    ['/', '/'],
    ['/a', '/a'],
    ['/a/', '/a'],
    ['/a/b/', '/a/b'],
  ])('the prefix %s is %s', (text, prefix) => expect(value(parsePrefix(text))).toBe(prefix));
  it('a prefix is a path', () => expect(parsePrefix('a').ok).toBe(false));
});

describe('redirects', () => {
  it.each(['/', '/a?b=c', '{path}', 'https://a.b', 'HTTP://a', 'https://{host}{path}', '{scheme}://a/{path}'])(
    '%s',
    (text) => expect(value(parseRedirect(text))).toBe(text),
  );
  it.each([
    ['', /neither a path nor an address/],
    ['a', /neither a path nor an address/],
    ['ftp://a', /neither a path nor an address/],
    ['https:///a', /neither a path nor an address/],
    ['{host}', /neither a path nor an address/],
    ['/{Host}', /\{Host\} in it, which is not known/],
    ['/{', /has \{ in it/],
    ['/a b', /space/],
    ['/\r\n', /special character/],
    ['/ä', /special character/],
  ])('%j is refused', (text, message) => expect(value(parseRedirect(text))).toMatch(message));
});

describe('statuses', () => {
  it.each([
    ['200', [200, 200]],
    ['200-399', [200, 399]],
    ['200 - 204', [200, 204]],
    ['2xx', [200, 299]],
    ['5XX', [500, 599]],
  ])('%s', (text, range) => expect(value(parseStatusRange(text))).toEqual(range));
  it.each(['', '20', '099', '600', '2000', '0xx', '6xx', '399-200', '200-', '-200', '200,201', '2x'])(
    '%j is refused',
    (text) => expect(parseStatusRange(text).ok).toBe(false),
  );
});
