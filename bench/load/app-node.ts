/**
 * A node in Node: `node app-node.ts ADDRESS...`. Bodies of fixed sizes as the static nodes have them, sized or chunked;
 * a request body is read to its end and only then answered; an upgrade is accepted, and then nothing is said.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const body = Buffer.alloc(1024 * 1024, 'x');
const sizes: Readonly<Record<string, number>> = { '/100': 100, '/10k': 10 * 1024, '/1m': body.length };
const piece = 32 * 1024;

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? '';
  const chunked = url.startsWith('/chunked/');
  const size = sizes[chunked ? url.slice('/chunked'.length) : url];
  if (size === undefined) {
    request.resume();
    request.on('end', () => response.writeHead(200, { 'content-length': 2 }).end('ok'));
    return;
  }
  if (!chunked) {
    response.writeHead(200, { 'content-length': size }).end(body.subarray(0, size));
    return;
  }
  response.writeHead(200);
  for (let at = 0; at < size; at += piece) response.write(body.subarray(at, Math.min(size, at + piece)));
  response.end();
}

/** RFC 6455, 4.2.2: HAProxy looks whether the answer fits the key. */
const webSocketId = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const acceptFor = (key: string): string =>
  createHash('sha1')
    .update(key + webSocketId)
    .digest('base64');

function upgrade(request: IncomingMessage, socket: Duplex): void {
  const accept = acceptFor(request.headers['sec-websocket-key'] ?? '');
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
  socket.resume();
  const fields = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}`;
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n\r\n`);
}

process.on('SIGTERM', () => process.exit(0));
for (const address of process.argv.slice(2)) {
  const server = createServer({ keepAliveTimeout: 75_000 }, answer);
  server.on('upgrade', upgrade);
  if (address.startsWith('unix:')) server.listen(address.slice('unix:'.length));
  else {
    const colon = address.lastIndexOf(':');
    server.listen({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), backlog: 1024 });
  }
}
