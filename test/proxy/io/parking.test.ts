/** Writes that wait for a primary (rule 5.5): unsent, in order, bounded, their bodies left in the client's socket. */
import { createServer, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { field, finalOf, statusOf } from '../../helpers/http-bytes.ts';
import { pause, until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { ask, get, type RawClient } from '../../helpers/raw-client.ts';
import { RawConnection, sayWhat, startRawNode } from '../../helpers/raw-node.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { makeCertificate } from '../../helpers/tls.ts';
import { PrimaryWorld, parking, post, primaryWorld, received, split } from '../primary-world.ts';
import { closedPort, deafPort, startWorld } from '../world.ts';

/** Writes on connections of their own, each parked before the next is sent. */
async function parkAll(made: PrimaryWorld, targets: readonly string[]): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const target of targets) {
    const client = made.world.client();
    clients.push(client);
    await client.send(post(target));
    await until('parked', () => made.parked === clients.length);
  }
  return clients;
}

/** The proxy's end of the only client connection. The engine runs in this process. */
function ownSocket(port: number): Socket {
  const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles();
  return handles.find((one): one is Socket => one instanceof Socket && one.localPort === port)!;
}

/** A node on this port that speaks TLS. `accepted`: before the first connection's handshake. */
async function secureNode(scope: Scope, port: number, accepted: () => void): Promise<readonly RawConnection[]> {
  const open: RawConnection[] = [];
  const secure = createTlsServer(await makeCertificate(await scope.folder(), 'node'), (socket) => {
    open.push(new RawConnection(socket, () => sayWhat));
  });
  let count = 0;
  const server = createServer((socket) => {
    if (count++ === 0) accepted();
    secure.emit('connection', socket);
  });
  scope.own({
    stop: () => {
      for (const { socket } of open) socket.destroy();
      server.close();
    },
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return open;
}

const targets = (count: number): string[] => Array.from({ length: count }, (_, i) => `/${i}`);

describe('writes without leave', () => {
  it('go out in the order in which they came, each once, and all are answered', async () => {
    const made = await primaryWorld();
    const order: string[] = [];
    made.nodes[1]!.respond = (request, connection) => {
      order.push(request.start.split(' ')[1]!);
      sayWhat(request, connection);
    };
    const clients = await parkAll(made, targets(20));
    made.lease(1, 2);
    const answers = await Promise.all(clients.map((client) => client.answers(1)));
    expect(answers.map(([answer]) => answer!.body)).toEqual(targets(20).map((target) => `POST ${target}`));
    expect(made.nodes.map((node) => received(node).length)).toEqual([0, 20]);
    expect([...order].sort()).toEqual([...targets(20)].sort());
    await made.quiet(20);
    expect(made.count('parkedMs')).toBeGreaterThan(0);
  });

  it('go out one after the other where the primary takes one at a time', async () => {
    const made = await primaryWorld({ pool: { limits: { maxConnections: 1, maxPending: 0, queueTimeout: 100 } } });
    const order: string[] = [];
    let atOnce = 0;
    let most = 0;
    made.nodes[1]!.respond = (request, connection) => {
      order.push(request.start.split(' ')[1]!);
      most = Math.max(most, ++atOnce);
      void pause(5).then(() => {
        atOnce--;
        sayWhat(request, connection);
      });
    };
    const clients = await parkAll(made, targets(12));
    made.lease(1, 2);
    await Promise.all(clients.map((client) => client.answers(1)));
    expect(order).toEqual(targets(12));
    expect(most).toBe(1);
    await made.quiet(12);
  });

  it('a new one does not overtake those that wait', async () => {
    const made = await primaryWorld({ pool: { limits: { maxConnections: 1, maxPending: 9, queueTimeout: 60_000 } } });
    const order: string[] = [];
    made.nodes[0]!.respond = (request, connection) => {
      order.push(request.start.split(' ')[1]!);
      void pause(10).then(() => sayWhat(request, connection));
    };
    const clients = await parkAll(made, targets(3));
    made.lease(0, 2);
    const late = made.world.client();
    await late.send(post('/late'));
    await Promise.all([...clients, late].map((client) => client.answers(1)));
    expect(order).toEqual([...targets(3), '/late']);
  });

  it('past the bound of time get 503 with Retry-After, and reach no node', async () => {
    const made = await primaryWorld({ parking: { time: 100 } });
    const answer = await ask(made.world.port, post('/w'));
    expect([statusOf(answer), field(answer, 'retry-after')]).toEqual([503, '1']);
    made.lease(0, 1);
    await made.quiet();
    expect(made.nodes.flatMap(received)).toEqual([]);
    expect(made.world.outcomes[0]).toMatchObject({ end: 'parked', status: 503, epoch: 0, tries: 0 });
    expect([made.count('parked'), made.count('parkTimeouts')]).toEqual([1, 1]);
  });

  it('past the bound of number, those too many get 503 at once', async () => {
    const made = await primaryWorld({ parking: { writes: 2 } });
    const clients = await parkAll(made, targets(2));
    expect(statusOf(await ask(made.world.port, post('/more')))).toBe(503);
    expect([made.parked, made.count('parkFull')]).toEqual([2, 1]);
    made.lease(0, 1);
    await Promise.all(clients.map((client) => client.answers(1)));
    expect(received(made.nodes[0]!)).toHaveLength(2);
    await made.quiet(2);
  });

  it('past the bound of bytes, too', async () => {
    const made = await primaryWorld({ parking: { bytes: 20_000 } });
    const client = made.world.client();
    await client.send(post('/large', 'x'.repeat(15_000)));
    await until('parked', () => made.parked === 1);
    expect(made.parkedBytes).toBeGreaterThan(15_000);
    expect(statusOf(await ask(made.world.port, post('/more', 'x'.repeat(15_000))))).toBe(503);
    made.lease(0, 1);
    await client.answers(1);
    await made.quiet(1);
  });

  it('leave the rest of their bodies in the client’s socket', async () => {
    const made = await primaryWorld();
    const body = 'x'.repeat(6 * 1024 * 1024);
    const client = made.world.client();
    await client.send(post('/large', body));
    await until('parked', () => made.parked === 1);
    await pause(200);
    expect(made.parkedBytes).toBeLessThan(128 * 1024);
    // How much of the rest the kernel takes is the machine's affair.
    const { bytesRead } = ownSocket(made.world.port);
    expect(bytesRead).toBeGreaterThan(0);
    expect(bytesRead).toBeLessThan(256 * 1024);
    made.lease(0, 1);
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(200);
    expect(made.nodes[0]!.requests()[0]!.body.length).toBe(body.length);
    await made.quiet(1);
  });

  it('a client that leaves takes its write away', async () => {
    const made = await primaryWorld();
    const [first, second] = await parkAll(made, ['/gone', '/stays']);
    first!.socket.resetAndDestroy();
    await until('one left', () => made.parked === 1);
    made.lease(0, 1);
    await second!.answers(1);
    expect(received(made.nodes[0]!)).toEqual(['POST /stays 1']);
    await made.quiet(1);
  });

  it('wait on while the engine drains, and are answered with Connection: close', async () => {
    const made = await primaryWorld();
    const [client] = await parkAll(made, ['/w']);
    made.world.engine.drain();
    await pause(50);
    expect([made.parked, made.world.drained]).toEqual([1, 0]);
    made.lease(0, 1);
    const [answer] = await client!.answers(1);
    expect([statusOf(answer!), field(answer!, 'connection')]).toEqual([200, 'close']);
    await until('drained', () => made.world.drained === 1);
  });

  it('are taken off all counts when the engine is stopped', async () => {
    const made = await primaryWorld();
    await parkAll(made, targets(5));
    made.world.stop();
    await until('given back', () => made.parked === 0 && made.parkedBytes === 0);
  });

  it('are refused when they are told not to wait any more', async () => {
    const made = await primaryWorld();
    const clients = await parkAll(made, targets(3));
    made.say({ mode: 'refuse' });
    const answers = await Promise.all(clients.map((client) => client.answers(1)));
    expect(answers.map(([answer]) => statusOf(answer!))).toEqual([503, 503, 503]);
    await made.quiet(3);
  });

  it('requests behind them on the same connection wait for their answers', async () => {
    const made = await primaryWorld();
    made.reader(1);
    const client = made.world.client();
    await client.send(`${post('/w')}${get('/r')}`);
    await until('parked', () => made.parked === 1);
    made.lease(0, 1);
    const answers = await client.answers(2);
    expect(answers.map((answer) => answer.body)).toEqual(['POST /w', 'GET /r']);
  });
});

describe('a write whose connection could not be opened is unsent (5.5)', () => {
  it('it is parked from the first refusal on, and goes to the next primary', async () => {
    const scope = testScope();
    const next = await startRawNode(scope);
    const world = await startWorld(scope, [await closedPort(), next], {
      pool: { primary: { parking, split, alone: true } },
    });
    const made = new PrimaryWorld(scope, world, [next, next]);
    made.lease(0, 1);
    const clients = [made.world.client(), made.world.client(), made.world.client()];
    for (const [i, client] of clients.entries()) await client.send(post(`/${i}`));
    await until('parked', () => made.parked === 3);
    await until('told', () => made.world.signals.some(({ signal, node }) => signal === 'refused' && node === 'n-0'));
    made.lease(1, 2);
    const answers = await Promise.all(clients.map((client) => client.answers(1)));
    expect(answers.map(([answer]) => statusOf(answer!))).toEqual([200, 200, 200]);
    expect(received(next).sort()).toEqual(['POST /0 2', 'POST /1 2', 'POST /2 2']);
    await made.quiet(3);
  });

  it('one goes ahead to try, and the others follow once the same primary takes connections again', async () => {
    const scope = testScope();
    const port = await freePort();
    const world = await startWorld(scope, [{ port }], { pool: { primary: { parking, split, alone: true } } });
    const made = new PrimaryWorld(scope, world, []);
    made.lease(0, 1);
    const clients = Array.from({ length: 30 }, () => made.world.client());
    await Promise.all(clients.map((client, i) => client.send(post(`/${i}`))));
    await until('parked', () => made.parked === 30 || made.world.count('connectErrors') > 32);
    const before = made.world.count('connectErrors');
    await until('tried again', () => made.world.count('connectErrors') >= before + 3);
    // Each look of the room would be thirty connections otherwise.
    expect(made.world.count('connectErrors')).toBeLessThan(before + 30);
    const node = await startRawNode(scope, port);
    const answers = await Promise.all(clients.map((client) => client.answers(1)));
    expect(answers.every(([answer]) => statusOf(answer!) === 200)).toBe(true);
    expect(received(node)).toHaveLength(30);
    await made.quiet(30);
  });

  it('one that went ahead and found that it may not begin leaves the next try to another', async () => {
    const scope = testScope();
    const replica = await startRawNode(scope);
    replica.respond = (_request, connection) =>
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n');
    const port = await freePort();
    const tls = { ca: null, cert: null, key: null, verify: false, servername: null };
    const primary = { parking, split: { ...split, reads: ['primary'] as const }, alone: true };
    const world = await startWorld(scope, [{ port }, replica], { pool: { tls, primary } });
    const [first, second] = world.nodes;
    world.nodes = [{ ...first!, address: { kind: 'tcp', host: '127.0.0.1', port, tls: true } }, second!];
    world.swap({ revision: 1 });
    const made = new PrimaryWorld(scope, world, []);
    made.reader(1);
    made.lease(0, 1);
    const reader = made.world.client();
    await reader.send(get('/stream'));
    await until('refused', () => made.world.count('connectErrors') > 0);
    // Its port is open again; but before the handshake of the read that goes ahead is over, leave to write ends.
    const node = await secureNode(scope, port, () => made.park(0, 1));
    await until('an answer without an end, of the replica', () => reader.received.includes('begun'));
    made.lease(0, 1);
    expect(statusOf(await ask(made.world.port, post('/w')))).toBe(200);
    expect(node.flatMap(({ requests }) => requests.map(({ start }) => start))).toEqual(['POST /w HTTP/1.1']);
  });

  it('a connection that is not answered in time counts as refused', async () => {
    const scope = testScope();
    const next = await startRawNode(scope);
    const upstream = {
      connectTimeout: 500,
      responseTimeout: 60_000,
      bodyTimeout: 1000,
      tunnelTimeout: 1000,
      idleTimeout: 4000,
      maxIdle: 4,
      pipelining: 1,
    };
    const world = await startWorld(scope, [await deafPort(scope), next], {
      pool: { upstream, primary: { parking, split, alone: true } },
    });
    const made = new PrimaryWorld(scope, world, [next, next]);
    made.lease(0, 1);
    const client = made.world.client();
    await client.send(post('/w', 'with a body'));
    await until('parked', () => made.parked === 1);
    made.lease(1, 2);
    await client.answers(1);
    expect(finalOf(client.read()).map(statusOf)).toEqual([200]);
    expect(next.requests().map((request) => request.body)).toEqual(['with a body']);
  });

  it('waiting in all takes no longer than its bound, however often it was refused', async () => {
    const scope = testScope();
    const world = await startWorld(scope, [await closedPort()], {
      pool: { primary: { parking: { ...parking, time: 300 }, split, alone: true } },
    });
    const made = new PrimaryWorld(scope, world, []);
    made.lease(0, 1);
    expect(statusOf(await ask(made.world.port, post('/w')))).toBe(503);
    expect(made.world.outcomes.map(({ end }) => end)).toEqual(['parked']);
    expect(made.world.count('connectErrors')).toBeGreaterThan(1);
    await made.quiet();
  });
});
