/** What a request's head may be: one rule a name, one case a row. What is refused here reaches no node. */
import { describe, expect, it } from 'vitest';
import { type HeadLimits, readRequestHead } from '../../../src/proxy/http1/request-head.ts';
import { patienceMs } from '../../helpers/poll.ts';
import { judge, limits, lines, said } from '../fixtures.ts';

type Case = readonly [name: string, head: string, verdict: string];

const get = (...fields: readonly string[]): string => lines('GET / HTTP/1.1', ...fields);
const post = (...fields: readonly string[]): string => lines('POST / HTTP/1.1', ...fields);
const target = (text: string, method = 'GET'): string => lines(`${method} ${text} HTTP/1.1`);
const big = '9'.repeat(30);

function refuses(rule: string, cases: readonly Case[]): void {
  describe(rule, () => {
    it.each(cases)('%s', (_, head, verdict) => {
      expect(said(judge(head))).toBe(verdict);
    });
  });
}

refuses('a line ends with CR LF, and a head holds no control byte', [
  ['bare LF after the request line', 'GET / HTTP/1.1\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['bare LF after a field', 'GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n', '400 bad-request-line'],
  ['bare CR in a value', get('A: b\rc'), '400 bad-request-line'],
  ['CR CR LF', 'GET / HTTP/1.1\r\nHost: h\r\r\n\r\n', '400 bad-request-line'],
  ['CR LF CR and another byte', 'GET / HTTP/1.1\r\nHost: h\r\n\rX\r\n\r\n', '400 bad-request-line'],
  ['NUL in a value', get('A: b\0c'), '400 bad-request-line'],
  ['NUL in a name', get('A\0: b'), '400 bad-request-line'],
  ['BEL in a value', get('A: \x07'), '400 bad-request-line'],
  ['VT and FF as white space', get('A:\x0b\x0cb'), '400 bad-request-line'],
  ['DEL in a value', get('A: \x7f'), '400 bad-request-line'],
  ['NUL in the target', target('/\0'), '400 bad-request-line'],
]);

refuses('a field line is name: value, without folds and blanks around the name', [
  ['a folded value', get('A: b', ' c'), '400 bad-field'],
  ['a fold with a tab', get('A: b', '\tc'), '400 bad-field'],
  ['a fold of Transfer-Encoding', post('Transfer-Encoding:', ' chunked'), '400 bad-field'],
  ['OPTIONS with Expect and a fold', lines('OPTIONS / HTTP/1.1', 'Expect: 100-', ' continue'), '400 bad-field'],
  ['a blank before the first field', 'GET / HTTP/1.1\r\n Host: h\r\n\r\n', '400 bad-field'],
  ['a space before the colon', get('A : b'), '400 bad-field'],
  ['a tab before the colon', get('A\t: b'), '400 bad-field'],
  ['a space before the colon of Content-Length', post('Content-Length : 5'), '400 bad-field'],
  ['an empty name', get(': b'), '400 bad-field'],
  ['a line without a colon', get('A'), '400 bad-field'],
  ['a name with a parenthesis', get('A(b): c'), '400 bad-field'],
  ['a name with a byte above 0x7f', get('\xc4: c'), '400 bad-field'],
  ['a name with quotes', get('"A": c'), '400 bad-field'],
]);

refuses('Content-Length is one plain number (F2, F3)', [
  ['plus sign', post('Content-Length: +5'), '400 bad-length'],
  ['minus sign', post('Content-Length: -1'), '400 bad-length'],
  ['hexadecimal', post('Content-Length: 0x5'), '400 bad-length'],
  ['underscore', post('Content-Length: 5_0'), '400 bad-length'],
  ['leading zeros', post('Content-Length: 005'), '400 bad-length'],
  ['a space inside', post('Content-Length: 5 5'), '400 bad-length'],
  ['empty', post('Content-Length:'), '400 bad-length'],
  ['only blanks', post('Content-Length: \t '), '400 bad-length'],
  ['2^53', post('Content-Length: 9007199254740992'), '400 bad-length'],
  ['2^64', post('Content-Length: 18446744073709551616'), '400 bad-length'],
  ['far beyond', post(`Content-Length: ${big}`), '400 bad-length'],
  ['a fraction', post('Content-Length: 5.0'), '400 bad-length'],
  ['an exponent', post('Content-Length: 5e0'), '400 bad-length'],
  ['digits that are none of ASCII', post('Content-Length: \xb2'), '400 bad-length'],
  ['a no-break space behind it', post('Content-Length: 5\xa0'), '400 bad-length'],
  ['a list of equal ones', post('Content-Length: 5, 5'), '400 bad-length'],
  ['a list of different ones', post('Content-Length: 5, 6'), '400 bad-length'],
  ['a list with an empty member', post('Content-Length: 0,'), '400 bad-length'],
  ['two equal fields', post('Content-Length: 5', 'Content-Length: 5'), '400 bad-length'],
  ['two different fields', post('Content-Length: 5', 'content-length: 6'), '400 bad-length'],
]);

refuses('one framing field (F1)', [
  ['length, then coding', post('Content-Length: 5', 'Transfer-Encoding: chunked'), '400 bad-length'],
  ['coding, then length', post('Transfer-Encoding: chunked', 'Content-Length: 5'), '400 bad-length'],
  ['in other cases', post('TRANSFER-ENCODING: Chunked', 'cOnTeNt-LeNgTh: 0'), '400 bad-length'],
  ['length and a coding that is none', post('Content-Length: 5', 'Transfer-Encoding: x'), '400 bad-length'],
]);

const coding = (value: string, ...more: readonly string[]): string => post(`Transfer-Encoding: ${value}`, ...more);
refuses('Transfer-Encoding is exactly chunked (F4, F5)', [
  ['another word', coding('xchunked'), '400 bad-transfer-encoding'],
  ['a word that begins so', coding('chunkedx'), '400 bad-transfer-encoding'],
  ['identity', coding('identity'), '400 bad-transfer-encoding'],
  ['identity and chunked', coding('chunked, identity'), '400 bad-transfer-encoding'],
  ['chunked twice', coding('chunked, chunked'), '400 bad-transfer-encoding'],
  ['in quotes', coding('"chunked"'), '400 bad-transfer-encoding'],
  ['with a parameter', coding('chunked;q=1'), '400 bad-transfer-encoding'],
  ['empty', coding(''), '400 bad-transfer-encoding'],
  ['a comma behind it', coding('chunked,'), '400 bad-transfer-encoding'],
  ['a comma before it', coding(', chunked'), '400 bad-transfer-encoding'],
  ['a no-break space', coding('\xa0chunked'), '400 bad-transfer-encoding'],
  ['a high byte', coding('chunked\xff'), '400 bad-transfer-encoding'],
  ['two fields', coding('chunked', 'Transfer-Encoding: chunked'), '400 bad-transfer-encoding'],
  ['two fields, the second another', coding('chunked', 'Transfer-Encoding: identity'), '400 bad-transfer-encoding'],
  ['chunked before another', coding('chunked, gzip'), '400 bad-transfer-encoding'],
  ['in HTTP/1.0', lines('POST / HTTP/1.0', 'Transfer-Encoding: chunked'), '400 bad-transfer-encoding'],
  ['a known coding before chunked', coding('gzip, chunked'), '501 coding'],
  ['an unknown coding before chunked', coding('x-y,chunked'), '501 coding'],
]);

const host = (value: string): string => lines('GET / HTTP/1.1', `Host: ${value}`);
refuses('Host is one host[:port] (L5)', [
  ['missing in HTTP/1.1', 'GET / HTTP/1.1\r\nA: b\r\n\r\n', '400 bad-host'],
  ['missing beside an absolute target', 'GET http://a/ HTTP/1.1\r\n\r\n', '400 bad-host'],
  ['twice', get('Host: a', 'Host: a'), '400 bad-host'],
  ['twice beside an absolute target', lines('GET http://a/ HTTP/1.1', 'Host: a', 'Host: b'), '400 bad-host'],
  ['twice in HTTP/1.0', lines('GET / HTTP/1.0', 'Host: a', 'Host: b'), '400 bad-host'],
  ['empty', host(''), '400 bad-host'],
  ['a list', host('a, b'), '400 bad-host'],
  ['userinfo', host('u@a'), '400 bad-host'],
  ['a path', host('a/b'), '400 bad-host'],
  ['a space', host('a b'), '400 bad-host'],
  ['two ports', host('a:1:2'), '400 bad-host'],
  ['a port beyond 65535', host('a:65536'), '400 bad-host'],
  ['a port that is no number', host('a:x'), '400 bad-host'],
  ['a port with a sign', host('a:+80'), '400 bad-host'],
  ['only a port', host(':80'), '400 bad-host'],
  ['an open bracket', host('[::1'), '400 bad-host'],
  ['a scheme', host('http://a'), '400 bad-host'],
  ['a query', host('a?b'), '400 bad-host'],
  ['a high byte', host('\xe4'), '400 bad-host'],
]);

refuses('the request line is METHOD SP target SP version (L1, L3)', [
  ['HTTP/0.9', 'GET /\r\n\r\n', '400 bad-request-line'],
  ['no target', 'GET HTTP/1.1\r\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['two spaces', 'GET  / HTTP/1.1\r\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['two spaces before the version', 'GET /  HTTP/1.1\r\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['a space behind the version', 'GET / HTTP/1.1 \r\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['a space in front', ' GET / HTTP/1.1\r\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['a tab as blank', 'GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['garbage', '\x80\x80\r\n\r\n', '400 bad-request-line'],
  ['nothing', '\r\n\r\n', '400 bad-request-line'],
  ['a lower-case protocol', 'GET / http/1.1\r\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['another protocol', 'GET / HTCP/1.1\r\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['a version without a dot', 'GET / HTTP/11\r\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['a version of two digits', 'GET / HTTP/1.10\r\nHost: h\r\n\r\n', '400 bad-request-line'],
  ['HTTP/1.2', lines('GET / HTTP/1.2'), '505 version'],
  ['HTTP/2.0', lines('GET / HTTP/2.0'), '505 version'],
  ['HTTP/0.9 with a version', lines('GET / HTTP/0.9'), '505 version'],
  ['HTTP/3.1', lines('GET / HTTP/3.1'), '505 version'],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\n', '400 version'],
]);

refuses('the method is a token of up to 32 bytes; CONNECT and TRACE are refused (H5)', [
  ['no token', lines('GE(T / HTTP/1.1'), '400 bad-request-line'],
  ['a quote', lines('G"T / HTTP/1.1'), '400 bad-request-line'],
  ['33 bytes', lines(`${'M'.repeat(33)} / HTTP/1.1`), '400 bad-request-line'],
  ['CONNECT', lines('CONNECT a:443 HTTP/1.1'), '405 method-refused'],
  ['TRACE', lines('TRACE / HTTP/1.1', 'Max-Forwards: 0'), '405 method-refused'],
]);

refuses('the target is a path, an http(s) address, or * for OPTIONS (L4)', [
  ['a fragment', target('/a#b'), '400 bad-target'],
  ['a byte above 0x7e', target('/\xe4'), '400 bad-target'],
  ['DEL', target('/\x7f'), '400 bad-request-line'],
  ['relative', target('a/b'), '400 bad-target'],
  ['* with GET', target('*'), '400 bad-target'],
  ['authority form with GET', target('a:80'), '400 bad-target'],
  ['a query alone', target('?a'), '400 bad-target'],
  ['another scheme', target('ftp://a/'), '400 bad-target'],
  ['a scheme that begins so', target('httpx://a/'), '400 bad-target'],
  ['userinfo', target('http://u:p@a/'), '400 bad-target'],
  ['no host', target('http:///a'), '400 bad-target'],
  ['a bad port', target('http://a:99999/'), '400 bad-target'],
  ['one slash', target('http:/a'), '400 bad-target'],
  ['a backslash as slash', target('http:\\\\a\\b'), '400 bad-target'],
  ['** with OPTIONS', target('**', 'OPTIONS'), '400 bad-target'],
]);

refuses('an expectation other than 100-continue is 417 (H6)', [
  ['another word', post('Content-Length: 1', 'Expect: 200-ok'), '417 expectation'],
  ['a list', post('Content-Length: 1', 'Expect: 100-continue, x'), '417 expectation'],
  ['two fields', post('Content-Length: 1', 'Expect: 100-continue', 'Expect: 100-continue'), '417 expectation'],
]);

const withLimits = (change: Partial<HeadLimits>): HeadLimits => ({ ...limits, ...change });
describe('bounds of the head are 431 and 414 (L7)', () => {
  const sized = (bytes: number): string => get(`A: ${'v'.repeat(bytes)}`);
  it.each<readonly [string, string, Partial<HeadLimits>, string]>([
    ['a field of exactly maxField', sized(95), { maxField: 100 }, 'GET /'],
    ['a field of one byte more', sized(96), { maxField: 100 }, '431 head-too-large'],
    ['exactly maxFields fields', get('A: 1', 'B: 2'), { maxFields: 3 }, 'GET /'],
    ['one field more', get('A: 1', 'B: 2', 'C: 3'), { maxFields: 3 }, '431 head-too-large'],
    ['a target of exactly maxTarget', target(`/${'a'.repeat(19)}`), { maxTarget: 20 }, `GET /${'a'.repeat(19)}`],
    ['a target of one byte more', target(`/${'a'.repeat(20)}`), { maxTarget: 20 }, '414 target-too-long'],
    [
      'a long target in a broken head',
      `GET /${'a'.repeat(20)} HTTP/1.1\r\nA\r\n\r\n`,
      { maxTarget: 20 },
      '414 target-too-long',
    ],
    ['a long absolute target', target(`http://a/${'a'.repeat(20)}`), { maxTarget: 20 }, '414 target-too-long'],
    ['a head over maxHead', sized(300), { maxHead: 200 }, '431 head-too-large'],
    [
      'a request line over maxHead',
      target(`/${'a'.repeat(300)}`),
      { maxHead: 200, maxTarget: 50 },
      '414 target-too-long',
    ],
    ['a name of 300 bytes', get(`${'n'.repeat(300)}: v`), {}, 'GET /'],
  ])('%s', (_, head, change, verdict) => {
    expect(said(judge(head, change))).toBe(verdict);
  });

  it.each([
    ['10 000 fields', get(...Array.from({ length: 10_000 }, (_, i) => `a${i}: b`))],
    ['a name of 100 KB', get(`${'n'.repeat(100_000)}: v`)],
    ['a value of 100 KB', get(`a: ${'v'.repeat(100_000)}`)],
    ['a value of 100 KB of blanks', get(`a:${' '.repeat(100_000)}x`)],
    ['100 KB of one name over and over', get(...Array.from({ length: 5000 }, () => 'x-forwarded-for: 1.2.3.4'))],
    ['a Connection field of 100 KB of commas', get(`Connection: ${','.repeat(100_000)}`)],
  ])('%s is refused, by its size if the bounds are as they are', (_, head) => {
    expect(said(judge(head))).toBe('431 head-too-large');
  });

  it.each([
    ['blanks within a name', `n${' '.repeat(1 << 20)}n: v`],
    ['blanks and no colon', `n${' '.repeat(1 << 20)}`],
    ['tabs before a colon', `n${'\t'.repeat(1 << 20)}: v`],
    ['a blank between any two', 'n '.repeat(1 << 19)],
    ['colons', `(${':'.repeat(1 << 20)}`],
  ])(
    'a bad line of 1 MiB is refused at once, not in the square of its length: %s',
    { timeout: patienceMs },
    (_, line) => {
      expect(said(judge(get('A: 1', line), { maxHead: 1e7 }))).toBe('400 bad-field');
    },
  );

  it('a target of 100 KB is refused as too long', () => {
    expect(said(judge(target(`/${'a'.repeat(100_000)}`)))).toBe('414 target-too-long');
  });

  it('a field is looked at once, however many there are: the work grows with the bytes, not with their square', () => {
    // Counted in look-ups of the text, which the reader does through charCodeAt and indexOf alone.
    const work = (fields: number): number => {
      const head = get(...Array.from({ length: fields }, (_, i) => `via: ${i}`));
      let calls = 0;
      const { indexOf } = String.prototype;
      String.prototype.indexOf = function (this: string, ...args: [string, number?]): number {
        calls++;
        return indexOf.apply(this, args);
      };
      try {
        readRequestHead(head, { start: 0, end: head.length }, withLimits({ maxHead: 1e7, maxFields: 1e6 }));
      } finally {
        String.prototype.indexOf = indexOf;
      }
      return calls;
    };
    expect(work(4000)).toBeLessThan(work(1000) * 4.5);
  });
});
