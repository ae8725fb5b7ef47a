/** What a failed node, a full pool or a passed deadline means for the client; and which requests go out again. */
import { describe, expect, it } from 'vitest';
import type { PoolRow } from '../../../src/routing/snapshot.ts';
import { type RefusalReason, refusalReasons } from '../../../src/scoreboard/layout.ts';
import { counterRow } from '../../../src/scoreboard/scoreboard.ts';
import { field, statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { type RawNode, type Respond, sayWhat, startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { pool as poolRow, settings } from '../../routing/fixtures.ts';
import { setNode } from '../fixtures.ts';
import { closedPort, deafPort, startWorld, type World, type WorldOptions } from '../world.ts';

const row = poolRow('app', 0);
const upstream = (change: Partial<PoolRow['upstream']>): Partial<PoolRow> => ({
  upstream: { ...row.upstream, ...change },
});
const retry = (change: Partial<PoolRow['retry']>): Partial<PoolRow> => ({
  retry: { ...row.retry, backoff: 1, ...change },
});
const limits = (change: Partial<PoolRow['limits']>): Partial<PoolRow> => ({ limits: { ...row.limits, ...change } });

const post = (body = 'hello', method = 'POST'): string =>
  `${method} / HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const reset: Respond = (_request, { socket }) => void socket.resetAndDestroy();
const silent: Respond = () => {};

interface Setup {
  readonly world: World;
  readonly nodes: readonly RawNode[];
}

/** The first node answers as told, the others as usual. Round robin begins with the first. */
async function setup(count: number, first: Respond, options: WorldOptions = {}): Promise<Setup> {
  const scope = testScope();
  const nodes = await Promise.all(Array.from({ length: count }, () => startRawNode(scope)));
  nodes[0]!.respond = first;
  return { nodes, world: await startWorld(scope, nodes, { ...options, backups: nodes.map((_, i) => i).slice(1) }) };
}

const seen = (nodes: readonly RawNode[]): number[] => nodes.map((node) => node.requests().length);

describe('a node that breaks the connection before its answer', () => {
  it.each(['GET', 'HEAD', 'OPTIONS'])('%s goes out again, to another node', async (method) => {
    const { world, nodes } = await setup(2, reset);
    expect(statusOf(await ask(world.port, get('/').replace('GET', method)))).toBe(200);
    expect(seen(nodes)).toEqual([1, 1]);
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ tries: 2, node: 'n-1', end: 'ok' }]);
    expect(world.countPool('freeRetries')).toBe(1);
    expect(world.signals).toMatchObject([{ node: 'n-0', signal: 'reset' }]);
  });

  it.each(['POST', 'PUT', 'DELETE', 'X'])('%s does not, since a byte of it has left: 502', async (method) => {
    const { world, nodes } = await setup(2, reset);
    const answer = await ask(world.port, post('hello', method));
    expect([statusOf(answer), field(answer, 'proxy-status')]).toEqual([502, 'evenkeel; error=connection_terminated']);
    expect(seen(nodes)).toEqual([1, 0]);
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ tries: 1, end: 'upstream_reset' }]);
  });

  it('a method that the config names goes out again with its body', async () => {
    const { world, nodes } = await setup(2, reset, { pool: retry({ methods: ['PUT'] }) });
    expect(statusOf(await ask(world.port, post('hello', 'PUT')))).toBe(200);
    expect(nodes.map((node) => node.requests()[0]!.body)).toEqual(['hello', 'hello']);
  });

  it('a body goes out again up to the bound, and not a byte over it', async () => {
    const { world, nodes } = await setup(2, reset, { pool: retry({ buffer: 100 }) });
    expect(statusOf(await ask(world.port, post('x'.repeat(100), 'GET')))).toBe(200);
    expect(statusOf(await ask(world.port, post('x'.repeat(101), 'GET')))).toBe(502);
    expect(seen(nodes)).toEqual([2, 1]);
  });

  it('an answer that has begun is not asked for again', async () => {
    const partial: Respond = (_request, connection) => {
      connection.write('HTTP/1.1 200 OK\r\nCont');
      connection.socket.end();
    };
    const { world, nodes } = await setup(2, partial);
    expect(statusOf(await ask(world.port, get('/')))).toBe(502);
    expect(seen(nodes)).toEqual([1, 0]);
    expect(world.outcomes).toMatchObject([{ end: 'upstream_reset' }]);
  });

  it('what is no HTTP answer is not asked for again', async () => {
    const { world, nodes } = await setup(2, (_request, connection) => connection.write('SSH-2.0\r\n\r\n'));
    expect(statusOf(await ask(world.port, get('/')))).toBe(502);
    expect(seen(nodes)).toEqual([1, 0]);
  });
});

describe('a node that refuses', () => {
  it.each(['GET', 'POST'])('%s goes to another, since nothing was sent', async (method) => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const world = await startWorld(scope, [await closedPort(), node], { backups: [1] });
    const answer = await ask(world.port, post('hello', method));
    expect([statusOf(answer), answer.body]).toEqual([200, `${method} /`]);
    expect(node.requests()[0]!.body).toBe('hello');
    await world.quiet();
    expect([world.count('connectErrors', 0), world.countPool('freeRetries')]).toEqual([1, 1]);
    expect(world.signals).toMatchObject([{ node: 'n-0', signal: 'refused' }]);
  });

  it('all of them: 502, each asked once', async () => {
    const scope = testScope();
    const world = await startWorld(scope, [await closedPort(), await closedPort(), await closedPort()], {
      pool: retry({ attempts: 9 }),
    });
    const answer = await ask(world.port, get('/'));
    expect([statusOf(answer), field(answer, 'proxy-status')]).toEqual([502, 'evenkeel; error=connection_refused']);
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ tries: 3, end: 'retry_exhausted' }]);
    expect([0, 1, 2].map((slot) => world.count('connects', slot))).toEqual([1, 1, 1]);
  });
});

describe('a kept connection that the only node has closed meanwhile', () => {
  /** Breaks each connection at its second request. */
  const onlyOnce: Respond = (request, connection) => {
    if (connection.requests.length > 1) connection.socket.resetAndDestroy();
    else sayWhat(request, connection);
  };

  it('GET goes out again on a new one; the node is told nothing bad', async () => {
    const { world, nodes } = await setup(1, onlyOnce);
    const client = world.client();
    for (const name of ['/1', '/2', '/3']) await client.send(get(name));
    expect((await client.answers(3)).map((answer) => answer.body)).toEqual(['GET /1', 'GET /2', 'GET /3']);
    expect(nodes[0]!.connections.length).toBeGreaterThanOrEqual(2);
    expect(world.signals).toEqual([]);
  });

  it('POST takes a connection that was busy just now, or a new one', async () => {
    const { world, nodes } = await setup(1, sayWhat);
    const client = world.client();
    await client.send(get('/1'));
    await client.answers(1);
    await client.send(post());
    await client.answers(2);
    expect(nodes[0]!.connections).toHaveLength(1);
    const idleSince = performance.now();
    await until('a second of idleness', () => performance.now() - idleSince > 1050, { everyMs: 100 });
    await client.send(post());
    await client.answers(3);
    expect(nodes[0]!.connections).toHaveLength(2);
  });

  it.each([
    ['', 2],
    ['Connection: keep-alive\r\n', 1],
    ['Keep-Alive: timeout=9\r\n', 1],
    ['Content-Length: 9\r\n', 1],
    ['Transfer-Encoding: chunked\r\n', 1],
  ])('an answer to HEAD with %j: a POST behind it takes connection %i', async (fields, count) => {
    const { world, nodes } = await setup(1, (request, connection) => {
      if (request.start.startsWith('HEAD ')) connection.write(`HTTP/1.1 200 OK\r\n${fields}\r\n`);
      else sayWhat(request, connection);
    });
    const client = world.client();
    const methods = ['HEAD', 'GET', 'HEAD', 'POST'];
    await client.send(get('/1').replace('GET', 'HEAD') + get('/2'));
    await client.answers(2, { methods });
    // What may be sent again goes on the same one.
    expect(nodes[0]!.connections).toHaveLength(1);
    await client.send(get('/3').replace('GET', 'HEAD') + post());
    expect((await client.answers(4, { methods })).map(statusOf)).toEqual([200, 200, 200, 200]);
    expect(nodes[0]!.connections).toHaveLength(count);
  });

  it('a FIN on an idle connection is seen at once', async () => {
    const { world, nodes } = await setup(1, sayWhat);
    expect(statusOf(await ask(world.port, get('/1')))).toBe(200);
    nodes[0]!.connections[0]!.socket.end();
    await until('our end closed', () => world.upstreams === 0);
    expect(statusOf(await ask(world.port, post()))).toBe(200);
  });

  it.each([
    ['Connection: close', 'Connection: close'],
    ['a Keep-Alive time that is as good as over', 'Keep-Alive: timeout=1'],
  ])('is not kept after %s', async (_, line) => {
    const { world, nodes } = await setup(1, (_request, connection) =>
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${line}\r\n\r\n`),
    );
    const client = world.client();
    await client.send(get('/1') + get('/2'));
    await client.answers(2);
    expect(nodes[0]!.connections).toHaveLength(2);
    expect(client.read().messages.map((message) => field(message, 'connection'))).toEqual([undefined, undefined]);
  });
});

