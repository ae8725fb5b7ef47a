/** A node that answers before it has read the body: what of it has not left yet must not stand before the next request. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { post } from '../primary-world.ts';
import { World } from '../world.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A node on a unix socket, which takes little unread. It reads one piece of each connection, no more. */
async function deafNode(scope: Scope): Promise<{ readonly path: string; readonly sockets: Socket[] }> {
  const path = join(await scope.folder(), 'node.sock');
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', () => socket.pause());
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  scope.own({
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return { path, sockets };
}

/** All sockets that this process opens from now on. */
function opened(scope: Scope): Socket[] {
  const sockets: Socket[] = [];
  const note = (message: unknown): void => void sockets.push((message as { readonly socket: Socket }).socket);
  subscribe('net.client.socket', note);
  scope.own({ stop: () => void unsubscribe('net.client.socket', note) });
  return sockets;
}

it('a connection with a part of a body that has not left is not used again', async () => {
  const scope = testScope();
  const node = await deafNode(scope);
  const world = scope.own(new World(scope, await freePort(), [1], {}));
  world.nodes = [{ ...world.nodes[0]!, address: { kind: 'unix', path: node.path }, authority: 'localhost' }];
  world.swap();
  await world.listen();

  const first = world.client();
  await first.connected;
  const sockets = opened(scope);
  await first.send(get('/first', 'Transfer-Encoding: chunked').replace('GET', 'POST'));
  await until('the node reads no more', () => node.sockets[0]?.isPaused() === true);
  const [upstream] = sockets;
  const piece = `2000\r\n${'b'.repeat(0x2000)}\r\n`;
  const send = async (bytes: string): Promise<void> => {
    const before = world.count('bytesOut');
    await first.send(bytes);
    await until('it was passed', () => world.count('bytesOut') === before + bytes.length, { everyMs: 1 });
  };
  while (upstream!.writableLength === 0) await send(piece);
  await send('0\r\n\r\n');
  expect(upstream!.writableLength).toBeGreaterThan(0);
  node.sockets[0]!.write(ok);
  expect((await first.answers(1)).map(statusOf)).toEqual([200]);

  const second = ask(world.port, post('/second'));
  second.catch(() => {});
  await until('it has a connection of its own', () => node.sockets.length === 2, { withinMs: 10_000 });
  node.sockets[1]!.write(ok);
  expect(statusOf(await second)).toBe(200);
});
