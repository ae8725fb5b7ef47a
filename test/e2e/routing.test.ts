/** Routes on real requests: who goes where, what is changed on the way, and who the node is told the client is. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { field, type Message, statusOf } from '../helpers/http-bytes.ts';
import { type AppNode, startAppNode, startAppNodes } from '../helpers/nodes.ts';
import { ask, get } from '../helpers/raw-client.ts';
import { type RawNode, startRawNode } from '../helpers/raw-node.ts';
import { fileScope, testScope } from '../helpers/scope.ts';

const scope = fileScope();
let nodes: AppNode[];
let raw: RawNode;
let ek: Evenkeel;

beforeAll(async () => {
  nodes = await startAppNodes(scope, 'a', 'b');
  const socket = await startAppNode(scope, 'u', `${await scope.folder()}/app.sock`);
  raw = await startRawNode(scope);
  ek = await startEvenkeel(scope, {
    pools: {
      a: { nodes: [nodes[0]!.url] },
      b: { nodes: [nodes[1]!.url] },
      unix: { nodes: [{ id: 'u', url: socket.url }] },
      raw: { nodes: [raw.url], health: 'off' },
    },
    routes: [
      { host: 'unix.test', pool: 'unix' },
      { path: '/old', redirect: { to: 'https://{host}{path}', status: 308 } },
      { exact: '/only', pool: 'b' },
      { path: '/v1', pool: 'b', stripPrefix: true },
      { path: '/v2', pool: 'raw', replacePrefix: '/api/two' },
      { path: '/strip', pool: 'raw', stripPrefix: true },
      { host: '*.wild.test', pool: 'b' },
      { host: 'host.test', pool: 'b' },
      { path: '/m', method: ['DELETE', 'PURGE'], pool: 'b' },
      { path: '/h', headers: { 'X-Canary': 'yes' }, pool: 'b' },
      {
        path: '/edit',
        pool: 'raw',
        request: { set: { 'X-Set': 'new', 'X-Team': 'core' }, remove: ['X-Gone', 'Cookie'] },
        response: { set: { 'X-Frame-Options': 'DENY', Server: 'ek' }, remove: ['X-Powered-By'] },
      },
      { path: '/raw', pool: 'raw' },
      { path: '/a', pool: 'a' },
    ],
  });
  await ek.fit(1, 'a');
  await ek.fit(1, 'b');
  await ek.fit(1, 'unix');
});

const answeredBy = async (request: string): Promise<string> => {
  const answer = await ask(ek.port, request);
  return field(answer, 'x-node') ?? String(statusOf(answer));
};
const to = (host: string, target = '/a'): string => get(target).replace('ek.test', host);

/** What the raw node got for a request. */
async function seen(request: string): Promise<Message> {
  const before = raw.requests().length;
  await ask(ek.port, request);
  return raw.requests()[before]!;
}

describe('matching', () => {
  it.each([
    ['/a', 'a'],
    ['/a/x?y', 'a'],
    ['/ab', '404'],
    ['/only', 'b'],
    ['/only/x', '404'],
    ['/only?x', 'b'],
    ['/nothing', '404'],
    ['/a/../only', 'b'],
    ['/nothing/%2e%2e/a', 'a'],
  ])('%s goes to %s', async (target, node) => {
    expect(await answeredBy(get(target))).toBe(node);
  });

  it.each([
    ['host.test', 'b'],
    ['HOST.Test', 'b'],
    ['host.test:8080', 'b'],
    ['x.wild.test', 'b'],
    ['x.y.wild.test', 'b'],
    ['wild.test', 'a'],
    ['xwild.test', 'a'],
    ['host.test.evil.test', 'a'],
    ['unix.test', 'u'],
  ])('host %s goes to %s', async (host, node) => {
    expect(await answeredBy(to(host))).toBe(node);
  });

  it('by method and by field', async () => {
    expect(await answeredBy(get('/m').replace('GET', 'DELETE'))).toBe('b');
    expect(await answeredBy(get('/m'))).toBe('404');
    expect(await answeredBy(get('/h', 'x-canary: yes'))).toBe('b');
    expect(await answeredBy(get('/h', 'X-Canary: no'))).toBe('404');
  });

  it('a node on a unix socket', async () => {
    const answer = await ask(ek.port, to('unix.test', '/fields'));
    expect(JSON.parse(answer.body)).toMatchObject({ node: 'u', url: '/fields' });
  });
});

describe('paths', () => {
  it.each([
    ['/v2/x?y=z', '/api/two/x?y=z'],
    ['/v2', '/api/two'],
    ['/v2/', '/api/two/'],
    ['/v2?q', '/api/two?q'],
    ['/strip/x', '/x'],
    ['/strip', '/'],
    ['/strip/', '/'],
    ['/strip?q', '/?q'],
    ['/strip/%2Fx', '/%2Fx'],
  ])('%s becomes %s', async (target, forwarded) => {
    expect((await seen(get(target))).start).toBe(`GET ${forwarded} HTTP/1.1`);
  });

  it.each(['/strip//evil.test/x', '/strip/..//x', '/strip/../../x'])('%s leaves no way up or out', async (target) => {
    const request = await seen(get(target));
    expect(request?.start ?? 'not forwarded').not.toMatch(/\.\./);
  });
});

