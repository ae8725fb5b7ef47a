/** https nodes: real TLS servers behind the engine. */
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import type { UpstreamTls } from '../../../src/config/model.ts';
import { statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { ask, get, RawClient } from '../../helpers/raw-client.ts';
import { RawConnection, type Respond, sayWhat } from '../../helpers/raw-node.ts';
import { fileScope, type Scope, testScope } from '../../helpers/scope.ts';
import { makeCertificate, type Pem } from '../../helpers/tls.ts';
import { startWorld, type World } from '../world.ts';

const shared = fileScope();
let authority: Pem;
let right: Pem;
let wrong: Pem;
let own: Pem;
beforeAll(async () => {
  const folder = await shared.folder();
  authority = await makeCertificate(folder, 'authority', { authority: true });
  [right, wrong, own] = await Promise.all([
    makeCertificate(folder, 'node.test', { names: ['node.test', 'localhost'], by: authority }),
    makeCertificate(folder, 'other.test', { names: ['other.test'], by: authority }),
    makeCertificate(folder, 'proxy', { by: authority }),
  ]);
});

interface Seen {
  readonly servername: string;
  readonly resumed: boolean;
  readonly client: string | undefined;
}

interface TlsNode {
  readonly port: number;
  readonly seen: Seen[];
  readonly open: RawConnection[];
  respond: Respond;
  /** Called when a handshake has ended, before a byte of a request. */
  onOpen: (connection: RawConnection) => void;
}

async function tlsNode(scope: Scope, options: TlsOptions): Promise<TlsNode> {
  const open: RawConnection[] = [];
  const seen: Seen[] = [];
  const server = createServer(options, (socket) => {
    const client = socket.getPeerX509Certificate()?.subject;
    seen.push({ servername: String(socket.servername), resumed: socket.isSessionReused(), client });
    open.push(new RawConnection(socket, () => node.respond));
    node.onOpen(open.at(-1)!);
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const node: TlsNode = {
    port: (server.address() as AddressInfo).port,
    seen,
    open,
    respond: sayWhat,
    onOpen: () => {},
  };
  scope.own({
    stop: () => {
      for (const { socket } of open) socket.destroy();
      server.close();
    },
  });
  return node;
}

/** Connections to it stand still until it opens; from then on they go on to the port. */
async function heldDoor(scope: Scope, to: number): Promise<{ readonly port: number; held: number; open: () => void }> {
  const waiting: (() => void)[] = [];
  let isOpen = false;
  const server = createTcpServer((socket) => {
    const pass = (): void => {
      const onward = connect(to, '127.0.0.1');
      scope.own({ stop: () => void onward.destroy() });
      onward.on('error', () => socket.destroy());
      socket.pipe(onward).pipe(socket);
    };
    scope.own({ stop: () => void socket.destroy() });
    socket.on('error', () => {});
    door.held++;
    if (isOpen) pass();
    else waiting.push(pass);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.own({ stop: () => void server.close() });
  const door = {
    port: (server.address() as AddressInfo).port,
    held: 0,
    open: () => {
      isOpen = true;
      for (const pass of waiting) pass();
    },
  };
  return door;
}

const tlsWith = (tls: Partial<UpstreamTls> = {}): UpstreamTls => ({
  ca: authority.cert,
  cert: null,
  key: null,
  verify: true,
  servername: 'node.test',
  ...tls,
});

/** A world whose one node is asked over TLS, at this host. */
async function inFrontOf(node: { readonly port: number }, tls: UpstreamTls, host = '127.0.0.1'): Promise<World> {
  const world = await startWorld(testScope(), [node], { pool: { tls } });
  world.nodes = world.nodes.map((row) => ({ ...row, address: { kind: 'tcp', host, port: node.port, tls: true } }));
  world.swap({ revision: 1 });
  return world;
}

const status = async (world: World): Promise<number> => statusOf(await ask(world.port, get('/')));

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a node over %s', (maxVersion) => {
  it('is verified, asked for by name, and kept open', async () => {
    const node = await tlsNode(testScope(), { ...right, maxVersion });
    const world = await inFrontOf(node, tlsWith());
    for (let i = 0; i < 3; i++) expect((await ask(world.port, get(`/${i}`))).body).toBe(`GET /${i}`);
    expect(node.seen).toEqual([{ servername: 'node.test', resumed: false, client: undefined }]);
    await world.quiet();
  });

  it('that sends what nobody asked for loses its connection, idle or behind an answer, and nobody gets it', async () => {
    const node = await tlsNode(testScope(), { ...right, maxVersion });
    const world = await inFrontOf(node, tlsWith());
    const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
    expect((await ask(world.port, get('/1'))).body).toBe('GET /1');
    node.open[0]!.write(evil);
    await until('the end of an idle one', () => world.upstreams === 0);
    node.respond = (_request, connection) => connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${evil}`);
    expect((await ask(world.port, get('/2'))).body).toBe('ok');
    await until('the end of a used one', () => world.upstreams === 0);
    node.respond = sayWhat;
    expect((await ask(world.port, get('/3'))).body).toBe('GET /3');
    expect([node.seen.length, world.count('excessBytes')]).toEqual([3, 2 * evil.length]);
  });

  it('that breaks off right behind its handshake, or once it is asked: 502 at once', async () => {
    const node = await tlsNode(testScope(), { ...right, maxVersion });
    const world = await inFrontOf(node, tlsWith());
    const post = get('/').replace('GET', 'POST');
    for (const how of ['end', 'destroy'] as const) {
      node.onOpen = ({ socket }) => void socket[how]();
      expect([how, statusOf(await ask(world.port, post))]).toEqual([how, 502]);
      node.onOpen = () => {};
      node.respond = (_request, { socket }) => void socket[how]();
      expect([how, statusOf(await ask(world.port, post))]).toEqual([how, 502]);
      node.respond = sayWhat;
    }
    await world.quiet();
    expect(world.count('timeouts')).toBe(0);
  });

  it('resumes its session on the next connection', async () => {
    const node = await tlsNode(testScope(), { ...right, maxVersion });
    node.respond = (request, connection) => {
      sayWhat(request, connection);
      connection.socket.end();
    };
    const world = await inFrontOf(node, tlsWith());
    for (let i = 0; i < 3; i++) expect(await status(world)).toBe(200);
    expect(node.seen.map(({ resumed }) => resumed)).toEqual([false, true, true]);
  });

  it('is refused with another name, each time: a session of it is not kept', async () => {
    const node = await tlsNode(testScope(), { ...wrong, maxVersion });
    const world = await inFrontOf(node, tlsWith());
    for (let i = 0; i < 3; i++) expect(await status(world)).toBe(502);
    expect(world.signals[0]?.detail).toContain('does not match');
    expect(node.seen.map(({ resumed }) => resumed)).not.toContain(true);
    await world.quiet();
    world.swap({ revision: 2, tls: tlsWith({ servername: 'other.test' }) });
    expect(await status(world)).toBe(200);
    world.swap({ revision: 3, tls: tlsWith() });
  });

  it('whose handshake was under way while it was to be verified from now on is verified from now on', async () => {
    const scope = testScope();
    const node = await tlsNode(scope, { ...wrong, maxVersion });
    node.respond = (request, connection) => {
      sayWhat(request, connection);
      connection.socket.end();
    };
    const door = await heldDoor(scope, node.port);
    const world = await inFrontOf(door, tlsWith({ verify: false }));
    const first = status(world);
    await until('a connection', () => door.held === 1);
    world.swap({ revision: 2, tls: tlsWith() });
    door.open();
    expect(await first).toBe(200);
    await until('its end', () => world.upstreams === 0);
    for (let i = 0; i < 2; i++) expect(await status(world)).toBe(502);
  });

  it('that is to be verified from now on gets nothing more over connections from before, idle or busy', async () => {
    const node = await tlsNode(testScope(), { ...wrong, maxVersion });
    const answers: (() => void)[] = [];
    node.respond = (request, connection) => {
      if (request.start.includes('/late')) answers.push(() => sayWhat(request, connection));
      else sayWhat(request, connection);
    };
    const world = await inFrontOf(node, tlsWith({ verify: false }));
    const late = ask(world.port, get('/late'));
    await until('one under way', () => answers.length === 1);
    expect(await status(world)).toBe(200);
    expect(world.upstreams).toBe(2);
    world.swap({ revision: 2, tls: tlsWith() });
    expect(await status(world)).toBe(502);
    answers[0]!();
    expect((await late).body).toBe('GET /late');
    expect(await status(world)).toBe(502);
    expect(world.upstreams).toBe(0);
  });

  it('keeps its connections through a reload that changes nothing of its verification', async () => {
    const node = await tlsNode(testScope(), { ...right, maxVersion });
    const world = await inFrontOf(node, tlsWith());
    expect(await status(world)).toBe(200);
    world.swap({ revision: 2, tls: tlsWith() });
    expect(await status(world)).toBe(200);
    expect(node.seen).toHaveLength(1);
  });

  it('is refused if nobody known has signed for it; taken unverified if told so', async () => {
    const node = await tlsNode(testScope(), { ...right, maxVersion });
    expect(await status(await inFrontOf(node, tlsWith({ ca: null })))).toBe(502);
    expect(await status(await inFrontOf(node, tlsWith({ ca: null, verify: false, servername: null })))).toBe(200);
  });

  it('gets our certificate', async () => {
    const node = await tlsNode(testScope(), { ...right, maxVersion, ca: authority.cert, requestCert: true });
    expect(await status(await inFrontOf(node, tlsWith()))).toBe(502);
    expect(await status(await inFrontOf(node, tlsWith({ cert: own.cert, key: own.key })))).toBe(200);
    expect(node.seen.map(({ client }) => client)).toEqual(['CN=proxy']);
  });

  it('bodies of any size pass both ways, slow readers are waited for', async () => {
    const node = await tlsNode(testScope(), { ...right, maxVersion });
    const body = Buffer.alloc(3_000_000, 'a large answer ');
    node.respond = (request, { socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nX-Got: ${request.body.length}\r\n\r\n`);
      socket.write(body);
    };
    const world = await inFrontOf(node, tlsWith());
    const client = testScope().own(new RawClient(world.port));
    const upload = 'b'.repeat(700_000);
    await client.connected;
    client.socket.pause();
    await client.send(`POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: ${upload.length}\r\n\r\n${upload}`);
    await until('it at the node', () => node.seen.length === 1);
    client.socket.resume();
    const [answer] = await client.answers(1);
    expect(answer?.fields.get('x-got')).toEqual(['700000']);
    expect(answer?.body === body.toString()).toBe(true);
    client.stop();
    await world.quiet();
    expect(world.exceptions).toBe(0);
  });

  it('breaks off: before an answer, and within one', async () => {
    const node = await tlsNode(testScope(), { ...right, maxVersion });
    const world = await inFrontOf(node, tlsWith());
    node.respond = (_request, { socket }) => socket.destroy();
    expect(await status(world)).toBe(502);
    node.respond = (_request, { socket }) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
    const client = testScope().own(new RawClient(world.port));
    await client.send(get('/'));
    await client.ended();
    expect(client.received).toContain('half');
    node.respond = (request, connection) => {
      sayWhat(request, connection);
      connection.socket.write('more');
    };
    expect(await status(world)).toBe(200);
    await world.quiet();
    expect(world.upstreams).toBe(0);
  });
});

describe('a node that is said to speak TLS', () => {
  it('and does not: what it sends is no answer', async () => {
    const scope = testScope();
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    scope.own({ stop: () => void server.close() });
    const world = await inFrontOf({ port: (server.address() as AddressInfo).port }, tlsWith());
    expect(await status(world)).toBe(502);
    await world.quiet();
  });

  it('and is silent: given up after the time to connect', async () => {
    const scope = testScope();
    const server = createTcpServer((socket) => scope.own({ stop: () => void socket.destroy() }));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    scope.own({ stop: () => void server.close() });
    const world = await inFrontOf({ port: (server.address() as AddressInfo).port }, tlsWith());
    expect(await status(world)).toBe(504);
    await world.quiet();
  });

  it('by its url’s host, if no name is given', async () => {
    const node = await tlsNode(testScope(), right);
    expect(await status(await inFrontOf(node, tlsWith({ servername: null }), 'localhost'))).toBe(200);
    expect(node.seen[0]?.servername).toBe('localhost');
    expect(await status(await inFrontOf(node, tlsWith({ servername: null }), '127.0.0.1'))).toBe(502);
  });
});
