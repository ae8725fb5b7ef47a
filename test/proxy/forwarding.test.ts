/** What a node gets: written anew, ours added last, and nothing a client says can take it away or break it in two. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FieldsConfig } from '../../src/config/model.ts';
import {
  believedField,
  clientAddress,
  isLoop,
  keptRequestId,
  type Peer,
  requestText,
} from '../../src/proxy/forwarding.ts';
import { chunked, RequestHead } from '../../src/proxy/http1/request-head.ts';
import { readMessages } from '../helpers/http-bytes.ts';
import { fileScope } from '../helpers/scope.ts';
import { settings } from '../routing/fixtures.ts';
import { accepted, judge, lines, peer, routeView } from './fixtures.ts';

interface Setup {
  readonly peer?: Partial<Peer>;
  readonly fields?: Partial<FieldsConfig>;
  readonly route?: ReturnType<typeof routeView>;
  readonly epoch?: number;
}

function forward(head: RequestHead, setup: Setup = {}): string {
  return requestText(head, peer(setup.peer), setup.route ?? routeView(), {
    target: head.target,
    requestId: 'id-1',
    authority: 'node:3000',
    fields: { ...settings.fields, ...setup.fields },
    epoch: setup.epoch ?? 0,
  });
}

const get = (...fields: readonly string[]): RequestHead => accepted(lines('GET /a HTTP/1.1', ...fields));
const trusted = { trusted: true, address: '10.0.0.9' };

/** Values of a field as they went out, by its name in any case. */
const sent = (text: string, name: string): readonly string[] =>
  readMessages(text, 'request').messages[0]?.fields.get(name.toLowerCase()) ?? [];

describe('a request from a client that is not trusted', () => {
  it('goes out as its own lines and ours behind them', () => {
    expect(forward(get('A: b', 'Connection: keep-alive'))).toBe(
      [
        'GET /a HTTP/1.1',
        'Host: ek.test',
        'A: b',
        'X-Forwarded-For: 192.0.2.7',
        'X-Real-IP: 192.0.2.7',
        'X-Forwarded-Proto: http',
        'X-Forwarded-Host: ek.test',
        'X-Forwarded-Port: 8080',
        'X-Request-Id: id-1',
        '',
        '',
      ].join('\r\n'),
    );
  });

  const claims = [
    'X-Forwarded-For: 1.1.1.1',
    'X-Real-IP: 1.1.1.1',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: evil',
    'X-Forwarded-Port: 443',
    'X-Request-Id: evil',
  ];
  it.each(claims)('has its %s replaced (H3)', (line) => {
    const text = forward(get(line));
    expect(sent(text, line.slice(0, line.indexOf(':')))).toHaveLength(1);
    expect(text).not.toMatch(/1\.1\.1\.1|evil|: https|: 443/);
  });

  it.each(['X-Forwarded-Prefix: /x', 'X-Forwarded-Server: a', 'X-HA-Epoch: 7', 'Forwarded: for=1.1.1.1'])(
    'loses its %s',
    (line) => {
      expect(sent(forward(get(line)), line.slice(0, line.indexOf(':')))).toEqual([]);
    },
  );

  it.each([
    'X-Forwarded-For',
    'X-Real-IP',
    'X-Forwarded-Proto',
    'X-Request-Id',
    'Host',
    'Content-Length',
    'Via',
    'Forwarded',
  ])("can't make us drop %s by its Connection field (H2)", (name) => {
    const head = accepted(lines('POST /a HTTP/1.1', `Connection: ${name}, close`, 'Content-Length: 3', 'Via: 1.0 x'));
    const text = forward(head, { fields: { via: 'm', forwarded: true } });
    expect(sent(text, name)).toHaveLength(1);
  });
});

