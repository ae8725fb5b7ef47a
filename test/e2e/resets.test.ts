/** Connections that break at every byte, and descriptors that run out: nothing leaks, nothing is mixed up, service goes on. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { renewedCert, renewedKey } from '../app/certificate.ts';
import { type Evenkeel, type Settings, startEvenkeel } from '../helpers/evenkeel.ts';
import { statusOf } from '../helpers/http-bytes.ts';
import { startAppNode } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { ask, get, RawClient } from '../helpers/raw-client.ts';
import { type RawNode, sayWhat, startRawNode } from '../helpers/raw-node.ts';
import { fileScope, testScope } from '../helpers/scope.ts';

const scope = fileScope();
let raw: RawNode;
let ek: Evenkeel;

beforeAll(async () => {
  raw = await startRawNode(scope);
  const folder = await scope.folder();
  const tls = { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` };
  await Promise.all([writeFile(tls.cert, renewedCert), writeFile(tls.key, renewedKey)]);
  const settings = ([address, secure]: readonly string[]): Settings => ({
    listen: [{ address }, { address: secure, tls }],
    pools: { app: { nodes: [raw.url], health: 'off', passive: 'off', retry: { attempts: 1 } } },
    routes: [
      { path: '/gone', pool: 'app', abortOnFin: true },
      { path: '/', pool: 'app' },
    ],
  });
  ek = await startEvenkeel(scope, settings, { listeners: 1 });
});

/** Nothing is in flight, no exception was caught, and a new client gets its own answer. */
async function expectClean(): Promise<void> {
  raw.respond = sayWhat;
  for (let i = 0; i < 5; i++) expect((await ask(ek.port, get(`/after-${i}`))).body).toBe(`GET /after-${i}`);
  await until('counters back to zero', async () => {
    const pool = await ek.pool();
    return pool.active === 0 && pool.nodes[0]!.inFlight === 0;
  });
  await until('connections gone', async () => (await ek.stats()).threads[0]!.connections === 0);
  expect((await ek.stats()).threads[0]).toMatchObject({ exceptions: 0, restarts: 0 });
}

const request =
  'POST /chunked HTTP/1.1\r\nHost: ek.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: ek.test\r\n\r\n';
const answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n';

describe('clients', () => {
  it.each(['reset', 'end', 'end over TLS'])('%s at every byte of a request', async (how) => {
    raw.respond = sayWhat;
    for (let i = 0; i <= request.length; i++) {
      const client = new RawClient(how.includes('TLS') ? { tls: ek.ports[1]! } : ek.port);
      await client.send(request.slice(0, i));
      if (how === 'reset') client.socket.resetAndDestroy();
      else client.socket.destroy();
    }
    await expectClean();
  });

  it.each(['reset', 'end', 'end over TLS'])('%s at every byte of an answer', async (how) => {
    for (let i = 0; i <= answer.length; i++) {
      // So much of it comes and no more: the client goes where it stands.
      let written = false;
      raw.respond = (_request, connection) => {
        connection.write(answer.slice(0, i));
        written = true;
      };
      const client = new RawClient(how.includes('TLS') ? { tls: ek.ports[1]! } : ek.port);
      await client.send(get('/gone'));
      await until('the part', () => written, { everyMs: 1 });
      if (i >= answer.indexOf('\r\n\r\n') + 4) await client.sees('\r\n\r\n');
      if (how === 'reset') client.socket.resetAndDestroy();
      else client.socket.destroy();
    }
    await expectClean();
  });
});

/** How many bytes of a request reach the node. */
async function sizeAtNode(bytes: string): Promise<number> {
  const [own, answered] = [raw.onConnection, raw.respond];
  let size = 0;
  raw.onConnection = () => {};
  raw.respond = (message, connection) => {
    size = connection.received;
    sayWhat(message, connection);
    connection.socket.end();
  };
  await ask(ek.port, bytes);
  raw.onConnection = own;
  raw.respond = answered;
  return size;
}

