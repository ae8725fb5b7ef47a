import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HeadLimits } from '../../../src/proxy/http1/request-head.ts';
import { HeadBuffer } from '../../../src/proxy/io/head-buffer.ts';
import { anyText, small } from '../any-head.ts';
import { byteByByte, cutAt, feedHead, limits, lines, said } from '../fixtures.ts';

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('HeadBuffer', () => {
  it('the verdict does not depend on how the bytes were split', () => {
    fc.assert(
      fc.property(anyText, fc.array(fc.nat(400), { maxLength: 6 }), (text, cuts) => {
        const bytes = bytesOf(text);
        const whole = said(feedHead([bytes], small));
        expect(said(feedHead(cutAt(bytes, cuts), small))).toBe(whole);
        expect(said(feedHead(byteByByte(bytes), small))).toBe(whole);
      }),
      { numRuns: 3000 },
    );
  });

  it('a head that came in pieces is the head that came whole, byte for byte, and what is behind it is left alone', () => {
    const head = lines('POST /a HTTP/1.1', 'Content-Length: 3', 'X-Long: '.padEnd(3000, 'v'));
    fc.assert(
      fc.property(fc.constantFrom('', '\r\n'), fc.array(fc.nat(4000), { maxLength: 5 }), (before, cuts) => {
        const buffer = new HeadBuffer(limits, true);
        let fed = 0;
        for (const piece of cutAt(bytesOf(`${before}${head}abcGET /next`), cuts)) {
          const progress = buffer.add(piece);
          if (progress.at === 'whole') {
            expect(progress.text).toBe(head);
            expect(fed + progress.used).toBe(before.length + head.length);
            return;
          }
          expect(progress.at).toBe('more');
          fed += piece.length;
        }
        expect.fail('never whole');
      }),
    );
  });

  it('skips one empty line before a request line, and only one', () => {
    const head = lines('GET /x HTTP/1.1');
    for (const split of [(bytes: Buffer) => [bytes], byteByByte]) {
      expect(said(feedHead(split(bytesOf(`\r\n${head}`)), limits))).toBe('GET /x');
      expect(said(feedHead(split(bytesOf(`\r\n\r\n${head}`)), limits))).toBe('400 bad-request-line');
    }
  });

  it('skips none if the connection has skipped one already', () => {
    const buffer = new HeadBuffer(limits, false);
    expect(buffer.add(bytesOf('\r\nGET'))).toMatchObject({ at: 'refused', refusal: { status: 400 } });
  });

  it.each([
    ['a control byte', 'GET / HTTP/1.1\r\nA: \x01'],
    ['a bare LF', 'GET / HTTP/1.1\n'],
    ['a bare CR', 'GET / HTTP/1.1\rX'],
    ['HTTP/0.9', 'GET /\r\n'],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01'],
    ['another version', 'GET / HTTP/3.0\r\n'],
  ])('refuses %s at once, without waiting for the end of the head', (_, text) => {
    expect(feedHead([bytesOf(text)], limits)).not.toBeNull();
    expect(feedHead(byteByByte(bytesOf(text)), limits)).not.toBeNull();
  });

  it.each(['G', 'GET / HTTP/1.1\r', 'GET / HTTP/1.1\r\n', 'GET / HTTP/1.1\r\nA: b\r\n\r', '\r', '\r\n'])(
    'waits on after %j',
    (text) => {
      expect(feedHead([bytesOf(text)], limits)).toBeNull();
      expect(feedHead(byteByByte(bytesOf(text)), limits)).toBeNull();
    },
  );

  it('a head of exactly maxHead bytes is accepted, one byte more is 431', () => {
    const start = 'GET / HTTP/1.1\r\nHost: h\r\n';
    const tight: HeadLimits = { ...limits, maxHead: 2000 };
    const sized = (length: number): Buffer => bytesOf(`${start}A: ${'v'.repeat(length - start.length - 7)}\r\n\r\n`);
    for (const split of [(bytes: Buffer) => [bytes], byteByByte]) {
      expect(sized(2000)).toHaveLength(2000);
      expect(said(feedHead(split(sized(2000)), tight))).toBe('GET /');
      expect(said(feedHead(split(sized(2001)), tight))).toBe('431 head-too-large');
      expect(said(feedHead(split(sized(9000)), tight))).toBe('431 head-too-large');
    }
  });

  it('keeps no more than the limit of what is sent, and says how much that was', () => {
    const buffer = new HeadBuffer(limits, true);
    expect(buffer.add(bytesOf(`GET / HTTP/1.1\r\nA: ${'v'.repeat(1_000_000)}`))).toMatchObject({
      at: 'refused',
      refusal: { status: 431 },
    });
    expect(buffer.length).toBeLessThanOrEqual(limits.maxHead + 4);
  });
});
