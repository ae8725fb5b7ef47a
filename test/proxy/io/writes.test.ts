/** Writes to a pool with a primary: leave before the first byte, targets, cuts, tunnels. Rules by number. */
import { describe, expect, it } from 'vitest';
import { field, statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { setNode } from '../fixtures.ts';
import { hrtime, type PrimaryWorld, post, primaryWorld, received } from '../primary-world.ts';

/** A write that the node has and does not answer. */
async function hanging(made: PrimaryWorld, text = post('/w')) {
  made.nodes[0]!.respond = () => {};
  const client = made.world.client();
  await client.send(text);
  await until('held', () => made.writing === 1 && made.nodes[0]!.requests().length === 1);
  return { client, connection: made.nodes[0]!.connections[0]! };
}

describe('a write', () => {
  it('goes to the primary of the record, with its epoch, whatever the client says (2.1)', async () => {
    const made = await primaryWorld();
    made.lease(1, 7);
    const answer = await ask(made.world.port, post('/w', 'body', 'X-HA-Epoch: 99'));
    expect([statusOf(answer), answer.body]).toEqual([200, 'POST /w']);
    expect(made.nodes.map(received)).toEqual([[], ['POST /w 7']]);
    await made.quiet();
    expect(made.world.outcomes[0]).toMatchObject({ end: 'ok', epoch: 7, node: 'n-1' });
    expect([made.count('writes'), made.count('writesFailed'), made.count('parked')]).toEqual([1, 0, 0]);
  });

  it('is what is not GET, HEAD or OPTIONS; a route may say otherwise', async () => {
    const made = await primaryWorld({ split: { reads: ['replicas'] } });
    made.lease(0, 3);
    made.reader(1);
    for (const method of ['GET', 'OPTIONS', 'DELETE', 'PROPFIND', 'get'])
      await ask(made.world.port, get('/x').replace('GET', method));
    expect(made.nodes.map(received)).toEqual([
      ['DELETE /x 3', 'PROPFIND /x 3', 'get /x 3'],
      ['GET /x -', 'OPTIONS /x -'],
    ]);
  });

  it.each([
    ['read', post('/search'), [[], ['POST /search -']]],
    ['write', get('/run'), [['GET /run 3'], []]],
  ] as const)('by a route of %ss', async (treatAs, text, expected) => {
    const made = await primaryWorld({ route: { treatAs }, split: { reads: ['replicas'] } });
    made.lease(0, 3);
    made.reader(1);
    expect(statusOf(await ask(made.world.port, text))).toBe(200);
    expect(made.nodes.map(received)).toEqual(expected);
  });

  it('goes to the primary though checks say that it is not fit: that is for the cluster to decide', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    setNode(made.world.board, 0, { fit: false });
    expect(statusOf(await ask(made.world.port, post('/w')))).toBe(200);
  });

  it('is refused at once where it is told not to wait', async () => {
    const made = await primaryWorld();
    made.say({ mode: 'refuse' });
    const answer = await ask(made.world.port, post('/w'));
    expect([statusOf(answer), field(answer, 'retry-after')]).toEqual([503, '5']);
    expect(made.count('writesRefused')).toBe(1);
    await made.quiet();
  });

  it('leaves what nodes tell us out of the answer', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    made.nodes[0]!.respond = (_request, connection) =>
      connection.write(
        'HTTP/1.1 200 OK\r\nX-HA-Position: 12\r\nX-HA-Lost: 1\r\nX-Other: y\r\nContent-Length: 0\r\n\r\n',
      );
    const answer = await ask(made.world.port, post('/w'));
    expect([...answer.fields.keys()].filter((name) => name.startsWith('x-ha'))).toEqual([]);
    expect(field(answer, 'x-other')).toBe('y');
    expect(made.world.board.primary.passed(0, 1)).toBe(12);
  });
});

