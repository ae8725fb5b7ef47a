/**
 * However an exchange ends, all that it took is given back: in flight, places in queue and budget, connections, its hold
 * on the snapshot; and the next client is served.
 */
import { describe, expect, it } from 'vitest';
import { statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { type RawNode, sayWhat, startRawNode } from '../../helpers/raw-node.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { setNode } from '../fixtures.ts';
import { deafPort, startWorld, type World, type WorldOptions } from '../world.ts';

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

/** A clean request on a new connection gets its own answer. */
async function canary({ world, node }: Setup, name = '/canary'): Promise<void> {
  node.respond = sayWhat;
  const answer = await ask(world.port, get(name, 'Connection: close'));
  expect([statusOf(answer), answer.body]).toEqual([200, `GET ${name}`]);
}

const post = (length: number, body: string): string =>
  `POST / HTTP/1.1\r\nHost: ek.test\r\nContent-Length: ${length}\r\n\r\n${body}`;

describe('a request that is answered', () => {
  it('gives all back, and its outcome is told once', async () => {
    const made = await setup();
    const answer = await ask(made.world.port, get('/x'));
    expect([statusOf(answer), answer.body]).toEqual([200, 'GET /x']);
    await made.world.quiet();
    expect(made.world.outcomes).toHaveLength(1);
    expect(made.world.outcomes[0]).toMatchObject({ status: 200, end: 'ok', tries: 1, node: 'n-0', target: '/x' });
    expect(made.world.exceptions).toBe(0);
  });

  it('is told with what its head and its body took: of a node, of ours, refused, without a body', async () => {
    const made = await setup();
    const { port } = made.world;
    const sized = await ask(port, get('/sized', 'Connection: close'));
    made.node.respond = (_, connection) =>
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n');
    await ask(port, get('/chunked', 'Connection: close'));
    made.node.respond = sayWhat;
    await ask(port, 'HEAD /head HTTP/1.1\r\nHost: ek.test\r\nConnection: close\r\n\r\n');
    const refused = await ask(port, 'GET /refused HTTP/1.1\r\nHost: ek.test\r\nX : y\r\n\r\n');
    const denied = await ask(port, 'TRACE / HTTP/1.1\r\nHost: ek.test\r\nConnection: close\r\n\r\n');
    await made.world.quiet();
    const bodies = made.world.outcomes.map(({ bytesOut, headOut }) => bytesOut - headOut);
    const chunked = '5\r\nhello\r\n0\r\n\r\n'.length;
    expect(bodies).toEqual([sized.body.length, chunked, 0, refused.body.length, denied.body.length]);
    expect(made.world.outcomes.every(({ headOut }) => headOut > 0)).toBe(true);
  });
});

describe('a client that resets', () => {
  const silent = (node: RawNode): void => {
    node.respond = () => {};
  };

  it('before its head: nothing is told', async () => {
    const made = await setup();
    const client = made.world.client();
    await client.connected;
    await until('accepted', () => made.world.connections === 1);
    client.socket.resetAndDestroy();
    await made.world.quiet();
    expect(made.world.outcomes).toEqual([]);
  });

  it('in its head', async () => {
    const made = await setup();
    const client = made.world.client();
    await client.send('GET / HTTP/1.1\r\nHos');
    await until('accepted', () => made.world.connections === 1);
    client.socket.resetAndDestroy();
    await made.world.quiet();
    expect(made.node.connections).toEqual([]);
    await canary(made);
  });

  it('in its body: 499, and the node sees the end', async () => {
    const made = await setup();
    const client = made.world.client();
    await client.send(post(100, 'half'));
    await until('half a body at the node', () => made.node.connections[0]?.tail.endsWith('half'));
    client.socket.resetAndDestroy();
    await made.world.quiet();
    await until('end at the node', () => made.node.connections[0]!.end !== 'open');
    expect(made.world.outcomes).toMatchObject([{ status: 499, end: 'client_abort' }]);
    expect(made.world.count('clientAborts')).toBe(1);
    await canary(made);
  });

  it('while its answer is awaited', async () => {
    const made = await setup();
    silent(made.node);
    const client = made.world.client();
    await client.send(get('/slow'));
    await until('the request at the node', () => made.node.requests().length === 1);
    client.socket.resetAndDestroy();
    await made.world.quiet();
    await until('end at the node', () => made.node.connections[0]!.end !== 'open');
    expect(made.world.outcomes).toMatchObject([{ status: 499, end: 'client_abort' }]);
    await canary(made);
  });

  it.each([
    ['sized', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'],
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf'],
    ['until close', 'HTTP/1.1 200 OK\r\n\r\nhalf'],
  ])('in the middle of its answer, %s', async (_, bytes) => {
    const made = await setup();
    made.node.respond = (_request, connection) => connection.write(bytes);
    const client = made.world.client();
    await client.send(get('/'));
    await client.sees('half');
    client.socket.resetAndDestroy();
    await made.world.quiet();
    await until('end at the node', () => made.node.connections[0]!.end !== 'open');
    expect(made.world.outcomes).toMatchObject([{ status: 499, end: 'client_abort' }]);
    await canary(made);
  });

  it('while it waits in the queue: the one behind it gets the place', async () => {
    const made = await setup({ pool: { limits: { maxConnections: 1, maxPending: 9, queueTimeout: 60_000 } } });
    silent(made.node);
    const [first, second, third] = [made.world.client(), made.world.client(), made.world.client()];
    await first.send(get('/1'));
    await until('the first at the node', () => made.node.requests().length === 1);
    await second.send(get('/2'));
    await until('the second in the queue', () => made.world.pending === 1);
    await third.send(get('/3'));
    await until('the third in the queue', () => made.world.pending === 2);
    second.socket.resetAndDestroy();
    await until('the second gone', () => made.world.pending === 1);
    made.node.respond = sayWhat;
    sayWhat(made.node.requests()[0]!, made.node.connections[0]!);
    expect((await third.answers(1))[0]?.body).toBe('GET /3');
    expect((await first.answers(1))[0]?.body).toBe('GET /1');
    await made.world.quiet(2);
    expect(made.node.requests()).toHaveLength(2);
    expect(made.world.outcomes.map((outcome) => outcome.end).sort()).toEqual(['client_abort', 'ok', 'ok']);
  });

  it('while its node is being connected to', async () => {
    const scope = testScope();
    const world = await startWorld(scope, [await deafPort(scope)], {
      pool: { upstream: { ...upstream, connectTimeout: 60_000 } },
    });
    const client = world.client();
    await client.send(get('/'));
    await until('connecting', () => world.upstreams === 1 && world.inFlight === 1);
    client.socket.resetAndDestroy();
    await world.quiet();
    expect(world.upstreams).toBe(0);
    expect(world.outcomes).toMatchObject([{ status: 499, end: 'client_abort', node: 'n-0' }]);
  });

  it('while a retry is pausing', async () => {
    const scope = testScope();
    const nodes = [await startRawNode(scope), await startRawNode(scope)];
    for (const node of nodes) {
      node.respond = (_request, connection) => connection.write('HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n');
    }
    const world = await startWorld(scope, nodes, { pool: { retry: { ...retry, backoff: 60_000 } } });
    const client = world.client();
    await client.send(get('/'));
    await until('the pause', () => world.countPool('retries') === 1);
    client.socket.resetAndDestroy();
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ status: 499, end: 'client_abort', tries: 1 }]);
  });
});

