/**
 * Programs that people use, as they come: each does the same work through evenkeel, in the clear and over TLS, and gets
 * what the node gave. What they need from the machine (curl, wget, Python, Go, Java, Chromium) must be there.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { until } from '../helpers/poll.ts';
import { fileScope, testScope } from '../helpers/scope.ts';
import { makeCertificate } from '../helpers/tls.ts';

const run = promisify(execFile);
const programs = fileURLToPath(new URL('./programs/', import.meta.url));
const program = (name: string): string => join(programs, name);
/** Compilers and browsers on a busy machine. */
const patience = 300_000;

const scope = fileScope();
const pattern = (bytes: number): Buffer => Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => i % 251));
const sha = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');
const uploaded = pattern(200_000);

/** What the page in the browser told, by its own request. */
let told = '';

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://node.test');
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const body = Buffer.concat(pieces);
  const [, first = '', second = ''] = url.pathname.split('/');
  const send = (status: number, content: Buffer | string = '', fields: Record<string, string> = {}): void => {
    response.writeHead(status, { 'Content-Length': Buffer.byteLength(content), ...fields });
    response.end(request.method === 'HEAD' ? undefined : content);
  };
  switch (first) {
    case 'bytes':
      return part(request, response, pattern(Number(url.searchParams.get('n'))));
    case 'echo':
      return send(200, body);
    case 'gone':
      return send(204);
    case 'status':
      return send(Number(second), 'no such thing');
    case 'moved':
      return send(302, '', { Location: '/bytes?n=10' });
    case 'number':
      return send(200, second);
    case 'page':
      response.writeHead(200, { 'Content-Type': 'text/html' });
      createReadStream(program('page.html')).pipe(response);
      return;
    case 'seen':
      told = body.toString();
      return send(204);
    case 'dav':
      return send(207, `${request.method} ${url.pathname} ${request.headers.destination ?? ''} ${body}`);
    default:
      return send(404);
  }
}

/** The whole or the part that was asked for. */
function part(request: IncomingMessage, response: ServerResponse, whole: Buffer): void {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const [from, to] = range ? [Number(range[1]), Number(range[2] || whole.length - 1)] : [0, whole.length - 1];
  const content = whole.subarray(from, to + 1);
  response.writeHead(range ? 206 : 200, {
    'Content-Length': content.length,
    'Accept-Ranges': 'bytes',
    ...(range ? { 'Content-Range': `bytes ${from}-${to}/${whole.length}` } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : content);
}

const bases: { plain: string; secure: string; ca: string } = { plain: '', secure: '', ca: '' };

beforeAll(async () => {
  const node = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  const sockets = new WebSocketServer({ server: node });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`you said ${data}`)));
  await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve));
  scope.own({
    stop: () => {
      sockets.close();
      node.closeAllConnections();
      node.close();
    },
  });
  const folder = await scope.folder();
  const pem = await makeCertificate(folder, 'localhost', { names: ['localhost'] });
  const evenkeel = await startEvenkeel(
    scope,
    ([plain, secure]) => ({
      listen: [{ address: plain }, { address: secure, tls: pem.files }],
      pools: { app: { nodes: [`http://127.0.0.1:${(node.address() as AddressInfo).port}`], health: false } },
    }),
    { listeners: 1 },
  );
  const [plain, secure] = evenkeel.ports;
  bases.plain = `http://localhost:${plain}`;
  bases.secure = `https://localhost:${secure}`;
  bases.ca = pem.files.cert;
});

/** Status and digest of the body, by what was asked. */
const expected: Readonly<Record<string, unknown>> = {
  small: [200, sha(pattern(10))],
  large: [200, sha(pattern(1_048_576))],
  head: [200, sha('')],
  post: [200, sha(uploaded)],
  chunked: [200, sha(uploaded)],
  expect: [200, sha(uploaded)],
  delete: [204, sha('')],
  missing: [404, sha('no such thing')],
  redirected: [200, sha(pattern(10))],
  kept: Array.from({ length: 50 }, (_, i) => `${i}`),
  socket: 'you said hello',
};

/** What a program printed is what it should have got, and it did not skip much of it. */
function judge(printed: string, least: readonly string[]): void {
  const got = JSON.parse(printed) as Record<string, unknown>;
  expect(Object.keys(got)).toEqual(expect.arrayContaining([...least]));
  for (const [name, value] of Object.entries(got)) expect([name, value]).toEqual([name, expected[name]]);
}

const common = ['small', 'large', 'head', 'post', 'delete', 'missing', 'kept'];