describe('an answer with a listed status', () => {
  const unwell: Respond = (_request, connection) => connection.write('HTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\nno');

  it('is thrown away for GET, and another node asked', async () => {
    const { world, nodes } = await setup(2, unwell, { pool: retry({}) });
    expect((await ask(world.port, get('/'))).body).toBe('GET /');
    await world.quiet();
    expect([seen(nodes), world.countPool('retries')]).toEqual([[1, 1], 1]);
  });

  it.each([
    ['POST', 2],
    ['GET', 1],
  ])('is passed on for %s with %d nodes', async (method, count) => {
    const { world } = await setup(count, unwell, { pool: retry({}) });
    const answer = await ask(world.port, post('', method));
    expect([statusOf(answer), answer.body]).toEqual([503, 'no']);
  });
});

describe('no place at a node', () => {
  it('no node is fit: 503 with Retry-After, at once', async () => {
    const { world, nodes } = await setup(1, sayWhat);
    setNode(world.board, 0, { fit: false });
    const answer = await ask(world.port, get('/'));
    expect([statusOf(answer), field(answer, 'retry-after')]).toEqual([503, '1']);
    expect([seen(nodes), world.countPool('noNode')]).toEqual([[0], 1]);
  });

  it('the queue is full: 503; whoever waited is served', async () => {
    const { world, nodes } = await setup(1, silent, {
      pool: limits({ maxConnections: 1, maxPending: 1, queueTimeout: 60_000 }),
    });
    const [first, second] = [world.client(), world.client()];
    await first.send(get('/1'));
    await until('the first at the node', () => seen(nodes)[0] === 1);
    await second.send(get('/2'));
    await until('the second in the queue', () => world.pending === 1);
    const third = await ask(world.port, get('/3'));
    expect([statusOf(third), field(third, 'retry-after')]).toEqual([503, '1']);
    nodes[0]!.respond = sayWhat;
    sayWhat(nodes[0]!.requests()[0]!, nodes[0]!.connections[0]!);
    expect((await second.answers(1)).map((answer) => answer.body)).toEqual(['GET /2']);
    expect([world.countPool('queueFull'), world.countPool('queueTimeouts'), world.countPool('queued')]).toEqual([
      1, 0, 1,
    ]);
    await world.quiet(2);
  });

  it('the queue takes too long: 503', async () => {
    const { world, nodes } = await setup(1, silent, {
      pool: limits({ maxConnections: 1, maxPending: 1, queueTimeout: 300 }),
    });
    const [first, second] = [world.client(), world.client()];
    await first.send(get('/1'));
    await until('the first at the node', () => seen(nodes)[0] === 1);
    await second.send(get('/2'));
    expect((await second.answers(1)).map(statusOf)).toEqual([503]);
    sayWhat(nodes[0]!.requests()[0]!, nodes[0]!.connections[0]!);
    await first.answers(1);
    expect([world.countPool('queueFull'), world.countPool('queueTimeouts'), world.countPool('queued')]).toEqual([
      0, 1, 1,
    ]);
    expect(seen(nodes)).toEqual([1]);
    await world.quiet(2);
  });

  it('a place that becomes free through another thread is found', async () => {
    const { world } = await setup(1, sayWhat, { pool: limits({ maxConnections: 1 }) });
    world.board.addInFlight(0, 0, 1);
    const client = world.client();
    await client.send(get('/'));
    await until('it in the queue', () => world.pending === 1);
    world.board.addInFlight(0, 0, -1);
    expect((await client.answers(1)).map(statusOf)).toEqual([200]);
  });

  it('who may not have the node that is free keeps nobody waiting who may', async () => {
    const { world, nodes } = await setup(2, reset, {
      pool: limits({ maxConnections: 1, maxPending: 9, queueTimeout: 60_000 }),
    });
    const [first, second] = [world.client(), world.client()];
    world.board.addInFlight(0, 1, 1);
    await first.send(get('/1'));
    await until('the first in the queue, since its node broke off and the other is full', () => world.pending === 1);
    world.board.addInFlight(0, 0, 1);
    await second.send(get('/2'));
    await until('the second in the queue, behind it', () => world.pending === 2);
    nodes[0]!.respond = sayWhat;
    world.board.addInFlight(0, 0, -1);
    expect((await second.answers(1)).map((answer) => answer.body)).toEqual(['GET /2']);
    expect(world.pending).toBe(1);
    world.board.addInFlight(0, 1, -1);
    expect((await first.answers(1)).map((answer) => answer.body)).toEqual(['GET /1']);
    expect(seen(nodes)).toEqual([2, 1]);
    await world.quiet(2);
  });
});

