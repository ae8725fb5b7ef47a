/**
 * Clients that go away, in every state that a connection can be in, by a reset and by an end (where the route says that it
 * means so), plain and over TLS: what was taken is given back, the node's connection of a broken exchange is not used
 * again, and the next client gets its own answer.
 */
import { connect as dial, type Socket } from 'node:net';
import { connect as dialTls } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { type RawNode, type Respond, sayWhat, startRawNode } from '../../helpers/raw-node.ts';
import { fileScope, type Scope, testScope } from '../../helpers/scope.ts';
import { makeCertificate, type Pem, tlsOf } from '../../helpers/tls.ts';
import { pool as poolRow } from '../../routing/fixtures.ts';
import { startWorld, type World, type WorldOptions } from '../world.ts';

interface Made {
  readonly world: World;
  readonly node: RawNode;
  readonly client: Gone;
  /** Of the node's answer to the request that is looked at. */
  readonly first: () => RawNode['connections'][number] | undefined;
}

interface State {
  readonly name: string;
  readonly sends: string;
  readonly respond?: Respond;
  readonly options?: WorldOptions;
  /** Whether the state has been reached. */
  readonly reached: (made: Made) => boolean;
  /** The node's connection was used, and must end with the client. */
  readonly nodeEnds: boolean;
}

const silent: Respond = () => {};
const answers =
  (bytes: string): Respond =>
  (_request, connection) =>
    connection.write(bytes);
const upgrade = `${get('/ws', 'Connection: Upgrade', 'Upgrade: websocket').slice(0, -2)}Sec-WebSocket-Key: k\r\n\r\n`;
const switching = 'HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi';
const post = (length: number, body: string, ...lines: readonly string[]): string =>
  `${get('/post', `Content-Length: ${length}`, ...lines).replace('GET', 'POST')}${body}`;
const mebibyte = 'x'.repeat(1024 * 1024);
const asked = ({ node }: Made): boolean => node.requests().length === 1;
const begun = ({ node }: Made): boolean => (node.connections[0]?.received ?? 0) > 0;
const sees =
  (text: string) =>
  ({ client }: Made): boolean =>
    client.received.includes(text);

