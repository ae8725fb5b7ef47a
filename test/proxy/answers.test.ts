import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type OwnAnswer, ownAnswer, wantsHtml } from '../../src/proxy/answers.ts';
import { STATUS_TEXT } from '../../src/proxy/status-text.ts';
import { field, type Message, readMessages } from '../helpers/http-bytes.ts';

const base: OwnAnswer = {
  status: 503,
  detail: 'No node of the service is fit to answer.',
  requestId: 'id-1',
  proxyError: '',
  retryAfter: 0,
  location: '',
  html: false,
  close: false,
  keepAliveField: false,
  headOnly: false,
  date: 'Thu, 01 Jan 2026 00:00:00 GMT',
};

/** The answer as a reader that forgives nothing reads it. */
function read(change: Partial<OwnAnswer> = {}, method = 'GET'): Message {
  const reading = readMessages(ownAnswer({ ...base, ...change }), 'response', { methods: [method] });
  expect(reading).toMatchObject({ faults: [], rest: '' });
  expect(reading.messages).toHaveLength(1);
  return reading.messages[0]!;
}

describe('an answer of our own', () => {
  it('is problem+json with the request id (RFC 9457)', () => {
    const answer = read();
    expect(answer.start).toBe('HTTP/1.1 503 Service Unavailable');
    expect(field(answer, 'content-type')).toBe('application/problem+json');
    expect(JSON.parse(answer.body)).toEqual({
      type: 'about:blank',
      title: 'Service Unavailable',
      status: 503,
      detail: base.detail,
      requestId: 'id-1',
    });
    expect(field(answer, 'x-request-id')).toBe('id-1');
    expect(field(answer, 'date')).toBe(base.date);
    expect(field(answer, 'cache-control')).toBe('no-store');
  });

  it('is HTML for a browser', () => {
    const answer = read({ html: true, status: 404 });
    expect(field(answer, 'content-type')).toBe('text/html; charset=utf-8');
    expect(answer.body).toMatch(/^<!doctype html>[\s\S]*<h1>404 Not Found<\/h1>[\s\S]*id-1[\s\S]*<\/html>\n$/);
  });

  it('to HEAD has the fields of the body, and no body', () => {
    const [head, whole] = [ownAnswer({ ...base, headOnly: true }), ownAnswer(base)];
    expect(whole.startsWith(head)).toBe(true);
    expect(head.endsWith('\r\n\r\n')).toBe(true);
    expect(field(read({ headOnly: true }, 'HEAD'), 'content-length')).toBe(field(read(), 'content-length'));
  });

  it.each<readonly [Partial<OwnAnswer>, string, string | undefined]>([
    [{ proxyError: 'connection_refused' }, 'proxy-status', 'evenkeel; error=connection_refused'],
    [{}, 'proxy-status', undefined],
    [{ retryAfter: 2 }, 'retry-after', '2'],
    [{}, 'retry-after', undefined],
    [{ status: 302, location: 'https://a/b' }, 'location', 'https://a/b'],
    [{}, 'location', undefined],
    [{ status: 204 }, 'allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
    [{ status: 204 }, 'content-length', undefined],
    [{ status: 405 }, 'allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
    [{}, 'allow', undefined],
    [{ close: true }, 'connection', 'close'],
    [{ close: true, keepAliveField: true }, 'connection', 'close'],
    [{ keepAliveField: true }, 'connection', 'keep-alive'],
    [{}, 'connection', undefined],
  ])('%j has %s: %s', (change, name, value) => {
    expect(field(read(change), name)).toBe(value);
  });

  it('of any status is whole, its length exact, and says its name', () => {
    fc.assert(
      fc.property(fc.constantFrom(...STATUS_TEXT.keys()), fc.boolean(), fc.boolean(), (status, html, close) => {
        const answer = read({ status, html, close });
        expect(answer.start).toBe(`HTTP/1.1 ${status} ${STATUS_TEXT.get(status)}`);
        expect(answer.complete).toBe(true);
      }),
    );
  });

  it('of a status without a name of its own is an answer all the same', () => {
    expect(read({ status: 599 }).start).toBe('HTTP/1.1 599 Error');
  });
});

it.each([
  [undefined, false],
  ['*/*', false],
  ['application/json', false],
  ['text/html,application/xhtml+xml;q=0.9,*/*;q=0.8', true],
])('a client that accepts %s would rather read HTML: %s', (accept, html) => {
  expect(wantsHtml(accept)).toBe(html);
});