describe("a node's deadlines", () => {
  it('no answer in time: 504, for what may not be sent again', async () => {
    const { world, nodes } = await setup(2, silent, { pool: { ...upstream({ responseTimeout: 100 }), ...retry({}) } });
    const answer = await ask(world.port, post());
    expect([statusOf(answer), field(answer, 'proxy-status')]).toEqual([504, 'evenkeel; error=http_response_timeout']);
    await world.quiet();
    expect(seen(nodes)).toEqual([1, 0]);
    expect(world.outcomes).toMatchObject([{ end: 'timeout' }]);
    await until('end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
  });

  it('no answer in time: GET goes to another node, within the budget', async () => {
    const { world } = await setup(2, silent, { pool: { ...upstream({ responseTimeout: 1000 }), ...retry({}) } });
    expect((await ask(world.port, get('/'))).body).toBe('GET /');
    await world.quiet();
    expect([world.countPool('retries'), world.countPool('freeRetries'), world.count('timeouts')]).toEqual([1, 0, 1]);
  });

  it('an answer that falls silent is cut', async () => {
    const { world } = await setup(
      1,
      (_request, connection) => connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
      { pool: upstream({ bodyTimeout: 100 }) },
    );
    const client = world.client();
    await client.send(get('/'));
    expect(await client.ended()).toBe('reset');
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ status: 200, end: 'timeout' }]);
  });

  it.each(['GET', 'POST'])('no connection in time: %s goes to another node, or gets 504', async (method) => {
    const scope = testScope();
    const [deaf, node] = [await deafPort(scope), await startRawNode(scope)];
    const pool = { ...upstream({ connectTimeout: 1000 }), ...retry({}) };
    const world = await startWorld(scope, [deaf, node], { pool, backups: [1] });
    expect((await ask(world.port, post('hello', method))).body).toBe(`${method} /`);
    setNode(world.board, 1, { fit: false });
    expect(statusOf(await ask(world.port, post('hello', method)))).toBe(504);
    await world.quiet();
  });

  it('an idle connection is closed after idleTimeout', async () => {
    const { world, nodes } = await setup(1, sayWhat, { pool: upstream({ idleTimeout: 100 }) });
    await ask(world.port, get('/'));
    await until('end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    expect(world.upstreams).toBe(0);
  });

  it('no more than maxIdle connections are kept', async () => {
    const { world, nodes } = await setup(1, silent, { pool: upstream({ maxIdle: 2 }) });
    const clients = Array.from({ length: 5 }, () => world.client());
    for (const client of clients) await client.send(get('/'));
    await until('all at the node', () => seen(nodes)[0] === 5);
    for (const connection of nodes[0]!.connections) sayWhat(connection.requests[0]!, connection);
    for (const client of clients) await client.answers(1);
    await until('two kept', () => world.upstreams === 2);
  });
});

