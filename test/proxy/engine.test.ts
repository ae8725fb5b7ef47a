/** Answers on their way through a real engine: framing, what comes before and behind them, and who gets which bytes. */
import { describe, expect, it } from 'vitest';
import { field, statusOf } from '../helpers/http-bytes.ts';
import { until } from '../helpers/poll.ts';
import { allPieces, ask, get } from '../helpers/raw-client.ts';
import { type RawConnection, type RawNode, type Respond, sayWhat, startRawNode } from '../helpers/raw-node.ts';
import { testScope } from '../helpers/scope.ts';
import { startWorld, type World, type WorldOptions } from './world.ts';

async function setup(respond: Respond = sayWhat, options: WorldOptions = {}): Promise<{ world: World; node: RawNode }> {
  const scope = testScope();
  const node = await startRawNode(scope);
  node.respond = respond;
  return { node, world: await startWorld(scope, [node], options) };
}

const bytes =
  (text: string, then: (connection: RawConnection) => void = () => {}): Respond =>
  (_request, connection) => {
    connection.write(text);
    then(connection);
  };

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const old = (target: string, ...lines: readonly string[]): string =>
  [`GET ${target} HTTP/1.0`, 'Host: ek.test', ...lines, '', ''].join('\r\n');

describe('bytes of a node that nobody asked for', () => {
  it.each([
    ['a second answer with the first', `${ok}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`],
    ['a byte too many', `${ok}x`],
    ['an empty line', `${ok}\r\n`],
    ['a byte behind the last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx'],
  ])('%s: the answer stands, the connection is not used again (R5)', async (_, text) => {
    const { world, node } = await setup(bytes(text));
    const client = world.client();
    await client.send(get('/1'));
    expect((await client.answers(1)).map((answer) => answer.body)).toEqual(['ok']);
    await until('end at the node', () => node.connections[0]!.end !== 'open');
    node.respond = sayWhat;
    await client.send(get('/2'));
    expect((await client.answers(2)).map((answer) => answer.body)).toEqual(['ok', 'GET /2']);
    expect(node.connections).toHaveLength(2);
    expect(world.count('excessBytes')).toBeGreaterThan(0);
  });

  it.each(['HEAD', 'GET'])(
    'a body behind an answer to %s that has none is never the next answer (R2)',
    async (method) => {
      const status = method === 'HEAD' ? '200 OK' : '304 Not Modified';
      const { world, node } = await setup(bytes(`HTTP/1.1 ${status}\r\nContent-Length: 4\r\n\r\nevil`));
      const client = world.client();
      await client.send(get('/1').replace('GET', method));
      await client.sees('\r\n\r\n');
      await until('end at the node', () => node.connections[0]!.end !== 'open');
      node.respond = sayWhat;
      await client.send(get('/2'));
      const answers = await client.answers(2, { methods: [method, 'GET'] });
      expect(answers.map((answer) => answer.body)).toEqual(['', 'GET /2']);
    },
  );

  it('a whole answer on an idle connection closes it, and nobody gets it', async () => {
    const { world, node } = await setup();
    const client = world.client();
    await client.send(get('/1'));
    await client.answers(1);
    node.connections[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    await until('end at the node', () => node.connections[0]!.end !== 'open');
    await client.send(get('/2'));
    expect((await client.answers(2)).map((answer) => answer.body)).toEqual(['GET /1', 'GET /2']);
    expect(world.count('excessBytes')).toBe(42);
    expect(world.upstreams).toBe(1);
  });
});

describe('interim answers', () => {
  it('103 is passed on, with its fields (H7)', async () => {
    const { world } = await setup(bytes(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\n${ok}`));
    const client = world.client();
    await client.send(get('/'));
    await client.answers(1);
    expect(client.read().messages.map((message) => message.start)).toEqual([
      'HTTP/1.1 103 Early Hints',
      'HTTP/1.1 200 OK',
    ]);
    expect(client.read().messages[0]!.lines).toEqual(['Link: </a>']);
  });

  it.each([
    ['not to HTTP/1.0', `HTTP/1.1 103 x\r\n\r\n${ok}`, old('/')],
    ['100 not to one that did not ask', `HTTP/1.1 100 Continue\r\n\r\n${ok}`, get('/')],
  ])('%s', async (_, text, request) => {
    const { world } = await setup(bytes(text));
    const client = world.client();
    await client.send(request);
    await client.answers(1);
    expect(client.read().messages.map(statusOf)).toEqual([200]);
  });

  it('32 are passed on, 33 are no answer', async () => {
    const hints = (count: number): string => 'HTTP/1.1 103 x\r\n\r\n'.repeat(count);
    const { world, node } = await setup(bytes(hints(32) + ok));
    const client = world.client();
    await client.send(get('/'));
    await client.answers(1);
    expect(client.read().messages).toHaveLength(33);
    node.respond = bytes(hints(33) + ok);
    await client.send(get('/'));
    expect((await client.answers(2)).map(statusOf)).toEqual([200, 502]);
  });

  it('101 that nobody asked for is 502', async () => {
    const { world, node } = await setup(bytes('HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'));
    expect(statusOf(await ask(world.port, get('/')))).toBe(502);
    expect(statusOf(await ask(world.port, get('/', 'Connection: Upgrade', 'Upgrade: h2c')))).toBe(502);
    await until('ends at the node', () => node.connections.every((one) => one.end !== 'open'));
    await world.quiet();
  });
});

describe('a WebSocket', () => {
  const upgrade = get('/ws', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: k');
  const accept = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

  it('holds what comes behind the request until the 101, then passes all both ways (H8)', async () => {
    const { world, node } = await setup(() => {});
    const client = world.client();
    await client.send(`${upgrade}early`);
    const connection = await until('the request', () => node.connections.find((one) => one.requests.length === 1));
    expect(connection.tail).toBe('');
    connection.write(`${accept}hello`);
    await client.sees('hello');
    await until('what came early', () => connection.tail === 'early');
    connection.write('\0\xff');
    await client.sees('\0\xff');
    await client.send(' and \0 more');
    await until('the rest', () => connection.tail === 'early and \0 more');
    expect([world.inFlight, world.connections]).toEqual([1, 1]);
    client.halfClose();
    await until('FIN at the node', () => connection.end !== 'open');
    connection.write('bye');
    connection.socket.end();
    await client.sees('bye');
    expect(await client.ended()).toBe('fin');
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ status: 101, end: 'ok' }]);
  });

  it('that is refused stays HTTP, and the connection may serve on', async () => {
    const { world, node } = await setup(bytes('HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno'));
    const client = world.client();
    await client.send(upgrade);
    expect((await client.answers(1)).map(statusOf)).toEqual([400]);
    node.respond = sayWhat;
    await client.send(get('/2'));
    expect((await client.answers(2)).map((answer) => answer.body)).toEqual(['no', 'GET /2']);
    expect(node.connections).toHaveLength(1);
  });

  it.each(['client', 'node'] as const)('ends on both sides when the %s resets', async (who) => {
    const { world, node } = await setup(bytes(accept));
    const client = world.client();
    await client.send(upgrade);
    await client.sees('101');
    const { socket } = node.connections[0]!;
    (who === 'client' ? client.socket : socket).resetAndDestroy();
    if (who === 'node') expect(await client.ended()).toBe('reset');
    else await until('end at the node', () => node.connections[0]!.end !== 'open');
    await world.quiet();
    expect(world.outcomes[0]!.end).toBe(who === 'client' ? 'client_abort' : 'upstream_reset');
  });
});

describe('bodies without a length', () => {
  const untilClose = bytes('HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello', (connection) => connection.socket.end(' world'));

  it('are chunks for HTTP/1.1, and the connection serves on (R4)', async () => {
    const { world, node } = await setup(untilClose);
    const client = world.client();
    await client.send(get('/1'));
    const [answer] = await client.answers(1);
    expect([answer!.framing, answer!.body]).toEqual(['chunked', 'hello world']);
    node.respond = sayWhat;
    await client.send(get('/2'));
    expect((await client.answers(2))[1]!.body).toBe('GET /2');
  });

  it.each([
    ['until close', untilClose],
    [
      'chunked',
      bytes('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n6\r\n world\r\n0\r\nT: x\r\n\r\n'),
    ],
  ])('%s: run until the end of the connection for HTTP/1.0', async (_, respond) => {
    const { world } = await setup(respond);
    const client = world.client();
    await client.send(old('/', 'Connection: keep-alive'));
    const [answer] = await client.answers(1);
    expect([answer!.framing, answer!.body, field(answer!, 'connection')]).toEqual([
      'until-close',
      'hello world',
      'close',
    ]);
    expect(await client.ended()).toBe('fin');
  });

  it('an HTTP/1.0 client keeps its connection for a sized answer if it asked to', async () => {
    const { world } = await setup();
    const client = world.client();
    await client.send(old('/1', 'Connection: keep-alive'));
    const [answer] = await client.answers(1);
    expect(field(answer!, 'connection')).toBe('keep-alive');
    await client.send(old('/2'));
    expect((await client.answers(2)).map((one) => one.body)).toEqual(['GET /1', 'GET /2']);
    expect(await client.ended()).toBe('fin');
  });

  it.each([
    ['HEAD', '200 OK', 'Content-Length: 1234', '1234'],
    ['GET', '304 Not Modified', 'Content-Length: 1234', '1234'],
    ['GET', '204 No Content', 'Content-Length: 0', undefined],
    ['GET', '204 No Content', 'A: b', undefined],
  ])('%s %s with %s has none, and both connections serve on (R2)', async (method, status, line, length) => {
    const { world, node } = await setup(bytes(`HTTP/1.1 ${status}\r\n${line}\r\n\r\n`));
    const client = world.client();
    await client.send(get('/1').replace('GET', method));
    const [answer] = await client.answers(1, { methods: [method] });
    expect([answer!.body, field(answer!, 'content-length')]).toEqual(['', length]);
    node.respond = sayWhat;
    await client.send(get('/2'));
    expect((await client.answers(2, { methods: [method, 'GET'] }))[1]!.body).toBe('GET /2');
    expect(node.connections).toHaveLength(1);
  });
});

describe('what a node sends is judged alike however it is split', () => {
  it.each([
    ['a sized answer', ok, 200],
    [
      'chunks with extensions and trailers',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nT: x\r\n\r\n',
      200,
    ],
    ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok', 502],
    ['bare LF', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok', 502],
    ['no HTTP', '220 mail ready\r\n\r\n', 502],
    ['a bad status', 'HTTP/1.1 20 OK\r\n\r\n', 502],
    ['an empty line in front', `\r\n${ok}`, 502],
  ])('%s', async (_, text, status) => {
    const { world, node } = await setup();
    node.respond = bytes(text);
    const whole = await ask(world.port, get('/'));
    node.respond = async (_request, { socket }) => {
      for (const byte of text) {
        if (socket.destroyed) return;
        socket.write(byte, 'latin1');
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const split = await ask(world.port, get('/'));
    expect([statusOf(whole), statusOf(split)]).toEqual([status, status]);
    if (status === 200) expect([whole.body, split.body, split.trailers]).toEqual(['ok', 'ok', []]);
    await world.quiet();
    if (status === 502) expect(node.connections.every((one) => one.end !== 'open')).toBe(true);
  });

  it('a head over 64 KiB is 502', async () => {
    const { world } = await setup(bytes(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(20_000)}`));
    expect(statusOf(await ask(world.port, get('/')))).toBe(502);
  });

  it('bad chunks after the head break the connection, so that a part is no whole (R3)', async () => {
    const { world } = await setup(bytes('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nxyz'));
    const client = world.client();
    await client.send(get('/'));
    expect(await client.answers(1)).toEqual([]);
    expect(client.end).toBe('reset');
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ end: 'bad_answer' }]);
  });
});

