/** Clients as they come: old, half-closed, slow, impatient, talkative. Each gets its whole answer or a clear refusal. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { field, type Message, statusOf } from '../helpers/http-bytes.ts';
import { type AppNode, startAppNode } from '../helpers/nodes.ts';
import { patternBlocks } from '../helpers/pattern.ts';
import { until } from '../helpers/poll.ts';
import { get, RawClient } from '../helpers/raw-client.ts';
import { type RawConnection, type RawNode, sayWhat, startRawNode } from '../helpers/raw-node.ts';
import { fileScope, testScope } from '../helpers/scope.ts';

const scope = fileScope();
let app: AppNode;
let raw: RawNode;
let ek: Evenkeel;

beforeAll(async () => {
  app = await startAppNode(scope, 'a');
  raw = await startRawNode(scope);
  ek = await startEvenkeel(scope, {
    pools: {
      app: { nodes: [app.url] },
      raw: { nodes: [raw.url], health: 'off', passive: { consecutiveErrors: 0 } },
    },
    routes: [
      { path: '/raw', pool: 'raw' },
      { path: '/abort', pool: 'app', abortOnFin: true },
      { path: '/', pool: 'app' },
    ],
  });
  await ek.fit(1);
});
beforeEach(() => {
  raw.respond = sayWhat;
});

const connect = (): RawClient => testScope().own(new RawClient(ek.port));

/** The connection of the raw node on which a request for this target came, whole or not. */
const carrying = (target: string): Promise<RawConnection> =>
  until(`request for ${target} at the node`, () =>
    raw.connections.find(
      (one) =>
        one.tail.includes(` ${target} `) || one.requests.some((request) => request.start.includes(` ${target} `)),
    ),
  );

describe('pipelining', () => {
  it('100 requests at once are answered in order', async () => {
    const client = connect();
    const requests = Array.from({ length: 100 }, (_, i) => get(`/raw/${i}`));
    await client.send(requests.join(''));
    const answers = await client.answers(100);
    expect(answers.map((answer) => answer.body)).toEqual(requests.map((_, i) => `GET /raw/${i}`));
  });

  it('large answers do not block it, nor the order of mixed methods', async () => {
    const client = connect();
    const big = `/big?bytes=${3 * 1024 * 1024}`;
    const post = 'POST /raw/post HTTP/1.1\r\nHost: ek.test\r\nContent-Length: 5\r\n\r\nhello';
    const methods = ['GET', 'HEAD', 'POST', 'GET', 'GET'];
    await client.send([get(big), get('/raw/head').replace('GET', 'HEAD'), post, get(big), get('/raw/last')].join(''));
    const answers = await client.answers(5, { methods, withinMs: 60_000 });
    expect(answers.map((answer) => answer.body.length)).toEqual([3145728, 0, 14, 3145728, 13]);
    expect(answers[4]!.body).toBe('GET /raw/last');
  });

  it('what is still to come is not lost when the client half-closes', async () => {
    const client = connect();
    await client.send(Array.from({ length: 20 }, (_, i) => get(`/raw/h${i}`)).join(''));
    client.halfClose();
    expect((await client.answers(20)).map((answer) => answer.body)).toEqual(
      Array.from({ length: 20 }, (_, i) => `GET /raw/h${i}`),
    );
    expect(await client.ended()).toBe('fin');
  });
});

describe('half-closed clients', () => {
  it('get an answer that comes later', async () => {
    const client = connect();
    await client.send(get('/hold'));
    await until('held', async () => (await app.stats()).held === 1);
    client.halfClose();
    // It must not be taken for gone: the node still holds the request a good while of turns later.
    for (let i = 0; i < 20; i++) expect((await app.stats()).held).toBe(1);
    await app.release();
    expect((await client.answers(1))[0]?.body).toBe('a\n');
  });

  it('are gone where the route says so (abortOnFin)', async () => {
    const client = connect();
    raw.respond = () => {};
    const own = testScope();
    const node = await startRawNode(own);
    node.respond = () => {};
    const other = await startEvenkeel(own, {
      pools: { app: { nodes: [node.url], health: 'off' } },
      routes: [{ path: '/', pool: 'app', abortOnFin: true }],
    });
    const leaving = own.own(new RawClient(other.port));
    await leaving.send(get('/x'));
    const connection = await until('request', () => node.connections.find((one) => one.requests.length === 1));
    leaving.halfClose();
    await until('end at the node', () => connection.end !== 'open');
    await until('counted out', async () => (await other.pool()).active === 0);
    client.stop();
  });
});

