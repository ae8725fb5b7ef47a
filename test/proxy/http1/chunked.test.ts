/** The chunked coding: any payload comes through any chunk sizes and any split, and every other reading is a fault. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allowedTrailers,
  ChunkedReader,
  maxExtensionBytes,
  maxTrailerBytes,
  type TrailerRules,
} from '../../../src/proxy/http1/chunked.ts';
import { byteByByte, cutAt } from '../fixtures.ts';

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

interface Pass {
  readonly reader: ChunkedReader;
  /** What is to be passed on. */
  readonly out: string;
  /** Bytes of the input that belong to the message. */
  readonly used: number;
}

/** Feeds the pieces, each in the middle of a larger buffer, until the end of the message or a fault. */
function pass(mode: 'raw' | 'data', pieces: readonly Buffer[]): Pass {
  const reader = new ChunkedReader(mode);
  let out = '';
  let used = 0;
  for (const piece of pieces) {
    const buffer = Buffer.concat([Buffer.from('###'), piece, Buffer.from('###')]);
    const to = 3 + piece.length;
    const stop = reader.read(buffer, 3, to);
    expect(stop).toBeGreaterThanOrEqual(3);
    expect(stop).toBeLessThanOrEqual(to);
    let at = 3;
    for (let i = 0; i < reader.rangeCount; i += 2) {
      const [from, end] = [reader.ranges[i]!, reader.ranges[i + 1]!];
      expect(from).toBeGreaterThanOrEqual(at);
      expect(end).toBeGreaterThan(from);
      expect(end).toBeLessThanOrEqual(stop);
      out += buffer.latin1Slice(from, end);
      at = end;
    }
    used += stop - 3;
    if (reader.done || reader.fault !== null) break;
    expect(stop).toBe(to);
  }
  return { reader, out, used };
}

/** Whole, byte by byte, and cut in two everywhere: all must say the same. */
function everyWay(mode: 'raw' | 'data', text: string): Pass {
  const bytes = bytesOf(text);
  const whole = pass(mode, [bytes]);
  const ways = [byteByByte(bytes), ...Array.from({ length: bytes.length }, (_, i) => cutAt(bytes, [i]))];
  for (const way of ways) {
    const other = pass(mode, way);
    expect([other.out, other.used, other.reader.fault, other.reader.done, other.reader.trailers]).toEqual([
      whole.out,
      whole.used,
      whole.reader.fault,
      whole.reader.done,
      whole.reader.trailers,
    ]);
  }
  return whole;
}

const extensions = fc.constantFrom('', ';a', ';a=b', '; a="b c"', ';a;b=1', ';q="\\"\\\\"', ';x="\xe4"');
const trailers = fc.constantFrom('', 'A: b\r\n', 'A: b\r\nC:\r\n', 'Content-Length: 5\r\n');
const message = fc.record({
  chunks: fc.array(
    fc.record({
      data: fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).latin1Slice()),
      extension: extensions,
      zeros: fc.nat(4),
      upper: fc.boolean(),
    }),
    { maxLength: 6 },
  ),
  lastExtension: extensions,
  trailers,
  behind: fc.constantFrom('', 'G', 'GET / HTTP/1.1\r\n\r\n', '\r\n'),
});

