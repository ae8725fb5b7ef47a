import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { send, startWorld, token, type World } from '../fixture.ts';

const worlds: World[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function start(...access: Parameters<typeof startWorld>): Promise<World> {
  const world = await startWorld(...access);
  worlds.push(world);
  return world;
}

function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-admin-'));
  folders.push(folder);
  return join(folder, 'admin.sock');
}

/** Sends bytes as they are; resolves with what came back when the other side has closed, or after the first answer. */
function sendBytes(port: number, bytes: Uint8Array | string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host: '127.0.0.1', port }, () => socket.end(bytes));
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', () => resolve(text));
    socket.on('close', () => resolve(text));
  });
}

describe('the admin socket', () => {
  it('refuses to be open to the network without a token', async () => {
    await expect(start({ address: { kind: 'tcp', host: '0.0.0.0', port: 0 } })).rejects.toThrow(
      'the admin API would be open to the network on 0.0.0.0:0: set admin.token, or use a loopback address',
    );
    const world = await start({ address: { kind: 'tcp', host: '0.0.0.0', port: 0 }, token });
    expect((await world.ask({ path: '/livez' })).status).toBe(200);
  });

  it('says in one line what is wrong with an address that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    await expect(start({ address: { kind: 'tcp', host: '127.0.0.1', port } })).rejects.toThrow(
      `cannot open the admin API on 127.0.0.1:${port}: another process has it; stop that one or choose another admin.address (EADDRINUSE)`,
    );
    other.close();
  });

  it('can be a unix socket, of the owner and the group alone, gone after close', async () => {
    const path = socketPath();
    const world = await startWorld({ address: { kind: 'unix', path } });
    expect((await send({ socketPath: path }, { path: '/stats' })).status).toBe(200);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    const change = { method: 'POST', path: '/api/reload', headers: { 'content-type': 'application/json' } };
    expect((await send({ socketPath: path }, change)).status).toBe(200);
    expect(world.audited).toMatchObject([{ peer: 'unix' }]);
    await world.close();
    expect(existsSync(path)).toBe(false);
  });

  it('takes over the unix socket of a process that has ended, not that of one that runs', async () => {
    const path = socketPath();
    const die = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', die]);
    expect(existsSync(path)).toBe(true);
    const first = await start({ address: { kind: 'unix', path } });
    await expect(start({ address: { kind: 'unix', path } })).rejects.toThrow('another process has it');
    expect((await send({ socketPath: path }, { path: '/livez' })).status).toBe(200);
    expect(first.errors).toEqual([]);
  });

  it('answers an HTTP/1.0 check that has no Host', async () => {
    const world = await start();
    expect(await sendBytes(world.port, 'GET /readyz HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('answers bytes that are no HTTP with 400, a head that is too large with 431', async () => {
    const world = await start();
    expect(await sendBytes(world.port, 'hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    const large = `GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`;
    expect(await sendBytes(world.port, large)).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('closes while clients hold connections open', async () => {
    const world = await startWorld();
    const socket = connect({ host: '127.0.0.1', port: world.port });
    await new Promise((resolve) => socket.once('connect', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    socket.write('GET /livez HTTP/1.1\r\n');
    await world.close();
    await closed;
  });
});

describe('hostile bytes', () => {
  const canary = async (world: World): Promise<void> => {
    expect((await world.ask({ path: '/livez' })).status).toBe(200);
    expect(world.errors).toEqual([]);
    expect(world.wishes).toEqual([]);
  };

  it('never end the process, and change nothing', async () => {
    const world = await start({ token });
    const pieces = fc.constantFrom(
      'GET ',
      'PATCH ',
      'POST ',
      '/api/reload',
      '/api/pools/app/nodes/10.0.0.11:3000',
      '/stats',
      '*',
      '//',
      '/%',
      '/\\..',
      'http://[',
      ' HTTP/1.1\r\n',
      ' HTTP/1.0\r\n',
      'Host: ',
      'localhost',
      'evil.com',
      '[::1',
      'a b',
      '\r\n',
      '\n',
      '\0',
      'Content-Length: 5\r\n',
      'Content-Length: -1\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Content-Type: application/json\r\n',
      'Authorization: Bearer x\r\n',
      'Origin: null\r\n',
      'Expect: 100-continue\r\n',
      'Upgrade: h2c\r\n',
      '{"wish":"drain"}',
      'ffffff\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    );
    const wild = fc.oneof(
      fc
        .array(fc.oneof({ weight: 4, arbitrary: pieces }, fc.string({ maxLength: 8 })), { maxLength: 14 })
        .map((parts) => Buffer.from(parts.join(''), 'latin1')),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(wild, async (bytes) => {
        const answer = await sendBytes(world.port, bytes);
        if (answer !== '') expect(answer).toMatch(/^HTTP\/1\.1 \d{3} /);
        expect(answer).not.toContain(token);
      }),
      { numRuns: 300 },
    );
    await canary(world);
  });

  it('in well-formed requests are answered, never with 500', async () => {
    const world = await start();
    const path = fc.oneof(
      fc.webPath(),
      fc
        .tuple(fc.constantFrom('/api/pools/', '/api/pools/app/nodes/', '/'), fc.string({ maxLength: 20 }))
        .map(([front, text]) => front + text.replace(/[^!-~]/g, '%')),
    );
    const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND');
    const body = fc.oneof(
      fc.json(),
      fc.string(),
      fc.constant('{"__proto__":{"wish":"drain"}}'),
      fc.constant('['.repeat(30_000)),
    );
    await fc.assert(
      fc.asyncProperty(method, path, body, async (verb, target, text) => {
        const readsNoBody = verb === 'GET' || verb === 'HEAD' || verb === 'TRACE';
        const answer = await world.ask({
          method: verb,
          path: target === '' ? '/' : target,
          headers: { 'content-type': 'application/json' },
          ...(readsNoBody ? {} : { body: text }),
        });
        expect(answer.status, `${verb} ${target}`).toBeLessThan(500);
      }),
      { numRuns: 200 },
    );
    await canary(world);
  });

  it('a body that breaks off changes nothing', async () => {
    const world = await start();
    const head =
      'PATCH /api/pools/app/nodes/10.0.0.11:3000 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    await sendBytes(world.port, `${head}Content-Length: 100\r\n\r\n{"wish":"drain"}`);
    await sendBytes(world.port, `${head}Transfer-Encoding: chunked\r\n\r\n10\r\n{"wish":"drain"}`);
    await sendBytes(world.port, `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`);
    await canary(world);
  });
});
