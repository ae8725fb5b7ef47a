import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunked } from '../../../src/proxy/http1/request-head.ts';
import { RequestBody, type Trailers } from '../../../src/proxy/io/request-body.ts';
import { byteByByte, cutAt } from '../fixtures.ts';

const none: Trailers = { passedTrailers: () => '' };
const digests: Trailers = {
  passedTrailers: (lines) => lines.replace(/^(?!Digest:).*\r\n/gm, ''),
};

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');
const textOf = (pieces: readonly Buffer[]): string => Buffer.concat(pieces).toString('latin1');

/** Feeds the pieces until the body is complete; gives what is to be passed on and what was left. */
function feed(body: RequestBody, pieces: readonly Buffer[]): { out: string; rest: string } {
  const out: Buffer[] = [];
  const rest: Buffer[] = [];
  for (const piece of pieces) {
    const to = body.complete || body.fault !== null ? 0 : body.read(piece, 0, out);
    rest.push(piece.subarray(to));
  }
  return { out: textOf(out), rest: textOf(rest) };
}

describe('a sized body', () => {
  it('is so many bytes, however they come, and what is behind it is left', () => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(20), fc.array(fc.nat(80), { maxLength: 6 }), (length, behind, cuts) => {
        const body = new RequestBody(length, 0, none);
        const payload = 'x'.repeat(length);
        const next = 'y'.repeat(behind);
        expect(feed(body, cutAt(bytesOf(payload + next), cuts))).toEqual({ out: payload, rest: next });
        expect([body.complete, body.bytes, body.fault]).toEqual([true, length, null]);
      }),
    );
  });

  it('of no bytes is complete from the start', () => {
    expect(new RequestBody(0, 0, none).complete).toBe(true);
    expect(new RequestBody(1, 0, none).complete).toBe(false);
    expect(new RequestBody(chunked, 0, none).complete).toBe(false);
  });

  it('begins where it is said to begin in the buffer, and is passed on uncopied', () => {
    const bytes = bytesOf('head|hello|next');
    const out: Buffer[] = [];
    expect(new RequestBody(5, 0, none).read(bytes, 5, out)).toBe(10);
    expect(textOf(out)).toBe('hello');
    expect(out[0]!.buffer).toBe(bytes.buffer);
  });
});

describe('a chunked body', () => {
  const coded = '5;x=y\r\nhello\r\n0\r\nDigest: d\r\nContent-Length: 9\r\n\r\n';

  it.each([
    ['whole', [bytesOf(`${coded}GET`)]],
    ['byte by byte', byteByByte(bytesOf(`${coded}GET`))],
  ])('goes on as chunks without extensions and without trailer fields, %s', (_, pieces) => {
    const body = new RequestBody(chunked, 0, none);
    expect(feed(body, pieces)).toEqual({ out: '5\r\nhello\r\n0\r\n\r\n', rest: 'GET' });
    expect([body.complete, body.bytes]).toEqual([true, 5]);
  });

  it('goes on with those trailer fields that are allowed, if the config says so', () => {
    const body = new RequestBody(chunked, 0, digests);
    expect(feed(body, byteByByte(bytesOf(coded))).out).toBe('5\r\nhello\r\n0\r\nDigest: d\r\n\r\n');
  });

  it('that is broken says so', () => {
    const body = new RequestBody(chunked, 0, none);
    feed(body, [bytesOf('5\r\nhello\n')]);
    expect([body.fault, body.complete]).toEqual(['bad-chunk', false]);
  });
});

describe('what is kept', () => {
  const piece = Buffer.alloc(1024, 'x');
  const keep = (body: RequestBody, count: number, sent: boolean): void => {
    for (let i = 0; i < count; i++) body.keep([piece], sent);
  };

  it('is all that came before the head was sent, and 64 KiB of it are enough', () => {
    const body = new RequestBody(1e6, 0, none);
    keep(body, 63, false);
    expect([body.full, body.whole, body.keptBytes]).toEqual([false, true, 63 * 1024]);
    keep(body, 1, false);
    expect(body.full).toBe(true);
  });

  it('is let go once sent, if the request is never repeated', () => {
    const body = new RequestBody(1e6, 0, none);
    keep(body, 2, false);
    body.sent();
    expect([body.kept, body.keptBytes, body.whole]).toEqual([[], 0, false]);
    keep(body, 1, true);
    expect([body.kept, body.whole]).toEqual([[], false]);
  });

  it('stays up to the bound while the request may be repeated, and not a byte beyond it', () => {
    const body = new RequestBody(1e6, 4096, none);
    keep(body, 2, false);
    body.sent();
    keep(body, 2, true);
    expect([body.whole, body.keptBytes]).toEqual([true, 4096]);
    keep(body, 1, true);
    expect([body.whole, body.keptBytes, body.kept]).toEqual([false, 0, []]);
  });

  it('costs little more than its bytes, however small the pieces', () => {
    const body = new RequestBody(1e6, 0, none);
    const text = Array.from({ length: 50_000 }, (_, i) => (i % 10).toString()).join('');
    for (let i = 0; i < text.length; i++) {
      body.keep([Buffer.from(text[i]!)], false);
      if (i === 10_000) body.keep([piece], false);
    }
    const at = 10_001;
    expect(Buffer.concat(body.kept).toString()).toBe(text.slice(0, at) + piece.toString() + text.slice(at));
    expect(body.keptBytes).toBe(text.length + piece.length);
    expect(body.kept.length).toBeLessThan(800);
  });

  it('nothing sent and nothing kept is still whole', () => {
    const body = new RequestBody(0, 0, none);
    body.sent();
    expect(body.whole).toBe(true);
  });
});
