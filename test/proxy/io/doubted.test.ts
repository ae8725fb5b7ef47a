/** Kept connections to a node of which one broke: what can't be sent twice is not risked on them. */
import { describe, expect, it } from 'vitest';
import { statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { type RawConnection, sayWhat } from '../../helpers/raw-node.ts';
import { hrtime, type PrimaryWorld, post, primaryWorld, received } from '../primary-world.ts';

describe('after a connection to the primary broke', () => {
  /** Two kept connections; then a write whose connection the node resets, which may be a third one. */
  async function broken(made: PrimaryWorld) {
    const [node] = made.nodes;
    const held: RawConnection[] = [];
    node!.respond = (_, connection) => held.push(connection);
    const clients = [made.world.client(), made.world.client(), made.world.client()];
    for (const [i, client] of clients.entries()) await client.send(post(`/${i}`));
    await until('three at once', () => held.length === 3);
    const [first, second, third] = held;
    for (const connection of [first!, second!]) connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    for (const client of clients.slice(0, 2)) await client.answers(1);
    return { node: node!, clients, doomed: third! };
  }

  it('the next write goes over a new one, and the kept ones serve again once one was answered', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    const { node, clients, doomed } = await broken(made);
    node.respond = sayWhat;
    doomed.socket.resetAndDestroy();
    expect(statusOf((await clients[2]!.answers(1))[0]!)).toBe(502);
    const before = node.connections.length;
    for (const target of ['/next', '/more']) expect(statusOf(await ask(made.world.port, post(target)))).toBe(200);
    expect(node.connections.slice(before).map(({ requests }) => requests.length)).toEqual([2]);
    expect(received(node).filter((line) => line === 'POST /2 1')).toHaveLength(1);
    await made.quiet(3);
  });

  it('a write that finds the port closed then is unsent: it waits for the next primary, kept connections get nothing', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    const { node, clients, doomed } = await broken(made);
    const answered = node.connections.map(({ requests }) => requests.length);
    node.refuse();
    doomed.socket.resetAndDestroy();
    await clients[2]!.answers(1);
    await clients[0]!.send(post('/next'));
    await until('parked', () => made.parked === 1);
    expect(node.connections.map(({ requests }) => requests.length)).toEqual(answered);
    made.lease(1, 2);
    const [, answer] = await clients[0]!.answers(2);
    expect(answer!.body).toBe('POST /next');
    expect(received(made.nodes[1]!)).toEqual(['POST /next 2']);
    await made.quiet(3);
  });

  it('so it is after the node closed a kept one that had just served', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    const { node, doomed } = await broken(made);
    doomed.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    await until('three kept', () => made.writing === 0);
    node.respond = sayWhat;
    doomed.socket.end();
    await until('seen', () => doomed.end !== 'open');
    const before = node.connections.length;
    expect(statusOf(await ask(made.world.port, post('/next')))).toBe(200);
    expect(node.connections.slice(before).map(({ requests }) => requests.length)).toEqual([1]);
  });

  it('a read may use a kept one all the same: it can be sent again', async () => {
    const made = await primaryWorld({ split: { reads: ['primary'] } });
    made.lease(0, 1);
    made.reader(0);
    const { node, clients, doomed } = await broken(made);
    node.respond = sayWhat;
    doomed.socket.resetAndDestroy();
    await clients[2]!.answers(1);
    const before = node.connections.length;
    expect(statusOf(await ask(made.world.port, get('/read')))).toBe(200);
    expect(node.connections).toHaveLength(before);
  });

  it('new writes wait a moment, once a second at most: the port of a dying process still takes connections', async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    const { node, clients, doomed } = await broken(made);
    /** How many writes had waited when a new connection came. */
    const waited: number[] = [];
    node.onConnection = () => void waited.push(made.count('parked'));
    node.respond = (_, connection) => connection.socket.resetAndDestroy();
    doomed.socket.resetAndDestroy();
    await clients[2]!.answers(1);
    const began = hrtime();
    await clients[0]!.send(post('/next'));
    expect(statusOf((await clients[0]!.answers(2))[1]!)).toBe(502);
    expect(waited).toEqual([1]);
    // Whoever breaks connections does not stop the writes of all.
    node.respond = sayWhat;
    expect(statusOf(await ask(made.world.port, post('/more')))).toBe(200);
    // On a machine that stands still a second may have passed.
    if (hrtime() - began < 900) expect(made.count('parked')).toBe(1);
    await made.quiet(3);
  });

  it('no write is lost to that wait: where it would fill the room, it ends', async () => {
    const made = await primaryWorld({ parking: { writes: 4 } });
    made.lease(0, 1);
    const { node, clients, doomed } = await broken(made);
    node.respond = sayWhat;
    doomed.socket.resetAndDestroy();
    await clients[2]!.answers(1);
    const many = Array.from({ length: 4 }, (_, i) => ask(made.world.port, post(`/more${i}`)));
    expect((await Promise.all(many)).map(statusOf)).toEqual([200, 200, 200, 200]);
    const none = await primaryWorld({ parking: { writes: 0 } });
    none.lease(0, 1);
    const other = await broken(none);
    other.node.respond = sayWhat;
    other.doomed.socket.resetAndDestroy();
    await other.clients[2]!.answers(1);
    expect(statusOf(await ask(none.world.port, post('/next')))).toBe(200);
  });
});
