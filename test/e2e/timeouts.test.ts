/** Every wait has an end, kept small here by config. What is judged is what happens, never how long it took. */
import { connect as dial } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { field, statusOf } from '../helpers/http-bytes.ts';
import { type AppNode, startAppNode } from '../helpers/nodes.ts';
import { pause, until } from '../helpers/poll.ts';
import { ask, get, RawClient } from '../helpers/raw-client.ts';
import { type RawNode, startRawNode } from '../helpers/raw-node.ts';
import { fileScope, testScope } from '../helpers/scope.ts';

const scope = fileScope();
let app: AppNode;
let raw: RawNode;
let ek: Evenkeel;

beforeAll(async () => {
  app = await startAppNode(scope, 'a');
  raw = await startRawNode(scope);
  ek = await startEvenkeel(scope, {
    // Long enough for a client that connects to get its first words in, however busy the machine is.
    timeouts: { head: '1500ms', body: '1500ms', keepAlive: '1500ms', write: '1500ms' },
    pools: {
      app: { nodes: [app.url], retry: { attempts: 1 } },
      raw: {
        nodes: [raw.url],
        health: 'off',
        passive: { consecutiveErrors: 0 },
        retry: { attempts: 1 },
        upstream: { connectTimeout: '10s', responseTimeout: '1s', bodyTimeout: '1s', tunnelTimeout: '1s' },
      },
    },
    routes: [
      { path: '/raw', pool: 'raw' },
      { path: '/', pool: 'app' },
    ],
  });
  await ek.fit(1);
});

const connect = (): RawClient => testScope().own(new RawClient(ek.port));

describe('clients', () => {
  it('a head that does not become whole: 408, closed', async () => {
    const client = connect();
    await client.send('GET / HTTP/1.1\r\nHost: ek');
    expect(await client.ended()).toBe('fin');
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(408);
    expect(field(answer!, 'connection')?.toLowerCase()).toBe('close');
  });

  it('a head that drips byte by byte: 408 all the same', async () => {
    const client = connect();
    const drip = setInterval(() => void client.send('X').catch(() => {}), 20);
    testScope().own({ stop: () => clearInterval(drip) });
    await client.send('GET / HTTP/1.1\r\nHost: ek.test\r\nX-A: ');
    await client.ended();
    expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('nothing at all: closed without a word', async () => {
    const client = connect();
    expect(await client.ended()).toBe('fin');
    expect(client.received).toBe('');
  });

  it('nothing after an answer: closed without a word', async () => {
    const client = connect();
    await client.send(get('/'));
    await client.answers(1);
    await client.ended();
    expect(client.read().rest).toBe('');
    expect(client.read().messages.length).toBe(1);
  });

  it('a body that stops: 408, and the node’s exchange is ended', async () => {
    const client = connect();
    await client.send('POST /raw/stops HTTP/1.1\r\nHost: ek.test\r\nContent-Length: 100\r\n\r\nhello');
    const connection = await until('request at the node', () =>
      raw.connections.find((one) => one.tail.includes('/raw/stops')),
    );
    await client.ended();
    expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
    await until('end at the node', () => connection.end !== 'open');
    await until('nothing in flight', async () => (await ek.pool('raw')).active === 0);
  });

  it('a body that comes slowly but comes is no reason', async () => {
    const own = testScope();
    const patient = await startEvenkeel(own, {
      timeouts: { head: '3s', body: '3s', keepAlive: '3s' },
      pools: { app: { nodes: [app.url] } },
    });
    await patient.fit(1);
    const client = own.own(new RawClient(patient.port));
    await client.send('POST /echo HTTP/1.1\r\nHost: ek.test\r\nContent-Length: 20\r\n\r\n');
    for (let i = 0; i < 20; i++) {
      await client.send('x');
      await pause(200);
    }
    expect(statusOf((await client.answers(1))[0]!)).toBe(200);
  });

  it('a client that takes nothing of its answer is cut off', async () => {
    const own = testScope();
    const before = (await ek.stats()).threads[0]!.counters.writeTimeouts;
    const socket = dial({ port: ek.port, host: '127.0.0.1' });
    own.own({ stop: () => void socket.destroy() });
    socket.on('error', () => {});
    socket.write(get(`/big?bytes=${256 * 1024 * 1024}`));
    await until('write time-out', async () => (await ek.stats()).threads[0]!.counters.writeTimeouts === before + 1);
    await until('nothing in flight', async () => (await ek.pool('app')).active === 0);
  });
});

describe('nodes', () => {
  it('no answer: 504, the connection is not used again', async () => {
    raw.respond = () => {};
    const answer = await ask(ek.port, get('/raw/silent'));
    expect(statusOf(answer)).toBe(504);
    expect(field(answer, 'proxy-status')).toContain('evenkeel; error=');
    await until('end at the node', () => raw.connections.every((one) => one.end !== 'open'));
  });

  it('a head that stops: 504', async () => {
    raw.respond = (_request, connection) => connection.write('HTTP/1.1 200 OK\r\nContent-');
    expect(statusOf(await ask(ek.port, get('/raw/half')))).toBe(504);
  });

  it('a body that stops: the client’s connection is cut', async () => {
    raw.respond = (_request, connection) => connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello');
    const client = connect();
    await client.send(get('/raw/stops'));
    await client.ended();
    expect(client.read().messages[0]).toMatchObject({ complete: false, body: 'hello' });
  });

  it('a tunnel without a byte is closed', async () => {
    raw.respond = (_request, connection) =>
      connection.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const client = connect();
    await client.send(
      get('/raw/ws', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x', 'Sec-WebSocket-Version: 13'),
    );
    await client.sees('101');
    await client.ended();
  });

  it('the time-outs are counted', async () => {
    await until('nothing in flight', async () => (await ek.pool('raw')).nodes[0]!.inFlight === 0);
    const node = (await ek.pool('raw')).nodes[0]!;
    expect(node.counters.timeouts).toBeGreaterThanOrEqual(2);
  });
});