describe('leave is looked at directly before the first byte (2.1)', () => {
  it('on a kept connection and on a new one: none is sent after the lease, though the thread saw no word of it', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    await ask(made.world.port, post('/1'));
    made.lease(0, 1, { for: 0 });
    for (const target of ['/2', '/3']) {
      const client = made.world.client();
      await client.send(post(target));
    }
    await until('parked', () => made.parked === 2);
    expect(received(made.nodes[0]!)).toEqual(['POST /1 1']);
    made.lease(0, 2);
    await until('sent', () => received(made.nodes[0]!).length === 3);
    expect(received(made.nodes[0]!)).toEqual(['POST /1 1', 'POST /2 2', 'POST /3 2']);
  });

  it('after connecting: the record changed meanwhile, so another node gets it, and the first not a byte', async () => {
    const made = await primaryWorld();
    made.nodes[0]!.onConnection = () => made.lease(1, 2);
    made.lease(0, 1);
    // The connection is up for the node before it is for us: the record changes in between, or directly after.
    const client = made.world.client();
    await client.send(post('/w'));
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(200);
    await made.quiet(1);
    const all = made.nodes.flatMap(received);
    expect(all).toHaveLength(1);
    expect(['POST /w 1', 'POST /w 2']).toContain(all[0]);
    if (all[0] === 'POST /w 2') expect(made.nodes[0]!.connections.map((one) => one.received)).toEqual([0]);
  });

  it('after waiting for a place: the target is picked again, from the record of that time (2.2)', async () => {
    const made = await primaryWorld({ pool: { limits: { maxConnections: 1, maxPending: 9, queueTimeout: 60_000 } } });
    made.lease(0, 1);
    const { connection } = await hanging(made);
    const second = made.world.client();
    await second.send(post('/second'));
    await until('queued', () => made.world.pending === 1);
    made.lease(1, 2);
    connection.socket.destroy();
    const [answer] = await second.answers(1);
    expect(statusOf(answer!)).toBe(200);
    expect(made.nodes.map(received)).toEqual([['POST /w 1'], ['POST /second 2']]);
  });

  it('a target that the newest snapshot does not have gets nothing (2.2)', async () => {
    const made = await primaryWorld({ parking: { time: 100 } });
    const { slot, generation } = made.place(0);
    made.say({
      mode: 'send',
      epoch: 1,
      node: { slot, generation: generation + 1 },
      writeUntil: hrtime() + 60_000,
      cutAt: hrtime() + 61_000,
    });
    expect(statusOf(await ask(made.world.port, post('/w')))).toBe(503);
    expect(made.nodes.flatMap(received)).toEqual([]);
  });

  it('a node that came with a later snapshot is found, though the exchange holds an older one (2.2)', async () => {
    const made = await primaryWorld({ nodes: 3 });
    const [first, second, third] = made.world.nodes;
    made.world.nodes = [first!, second!];
    made.world.swap();
    const client = made.world.client();
    await client.send(post('/w'));
    await until('parked', () => made.parked === 1);
    made.world.nodes = [first!, second!, third!];
    made.world.swap();
    made.lease(2, 2);
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(200);
    expect(made.nodes.map(received)).toEqual([[], [], ['POST /w 2']]);
    await made.quiet(1);
  });
});

