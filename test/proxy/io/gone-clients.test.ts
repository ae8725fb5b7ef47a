/** What a client that is gone leaves behind: its address, and an answer that must not pass for whole. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { field } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { type RawNode, startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { makeCertificate, tlsOf } from '../../helpers/tls.ts';
import { startWorld } from '../world.ts';

const addresses = (node: RawNode): unknown[] => [
  ...new Set(node.requests().flatMap((one) => [field(one, 'x-forwarded-for'), field(one, 'x-real-ip')])),
];

/** Writes and resets in one go. */
function writeAndReset(raw: Socket, over: Socket): void {
  over.write(get('/gone'), 'latin1');
  setImmediate(() => raw.resetAndDestroy());
}

describe('a client that resets right behind its request', () => {
  it('is known by its address, or not served', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const world = await startWorld(scope, [node], { settings: { accessLog: true } });
    for (let i = 0; i < 20; i++) {
      const raw = connect(world.port, '127.0.0.1').on('error', () => {});
      await until('it is accepted', () => world.connections === 1, { everyMs: 1 });
      raw.write(get('/gone'), 'latin1');
      raw.resetAndDestroy();
      await until('it is gone', () => world.connections === 0, { everyMs: 1 });
    }
    await until('some came through', () => node.requests().length > 0);
    expect(addresses(node)).toEqual(['127.0.0.1']);
    expect([...new Set(world.outcomes.map(({ client }) => client))]).toEqual(['127.0.0.1']);
  });

  it('before it was accepted: it is not served', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const world = await startWorld(scope, [node]);
    for (let i = 0; i < 20; i++) {
      const raw = connect(world.port, '127.0.0.1').on('error', () => {});
      await new Promise((resolve) => raw.once('connect', resolve));
      raw.write(get('/gone'), 'latin1');
      raw.resetAndDestroy();
    }
    // Accepted after all of them.
    await ask(world.port, get('/here'));
    await until('all are gone', () => world.connections === 0);
    expect(addresses(node)).toEqual(['127.0.0.1']);
    expect(world.exceptions).toBe(0);
  });

  it('over TLS', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const world = await startWorld(scope, [node]);
    const port = await freePort();
    const names = ['one.test'];
    const tls = tlsOf({ ...(await makeCertificate(await scope.folder(), 'one.test', { names })), names });
    const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
    await world.engine.listen({ slot: 1, name: 'secure', address, tls, sockets: 1, reusePort: false });
    for (let i = 0; i < 20; i++) {
      const raw = connect(port, '127.0.0.1').on('error', () => {});
      const secure = connectTls({ socket: raw, rejectUnauthorized: false }).on('error', () => {});
      await new Promise((resolve) => secure.once('secureConnect', resolve));
      writeAndReset(raw, secure);
      await until('it is gone', () => world.connections === 0, { everyMs: 1 });
    }
    await ask({ tls: port }, get('/here'));
    expect(addresses(node)).toEqual(['127.0.0.1']);
  });
});

describe('an HTTP/1.0 client that ends its side within an answer whose end is that of the connection', () => {
  const begun = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';

  it.each([
    ['where its route says abortOnFin', 'GET / HTTP/1.0\r\n\r\n', true],
    ['with a request that is not whole', 'POST / HTTP/1.0\r\nContent-Length: 10\r\n\r\nabc', false],
  ] as const)('%s, sees that it was cut', async (_, request, abortOnFin) => {
    const scope = testScope();
    const node = await startRawNode(scope);
    node.onConnection = ({ socket }) => void socket.once('data', () => socket.write(begun));
    node.respond = () => {};
    const world = await startWorld(scope, [node], { route: { abortOnFin } });
    const client = world.client();
    await client.send(request);
    await client.sees('hello');
    client.halfClose();
    expect(await client.ended()).toBe('reset');
    await world.quiet();
  });
});
