/** Limits per client address at a real engine: what is refused, how, and what is not touched by them. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Settings } from '../../../src/routing/snapshot.ts';
import { type RefusalReason, refusalReasons } from '../../../src/scoreboard/layout.ts';
import { counterRow } from '../../../src/scoreboard/scoreboard.ts';
import { field, statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { ask, get, RawClient } from '../../helpers/raw-client.ts';
import { startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { settings } from '../../routing/fixtures.ts';
import { startWorld, type World } from '../world.ts';

type Limits = Settings['limits']['perAddress'];

/** So slow that nothing is made good within a test. */
const rate = (burst: number) => ({ perSecond: 0.001, burst });

async function setup(limits: Partial<Limits>, rest: Partial<Settings> = {}) {
  const scope = testScope();
  const node = await startRawNode(scope);
  const perAddress = { ...settings.limits.perAddress, ...limits };
  const world = await startWorld(scope, [node], {
    settings: { ...rest, limits: { ...settings.limits, perAddress } },
  });
  const dial = (from = '127.0.0.1'): RawClient => scope.own(new RawClient({ port: world.port, from }));
  return { scope, node, world, dial };
}

const refused = (world: World, reason: RefusalReason): number =>
  world.board.sum(counterRow.refusals() + refusalReasons.indexOf(reason));
const key = (low: number) => ({ high: -1, low });
const loopback = 0x7f00_0001;

describe('requests beyond the rate of their address', () => {
  it('are answered 429 on a connection that stays, and no node sees them; other addresses notice nothing', async () => {
    const { world, node, dial } = await setup({ requests: rate(2) });
    const client = dial();
    await client.send(get('/1') + get('/2') + get('/3') + get('/4'));
    const answers = await client.answers(4);
    expect(answers.map(statusOf)).toEqual([200, 200, 429, 429]);
    expect(Number(field(answers[2]!, 'retry-after'))).toBeGreaterThan(900);
    expect(field(answers[2]!, 'proxy-status')).toBe('evenkeel; error=http_request_denied');
    expect(field(answers[3]!, 'connection')).toBeUndefined();
    expect(client.end).toBe('open');
    expect(statusOf(await ask({ port: world.port, from: '127.0.0.2' }, get('/5')))).toBe(200);
    expect(node.requests()).toHaveLength(3);
    client.stop();
    await world.quiet();
    expect(world.outcomes.map(({ status, end, node: at, pool }) => [status, end, at, pool])).toEqual([
      [200, 'ok', 'n-0', 'app'],
      [200, 'ok', 'n-0', 'app'],
      [429, 'limited', '', ''],
      [429, 'limited', '', ''],
      [200, 'ok', 'n-0', 'app'],
    ]);
    expect(refused(world, 'address-requests')).toBe(2);
    // The second one comes within the same second.
    expect(world.events.filter(({ event }) => event === 'address-limited')).toMatchObject([
      { level: 'info', fields: { client: '127.0.0.1', reason: 'address-requests' } },
    ]);
  });

  it('with a body: read with its head, the connection stays; else it closes behind the answer', async () => {
    const { dial } = await setup({ requests: rate(1) });
    const client = dial();
    await client.send(get('/'));
    await client.answers(1);
    const post = 'POST / HTTP/1.1\r\nHost: ek.test\r\nContent-Length: 5\r\n\r\n';
    await client.send(`${post}hello${post}hel`);
    const [, whole, part] = await client.answers(3);
    expect([statusOf(whole!), field(whole!, 'connection')]).toEqual([429, undefined]);
    expect([statusOf(part!), field(part!, 'connection')]).toEqual([429, 'close']);
    expect(await client.ended()).toBe('fin');
  });

  it('come in time again', async () => {
    const { world, dial } = await setup({ requests: { perSecond: 20, burst: 1 } });
    const client = dial();
    await client.send(get('/').repeat(32));
    expect((await client.answers(32)).map(statusOf)).toContain(429);
    await until('time has passed', async () => statusOf(await ask(world.port, get('/'))) === 200);
  });

  it('from a trusted proxy: whom it names counts, and it alone has none', async () => {
    const { world, dial } = await setup({ requests: rate(1) }, { trustedProxies: ['127.0.0.9', '10.0.0.0/8'] });
    const proxy = dial('127.0.0.9');
    const named = (chain: string): string => get('/', `X-Forwarded-For: ${chain}`);
    const chains = [
      '192.0.2.1',
      '192.0.2.1',
      '8.8.8.8, 192.0.2.1',
      '192.0.2.2',
      '192.0.2.2, 127.0.0.9',
      '2001:db8::1',
      '2001:db8::2',
    ];
    await proxy.send(chains.map(named).join(''));
    const statuses = (await proxy.answers(chains.length)).map(statusOf);
    expect(statuses).toEqual([200, 429, 429, 200, 429, 200, 429]);
    await proxy.send(get('/') + get('/') + named('10.0.0.1') + named('10.0.0.1'));
    expect((await proxy.answers(chains.length + 4)).slice(chains.length).map(statusOf)).toEqual([200, 200, 200, 200]);
    // From anybody else the field is worth nothing.
    const liar = dial('127.0.0.8');
    await liar.send(named('192.0.2.7') + named('192.0.2.8'));
    expect((await liar.answers(2)).map(statusOf)).toEqual([200, 429]);
    proxy.stop();
    liar.stop();
    await world.quiet();
    expect(world.outcomes[1]).toMatchObject({ client: '192.0.2.1', end: 'limited' });
  });
});

