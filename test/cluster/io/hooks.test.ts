/** Hooks against real servers and real programs, also those that hang, talk rubbish, or talk without end. */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { HookRun } from '../../../src/cluster/failover/contract.ts';
import type { HookHow } from '../../../src/cluster/failover/model.ts';
import { monotonicNow } from '../../../src/cluster/io/clocks.ts';
import { type HookResult, HookRunner, type HookTls } from '../../../src/cluster/io/hooks.ts';
import { cert, key } from '../../health/io/certificate.ts';
import { deadAddress, listen, socketPath } from '../../health/io/servers.ts';
import { until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';

const node = process.execPath;

/** A runner whose results are kept. */
function runner(tls: HookTls | null = null) {
  const results: HookResult[] = [];
  const hooks = new HookRunner({
    now: monotonicNow,
    wall: Date.now,
    tlsOf: () => tls,
    onResult: (result) => results.push(result),
  });
  testScope().own({ stop: () => hooks.close() });
  const run = (how: HookHow, more: Partial<HookRun> & { url?: string } = {}): void => {
    const { url = 'http://127.0.0.1:1', ...rest } = more;
    const target = { node: 'app-2', url };
    const deadline = monotonicNow() + how.timeout;
    hooks.run({ id: 1, how, kind: 'promote', pool: 'app', target, epoch: 7, reason: 'failover', deadline, ...rest });
  };
  return { hooks, run, results, result: () => until('a hook reports', () => results[0]) };
}

const post = (url = '/promote', timeout = 10_000): HookHow => ({ kind: 'post', url, timeout });
const exec = (argv: readonly string[], timeout = 20_000): HookHow => ({ kind: 'exec', argv, timeout });
/** A program of this text. */
const script = (text: string, timeout?: number): HookHow => exec([node, '-e', text], timeout);

async function urlOf(server: net.Server, scheme = 'http'): Promise<string> {
  const address = await listen(server);
  if (address.kind !== 'tcp') throw new Error('no port');
  return `${scheme}://127.0.0.1:${address.port}`;
}

const answering = (handler: http.RequestListener): Promise<string> => urlOf(http.createServer(handler));
const raw = (answer: string): Promise<string> =>
  urlOf(net.createServer((socket) => socket.once('data', () => socket.end(answer, 'latin1'))));

describe('post', () => {
  it('tells the node all that it must know, and takes 2xx for success', async () => {
    const seen: { url: unknown; headers: http.IncomingHttpHeaders; body: Record<string, unknown> }[] = [];
    const url = await answering(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      seen.push({ url: request.url, headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) });
      response.writeHead(204).end();
    });
    const { run, result } = runner();
    run(post('/ha/promote?x=1'), { url });
    expect(await result()).toEqual({
      id: 1,
      ok: true,
      detail: expect.stringMatching(/^204 in \d+ ms$/),
      position: null,
    });
    const { body, headers } = seen[0]!;
    expect(seen[0]?.url).toBe('/ha/promote?x=1');
    expect(headers).toMatchObject({ 'x-ha-epoch': '7', 'content-type': 'application/json' });
    expect(body).toMatchObject({ hook: 'promote', pool: 'app', node: 'app-2', url, epoch: 7, reason: 'failover' });
    expect(body['timeout']).toBeLessThanOrEqual(10_000);
    expect(Math.abs(Number(body['deadline']) - Date.now() - 10_000)).toBeLessThan(10_000);
  });

  it.each([
    ['in JSON', {}, '{"position":4711}', 4711],
    ['in a field', { 'x-ha-position': '12' }, '', 12],
    ['that is no number', {}, '{"position":"4711"}', null],
    ['below nothing', {}, '{"position":-1}', null],
    ['in rubbish', {}, '{"position":', null],
    ['elsewhere', {}, '[{"position":1}]', null],
  ])('reads a position %s', async (_what, headers, body, position) => {
    const url = await answering((_request, response) => response.writeHead(200, headers).end(body));
    const { run, result } = runner();
    run(post(), { url });
    expect(await result()).toMatchObject({ ok: true, position });
  });

  it('fails with any other status, and says what the node said', async () => {
    const url = await answering((_request, response) => response.writeHead(409).end('epoch 9 seen\nalready'));
    const { run, result } = runner();
    run(post(), { url });
    const { ok, detail } = await result();
    expect(ok).toBe(false);
    expect(detail).toMatch(/^409 in \d+ ms: epoch 9 seen already$/);
  });

  it('follows no redirect', async () => {
    const url = await answering((_request, response) => response.writeHead(307, { location: '/elsewhere' }).end());
    const { run, result } = runner();
    run(post(), { url });
    expect(await result()).toMatchObject({ ok: false, detail: expect.stringMatching(/^307/) });
  });

  it.each([
    ['garbage', '\x00\x01\x02\r\n\r\n'],
    ['nothing', ''],
    ['an answer cut off', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'],
    ['a head cut off', 'HTTP/1.1 200 OK\r\nA: b'],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
  ])('fails with %s', async (_what, bytes) => {
    const { run, result } = runner();
    run(post(), { url: await raw(bytes) });
    const { ok, detail } = await result();
    expect(ok).toBe(false);
    expect(detail).toMatch(/^[\x20-\x7e]{5,300}$/);
    expect(detail).not.toMatch(/deadline/);
  });

  it('fails where nobody listens', async () => {
    const { port } = await deadAddress();
    const { run, result } = runner();
    run(post(), { url: `http://127.0.0.1:${port}` });
    expect(await result()).toMatchObject({ ok: false, detail: `connect ECONNREFUSED 127.0.0.1:${port}` });
  });

  it('is ended at its deadline by a node that hangs', async () => {
    let closed = false;
    const url = await answering((request) => {
      request.socket.on('close', () => {
        closed = true;
      });
    });
    const { run, result } = runner();
    run(post('/promote', 1000), { url });
    const { ok, detail } = await result();
    expect([ok, detail]).toEqual([false, expect.stringMatching(/^ended at its deadline: no result within \d+ ms$/)]);
    await until('the connection is closed', () => closed);
  });

  it('does not wait for an answer without end', async () => {
    const url = await answering((_request, response) => {
      response.writeHead(200);
      response.write('x'.repeat(200_000));
    });
    const { run, result } = runner();
    run(post(), { url });
    expect(await result()).toMatchObject({ ok: true, position: null });
  });

  it('goes to a node at a unix socket, and to another url', async () => {
    const seen: string[] = [];
    const server = http.createServer((request, response) => {
      seen.push(request.url ?? '');
      response.end();
    });
    const path = socketPath();
    await listen(server, { path });
    const first = runner();
    first.run(post('/promote'), { url: `unix:${path}` });
    expect(await first.result()).toMatchObject({ ok: true });
    const url = await answering((request, response) => {
      seen.push(`other ${request.url}`);
      response.end();
    });
    const second = runner();
    second.run(post(`${url}/agent`), { url: `unix:${path}` });
    expect(await second.result()).toMatchObject({ ok: true });
    expect(seen).toEqual(['/promote', 'other /agent']);
  });

  it('verifies an https node as its pool says', async () => {
    const url = await urlOf(
      https.createServer({ cert, key }, (_request, response) => response.end()),
      'https',
    );
    const known = { ca: cert, cert: null, key: null, verify: true, servername: 'app.test' };
    const tried = async (tls: HookTls | null): Promise<HookResult> => {
      const { run, result } = runner(tls);
      run(post(), { url });
      return result();
    };
    expect(await tried(known)).toMatchObject({ ok: true });
    expect(await tried({ ...known, servername: 'other.test' })).toMatchObject({ ok: false });
    expect(await tried(null)).toMatchObject({ ok: false, detail: expect.stringMatching(/self-signed/) });
    expect(await tried({ ...known, ca: null, verify: false })).toMatchObject({ ok: true });
  });
});

