/** What is understood of a good head, and which of its lines are left to be forwarded. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunked, RequestHead, readRequestHead } from '../../../src/proxy/http1/request-head.ts';
import { accepted, judge, limits, lines, said } from '../fixtures.ts';

const get = (...fields: readonly string[]): RequestHead => accepted(lines('GET / HTTP/1.1', ...fields));
const post = (...fields: readonly string[]): RequestHead => accepted(lines('POST / HTTP/1.1', ...fields));
const old = (...fields: readonly string[]): RequestHead => accepted(lines('GET / HTTP/1.0', ...fields));

describe('a good head', () => {
  it('is read where it stands in the text, and nothing around it', () => {
    const head = lines('GET /a?b HTTP/1.1', 'A: b');
    const text = `xx${head}yy`;
    const read = readRequestHead(text, { start: 2, end: 2 + head.length }, limits);
    expect(read).toBeInstanceOf(RequestHead);
    expect(read).toMatchObject({ method: 'GET', rawTarget: '/a?b', target: '/a?b', minor: 1, authority: 'ek.test' });
  });

  it('keeps plain lines as they came: case, order, blanks, repeats, obs-text', () => {
    const plain = [
      'uSer-agENT:x',
      'A:',
      'b: \t c\td  ',
      'b: again',
      "!#$%&'*+-.^`|~09: t",
      'c: \x80\xff',
      'Cookie: a=b',
    ];
    expect(get(...plain).fields).toBe(`Host: ek.test\r\n${plain.join('\r\n')}\r\n`);
  });

  it.each(['GET', 'M-SEARCH', 'X'.repeat(32), 'get', "!#$%&'*+-.^_`|~"])('takes the method %s', (method) => {
    expect(accepted(lines(`${method} / HTTP/1.1`)).method).toBe(method);
  });

  it.each(['a', 'a:80', 'a:', 'a_b.c', 'A.B.', '10.0.0.1:8080', '[::1]', '[2001:db8::1]:443', 'a:65535', 'x~y'])(
    'takes the host %s',
    (host) => {
      expect(accepted(lines('GET / HTTP/1.1', `Host: ${host}`)).authority).toBe(host);
    },
  );

  it.each(['/', '/%2e%2e/%2F', '//a', '/;x/..', '/%00', '/"<>\\^`{|}', '/?', '/a?b?c&d=%', '/..', '/*'])(
    'takes the target %s and leaves it as it is',
    (target) => {
      expect(accepted(lines(`GET ${target} HTTP/1.1`))).toMatchObject({ rawTarget: target, target });
    },
  );

  it.each([
    ['http://b/c?d', 'b', '/c?d'],
    ['HTTP://b', 'b', '/'],
    ['https://b:8443/', 'b:8443', '/'],
    ['http://b?x', 'b', '/?x'],
    ['http://[::1]:80/x', '[::1]:80', '/x'],
    ['http://b/c://d', 'b', '/c://d'],
  ])('takes host and path from the absolute target %s, and drops the Host line', (target, authority, path) => {
    const head = accepted(lines(`GET ${target} HTTP/1.1`, 'Host: other', 'A: b'));
    expect(head).toMatchObject({ authority, target: path, rawTarget: target, hostKept: false, fields: 'A: b\r\n' });
  });

  it('* is for OPTIONS, also as an absolute target without a path', () => {
    expect(accepted(lines('OPTIONS * HTTP/1.1')).target).toBe('*');
    expect(accepted(lines('OPTIONS http://b HTTP/1.1'))).toMatchObject({ target: '*', authority: 'b' });
    expect(accepted(lines('OPTIONS http://b/ HTTP/1.1')).target).toBe('/');
  });

  it('HTTP/1.0 may do without Host', () => {
    expect(accepted('GET / HTTP/1.0\r\n\r\n')).toMatchObject({ authority: '', hostKept: false, minor: 0 });
  });

  it('header() gives the first value of any field, also of those that are not forwarded', () => {
    const head = get('A: 1', 'a: 2', 'Upgrade: h2c', 'Empty:', 'X-Forwarded-For: 9');
    expect(['a', 'upgrade', 'empty', 'x-forwarded-for', 'b'].map((name) => head.header(name))).toEqual([
      '1',
      'h2c',
      '',
      '9',
      undefined,
    ]);
  });
});

describe('framing', () => {
  it.each<readonly [string, readonly string[], number, boolean]>([
    ['none', [], 0, false],
    ['Content-Length: 0', ['Content-Length: 0'], 0, true],
    ['Content-Length', ['content-length:\t42 '], 42, true],
    ['2^53 - 1', ['Content-Length: 9007199254740991'], Number.MAX_SAFE_INTEGER, true],
    ['chunked', ['Transfer-Encoding: chunked'], chunked, true],
    ['chunked in another case', ['transfer-encoding:ChUnKeD\t'], chunked, true],
  ])('%s; its line is not among those to forward', (_, fields, bodyLength, framed) => {
    expect(post(...fields)).toMatchObject({ bodyLength, framed, fields: 'Host: ek.test\r\n' });
  });

  it('a body is read whatever the method is (F11)', () => {
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
      expect(accepted(lines(`${method} / HTTP/1.1`, 'Content-Length: 5')).bodyLength).toBe(5);
    }
  });
});

describe('what ends at a proxy is not forwarded (H1)', () => {
  it.each([
    'Connection: x',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Proxy-Authenticate: Basic',
    'Proxy-Authorization: Basic eA==',
    'TE: gzip',
    'Trailer: A',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABk',
    'X-Forwarded-For: 1',
    'X-Forwarded-Prefix: /x',
    'x-forwarded-anything: 1',
    'X-Real-IP: 1',
    'X-Request-Id: 1',
    'X-HA-Epoch: 1',
    'x-ha-x: 1',
    'Forwarded: for=1',
    'Content-Length: 0',
    'a_b: c',
  ])('%s', (line) => {
    expect(post(line).fields).toBe('Host: ek.test\r\n');
    expect(
      post('A: 1', line, 'B: 2', line.toUpperCase().split(':')[0] === 'CONTENT-LENGTH' ? 'C: 3' : line).fields,
    ).toMatch(/^Host: ek\.test\r\nA: 1\r\nB: 2\r\n(C: 3\r\n)?$/);
  });

  it.each([
    'x: 1',
    'xyz: 1',
    'X-Forwarded: 1',
    'X-Header: 1',
    'Viax: 1',
    'tex: 1',
    'Hosts: a',
    'Expects: a',
    'Via: 1.1 a',
  ])('but %s is, which only looks like it', (line) => {
    expect(get(line).fields).toBe(`Host: ek.test\r\n${line}\r\n`);
  });

  it('fields that Connection names, in any case and field', () => {
    expect(get('Connection: a, B', 'A: 1', 'b: 2', 'C: 3', 'connection: c,,', 'D: 4').fields).toBe(
      'Host: ek.test\r\nD: 4\r\n',
    );
  });

  it('but never framing, Host, or what we set ourselves (H2)', () => {
    const names = 'host, content-length, transfer-encoding, via, x-forwarded-for, x-request-id, forwarded, x-ha-epoch';
    const head = post(`Connection: ${names}`, 'Content-Length: 5', 'Via: 1.1 a', 'X-Forwarded-For: 10.1.1.1');
    expect(head).toMatchObject({ bodyLength: 5, framed: true, forwardedFor: '10.1.1.1', via: '1.1 a', hostKept: true });
    expect(head.fields).toBe('Host: ek.test\r\nVia: 1.1 a\r\n');
    expect(post('Connection: Transfer-Encoding', 'Transfer-Encoding: chunked').bodyLength).toBe(chunked);
  });

  it('remembers what proxies in front said, several fields as one list', () => {
    const head = get('X-Forwarded-For: 1', 'x-forwarded-for: 2', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: h');
    expect(head).toMatchObject({ forwardedFor: '1, 2', forwardedProto: 'https', forwardedHost: 'h' });
    expect(get('X-Forwarded-Prefix: /x').forwardedOther).toBe('X-Forwarded-Prefix: /x\r\n');
    expect(get('Forwarded: for=1', 'Forwarded: for=2').forwarded).toBe('for=1, for=2');
  });

  it('a name with an underscore is dropped, allowed or refused, as the config says', () => {
    const text = lines('GET / HTTP/1.1', 'A: _', 'api_key: 1', 'B: a_b', '_: 5');
    const host = 'Host: ek.test\r\n';
    expect(accepted(text).fields).toBe(`${host}A: _\r\nB: a_b\r\n`);
    expect(accepted(text, { underscore: 'allow' }).fields).toBe(`${host}A: _\r\napi_key: 1\r\nB: a_b\r\n_: 5\r\n`);
    expect(said(judge(text, { underscore: 'reject' }))).toBe('400 bad-field');
    expect(accepted(lines('GET / HTTP/1.1', 'A: _b', 'B: c_'), { underscore: 'reject' }).method).toBe('GET');
  });

  it.each([
    'x_forwarded_for',
    'X-Forwarded_Proto',
    'X_Forwarded_Prefix',
    'X_Real_IP',
    'Client_Cert',
    'X_Request_Id',
    'X_HA_Epoch',
    'Content_Length',
    'Transfer_Encoding',
  ])('%s never goes on: it would pass for one of ours', (name) => {
    const text = lines('GET / HTTP/1.1', 'A: 1', `${name}: 5`, 'B: 2');
    expect(accepted(text, { underscore: 'allow' }).fields).toBe('Host: ek.test\r\nA: 1\r\nB: 2\r\n');
  });

  it('names that mean something to JavaScript are names like others (L8)', () => {
    const odd = [
      '__proto__',
      'constructor',
      'hasOwnProperty',
      'toString',
      ...Array.from({ length: 60 }, (_, i) => `${i}`),
    ];
    const head = accepted(lines('GET / HTTP/1.1', ...odd.map((name) => `${name}: v`)), { underscore: 'allow' });
    expect(head.fields).toBe(`Host: ek.test\r\n${odd.map((name) => `${name}: v\r\n`).join('')}`);
    expect(odd.map((name) => head.header(name.toLowerCase()))).toEqual(odd.map(() => 'v'));
    expect(get('A: b').header('__proto__')).toBeUndefined();
    expect(get(`Connection: ${odd.join()}`, 'constructor: 1', '5: x').fields).toBe('Host: ek.test\r\n');
  });
});

describe('persistence', () => {
  it.each<readonly [string, RequestHead, boolean]>([
    ['HTTP/1.1', get(), true],
    ['HTTP/1.1 with close', get('Connection: close'), false],
    ['close among others', get('Connection: x, CLOSE'), false],
    ['close in a second field', get('Connection: keep-alive', 'Connection: close'), false],
    ['close wins over keep-alive', get('Connection: close, keep-alive'), false],
    ['HTTP/1.0', old(), false],
    ['HTTP/1.0 with keep-alive', old('Connection: Keep-Alive'), true],
    ['HTTP/1.0 with both', old('Connection: keep-alive, close'), false],
    ['HTTP/1.0 with Proxy-Connection', old('Proxy-Connection: keep-alive'), false],
  ])('%s', (_, head, keepAlive) => {
    expect(head.keepAlive).toBe(keepAlive);
  });
});

describe('expect, upgrade, trailers', () => {
  it('100-continue is forwarded where a body follows in HTTP/1.1, else dropped', () => {
    const asked = post('Content-Length: 1', 'Expect: 100-Continue');
    expect(asked.expectContinue).toBe(true);
    expect(asked.fields).toContain('Expect: 100-Continue\r\n');
    const cases = [
      post('Content-Length: 0', 'Expect: 100-continue'),
      get('Expect: 100-continue'),
      accepted(lines('POST / HTTP/1.0', 'Content-Length: 1', 'Expect: 100-continue')),
    ];
    for (const head of cases) {
      expect(head.expectContinue).toBe(false);
      expect(head.fields).not.toMatch(/expect/i);
    }
  });

  it('an expectation that we go by reaches the node, whatever Connection names: nobody else would send the 100', () => {
    const head = post('Content-Length: 1', 'Connection: expect', 'Expect: 100-continue');
    expect([head.expectContinue, head.fields]).toEqual([true, 'Host: ek.test\r\nExpect: 100-continue\r\n']);
  });

  const upgrade = ['Connection: Upgrade', 'Upgrade: WebSocket'];
  it.each<readonly [string, RequestHead, boolean]>([
    ['websocket by GET in HTTP/1.1 (H8)', get(...upgrade), true],
    ['among other options', get('Connection: keep-alive, upgrade', 'Upgrade: websocket'), true],
    ['not without Connection: upgrade', get('Upgrade: websocket'), false],
    ['not h2c', get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAM'), false],
    ['not several protocols', get('Connection: Upgrade', 'Upgrade: websocket, h2c'), false],
    ['not two fields', get(...upgrade, 'Upgrade: h2c'), false],
    ['not by POST', post(...upgrade), false],
    ['not with a body', get(...upgrade, 'Content-Length: 1'), false],
    ['not with a chunked body', get(...upgrade, 'Transfer-Encoding: chunked'), false],
    ['not in HTTP/1.0', old(...upgrade), false],
  ])('an upgrade is taken: %s', (_, head, taken) => {
    expect(head.upgrade).toBe(taken);
    expect(head.fields).toBe('Host: ek.test\r\n');
  });

  it('an Expect field that says nothing, or comes twice, is none that we can meet', () => {
    for (const fields of [['Expect:'], ['Expect:', 'Expect: 100-continue'], ['Expect: 100-continue', 'Expect: ']])
      expect(said(judge(lines('POST / HTTP/1.1', 'Content-Length: 1', ...fields)))).toBe('417 expectation');
  });

  it('Max-Forwards of OPTIONS is taken out and remembered, that of others is a field like any (H4)', () => {
    const options = (...fields: readonly string[]) => judge(lines('OPTIONS / HTTP/1.1', ...fields));
    expect(options('max-forwards: 7')).toMatchObject({ hopsLeft: 7, fields: 'Host: ek.test\r\n' });
    expect(options('Max-Forwards: 0', 'Connection: max-forwards')).toMatchObject({ hopsLeft: 0 });
    expect(options('A: b')).toMatchObject({ hopsLeft: null });
    expect(get('Max-Forwards: x')).toMatchObject({ hopsLeft: null, fields: 'Host: ek.test\r\nMax-Forwards: x\r\n' });
    for (const fields of [['Max-Forwards: x'], ['Max-Forwards:'], ['Max-Forwards: 1', 'Max-Forwards: 1']])
      expect(said(options(...fields))).toBe('400 bad-field');
  });

  it('TE: trailers is passed on only if the config says so, and nothing else of TE', () => {
    expect(get('TE: trailers').teTrailers).toBe(false);
    const read = (te: string): RequestHead =>
      accepted(lines('GET / HTTP/1.1', te, 'Connection: te'), { trailers: true });
    expect(read('TE: gzip;q=0.5, Trailers').teTrailers).toBe(true);
    expect(read('TE: gzip').teTrailers).toBe(false);
    expect(read('TE: trailers').fields).toBe('Host: ek.test\r\n');
  });
});

describe('any head', () => {
  const piece = fc.constantFrom(
    'a',
    '-',
    ':',
    ' ',
    ',',
    '\t',
    '_',
    '5',
    'chunked',
    'close',
    'host',
    '\x80',
    '"',
    ';',
    '=',
  );
  const word = fc.array(piece, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));
  const name = fc.constantFrom(
    'Host',
    'Connection',
    'TE',
    'Via',
    'Content-Length',
    'X-Real-IP',
    'Expect',
    'a',
    'x-ha-1',
  );
  const field = fc.oneof(
    fc.tuple(name, word).map(([key, value]) => `${key}: ${value}`),
    word,
  );

  it('is refused, or what is left to forward are whole lines of it, in their order, none of them ours or framing', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 8 }), (fields) => {
        const head = judge(lines('POST /x HTTP/1.1', ...fields));
        if (!(head instanceof RequestHead)) return;
        const sent = head.raw.split('\r\n').slice(0, -1);
        const kept = head.fields.split('\r\n').slice(0, -1);
        let at = -1;
        for (const line of kept) {
          at = sent.indexOf(line, at + 1);
          expect(at).not.toBe(-1);
          expect(line).not.toMatch(/^(?:connection|te|content-length|x-real-ip|x-ha-1|[^:]*_[^:]*):/i);
        }
        expect(kept.filter((line) => /^host:/i.test(line))).toHaveLength(1);
      }),
      { numRuns: 1000 },
    );
  });
});
