import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { probe } from '../../../src/health/io/probe.ts';
import type { ProbeResult } from '../../../src/health/machine.ts';
import type { HealthPolicy, ProbeAddress, ProbeTls } from '../../../src/health/policy.ts';
import { healthPolicy } from '../world.ts';
import { cert, key } from './certificate.ts';
import { deadAddress, httpNode, listen, rawNode, socketPath } from './servers.ts';

const now = (): number => performance.now();
const run = (address: ProbeAddress, more: Partial<HealthPolicy> = {}): Promise<ProbeResult> =>
  probe({ address, policy: { ...healthPolicy, timeout: 5000, ...more } }, { now });
const short = { timeout: 100 };

describe('http probes', () => {
  it('succeed with an expected status, and tell it', async () => {
    const node = await httpNode((_request, response) => response.end('fine'));
    const result = await run(node);
    expect(result).toMatchObject({ ok: true, refused: false });
    expect(result.detail).toMatch(/^200 in \d+ ms$/);
  });

  it('ask for path and method, with the host field and a connection of their own', async () => {
    const seen: Pick<IncomingMessage, 'url' | 'method' | 'headers'>[] = [];
    let connections = 0;
    const server = http.createServer((request, response) => {
      seen.push({ url: request.url, method: request.method, headers: request.headers });
      response.end();
    });
    server.on('connection', () => {
      connections += 1;
    });
    const node = (await listen(server)) as ProbeAddress & { kind: 'tcp' };
    await run(node, { path: '/check?deep=1', method: 'HEAD', host: 'app.example.com' });
    await run(node);
    expect(seen[0]).toMatchObject({ url: '/check?deep=1', method: 'HEAD', headers: { host: 'app.example.com' } });
    expect(seen[1]).toMatchObject({ method: 'GET', headers: { host: `127.0.0.1:${node.port}`, connection: 'close' } });
    expect(connections).toBe(2);
  });

  it('go to the port of the policy if it has one', async () => {
    const node = await httpNode((_request, response) => response.end());
    const { port } = node as ProbeAddress & { kind: 'tcp' };
    expect((await run(await deadAddress(), { port })).ok).toBe(true);
  });

  it('fail with another status', async () => {
    const node = await httpNode((_request, response) => response.writeHead(503).end('no'));
    const result = await run(node);
    expect(result).toMatchObject({ ok: false, refused: false });
    expect(result.detail).toMatch(/^unexpected status 503 in \d+ ms$/);
    expect((await run(node, { status: [[500, 503]] })).ok).toBe(true);
  });

  it('take the last status, not an interim one', async () => {
    const node = await rawNode('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n');
    expect(await run(node)).toMatchObject({ ok: true, detail: expect.stringMatching(/^204/) });
  });

  it('reach a node at a unix socket', async () => {
    const node = await httpNode((request, response) => response.end(request.headers.host), { path: socketPath() });
    expect((await run(node, { body: 'localhost' })).ok).toBe(true);
  });
});

describe('what failover needs of a probe', () => {
  it('it carries the epoch, where there is one', async () => {
    const seen: unknown[] = [];
    const node = await httpNode((request, response) => {
      seen.push(request.headers['x-ha-epoch']);
      response.end();
    });
    const policy = { ...healthPolicy, timeout: 5000 };
    for (const epoch of [0, 7]) await probe({ address: node, policy, epoch }, { now });
    expect(seen).toEqual([undefined, '7']);
  });

  it('it reads what the node says in fields', async () => {
    const node = await httpNode((_request, response) => {
      response.writeHead(200, { 'X-HA-Position': '4711', 'X-HA-Epoch': '7', 'X-HA-Role': 'primary' }).end('ok');
    });
    expect((await run(node)).answer).toMatchObject({ position: 4711, epoch: 7, role: 'primary', says: 'up' });
  });
});

describe('body match', () => {
  const big = (text: string, at: number): string => `${'x'.repeat(at)}${text}${'x'.repeat(300_000)}`;

  it('finds the text, also over borders of chunks and beyond ASCII', async () => {
    const node = await httpNode((_request, response) => {
      const bytes = Buffer.from('alles läuft gut');
      response.write(bytes.subarray(0, 8));
      setImmediate(() => response.end(bytes.subarray(8)));
    });
    expect((await run(node, { body: 'läuft' })).ok).toBe(true);
    const missing = await run(node, { body: 'READY' });
    expect(missing.detail).toMatch(/^200 in \d+ ms, but the body does not contain "READY"$/);
  });

  it('looks at the first 64 KiB and does not wait for more', async () => {
    const node = await httpNode((request, response) => {
      response.write(big('READY', request.url === '/early' ? 60_000 : 70_000)); // and never ends
    });
    expect((await run(node, { body: 'READY', path: '/early' })).ok).toBe(true);
    expect((await run(node, { body: 'READY', path: '/late' })).ok).toBe(false);
  });
});

describe('health answers', () => {
  it('in JSON come with the result', async () => {
    const node = await httpNode((_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end('{"status":"degraded","weight":50}');
    });
    expect(await run(node)).toMatchObject({ ok: true, answer: { says: 'degraded', share: 0.5 } });
  });

  it('that say down are failed checks', async () => {
    const node = await httpNode((_request, response) => response.end('down\n'));
    const result = await run(node);
    expect(result.ok).toBe(false);
    expect(result.detail).toMatch(/says that it is down$/);
  });
});

