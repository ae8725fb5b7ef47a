/** What lives on through a reload and what does not; what control is told of nodes; listeners of every kind. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { listenerCounters, nodeCell, routeCounters } from '../../../src/scoreboard/layout.ts';
import { counterRow, nodeLine } from '../../../src/scoreboard/scoreboard.ts';
import { cert, key } from '../../health/io/certificate.ts';
import { field, statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { ask, get, RawClient } from '../../helpers/raw-client.ts';
import { RawConnection, type RawNode, type Respond, sayWhat, startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { tlsOf } from '../../helpers/tls.ts';
import { settings } from '../../routing/fixtures.ts';
import { setNode } from '../fixtures.ts';
import { startWorld, type World, type WorldOptions } from '../world.ts';

async function setup(count: number, options: WorldOptions = {}): Promise<{ world: World; nodes: RawNode[] }> {
  const scope = testScope();
  const nodes = await Promise.all(Array.from({ length: count }, () => startRawNode(scope)));
  return { nodes, world: await startWorld(scope, nodes, options) };
}

const fails: Respond = (_request, connection) => connection.write('HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n');

describe('a reload', () => {
  it('keeps connections to an unchanged node, of clients and to the node', async () => {
    const { world, nodes } = await setup(1);
    const client = world.client();
    await client.send(get('/1'));
    await client.answers(1);
    world.swap({ revision: 1 });
    await client.send(get('/2'));
    expect((await client.answers(2))[1]!.body).toBe('GET /2');
    expect(nodes[0]!.connections).toHaveLength(1);
  });

  it('an exchange keeps the snapshot that it began with, and its node, to its end', async () => {
    const { world, nodes } = await setup(2);
    setNode(world.board, 1, { fit: false });
    nodes[0]!.respond = () => {};
    const client = world.client();
    await client.send(get('/1'));
    await until('it at the first node', () => nodes[0]!.requests().length === 1);
    const [, second] = world.nodes;
    world.nodes = [second!];
    setNode(world.board, 1);
    world.swap({ revision: 1 });
    expect(world.oldestHeld).toBe(1);
    sayWhat(nodes[0]!.requests()[0]!, nodes[0]!.connections[0]!);
    expect((await client.answers(1))[0]!.body).toBe('GET /1');
    await until('the snapshot given back', () => world.oldestHeld === 2);
    await until('the connection to the node that is gone closed', () => nodes[0]!.connections[0]!.end !== 'open');
    await client.send(get('/2'));
    await client.answers(2);
    expect(nodes[1]!.requests()).toHaveLength(1);
    await world.quiet(1);
  });

  it('idle connections to a node that is gone are closed at once', async () => {
    const { world, nodes } = await setup(1);
    await ask(world.port, get('/'));
    world.nodes = [];
    world.swap({ revision: 1 });
    await until('end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    expect(world.upstreams).toBe(0);
    expect(statusOf(await ask(world.port, get('/')))).toBe(503);
  });

  it('a slot that was given to another node gets new connections', async () => {
    const { world, nodes } = await setup(2);
    setNode(world.board, 1, { fit: false });
    await ask(world.port, get('/1'));
    const [first, second] = world.nodes;
    world.nodes = [{ ...second!, slot: first!.slot, generation: 2 }];
    world.swap({ revision: 1 });
    expect((await ask(world.port, get('/2'))).body).toBe('GET /2');
    expect(nodes.map((node) => node.requests().length)).toEqual([1, 1]);
    await until('the old connection closed', () => nodes[0]!.connections[0]!.end !== 'open');
  });
});

describe('what control is told of a node', () => {
  it('so many failed answers in a row, once; a good one between them begins anew', async () => {
    const { world, nodes } = await setup(1, { pool: { errorsToEject: 3 } });
    const answers = async (respond: Respond, count: number): Promise<void> => {
      nodes[0]!.respond = respond;
      for (let i = 0; i < count; i++) await ask(world.port, get('/'));
    };
    await answers(fails, 2);
    await answers(sayWhat, 1);
    await answers(fails, 2);
    expect(world.signals).toEqual([]);
    await answers(fails, 1);
    expect(world.signals).toMatchObject([{ node: 'n-0', slot: 0, generation: 1, signal: 'errors' }]);
  });

  it.each<[string, Respond, string]>([
    ['a good answer', sayWhat, 'success'],
    ['a failed one', fails, 'failure'],
    ['a broken connection', (_request, { socket }) => void socket.resetAndDestroy(), 'failure'],
  ])('%s of a node on probation', async (_, respond, signal) => {
    const { world, nodes } = await setup(2);
    setNode(world.board, 0, { fit: false, probation: true });
    nodes[0]!.respond = respond;
    await ask(world.port, get('/'));
    expect(nodes[0]!.requests()).toHaveLength(1);
    expect(world.signals.map((one) => one.signal)).toContain(signal);
    // Only control lets another request try it.
    await ask(world.port, get('/'));
    expect(nodes[0]!.requests()).toHaveLength(1);
    await world.quiet();
  });

  it('nothing, if the client left a node on probation: the next request may try it', async () => {
    const { world, nodes } = await setup(1);
    setNode(world.board, 0, { fit: false, probation: true });
    nodes[0]!.respond = () => {};
    const client = world.client();
    await client.send(get('/'));
    await until('it at the node', () => nodes[0]!.requests().length === 1);
    client.socket.resetAndDestroy();
    await world.quiet();
    expect(world.signals).toEqual([]);
    expect(world.board.lines[nodeLine(0) + nodeCell.probationTaken]).toBe(0);
    nodes[0]!.respond = sayWhat;
    expect(statusOf(await ask(world.port, get('/')))).toBe(200);
  });

  it('a request that can not be sent again is not tried on a node on probation', async () => {
    const { world, nodes } = await setup(2);
    setNode(world.board, 0, { fit: false, probation: true });
    for (const method of ['POST', 'DELETE']) await ask(world.port, get('/').replace('GET', method));
    expect(nodes.map((node) => node.requests().length)).toEqual([0, 2]);
  });
});

describe('what is counted', () => {
  it('of listener, route and node: requests, classes, bytes; an abort has no class', async () => {
    const { world, nodes } = await setup(1);
    const answer = await ask(world.port, get('/a'));
    nodes[0]!.respond = fails;
    await ask(world.port, get('/b'));
    nodes[0]!.respond = () => {};
    const client = world.client();
    await client.send(get('/c'));
    await until('it at the node', () => nodes[0]!.requests().length === 3);
    client.socket.resetAndDestroy();
    await ask(world.port, 'nonsense\r\n\r\n');
    await world.quiet();
    const listener = (name: (typeof listenerCounters)[number]): number =>
      world.board.sum(counterRow.listener(0) + listenerCounters.indexOf(name));
    const route = (name: (typeof routeCounters)[number]): number =>
      world.board.sum(counterRow.route(0) + routeCounters.indexOf(name));
    expect(
      (
        [
          'requests',
          'status2xx',
          'status4xx',
          'status5xx',
          'clientAborts',
          'badRequests',
          'accepted',
          'closed',
        ] as const
      ).map(listener),
    ).toEqual([4, 1, 1, 1, 1, 1, 4, 4]);
    expect((['requests', 'status2xx', 'status5xx'] as const).map(route)).toEqual([3, 1, 1]);
    expect(
      (['requests', 'status2xx', 'status5xx', 'clientAborts', 'connects'] as const).map((name) => world.count(name)),
    ).toEqual([3, 1, 1, 1, 1]);
    expect(world.count('bytesOut')).toBe(nodes[0]!.connections.reduce((sum, one) => sum + one.received, 0));
    expect(world.outcomes.map((outcome) => outcome.end).sort()).toEqual(['bad_request', 'client_abort', 'ok', 'ok']);
    const told = world.outcomes[0]!;
    expect(told).toMatchObject({
      client: '127.0.0.1',
      host: 'ek.test',
      protocol: 'HTTP/1.1',
      listener: 'test',
      route: 'r',
    });
    expect(told.bytesOut).toBe(`${answer.start}\r\n${answer.lines.join('\r\n')}\r\n\r\n${answer.body}`.length);
    expect(told.header('host')).toBe('ek.test');
  });
});

describe('a route', () => {
  it('that redirects needs no node', async () => {
    const action = { kind: 'redirect', to: 'https://{host}{path}', status: 308 } as const;
    const { world, nodes } = await setup(1, { route: { action } });
    const answer = await ask(world.port, get('/a/../b?c'));
    expect([statusOf(answer), field(answer, 'location')]).toEqual([308, 'https://ek.test/b?c']);
    expect(nodes[0]!.connections).toEqual([]);
  });

  it('rewrites what goes to the node, and its fields on both ways', async () => {
    const { world, nodes } = await setup(1, {
      route: {
        action: { kind: 'pool', pool: 'app', rewrite: { prefix: '/v1', replacement: '/' } },
        requestFields: { set: [{ name: 'X-A', value: '1' }], remove: ['cookie'] },
        responseFields: { set: [{ name: 'X-B', value: '2' }], remove: ['server'] },
      },
    });
    nodes[0]!.respond = (_request, connection) =>
      connection.write('HTTP/1.1 200 OK\r\nServer: s\r\nx-b: theirs\r\nContent-Length: 0\r\n\r\n');
    const answer = await ask(world.port, get('/v1/x/%2e%2e/y', 'Cookie: a=b', 'x-a: mine'));
    const [request] = nodes[0]!.requests();
    expect(request!.start).toBe('GET /y HTTP/1.1');
    expect([request!.fields.get('x-a'), request!.fields.get('cookie')]).toEqual([['1'], undefined]);
    expect([answer.fields.get('x-b'), answer.fields.get('server')]).toEqual([['2'], undefined]);
    expect(field(answer, 'x-request-id')).toBe(field(request!, 'x-request-id'));
    expect(field(answer, 'date')).toMatch(/ GMT$/);
  });

  it('that none matches is 404, and a loop is 508', async () => {
    const { world, nodes } = await setup(1, {
      route: { path: { kind: 'prefix', value: '/v1' } },
      settings: { fields: { ...settings.fields, via: 'm' } },
    });
    expect(statusOf(await ask(world.port, get('/v2')))).toBe(404);
    expect(statusOf(await ask(world.port, get('/v1', 'Via: 1.1 ek-m')))).toBe(508);
    expect(nodes[0]!.connections).toEqual([]);
    expect(world.outcomes.map((outcome) => outcome.end)).toEqual(['no_route', 'bad_request']);
  });
});

describe('trailers, if the config says so', () => {
  const coded = '2\r\nok\r\n0\r\nDigest: d\r\nSet-Cookie: a=b\r\n\r\n';
  it.each([true, false])('passed on both ways without forbidden names: %s (F10)', async (trailers) => {
    const { world, nodes } = await setup(1, { settings: { fields: { ...settings.fields, trailers } } });
    nodes[0]!.respond = (_request, connection) =>
      connection.write(`HTTP/1.1 200 OK\r\nTrailer: Digest\r\nTransfer-Encoding: chunked\r\n\r\n${coded}`);
    const lines = ['TE: trailers', 'Trailer: Digest', 'Transfer-Encoding: chunked'];
    const answer = await ask(world.port, `${get('/', ...lines).replace('GET', 'POST')}${coded}`);
    const passed = trailers ? ['Digest: d'] : [];
    expect([answer.body, answer.trailers, nodes[0]!.requests()[0]!.trailers]).toEqual(['ok', passed, passed]);
    expect(field(nodes[0]!.requests()[0]!, 'te')).toBe(trailers ? 'trailers' : undefined);
    const named = trailers ? 'Digest' : undefined;
    expect([field(answer, 'trailer'), field(nodes[0]!.requests()[0]!, 'trailer')]).toEqual([named, named]);
  });
});

describe('listeners', () => {
  it('an address that is taken is told to the caller, and nothing is left open', async () => {
    const { world } = await setup(1);
    await expect(world.listen()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(statusOf(await ask(world.port, get('/')))).toBe(200);
  });

  it('one that is closed refuses; its open connections are served on', async () => {
    const { world } = await setup(1);
    const client = world.client();
    await client.send(get('/1'));
    await client.answers(1);
    await world.engine.unlisten(0);
    await expect(world.client().connected).rejects.toThrow('ECONNREFUSED');
    await client.send(get('/2'));
    expect((await client.answers(2))[1]!.body).toBe('GET /2');
  });

  it('unix sockets, in front and behind', async () => {
    const scope = testScope();
    const folder = await scope.folder();
    const world = await startWorld(scope, [{ port: 1 }]);
    const [own, app] = [join(folder, 'ek.sock'), join(folder, 'app.sock')];
    const seen: RawConnection[] = [];
    const server: Server = createServer((socket) => void seen.push(new RawConnection(socket, () => sayWhat)));
    await new Promise<void>((resolve) => server.listen(app, resolve));
    scope.own({
      stop: () => {
        for (const one of seen) one.socket.destroy();
        server.close();
      },
    });
    world.nodes = [{ ...world.nodes[0]!, address: { kind: 'unix', path: app }, authority: 'localhost' }];
    world.swap({ revision: 1 });
    const spec = { slot: 1, name: 'own', tls: null, sockets: 8, reusePort: false };
    await world.engine.listen({ ...spec, address: { kind: 'unix', path: own } });
    expect((await ask(own, get('/x'))).body).toBe('GET /x');
    expect((await ask(own, 'GET /y HTTP/1.0\r\n\r\n')).body).toBe('GET /y');
    expect(field(seen[0]!.requests[0]!, 'x-forwarded-for')).toBe('unix');
    expect(field(seen[0]!.requests[1]!, 'host')).toBe('localhost');
    const client = scope.own(new RawClient(own));
    await client.send(get('/z').slice(0, -2));
    client.stop();
    await world.quiet();
  });
});

describe('a client over TLS', () => {
  async function tls(options: WorldOptions = {}): Promise<{
    world: World;
    nodes: RawNode[];
    dial: (raw?: Socket) => Promise<TLSSocket>;
    port: number;
  }> {
    const made = await setup(1, options);
    const scope = testScope();
    const port = await freePort();
    const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
    const spec = { slot: 1, name: 'tls', address, sockets: 1, reusePort: false };
    await made.world.engine.listen({ ...spec, tls: tlsOf({ cert, key, names: ['app.test'] }) });
    const dial = async (raw = connect(port, '127.0.0.1')): Promise<TLSSocket> => {
      const socket = connectTls({ socket: raw, rejectUnauthorized: false });
      socket.on('error', () => {});
      scope.own({ stop: () => void socket.destroy() });
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      return socket;
    };
    return { ...made, dial, port };
  }

  const text = async (socket: TLSSocket, until_: string): Promise<string> => {
    let all = '';
    socket.on('data', (chunk) => {
      all += chunk.toString('latin1');
    });
    await until(until_, () => all.includes(until_));
    return all;
  };

  it('is served, and the node is told https', async () => {
    const { nodes, dial } = await tls();
    const socket = await dial();
    socket.write(get('/1') + get('/2'));
    expect(await text(socket, 'GET /2')).toContain('GET /1');
    expect(nodes[0]!.requests().map((request) => field(request, 'x-forwarded-proto'))).toEqual(['https', 'https']);
  });

  it('counts from its first byte on: silent handshakes are not held beside maxConnections', async () => {
    const { world, dial, port } = await tls({
      settings: { limits: { ...settings.limits, maxConnections: 3 }, timeouts: { ...settings.timeouts, head: 5000 } },
    });
    const served = await dial();
    const silent = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    await until('all but two let go', () => silent.filter((socket) => socket.closed).length === 6);
    expect(world.connections).toBe(3);
    expect(statusOf(await ask(world.port, get('/')))).toBe(503);
    served.write(get('/1'));
    await text(served, 'GET /1');
    await until('the two let go in time', () => silent.every((socket) => socket.closed));
    connect(port, '127.0.0.1').end();
    served.destroy();
    await world.quiet();
    (await dial()).write('not HTTP\r\n\r\n');
    const garbage = connect(port, '127.0.0.1').on('error', () => {});
    garbage.write(get('/'));
    await until('garbage closed', () => garbage.closed);
    await world.quiet(1);
    expect(world.exceptions).toBe(0);
  });

  it('a broken answer breaks its connection, and a reset gives all back', async () => {
    const { world, nodes, dial, port } = await tls();
    nodes[0]!.respond = (_request, { socket }) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
    const cut = await dial();
    const closed = new Promise((resolve) => cut.once('close', resolve));
    cut.write(get('/'));
    await text(cut, 'half');
    await closed;
    nodes[0]!.respond = () => {};
    const raw = connect(port, '127.0.0.1');
    const gone = await dial(raw);
    gone.write(get('/'));
    await until('it at the node', () => nodes[0]!.requests().length === 2);
    raw.resetAndDestroy();
    await world.quiet();
    expect(world.outcomes.map((outcome) => outcome.end)).toEqual(['upstream_reset', 'client_abort']);
    expect(world.exceptions).toBe(0);
  });
});