describe('a client', () => {
  it('that half-closes behind its request gets its answer (C3)', async () => {
    const { world, node } = await setup(() => {});
    const client = world.client();
    await client.send(get('/'));
    client.halfClose();
    await until('the request at the node', () => node.requests().length === 1);
    sayWhat(node.requests()[0]!, node.connections[0]!);
    expect((await client.answers(1))[0]!.body).toBe('GET /');
    expect(await client.ended()).toBe('fin');
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ end: 'ok' }]);
  });

  it('that half-closes has given up where the route says abortOnFin', async () => {
    const { world, node } = await setup(() => {}, { route: { abortOnFin: true } });
    const client = world.client();
    await client.send(get('/'));
    await until('the request at the node', () => node.requests().length === 1);
    client.halfClose();
    await until('end at the node', () => node.connections[0]!.end !== 'open');
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ status: 499, end: 'client_abort' }]);
  });

  it.each(allPieces)('gets the answers to 100 requests at once in order, sent %s (F14)', async (pieces) => {
    const { world, node } = await setup((request, connection) => {
      setImmediate(() => sayWhat(request, connection));
    });
    const client = world.client();
    const requests = Array.from({ length: 100 }, (_, i) =>
      i % 2 === 0 ? get(`/${i}`) : `POST /${i} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nGET`,
    );
    await client.send(requests.join(''), pieces);
    const answers = await client.answers(100);
    expect(answers.map((answer) => answer.body)).toEqual(
      requests.map((_, i) => `${i % 2 === 0 ? 'GET' : 'POST'} /${i}`),
    );
    expect(node.connections.flatMap((one) => one.faults)).toEqual([]);
    await world.quiet(1);
  });

  it('may send one empty line before a request, however it is split, and not two (L3)', async () => {
    const { world } = await setup();
    for (const pieces of [['\r\n', get('/a')], [`\r\n${get('/a')}`], ['\r', `\n${get('/a')}`]]) {
      const client = world.client();
      await client.send(get('/first'));
      await client.answers(1);
      for (const piece of pieces) await client.send(piece, 'bytes');
      expect((await client.answers(2)).map(statusOf)).toEqual([200, 200]);
    }
    for (const pieces of [[`\r\n\r\n${get('/a')}`], ['\r\n', `\r\n${get('/a')}`], ['\r\n', '\r\n', get('/a')]]) {
      const client = world.client();
      await client.send(get('/first'));
      await client.answers(1);
      for (const piece of pieces) {
        await client.send(piece);
        // Turns of the loop in which the engine reads it, so that the next piece comes alone.
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      }
      expect((await client.answers(2)).map(statusOf)).toEqual([200, 400]);
    }
  });

  it('is refused with 400, its connection closed, and nothing at the node', async () => {
    const { world, node } = await setup();
    for (const pieces of allPieces) {
      const client = world.client();
      await client.send(
        `${get('/', 'Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n${get('/evil')}`,
        pieces,
      );
      expect((await client.answers(2)).map(statusOf)).toEqual([400]);
      client.halfClose();
      expect(await client.ended()).toBe('fin');
    }
    await world.quiet();
    expect(node.connections).toEqual([]);
  });

  it.each([
    ['bad chunk', '2\r\nokX', 'bad_request'],
    ['bare LF', '2\nok', 'bad_request'],
  ])(
    'that breaks its chunks (%s) gets 400, and the node a broken connection, no whole request',
    async (_, text, end) => {
      const { world, node } = await setup();
      const client = world.client();
      await client.send('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n');
      await until('it at the node', () => node.connections[0]?.tail.endsWith('x\r\n'));
      await client.send(text);
      expect((await client.answers(1)).map(statusOf)).toEqual([400]);
      await until('end at the node', () => node.connections[0]!.end !== 'open');
      expect(node.requests()).toEqual([]);
      expect(world.outcomes).toMatchObject([{ end }]);
    },
  );
});