describe('redirects', () => {
  it('carry host, path and query', async () => {
    const answer = await ask(ek.port, get('/old/x?y=z'));
    expect(statusOf(answer)).toBe(308);
    expect(field(answer, 'location')).toBe('https://ek.test/old/x?y=z');
  });

  it.each([
    ['/old/%0d%0aX-Evil:%20y', '/old/%0d%0aX-Evil:%20y'],
    ['/old/"><x>', '/old/%22%3E%3Cx%3E'],
  ])('%s puts nothing into head or page', async (target, shown) => {
    const answer = await ask(ek.port, get(target, 'Accept: text/html'));
    expect(answer.fields.has('x-evil')).toBe(false);
    expect(field(answer, 'location')).toBe(`https://ek.test${shown}`);
    expect(answer.body).not.toContain('<x>');
  });
});

describe('fields', () => {
  it('are set and removed on the way there', async () => {
    const request = await seen(get('/edit', 'X-Set: old', 'x-set: older', 'X-Gone: 1', 'Cookie: a=b', 'X-Stay: 1'));
    expect(request.fields.get('x-set')).toEqual(['new']);
    expect(request.fields.get('x-team')).toEqual(['core']);
    expect(request.fields.has('x-gone')).toBe(false);
    expect(request.fields.has('cookie')).toBe(false);
    expect(request.fields.get('x-stay')).toEqual(['1']);
  });

  it('are set and removed on the way back', async () => {
    raw.respond = (_request, connection) =>
      connection.write('HTTP/1.1 200 OK\r\nServer: app\r\nX-Powered-By: x\r\nX-Stay: 1\r\nContent-Length: 2\r\n\r\nok');
    const answer = await ask(ek.port, get('/edit'));
    expect(answer.fields.get('server')).toEqual(['ek']);
    expect(answer.fields.get('x-frame-options')).toEqual(['DENY']);
    expect(answer.fields.has('x-powered-by')).toBe(false);
    expect(answer.fields.get('x-stay')).toEqual(['1']);
  });
});

describe('who the client is', () => {
  const spoofed = [
    'X-Forwarded-For: 9.9.9.9',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: h.test',
    'X-Request-Id: theirs',
  ];

  it('an untrusted peer is believed nothing', async () => {
    const request = await seen(get('/raw', ...spoofed));
    expect(request.fields.get('x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(request.fields.get('x-forwarded-proto')).toEqual(['http']);
    expect(request.fields.get('x-forwarded-host')).toEqual(['ek.test']);
    expect(request.fields.get('x-forwarded-port')).toEqual([String(ek.port)]);
    expect(request.fields.get('x-real-ip')).toEqual(['127.0.0.1']);
    expect(field(request, 'x-request-id')).not.toBe('theirs');
  });

  it('a trusted proxy’s chain is kept and lengthened, its request id too', async () => {
    const own = testScope();
    const node = await startRawNode(own);
    const trusting = await startEvenkeel(own, {
      trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'],
      pools: { app: { nodes: [node.url], health: 'off' } },
    });
    const answer = await ask(
      trusting.port,
      get(
        '/',
        'X-Forwarded-For: 6.6.6.6, 9.9.9.9, 10.1.2.3',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: h.test',
        'X-Request-Id: theirs-1',
      ),
    );
    const [request] = node.requests();
    expect(request!.fields.get('x-forwarded-for')).toEqual(['6.6.6.6, 9.9.9.9, 10.1.2.3, 127.0.0.1']);
    expect(request!.fields.get('x-real-ip')).toEqual(['9.9.9.9']);
    expect(request!.fields.get('x-forwarded-proto')).toEqual(['https']);
    expect(request!.fields.get('x-forwarded-host')).toEqual(['h.test']);
    expect(field(request!, 'x-request-id')).toBe('theirs-1');
    expect(field(answer, 'x-request-id')).toBe('theirs-1');
    const odd = await ask(trusting.port, get('/', 'X-Request-Id: not an id; really'));
    expect(field(odd, 'x-request-id')).toMatch(/^[\w.-]{1,128}$/);
  });

  it('every request has an id of its own, the same on both sides', async () => {
    raw.respond = (_request, connection) => connection.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    const ids = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const before = raw.requests().length;
      const answer = await ask(ek.port, get('/raw'));
      const id = field(answer, 'x-request-id')!;
      expect(field(raw.requests()[before]!, 'x-request-id')).toBe(id);
      ids.add(id);
    }
    expect(ids.size).toBe(20);
  });

  it('Forwarded, Via and Server-Timing on request; a loop is answered 508', async () => {
    const own = testScope();
    const node = await startRawNode(own);
    const talking = await startEvenkeel(own, {
      fields: { forwarded: true, via: 'm1', serverTiming: true },
      pools: { app: { nodes: [node.url], health: 'off' } },
    });
    const answer = await ask(talking.port, get('/'));
    const [request] = node.requests();
    expect(field(request!, 'forwarded')).toMatch(/for="?127\.0\.0\.1/);
    expect(field(request!, 'via')).toBe('1.1 ek-m1');
    expect(answer.fields.has('server-timing')).toBe(true);
    expect(statusOf(await ask(talking.port, get('/', 'Via: 1.1 ek-m1')))).toBe(508);
    expect(statusOf(await ask(talking.port, get('/', 'Via: 1.1 other')))).toBe(200);
    expect(node.requests().length).toBe(2);
  });
});