describe('a request from a trusted proxy', () => {
  it('has X-Forwarded-For appended to, and the rest kept', () => {
    const head = get(
      'X-Forwarded-For: 198.51.100.1',
      'X-Forwarded-For: 10.0.0.8',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: www',
      'X-Forwarded-Port: 443',
      'X-Forwarded-Prefix: /p',
    );
    const text = forward(head, { peer: trusted });
    expect(sent(text, 'X-Forwarded-For')).toEqual(['198.51.100.1, 10.0.0.8, 10.0.0.9']);
    expect(sent(text, 'X-Real-IP')).toEqual(['198.51.100.1']);
    expect(sent(text, 'X-Forwarded-Proto')).toEqual(['https']);
    expect(sent(text, 'X-Forwarded-Host')).toEqual(['www']);
    expect(sent(text, 'X-Forwarded-Port')).toEqual(['443']);
    expect(sent(text, 'X-Forwarded-Prefix')).toEqual(['/p']);
  });

  it('that says nothing is the client itself', () => {
    const text = forward(get(), { peer: trusted });
    expect(sent(text, 'X-Forwarded-For')).toEqual(['10.0.0.9']);
    expect(sent(text, 'X-Forwarded-Proto')).toEqual(['http']);
    expect(sent(text, 'X-Forwarded-Host')).toEqual(['ek.test']);
  });
});