describe('any message', () => {
  const cuts = fc.array(fc.nat(400), { maxLength: 8 });

  it('gives its payload in data mode, and leaves what is behind it alone', () => {
    fc.assert(
      fc.property(message, cuts, (parts, places) => {
        const payload = parts.chunks.map((chunk) => chunk.data).join('');
        const coded = codedOf(parts);
        const { reader, out, used } = pass('data', cutAt(bytesOf(coded + parts.behind), places));
        expect([reader.fault, reader.done, out, used, reader.bytes, reader.trailers]).toEqual([
          null,
          true,
          payload,
          coded.length,
          payload.length,
          parts.trailers,
        ]);
      }),
      { numRuns: 500 },
    );
  });

  it('is copied in raw mode, its extensions and trailer fields cut out', () => {
    fc.assert(
      fc.property(message, cuts, (parts, places) => {
        const bare = codedOf({
          ...parts,
          lastExtension: '',
          trailers: '',
          chunks: parts.chunks.map((chunk) => ({ ...chunk, extension: '' })),
        });
        // With trailer fields the caller writes them, or none, and the empty line.
        const expected = parts.trailers === '' ? bare : bare.slice(0, -2);
        const { reader, out, used } = pass('raw', cutAt(bytesOf(codedOf(parts) + parts.behind), places));
        expect([reader.fault, reader.done, out, used]).toEqual([null, true, expected, codedOf(parts).length]);
      }),
      { numRuns: 500 },
    );
  });

  it('and any bytes at all: the same verdict and the same bytes, however they are split', () => {
    const piece = fc.constantFrom(
      '5\r\nhello\r\n',
      '0\r\n\r\n',
      '0\r\n',
      'a',
      '\r\n',
      '\r',
      '\n',
      ';x',
      ' ',
      'A: b\r\n',
      '1',
      '\0',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), cuts, (pieces, places) => {
        const bytes = bytesOf(pieces.join(''));
        for (const mode of ['raw', 'data'] as const) {
          const [whole, split] = [pass(mode, [bytes]), pass(mode, cutAt(bytes, places))];
          expect([split.out, split.used, split.reader.fault]).toEqual([whole.out, whole.used, whole.reader.fault]);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

interface Parts {
  readonly chunks: readonly { data: string; extension: string; zeros: number; upper: boolean }[];
  readonly lastExtension: string;
  readonly trailers: string;
}

function codedOf(parts: Parts): string {
  const chunks = parts.chunks.map(({ data, extension, zeros, upper }) => {
    const hex = '0'.repeat(zeros) + data.length.toString(16);
    return `${upper ? hex.toUpperCase() : hex}${extension}\r\n${data}\r\n`;
  });
  return `${chunks.join('')}0${parts.lastExtension}\r\n${parts.trailers}\r\n`;
}

describe('a chunk that two readers could read differently is a fault (F7, F8, F9)', () => {
  it.each([
    ['an empty size', '\r\nhello\r\n'],
    ['a plus sign', '+5\r\nhello\r\n'],
    ['a minus sign', '-5\r\nhello\r\n'],
    ['0x', '0x5\r\nhello\r\n'],
    ['an underscore', '1_0\r\n'],
    ['a blank before the size', ' 5\r\nhello\r\n'],
    ['a blank behind the size', '5 \r\nhello\r\n'],
    ['a tab behind the size', '5\t\r\nhello\r\n'],
    ['a blank inside the size', '1 0\r\n'],
    ['a letter that is no digit', '5g\r\nhello\r\n'],
    ['NUL', '5\0\r\nhello\r\n'],
    ['17 digits, though zeros', '00000000000000005\r\nhello\r\n'],
    ['17 digits', '10000000000000000\r\n'],
    ['a size of 2^53', '20000000000000\r\n'],
    ['16 digits f', 'ffffffffffffffff\r\n'],
    ['bare LF behind the size', '5\nhello\r\n'],
    ['bare CR behind the size', '5\rhello\r\n'],
    ['bare LF behind the data', '5\r\nhello\n0\r\n\r\n'],
    ['bare CR behind the data', '5\r\nhello\r0\r\n\r\n'],
    ['data longer than its size', '5\r\nhello!\r\n'],
    ['data without a line end', '5\r\nhello0\r\n\r\n'],
    ['an extension that is no token', '5;\x01\r\nhello\r\n'],
    ['an extension without a name', '5;=a\r\nhello\r\n'],
    ['an empty extension', '5;\r\nhello\r\n'],
    ['an extension with an open quote', '5;a="b\r\nhello\r\n'],
    ['bare LF in an extension', '5;a\nb\r\nhello\r\n'],
    ['bare CR in an extension', '5;a\rb\r\nhello\r\n'],
    ['CR in a quoted value', '5;a="\r\n"\r\nhello\r\n'],
    ['bare LF behind the last chunk', '0\n\r\n'],
    ['bare CR behind an extension of the last chunk', '0;a\r\r\n'],
  ])('%s', (_, text) => {
    expect(everyWay('raw', text).reader.fault).toBe('bad-chunk');
    expect(everyWay('data', `1\r\nx\r\n${text}`).reader.fault).toBe('bad-chunk');
  });

  it.each([
    ['bare LF as the last line', '0\r\n\n'],
    ['CR and another byte as the last line', '0\r\n\rX'],
    ['a fold', '0\r\nA: b\r\n c\r\n\r\n'],
    ['a space before the colon', '0\r\nA : b\r\n\r\n'],
    ['no colon', '0\r\nA\r\n\r\n'],
    ['an empty name', '0\r\n: b\r\n\r\n'],
    ['a control byte', '0\r\nA: \x01\r\n\r\n'],
    ['NUL', '0\r\nA: b\0\r\n\r\n'],
    ['a bare CR in a value', '0\r\nA: b\rc\r\n\r\n'],
    ['a bare LF in a value', '0\r\nA: b\nC: d\r\n\r\n'],
  ])('trailers with %s', (_, text) => {
    expect(everyWay('raw', text).reader.fault).toBe('bad-trailer');
    expect(everyWay('data', text).reader.fault).toBe('bad-trailer');
  });

  it('after a fault nothing behind it is passed on', () => {
    expect(everyWay('data', '2\r\nhi\r\nx5\r\nhello').out).toBe('hi');
    expect(everyWay('raw', '2\r\nhi\r\nx5\r\nhello').out).toBe('2\r\nhi\r\n');
  });
});

describe('bounds', () => {
  it('16 digits are read, up to 2^53 - 1', () => {
    const reader = new ChunkedReader('data');
    reader.read(bytesOf('001fffffffffffff\r\nxy'), 0, 20);
    expect([reader.fault, reader.bytes]).toEqual([null, 2]);
  });

  it.each(['raw', 'data'] as const)('extension bytes of a whole message are bounded, in %s mode', (mode) => {
    const chunk = `1;${'e'.repeat(99)}\r\nx\r\n`;
    const fit = Math.floor(maxExtensionBytes / 100);
    expect(pass(mode, [bytesOf(chunk.repeat(fit))]).reader.fault).toBeNull();
    expect(pass(mode, [bytesOf(chunk.repeat(fit + 1))]).reader.fault).toBe('bad-chunk');
    expect(pass(mode, byteByByte(bytesOf(`1;${'e'.repeat(maxExtensionBytes)}`))).reader.fault).toBe('bad-chunk');
  });

  it('trailer bytes are bounded', () => {
    const line = (bytes: number): string => `A: ${'v'.repeat(bytes - 5)}\r\n`;
    expect(pass('raw', [bytesOf(`0\r\n${line(maxTrailerBytes)}\r\n`)]).reader.done).toBe(true);
    expect(pass('raw', [bytesOf(`0\r\n${line(maxTrailerBytes + 1)}\r\n`)]).reader.fault).toBe('bad-trailer');
  });

  it('a message of 100 000 one-byte chunks is read to its end, in no more ranges than it has chunks', () => {
    const bytes = bytesOf(`${'1\r\nx\r\n'.repeat(100_000)}0\r\n\r\n`);
    const reader = new ChunkedReader('data');
    expect(reader.read(bytes, 0, bytes.length)).toBe(bytes.length);
    expect([reader.done, reader.bytes, reader.rangeCount]).toEqual([true, 100_000, 200_000]);
  });
});

describe('trailers that may be passed on (F10)', () => {
  const all: TrailerRules = { underscore: true, drop: null };

  it.each([
    'Content-Length: 5',
    'content-type: a/b',
    'Transfer-Encoding: chunked',
    'Host: a',
    'Connection: close',
    'TE: x',
    'Trailer: A',
    'Authorization: Basic eA==',
    'Cookie: a=b',
    'Set-Cookie: a=b',
    'X-Forwarded-For: 1',
    'X-HA-Epoch: 1',
    'X-Request-Id: 1',
    'Via: 1.1 a',
    'Upgrade: h2c',
    'Proxy-Authorization: x',
    'Expect: x',
    'Location: /',
    'Client-Cert: :eA==:',
    'If-Match: x',
    'Pragma: x',
    'X_Forwarded_For: 1',
    'Content_Length: 5',
  ])('not %s', (line) => {
    expect(allowedTrailers(`A: 1\r\n${line}\r\nB: 2\r\n`, all)).toBe('A: 1\r\nB: 2\r\n');
  });

  it.each(['Digest: x', 'Server-Timing: a', 'grpc-status: 0', 'X-Checksum: 1', 'Team: x'])('but %s', (line) => {
    expect(allowedTrailers(`${line}\r\n`, all)).toBe(`${line}\r\n`);
  });
});
