/** What stands behind an answer that is thrown away must be found to the byte, however it comes. */
import { describe, expect, it } from 'vitest';
import { AnswerSkipper, maxSkipped } from '../../../src/proxy/http1/answer-skipper.ts';
import { type ResponseHead, readResponseHead } from '../../../src/proxy/http1/response-head.ts';

/** Feeds all, cut at `at`; what is left behind the answer, or the fault. */
function leftBehind(text: string, at: number, method = 'GET'): string {
  const skipper = new AnswerSkipper(method);
  const bytes = Buffer.from(text, 'latin1');
  let stop = 0;
  for (const end of [at, bytes.length]) {
    // Its own buffer each time, with other bytes around: nothing outside the range may be looked at.
    const framed = Buffer.concat([Buffer.from('HTTP/'), bytes.subarray(stop, end), Buffer.from('\r\n\r\n')]);
    if (end > stop) stop += skipper.read(framed, 5, 5 + end - stop) - 5;
    if (skipper.fault !== null) return `fault: ${skipper.fault}`;
    if (skipper.done) return text.slice(stop);
  }
  return 'more';
}

const answers: readonly [string, string, string?][] = [
  ['sized', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['empty', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: t\r\n\r\n'],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n'],
  ['to HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n', 'HEAD'],
  [
    'after interim ones',
    'HTTP/1.1 100 x\r\n\r\nHTTP/1.1 103 x\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab',
  ],
];
const next = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext';

describe.each(answers)('an answer that is %s', (_name, text, method) => {
  it('ends where it ends, wherever it is cut', () => {
    for (let at = 0; at <= text.length; at++) {
      expect(leftBehind(text, at, method)).toBe('');
      expect(leftBehind(text + next, at, method)).toBe(next);
    }
  });

  it('is not over before it is', () => {
    for (let end = 1; end < text.length; end++) expect(leftBehind(text.slice(0, end), 0, method)).toBe('more');
  });
});

it.each([
  ['until close', 'HTTP/1.1 200 OK\r\n\r\n', 'fault: an answer without an end that nobody waits for'],
  ['101', 'HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n', 'fault: 101 that was not asked for'],
  [
    'both framings',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'fault: both Content-Length and Transfer-Encoding',
  ],
  ['no HTTP', 'SSH\r\n\r\n', 'fault: the head of the answer is not HTTP/1.x'],
  ['a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n', 'fault: bad chunked coding: bad-chunk'],
])('%s is a fault, wherever it is cut', (_name, text, fault) => {
  for (let at = 0; at <= text.length; at++) expect(leftBehind(text, at)).toBe(fault);
});

it('is a fault once it is over the bound, in the head or in the body', () => {
  const large = `HTTP/1.1 200 OK\r\nContent-Length: ${maxSkipped}\r\n\r\n${'x'.repeat(maxSkipped)}`;
  const head = `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(maxSkipped)}`;
  for (const text of [large, head]) expect(leftBehind(text, 100)).toMatch(/^fault: an answer of over 65536 bytes/);
});

it.each([
  ['Connection: close', false],
  ['X: y', true],
])('%s: the connection is kept: %s', (line, kept) => {
  const skipper = new AnswerSkipper('GET');
  const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${line}\r\nContent-Length: 0\r\n\r\n`);
  skipper.read(bytes, 0, bytes.length);
  expect([skipper.done, skipper.keepAlive]).toEqual([true, kept]);
});

it('goes on behind a head that was read already', () => {
  const head = (lines: string): ResponseHead => {
    const text = `HTTP/1.1 503 Busy\r\n${lines}\r\n\r\n`;
    return readResponseHead(text, 0, text.length) as ResponseHead;
  };
  expect(new AnswerSkipper('GET', head('Content-Length: 0')).done).toBe(true);
  expect(new AnswerSkipper('GET', head('X: y')).fault).not.toBeNull();
  const skipper = new AnswerSkipper('GET', head('Content-Length: 4'));
  expect([skipper.read(Buffer.from('busyHTTP'), 0, 8), skipper.done]).toEqual([4, true]);
});