describe('exec', () => {
  it('gets JSON on its standard input and the same in its environment, and answers a position', async () => {
    const folder = await testScope().folder();
    const file = join(folder, 'seen.json');
    const text = `
      let input = '';
      process.stdin.on('data', (chunk) => (input += chunk)).on('end', () => {
        const { EK_HOOK, EK_POOL, EK_NODE, EK_EPOCH, EK_REASON } = process.env;
        const env = { EK_HOOK, EK_POOL, EK_NODE, EK_EPOCH, EK_REASON };
        require('node:fs').writeFileSync(process.argv[1], JSON.stringify({ words: JSON.parse(input), env }));
        console.log(JSON.stringify({ position: 99 }));
      });`;
    const { run, result } = runner();
    run(exec([node, '-e', text, file]));
    expect(await result()).toMatchObject({
      ok: true,
      detail: expect.stringMatching(/^exit code 0 in \d+ ms$/),
      position: 99,
    });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      words: { hook: 'promote', pool: 'app', node: 'app-2', epoch: 7, reason: 'failover' },
      env: { EK_HOOK: 'promote', EK_POOL: 'app', EK_NODE: 'app-2', EK_EPOCH: '7', EK_REASON: 'failover' },
    });
  });

  it('runs without a shell: arguments are what they are', async () => {
    const { run, result } = runner();
    run(exec([node, '-e', 'process.exit(process.argv[1] === "$(exit 0); *" ? 0 : 3)', '$(exit 0); *']));
    expect(await result()).toMatchObject({ ok: true });
  });

  it.each([
    [
      'process.stderr.write("one\\nno such database\\n"); process.exitCode = 3',
      /^exit code 3 in \d+ ms: no such database$/,
    ],
    ['console.log("said so"); process.exitCode = 1', /^exit code 1 in \d+ ms: said so$/],
    ['process.exitCode = 1', /^exit code 1 in \d+ ms$/],
    ['process.kill(process.pid, "SIGTERM"); setTimeout(() => {}, 1e6)', /^ended by SIGTERM in \d+ ms$/],
  ])('fails with what the program said: %s', async (text, detail) => {
    const { run, result } = runner();
    run(script(text));
    expect(await result()).toMatchObject({ ok: false, detail: expect.stringMatching(detail) });
  });

  it('fails where there is no such program, or it may not be run', async () => {
    for (const program of ['/no/such/program', '/etc/passwd', '']) {
      const { run, result } = runner();
      run(exec([program]));
      expect(await result()).toMatchObject({ ok: false, detail: expect.stringMatching(/could not be started/) });
    }
  });

  it('keeps 64 KiB of a program that prints without bound, and reads the rest away', async () => {
    const { run, result } = runner();
    run(script('process.stdout.write("x".repeat(8 << 20), () => process.exit(0))'));
    expect(await result()).toMatchObject({ ok: true, position: null });
  });

  it('is killed at its deadline, with what it has started', async () => {
    const folder = await testScope().folder();
    const file = join(folder, 'pids');
    // A shell, which has said so long before its deadline.
    const { run, result, hooks } = runner();
    run(exec(['/bin/sh', '-c', 'sleep 1000 & echo $$ $! > "$0"; wait', file], 3000));
    expect(await result()).toMatchObject({ ok: false, detail: expect.stringMatching(/^ended at its deadline/) });
    expect(hooks.running).toBe(0);
    const pids = readFileSync(file, 'utf8').split(' ').map(Number);
    expect(pids).toHaveLength(2);
    await until('the hook and its child have ended', () => pids.every((pid) => !isAlive(pid)));
  });

  it('has ended when its program has, though something that it started holds its output', async () => {
    const text = `
      const options = { stdio: ['ignore', 'inherit', 'inherit'], detached: true };
      const child = require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 4000)'], options);
      child.unref();
      console.log('{"position":5}');`;
    const { run, result } = runner();
    run(script(text));
    expect(await result()).toMatchObject({ ok: true, position: 5 });
  });
});

describe('any hook', () => {
  it('whose deadline has passed is not started', async () => {
    const { run, result } = runner();
    run(exec(['/no/such/program']), { deadline: monotonicNow() - 1 });
    expect(await result()).toMatchObject({ ok: false, detail: 'not started: its deadline had passed' });
  });

  it('that is abandoned reports nothing', async () => {
    let asked = 0;
    const url = await answering(() => {
      asked += 1;
    });
    const { run, results, hooks } = runner();
    run(post('/promote', 60_000), { url });
    run(script('setInterval(() => {}, 1e6)', 60_000), { id: 2 });
    await until('the node is asked', () => asked > 0);
    hooks.abandon([1, 2, 3]);
    expect(hooks.running).toBe(0);
    run(script(''), { id: 4 });
    await until('another hook reports', () => results[0]);
    expect(results.map(({ id }) => id)).toEqual([4]);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
