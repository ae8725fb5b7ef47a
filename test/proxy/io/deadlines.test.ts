/**
 * In every state somebody's deadline runs, and it is the right one's: no connection is held for ever, and nobody pays
 * for the time in which another is awaited.
 */
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { statusOf } from '../../helpers/http-bytes.ts';
import { pause, until } from '../../helpers/poll.ts';
import { get } from '../../helpers/raw-client.ts';
import { type RawNode, sayWhat, startRawNode } from '../../helpers/raw-node.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { pool, settings } from '../../routing/fixtures.ts';
import { startWorld, type World, type WorldOptions } from '../world.ts';

interface Setup {
  readonly scope: Scope;
  readonly world: World;
  readonly node: RawNode;
}

async function setup(options: WorldOptions = {}): Promise<Setup> {
  const scope = testScope();
  const node = await startRawNode(scope);
  return { scope, node, world: await startWorld(scope, [node], options) };
}

const { upstream } = pool('app', 1);
const timeouts = (changed: Partial<typeof settings.timeouts>): Partial<WorldOptions> => ({
  settings: { timeouts: { ...settings.timeouts, ...changed } },
});
const upgrade = get('/ws', 'Connection: Upgrade', 'Upgrade: websocket');
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

describe('a tunnel', () => {
  it('lives by tunnelTimeout from its first moment on, not by bodyTimeout', async () => {
    const { world, node } = await setup({
      pool: { upstream: { ...upstream, bodyTimeout: 200, tunnelTimeout: 60_000 } },
    });
    node.respond = (_, connection) => connection.write(switching);
    const client = world.client();
    await client.send(upgrade);
    await client.sees('101 Switching');
    // A second tunnel behind it ends by a short tunnelTimeout: by then bodyTimeout has passed for the first one.
    const short = await setup({ pool: { upstream: { ...upstream, bodyTimeout: 60_000, tunnelTimeout: 500 } } });
    short.node.respond = node.respond;
    const other = short.world.client();
    await other.send(upgrade);
    await other.ended();
    expect(client.end).toBe('open');
    expect(node.connections[0]!.end).toBe('open');
  });

  it("passes on a FIN that came before the node's 101", async () => {
    const { world, node } = await setup();
    const client = world.client();
    let asked = false;
    node.respond = () => {
      asked = true;
    };
    await client.send(upgrade);
    client.halfClose();
    await until('request at the node', () => asked);
    await until('FIN at the proxy', () => client.socket.writableFinished);
    const ping = world.client();
    node.respond = sayWhat;
    await ping.send(get('/ping'));
    await ping.answers(1);
    node.connections[0]!.write(switching);
    await until('FIN at the node', () => node.connections[0]!.end !== 'open');
    await world.quiet(1);
  });
});

/** The proxy's end of the only client connection. The engine runs in this process. */
function clientSocket(world: World): Socket {
  const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles();
  return handles.find((one): one is Socket => one instanceof Socket && one.localPort === world.port)!;
}

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const chunk = (length: number): string => `${length.toString(16)}\r\n${'x'.repeat(length)}\r\n`;

/** Sends chunks to a client that does not read, until one of them stays in the proxy. Less than makes write() say no. */
async function fill({ world, node }: Setup): Promise<void> {
  const own = clientSocket(world);
  const { socket } = node.connections[0]!;
  const piece = chunk(16 * 1024);
  for (let stuck = 0, sent = 0, base = world.count('bytesIn'); stuck < 20; ) {
    if (own.writableLength > 0) {
      stuck++;
      await pause(10);
      continue;
    }
    stuck = 0;
    socket.write(piece, 'latin1');
    sent += piece.length;
    await until('it at the proxy', () => world.count('bytesIn') - base >= sent, { everyMs: 1 });
  }
}