describe("a client's deadlines", () => {
  const timeouts = (change: Partial<typeof settings.timeouts>): WorldOptions => ({
    settings: { timeouts: { ...settings.timeouts, ...change } },
  });

  it('a head that is not whole in time: 408, then closed', async () => {
    const { world } = await setup(1, sayWhat, timeouts({ head: 1000 }));
    const client = world.client();
    await client.send('GET / HT');
    expect((await client.answers(1)).map((answer) => [statusOf(answer), field(answer, 'connection')])).toEqual([
      [408, 'close'],
    ]);
  });

  it('not a byte in time: closed without a word', async () => {
    const { world } = await setup(1, sayWhat, timeouts({ head: 100 }));
    const client = world.client();
    expect(await client.ended()).toBe('fin');
    expect(client.received).toBe('');
    expect(world.outcomes).toEqual([]);
  });

  it('an idle connection is closed without a word', async () => {
    const { world } = await setup(1, sayWhat, timeouts({ keepAlive: 100 }));
    const client = world.client();
    await client.send(get('/'));
    expect(await client.ended()).toBe('fin');
    expect(client.read().messages).toHaveLength(1);
  });

  it('a body that stops: 408, and both connections end', async () => {
    const { world, nodes } = await setup(1, sayWhat, timeouts({ body: 100 }));
    const client = world.client();
    await client.send(post('hello').slice(0, -1));
    expect((await client.answers(1)).map(statusOf)).toEqual([408]);
    await until('end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    expect(seen(nodes)).toEqual([0]);
    expect(world.outcomes).toMatchObject([{ status: 408, end: 'bad_request' }]);
  });

  it.each<[string, string, number, RefusalReason]>([
    ['a body that stops', post('hello').slice(0, -1), 408, 'body-timeout'],
    ['a body that is too large', post('x'.repeat(11)), 413, 'body-too-large'],
    [
      'a body whose chunks break',
      `${get('/', 'Transfer-Encoding: chunked').replace('GET', 'POST')}5\r\nhelloX`,
      400,
      'bad-chunk',
    ],
    ['a head that is none', 'nonsense\r\n\r\n', 400, 'bad-request-line'],
  ])('%s: one line in the log, one count by reason', async (_, bytes, status, reason) => {
    const { world } = await setup(1, sayWhat, {
      settings: {
        timeouts: { ...settings.timeouts, body: 100 },
        limits: { ...settings.limits, maxBody: 10 },
      },
    });
    const client = world.client();
    await client.send(bytes);
    expect((await client.answers(1)).map(statusOf)).toEqual([status]);
    await client.ended();
    const told = world.events.filter((event) => event.event === 'request-refused');
    expect(told.map((event) => event.fields)).toMatchObject([{ status, reason, client: '127.0.0.1' }]);
    expect(world.board.sum(counterRow.refusals() + refusalReasons.indexOf(reason))).toBe(1);
  });

  it('a client that takes nothing of its answer is cut', async () => {
    const { world } = await setup(
      1,
      (_request, connection) => {
        connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 40000000\r\n\r\n${'x'.repeat(40_000_000)}`);
      },
      timeouts({ write: 200 }),
    );
    const client = world.client();
    client.socket.pause();
    await client.send(get('/'));
    await until('the exchange over', () => world.outcomes.length === 1);
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ end: 'client_abort' }]);
  });
});

describe('the end of an engine', () => {
  it('drain: idle clients are let go, what is under way is answered with Connection: close, then it is told once', async () => {
    const { world, nodes } = await setup(1, silent);
    const [busy, idle] = [world.client(), world.client()];
    await busy.send(get('/busy'));
    nodes[0]!.respond = silent;
    await until('it at the node', () => seen(nodes)[0] === 1);
    await idle.connected;
    await until('both accepted', () => world.connections === 2);
    world.engine.drain();
    sayWhat(nodes[0]!.requests()[0]!, nodes[0]!.connections[0]!);
    const [answer] = await busy.answers(1);
    expect([answer!.body, field(answer!, 'connection')]).toEqual(['GET /busy', 'close']);
    expect(await busy.ended()).toBe('fin');
    busy.stop();
    idle.stop();
    await until('told', () => world.drained > 0);
    expect([world.drained, world.connections, world.upstreams]).toEqual([1, 0, 0]);
    const late = world.client();
    await expect(late.connected).rejects.toThrow('ECONNREFUSED');
  });

  it('an idle client that was quiet for a second is let go while draining', async () => {
    const { world } = await setup(1, sayWhat);
    const client = world.client();
    await client.send(get('/'));
    await client.answers(1);
    world.engine.drain();
    expect(await client.ended()).toBe('fin');
    await until('told', () => world.drained === 1);
  });

  it('over maxConnections a client gets 503 and is closed', async () => {
    const { world } = await setup(1, sayWhat, { settings: { limits: { ...settings.limits, maxConnections: 1 } } });
    const first = world.client();
    await first.send(get('/'));
    await first.answers(1);
    const second = world.client();
    expect((await second.answers(1)).map(statusOf)).toEqual([503]);
    expect(await second.ended()).toBe('fin');
    expect(world.connections).toBe(1);
  });
});