describe('what goes wrong is the result, never an exception', () => {
  it('nobody listens', async () => {
    const node = await deadAddress();
    const refused = { ok: false, refused: true, detail: `connect ECONNREFUSED 127.0.0.1:${node.port}` };
    expect(await run(node)).toMatchObject(refused);
    expect(await run(node, { kind: 'tcp' })).toMatchObject(refused);
    expect(await run({ ...node, host: 'localhost' })).toMatchObject({ ok: false, refused: true });
  });

  it('no such unix socket', async () => {
    const path = socketPath();
    expect(await run({ kind: 'unix', path })).toMatchObject({ refused: true, detail: `connect ENOENT ${path}` });
    expect(await run({ kind: 'unix', path }, { kind: 'tcp' })).toMatchObject({ refused: true });
  });

  it('a name that does not resolve', async () => {
    const result = await run({ kind: 'tcp', host: 'no-such-node.invalid', port: 80 });
    expect(result).toMatchObject({ ok: false, refused: false });
    expect(result.detail).toMatch(/no-such-node\.invalid|timed out/);
  });

  it('a node that accepts and never answers', async () => {
    const result = await run(await rawNode(null), short);
    expect(result).toMatchObject({ ok: false, refused: false, detail: 'timed out after 100 ms' });
  });

  it.each([
    ['a head that never ends', 'HTTP/1.1 200 OK\r\nA: b\r\n'],
    ['a body that never ends', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'],
  ])('the time-out covers %s', async (_name, bytes) => {
    expect((await run(await rawNode(bytes, false), short)).detail).toBe('timed out after 100 ms');
  });

  it.each([
    ['garbage', '\x00\x01\x02 no HTTP at all\r\n\r\n'],
    ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['an answer cut off', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'],
    ['a closed connection', ''],
    ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc'],
    ['a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ['an endless head', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(100_000)}`],
    [
      'an upgrade that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    ],
  ])('%s', async (_name, bytes) => {
    const result = await run(await rawNode(bytes));
    expect(result).toMatchObject({ ok: false, refused: false });
    expect(result.detail).toMatch(/^[\x20-\x7e]{5,200}$/);
    expect(result.detail).not.toMatch(/timed out/);
  });

  it('a reset', async () => {
    const node = await listen(net.createServer((socket) => socket.on('data', () => socket.resetAndDestroy())));
    expect(await run(node)).toMatchObject({ ok: false, refused: false });
  });

  it('a path that can not be sent', async () => {
    const node = await httpNode((_request, response) => response.end());
    expect((await run(node, { path: '/a b\r\n' })).ok).toBe(false);
  });

  it('but a time-out that ran while this process stood still is not held against the node', async () => {
    const node = await httpNode((_request, response) => response.end());
    const running = run(node, { timeout: 300 });
    const until = now() + 500;
    while (now() < until);
    expect(await running).toMatchObject({ ok: true });
  });

  it('the caller gives up', async () => {
    const stop = new AbortController();
    const address = await rawNode(null);
    const running = probe({ address, policy: healthPolicy }, { now, signal: stop.signal });
    stop.abort();
    expect(await running).toMatchObject({ ok: false, detail: 'given up' });
  });
});

describe('tcp probes', () => {
  it('succeed when the connection is open', async () => {
    const result = await run(await rawNode(null), { kind: 'tcp' });
    expect(result.ok).toBe(true);
    expect(result.detail).toMatch(/^connected in \d+ ms$/);
  });
});

describe('https probes', () => {
  it('verify the certificate: one that nobody signed fails, a trusted one passes for its own name only', async () => {
    const node = await listen(https.createServer({ cert, key }, (_request, response) => response.end('secret')));
    const policy = { kind: 'https', host: 'app.test' } as const;
    expect(await run(node, policy)).toMatchObject({ ok: false, detail: expect.stringMatching(/self-signed/) });

    const before = tls.getCACertificates('default');
    onTestFinished(() => tls.setDefaultCACertificates(before));
    tls.setDefaultCACertificates([...before, cert]);
    expect(await run(node, policy)).toMatchObject({ ok: true });
    expect(await run(node, { ...policy, host: 'other.test:443' })).toMatchObject({
      ok: false,
      detail: expect.stringMatching(/other\.test/),
    });
    expect((await run(node, { kind: 'https' })).ok).toBe(false);
  });

  it('an https node is asked by what its pool says of TLS, also where the kind is http', async () => {
    const node = await listen(https.createServer({ cert, key }, (_request, response) => response.end('secret')));
    const known = { ca: cert, cert: null, key: null, verify: true, servername: 'app.test' };
    const asked = (change: Partial<ProbeTls>): Promise<ProbeResult> =>
      run({ ...(node as ProbeAddress & { kind: 'tcp' }), secure: { ...known, ...change } }, { body: 'secret' });
    expect(await asked({})).toMatchObject({ ok: true });
    expect(await asked({ servername: 'other.test' })).toMatchObject({
      ok: false,
      detail: expect.stringMatching(/other\.test/),
    });
    expect(await asked({ servername: null })).toMatchObject({ ok: false });
    expect(await asked({ ca: null })).toMatchObject({ ok: false, detail: expect.stringMatching(/self-signed/) });
    expect(await asked({ ca: null, servername: null, verify: false })).toMatchObject({ ok: true });
  });

  it('one that asks for a certificate gets ours', async () => {
    const server = https.createServer({ cert, key, ca: cert, requestCert: true }, (_request, response) =>
      response.end(),
    );
    const node = (await listen(server)) as ProbeAddress & { kind: 'tcp' };
    const secure = { ca: cert, cert: null, key: null, verify: true, servername: 'app.test' };
    expect((await run({ ...node, secure })).ok).toBe(false);
    expect(await run({ ...node, secure: { ...secure, cert, key } })).toMatchObject({ ok: true });
  });

  it('a plain listener is no https node', async () => {
    const node = await httpNode((_request, response) => response.end());
    expect(await run(node, { kind: 'https' })).toMatchObject({ ok: false, refused: false });
  });
});
