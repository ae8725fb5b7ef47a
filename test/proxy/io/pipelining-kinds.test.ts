/** Shared connections where more is asked of them: pools with a primary, nodes over TLS. */
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { get, type RawClient } from '../../helpers/raw-client.ts';
import { RawConnection, type Respond, sayWhat } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { makeCertificate } from '../../helpers/tls.ts';
import { pool as poolRow } from '../../routing/fixtures.ts';
import { post, primaryWorld, received } from '../primary-world.ts';
import { startWorld } from '../world.ts';

const upstream = { ...poolRow('app', 1).upstream, pipelining: 8 };

const bodies = async (clients: readonly RawClient[]): Promise<string[]> =>
  (await Promise.all(clients.map((client) => client.answers(1)))).map(([answer]) => answer?.body ?? 'none');

it('in a pool with a primary reads share; writes have connections of their own, and their epoch', async () => {
  const made = await primaryWorld({ pool: { upstream }, split: { reads: ['primary'] } });
  made.lease(0, 7);
  const [primary] = made.nodes;
  const clients = Array.from({ length: 7 }, () => made.world.client());
  await Promise.all(clients.map((client) => client.connected));
  primary!.respond = () => {
    if (primary!.requests().length < 7) return;
    for (const connection of primary!.connections) for (const one of connection.requests) sayWhat(one, connection);
  };
  const targets = clients.map((_, i) => (i % 2 === 0 ? `GET /${i}` : `POST /${i}`));
  clients.forEach((client, i) => {
    client.socket.write(i % 2 === 0 ? get(`/${i}`) : post(`/${i}`));
  });
  expect(await bodies(clients)).toEqual(targets);
  expect(primary!.connections.map((one) => one.requests.length).sort()).toEqual([1, 1, 1, 4]);
  expect(received(primary!).sort()).toEqual(
    targets.map((target) => `${target} ${target.startsWith('GET') ? '-' : '7'}`).sort(),
  );
  await made.quiet(7);
});

it('reads of the primary whose lease ends between their pick and the write are not sent, and wait', async () => {
  const made = await primaryWorld({ pool: { upstream }, split: { reads: ['primary'] } });
  made.lease(0, 1);
  const clients = Array.from({ length: 4 }, () => made.world.client());
  // Connections are there: picks and the write are in one turn.
  for (const client of clients) await client.send(get('/before'));
  await bodies(clients);
  for (const client of clients) client.received = '';
  const { primary } = made.world.board;
  const read = primary.read.bind(primary);
  let picks = 0;
  primary.read = (slot, record) => {
    read(slot, record);
    if (++picks === 1) made.park(0, 1);
  };
  clients.forEach((client, i) => {
    client.socket.write(get(`/${i}`));
  });
  await until('all wait', () => made.count('readsWaited') === 4);
  expect(made.nodes.flatMap(received).filter((one) => !one.includes('before'))).toEqual([]);
  made.lease(1, 2);
  expect(await bodies(clients)).toEqual(['GET /0', 'GET /1', 'GET /2', 'GET /3']);
  expect(received(made.nodes[1]!)).toHaveLength(4);
  await made.quiet(4);
});

it('over TLS: several requests share a connection, each client gets its own answer', async () => {
  const scope = testScope();
  const pem = await makeCertificate(await scope.folder(), 'node.test', { names: ['node.test'] });
  const connections: RawConnection[] = [];
  const gathered: Respond = (_request, connection) => {
    if (connection.requests.length < 6) return;
    connection.write(
      connection.requests
        .map(({ start }) => `HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n${start.slice(0, 6)}`)
        .join(''),
    );
  };
  const server = createServer(pem, (socket) => {
    connections.push(new RawConnection(socket, () => gathered));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.own({
    stop: () => {
      for (const { socket } of connections) socket.destroy();
      server.close();
    },
  });
  const { port } = server.address() as AddressInfo;
  const tls = { ca: null, cert: null, key: null, verify: false, servername: null };
  const world = await startWorld(scope, [{ port }], {
    pool: { upstream, tls },
    wrap: (snapshot) => snapshot,
  });
  world.nodes = world.nodes.map((node) => ({
    ...node,
    address: { ...node.address, tls: true } as typeof node.address,
  }));
  world.swap();
  const clients = Array.from({ length: 6 }, () => world.client());
  await Promise.all(clients.map((client) => client.connected));
  clients.forEach((client, i) => {
    client.socket.write(get(`/${i}`));
  });
  expect(await bodies(clients)).toEqual(clients.map((_, i) => `GET /${i}`));
  expect(connections).toHaveLength(1);
  await world.quiet(6);
});