describe('connections beyond those of their address', () => {
  it('are answered 503 and closed; there is room when one has gone', async () => {
    const { world, dial } = await setup({ connections: 2 });
    const open = [dial(), dial()];
    for (const client of open) {
      await client.send(get('/'));
      await client.answers(1);
    }
    const third = dial();
    const [answer] = await third.answers(1);
    expect([statusOf(answer!), field(answer!, 'retry-after')]).toEqual([503, '1']);
    expect(await third.ended()).toBe('fin');
    expect(statusOf(await ask({ port: world.port, from: '127.0.0.2' }, get('/')))).toBe(200);
    expect(refused(world, 'address-connections')).toBe(1);
    open[0]!.stop();
    const clients = world.board.clients(0);
    await until('one gone', () => clients.openOf(key(loopback)) === 1);
    expect(statusOf(await ask(world.port, get('/')))).toBe(200);
    open[1]!.stop();
    await world.quiet();
    expect(clients.openOf(key(loopback))).toBe(0);
  });

  it('a tunnel counts as long as it lasts', async () => {
    const { world, node, dial } = await setup({ connections: 1 });
    node.respond = (_request, { socket }) =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const client = dial();
    await client.send(
      get(
        '/',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        `Sec-WebSocket-Key: ${btoa('0123456789abcdef')}`,
      ),
    );
    await client.sees('101 Switching');
    expect(statusOf(await ask(world.port, get('/')))).toBe(503);
    client.stop();
    await until('the tunnel gone', () => world.board.clients(0).openOf(key(loopback)) === 0);
  });

  it('come too fast: 503 until time has passed, whether the others are still open or not', async () => {
    const { world } = await setup({ newConnections: rate(3) });
    const statuses: number[] = [];
    for (let i = 0; i < 5; i++) statuses.push(statusOf(await ask(world.port, get('/'))));
    expect(statuses).toEqual([200, 200, 200, 503, 503]);
    expect(refused(world, 'address-new-connections')).toBe(2);
    expect(statusOf(await ask({ port: world.port, from: '127.0.0.2' }, get('/')))).toBe(200);
  });

  it('trusted proxies have as many as they like', async () => {
    const { dial } = await setup({ connections: 1, newConnections: rate(1) }, { trustedProxies: ['127.0.0.0/8'] });
    for (let i = 0; i < 5; i++) {
      const client = dial();
      await client.send(get('/'));
      expect((await client.answers(1)).map(statusOf)).toEqual([200]);
    }
  });

  it('a thousand at once that read nothing are closed all the same, and leave nothing', {
    timeout: 180_000,
  }, async () => {
    const { world, scope } = await setup({ connections: 1 });
    const first = world.client();
    await first.send(get('/'));
    await first.answers(1);
    const flood = Array.from({ length: 1000 }, () => {
      const socket = connect({ port: world.port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
      scope.own({ stop: () => void socket.destroy() });
      return socket;
    });
    await until('all refused', () => refused(world, 'address-connections') === 1000, { withinMs: 90_000 });
    expect(world.connections).toBe(1);
    for (const socket of flood) socket.resume();
    await until('all closed', () => flood.every((socket) => socket.readableEnded || socket.destroyed), {
      withinMs: 90_000,
    });
    for (const socket of flood) socket.destroy();
    first.stop();
    await world.quiet();
    expect(world.exceptions).toBe(0);
  });
});
