/** A node's answer is read as strictly as a client's request. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chunkedBody,
  hasBody,
  type ResponseHead,
  readResponseHead,
  untilClose,
} from '../../../src/proxy/http1/response-head.ts';

const text = (start: string, ...fields: readonly string[]): string => `${[start, ...fields].join('\r\n')}\r\n\r\n`;
const judge = (head: string): ResponseHead | string => readResponseHead(head, 0, head.length);
function read(start: string, ...fields: readonly string[]): ResponseHead {
  const head = judge(text(start, ...fields));
  return typeof head === 'string' ? expect.fail(head) : head;
}
const ok = (...fields: readonly string[]): ResponseHead => read('HTTP/1.1 200 OK', ...fields);

describe('a status line', () => {
  it.each([
    ['HTTP/1.1 200 OK', 200, '200 OK'],
    ['HTTP/1.0 404 Not Found', 404, '404 Not Found'],
    ['HTTP/1.1 200 ', 200, '200 '],
    ['HTTP/1.1 200', 200, '200 '],
    ['HTTP/1.1 299 any\twords \xe4', 299, '299 any\twords \xe4'],
    ['HTTP/1.1 999 x', 999, '999 x'],
    ['HTTP/1.1 103 Early Hints', 103, '103 Early Hints'],
  ])('%s is read', (start, status, statusText) => {
    expect(read(start)).toMatchObject({ status, statusText });
  });

  it.each([
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 099 x',
    'HTTP/1.1 2x0 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1\t200 OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 -200 OK',
    'HTTP/1.2 200 OK',
    'HTTP/2 200',
    'HTTP/2.0 200 OK',
    'http/1.1 200 OK',
    ' HTTP/1.1 200 OK',
    'ICY 200 OK',
    'HTTP/1.1 200 O\0K',
    'HTTP/1.1 200 O\x1bK',
    'HTTP/1.1 200 O\rK',
    'HTTP/1.1 200 O\nK',
    'HTTP/1.1',
    '',
    '\r\nHTTP/1.1 200 OK',
  ])('%j is no answer (R1)', (start) => {
    expect(judge(text(start))).toBeTypeOf('string');
  });
});

describe('a head that can be read in two ways is no answer (R1)', () => {
  it.each<readonly [string, readonly string[]]>([
    ['both framings', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['both framings, the other way round', ['Transfer-Encoding: chunked', 'content-length: 5']],
    ['two lengths', ['Content-Length: 5', 'Content-Length: 6']],
    ['two equal lengths', ['Content-Length: 5', 'Content-Length: 5']],
    ['a list of lengths', ['Content-Length: 5, 5']],
    ['an empty length', ['Content-Length:']],
    ['a length with a comma', ['Content-Length: 0,']],
    ['a negative length', ['Content-Length: -1']],
    ['a length with a sign', ['Content-Length: +1']],
    ['a hexadecimal length', ['Content-Length: 0x1']],
    ['a length of 2^53', ['Content-Length: 9007199254740992']],
    ['a length with leading zeros', ['Content-Length: 01']],
    ['gzip and chunked', ['Transfer-Encoding: gzip, chunked']],
    ['identity', ['Transfer-Encoding: identity']],
    ['an empty coding', ['Transfer-Encoding:']],
    ['two codings', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    ['NUL in a value', ['A: b\0']],
    ['bare LF in a value', ['A: b\nc']],
    ['bare CR in a value', ['A: b\rc']],
    ['a control byte in a value', ['A: \x01']],
    ['a fold', ['A: b', ' c']],
    ['a space before the colon', ['A : b']],
    ['an empty name', [': b']],
    ['no colon', ['A']],
    ['a name with a space', ['A b: c']],
  ])('%s', (_, fields) => {
    expect(judge(text('HTTP/1.1 200 OK', ...fields))).toBeTypeOf('string');
  });

  it('Transfer-Encoding in HTTP/1.0', () => {
    expect(judge(text('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked'))).toBeTypeOf('string');
  });
});

describe('framing', () => {
  it('a length, chunks, or the end of the connection', () => {
    expect(ok('Content-Length: 7')).toMatchObject({ bodyLength: 7, givenLength: 7 });
    expect(ok('TRANSFER-ENCODING: Chunked')).toMatchObject({ bodyLength: chunkedBody, givenLength: -1 });
    expect(ok()).toMatchObject({ bodyLength: untilClose, givenLength: -1 });
  });

  it.each<readonly [string, number, boolean]>([
    ['GET', 200, true],
    ['POST', 500, true],
    ['HEAD', 200, false],
    ['GET', 204, false],
    ['GET', 304, false],
    ['GET', 100, false],
    ['GET', 101, false],
    ['GET', 205, true],
  ])('an answer to %s with %d: body %s, whatever its fields say (R2)', (method, status, body) => {
    expect(hasBody(method, status)).toBe(body);
  });
});

describe('persistence', () => {
  it.each<readonly [string, ResponseHead, boolean]>([
    ['HTTP/1.1', ok(), true],
    ['Connection: close', ok('Connection: close'), false],
    ['close among others, in another case', ok('Connection: x, Close'), false],
    ['close in one of two fields', ok('Connection: close', 'Connection: keep-alive'), false],
    ['HTTP/1.0', read('HTTP/1.0 200 OK'), false],
    ['HTTP/1.0 with keep-alive', read('HTTP/1.0 200 OK', 'Connection: keep-alive'), true],
  ])('%s', (_, head, keepAlive) => {
    expect(head.keepAlive).toBe(keepAlive);
  });

  it.each([
    ['Keep-Alive: timeout=5', 5],
    ['Keep-Alive: max=100, timeout=72', 72],
    ['Keep-Alive: TIMEOUT="3"', 3],
    ['Keep-Alive: xtimeout=3', -1],
    ['Keep-Alive: timeout=-3', -1],
    ['Keep-Alive: timeout=', -1],
    ['A: timeout=3', -1],
  ])('%s means %d seconds', (line, seconds) => {
    expect(ok(line).keepAliveTimeout).toBe(seconds);
  });
});

describe('what is passed on', () => {
  it('are the plain lines as they came, Set-Cookie never joined (R6)', () => {
    const plain = [
      'Set-Cookie: a=1',
      'set-cookie: b=2',
      'Server:x',
      'Date: now',
      'X: \xff',
      'Via: 1.1 a',
      '__proto__: 1',
    ];
    expect(ok(...plain).fields).toBe(plain.map((line) => `${line}\r\n`).join(''));
  });

  it.each([
    'Connection: x',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: close',
    'Proxy-Authenticate: Basic',
    'TE: trailers',
    'Trailer: A',
    'Upgrade: h2',
    'Transfer-Encoding: chunked',
    'Content-Length: 4',
    'X-Request-Id: theirs',
  ])('is not %s', (line) => {
    expect(ok('A: 1', line, 'B: 2').fields).toBe('A: 1\r\nB: 2\r\n');
  });

  it('are no fields that Connection names', () => {
    expect(ok('Connection: a, close', 'A: 1', 'B: 2').fields).toBe('B: 2\r\n');
  });

  it('but what says how to read the answer stays, whatever Connection names', () => {
    const kept = [
      'Content-Type: a/b',
      'Content-Encoding: gzip',
      'Set-Cookie: a=1',
      'Date: now',
      'Cache-Control: private',
    ];
    const names = kept.map((line) => line.split(':')[0]).join(', ');
    expect(ok(`Connection: ${names}, content-length`, 'Content-Length: 3', ...kept)).toMatchObject({
      fields: kept.map((line) => `${line}\r\n`).join(''),
      bodyLength: 3,
    });
  });

  it('Date is looked for, since an answer without one gets one', () => {
    expect(ok('date: x').hasDate).toBe(true);
    expect(ok('Last-Modified: x', 'Dates: y').hasDate).toBe(false);
  });

  it('what was cut out is remembered where it is needed', () => {
    expect(ok('Upgrade: WebSocket', 'Trailer: A, B')).toMatchObject({ upgradeTo: 'WebSocket', trailer: 'A, B' });
    expect(ok('Upgrade: x').header('upgrade')).toBe('x');
  });
});

describe('any bytes', () => {
  const piece = fc.constantFrom(
    'HTTP/1.1 200 OK',
    '\r\n',
    '\r',
    '\n',
    ':',
    ' ',
    'A: b',
    'Content-Length: 5',
    '\0',
    'x',
  );
  it('are refused in words, or are one head up to its end', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const bytes = `HTTP/1.1 200 OK\r\n${pieces.join('')}\r\n`;
        const head = judge(bytes);
        if (typeof head === 'string') {
          expect(head).not.toBe('');
          return;
        }
        expect(`HTTP/1.1 200 OK\r\n${head.raw}\r\n`).toBe(bytes);
        expect(head.raw).toMatch(/^(?:[^\r\n:]+:[^\r\n\0]*\r\n)*$/);
      }),
      { numRuns: 1000 },
    );
  });

  it('a head is read where it stands in the text', () => {
    const first = text('HTTP/1.1 103 Early Hints', 'Link: x');
    const second = text('HTTP/1.1 200 OK', 'Content-Length: 2');
    const head = readResponseHead(`${first}${second}hi`, first.length, first.length + second.length);
    expect(head).toMatchObject({ status: 200, bodyLength: 2 });
    expect(readResponseHead(`${first}${second}`, 0, first.length + second.length)).toBeTypeOf('string');
  });
});