const upstream = {
  connectTimeout: 1000,
  responseTimeout: 60_000,
  bodyTimeout: 60_000,
  tunnelTimeout: 60_000,
  idleTimeout: 4000,
  maxIdle: 64,
  pipelining: 1,
};
const retry = { attempts: 2, budget: 0.2, methods: [], statuses: [503], buffer: 65_536, backoff: 1 };

describe('at every byte', () => {
  const answers = {
    sized: 'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nA: b\r\n\r\nhello, world',
    chunked: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n7\r\n, world\r\n0\r\nT: x\r\n\r\n',
  };
  for (const [framing, bytes] of Object.entries(answers)) {
    for (const how of ['resets', 'ends'] as const) {
      it(`a node that ${how} a ${framing} answer: 502 or a broken connection, never a whole answer`, async () => {
        const made = await setup({ pool: { errorsToEject: 0 } });
        for (let at = 0; at < bytes.length; at++) {
          made.node.respond = (_request, connection) => {
            if (at > 0) connection.write(bytes.slice(0, at));
            if (how === 'resets') setImmediate(() => connection.socket.resetAndDestroy());
            else connection.socket.end();
          };
          const client = made.world.client();
          await client.send(get(`/${at}`));
          const whole = await client.answers(1);
          if (whole.length > 0) expect([at, statusOf(whole[0]!)]).toEqual([at, 502]);
          else expect([at, client.end]).toEqual([at, 'reset']);
          client.stop();
        }
        await made.world.quiet();
        expect(made.world.outcomes.filter((outcome) => outcome.end === 'ok')).toEqual([]);
        await canary(made);
        expect(made.world.exceptions).toBe(0);
      });
    }
  }

  it.each([
    ['sized', post(5, 'hello')],
    ['chunked', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ])('a client that resets a %s request: all given back, no request at the node but whole ones', async (_, bytes) => {
    const made = await setup();
    for (let at = 0; at <= bytes.length; at++) {
      const client = made.world.client();
      await client.send(bytes.slice(0, at));
      await until('accepted', () => made.world.connections === 1);
      client.socket.resetAndDestroy();
      await until('closed', () => made.world.connections === 0);
    }
    await made.world.quiet();
    for (const connection of made.node.connections) expect(connection.faults).toEqual([]);
    await canary(made);
    expect(made.world.exceptions).toBe(0);
  });

  it('a client that ends its request there: closed, and never more than a whole request at the node', async () => {
    const made = await setup();
    const bytes = post(5, 'hello');
    for (let at = 0; at < bytes.length; at++) {
      const client = made.world.client();
      await client.send(bytes.slice(0, at));
      client.halfClose();
      await client.ended();
      expect(client.read().messages).toEqual([]);
      client.stop();
    }
    await made.world.quiet();
    expect(made.node.requests()).toEqual([]);
    await canary(made);
  });
});

describe('a planted exception ends its exchange and no other', () => {
  /** Another exchange that is under way meanwhile, and has to come to its end. */
  async function besides(made: Setup, planted: () => Promise<void>, after = (): void => {}): Promise<void> {
    made.node.respond = () => {};
    const bystander = made.world.client();
    await bystander.send(get('/bystander'));
    await until('it at the node', () => made.node.requests().length === 1);
    const { connections } = made.node;
    made.node.respond = sayWhat;
    await planted();
    sayWhat(connections[0]!.requests[0]!, connections[0]!);
    expect((await bystander.answers(1))[0]?.body).toBe('GET /bystander');
    bystander.stop();
    await made.world.quiet();
    after();
    expect(made.world.exceptions).toBe(1);
    const errors = made.world.events.filter((event) => event.level === 'error');
    expect(errors).toMatchObject([{ event: 'exchange-threw' }]);
    await canary(made);
  }

  it('in the match', async () => {
    const made = await setup({
      wrap: (snapshot) => ({
        ...snapshot,
        match: (facts) => {
          if (facts.path === '/planted') throw new Error('planted');
          return snapshot.match(facts);
        },
      }),
    });
    await besides(made, async () => {
      const client = made.world.client();
      await client.send(get('/planted'));
      await client.ended();
    });
  });

  it('in what is told of an outcome', async () => {
    const made = await setup({
      engine: {
        onOutcome: (outcome) => {
          if (outcome.target === '/planted') throw new Error('planted');
        },
      },
    });
    await besides(made, async () => {
      const client = made.world.client();
      await client.send(get('/planted'));
      await client.ended();
    });
  });

  it('in what is told of a client that went away', async () => {
    const made = await setup({
      engine: {
        onOutcome: (outcome) => {
          if (outcome.status === 499) throw new Error('planted');
        },
      },
    });
    await besides(made, async () => {
      made.node.respond = () => {};
      const client = made.world.client();
      await client.send(get('/planted'));
      await until('it at the node', () => made.node.requests().length === 2);
      client.socket.resetAndDestroy();
      await until('the exception', () => made.world.exceptions === 1);
      made.node.respond = sayWhat;
    });
  });

  it('in what is told of a refused head', async () => {
    const made = await setup({
      engine: {
        onOutcome: (outcome) => {
          if (outcome.end === 'bad_request') throw new Error('planted');
        },
      },
    });
    await besides(made, async () => {
      const client = made.world.client();
      await client.send('nonsense\r\n\r\n');
      await client.ended();
    });
  });

  it('in one that waits, when it is woken', async () => {
    const made = await setup({
      pool: { limits: { maxConnections: 1, maxPending: 9, queueTimeout: 60_000 } },
      engine: {
        onOutcome: (outcome) => {
          if (outcome.target === '/planted') throw new Error('planted');
        },
      },
    });
    const planted = async (): Promise<void> => {
      const client = made.world.client();
      await client.send(get('/planted'));
      await until('it in the queue', () => made.world.pending === 1);
      // No node is fit any more: the one that waits gets its 503 when it is woken, and telling its outcome throws.
      setNode(made.world.board, 0, { fit: false });
    };
    await besides(made, planted, () => setNode(made.world.board, 0));
    expect(made.world.countPool('noNode')).toBe(1);
  });

  it('in what is told of a node', async () => {
    const made = await setup({
      engine: {
        onSignal: () => {
          throw new Error('planted');
        },
      },
      pool: { errorsToEject: 1 },
    });
    await besides(made, async () => {
      made.node.respond = (_request, connection) => connection.write('HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n');
      const client = made.world.client();
      await client.send(get('/planted'));
      await client.ended();
      made.node.respond = sayWhat;
    });
  });
});
