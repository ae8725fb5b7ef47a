/** Several requests at once on one connection to a node: each client gets its own answer, whatever becomes of the others. */
import { describe, expect, it } from 'vitest';
import { statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { get, type RawClient } from '../../helpers/raw-client.ts';
import { type RawConnection, type RawNode, type Respond, sayWhat, startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { pool as poolRow } from '../../routing/fixtures.ts';
import { startWorld, type World, type WorldOptions } from '../world.ts';

const row = poolRow('app', 0);

interface Setup {
  readonly world: World;
  readonly nodes: readonly RawNode[];
  readonly clients: readonly RawClient[];
}

interface Wanted {
  readonly nodes?: number;
  readonly clients?: number;
  readonly upstream?: Partial<(typeof row)['upstream']>;
  readonly options?: WorldOptions;
}

/** Clients that are connected, in front of nodes of which the first takes all while it can. No paid second try. */
async function setup({ nodes: count = 1, clients = 4, upstream, options = {} }: Wanted = {}): Promise<Setup> {
  const scope = testScope();
  const nodes = await Promise.all(Array.from({ length: count }, () => startRawNode(scope)));
  const world = await startWorld(scope, nodes, {
    backups: nodes.map((_, i) => i).slice(1),
    ...options,
    pool: {
      errorsToEject: 0,
      retry: { ...row.retry, attempts: 1 },
      upstream: { ...row.upstream, pipelining: 8, ...upstream },
      ...options.pool,
    },
  });
  const all = Array.from({ length: clients }, () => world.client());
  await Promise.all(all.map((client) => client.connected));
  return { world, nodes, clients: all };
}

const targets = (clients: readonly RawClient[]): string[] => clients.map((_, i) => `/${i}`);

/** Each client asks for its own; all at once. */
function askAll(clients: readonly RawClient[], request: (target: string, i: number) => string = (t) => get(t)): void {
  clients.forEach((client, i) => {
    client.socket.write(request(`/${i}`, i), 'latin1');
  });
}

const bodies = async (clients: readonly RawClient[]): Promise<string[]> => {
  const all = await Promise.all(clients.map((client) => client.answers(1)));
  return all.map(([answer]) => (answer === undefined ? 'none' : `${statusOf(answer)} ${answer.body}`));
};
const own = (clients: readonly RawClient[]): string[] => targets(clients).map((target) => `200 GET ${target}`);

/** Says nothing on a connection until so many requests are there, then acts once; what comes later is answered as usual. */
function gather(count: number, act: (connection: RawConnection) => void): Respond {
  const acted = new Map<RawConnection, number>();
  return (request, connection) => {
    const from = acted.get(connection);
    if (from !== undefined) {
      if (connection.requests.indexOf(request) >= from) sayWhat(request, connection);
    } else if (connection.requests.length >= count) {
      acted.set(connection, connection.requests.length);
      act(connection);
    }
  };
}

/** The first connection with so many requests is dealt with; all else is answered as usual. */
function once(count: number, act: (connection: RawConnection) => void): Respond {
  let first: RawConnection | null = null;
  const begin = gather(count, act);
  return (request, connection) => {
    first ??= connection;
    if (connection === first) begin(request, connection);
    else sayWhat(request, connection);
  };
}

const nameOf = (connection: RawConnection, i: number): string => connection.requests[i]!.start.split(' ')[1]!;
const sized = (what: string, ...lines: readonly string[]): string =>
  ['HTTP/1.1 200 OK', `Content-Length: ${what.length}`, ...lines, '', what].join('\r\n');
const answerTo = (connection: RawConnection, i: number, ...lines: readonly string[]): string =>
  sized(`GET ${nameOf(connection, i)}`, ...lines);
/** A whole answer where none belongs: whoever reads on there gets it. */
const evil = sized('evil');
const answersTo = (connection: RawConnection, from = 0, to = connection.requests.length): string =>
  Array.from({ length: to - from }, (_, i) => answerTo(connection, from + i)).join('');

describe('requests that come together', () => {
  it('share a connection and leave in fewer writes; answers in one read go each to its own client', async () => {
    const { world, nodes, clients } = await setup({ clients: 8 });
    nodes[0]!.respond = gather(8, (connection) => connection.write(answersTo(connection)));
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    expect(nodes[0]!.connections).toHaveLength(1);
    expect(world.count('requests')).toBe(8);
    expect(world.count('pipelinedWrites')).toBeLessThan(8);
    expect([world.count('pipelinedAgain'), world.count('pipeliningPauses')]).toEqual([0, 0]);
    await world.quiet(8);
    expect(world.upstreams).toBe(1);
  });

  it('more than the bound take a second connection, and both are kept', async () => {
    const { world, nodes, clients } = await setup({ clients: 6, upstream: { pipelining: 3 } });
    nodes[0]!.respond = gather(3, (connection) => connection.write(answersTo(connection)));
    for (let round = 0; round < 3; round++) {
      askAll(clients);
      await Promise.all(clients.map((client) => client.answers(round + 1)));
      nodes[0]!.respond = sayWhat;
    }
    expect(nodes[0]!.connections).toHaveLength(2);
    expect(world.upstreams).toBe(2);
  });

  it('without pipelining each has a connection of its own', async () => {
    const { nodes, clients } = await setup({ upstream: { pipelining: 1 } });
    nodes[0]!.respond = () => {
      if (nodes[0]!.requests().length < 4) return;
      for (const connection of nodes[0]!.connections) connection.write(answersTo(connection));
    };
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    expect(nodes[0]!.connections).toHaveLength(4);
  });

  it.each([
    ['HEAD', (target: string) => `HEAD ${target} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['POST', (target: string) => `POST ${target} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx`],
    ['a GET with a body', (target: string) => `GET ${target} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx`],
    ['DELETE without a body', (target: string) => `DELETE ${target} HTTP/1.1\r\nHost: h\r\n\r\n`],
    [
      'an upgrade',
      (target: string) => `GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    ],
  ])('%s never shares', async (_name, request) => {
    const { nodes, clients } = await setup({ clients: 5 });
    nodes[0]!.respond = () => {
      if (nodes[0]!.requests().length < 5) return;
      for (const connection of nodes[0]!.connections) for (const one of connection.requests) sayWhat(one, connection);
    };
    askAll(clients, (target, i) => (i % 2 === 0 ? get(target) : request(target)));
    await Promise.all(
      clients.map((client, i) => client.answers(1, { methods: [i % 2 === 0 ? 'GET' : request('/').split(' ')[0]!] })),
    );
    const sharing = nodes[0]!.connections.filter((connection) => connection.requests.length > 1);
    expect(sharing.map((connection) => connection.requests.map((one) => one.start.slice(0, 6)))).toEqual([
      ['GET /0', 'GET /2', 'GET /4'],
    ]);
    expect(nodes[0]!.connections).toHaveLength(3);
  });
});

describe('answers, wherever the node splits them', () => {
  const mixed = (connection: RawConnection): string =>
    [
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
      answerTo(connection, 0),
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nGET\r\n${(nameOf(connection, 1).length + 1).toString(16)}\r\n ${nameOf(connection, 1)}\r\n0\r\nT: t\r\n\r\n`,
      'HTTP/1.1 204 No Content\r\nX-Is: 2\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nX-Is: 3\r\n\r\n',
      'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nX-Is: 4\r\n\r\n',
      answerTo(connection, 5),
    ].join('');

  it('sized, chunked, 1xx, 204, 304 and empty ones, cut at every byte: each client gets its own', async () => {
    const { world, nodes, clients } = await setup({ clients: 6 });
    let cut = 0;
    let length = 1;
    nodes[0]!.respond = () => {
      const [connection] = nodes[0]!.connections;
      if (connection!.requests.length < 6) return;
      const text = mixed(connection!);
      length = text.length;
      connection!.write(text.slice(0, cut));
      connection!.requests.length = 0;
      setImmediate(() => connection!.write(text.slice(cut)));
    };
    for (cut = 0; cut < length; cut++) {
      for (const client of clients) client.received = '';
      askAll(clients);
      const all = await Promise.all(clients.map((client) => client.answers(1)));
      expect(all.map(([answer]) => statusOf(answer!))).toEqual([200, 200, 204, 304, 404, 200]);
      expect(all.map(([answer]) => answer!.body)).toEqual(['GET /0', 'GET /1', '', '', '', 'GET /5']);
      expect(clients.map((client) => client.received.includes('103 Early'))).toEqual([true, ...Array(5).fill(false)]);
      expect(clients.map((client) => /X-Is: (\d)/.exec(client.received)?.[1] ?? '-').join('')).toBe('--234-');
    }
    expect(length).toBeGreaterThan(300);
    expect(nodes[0]!.connections).toHaveLength(1);
    expect(world.count('pipelinedAgain')).toBe(0);
    await world.quiet(6);
  });
});

describe('a node that ends the connection', () => {
  const ends: readonly [string, number, (connection: RawConnection) => void][] = [
    [
      'says close with the second answer',
      2,
      (connection) => {
        connection.write(answerTo(connection, 0) + answerTo(connection, 1, 'Connection: close'));
        connection.socket.end();
      },
    ],
    [
      'answers the second in HTTP/1.0',
      2,
      (connection) => {
        connection.write(answerTo(connection, 0) + answerTo(connection, 1).replace('HTTP/1.1', 'HTTP/1.0'));
        connection.socket.end();
      },
    ],
    [
      'ends the second with the connection',
      2,
      (connection) => {
        connection.write(`${answerTo(connection, 0)}HTTP/1.1 200 OK\r\n\r\nGET ${nameOf(connection, 1)}`);
        connection.socket.end();
      },
    ],
    [
      'sends FIN after the second',
      2,
      (connection) => {
        connection.write(answersTo(connection, 0, 2));
        connection.socket.end();
      },
    ],
    ['sends FIN before any', 0, (connection) => void connection.socket.end()],
    ['resets before any', 0, (connection) => void connection.socket.resetAndDestroy()],
  ];

  it.each(ends)('%s: all are answered, the rest on other connections', async (_what, answered, act) => {
    const { world, nodes, clients } = await setup({ clients: 5 });
    nodes[0]!.respond = once(5, act);
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    const again = nodes[0]!.connections.slice(1).flatMap((connection) => connection.requests);
    expect(again.map((one) => one.start.split(' ')[1]).sort()).toEqual(targets(clients).slice(answered));
    await world.quiet(5);
    expect(world.outcomes.map((one) => [one.end, one.target, one.tries]).sort()).toEqual(
      targets(clients).map((target, i) => ['ok', target, i < answered ? 1 : 2]),
    );
    // None of it was paid for, and a connection that ends so soon is not worth sharing for a while.
    expect([world.countPool('retries'), world.count('pipeliningPauses')]).toEqual([0, 1]);
  });

  it('what is unanswered goes out again in order', async () => {
    const { nodes, clients } = await setup({ clients: 6 });
    const order: string[] = [];
    const first = once(6, (connection) => {
      connection.write(answerTo(connection, 0, 'Connection: close'));
      connection.socket.end();
    });
    nodes[0]!.respond = (request, connection) => {
      if (connection !== nodes[0]!.connections[0]) order.push(request.start.split(' ')[1]!);
      first(request, connection);
    };
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    expect([...order].sort()).toEqual(targets(clients).slice(1));
  });

  it('after that, requests to it have connections of their own for a while; the events say why', async () => {
    const { world, nodes, clients } = await setup({ clients: 4 });
    nodes[0]!.respond = once(4, (connection) => void connection.socket.end());
    askAll(clients);
    await bodies(clients);
    for (const client of clients) client.received = '';
    nodes[0]!.respond = () => {};
    const before = world.count('requests');
    askAll(clients);
    await until('all at the node', () => world.count('requests') === before + 4);
    await until('all seen there', () => nodes[0]!.requests().length >= 12);
    const unanswered = nodes[0]!.connections.filter((one) => one.end === 'open').map((one) => one.requests.length);
    expect(unanswered).toEqual([2, 2, 2, 2]);
    const told = world.events.filter((one) => one.event === 'pipelining-paused');
    expect(told).toHaveLength(1);
    expect(told[0]!.message).toContain('get connections of their own for 60 s');
  });

  it('killed with many requests on it: all are answered by another', async () => {
    const { world, nodes, clients } = await setup({ nodes: 2, clients: 8 });
    nodes[0]!.respond = gather(8, () => void nodes[0]!.stop());
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    await world.quiet(8);
    expect(world.outcomes.map((one) => one.node)).toEqual(Array(8).fill('n-1'));
  });

  it('refuses connections: all go to another', async () => {
    const { world, nodes, clients } = await setup({ nodes: 2, clients: 8 });
    await nodes[0]!.stop();
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    expect(world.count('connects', 0)).toBeLessThan(8);
    await world.quiet(8);
  });
});

describe('any doubt about where an answer ends', () => {
  const doubts: readonly [string, (connection: RawConnection) => string][] = [
    ['a 204 that tells a length', () => `HTTP/1.1 204 No Content\r\nContent-Length: ${evil.length}\r\n\r\n${evil}`],
    ['a 304 that tells a coding', () => `HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n${evil}`],
    ['bytes behind an answer', (connection) => `${answerTo(connection, 1)}<html>`],
    ['a line end behind an answer', (connection) => `${answerTo(connection, 1)}\r\n`],
  ];

  it.each(doubts)('%s: the connection dies, those behind go again and get their own', async (_what, second) => {
    const { world, nodes, clients } = await setup({ clients: 5 });
    nodes[0]!.respond = once(5, (connection) =>
      connection.write(answerTo(connection, 0) + second(connection) + answersTo(connection, 2)),
    );
    askAll(clients);
    const [first, , ...rest] = await bodies(clients);
    expect([first, ...rest]).toEqual(['200 GET /0', '200 GET /2', '200 GET /3', '200 GET /4']);
    await until('the end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    expect(world.count('pipelinedAgain')).toBe(3);
    await world.quiet(5);
  });

  it.each([
    ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a 101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'],
    ['no HTTP', 'SSH-2.0-x\r\n\r\n'],
  ])('a first answer that can not be read (%s) fails alone', async (_what, text) => {
    const { world, nodes, clients } = await setup({ clients: 4 });
    nodes[0]!.respond = once(4, (connection) => connection.write(text));
    askAll(clients);
    const [first, ...rest] = await bodies(clients);
    expect(first).toMatch(/^502/);
    expect(rest).toEqual(own(clients).slice(1));
    await world.quiet(4);
  });

  it('a broken chunk cuts its own client off and nobody else', async () => {
    const { world, nodes, clients } = await setup({ clients: 4 });
    nodes[0]!.respond = once(4, (connection) =>
      connection.write(`${answerTo(connection, 0)}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX`),
    );
    askAll(clients);
    expect(await clients[1]!.ended()).toBe('reset');
    expect(await bodies([clients[0]!, clients[2]!, clients[3]!])).toEqual(['200 GET /0', '200 GET /2', '200 GET /3']);
    await world.quiet(3);
  });

  it('bytes behind the last answer end the connection, and are nobody’s answer', async () => {
    const { world, nodes, clients } = await setup({ clients: 2 });
    nodes[0]!.respond = once(2, (connection) => connection.write(answersTo(connection) + evil));
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    await until('the end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    for (const client of clients) client.received = '';
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    expect(world.count('excessBytes')).toBe(evil.length);
  });

  it("bytes on an idle connection that was shared end it, and are nobody's answer", async () => {
    const { world, nodes, clients } = await setup({ clients: 2 });
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    nodes[0]!.connections[0]!.write(evil);
    await until('the end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    for (const client of clients) client.received = '';
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    expect(world.count('excessBytes')).toBe(evil.length);
  });
});

describe('a client that goes away', () => {
  it.each([0, 1, 3])(
    'the one at place %i, unanswered: the others get their own over the same connection',
    async (who) => {
      const { world, nodes, clients } = await setup({ clients: 4 });
      nodes[0]!.respond = gather(4, (connection) => {
        clients[who]!.socket.resetAndDestroy();
        void until('gone', () => world.connections === 3).then(() => connection.write(answersTo(connection)));
      });
      askAll(clients);
      const others = clients.filter((_, i) => i !== who);
      expect(await bodies(others)).toEqual(own(clients).filter((_, i) => i !== who));
      expect(nodes[0]!.connections).toHaveLength(1);
      await world.quiet(3);
      expect(world.outcomes.filter((one) => one.end === 'client_abort').map((one) => one.target)).toEqual([`/${who}`]);
      // And the connection is as good as before.
      for (const client of others) client.received = '';
      nodes[0]!.respond = sayWhat;
      askAll(others);
      expect(await bodies(others)).toEqual(own(others));
      expect(nodes[0]!.connections).toHaveLength(1);
    },
  );

  it('within its answer: the connection ends, the others go again', async () => {
    const { world, nodes, clients } = await setup({ clients: 4 });
    nodes[0]!.respond = once(4, (connection) => {
      const answer = sized(`begun${evil}${evil}${evil}`);
      connection.write(answer.slice(0, answer.indexOf('begun') + 5));
      void clients[0]!
        .sees('begun')
        .then(() => clients[0]!.socket.resetAndDestroy())
        .then(() => until('gone', () => world.connections === 3))
        .then(() => connection.write(answer.slice(answer.indexOf('begun') + 5) + answersTo(connection, 1)));
    });
    askAll(clients);
    expect(await bodies(clients.slice(1))).toEqual(own(clients).slice(1));
    await until('the end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    await world.quiet(3);
  });

  it('all of them: the connection ends, and nothing is sent again', async () => {
    const { world, nodes, clients } = await setup({ clients: 3 });
    nodes[0]!.respond = gather(3, () => {
      for (const client of clients) client.socket.resetAndDestroy();
    });
    askAll(clients);
    await until(
      'the end at the node',
      () => nodes[0]!.connections[0] !== undefined && nodes[0]!.connections[0].end !== 'open',
    );
    await world.quiet();
    expect([nodes[0]!.requests().length, world.upstreams]).toEqual([3, 0]);
  });

  it('over a chunked answer with interim ones, byte by byte: what is thrown away ends where it ends', async () => {
    const { world, nodes, clients } = await setup({ clients: 3 });
    nodes[0]!.respond = gather(3, (connection) => {
      clients[1]!.socket.resetAndDestroy();
      void until('gone', () => world.connections === 2).then(async () => {
        const skipped =
          'HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nT: t\r\n\r\n';
        for (const byte of answerTo(connection, 0) + skipped + answerTo(connection, 2)) {
          connection.write(byte);
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
    });
    askAll(clients);
    expect(await bodies([clients[0]!, clients[2]!])).toEqual(['200 GET /0', '200 GET /2']);
    expect(nodes[0]!.connections).toHaveLength(1);
    await world.quiet(2);
  });

  it('an answer too large to be thrown away ends the connection instead', async () => {
    const { world, nodes, clients } = await setup({ clients: 3 });
    nodes[0]!.respond = once(3, (connection) => {
      clients[0]!.socket.resetAndDestroy();
      void until('gone', () => world.connections === 2).then(() => connection.write(sized('x'.repeat(200_000))));
    });
    askAll(clients);
    expect(await bodies(clients.slice(1))).toEqual(own(clients).slice(1));
    expect(nodes[0]!.connections[0]!.end).not.toBe('open');
    await world.quiet(2);
  });
});

describe('nobody waits long for another', () => {
  it('one that is never answered times out; those behind it have gone elsewhere long before', async () => {
    const { world, nodes, clients } = await setup({ clients: 4, upstream: { responseTimeout: 1500 } });
    nodes[0]!.respond = (request, connection) => {
      if (request.start.startsWith('GET /1 ')) return;
      const [first] = nodes[0]!.connections;
      // What stands behind it on the same connection waits, too: the node answers in order.
      if (connection !== first || connection.requests.indexOf(request) === 0) sayWhat(request, connection);
    };
    askAll(clients);
    expect(await bodies(clients.filter((_, i) => i !== 1))).toEqual(['200 GET /0', '200 GET /2', '200 GET /3']);
    expect(world.outcomes.every((one) => one.end === 'ok')).toBe(true);
    expect(await bodies([clients[1]!])).toEqual([expect.stringMatching(/^504/)]);
    await world.quiet(4);
    expect([world.count('timeouts'), world.count('pipelinedAgain')]).toEqual([1, 2]);
  });

  it('one that streams without end does not hold the others, and goes on', async () => {
    const { world, nodes, clients } = await setup({ clients: 3, upstream: { idleTimeout: 60_000 } });
    nodes[0]!.respond = once(3, (connection) =>
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n'),
    );
    askAll(clients);
    expect(await bodies(clients.slice(1))).toEqual(own(clients).slice(1));
    nodes[0]!.connections[0]!.write('3\r\ntwo\r\n0\r\n\r\n');
    expect(await bodies([clients[0]!])).toEqual(['200 onetwo']);
    // The others' answers would have come behind it.
    await until('the end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    await world.quiet(3);
  });

  it('one whose client takes nothing does not hold the others', async () => {
    const { world, nodes, clients } = await setup({ clients: 3 });
    const size = 20_000_000;
    clients[0]!.socket.pause();
    nodes[0]!.respond = once(3, (connection) => connection.write(sized('x'.repeat(size)) + answersTo(connection, 1)));
    askAll(clients);
    expect(await bodies(clients.slice(1))).toEqual(own(clients).slice(1));
    expect(world.outcomes).toHaveLength(2);
    clients[0]!.socket.resume();
    await clients[0]!.sees(size);
    await world.quiet(3);
  });

  it('large answers turn sharing off for a while', async () => {
    const { world, nodes, clients } = await setup({ clients: 2 });
    const large = (target: string): string => target.repeat(100_000);
    nodes[0]!.respond = gather(2, (connection) =>
      connection.write(sized(large(nameOf(connection, 0))) + sized(large(nameOf(connection, 1)))),
    );
    askAll(clients);
    expect(await bodies(clients)).toEqual(targets(clients).map((target) => `200 ${large(target)}`));
    expect(world.count('pipeliningPauses')).toBe(1);
    await world.quiet(2);
  });
});

describe('beside it all', () => {
  it('an answer whose status is tried again elsewhere: its body is thrown away, the others keep the connection', async () => {
    const retry = { ...row.retry, attempts: 2, backoff: 1, statuses: [503] };
    const { world, nodes, clients } = await setup({ nodes: 2, clients: 4, options: { pool: { retry } } });
    nodes[0]!.respond = gather(4, (connection) => {
      const bad = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy';
      connection.write(answerTo(connection, 0) + bad.slice(0, -2));
      setImmediate(() => connection.write(bad.slice(-2) + answersTo(connection, 2)));
    });
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    await world.quiet(4);
    expect([nodes[0]!.connections.length, world.count('pipelinedAgain'), world.countPool('retries')]).toEqual([
      1, 0, 1,
    ]);
    expect(world.outcomes.find((one) => one.target === '/1')).toMatchObject({ node: 'n-1', tries: 2 });
  });

  it('an exception over one answer ends that exchange; the others get theirs', async () => {
    const { world, nodes, clients } = await setup({
      clients: 4,
      options: {
        engine: {
          onOutcome: (outcome) => {
            if (outcome.target === '/1') throw new Error('planted');
          },
        },
      },
    });
    nodes[0]!.respond = once(4, (connection) => connection.write(answersTo(connection)));
    askAll(clients);
    expect(await bodies([clients[0]!, clients[2]!, clients[3]!])).toEqual(['200 GET /0', '200 GET /2', '200 GET /3']);
    await clients[1]!.ended();
    expect(world.exceptions).toBe(1);
    await world.quiet(3);
  });

  it('a reload that takes the node away: what is under way is answered, then the connection ends', async () => {
    const { world, nodes, clients } = await setup({ clients: 3 });
    nodes[0]!.respond = gather(3, (connection) => {
      world.nodes = world.nodes.map((node) => ({ ...node, generation: 2 }));
      world.swap();
      connection.write(answersTo(connection));
    });
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    await until('the end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    await world.quiet(3);
  });

  it('a client that asks ahead gets its answers in order', async () => {
    const { world, clients } = await setup({ clients: 3 });
    const names = Array.from({ length: 40 }, (_, i) => `/${i}`);
    for (const client of clients) client.socket.write(names.map((name) => get(name)).join(''), 'latin1');
    for (const client of clients) {
      expect((await client.answers(40)).map((one) => one.body)).toEqual(names.map((name) => `GET ${name}`));
    }
    await world.quiet(3);
  });
});
