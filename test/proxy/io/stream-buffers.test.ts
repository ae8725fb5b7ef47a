/** A buffer into which one connection of a node still reads must not carry the answer of another. */
import { expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { get, type RawClient } from '../../helpers/raw-client.ts';
import type { RawConnection } from '../../helpers/raw-node.ts';
import { type PrimaryWorld, post, primaryWorld } from '../primary-world.ts';

/** From this number of buffers on, connections that go back keep none (buffers.ts). */
const many = 256;
const pieceBytes = 30_000;

const sized = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const connectionOf = ({ nodes: [node] }: PrimaryWorld, target: string): RawConnection | undefined =>
  node!.connections.find(({ requests }) => requests.at(-1)?.start.includes(` ${target} `));

/** Bytes whose every place tells where it is. */
function piece(name: string, index: number): string {
  return `${name}-${index}.`.repeat(pieceBytes).slice(0, pieceBytes);
}

/** A client that reads nothing of its endless answer: it grows until it stands still. Returns what the node has sent. */
async function stuck(made: PrimaryWorld, client: RawClient, name: string): Promise<string> {
  await client.connected;
  client.socket.pause();
  client.socket.write(post(`/${name}`), 'latin1');
  await until(`${name} is at the node`, () => connectionOf(made, `/${name}`) !== undefined);
  const connection = connectionOf(made, `/${name}`)!;
  connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
  let sent = '';
  for (let index = 0; ; index++) {
    const before = made.world.count('bytesIn');
    const text = piece(name, index);
    connection.write(text);
    sent += text;
    const came = (): boolean => made.world.count('bytesIn') >= before + text.length;
    const stands = await until('read', came, { withinMs: 1000, everyMs: 1 }).then(
      () => false,
      () => true,
    );
    if (stands) return sent;
  }
}

/** As many kept connections as there are buffers for, each with one of its own. */
async function fill(made: PrimaryWorld, clients: readonly RawClient[]): Promise<void> {
  const [node] = made.nodes;
  const waiting: RawConnection[] = [];
  node!.respond = (_, connection) => void waiting.push(connection);
  for (const [i, client] of clients.entries()) await client.send(post(`/fill-${i}`));
  await until('all are at the node', () => waiting.length === clients.length);
  for (const connection of waiting) connection.write(sized('f'.repeat(5000)));
  await Promise.all(clients.map((client) => client.answers(1)));
  node!.respond = () => {};
}

/** Takes the lease away between the pick of the next request and its first byte. */
function parkBeforeItIsSent(made: PrimaryWorld): Promise<void> {
  const before = made.world.inFlight;
  return new Promise((resolve) => {
    const look = (): void => {
      if (made.world.inFlight === before) return void setImmediate(look);
      made.park(0, 1);
      resolve();
    };
    setImmediate(look);
  });
}

it('a connection that goes back unused reads into no buffer that another has got', async () => {
  const made = await primaryWorld({
    nodes: 1,
    split: { reads: ['primary'] },
    pool: {
      upstream: {
        connectTimeout: 10_000,
        responseTimeout: 60_000,
        bodyTimeout: 60_000,
        tunnelTimeout: 60_000,
        idleTimeout: 60_000,
        maxIdle: 2 * many,
        pipelining: 2,
      },
    },
  });
  made.lease(0, 1);
  const { world } = made;
  await fill(
    made,
    Array.from({ length: many }, () => world.client()),
  );
  // Now buffers are scarce.
  const [other, victim, reader] = [world.client(), world.client(), world.client()];
  await stuck(made, other, 'other');

  const parked = parkBeforeItIsSent(made);
  await reader.send(get('/read'));
  await parked;
  await until('it waits', () => made.count('readsWaited') === 1);
  expect(connectionOf(made, '/read')).toBeUndefined();
  made.lease(0, 1);
  await until('the read is at the node', () => connectionOf(made, '/read') !== undefined);

  const evil = 'evil'.repeat(15_000);
  const expected = await stuck(made, victim, 'victim');
  connectionOf(made, '/read')!.write(sized(evil));
  expect((await reader.answers(1))[0]?.body).toBe(evil);
  victim.socket.resume();
  await until('all of it', () => victim.received.length > expected.length);
  const body = victim.received.slice(victim.received.indexOf('\r\n\r\n') + 4);
  expect(body.includes('evil')).toBe(false);
  expect(body === expected).toBe(true);
});
