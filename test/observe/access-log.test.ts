import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAccessFormatter } from '../../src/observe/access-log.ts';
import type { Outcome } from '../../src/proxy/outcome.ts';
import { outcome, wall } from './fixture.ts';

const json = (one: Outcome): string => createAccessFormatter('json')(one);
const combined = (one: Outcome): string => createAccessFormatter('combined')(one);

/** Client text as the engine hands it on: one character per byte, any byte. */
const latin1 = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const anyText = fc.oneof(
  latin1,
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\r\n{"time":"forged"}', '\u001b[2J', '"', '\\'),
);

describe('a json line', () => {
  it('has the documented fields, in their order', () => {
    expect(json(outcome())).toBe(
      '{"time":"2026-01-02T03:04:05.678Z","id":"0f3a-1","client":"10.1.2.3","method":"GET","host":"shop.example.com",' +
        '"path":"/cart?id=7","proto":"HTTP/1.1","status":200,"bytes_in":0,"bytes_out":512,"dur_ms":3.457,' +
        '"node":"10.0.0.11:3000","connect_ms":null,"ttfb_ms":3.100,"tries":1,"route":"route-1","pool":"app","end":"ok"}\n',
    );
  });

  it('gives every text back that went in, on one line of printable ASCII', () => {
    fc.assert(
      fc.property(fc.tuple(anyText, anyText, anyText, anyText, anyText, anyText), (texts) => {
        const [id, client, method, host, target, protocol] = texts;
        const line = json(outcome({ id, client, method, host, target, protocol, route: host, pool: id, node: target }));
        expect(line).toMatch(/^[ -~]+\n$/);
        const back = JSON.parse(line) as Record<string, unknown>;
        expect([back['id'], back['client'], back['method'], back['host'], back['path'], back['proto']]).toEqual(texts);
        expect([back['route'], back['pool'], back['node']]).toEqual([host, id, target]);
      }),
    );
  });

  it('escapes each byte that is not plain', () => {
    for (let byte = 0; byte < 256; byte++) {
      const char = String.fromCharCode(byte);
      const plain = byte >= 0x20 && byte < 0x7f && char !== '"' && char !== '\\';
      expect(json(outcome({ target: `/${char}` })).includes(`"path":"/${char}"`), `byte ${byte}`).toBe(plain);
    }
  });

  it('is valid JSON whatever the numbers are', () => {
    const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-1, 0, 1e21, 2_147_483.6, Number.NaN));
    fc.assert(
      fc.property(number, number, number, (a, b, c) => {
        const line = json(
          outcome({ durationMs: a, connectMs: b, ttfbMs: c, status: a, bytesOut: b, startedAt: c, tries: a }),
        );
        expect(JSON.parse(line)).toMatchObject({ end: 'ok' });
      }),
    );
  });

  it('tells times in milliseconds to the microsecond, long ones too', () => {
    const times = (ms: number) => (JSON.parse(json(outcome({ durationMs: ms }))) as { dur_ms: number }).dur_ms;
    fc.assert(fc.property(fc.double({ min: 0, max: 2e6, noNaN: true }), (ms) => Math.abs(times(ms) - ms) <= 0.0006));
    expect(times(0)).toBe(0);
    expect(times(0.9999)).toBe(1);
    expect(times(86_400_000)).toBe(86_400_000);
  });

  it('tells the time of each line, also when they come out of order', () => {
    const format = createAccessFormatter('json');
    const at = (ms: number) => (JSON.parse(format(outcome({ startedAt: ms }))) as { time: string }).time;
    for (const ms of [wall, wall + 400, wall - 5000, wall + 1]) expect(at(ms)).toBe(new Date(ms).toISOString());
  });
});

describe('a combined line', () => {
  it('is as nginx writes it', () => {
    const line = combined(outcome({}, { referer: 'http://a/', 'user-agent': 'curl/8' }));
    expect(line).toBe(
      '10.1.2.3 - - [02/Jan/2026:03:04:05 +0000] "GET /cart?id=7 HTTP/1.1" 200 400 "http://a/" "curl/8"\n',
    );
  });

  it('has a dash where there is nothing', () => {
    const line = combined(outcome({ method: '', target: '', protocol: '', client: '' }));
    expect(line).toBe('- - - [02/Jan/2026:03:04:05 +0000] "-" 200 400 "-" "-"\n');
  });

  it('can be taken apart again whatever a client sends', () => {
    const unescaped = (text: string) =>
      text.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    fc.assert(
      fc.property(latin1, latin1, latin1, (target, referer, agent) => {
        const line = combined(outcome({ target }, { referer, 'user-agent': agent }));
        expect(line).toMatch(/^[ -~]+\n$/);
        const parts = /^10\.1\.2\.3 - - \[[^\]]+\] "GET ([^"]*) HTTP\/1\.1" 200 400 "([^"]*)" "([^"]*)"\n$/.exec(line);
        expect(parts?.slice(1).map(unescaped)).toEqual([target, referer || '-', agent || '-']);
      }),
    );
  });

  it('writes text from beyond latin1 as the bytes of its UTF-8', () => {
    expect(combined(outcome({ target: '/é€😀' }))).toContain('/\\xE9\\xE2\\x82\\xAC\\xF0\\x9F\\x98\\x80 ');
  });
});