describe.each(['plain', 'secure'] as const)('over a %s connection', (lane) => {
  const call = async (file: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> => {
    const options = { timeout: patience, maxBuffer: 8 << 20, env: { ...process.env, ...env } };
    const { stdout } = await run(file, [...args, bases[lane], bases.ca], options);
    return stdout;
  };

  it('http.client of Python', { timeout: patience }, async () => {
    judge(await call('python3', [program('http_client.py')]), [...common, 'chunked']);
  });

  it('requests of Python', { timeout: patience }, async () => {
    judge(await call('/usr/bin/python3', [program('requests_session.py')]), [...common, 'chunked', 'redirected']);
  });

  it('net/http of Go', { timeout: patience }, async () => {
    const folder = await testScope().folder();
    const env = { GOCACHE: join(folder, 'cache'), GOPATH: join(folder, 'path'), GO111MODULE: 'off', GOFLAGS: '-p=2' };
    judge(await call('go', ['run', program('client.go')], env), [...common, 'chunked', 'expect', 'redirected']);
  });

  it('HttpClient of Java', { timeout: patience }, async () => {
    judge(await call('java', [program('Client.java')]), [...common, 'chunked', 'expect', 'redirected']);
  });

  it('Chromium', { timeout: patience }, async () => {
    const scope = testScope();
    const folder = await scope.folder();
    told = '';
    const quiet = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
    const more = ['--disable-component-update', '--disable-sync', '--ignore-certificate-errors'];
    const args = [...quiet, ...more, `--user-data-dir=${folder}`, `${bases[lane]}/page`];
    // A group of its own: the browser is several processes, which end together.
    const browser = spawn('chromium', args, { detached: true, stdio: 'ignore' });
    const gone = once(browser, 'exit');
    scope.own({
      stop: async () => {
        process.kill(-browser.pid!, 'SIGKILL');
        await gone;
      },
    });
    await until('what the page got', () => told !== '', { withinMs: patience });
    judge(told, [...common, 'redirected', 'socket']);
  });

  it('wget: a file, the rest of one, a form', { timeout: patience }, async () => {
    const folder = await testScope().folder();
    const wget = (...args: string[]): Promise<{ stdout: string }> =>
      run('wget', ['-q', '--no-config', `--ca-certificate=${bases.ca}`, ...args], { timeout: patience });
    const [file, form] = [join(folder, 'whole'), join(folder, 'form')];
    await wget('-O', file, `${bases[lane]}/bytes?n=300000`);
    expect(sha(await readFile(file))).toBe(sha(pattern(300_000)));
    await writeFile(file, pattern(300_000).subarray(0, 1234));
    await wget('-c', '-O', file, `${bases[lane]}/bytes?n=300000`);
    expect(sha(await readFile(file))).toBe(sha(pattern(300_000)));
    await writeFile(form, uploaded);
    await wget('-O', file, `--post-file=${form}`, `${bases[lane]}/echo`);
    expect(sha(await readFile(file))).toBe(sha(uploaded));
  });

  describe('curl', () => {
    const curl = async (...args: string[]): Promise<Buffer> => {
      const all = ['-sS', '-q', '--fail-with-body', '--max-time', '240', '--cacert', bases.ca, ...args];
      const { stdout } = await run('curl', all, { timeout: patience, encoding: 'buffer', maxBuffer: 8 << 20 });
      return stdout;
    };

    it('parts, many requests on one connection, HEAD', async () => {
      expect(await curl('-r', '100-199', `${bases[lane]}/bytes?n=1000`)).toEqual(pattern(1000).subarray(100, 200));
      const kept = await curl('-w', '%{num_connects} ', `${bases[lane]}/number/[1-20]`);
      expect(kept.toString()).toBe(Array.from({ length: 20 }, (_, i) => `${i + 1}${i === 0 ? 1 : 0} `).join(''));
      expect((await curl('-I', `${bases[lane]}/bytes?n=1000`)).toString()).toMatch(/content-length: 1000\r\n/i);
    });

    it('uploads as S3 clients do: Expect, a body of a size that is said, or chunked', async () => {
      const file = join(await testScope().folder(), 'upload');
      await writeFile(file, uploaded);
      const amz = ['-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', '-H', 'Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=='];
      const expecting = ['-H', 'Expect: 100-continue', '--expect100-timeout', '1000'];
      // Without a 100 it would wait for longer than it may run.
      expect(sha(await curl(...amz, ...expecting, '-T', file, `${bases[lane]}/echo`))).toBe(sha(uploaded));
      expect(sha(await curl('-H', 'Transfer-Encoding: chunked', '-T', file, `${bases[lane]}/echo`))).toBe(
        sha(uploaded),
      );
      expect(sha(await curl('--http1.0', '-T', file, `${bases[lane]}/echo`))).toBe(sha(uploaded));
    });

    it.each(['PROPFIND', 'PROPPATCH', 'MKCOL', 'COPY', 'MOVE', 'LOCK', 'UNLOCK', 'REPORT', 'SEARCH', 'PATCH'])(
      'WebDAV: %s with a body',
      async (method) => {
        const fields = ['-H', 'Depth: 1', '-H', 'Destination: /dav/there', '-H', 'Content-Type: application/xml'];
        const got = await curl('-X', method, ...fields, '--data-binary', '<a/>', `${bases[lane]}/dav/here`);
        expect(got.toString()).toBe(`${method} /dav/here /dav/there <a/>`);
      },
    );
  });
});