describe('clients that go away', () => {
  it('within their request: the node’s exchange is ended', async () => {
    const client = connect();
    await client.send('POST /raw/gone HTTP/1.1\r\nHost: ek.test\r\nContent-Length: 1000\r\n\r\nhello');
    const connection = await carrying('/raw/gone');
    client.socket.resetAndDestroy();
    await until('end at the node', () => connection.end !== 'open');
  });

  it('while waiting: the node’s exchange is ended, counted as abort', async () => {
    const client = connect();
    raw.respond = () => {};
    await client.send(get('/raw/waiting'));
    const connection = await carrying('/raw/waiting');
    const before = (await ek.stats()).listeners[0]!.counters.clientAborts;
    client.socket.resetAndDestroy();
    await until('end at the node', () => connection.end !== 'open');
    await until('counted', async () => (await ek.stats()).listeners[0]!.counters.clientAborts === before + 1);
  });

  it('within their answer: the node’s exchange is ended', async () => {
    const client = connect();
    raw.respond = (_request, connection) => connection.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello');
    await client.send(get('/raw/within'));
    await client.sees('hello');
    const connection = await carrying('/raw/within');
    client.socket.resetAndDestroy();
    await until('end at the node', () => connection.end !== 'open');
    await until('nothing in flight', async () => (await ek.pool('raw')).active === 0);
  });
});

describe('Expect: 100-continue', () => {
  const head = (target: string): string =>
    `POST ${target} HTTP/1.1\r\nHost: ek.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`;

  it('the node’s 100 comes first, then the body goes, then the answer comes', async () => {
    const client = connect();
    await client.send(head('/raw/expect'));
    const connection = await carrying('/raw/expect');
    expect(connection.tail).toMatch(/\r\nexpect: 100-continue\r\n/i);
    expect(client.received).toBe('');
    connection.write('HTTP/1.1 100 Continue\r\n\r\n');
    await client.sees('HTTP/1.1 100 Continue\r\n\r\n');
    await client.send('hello');
    const [answer] = await client.answers(1);
    expect(answer?.body).toBe('POST /raw/expect');
    expect(connection.requests.at(-1)?.body).toBe('hello');
    await client.send(get('/raw/after'));
    expect((await client.answers(2))[1]?.body).toBe('GET /raw/after');
  });

  it('a refusal without 100 comes through, and both connections end', async () => {
    const client = connect();
    await client.send(head('/raw/refused'));
    const connection = await carrying('/raw/refused');
    connection.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno');
    const [answer] = await client.answers(1);
    expect([statusOf(answer!), answer!.body]).toEqual([401, 'no']);
    await client.ended();
    await until('end at the node', () => connection.end !== 'open');
  });
});

