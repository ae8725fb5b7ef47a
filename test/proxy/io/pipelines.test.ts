/** Requests that come ahead of their turn, more of them than are kept; and the engine's end in the middle of it all. */
import { expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { get } from '../../helpers/raw-client.ts';
import { type RawNode, type Respond, sayWhat, startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { pool as poolRow } from '../../routing/fixtures.ts';
import { deafPort, startWorld, type World } from '../world.ts';

async function setup(respond: Respond = sayWhat): Promise<{ world: World; node: RawNode }> {
  const scope = testScope();
  const node = await startRawNode(scope);
  node.respond = respond;
  return { node, world: await startWorld(scope, [node]) };
}

it('1000 requests of 200 bytes at once, far more than are kept ahead: held back, and answered in order', async () => {
  const { world, node } = await setup(() => {});
  const client = world.client();
  const names = Array.from({ length: 1000 }, (_, i) => `/${i}`);
  await client.send(names.map((name) => get(name, `X-Pad: ${'p'.repeat(160)}`)).join(''));
  await until('the first at the node', () => node.requests().length === 1);
  node.respond = sayWhat;
  sayWhat(node.requests()[0]!, node.connections[0]!);
  await client.sees(`GET ${names.at(-1)}`);
  expect(client.read().messages.map((message) => message.body)).toEqual(names.map((name) => `GET ${name}`));
  await world.quiet(1);
});

it('a large body behind a request that is not answered yet is held back, then passed whole', async () => {
  const { world, node } = await setup(() => {});
  const client = world.client();
  const body = 'b'.repeat(1_000_000);
  await client.send(
    `${get('/1')}POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}${get('/3')}`,
  );
  await until('the first at the node', () => node.requests().length === 1);
  node.respond = sayWhat;
  sayWhat(node.requests()[0]!, node.connections[0]!);
  expect((await client.answers(3)).map((answer) => answer.body)).toEqual(['GET /1', 'POST /2', 'GET /3']);
  expect(node.requests()[1]!.body === body).toBe(true);
});

it('40 answers of 1 MiB to a client that asks for all before it reads: none is lost, nothing stands still (F14)', async () => {
  const size = 1_000_000;
  const { world } = await setup((request, connection) => {
    const name = request.start.split(' ')[1]!;
    connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${name.padEnd(size, '.')}`);
  });
  const client = world.client();
  client.socket.pause();
  const names = Array.from({ length: 40 }, (_, i) => `/${i}`);
  await client.send(names.map((name) => get(name)).join(''));
  await until('some answers made', () => world.outcomes.length > 0);
  client.socket.resume();
  await until('all bytes', () => client.received.length > 40 * size);
  expect((await client.answers(40)).map((answer) => answer.body.replace(/\.+$/, ''))).toEqual(names);
  await world.quiet(1);
});

it('500 answers of 5 to 60 KiB to each of 3 clients that read late: each has its own, to the byte', async () => {
  const sizeOf = (i: number): number => 5000 + ((i * 7919) % 55_000);
  const { world } = await setup((request, connection) => {
    const name = request.start.split(' ')[1]!;
    const size = sizeOf(Number(name.slice(3)));
    connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${name.repeat(size).slice(0, size)}`);
  });
  const count = 500;
  const total = Array.from({ length: count }, (_, i) => sizeOf(i)).reduce((sum, size) => sum + size, 0);
  const clients = Array.from({ length: 3 }, (_, c) => {
    const client = world.client();
    client.socket.pause();
    const names = Array.from({ length: count }, (__, i) => `/${c}-${i}`);
    return { client, names };
  });
  for (const { client, names } of clients) await client.send(names.map((name) => get(name)).join(''));
  // More than their sockets hold.
  let seen = -1;
  let same = 0;
  await until('all stand still', () => {
    same = world.outcomes.length === seen ? same + 1 : 0;
    seen = world.outcomes.length;
    return same >= 20;
  });
  expect(seen).toBeLessThan(3 * count);
  for (const { client } of clients) client.socket.resume();
  for (const { client, names } of clients) {
    await until('all bytes', () => client.received.length > total);
    const answers = await client.answers(count);
    expect(answers.filter(({ body }, i) => body !== names[i]!.repeat(body.length).slice(0, body.length))).toEqual([]);
    expect(answers.map(({ body }) => body.length)).toEqual(names.map((_, i) => sizeOf(i)));
  }
  await world.quiet(3);
}, 180_000);

it('requests behind one that is refused are not looked at', async () => {
  const { world, node } = await setup();
  const client = world.client();
  await client.send(`${get('/1')}${get('/2', 'Content-Length: x')}${get('/3')}`);
  await client.answers(3).catch(() => {});
  expect(client.read().messages.map((message) => message.start.slice(9, 12))).toEqual(['200', '400']);
  expect(node.requests().map((request) => request.start)).toEqual(['GET /1 HTTP/1.1']);
});

it('requests behind one that says close are not looked at', async () => {
  const { world, node } = await setup();
  const client = world.client();
  await client.send(get('/1', 'Connection: close') + get('/2'));
  await client.answers(2).catch(() => {});
  expect(client.read().messages.map((message) => message.body)).toEqual(['GET /1']);
  expect(node.requests()).toHaveLength(1);
});

it('an engine that is destroyed cuts everything at once, and gives all back', async () => {
  const scope = testScope();
  const node = await startRawNode(scope);
  const { limits, upstream } = poolRow('app', 2);
  const world = await startWorld(scope, [node, await deafPort(scope)], {
    pool: { limits: { ...limits, maxConnections: 1 }, upstream: { ...upstream, connectTimeout: 60_000 } },
  });
  node.respond = (_request, connection) => connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
  const clients = Array.from({ length: 5 }, () => world.client());
  await clients[0]!.send('GET / HT');
  for (const client of clients.slice(1, 4)) await client.send(get('/'));
  await until('one answered in part, one connecting, one waiting', () => world.inFlight === 2 && world.pending === 1);
  await clients[4]!.connected;
  await until('all accepted', () => world.connections === 5);
  world.engine.destroy();
  await Promise.all(clients.map((client) => client.ended()));
  await world.quiet();
  expect(world.outcomes.map((outcome) => outcome.end)).toEqual(['client_abort', 'client_abort', 'client_abort']);
  await until('no upstream connection left', () => world.upstreams === 0);
  await until('end at the node', () => node.connections.every((one) => one.end !== 'open'));
});