describe('the client address is the rightmost one that is not trusted', () => {
  it.each([
    ['198.51.100.1', '198.51.100.1'],
    ['6.6.6.6, 198.51.100.1', '198.51.100.1'],
    ['6.6.6.6, 198.51.100.1, 10.0.0.1,10.0.0.2', '198.51.100.1'],
    ['10.0.0.1, 10.0.0.2', '10.0.0.1'],
    ['2001:db8::1', '2001:db8::1'],
    ['', '10.0.0.9'],
    ['unknown', '10.0.0.9'],
    ['198.51.100.1, <script>', '10.0.0.9'],
    ['198.51.100.1,', '10.0.0.9'],
    ['198.51.100.1:80 x', '10.0.0.9'],
    ['6.6.6.6, 198.51.100.1:4711', '198.51.100.1'],
    ['198.51.100.1:4711, 10.0.0.2:80', '198.51.100.1'],
    ['[2001:db8::1]:4711, 10.0.0.2', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    [`${'1'.repeat(46)}`, '10.0.0.9'],
  ])('%j: %s', (chain, address) => {
    expect(clientAddress(get(`X-Forwarded-For: ${chain}`), peer(trusted))).toBe(address);
  });

  it('and of a peer that is not trusted only its own', () => {
    expect(clientAddress(get('X-Forwarded-For: 6.6.6.6'), peer())).toBe('192.0.2.7');
  });
});

describe('what a condition of a route asks for', () => {
  const lines = [
    'X-Forwarded-Proto: https',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: theirs',
    'X-Forwarded-Host: real',
    'X-Forwarded-Port: 1',
    'X-Forwarded-Port: 80',
    'X-Request-Id: a',
    'X-Request-Id: b',
    'X-Real-IP: 6.6.6.6',
    'X-Forwarded-For: 6.6.6.6',
    'X-Forwarded-For: 198.51.100.1',
    'Forwarded: for=6.6.6.6',
    'Forwarded: for=198.51.100.1',
  ];
  it.each([
    ['x-forwarded-proto', 'http'],
    ['x-forwarded-host', 'real'],
    ['x-forwarded-port', '80'],
    ['x-request-id', 'b'],
    ['x-real-ip', '198.51.100.1'],
    ['x-forwarded-for', '6.6.6.6, 198.51.100.1'],
    ['forwarded', 'for=6.6.6.6, for=198.51.100.1'],
  ])('%s of a proxy that adds a line to that of its client: what nodes are told, too', (name, value) => {
    expect(believedField(name, get(...lines), peer(trusted))).toBe(value);
    expect(believedField(name, get('A: b'), peer(trusted))).toBe(undefined);
    expect(believedField(name, get(...lines), peer())).toBe(undefined);
  });

  it('the first of other fields', () => {
    expect(believedField('x-beta', get('X-Beta: 1', 'X-Beta: 2'), peer())).toBe('1');
    expect(believedField('x-forwarded-prefix', get('X-Forwarded-Prefix: /a'), peer(trusted))).toBe('/a');
  });
});

describe('X-Request-Id', () => {
  it.each([
    ['kept from a trusted peer if it is plain', 'X-Request-Id: a-B_9.z', trusted, 'a-B_9.z'],
    ['not from others', 'X-Request-Id: a', {}, null],
    ['not if it is no plain word', 'X-Request-Id: a b', trusted, null],
    ['not with a quote', 'X-Request-Id: "a"', trusted, null],
    ['not over 128 characters', `X-Request-Id: ${'a'.repeat(129)}`, trusted, null],
    ['not if there is none', 'A: b', trusted, null],
    ['not if it is empty', 'X-Request-Id:', trusted, null],
  ])('is %s', (_, line, who, id) => {
    expect(keptRequestId(get(line), peer(who))).toBe(id);
  });
});

describe('Forwarded, on request (RFC 7239)', () => {
  const forwarded = (head: RequestHead, who: Partial<Peer> = {}): readonly string[] =>
    sent(forward(head, { peer: who, fields: { forwarded: true } }), 'Forwarded');

  it('tells who, how, and which host', () => {
    expect(forwarded(get())).toEqual(['for=192.0.2.7;proto=http;host="ek.test"']);
    expect(forwarded(get(), { address: '2001:db8::1', scheme: 'https' })).toEqual([
      'for="[2001:db8::1]";proto=https;host="ek.test"',
    ]);
    expect(forwarded(get(), { address: 'unix' })).toEqual(['for=unknown;proto=http;host="ek.test"']);
    expect(forwarded(accepted('GET / HTTP/1.0\r\n\r\n'))).toEqual(['for=192.0.2.7;proto=http']);
  });

  it('is appended to for a trusted peer, else replaced', () => {
    expect(forwarded(get('Forwarded: for=1.1.1.1'), trusted)).toEqual([
      'for=1.1.1.1, for=10.0.0.9;proto=http;host="ek.test"',
    ]);
    expect(forwarded(get('Forwarded: for=1.1.1.1'))).toEqual(['for=192.0.2.7;proto=http;host="ek.test"']);
  });
});

describe('Via', () => {
  const via = (head: RequestHead): readonly string[] => sent(forward(head, { fields: { via: 'm-1' } }), 'Via');

  it('is ours behind those that are there, as one field', () => {
    expect(via(get())).toEqual(['1.1 ek-m-1']);
    expect(via(accepted(lines('GET / HTTP/1.0')))).toEqual(['1.0 ek-m-1']);
    expect(via(get('Via: 1.0 a', 'A: b', 'via: 1.1 b (c)'))).toEqual(['1.0 a, 1.1 b (c), 1.1 ek-m-1']);
  });

  it('is left alone if off', () => {
    expect(sent(forward(get('Via: 1.0 a')), 'Via')).toEqual(['1.0 a']);
  });

  it.each([
    ['1.1 ek-m-1', true],
    ['1.0 a, 1.1 ek-m-1, 1.1 b', true],
    ['1.1 ek-m-11', false],
    ['1.1 xek-m-1', false],
    ['1.1 ek-other', false],
  ])('%s: a loop %s', (value, loop) => {
    expect(isLoop(get(`Via: ${value}`), 'm-1')).toBe(loop);
    expect(isLoop(get(`Via: ${value}`), null)).toBe(false);
  });
});

describe('Host', () => {
  it('is what an absolute target names, in front', () => {
    const head = accepted(lines('GET http://other:81/x HTTP/1.1', 'A: b', 'Host: ek.test'));
    const text = forward(head);
    expect(text).toMatch(/^GET \/x HTTP\/1\.1\r\nHost: other:81\r\nA: b\r\n/);
    expect(sent(text, 'Host')).toEqual(['other:81']);
    expect(sent(text, 'X-Forwarded-Host')).toEqual(['other:81']);
  });

  it("is the node's own where HTTP/1.0 gave none", () => {
    expect(sent(forward(accepted('GET / HTTP/1.0\r\n\r\n')), 'Host')).toEqual(['node:3000']);
  });

  it('is what the route sets, once', () => {
    const route = routeView({ set: [{ name: 'Host', value: 'inner' }] });
    expect(sent(forward(get(), { route }), 'Host')).toEqual(['inner']);
    expect(sent(forward(accepted(lines('GET http://other/ HTTP/1.1')), { route }), 'Host')).toEqual(['inner']);
  });
});

describe("a route's fields", () => {
  it("are set in place of the client's, in any case, and removed ones are gone", () => {
    const route = routeView({
      set: [
        { name: 'A', value: '1' },
        { name: 'A', value: '2' },
      ],
      remove: ['b'],
    });
    const text = forward(get('a: client', 'B: x', 'C: y'), { route });
    expect([sent(text, 'A'), sent(text, 'B'), sent(text, 'C')]).toEqual([['1', '2'], [], ['y']]);
  });

  it('come before what a trusted proxy says', () => {
    const head = get('X-Forwarded-Prefix: /theirs', 'X-Forwarded-Server: s', 'Client-Cert: :eA==:');
    const set = routeView({ set: [{ name: 'X-Forwarded-Prefix', value: '/ours' }] });
    const text = forward(head, { route: set, peer: trusted });
    expect([sent(text, 'X-Forwarded-Prefix'), sent(text, 'X-Forwarded-Server')]).toEqual([['/ours'], ['s']]);
    expect(sent(text, 'Client-Cert')).toEqual([':eA==:']);
    const remove = routeView({ remove: ['x-forwarded-server', 'client-cert'] });
    const less = forward(head, { route: remove, peer: trusted });
    expect([sent(less, 'X-Forwarded-Server'), sent(less, 'Client-Cert')]).toEqual([[], []]);
    expect(sent(less, 'X-Forwarded-Prefix')).toEqual(['/theirs']);
  });

  it("can take the client's certificate away, which is no field of a node that need not know it", () => {
    const clientCert = 'Client-Cert: :eA==:\r\n';
    expect(sent(forward(get(), { peer: { clientCert } }), 'Client-Cert')).toEqual([':eA==:']);
    const route = routeView({ remove: ['client-cert'] });
    expect(sent(forward(get(), { route, peer: { clientCert } }), 'Client-Cert')).toEqual([]);
  });
});

describe('framing', () => {
  const post = (...fields: readonly string[]): string => forward(accepted(lines('POST / HTTP/1.1', ...fields)));
  it('is written from what was understood', () => {
    expect(sent(post('content-length: \t7 '), 'Content-Length')).toEqual(['7']);
    expect(sent(post('transfer-encoding: CHUNKED'), 'Transfer-Encoding')).toEqual(['chunked']);
    expect(sent(post('Content-Length: 0'), 'Content-Length')).toEqual(['0']);
    expect(post()).not.toMatch(/content-length|transfer-encoding/i);
  });

  it('an upgrade that we take is written anew, another is gone', () => {
    const text = forward(get('Connection: x, upgrade', 'Upgrade: WEBSOCKET', 'Sec-WebSocket-Key: k'));
    expect([sent(text, 'Connection'), sent(text, 'Upgrade'), sent(text, 'Sec-WebSocket-Key')]).toEqual([
      ['Upgrade'],
      ['websocket'],
      ['k'],
    ]);
    expect(forward(get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAM'))).not.toMatch(
      /upgrade|http2|connection/i,
    );
  });

  it('Max-Forwards of OPTIONS goes on as one less', () => {
    expect(sent(forward(accepted(lines('OPTIONS /a HTTP/1.1', 'Max-Forwards: 3'))), 'Max-Forwards')).toEqual(['2']);
  });

  it('TE: trailers is written with its own Connection option', () => {
    const text = forward(accepted(lines('GET / HTTP/1.1', 'TE: trailers, gzip'), { trailers: true }));
    expect([sent(text, 'TE'), sent(text, 'Connection')]).toEqual([['trailers'], ['TE']]);
  });
});

// ---- the oracle: another reader must read the same request --------------------------------------------------------

interface Seen {
  readonly method: string | undefined;
  readonly target: string | undefined;
  readonly hosts: number;
  readonly body: string;
  readonly trailers: number;
}

const seen: Seen[] = [];
const server: Server = createServer({ maxHeaderSize: 65_536 }, (request: IncomingMessage, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => {
    body += chunk.toString('latin1');
  });
  request.on('end', () => {
    const hosts = request.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length;
    seen.push({ method: request.method, target: request.url, hosts, body, trailers: request.rawTrailers.length });
    response.end('ok');
  });
});
server.on('upgrade', (request, socket) => {
  seen.push({ method: request.method, target: request.url, hosts: 1, body: '', trailers: 0 });
  socket.end('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
});
fileScope().own({ stop: () => void server.close() });
const listening = new Promise<number>((resolve) =>
  server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
);

/** Sends the bytes; gives the status line of what comes. */
async function send(bytes: string): Promise<string> {
  const socket = connect(await listening, '127.0.0.1');
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes('\r\n\r\n')) {
        socket.destroy();
        resolve(text.slice(0, text.indexOf('\r\n')));
      }
    });
    socket.on('close', () => resolve(text));
    socket.write(bytes, 'latin1');
  });
}

