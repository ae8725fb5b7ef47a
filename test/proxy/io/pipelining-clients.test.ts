/** Several requests at once on one connection to a node: whatever becomes of one, the others get their own. */
import { describe, expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { get } from '../../helpers/raw-client.ts';
import { sayWhat } from '../../helpers/raw-node.ts';
import {
  answersTo,
  answerTo,
  askAll,
  bodies,
  evil,
  gather,
  nameOf,
  once,
  own,
  row,
  setup,
  sized,
  targets,
} from '../pipelining.ts';

describe('a client that goes away', () => {
  it.each([0, 1, 3])(
    'the one at place %i, unanswered: the others get their own over the same connection',
    async (who) => {
      const { world, nodes, clients } = await setup({ clients: 4 });
      nodes[0]!.respond = gather(4, (connection) => {
        clients[who]!.socket.resetAndDestroy();
        void until('gone', () => world.connections <= 3).then(() => connection.write(answersTo(connection)));
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
        .then(() => until('gone', () => world.connections <= 3))
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
      void until('gone', () => world.connections <= 2).then(async () => {
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

  it.each([
    ['a 204 that tells a length', `HTTP/1.1 204 No Content\r\nContent-Length: ${evil.length}\r\n\r\n`],
    ['a 204 that tells a coding', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a 304 that tells a coding', 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['an answer of HTTP/1.0', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n'],
  ])('%s: what may stand behind it is nobody’s answer', async (_what, answer) => {
    const { world, nodes, clients } = await setup({ clients: 3 });
    nodes[0]!.respond = once(3, (connection) => {
      clients[0]!.socket.resetAndDestroy();
      void until('gone', () => world.connections <= 2).then(() => connection.write(answer + evil));
    });
    askAll(clients);
    expect(await bodies(clients.slice(1))).toEqual(own(clients).slice(1));
    await until('the end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    await world.quiet(2);
  });

  it('an answer too large to be thrown away ends the connection instead', async () => {
    const { world, nodes, clients } = await setup({ clients: 3 });
    nodes[0]!.respond = once(3, (connection) => {
      clients[0]!.socket.resetAndDestroy();
      void until('gone', () => world.connections <= 2).then(() => connection.write(sized('x'.repeat(200_000))));
    });
    askAll(clients);
    expect(await bodies(clients.slice(1))).toEqual(own(clients).slice(1));
    expect(nodes[0]!.connections[0]!.end).not.toBe('open');
    await world.quiet(2);
  });
});

describe('nobody waits long for another', () => {
  it('one that is never answered times out; those behind it have gone elsewhere long before', async () => {
    const { world, nodes, clients } = await setup({ clients: 4, upstream: { responseTimeout: 5000 } });
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