describe('a client that has said FIN', () => {
  it('and takes no more of its answer is cut after the write timeout', async () => {
    const made = await setup(timeouts({ write: 300 }));
    const { world, node } = made;
    node.respond = (_, connection) => connection.write(chunked);
    const client = world.client();
    await client.send(get('/'));
    client.halfClose();
    await client.sees('200 OK');
    client.socket.pause();
    await fill(made);
    node.connections[0]!.write('0\r\n\r\n');
    await until('the exchange over', () => world.outcomes.length === 1);
    expect(world.outcomes).toMatchObject([{ end: 'ok' }]);
    await world.quiet();
  });

  it('gets the answers to all that it had asked for, however slowly it reads', async () => {
    const { world, node } = await setup();
    const size = 4 * 1024 * 1024;
    const body = 'y'.repeat(size);
    node.respond = (_, connection) => connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${body}`);
    const client = world.client();
    client.socket.pause();
    const count = 3;
    await client.send(get('/').repeat(count));
    client.halfClose();
    const own = clientSocket(world);
    await until('the proxy is stuck, and has the FIN', () => own.writableNeedDrain && own.readableEnded);
    client.socket.resume();
    expect(await client.answers(count)).toHaveLength(count);
    await world.quiet();
  });
});

describe('a client that is slow to send its body', () => {
  it("is not the node's fault: the deadline for the answer begins when the request is whole", async () => {
    const { world } = await setup({
      ...timeouts({ body: 600 }),
      pool: { upstream: { ...upstream, responseTimeout: 150 }, errorsToEject: 1 },
    });
    const client = world.client();
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf');
    expect((await client.answers(1)).map(statusOf)).toEqual([408]);
    await world.quiet();
    expect(world.signals).toEqual([]);
    expect(world.count('timeouts')).toBe(0);
  });

  it('the deadline for the answer does run once the request is whole', async () => {
    const pool = { upstream: { ...upstream, responseTimeout: 150 }, errorsToEject: 1 };
    const { world, node } = await setup({ pool });
    const whole = world.client();
    node.respond = () => {};
    await whole.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nha');
    await until('half of it at the node', () => node.connections.at(-1)!.tail.endsWith('ha'));
    await whole.send('lf');
    expect((await whole.answers(1)).map(statusOf)).toEqual([504]);
    expect(world.signals).not.toEqual([]);
  });

  it('a node that does not say 100 (Continue) is waited for as long as for an answer', async () => {
    const { world } = await setup({ pool: { upstream: { ...upstream, responseTimeout: 150 } } });
    const client = world.client();
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n');
    expect((await client.answers(1)).map(statusOf)).toEqual([504]);
  });

  it('and a node that does not take it is: 504', async () => {
    const { world, node } = await setup({ pool: { upstream: { ...upstream, responseTimeout: 300 } } });
    node.onConnection = ({ socket }) => socket.pause();
    const client = world.client();
    const size = 64 * 1024 * 1024;
    await client.send(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size / 2)}`);
    await until('the exchange over', () => world.outcomes.length === 1);
    expect(world.outcomes).toMatchObject([{ status: 504, end: 'timeout' }]);
  });
});

describe('a thread that stood still for longer than a deadline', () => {
  const standStill = (ms: number): void => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };
  const shortOnes = { connectTimeout: 300, responseTimeout: 300 };

  it('looks first whether the answer that it waits for is there', async () => {
    const { world, node } = await setup({ pool: { upstream: { ...upstream, ...shortOnes } } });
    node.respond = (request, connection) => {
      sayWhat(request, connection);
      standStill(700);
    };
    const client = world.client();
    await client.send(get('/a'));
    expect((await client.answers(1)).map(statusOf)).toEqual([200]);
    expect(world.count('timeouts')).toBe(0);
  });

  it('and whether it is connected', async () => {
    const { world } = await setup({ pool: { upstream: { ...upstream, ...shortOnes } } });
    const client = world.client();
    await client.send(get('/a'));
    // In the turn in which the engine has begun to connect.
    while (world.count('connects') === 0) await new Promise((resolve) => setImmediate(resolve));
    standStill(700);
    expect((await client.answers(1)).map(statusOf)).toEqual([200]);
    expect(world.count('connectErrors')).toBe(0);
  });
});

describe('a client over maxConnections', () => {
  it('is let go though it goes on sending', async () => {
    const { world, scope } = await setup({ settings: { limits: { ...settings.limits, maxConnections: 0 } } });
    const client = world.client();
    await client.sees('503');
    const timer = setInterval(() => client.socket.write('x'), 100);
    scope.own({ stop: () => clearInterval(timer) });
    await until('closed', () => client.socket.closed);
  });
});