describe('a write that was sent', () => {
  it('is cut at the end of its lease, by the thread itself, and is not repeated (2.3)', async () => {
    const made = await primaryWorld();
    made.nodes[0]!.respond = () => {};
    const client = made.world.client();
    await client.connected;
    made.lease(0, 1, { for: 1500, cutIn: 1700 });
    const began = hrtime();
    await client.send(post('/w'));
    const [answer] = await client.answers(1);
    expect(hrtime() - began).toBeGreaterThan(1600);
    expect([statusOf(answer!), field(answer!, 'connection')]).toEqual([504, 'close']);
    await until('the end at the node', () => made.nodes[0]!.connections[0]!.end !== 'open');
    made.lease(1, 2);
    await made.quiet();
    expect(made.nodes.map(received)).toEqual([['POST /w 1'], []]);
    expect(made.world.outcomes[0]).toMatchObject({ end: 'cut', epoch: 1, status: 504 });
    expect([made.count('writesCut'), made.count('writes')]).toEqual([1, 1]);
  });

  it('lives on under a renewed lease, beyond the end of the one under which it began', async () => {
    const made = await primaryWorld();
    made.lease(0, 1, { for: 1500, cutIn: 1700 });
    const { client, connection } = await hanging(made);
    made.lease(0, 1);
    const from = hrtime();
    await until('the first end is over', () => hrtime() - from > 1800);
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(200);
    await made.quiet(1);
  });

  it('is cut as soon as the record has another epoch; of an answer that comes then nothing is passed on (2.3)', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    const { client, connection } = await hanging(made);
    // In one turn: the thread learns of both at the same time, first of the answer.
    made.lease(1, 2);
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret');
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(504);
    expect(client.received).not.toContain('secret');
    await made.quiet();
    expect(made.nodes.map(received)).toEqual([['POST /w 1'], []]);
  });

  it('is cut within its answer, which the client sees as broken', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    const { client, connection } = await hanging(made);
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf');
    await client.sees('half');
    made.lease(1, 2);
    connection.write('rest');
    expect(await client.ended()).toBe('reset');
    expect(client.received).not.toContain('rest');
    await made.quiet();
    expect(made.world.outcomes[0]).toMatchObject({ end: 'cut', epoch: 1 });
  });

  it('that is not over when leave ends may end until cutAt: its answer is passed on (2.3)', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    const { client, connection } = await hanging(made);
    made.park(0, 1, 60_000);
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(200);
    await made.quiet(1);
  });

  it.each(['a broken connection', 'a silent node', 'a status that is retried'])(
    'is not sent again after %s, whatever the config lists (5.5)',
    async (what) => {
      const made = await primaryWorld({
        pool: {
          retry: { attempts: 5, budget: 1, methods: ['POST'], statuses: [503], buffer: 65_536, backoff: 1 },
          upstream: {
            connectTimeout: 1000,
            responseTimeout: what === 'a silent node' ? 150 : 60_000,
            bodyTimeout: 1000,
            tunnelTimeout: 1000,
            idleTimeout: 4000,
            maxIdle: 4,
            pipelining: 1,
          },
        },
      });
      made.lease(0, 1);
      made.nodes[0]!.respond = (_request, connection) => {
        if (what === 'a broken connection') connection.socket.destroy();
        else if (what !== 'a silent node') connection.write('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n');
      };
      const answer = await ask(made.world.port, post('/w', 'body'));
      expect(statusOf(answer)).toBe(what === 'a broken connection' ? 502 : what === 'a silent node' ? 504 : 503);
      await made.quiet();
      expect(made.nodes.map(received)).toEqual([['POST /w 1'], []]);
      expect(made.world.outcomes[0]).toMatchObject({ tries: 1, epoch: 1 });
    },
  );

  it('a GET that its route makes a write is sent once, too', async () => {
    const made = await primaryWorld({ route: { treatAs: 'write' } });
    made.lease(0, 1);
    made.nodes[0]!.respond = (_request, connection) => connection.socket.destroy();
    expect(statusOf(await ask(made.world.port, get('/w')))).toBe(502);
    expect(made.nodes.map(received)).toEqual([['GET /w 1'], []]);
  });
});

