/** What never ends by itself at an app node: a stream of server-sent events, and what follows an upgrade. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const everyMs = 10;
/** Of each event, so that a reader who stands still is soon behind. */
const padding = 'x'.repeat(64 * 1024);

const epochOf = (request: IncomingMessage): number => Number(request.headers['x-ha-epoch'] ?? 0);

/** `data: EPOCH AT ...`, as many as the reader takes. */
export function sendEvents(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-node': 'stream' });
  let flows = true;
  response.on('drain', () => {
    flows = true;
  });
  const timer = setInterval(() => {
    if (flows) flows = response.write(`data: ${epochOf(request)} ${Date.now()} ${padding}\n\n`);
  }, everyMs);
  response.on('close', () => clearInterval(timer));
}

/** Says `NODE EPOCH`, then whatever it hears. */
export function openStream(request: IncomingMessage, socket: Duplex, name: string): void {
  socket.on('error', () => socket.destroy());
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  socket.write(`${name} ${epochOf(request)}\n`);
  socket.pipe(socket);
}
