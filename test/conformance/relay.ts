/** Bare TCP relays in the proxy's place: what a judge does not complain of here, it does not see. */
import { createServer, connect as dial, type Socket } from 'node:net';
import { freePort } from '../helpers/ports.ts';
import type { RawNode } from '../helpers/raw-node.ts';
import type { Scope } from '../helpers/scope.ts';
import type { Lane } from './judge.ts';

/** Bytes in, bytes out; an end on one side is an end on the other. */
export const startRelay = (scope: Scope, node: RawNode): Promise<Lane> => start(scope, node, () => false);

/** Refuses all but canaries as it should, but for this: the node has got the first line of it before. */
export const startLeak = (scope: Scope, node: RawNode): Promise<Lane> =>
  start(scope, node, (chunk, client, upstream) => {
    if (chunk.includes('/canary-')) return false;
    upstream.end(chunk.subarray(0, chunk.indexOf('\n') + 1));
    client.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    return true;
  });

/** `keep`: what a client sends is not passed on. */
async function start(
  scope: Scope,
  node: RawNode,
  keep: (chunk: Buffer, client: Socket, upstream: Socket) => boolean,
): Promise<Lane> {
  const port = await freePort();
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = dial({ port: node.port, host: '127.0.0.1', allowHalfOpen: true });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from);
      from.on('data', (chunk: Buffer) => {
        if (from !== client || !keep(chunk, client, upstream)) to.write(chunk);
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen({ port, host: '127.0.0.1' }, resolve));
  scope.own({
    stop: () => {
      for (const socket of open) socket.destroy();
      server.close();
    },
  });
  return { where: port, node };
}