describe("Node's own parser reads what we forward as the very same request", () => {
  const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'M-SEARCH');
  const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
  const target = fc.oneof(
    fc.array(visible, { maxLength: 12 }).map((chars) => `/${chars.join('')}`),
    fc.constantFrom('*', '/', 'http://h:1/x?y', 'http://h', '//x', '/%00'),
  );
  const value = fc
    .array(fc.constantFrom('a', ' ', '\t', ',', ';', ':', '"', '\x80', '\xff', 'chunked', '5'), { maxLength: 5 })
    .map((parts) => parts.join(''));
  const name = fc.constantFrom(
    'A',
    'Cookie',
    'Accept',
    'content_length',
    'Connection',
    'TE',
    'X-Forwarded-For',
    '0',
    'Via',
  );
  const framing = fc.constantFrom(
    '',
    'Content-Length: 5',
    'Content-Length: 0',
    'content-length:\t5 ',
    'Transfer-Encoding: chunked',
    'TRANSFER-ENCODING:CHUNKED',
    'Content-Length: +5',
    'Transfer-Encoding: chunked, chunked',
  );
  const request = fc
    .record({
      method,
      target,
      version: fc.constantFrom('1.0', '1.1'),
      fields: fc.array(fc.tuple(name, value), { maxLength: 5 }),
      framing,
    })
    .map((parts) =>
      lines(
        `${parts.method} ${parts.target} HTTP/${parts.version}`,
        ...parts.fields.map(([key, text]) => `${key}: ${text}`),
        ...(parts.framing === '' ? [] : [parts.framing]),
      ),
    );

  it('method, target, one Host, framing and body', async () => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(request, fc.boolean(), async (text, isTrusted) => {
        const head = judge(text, { underscore: 'allow' });
        if (!(head instanceof RequestHead)) return;
        count++;
        const out = forward(head, { peer: { trusted: isTrusted }, fields: { via: 'm', forwarded: true } });
        const body = head.bodyLength === chunked ? '5\r\nhello\r\n0\r\n\r\n' : 'hello'.slice(0, head.bodyLength);
        seen.length = 0;
        expect(await send(out + body)).toBe('HTTP/1.1 200 OK');
        const expected = head.bodyLength === 0 ? '' : 'hello';
        expect(seen).toEqual([{ method: head.method, target: head.target, hosts: 1, body: expected, trailers: 0 }]);
        expect(readMessages(out + body, 'request')).toMatchObject({ faults: [], rest: '' });
      }),
      { numRuns: 400 },
    );
    expect(count).toBeGreaterThan(50);
  });
});