describe('an early answer', () => {
  const KiB = 1024;

  /** Sends on and on, as clients do that look for an answer only between writes. */
  async function sendAll(client: RawClient, target: string, bytes: number): Promise<void> {
    await client.send(`POST ${target} HTTP/1.1\r\nHost: ek.test\r\nContent-Length: ${bytes}\r\n\r\n`);
    for (const block of patternBlocks(bytes)) {
      if (client.end !== 'open' || !client.socket.writable) return;
      if (client.socket.write(block)) continue;
      const drained = new Promise((resolve) => client.socket.once('drain', resolve));
      await Promise.race([drained, client.ended().catch(() => {})]);
    }
  }

  /** Ten clients, one after the other: what each got. */
  async function tenAnswers(port: number, target: string, bytes: number): Promise<string[]> {
    const got: string[] = [];
    for (let i = 0; i < 10; i++) {
      const client = new RawClient(port);
      await sendAll(client, `${target}-${i}`, bytes);
      const [answer] = await client.answers(1);
      got.push(answer === undefined ? `nothing (${client.end})` : answer.start.slice(9, 12));
      client.stop();
    }
    return got;
  }
  const tenTimes = (status: string): string[] => Array.from({ length: 10 }, () => status);

  it.each([900 * KiB, 8 * 1024 * KiB])('413 of the node reaches a client that still sends %i bytes', async (bytes) => {
    raw.onConnection = (connection) => {
      connection.socket.once('data', () => {
        if (!connection.tail.includes('/raw/early')) return;
        connection.write('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge');
        connection.socket.end();
      });
    };
    const got = await tenAnswers(ek.port, '/raw/early', bytes);
    raw.onConnection = () => {};
    expect(got).toEqual(tenTimes('413'));
  });

  describe('of ours (maxBody)', () => {
    const own = fileScope();
    let strict: Evenkeel;
    beforeAll(async () => {
      strict = await startEvenkeel(own, { limits: { maxBody: '64KiB' }, pools: { app: { nodes: [app.url] } } });
      await strict.fit(1);
    });

    it.each([900 * KiB, 8 * 1024 * KiB])('413 reaches a client that still sends %i bytes', async (bytes) => {
      expect(await tenAnswers(strict.port, '/echo', bytes)).toEqual(tenTimes('413'));
    });

    it('a chunked body that grows too large is 413 too, and closes', async () => {
      const client = testScope().own(new RawClient(strict.port));
      await client.send('POST /echo HTTP/1.1\r\nHost: ek.test\r\nTransfer-Encoding: chunked\r\n\r\n');
      const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
      for (let i = 0; i < 8; i++) await client.send(chunk);
      const [answer] = await client.answers(1);
      expect(answer?.start.slice(9, 12)).toBe('413');
      expect(field(answer!, 'connection')?.toLowerCase()).toBe('close');
    });

    it('a body of exactly the limit passes', async () => {
      const client = testScope().own(new RawClient(strict.port));
      await sendAll(client, '/echo', 64 * KiB);
      const [answer] = await client.answers(1);
      expect(JSON.parse(answer!.body)).toMatchObject({ bytes: 64 * KiB });
    });
  });
});

describe('HTTP/1.0', () => {
  it('keep-alive is kept for sized answers and given up for others', async () => {
    const client = connect();
    await client.send('GET /raw/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    const [first] = await client.answers(1);
    expect(field(first!, 'connection')?.toLowerCase()).toBe('keep-alive');
    await client.send('GET /chunked?bytes=10000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    expect(await client.ended()).toBe('fin');
    const [, second] = await client.answers(2);
    expect([second!.framing, second!.body.length, field(second!, 'connection')?.toLowerCase()]).toEqual([
      'until-close',
      10_000,
      'close',
    ]);
  });
});

describe('answers of any shape', () => {
  it('byte by byte from the node, byte by byte from the client', async () => {
    const client = connect();
    const bytes = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n';
    raw.respond = (_request, connection) => {
      const next = (i: number): void => {
        if (i === bytes.length) return;
        connection.write(bytes[i]!);
        setImmediate(next, i + 1);
      };
      next(0);
    };
    await client.send(get('/raw/slow'), 'bytes');
    const [answer] = await client.answers(1);
    expect((answer as Message).body).toBe('hello!');
  });

  it('a first byte of the body does not wait for the second', async () => {
    const client = connect();
    raw.respond = (_request, connection) => connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na');
    await client.send(get('/raw/stream'));
    await client.sees('\r\n\r\na');
    (await carrying('/raw/stream')).write('b');
    expect((await client.answers(1))[0]?.body).toBe('ab');
  });
});
