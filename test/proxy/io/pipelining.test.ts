/** Several requests at once on one connection to a node: each client gets its own answer, whatever the node does. */
import { describe, expect, it } from 'vitest';
import { statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { get } from '../../helpers/raw-client.ts';
import { type RawConnection, sayWhat } from '../../helpers/raw-node.ts';
import { answersTo, answerTo, askAll, bodies, evil, gather, nameOf, once, own, setup, targets } from '../pipelining.ts';

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

  it('what is unanswered goes out again, each once', async () => {
    const { nodes, clients } = await setup({ clients: 6 });
    const again: string[] = [];
    const first = once(6, (connection) => {
      connection.write(answerTo(connection, 0, 'Connection: close'));
      connection.socket.end();
    });
    nodes[0]!.respond = (request, connection) => {
      if (connection !== nodes[0]!.connections[0]) again.push(request.start.split(' ')[1]!);
      first(request, connection);
    };
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    expect(again.sort()).toEqual(targets(clients).slice(1));
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

  it.each(['reset', 'FIN'])('%s at every byte of four answers: only who has a part of his is cut off', async (how) => {
    const { world, nodes, clients } = await setup({ clients: 4 });
    let length = 1;
    const all = [...clients];
    for (let cut = 0; cut < length; cut++) {
      nodes[0]!.respond = once(4, (connection) => {
        const text = answersTo(connection);
        length = text.length;
        connection.socket.write(text.slice(0, cut), 'latin1', () => {
          if (how === 'FIN') connection.socket.end();
          else setImmediate(() => connection.socket.resetAndDestroy());
        });
      });
      for (const connection of nodes[0]!.connections.splice(0)) connection.socket.destroy();
      for (const client of all) client.received = '';
      askAll(all);
      const got = await bodies(all);
      const cutOff = got.flatMap((body, i) => (body === own(all)[i] ? [] : [i]));
      expect(cutOff.length).toBeLessThanOrEqual(1);
      for (const i of cutOff) {
        expect(got[i]).toMatch(/^(none|502)/);
        if (all[i]!.end === 'open') all[i]!.stop();
        all[i] = world.client();
        await all[i]!.connected;
      }
      // Else the next ones would not share.
      world.nodes = world.nodes.map((node) => ({ ...node, generation: node.generation + 1 }));
      world.swap();
    }
    expect(length).toBeGreaterThan(150);
    await world.quiet(4);
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

  it('a connection that answered HEAD is not used again, since a body may come behind', async () => {
    const { nodes, clients } = await setup({ clients: 1 });
    const [client] = clients;
    await client!.send('HEAD /0 HTTP/1.1\r\nHost: h\r\n\r\n');
    await client!.answers(1, { methods: ['HEAD'] });
    await until('the end at the node', () => nodes[0]!.connections[0]!.end !== 'open');
    client!.received = '';
    askAll(clients);
    expect(await bodies(clients)).toEqual(own(clients));
    expect(nodes[0]!.connections).toHaveLength(2);
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
