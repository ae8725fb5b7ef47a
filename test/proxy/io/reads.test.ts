/** Reads of a pool with a primary: where they go, and what clients that have written see (rules 6.2, 6.3). */
import { describe, expect, it } from 'vitest';
import { field, type Message, statusOf } from '../../helpers/http-bytes.ts';
import { pause, until } from '../../helpers/poll.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { type RawNode, sayWhat } from '../../helpers/raw-node.ts';
import { inFlight, setNode } from '../fixtures.ts';
import { hrtime, type PrimaryOptions, type PrimaryWorld, post, primaryWorld, received } from '../primary-world.ts';

/** Answers with a position. */
const at =
  (position: number): RawNode['respond'] =>
  (request, connection) => {
    const body = request.start.split(' ').slice(0, 2).join(' ');
    connection.write(`HTTP/1.1 200 OK\r\nX-HA-Position: ${position}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  };

/** How many requests each node got. */
const counts = (made: PrimaryWorld): number[] => made.nodes.map((node) => received(node).length);

async function reads(made: PrimaryWorld, number: number, ...lines: readonly string[]): Promise<Message[]> {
  const answers: Message[] = [];
  for (let i = 0; i < number; i++) answers.push(await ask(made.world.port, get('/r', ...lines)));
  return answers;
}

/** Node 0 is primary, the others are replicas. */
async function setup(options: PrimaryOptions = {}): Promise<PrimaryWorld> {
  const made = await primaryWorld({ nodes: 3, ...options });
  made.lease(0, 1);
  made.reader(1);
  made.reader(2);
  return made;
}

describe('reads', () => {
  it.each([
    ['replicas, then the primary', ['replicas', 'primary'], [0, 3, 3]],
    ['the primary', ['primary'], [6, 0, 0]],
    ['any', ['any'], [2, 2, 2]],
    ['the primary, then replicas', ['primary', 'replicas'], [6, 0, 0]],
  ] as const)('go to %s', async (_, places, expected) => {
    const made = await setup({ split: { reads: places } });
    await reads(made, 6);
    expect(counts(made)).toEqual(expected);
    await made.quiet();
    expect([made.count('readsPrimary'), made.count('readsReplica')]).toEqual([expected[0], expected[1] + expected[2]]);
    expect(made.count('writes')).toBe(0);
  });

  it('go to no node that takes none, and to the primary when no replica is left', async () => {
    const made = await setup();
    made.reader(1, 'none');
    await reads(made, 4);
    expect(counts(made)).toEqual([0, 0, 4]);
    made.reader(2, 'behind', 60_000);
    await reads(made, 4);
    expect(counts(made)).toEqual([4, 0, 4]);
    setNode(made.world.board, 1, { fit: false });
    made.reader(1);
    await reads(made, 1);
    expect(counts(made)).toEqual([5, 0, 4]);
  });

  it('get 503 where the list ends', async () => {
    const made = await setup({ split: { reads: ['replicas'] } });
    made.reader(1, 'none');
    made.reader(2, 'behind');
    expect((await reads(made, 1)).map(statusOf)).toEqual([503]);
    await made.quiet();
    expect(made.world.outcomes[0]).toMatchObject({ end: 'no_node' });
  });

  it('follow the primary where another becomes it', async () => {
    const made = await setup({ split: { reads: ['replicas'] } });
    made.lease(1, 2);
    made.reader(0);
    await reads(made, 4);
    expect(counts(made)).toEqual([2, 0, 2]);
  });

  it('are tried at another replica, then at the primary', async () => {
    const made = await setup({
      pool: { retry: { attempts: 4, budget: 1, methods: [], statuses: [], buffer: 0, backoff: 1 } },
    });
    for (const node of made.nodes.slice(1)) node.respond = (_request, connection) => connection.socket.destroy();
    const [answer] = await reads(made, 1);
    expect(statusOf(answer!)).toBe(200);
    expect(counts(made)).toEqual([1, 1, 1]);
  });

  it('fall back to the primary only under a live lease (6.3)', async () => {
    const made = await setup({ split: { stale: 0 }, parking: { time: 150 } });
    made.reader(1, 'none');
    made.reader(2, 'none');
    made.park(0, 1);
    expect((await reads(made, 1)).map(statusOf)).toEqual([503]);
    expect(counts(made)).toEqual([0, 0, 0]);
    made.lease(0, 1, { for: 0 });
    expect((await reads(made, 1)).map(statusOf)).toEqual([503]);
    expect(counts(made)).toEqual([0, 0, 0]);
  });

  it('fall back to the primary where writes are held back though there is a lease, and none of them is sent', async () => {
    const made = await setup({ parking: { time: 150 } });
    made.reader(1, 'none');
    made.reader(2, 'none');
    const hold = { mode: 'hold', epoch: 1, node: made.place(0) } as const;
    made.say({ ...hold, writeUntil: hrtime() + 60_000, cutAt: hrtime() + 60_250 });
    const [read] = await reads(made, 1);
    expect([statusOf(read!), field(read!, 'x-ha-stale')]).toEqual([200, undefined]);
    expect(statusOf(await ask(made.world.port, post('/w')))).toBe(503);
    expect(counts(made)).toEqual([1, 0, 0]);
    made.say({ ...hold, writeUntil: hrtime() });
    expect((await reads(made, 1)).map(statusOf)).toEqual([503]);
    expect(counts(made)).toEqual([1, 0, 0]);
  });

  it('wait for a lease where nobody else may answer, and are answered by the next primary', async () => {
    const made = await setup({ split: { stale: 0 } });
    made.park(0, 1);
    const client = made.world.client();
    await client.send(get('/r'));
    await until('waiting', () => made.world.pending === 1);
    made.reader(1, 'none');
    made.reader(2, 'none');
    made.lease(1, 2);
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(200);
    expect(counts(made)).toEqual([0, 1, 0]);
    await made.quiet(1);
    expect(made.count('readsWaited')).toBe(1);
  });

  it('at the primary are given up when the lease ends before the first byte', async () => {
    const made = await setup({ split: { reads: ['primary'], stale: 0 }, parking: { time: 200 } });
    made.nodes[0]!.onConnection = () => made.park(0, 1);
    const [answer] = await reads(made, 1);
    // The connection may be up for us before it is for the node; then it was sent under the lease.
    if (statusOf(answer!) === 503) expect(received(made.nodes[0]!)).toEqual([]);
    else expect(received(made.nodes[0]!)).toEqual(['GET /r -']);
    await made.quiet();
    expect(inFlight(made.world.board, 0)).toBe(0);
  });
});

describe('reads of a primary that dies', () => {
  const atPrimary: PrimaryOptions = { split: { reads: ['primary'], stale: 0 } };

  it('wait for the next one: those whose connection is refused, and those under which it breaks', async () => {
    const made = await setup(atPrimary);
    made.nodes[0]!.respond = () => {};
    const clients = Array.from({ length: 6 }, () => made.world.client());
    await Promise.all(clients.slice(0, 3).map((client, i) => client.send(get(`/${i}`))));
    await until('asked', () => received(made.nodes[0]!).length === 3);
    await made.nodes[0]!.stop();
    await Promise.all(clients.slice(3).map((client, i) => client.send(get(`/${i + 3}`))));
    await until('all wait', () => made.world.pending === 6);
    // Long enough for each of them to have been tried again.
    const errors = made.world.count('connectErrors');
    await until('tried again', () => made.world.count('connectErrors') > errors + 2);
    await until('all wait', () => made.world.pending === 6);
    made.park(0, 1);
    made.lease(1, 2);
    const answers = await Promise.all(clients.map((client) => client.answers(1)));
    expect(answers.map(([answer]) => statusOf(answer!))).toEqual(Array(6).fill(200));
    expect(received(made.nodes[1]!)).toHaveLength(6);
    await made.quiet(6);
  });

  it('go to the next kind of node in the list, if there is one', async () => {
    const made = await setup({ split: { reads: ['primary', 'replicas'] } });
    await made.nodes[0]!.stop();
    expect((await reads(made, 3)).map(statusOf)).toEqual([200, 200, 200]);
    expect(
      counts(made)
        .slice(1)
        .reduce((sum, one) => sum + one),
    ).toBe(3);
  });

  it('one under which every connection breaks is asked twice, not for ever', async () => {
    const made = await setup(atPrimary);
    made.nodes[0]!.respond = (_request, connection) => connection.socket.destroy();
    const [answer] = await reads(made, 1);
    expect(statusOf(answer!)).toBe(502);
    expect(received(made.nodes[0]!).length).toBeGreaterThanOrEqual(2);
    expect(received(made.nodes[0]!).length).toBeLessThanOrEqual(4);
    await made.quiet();
  });

  it('get 503 when nobody takes its place in time', async () => {
    const made = await setup({ ...atPrimary, parking: { time: 300 } });
    await made.nodes[0]!.stop();
    expect((await reads(made, 1)).map(statusOf)).toEqual([503]);
    await made.quiet();
  });
});

describe('stale reads', () => {
  it('are answered by replicas while there is no primary, and say so', async () => {
    const made = await setup();
    made.park(0, 1);
    const [answer] = await reads(made, 1);
    expect([statusOf(answer!), field(answer!, 'x-ha-stale')]).toEqual([200, '1']);
    expect(counts(made)[0]).toBe(0);
    expect(made.count('readsStale')).toBe(1);
    made.lease(0, 2);
    expect(field((await reads(made, 1))[0]!, 'x-ha-stale')).toBeUndefined();
  });

  it('of the node that is least behind, its lag added, within the bound', async () => {
    const made = await setup({ split: { stale: 30_000 }, parking: { time: 100 } });
    made.reader(1, 'behind', 20_000);
    made.reader(2, 'behind', 12_000);
    made.park(0, 1);
    const [answer] = await reads(made, 1);
    expect(Number(field(answer!, 'x-ha-stale'))).toBeGreaterThanOrEqual(12);
    expect(counts(made)).toEqual([0, 0, 1]);
    made.reader(2, 'behind', null);
    made.reader(1, 'behind', 40_000);
    expect((await reads(made, 1)).map(statusOf)).toEqual([503]);
  });

  it('are not given by one whose lag nobody knows, where there never was a lease', async () => {
    const made = await primaryWorld({ nodes: 2, parking: { time: 100 } });
    made.reader(1);
    expect((await reads(made, 1)).map(statusOf)).toEqual([503]);
    made.reader(1, 'fit', 3000);
    const [answer] = await reads(made, 1);
    expect([statusOf(answer!), field(answer!, 'x-ha-stale')]).toEqual([200, '3']);
  });

  it('never come from the node that is held for the primary', async () => {
    const made = await setup({ parking: { time: 100 } });
    made.reader(0);
    made.reader(1, 'none');
    made.reader(2, 'none');
    made.park(0, 1);
    expect((await reads(made, 1)).map(statusOf)).toEqual([503]);
  });
});

const session: PrimaryOptions = { ownReads: { mode: 'session', wait: 300 } };
const tokenOf = (answer: Message): string => `Cookie: ${field(answer, 'set-cookie')!.split(';')[0]}`;

async function written(made: PrimaryWorld, position: number, ...lines: readonly string[]): Promise<string> {
  made.nodes[0]!.respond = at(position);
  const answer = await ask(made.world.port, post('/w', '', ...lines));
  expect(statusOf(answer)).toBe(200);
  made.nodes[0]!.respond = sayWhat;
  return tokenOf(answer);
}

describe('a client that has written', () => {
  it('reads from a replica that has reached its write', async () => {
    const made = await setup(session);
    const token = await written(made, 50);
    made.position(1, 49);
    made.position(2, 50);
    await reads(made, 4, token);
    expect(counts(made)).toEqual([1, 0, 4]);
    await reads(made, 4);
    expect(counts(made)).toEqual([1, 2, 6]);
  });

  it('waits for one that follows', async () => {
    const made = await setup({ ownReads: { mode: 'session', wait: 60_000 } });
    const token = await written(made, 50);
    made.position(1, 48);
    const client = made.world.client();
    await client.send(get('/r', token));
    await until('waiting', () => made.world.pending === 1);
    made.position(1, 51);
    await client.answers(1);
    expect(counts(made)).toEqual([1, 1, 0]);
    await made.quiet(1);
  });

  it('reads from the primary when none follows in time, and at once when none tells its position', async () => {
    const made = await setup(session);
    const token = await written(made, 50);
    await reads(made, 1, token);
    expect([counts(made), made.count('readsWaited')]).toEqual([[2, 0, 0], 0]);
    made.position(1, 48);
    const began = hrtime();
    await reads(made, 1, token);
    expect(hrtime() - began).toBeGreaterThan(250);
    expect([counts(made), made.count('readsWaited')]).toEqual([[3, 0, 0], 1]);
  });

  it('what replicas say in their answers counts as well', async () => {
    const made = await setup(session);
    const token = await written(made, 50);
    made.nodes[1]!.respond = at(50);
    made.nodes[2]!.respond = at(20);
    await reads(made, 2);
    await reads(made, 3, token);
    expect(counts(made)).toEqual([1, 4, 1]);
    expect(made.world.board.primary.position(1)).toBe(50);
  });

  it('but not an answer to what was sent before the node was set back', async () => {
    const made = await setup(session);
    made.nodes[1]!.respond = () => {};
    setNode(made.world.board, 2, { fit: false });
    const client = made.world.client();
    await client.send(get('/slow'));
    const connection = await until('asked', () => made.nodes[1]!.connections.find((one) => one.requests.length === 1));
    made.reader(1, 'none');
    made.reader(1, 'fit');
    connection.write('HTTP/1.1 200 OK\r\nX-HA-Position: 99\r\nContent-Length: 0\r\n\r\n');
    await client.answers(1);
    expect(made.world.board.primary.position(1)).toBe(-1);
  });

  it('gets no older token from an answer that was overtaken', async () => {
    const made = await setup(session);
    await written(made, 70);
    const token = await written(made, 60);
    made.position(1, 65);
    made.position(2, 70);
    await reads(made, 2, token);
    expect(counts(made)).toEqual([2, 0, 2]);
  });

  it('and gives a token that nobody signed: the read goes to the primary', async () => {
    const made = await setup(session);
    const token = await written(made, 50);
    made.position(1, 99);
    made.position(2, 99);
    await reads(
      made,
      1,
      token.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A')),
    );
    await reads(made, 1, 'Cookie: ek-after=1.1.1.1.AAAAAAAAAAAAAAAAAAAAAA');
    expect([counts(made), made.count('tokensRefused')]).toEqual([[3, 0, 0], 2]);
    made.world.engine.useTokenKey(new Uint8Array(32));
    await reads(made, 1, token);
    expect([counts(made), made.count('tokensRefused')]).toEqual([[4, 0, 0], 3]);
  });

  it('by a field, if the config says so', async () => {
    const made = await setup({ ownReads: { mode: 'session', via: 'header', name: 'X-HA-Token' } });
    made.nodes[0]!.respond = at(5);
    const answer = await ask(made.world.port, post('/w'));
    const token = `X-HA-Token: ${field(answer, 'x-ha-token')}`;
    expect(field(answer, 'set-cookie')).toBeUndefined();
    made.position(1, 4);
    made.position(2, 5);
    await reads(made, 2, token);
    expect(counts(made)).toEqual([1, 0, 2]);
    expect(made.nodes[2]!.requests().every((request) => !request.fields.has('x-ha-token'))).toBe(true);
  });

  it('where nodes tell no positions: from the primary, for a while', async () => {
    const made = await setup({ ownReads: { mode: 'session', bound: 3000 } });
    const token = tokenOf(await ask(made.world.port, post('/w')));
    await reads(made, 1, token);
    expect(counts(made)).toEqual([2, 0, 0]);
    await pause(3050);
    await reads(made, 2, token);
    expect(counts(made)).toEqual([2, 1, 1]);
  });

  it('has no token where that is off', async () => {
    const made = await setup();
    expect(field(await ask(made.world.port, post('/w')), 'set-cookie')).toBeUndefined();
  });
});

describe('a client that wrote in an older epoch (6.2)', () => {
  it('reads from who has reached its write if the fork lies behind it', async () => {
    const made = await setup(session);
    const token = await written(made, 50);
    made.lease(1, 2, { forks: [{ epoch: 2, position: 50 }] });
    made.reader(1, 'none');
    made.position(2, 50);
    const [answer] = await reads(made, 1, token);
    expect(field(answer!, 'x-ha-lost')).toBeUndefined();
    expect(counts(made)).toEqual([1, 0, 1]);
  });

  it('is told that it is lost if the fork lies before it, by the primary', async () => {
    const made = await setup(session);
    const token = await written(made, 51);
    made.lease(1, 2, { forks: [{ epoch: 2, position: 50 }] });
    made.position(2, 99);
    const [answer] = await reads(made, 1, token);
    expect(field(answer!, 'x-ha-lost')).toBe('1');
    expect(counts(made)).toEqual([1, 1, 0]);
    await made.quiet();
    expect(made.count('readsLost')).toBe(1);
  });
});

describe('a member that may not know (6.3)', () => {
  it('a token of a newer epoch waits, then gets 503; the node held for primary is never asked', async () => {
    const made = await setup({ ...session, parking: { time: 200 } });
    made.lease(0, 3);
    const token = await written(made, 50);
    made.lease(0, 2);
    made.position(1, 99);
    made.position(2, 99);
    expect((await reads(made, 1, token)).map(statusOf)).toEqual([503]);
    expect(counts(made)).toEqual([1, 0, 0]);
  });

  it('a token of a newer epoch is served once the member knows that epoch', async () => {
    const made = await setup(session);
    made.lease(0, 3);
    const token = await written(made, 50);
    made.lease(0, 2);
    made.position(1, 99);
    made.position(2, 99);
    const client = made.world.client();
    await client.send(get('/r', token));
    await until('waiting', () => made.world.pending === 1);
    made.lease(0, 3);
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(200);
  });

  it('without a live lease a client that has written waits, then gets 503, though replicas have reached it', async () => {
    const made = await setup({ ...session, parking: { time: 200 } });
    const token = await written(made, 50);
    made.position(1, 99);
    made.park(0, 1);
    expect((await reads(made, 1, token)).map(statusOf)).toEqual([503]);
    expect(counts(made)).toEqual([1, 0, 0]);
    // One that has not written still reads, stale.
    expect((await reads(made, 1)).map(statusOf)).toEqual([200]);
  });
});

describe('strict reads', () => {
  it('see every write that was answered, of any client', async () => {
    const made = await setup({ ownReads: { mode: 'strict', wait: 100 } });
    await reads(made, 1);
    expect(counts(made)).toEqual([1, 0, 0]);
    await written(made, 50);
    made.position(1, 49);
    made.position(2, 50);
    await reads(made, 3);
    expect(counts(made)).toEqual([2, 0, 3]);
    made.position(2, 40);
    await reads(made, 1);
    expect(counts(made)).toEqual([3, 0, 3]);
  });

  it('go to the primary where other members pass writes on, too', async () => {
    const made = await setup({ ownReads: { mode: 'strict' }, alone: false });
    await written(made, 50);
    made.position(1, 50);
    await reads(made, 2);
    expect(counts(made)).toEqual([3, 0, 0]);
  });
});
