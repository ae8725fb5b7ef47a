/** Random heads of which many are nearly good, and bounds so small that they are reached. */
import fc from 'fast-check';
import type { HeadLimits } from '../../src/proxy/http1/request-head.ts';
import { limits } from './fixtures.ts';

/** So small that random heads reach every bound. */
export const small: HeadLimits = { ...limits, maxHead: 96, maxFields: 3, maxField: 40, maxTarget: 24 };

/** Pieces of which good, bad and nearly good heads come together. */
const words = fc.constantFrom(
  'GET',
  'POST',
  'OPTIONS',
  'TRACE',
  'PRI',
  ' ',
  '  ',
  '/',
  '*',
  '/a?b#c',
  'http://h/x',
  ' HTTP/1.1',
  ' HTTP/1.0',
  ' HTTP/1.2',
  ' HTTP/2.0',
  'GET / HTTP/1.1\r\n',
  'GET / HTTP/1.1\r\nHost: h\r\n',
  '\r\n',
  '\r\n\r\n',
  '\r',
  '\n',
  ':',
  'Host: h\r\n',
  'A: b',
  'Content-Length: 5\r\n',
  'Content-Length: +5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Expect: x\r\n',
  'a_b: c\r\n',
  ' folded\r\n',
  '\t',
  '\0',
  '\x7f',
  '\xff',
  'x'.repeat(13),
  'x'.repeat(29),
  `/${'y'.repeat(30)}`,
);
const anyHead = fc.array(words, { minLength: 1, maxLength: 14 }).map((parts) => parts.join(''));
const mostlyGood = fc
  .tuple(fc.constantFrom('GET / HTTP/1.1\r\nHost: h\r\n', '\r\nGET / HTTP/1.1\r\n', 'POST /x HTTP/1.0\r\n'), anyHead)
  .map(([start, rest]) => `${start}${rest}\r\n\r\n`);
const anyBytes = fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes).latin1Slice());
/** Heads, good and bad, latin1. */
export const anyText = fc.oneof(anyHead, mostlyGood, anyBytes);
