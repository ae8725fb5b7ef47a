/** Connections that break at every byte, and descriptors that run out: nothing leaks, nothing is mixed up, service goes on. */
import { spawn } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
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
  ek = await startEvenkeel(scope, {
    pools: { app: { nodes: [raw.url], health: 'off', passive: 'off', retry: { attempts: 1 } } },
  });
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
  it.each(['reset', 'end'])('%s at every byte of a request', async (how) => {
    raw.respond = sayWhat;
    for (let i = 0; i <= request.length; i++) {
      const client = new RawClient(ek.port);
      await client.send(request.slice(0, i));
      if (how === 'reset') client.socket.resetAndDestroy();
      else client.socket.destroy();
    }
    await expectClean();
  });

  it('reset at every byte of an answer', async () => {
    raw.respond = (_request, connection) => connection.write(answer);
    const { received } = await whole();
    for (let i = 1; i <= received.length; i += 3) {
      const client = new RawClient(ek.port);
      await client.send(get('/x'));
      await client.sees(i);
      client.socket.resetAndDestroy();
    }
    await expectClean();
  });
});

async function whole(): Promise<RawClient> {
  const client = new RawClient(ek.port);
  await client.send(get('/x'));
  await client.answers(1);
  client.stop();
  return client;
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
    const tight = await startEvenkeel(own, { pools: { app: { nodes: [node.url] } } });
    await tight.fit(1);
    const limited = await lowerLimit(tight.child.pid, limit);
    if (!limited) return context.skip('prlimit is not installed (Debian: util-linux)');
    const clients = Array.from({ length: 2 * limit }, () => own.own(new RawClient(tight.port)));
    for (const client of clients) client.send(get('/')).catch(() => {});
    const answered = (): number => clients.filter((client) => client.received !== '').length;
    await until('some are answered', () => answered() > 10);
    expect((await tight.stats()).threads[0]!.utilization).toBeLessThan(0.9);
    await until('checks that can not be made', () =>
      tight.child.stderr.some((line) => line.includes('checks-impossible')),
    );

    for (const client of clients) client.socket.resetAndDestroy();
    await until('service again', async () => statusOf(await ask(tight.port, get('/'))) === 200);
    await until('the thread is quiet', async () => (await tight.stats()).threads[0]!.utilization < 0.5);
    expect(tight.child.exited).toBeNull();
    const stats = await tight.stats();
    expect(stats.threads.map((thread) => thread.restarts)).toEqual([0]);
    expect((await tight.pool()).active).toBe(0);
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
