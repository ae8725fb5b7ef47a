import { expect, it } from 'vitest';
import type { HashKey } from '../../src/config/model.ts';
import { hashKeyOf } from '../../src/proxy/hash-key.ts';
import { accepted, lines } from './fixtures.ts';

const address = '192.0.2.7';
const cookie = (name: string): HashKey => ({ from: 'cookie', name });
const header = (name: string): HashKey => ({ from: 'header', name });

it.each<readonly [string, HashKey, string, string]>([
  ['the client address', { from: 'address' }, '', address],
  ['the path without the query', { from: 'path' }, '', '/a/b'],
  ['a field, by its name in any case', header('X-User'), 'x-user:  7 ', '7'],
  ['the first of several fields', header('x-user'), 'x-user: 7\r\nX-User: 8', '7'],
  ['an empty field', header('x-user'), 'x-user:', ''],
  ['the address where the field is missing', header('x-user'), 'x-users: 7', address],
  ['a cookie', cookie('sid'), 'Cookie: a=1; sid=x=y; b=2', 'x=y'],
  ['a cookie without blanks', cookie('sid'), 'Cookie: a=1;sid=7', '7'],
  ['not a cookie whose name ends so', cookie('sid'), 'Cookie: xsid=1', address],
  ['not a cookie of another case', cookie('sid'), 'Cookie: SID=1', address],
  ['not a word without a value', cookie('sid'), 'Cookie: sid', address],
  ['the address where there is no cookie', cookie('sid'), 'A: b', address],
  ['a cookie named like a property', cookie('__proto__'), 'Cookie: __proto__=1', '1'],
])('%s', (_, key, fields, expected) => {
  const head = accepted(lines('GET /a/b?c=/d HTTP/1.1', ...(fields === '' ? [] : fields.split('\r\n'))));
  expect(hashKeyOf(key, head, address)).toBe(expected);
});