const states: readonly State[] = [
  { name: 'before a byte', sends: '', reached: ({ world }) => world.connections === 1, nodeEnds: false },
  { name: 'within a head', sends: 'GET / HT', reached: ({ world }) => world.connections === 1, nodeEnds: false },
  { name: 'idle after an answer', sends: get('/1'), respond: sayWhat, reached: sees('GET /1'), nodeEnds: false },
  { name: 'within a sized body', sends: post(50, 'half'), reached: begun, nodeEnds: true },
  {
    name: 'within a chunked body',
    sends: `${get('/', 'Transfer-Encoding: chunked').replace('GET', 'POST')}5\r\nhel`,
    reached: begun,
    nodeEnds: true,
  },
  { name: 'before it is told 100', sends: post(5, '', 'Expect: 100-continue'), reached: begun, nodeEnds: true },
  {
    name: 'after it was told 100',
    sends: post(5, '', 'Expect: 100-continue'),
    reached: (made) => {
      const connection = made.first();
      if (connection !== undefined && connection.received > 0 && !sees('100 Continue')(made))
        connection.write('HTTP/1.1 100 Continue\r\n\r\n');
      return sees('100 Continue')(made);
    },
    nodeEnds: true,
  },
  {
    name: 'while the node takes no more of its body',
    sends: post(64 * mebibyte.length, mebibyte.repeat(40)),
    reached: ({ world, node, client }) => {
      const [connection] = node.connections;
      connection?.socket.pause();
      return connection !== undefined && world.inFlight === 1 && client.socket.writableLength > 1024 * 1024;
    },
    nodeEnds: true,
  },
  { name: 'while its answer is awaited', sends: get('/'), respond: silent, reached: asked, nodeEnds: true },
  {
    name: 'with more requests behind the one that is awaited',
    sends: get('/1') + post(5, 'hello') + get('/3').slice(0, 20),
    respond: silent,
    reached: asked,
    nodeEnds: true,
  },
  {
    name: 'behind an interim answer',
    sends: get('/'),
    respond: answers('HTTP/1.1 103 x\r\nLink: </a>\r\n\r\n'),
    reached: sees('103'),
    nodeEnds: true,
  },
  ...['Content-Length: 100\r\n\r\nhalf', 'Transfer-Encoding: chunked\r\n\r\n64\r\nhalf', '\r\nhalf'].map(
    (text): State => ({
      name: `within an answer, ${JSON.stringify(text.slice(0, 12))}`,
      sends: get('/'),
      respond: answers(`HTTP/1.1 200 OK\r\n${text}`),
      reached: sees('half'),
      nodeEnds: true,
    }),
  ),
  {
    name: 'while it takes nothing of a large answer',
    sends: get('/'),
    respond: answers(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * mebibyte.length}\r\n\r\n${mebibyte.repeat(16)}`),
    reached: ({ client, node, world }) => {
      client.socket.pause();
      return node.requests().length === 1 && world.count('bytesIn') > 0;
    },
    nodeEnds: true,
  },
  {
    name: 'while it sends on behind an early answer',
    sends: post(1_000_000, 'half'),
    reached: (made) => {
      const connection = made.first();
      if (connection !== undefined && connection.received > 0 && !sees('413')(made))
        connection.write('HTTP/1.1 413 x\r\nContent-Length: 2\r\n\r\nno');
      return sees('no')(made);
    },
    nodeEnds: true,
  },
  { name: 'behind its refusal', sends: 'nonsense\r\n\r\n', reached: sees(' 400 '), nodeEnds: false },
  { name: 'before its tunnel is open', sends: `${upgrade}early`, respond: silent, reached: asked, nodeEnds: true },
  { name: 'within a tunnel', sends: upgrade, respond: answers(switching), reached: sees('hi'), nodeEnds: true },
  {
    name: 'within the pause before another try',
    sends: get('/'),
    respond: answers('HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n'),
    options: { pool: { retry: { ...poolRow('app', 1).retry, statuses: [503], backoff: 60_000 } } },
    reached: ({ world }) => world.countPool('retries') === 1,
    nodeEnds: false,
  },
];

/** A client that can be reset over TLS too: by the socket below. */
class Gone {
  received = '';
  closed = false;
  readonly #below: Socket;
  readonly socket: Socket;

  constructor(port: number, secure: boolean) {
    this.#below = dial({ port, host: '127.0.0.1', noDelay: true });
    this.socket = secure ? dialTls({ socket: this.#below, rejectUnauthorized: false }) : this.#below;
    for (const socket of new Set([this.socket, this.#below])) {
      socket.on('error', () => {});
      socket.on('close', () => {
        this.closed = true;
      });
    }
    this.socket.on('data', (bytes: Buffer) => {
      this.received += bytes.toString('latin1');
    });
  }

  leave(how: 'reset' | 'end'): void {
    if (how === 'reset') this.#below.resetAndDestroy();
    else this.#below.destroy();
  }

  stop(): void {
    this.#below.destroy();
  }
}

const shared = fileScope();
let pem: Pem;
beforeAll(async () => {
  pem = await makeCertificate(await shared.folder(), 'app.test');
});

async function start(scope: Scope, secure: boolean, state: State, abortOnFin = false) {
  const nodes = [await startRawNode(scope)];
  // A second one, to which a retry could go.
  if (state.options !== undefined) nodes.push(await startRawNode(scope));
  for (const node of nodes) node.respond = state.respond ?? silent;
  const world = await startWorld(scope, nodes, { ...state.options, route: { abortOnFin } });
  if (!secure) return { world, nodes, port: world.port };
  const port = await freePort();
  const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
  const tls = tlsOf({ ...pem, names: ['app.test'] });
  await world.engine.listen({ slot: 1, name: 'secure', address, tls, sockets: 1, reusePort: false });
  return { world, nodes, port };
}

for (const secure of [false, true]) {
  describe.each(['reset', 'end'] as const)(`a client ${secure ? 'over TLS ' : ''}that goes by %s`, (how) => {
    it.each(states.map((state) => [state.name, state] as const))('%s', async (_, state) => {
      const scope = testScope();
      const { world, nodes, port } = await start(scope, secure, state, how === 'end');
      const client = scope.own(new Gone(port, secure));
      const used = () => nodes.flatMap((node) => node.connections);
      const made: Made = { world, node: nodes[0]!, client, first: () => used()[0] };
      client.socket.write(state.sends, 'latin1');
      await until('the state', () => state.reached(made));
      client.leave(how);
      // Whose body is held back is not read from, and found gone when the node takes more of it.
      for (const connection of used()) connection.socket.resume();
      await world.quiet();
      if (state.nodeEnds) await until('the end at the node', () => used().every((one) => one.end !== 'open'));
      expect(world.upstreams).toBe(used().filter((one) => one.end === 'open').length);
      for (const node of nodes) node.respond = sayWhat;
      for (let i = 0; i < 3; i++) {
        const answer = await ask(world.port, get(`/canary-${i}`, 'Connection: close'));
        expect([statusOf(answer), answer.body]).toEqual([200, `GET /canary-${i}`]);
      }
      await world.quiet();
      expect(world.exceptions).toBe(0);
      expect(world.outcomes.filter((outcome) => outcome.end === 'internal')).toEqual([]);
    });
  });
}

describe('a client that goes within its handshake', () => {
  it('at every byte of its hello: all given back', async () => {
    const scope = testScope();
    const [idle] = states;
    const { world, port } = await start(scope, true, idle!);
    const hello = await firstFlight(scope);
    for (let at = 0; at <= hello.length; at++) {
      const socket = dial(port, '127.0.0.1').on('error', () => {});
      socket.write(hello.subarray(0, at), () => {
        if (at % 2 === 0) socket.resetAndDestroy();
        else socket.destroy();
      });
    }
    await until('all gone', () => world.connections === 0);
    await world.quiet();
    expect(world.exceptions).toBe(0);
  });
});

/** What a client says first. */
async function firstFlight(scope: Scope): Promise<Buffer> {
  const node = await startRawNode(scope);
  const client = dialTls({ port: node.port, host: '127.0.0.1', servername: 'app.test', rejectUnauthorized: false });
  client.on('error', () => {});
  scope.own({ stop: () => void client.destroy() });
  const tail = (): string => node.connections[0]?.tail ?? '';
  const whole = (): boolean => tail().length > 5 && tail().length >= 5 + Buffer.from(tail(), 'latin1').readUInt16BE(3);
  await until('the hello', whole);
  return Buffer.from(tail(), 'latin1');
}