describe('the count of writes, which a fence asks for (2.5)', () => {
  it('holds until the answer is in the kernel’s hands whole', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    const { client, connection } = await hanging(made);
    client.socket.pause();
    const size = 40 * 1024 * 1024;
    connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
    await until('stuck', () => connection.socket.writableLength > 0);
    made.park(0, 1, 60_000);
    expect(made.writing).toBe(1);
    client.socket.resume();
    await until('given back', () => made.writing === 0);
    await client.sees(size);
    await made.quiet(1);
  });

  it('an answer that a slow client has not taken is cut with the lease', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    const { client, connection } = await hanging(made);
    client.socket.pause();
    // The last of its renewals.
    made.lease(0, 1, { for: 300, cutIn: 800 });
    const size = 40 * 1024 * 1024;
    connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
    await until('cut', () => made.writing === 0);
    client.socket.resume();
    await client.ended();
    expect(client.received.length).toBeLessThan(size);
    await made.quiet();
  });

  it('ends with the client', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    const { client, connection } = await hanging(made);
    client.socket.resetAndDestroy();
    await until('given back', () => made.writing === 0);
    await until('the end at the node', () => connection.end !== 'open');
    await made.quiet();
  });
});

describe('a tunnel is a write for its life (2.4)', () => {
  const upgrade = get('/ws', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: k');
  const accept = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

  async function tunnel(made: PrimaryWorld, node = 0) {
    made.nodes[node]!.respond = () => {};
    const client = made.world.client();
    await client.send(upgrade);
    const connection = await until('the request', () =>
      made.nodes[node]!.connections.find((one) => one.requests.length > 0),
    );
    connection.write(`${accept}hello`);
    await client.sees('hello');
    return { client, connection };
  }

  it('it goes to the primary, is counted, and is cut with the lease', async () => {
    const made = await primaryWorld();
    made.lease(0, 4);
    const { client, connection } = await tunnel(made);
    expect(received(made.nodes[0]!)).toEqual(['GET /ws 4']);
    expect(made.writing).toBe(1);
    made.park(0, 4, 100);
    await client.ended();
    await until('the end at the node', () => connection.end !== 'open');
    await made.quiet();
    expect(made.world.outcomes[0]).toMatchObject({ status: 101, end: 'cut', epoch: 4 });
  });

  it('it is cut as soon as a switch drains the primary, which other writes may outlast', async () => {
    const made = await primaryWorld();
    made.lease(0, 4);
    const { client, connection } = await tunnel(made);
    const writer = made.world.client();
    await writer.send(post('/w'));
    const other = await until('the write', () => made.nodes[0]!.connections.find((one) => one !== connection));
    await until('two are held', () => made.writing === 2);
    made.say({ mode: 'drain', epoch: 4, node: made.place(0), cutAt: hrtime() + 60_000 });
    await client.ended();
    await until('one is held', () => made.writing === 1);
    other.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    expect(statusOf((await writer.answers(1))[0]!)).toBe(200);
    await made.quiet(1);
  });

  it('nothing passes either way once the record has another epoch', async () => {
    const made = await primaryWorld();
    made.lease(0, 4);
    const { client, connection } = await tunnel(made);
    made.lease(1, 5);
    connection.write('late');
    await client.ended();
    expect(client.received).not.toContain('late');

    made.nodes[0]!.connections.length = 0;
    made.lease(0, 6);
    const other = await tunnel(made);
    made.lease(1, 7);
    other.client.socket.write('late');
    await other.client.ended();
    expect(other.connection.tail).toBe('');
    await made.quiet();
  });

  it('unless its route says that it is a read', async () => {
    const made = await primaryWorld({ route: { treatAs: 'read' } });
    made.lease(0, 4);
    made.reader(1);
    const { client, connection } = await tunnel(made, 1);
    expect([made.writing, received(made.nodes[1]!)]).toEqual([0, ['GET /ws -']]);
    made.park(0, 4, 0);
    connection.write('still there');
    await client.sees('still there');
    client.stop();
    await made.quiet();
  });
});

describe('a pool without a primary', () => {
  it('is not touched by any of this', async () => {
    const made = await primaryWorld();
    made.world.swap({ primary: null });
    expect(statusOf(await ask(made.world.port, post('/w', '', 'X-HA-Epoch: 3')))).toBe(200);
    expect(made.nodes.flatMap(received)).toEqual(['POST /w -']);
    expect([made.count('writes'), made.count('readsReplica')]).toEqual([0, 0]);
  });
});