describe('nodes', () => {
  it.each(['reset', 'fin'])('%s at every byte of an answer: 502, a cut, or the whole answer', async (how) => {
    for (let i = 0; i <= answer.length; i++) {
      raw.respond = (_request, connection) => {
        connection.socket.write(answer.slice(0, i), 'latin1', () => {
          if (how === 'fin') connection.socket.end();
          else connection.socket.resetAndDestroy();
        });
        if (i === 0 && how === 'fin') connection.socket.end();
      };
      const client = new RawClient(ek.port);
      await client.send(get('/x'));
      const [got] = await client.answers(1);
      client.stop();
      if (got === undefined) expect(client.end).not.toBe('open');
      else if (statusOf(got) === 200) expect([i, got.body]).toEqual([answer.length, 'hello world']);
      else expect(statusOf(got)).toBe(502);
    }
    await expectClean();
  });

  it.each(['reset', 'fin'])(
    '%s at every byte of a request that comes byte by byte: 502 or a cut, once',
    async (how) => {
      let at = 0;
      raw.respond = () => {};
      raw.onConnection = (connection) => {
        const breaks = (): void => {
          if (connection.received < at && connection.requests.length === 0) return;
          if (how === 'reset') connection.socket.resetAndDestroy();
          else connection.socket.destroy();
        };
        connection.socket.on('data', breaks);
        if (at === 0) breaks();
      };
      const upload = request.slice(0, request.indexOf('GET'));
      const seen = await sizeAtNode(upload);
      for (const connection of raw.connections) connection.socket.destroy();
      for (at = 0; at <= seen; at++) {
        const client = new RawClient(ek.port);
        await client.send(upload, 'bytes');
        const [got] = await client.answers(1);
        client.stop();
        if (got === undefined) expect([at, client.end]).not.toEqual([at, 'open']);
        else expect([at, statusOf(got)]).toEqual([at, 502]);
      }
      raw.onConnection = () => {};
      await expectClean();
    },
  );

  it('a new request meets a connection that is being closed: GETs never fail', async () => {
    const own = testScope();
    const [one, two] = [await startRawNode(own), await startRawNode(own)];
    const closing = await startEvenkeel(own, { pools: { app: { nodes: [one.url, two.url], health: 'off' } } });
    for (const node of [one, two]) {
      node.respond = (message, connection) => {
        sayWhat(message, connection);
        setImmediate(() => connection.socket.resetAndDestroy());
      };
    }
    const client = own.own(new RawClient(closing.port));
    for (let i = 1; i <= 200; i++) {
      await client.send(get(`/${i}`));
      const answers = await client.answers(i);
      expect(answers.at(-1)?.body).toBe(`GET /${i}`);
    }
  });
});

describe('file descriptors', () => {
  it('run out: those who came in are answered, and all is well when there is room again', async (context) => {
    const own = testScope();
    const limit = 96;
    const node = await startAppNode(own, 'a');
    const pool = { nodes: [node.url], health: { timeout: '10s' } };
    const tight = await startEvenkeel(own, { pools: { app: pool } });
    await tight.fit(1);
    const limited = await lowerLimit(tight.child.pid, limit);
    if (!limited) return context.skip('prlimit is not installed (Debian: util-linux)');
    const clients = Array.from({ length: 2 * limit }, () => own.own(new RawClient(tight.port)));
    for (const client of clients) client.send(get('/')).catch(() => {});
    const answered = (): number => clients.filter((client) => client.received !== '').length;
    await until('some are answered', () => answered() > 10);
    // On a busy machine a thread that waits for its turn looks busy, but not for ever.
    await until('a thread that does not spin', async () => (await tight.stats()).threads[0]!.utilization < 0.9);
    await until('checks that can not be made', () =>
      tight.child.stderr.some((line) => line.includes('checks-impossible')),
    );

    for (const client of clients) client.socket.resetAndDestroy();
    await until('service again', async () => statusOf(await ask(tight.port, get('/'))) === 200);
    await until('the thread is quiet', async () => (await tight.stats()).threads[0]!.utilization < 0.5);
    expect(tight.child.exited).toBeNull();
    const stats = await tight.stats();
    expect(stats.threads.map((thread) => thread.restarts)).toEqual([0]);
    await until('nothing under way', async () => (await tight.pool()).active === 0);
    // Nothing was wrong with the node.
    expect(tight.child.stderr.filter((line) => line.includes('node-health'))).toEqual([]);
  });
});

function lowerLimit(pid: number, descriptors: number): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn('prlimit', [`--pid=${pid}`, `--nofile=${descriptors}:${descriptors}`]);
    child.once('error', () => resolve(false));
    child.once('close', (code) => resolve(code === 0));
  });
}
