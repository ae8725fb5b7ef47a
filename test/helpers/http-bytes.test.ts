import { describe, expect, it } from 'vitest';
import { field, finalOf, readMessages, statusOf } from './http-bytes.ts';

const request = (...lines: string[]): string => `${['POST /x HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n')}`;

describe('requests', () => {
  it('are read one after the other, with what is left', () => {
    const bytes = `${request('Content-Length: 5')}hello${request('Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\nX: y\r\n\r\nGET /`;
    const { messages, rest, faults } = readMessages(bytes, 'request');
    expect(messages.map((one) => [one.framing, one.body, one.complete])).toEqual([
      ['length', 'hello', true],
      ['chunked', 'hello', true],
    ]);
    expect(messages[1]!.trailers).toEqual(['X: y']);
    expect([rest, faults]).toEqual(['GET /', []]);
  });

  it.each([
    ['both framings', request('Content-Length: 5', 'Transfer-Encoding: chunked')],
    ['two lengths', `${request('Content-Length: 5', 'Content-Length: 5')}hello`],
    ['an odd length', `${request('Content-Length: +5')}`],
    ['leading zeros', `${request('Content-Length: 05')}hello`],
    ['an odd coding', request('Transfer-Encoding: Chunked')],
    ['a folded line', request('X: y', ' z')],
    ['a blank before the colon', request('X : y')],
    ['a control byte', request('X: y\x01')],
    ['a bare LF', request('X: y\nZ: a')],
    ['a bare CR', request('X: y\rZ: a')],
    ['two hosts', request('Host: b')],
    ['a blank in the target', request().replace('/x', '/x y')],
    ['a chunk extension', `${request('Transfer-Encoding: chunked')}5;a=b\r\nhello\r\n0\r\n\r\n`],
    ['no CRLF behind a chunk', `${request('Transfer-Encoding: chunked')}5\r\nhelloX\r\n0\r\n\r\n`],
    ['a bad trailer', `${request('Transfer-Encoding: chunked')}0\r\nX Y\r\n\r\n`],
  ])('%s is a fault', (_what, bytes) => {
    expect(readMessages(bytes, 'request').faults).not.toEqual([]);
  });

  it.each([
    ['head', request().slice(0, -2)],
    ['sized body', `${request('Content-Length: 5')}hell`],
    ['chunk', `${request('Transfer-Encoding: chunked')}5\r\nhel`],
    ['last chunk', `${request('Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n`],
  ])('an unfinished %s is not complete', (_what, bytes) => {
    expect(readMessages(bytes, 'request').messages.filter((one) => one.complete)).toEqual([]);
  });
});

describe('responses', () => {
  it('1xx do not count as final; HEAD has no body; until-close needs the end', () => {
    const bytes =
      'HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\nrest';
    const open = readMessages(bytes, 'response', { methods: ['HEAD', 'GET'] });
    expect(open.messages.map(statusOf)).toEqual([103, 200, 200]);
    expect(finalOf(open).map((one) => [one.body, one.complete])).toEqual([
      ['', true],
      ['rest', false],
    ]);
    const ended = readMessages(bytes, 'response', { methods: ['HEAD', 'GET'], ended: true });
    expect(finalOf(ended).at(-1)?.complete).toBe(true);
    expect(field(ended.messages[1]!, 'content-length')).toBe('5');
  });
});
