/** The whole process in this one: real data threads, real app nodes (node:http), config from a real file. */
import { writeFile } from 'node:fs/promises';
import { Agent, createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { App } from '../../src/app/app.ts';
import { compose, type StartFailure } from '../../src/app/compose.ts';
import { createLog } from '../../src/app/log.ts';
import { cert, key } from '../health/io/certificate.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { type Scope, testScope } from '../helpers/scope.ts';
import { makeCertificate, tlsClient } from '../helpers/tls.ts';
import { renewedCert, renewedKey } from './certificate.ts';

interface Node {
  readonly url: string;
  readonly port: number;
  /** Requests that are not answered before this is called. */
  release(): void;
}

/** An app node: answers its name, 200 to /health, and holds /hold until released. */
async function node(scope: Scope, name: string): Promise<Node> {
  const held = new Set<() => void>();
  const server: Server = createServer((incoming, outgoing) => {
    const answer = (): void => void outgoing.end(name);
    if (incoming.url === '/hold') held.add(answer);
    else answer();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = (): Promise<void> => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  scope.own({ stop });
  const release = (): void => {
    for (const answer of held) answer();
    held.clear();
  };
  return { url: `http://127.0.0.1:${port}`, port, release };
}

interface World {
  readonly app: App;
  readonly log: Record<string, unknown>[];
  write(settings: object): Promise<void>;
  port(): number;
  get(path?: string, agent?: Agent): Promise<string>;
}

async function start(scope: Scope, settings: object): Promise<World | StartFailure> {
  const file = join(await scope.folder(), 'config.yaml');
  const log: Record<string, unknown>[] = [];
  const defaults = { listen: '127.0.0.1:0', workers: 2, admin: '127.0.0.1:0', log: { access: 'off' } };
  const write = (next: object): Promise<void> => writeFile(file, stringify({ ...defaults, ...next }));
  await write(settings);
  const write1 = (line: string): void => void log.push(JSON.parse(line));
  const result = await compose({ file, env: {}, log: createLog('debug', { readable: false, write: write1 }) });
  if (!result.ok) return result.error;
  const app = result.value;
  scope.own({ stop: () => app.close() });
  const port = (): number => {
    const [first] = app.listeners();
    return first?.address.kind === 'tcp' ? first.address.port : 0;
  };
  const get = (path = '/', agent?: Agent): Promise<string> => fetchText({ port: port(), path, agent });
  return { app, log, write, port, get };
}

async function started(scope: Scope, settings: object): Promise<World> {
  const result = await start(scope, settings);
  if ('kind' in result) throw new Error(JSON.stringify(result));
  return result;
}

function fetchText(to: { host?: string; port: number; path: string; agent?: Agent | undefined }): Promise<string> {
  const { host = '127.0.0.1', port, path, agent = new Agent({ keepAlive: false }) } = to;
  return new Promise((resolve, reject) => {
    const outgoing = request({ host, port, path, agent }, (incoming: IncomingMessage) => {
      let text = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (more) => {
        text += more;
      });
      incoming.on('end', () => resolve(incoming.statusCode === 200 ? text : `${incoming.statusCode}: ${text}`));
      incoming.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** A TLS connection, not verified: whose certificate it got, and what it answers. */
function secure(scope: Scope, port: number): Promise<{ name(): string; get(): Promise<string> }> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  scope.own({ stop: () => void socket.destroy() });
  const get = (): Promise<string> => {
    socket.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n');
    return new Promise((resolve) => socket.once('data', (bytes) => resolve(String(bytes))));
  };
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('secureConnect', () => resolve({ name: () => String(socket.getPeerCertificate().subject.CN), get }));
  });
}

const poolOf = (...nodes: readonly (Node | object)[]): object => ({
  pools: { app: { nodes: nodes.map((one) => ('release' in one ? one.url : one)), health: { path: '/health' } } },
});

const admin = async (app: App, path: string, init: RequestInit = {}): Promise<Response> => {
  const address = app.adminAddress;
  const port = address?.kind === 'tcp' ? address.port : 0;
  return fetch(`http://127.0.0.1:${port}${path}`, init);
};

describe('a running evenkeel', () => {
  it('answers from its nodes, and is ready', async () => {
    const scope = testScope();
    const [a, b] = [await node(scope, 'a'), await node(scope, 'b')];
    const { app, get } = await started(scope, poolOf(a, b));
    const seen = new Set<string>();
    await until('both nodes', async () => seen.add(await get()).size === 2);
    expect((await admin(app, '/readyz')).status).toBe(200);
    expect(app.threads.states().map(({ state }) => state)).toEqual(['running', 'running']);
    expect(app.stats().pools[0]?.nodes.map(({ url }) => url)).toEqual([a.url, b.url]);
  });

  it('takes a reload over: other nodes, other routes, what is kept keeps its numbers', async () => {
    const scope = testScope();
    const [a, b] = [await node(scope, 'a'), await node(scope, 'b')];
    const { app, get, write } = await started(scope, poolOf(a));
    for (let i = 0; i < 5; i++) expect(await get()).toBe('a');
    await write(poolOf(a, b));
    expect(await app.reload()).toMatchObject({ ok: true, version: 2, changed: true });
    const seen = new Set<string>();
    await until('both nodes', async () => seen.add(await get()).size === 2);
    const kept = app.stats().pools[0]?.nodes.find(({ url }) => url === a.url);
    expect(kept?.counters.requests).toBeGreaterThanOrEqual(5);
    await write(poolOf(b));
    expect((await app.reload()).ok).toBe(true);
    for (let i = 0; i < 4; i++) expect(await get()).toBe('b');
  });

  it('does nothing where nothing changed', async () => {
    const scope = testScope();
    const { app } = await started(scope, poolOf(await node(scope, 'a')));
    expect(await app.reload()).toEqual({ ok: true, version: 1, changed: false, warnings: [] });
  });

  it('keeps the old config where the new one is bad, and says so everywhere', async () => {
    const scope = testScope();
    const { app, log, get, write } = await started(scope, poolOf(await node(scope, 'a')));
    const admin = { address: '127.0.0.1:0', token: 'short' }; // a warning, which is no reason to refuse
    await write({ admin, pools: { app: { nodes: ['not a url'], wieght: 3 } } });
    const result = await app.reload();
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.problems.length).toBeGreaterThanOrEqual(2);
    expect(await get()).toBe('a');
    const line = log.find(({ event }) => event === 'reload-refused');
    expect(JSON.stringify(line?.['problems'])).toContain('wieght');
    expect(line?.['problems']).toHaveLength(2);
    expect(app.stats().config).toMatchObject({ version: 1, reloadsFailed: 1, lastReload: { ok: false } });
  });

  it('loses a data thread and has it back, with its counts repaired', async () => {
    const scope = testScope();
    const a = await node(scope, 'a');
    const { app, log, get } = await started(scope, poolOf(a));
    const inFlight = (): number => app.stats().pools[0]?.nodes[0]?.inFlight ?? -1;
    const held = Array.from({ length: 16 }, () => get('/hold').catch((error: Error) => error.message));
    await until('16 requests in flight', () => inFlight() === 16);
    await app.threads.terminate(0);
    const died = await until('the log line', () => log.find(({ event }) => event === 'thread-died'));
    const cut = Number(/(\d+) requests in flight were cut/.exec(String(died['message']))?.[1]);
    expect(inFlight()).toBe(16 - cut);
    const runs = (): boolean => app.threads.states().every(({ state }) => state === 'running');
    await until('it to run again', () => runs() && app.stats().listeners.every(({ open }) => open));
    expect(await get()).toBe('a');
    a.release();
    const ends = await Promise.all(held);
    expect(ends.filter((end) => end === 'a')).toHaveLength(16 - cut);
    await until('nothing in flight', () => inFlight() === 0);
  });

  it('opens and closes listeners in a reload, and leaves the others alone', async () => {
    const scope = testScope();
    const a = await node(scope, 'a');
    const [first, second] = [await freePort(), await freePort()];
    const { app, get, write } = await started(scope, { ...poolOf(a), listen: `127.0.0.1:${first}` });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    scope.own({ stop: () => agent.destroy() });
    expect(await get('/', agent)).toBe('a');
    await write({ ...poolOf(a), listen: [`127.0.0.1:${first}`, `127.0.0.1:${second}`] });
    expect((await app.reload()).ok).toBe(true);
    expect(await fetchText({ port: second, path: '/' })).toBe('a');
    await write({ ...poolOf(a), listen: `127.0.0.1:${second}` });
    expect((await app.reload()).ok).toBe(true);
    await expect(fetchText({ port: first, path: '/' })).rejects.toThrow('ECONNREFUSED');
    expect(await fetchText({ port: first, path: '/', agent })).toBe('a');
  });

  it('refuses a reload whose port is taken, and one whose admin port is', async () => {
    const scope = testScope();
    const a = await node(scope, 'a');
    const { app, get, write } = await started(scope, poolOf(a));
    for (const settings of [{ listen: ['127.0.0.1:0', `127.0.0.1:${a.port}`] }, { admin: `127.0.0.1:${a.port}` }]) {
      await write({ ...poolOf(a), ...settings });
      const result = await app.reload();
      expect(result.ok).toBe(false);
      if (!result.ok) expect(result.problems[0]?.message).toContain(`127.0.0.1:${a.port}`);
    }
    expect(await get()).toBe('a');
    expect((await admin(app, '/readyz')).status).toBe(200);
  });

  it('refuses a reload that moves a listener where its port can not be opened, and keeps the old one', async () => {
    const scope = testScope();
    const a = await node(scope, 'a');
    const port = await freePort();
    const { app, write } = await started(scope, { ...poolOf(a), listen: `127.0.0.1:${port}` });
    const other = createTcpServer();
    scope.own({ stop: () => new Promise<void>((resolve) => other.close(() => resolve())) });
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.2', resolve));
    for (const host of ['192.0.2.1', '127.0.0.2']) {
      await write({ ...poolOf(a), listen: `${host}:${port}` });
      const result = await app.reload();
      expect(result.ok).toBe(false);
      if (!result.ok) expect(result.problems[0]?.message).toContain(`cannot listen on ${host}:${port}`);
      expect(await fetchText({ port, path: '/' })).toBe('a');
    }
    // Its own listener is in nobody's way.
    await new Promise<void>((resolve) => other.close(() => resolve()));
    for (const host of ['0.0.0.0', '127.0.0.1', '127.0.0.2']) {
      await write({ ...poolOf(a), listen: `${host}:${port}` });
      expect(await app.reload()).toMatchObject({ ok: true });
      expect(app.listeners()).toEqual([{ name: `${host}:${port}`, address: { kind: 'tcp', host, port } }]);
      expect(await fetchText({ host: host === '127.0.0.2' ? host : '127.0.0.1', port, path: '/' })).toBe('a');
    }
  });

  it('takes a reload that is asked for while it starts once it has started', async () => {
    const scope = testScope();
    const [a, b] = [await node(scope, 'a'), await node(scope, 'b')];
    const [second, api] = [await freePort(), await freePort()];
    const file = join(await scope.folder(), 'config.yaml');
    const of = (one: Node, listen: readonly string[], health: string): Promise<void> => {
      const pools = { app: { nodes: [one.url], health: { path: health } } };
      return writeFile(file, stringify({ listen, admin: `127.0.0.1:${api}`, workers: 1, pools }));
    };
    // A check that is not answered: the start waits for it.
    await of(a, ['127.0.0.1:0'], '/hold');
    const log = createLog('fatal', { readable: false, write: () => {} });
    const starting = compose({ file, env: {}, log });
    await until('the admin API', async () => (await fetch(`http://127.0.0.1:${api}/livez`)).ok);
    await of(b, ['127.0.0.1:0', `127.0.0.1:${second}`], '/health');
    const headers = { 'content-type': 'application/json' };
    const reloaded = fetch(`http://127.0.0.1:${api}/api/reload`, { method: 'POST', headers });
    const result = await starting;
    if (!result.ok) throw new Error(JSON.stringify(result.error));
    const app = result.value;
    scope.own({ stop: () => app.close() });
    expect((await reloaded).status).toBe(200);
    expect(app.listeners()).toHaveLength(2);
    for (const { address } of app.listeners())
      expect(await fetchText({ port: address.kind === 'tcp' ? address.port : 0, path: '/' })).toBe('b');
  });

  it('moves its admin API, and changes the number of its threads', async () => {
    const scope = testScope();
    const a = await node(scope, 'a');
    const { app, write } = await started(scope, poolOf(a));
    const port = await freePort();
    await write({ ...poolOf(a), workers: 1, admin: `127.0.0.1:${port}` });
    expect((await app.reload()).ok).toBe(true);
    expect(app.adminAddress).toEqual({ kind: 'tcp', host: '127.0.0.1', port });
    expect((await admin(app, '/livez')).status).toBe(200);
    await until('one thread', () => app.threads.states().length === 1);
  });

  it('moves its admin API onto the network together with the token that this needs', async () => {
    const scope = testScope();
    const a = await node(scope, 'a');
    const { app, write } = await started(scope, poolOf(a));
    const token = 'the-token-of-the-admin-api';
    await write({ ...poolOf(a), admin: { address: '0.0.0.0:0', token } });
    expect(await app.reload()).toMatchObject({ ok: true, changed: true });
    expect((await admin(app, '/stats')).status).toBe(401);
    expect((await admin(app, '/stats', { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
    await write({ ...poolOf(a), admin: '127.0.0.1:0' });
    expect(await app.reload()).toMatchObject({ ok: true, changed: true });
    expect((await admin(app, '/stats')).status).toBe(200);
  });

  it('leaves the admin API where it was, with its token, when what comes after it is refused', async () => {
    const scope = testScope();
    const a = await node(scope, 'a');
    const token = 'the-token-of-the-admin-api';
    const address = `127.0.0.1:${await freePort()}`;
    const { app, write } = await started(scope, { ...poolOf(a), admin: { address, token } });
    const before = app.adminAddress;
    const folder = join(await scope.folder(), 'file');
    await writeFile(folder, 'no folder');
    const pools = { app: { nodes: [a.url], failover: 'automatic' } };
    await write({ pools, dataDir: join(folder, 'data'), admin: `127.0.0.1:${await freePort()}` });
    expect(await app.reload()).toMatchObject({ ok: false });
    expect(app.adminAddress).toEqual(before);
    expect((await admin(app, '/stats')).status).toBe(401);
    expect((await admin(app, '/stats', { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
  });

  it('renews a certificate: new connections get it, an open one lives on', async () => {
    const scope = testScope();
    const folder = await scope.folder();
    const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
    await Promise.all([writeFile(tls.cert, cert), writeFile(tls.key, key)]);
    const port = await freePort();
    const settings = { ...poolOf(await node(scope, 'a')), listen: [{ address: `127.0.0.1:${port}`, tls }] };
    const { app, log } = await started(scope, settings);
    const before = await secure(scope, port);
    expect(before.name()).toBe('app.test');
    await Promise.all([writeFile(tls.cert, renewedCert), writeFile(tls.key, renewedKey)]);
    expect(await app.reload()).toMatchObject({ ok: true, changed: true });
    for (let i = 0; i < 8; i++) expect((await secure(scope, port)).name()).toBe('two.example');
    expect(await before.get()).toContain('200 OK');
    expect(log.filter(({ level }) => level === 'error')).toEqual([]);
    await writeFile(tls.cert, 'no certificate');
    expect((await app.reload()).ok).toBe(false);
    expect((await secure(scope, port)).name()).toBe('two.example');
  });

  it('knows a TLS client again in another thread', async () => {
    const scope = testScope();
    const pem = await makeCertificate(await scope.folder(), 'app.test', { names: ['app.test'] });
    const port = await freePort();
    const listen = [{ address: `127.0.0.1:${port}`, tls: pem.files }];
    const { app } = await started(scope, { ...poolOf(await node(scope, 'a')), listen });
    const first = await tlsClient(scope, port, { servername: 'app.test' });
    expect(await first.status()).toBe(200);
    const session = await first.session();
    const resumed: boolean[] = [];
    await until('both threads to have connections', async () => {
      const client = await tlsClient(scope, port, { servername: 'app.test', session });
      resumed.push(client.resumed);
      const { threads } = app.stats();
      return threads.length === 2 && threads.every(({ connections }) => connections > 0);
    });
    expect(resumed).not.toContain(false);
    expect(await app.metrics.render()).toMatch(
      /evenkeel_certificate_expiry_timestamp_seconds\{listener="127.0.0.1:\d+",name="app.test"\} \d{10}/,
    );
  });

  it('does not start without the authorities of clients', async () => {
    const scope = testScope();
    const pem = await makeCertificate(await scope.folder(), 'app.test');
    const tls = { ...pem.files, clientCert: { ca: `${pem.files.cert}.missing` } };
    const failure = await start(scope, { ...poolOf(await node(scope, 'a')), listen: { address: '127.0.0.1:0', tls } });
    expect(JSON.stringify(failure)).toContain('app.test.pem.missing does not exist');
  });

  it('takes the operator’s wish, and a reload, from the admin API', async () => {
    const scope = testScope();
    const [a, b] = [await node(scope, 'a'), await node(scope, 'b')];
    const { app, log, get, write } = await started(scope, poolOf({ id: 'a', url: a.url }, { id: 'b', url: b.url }));
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ wish: 'drain' });
    expect((await admin(app, '/api/pools/app/nodes/a', { method: 'PATCH', body, headers })).status).toBe(200);
    for (let i = 0; i < 6; i++) expect(await get()).toBe('b');
    expect(log.some(({ event }) => event === 'admin-change')).toBe(true);
    await write(poolOf({ id: 'a', url: a.url, weight: 5 }, { id: 'b', url: b.url }));
    expect((await admin(app, '/api/reload', { method: 'POST', headers })).status).toBe(200);
    expect(app.stats().config.version).toBe(2);
    for (let i = 0; i < 6; i++) expect(await get()).toBe('b');
  });

  it('drains: not ready, accepts nothing, finishes what runs', async () => {
    const scope = testScope();
    const a = await node(scope, 'a');
    const { app, get, port } = await started(scope, { ...poolOf(a), shutdown: { delay: '1s', deadline: '20s' } });
    const held = get('/hold');
    await until('the request in flight', () => app.stats().pools[0]?.nodes[0]?.inFlight === 1);
    const drained = app.drain();
    expect((await admin(app, '/readyz')).status).toBe(503);
    expect(await get()).toBe('a');
    const where = port();
    await until('the listeners to close', () =>
      fetchText({ port: where, path: '/' }).then(
        () => false,
        (error: Error) => error.message.includes('ECONNREFUSED'),
      ),
    );
    a.release();
    expect(await held).toBe('a');
    await drained;
  });

  it('cuts what outlasts the deadline of a drain', async () => {
    const scope = testScope();
    const a = await node(scope, 'a');
    const { app, log, get } = await started(scope, { ...poolOf(a), shutdown: { delay: 0, deadline: '200ms' } });
    const held = get('/hold').catch((error: Error) => `cut: ${error.message}`);
    await until('the request in flight', () => app.stats().pools[0]?.nodes[0]?.inFlight === 1);
    await app.drain();
    expect(await held).toContain('cut');
    expect(log.some(({ message }) => String(message).includes('were cut'))).toBe(true);
  });

  it('warns of a node whose name cannot be resolved, and serves from the others', async () => {
    const scope = testScope();
    const { log, get } = await started(scope, poolOf(await node(scope, 'a'), { url: 'http://nowhere.invalid:3000' }));
    const line = await until('the warning', () => log.find(({ event }) => event === 'name-unresolved'));
    expect(line['message']).toContain('the name nowhere.invalid cannot be resolved');
    expect(line['message']).toContain('app/nowhere.invalid:3000');
    for (let i = 0; i < 5; i++) expect(await get()).toBe('a');
  });
});

describe('a start that cannot be', () => {
  it('tells all problems of the config', async () => {
    const result = await start(testScope(), { pools: { app: { nodes: [] } }, wrong: 1 });
    expect(result).toMatchObject({ kind: 'config' });
    if ('problems' in result) expect(result.problems.length).toBeGreaterThanOrEqual(2);
  });

  it('tells of a missing file', async () => {
    const file = join(await testScope().folder(), 'none.yaml');
    const result = await compose({ file, env: {}, log: createLog('fatal') });
    expect(result.ok ? '' : JSON.stringify(result.error)).toContain('does not exist');
  });

  it('tells of a port that another program has, and leaves nothing open', async () => {
    const scope = testScope();
    const other = createTcpServer();
    const port = await freePort();
    await new Promise<void>((resolve) => other.listen({ port, host: '127.0.0.1', reusePort: true }, resolve));
    scope.own({ stop: () => new Promise<void>((resolve) => other.close(() => resolve())) });
    const adminPort = await freePort();
    const settings = {
      ...poolOf(await node(scope, 'a')),
      listen: `127.0.0.1:${port}`,
      admin: `127.0.0.1:${adminPort}`,
    };
    const result = await start(scope, settings);
    expect(result).toMatchObject({ kind: 'start' });
    if ('lines' in result) expect(result.lines[0]).toContain(`cannot listen on 127.0.0.1:${port}: another process`);
    await expect(fetchText({ port: adminPort, path: '/livez' })).rejects.toThrow('ECONNREFUSED');
  });

  it('finds a second evenkeel on the same port', async () => {
    const scope = testScope();
    const port = await freePort();
    const settings = { ...poolOf(await node(scope, 'a')), listen: `127.0.0.1:${port}` };
    await started(scope, settings);
    expect(await start(scope, settings)).toMatchObject({ kind: 'start' });
  });
});
