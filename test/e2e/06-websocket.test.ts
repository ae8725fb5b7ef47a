/** WebSockets pass through unread: frames come out as they went in, and a refusal stays ordinary HTTP. */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { statusOf } from '../helpers/http-bytes.ts';
import { type AppNode, startAppNode } from '../helpers/nodes.ts';
import { until, within } from '../helpers/poll.ts';
import { get, RawClient } from '../helpers/raw-client.ts';
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
    pools: { app: { nodes: [app.url] }, raw: { nodes: [raw.url], health: 'off' } },
    routes: [
      { path: '/raw', pool: 'raw' },
      { path: '/', pool: 'app' },
    ],
  });
  await ek.fit(1);
});

const open = async (): Promise<WebSocket> => {
  const socket = new WebSocket(`ws://127.0.0.1:${ek.port}/chat?x=y`, { maxPayload: 64 * 1024 * 1024 });
  await within('open', new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject)));
  return socket;
};

const echo = (socket: WebSocket, data: Buffer): Promise<Buffer> =>
  within(
    `echo of ${data.length} bytes`,
    new Promise((resolve, reject) => {
      socket.once('message', (got) => resolve(got as Buffer));
      socket.once('error', reject);
      socket.send(data);
    }),
    90_000,
  );

const upgrade = (target: string): string =>
  get(
    target,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  );
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

describe('echo with ws', () => {
  it.each([0, 1, 125, 126, 65_535, 65_536, 1024 * 1024])('a frame of %i bytes comes back as it went', async (bytes) => {
    const socket = await open();
    const data = randomBytes(bytes);
    expect((await echo(socket, data)).equals(data)).toBe(true);
    socket.terminate();
  });

  it('twenty frames of 1 MiB at once, both directions', async () => {
    const socket = await open();
    const frames = Array.from({ length: 20 }, () => randomBytes(1024 * 1024));
    const got: Buffer[] = [];
    socket.on('message', (data) => got.push(data as Buffer));
    for (const frame of frames) socket.send(frame);
    await until('all frames', () => got.length === frames.length, { withinMs: 90_000 });
    expect(got.map((frame, i) => frame.equals(frames[i]!))).toEqual(frames.map(() => true));
    socket.terminate();
  });

  it('the closing handshake passes, with its code', async () => {
    const socket = await open();
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    socket.close(4321, 'bye');
    expect(await within('close', closed)).toBe(4321);
  });

  it('a client that is gone is gone at the node too', async () => {
    const socket = await open();
    const connections = (await app.stats()).connections;
    socket.terminate();
    await until('its connection closed', async () => (await app.stats()).connections < connections);
  });
});

describe('the handshake', () => {
  it('bytes behind the request wait for the 101', async () => {
    const own = testScope();
    raw.respond = () => {};
    const client = own.own(new RawClient(ek.port));
    await client.send(`${upgrade('/raw/early')}early bytes`);
    const connection = await until('request at the node', () =>
      raw.connections.find((one) => one.requests.some((r) => r.start.includes('/early'))),
    );
    expect(connection.tail).toBe('');
    connection.write(switching);
    await until('early bytes', () => connection.tail === 'early bytes');
    connection.write('node speaks');
    await client.sees('node speaks');
    await client.send('client speaks');
    await until('late bytes', () => connection.tail === 'early bytesclient speaks');
  });

  it('bytes behind the 101 are not lost', async () => {
    const own = testScope();
    raw.respond = (_request, connection) => connection.write(`${switching}at once`);
    const client = own.own(new RawClient(ek.port));
    await client.send(upgrade('/raw/at-once'));
    await client.sees('at once');
    expect(client.received.startsWith('HTTP/1.1 101 ')).toBe(true);
    expect(client.received.toLowerCase()).toContain('upgrade: websocket\r\n');
  });

  it('an end of either side ends the other', async () => {
    const own = testScope();
    raw.respond = (_request, connection) => connection.write(switching);
    const client = own.own(new RawClient(ek.port));
    await client.send(upgrade('/raw/end-1'));
    await client.sees('101');
    const connection = raw.connections.at(-1)!;
    connection.socket.end();
    await client.ended();

    const other = own.own(new RawClient(ek.port));
    await other.send(upgrade('/raw/end-2'));
    await other.sees('101');
    const second = raw.connections.at(-1)!;
    other.halfClose();
    await until('end at the node', () => second.end !== 'open');
  });

  it.each([200, 400, 426, 503])('a refusal with %i stays HTTP, and the connection goes on', async (status) => {
    const own = testScope();
    raw.respond = (_request, connection) => connection.write(`HTTP/1.1 ${status} No\r\nContent-Length: 2\r\n\r\nno`);
    const client = own.own(new RawClient(ek.port));
    await client.send(upgrade('/raw/refused'));
    const [first] = await client.answers(1);
    expect([statusOf(first!), first!.body]).toEqual([status, 'no']);
    await client.send(get('/'));
    const [, second] = await client.answers(2);
    expect([statusOf(second!), second!.body]).toEqual([200, 'a\n']);
  });
});
