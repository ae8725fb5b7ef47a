/**
 * An app node as users have them: a plain node:http server in a process of its own, so that it can be killed.
 *
 *   node app-node.ts NAME PORT|SOCKET-PATH      says { listening } over IPC; ends when its parent does
 *
 *   /health          200, or what { health } last said       /big?bytes=      sized body of the pattern
 *   /hold            answers when { release } comes          /chunked?bytes=  the same, chunked
 *   /slow?ms=        answers after ms                        /drip?bytes=&ms= a byte each ms, sized
 *   /echo            bytes and hash of the body, as JSON     /mirror          the body, as it comes
 *   /stall           the same, read once { release } comes
 *   /fields          the request as it was read, as JSON     /status?code=    that status
 *   WebSocket        echoes every frame                      else             its name
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { WebSocketServer } from 'ws';
import { newHash, patternBlocks } from './pattern.ts';

/** What { stats } is answered with. */
export interface AppStats {
  /** Requests other than probes. */
  readonly requests: number;
  readonly probes: number;
  /** Probes that had been answered when the first other request came; -1 = none came. */
  readonly probesBeforeTraffic: number;
  /** Requests that are being held. */
  readonly held: number;
  readonly connections: number;
  /** Bytes of /big and /chunked that the socket has asked for so far. */
  readonly patternBytes: number;
  readonly byPath: Readonly<Record<string, number>>;
}

export type ToAppNode =
  | { readonly kind: 'stats' }
  | { readonly kind: 'health'; readonly status: number; readonly body?: string }
  | { readonly kind: 'release' };

export type FromAppNode =
  | { readonly kind: 'listening' }
  | { readonly kind: 'stats'; readonly stats: AppStats }
  | { readonly kind: 'done' };

const [name = 'node', where = '0'] = process.argv.slice(2);
const counts = { requests: 0, probes: 0, probesBeforeTraffic: -1, connections: 0, patternBytes: 0 };
const byPath = new Map<string, number>();
const held = new Set<() => void>();
let health = { status: 200, body: 'fine\n' };

type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

const handlers: Record<string, Handler> = {
  '/hold': (_request, response) => {
    const answer = (): void => {
      held.delete(answer);
      response.end(`${name}\n`);
    };
    held.add(answer);
    response.once('close', () => held.delete(answer));
  },
  '/slow': (_request, response, url) => {
    setTimeout(() => response.end(`${name}\n`), number(url, 'ms'));
  },
  '/big': (request, response, url) => {
    response.setHeader('content-length', number(url, 'bytes'));
    sendPattern(request, response, number(url, 'bytes'));
  },
  '/chunked': (request, response, url) => sendPattern(request, response, number(url, 'bytes')),
  '/drip': (_request, response, url) => {
    let left = number(url, 'bytes');
    response.writeHead(200, { 'content-length': left });
    const timer = setInterval(
      () => {
        left -= 1;
        response.write('.');
        if (left === 0) response.end();
        if (left === 0) clearInterval(timer);
      },
      number(url, 'ms'),
    );
    response.once('close', () => clearInterval(timer));
  },
  '/echo': (request, response) => {
    const hash = newHash();
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    request.on('end', () => json(response, { node: name, bytes, sha256: hash.digest('hex') }));
  },
  '/stall': (request, response) => {
    const read = (): void => {
      held.delete(read);
      handlers['/echo']?.(request, response, new URL('http://node/echo'));
    };
    held.add(read);
  },
  '/mirror': (request, response) => pipeline(request, response, () => {}),
  '/fields': (request, response) => {
    json(response, {
      node: name,
      method: request.method,
      url: request.url,
      version: request.httpVersion,
      raw: request.rawHeaders,
    });
  },
  '/status': (_request, response, url) => {
    response.statusCode = number(url, 'code');
    response.end(`${name}\n`);
  },
};

const number = (url: URL, key: string): number => Number(url.searchParams.get(key) ?? 0);

function json(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}

function sendPattern(request: IncomingMessage, response: ServerResponse, bytes: number): void {
  if (request.method === 'HEAD') response.end();
  else pipeline(counted(bytes), response, () => {});
}

function* counted(bytes: number): Generator<Buffer> {
  for (const block of patternBlocks(bytes)) {
    counts.patternBytes += block.length;
    yield block;
  }
}

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const url = new URL(request.url ?? '/', 'http://node');
  response.setHeader('x-node', name);
  if (url.pathname === '/health') {
    counts.probes += 1;
    response.statusCode = health.status;
    response.end(health.body);
    return;
  }
  if (counts.probesBeforeTraffic < 0) counts.probesBeforeTraffic = counts.probes;
  counts.requests += 1;
  byPath.set(url.pathname, (byPath.get(url.pathname) ?? 0) + 1);
  const handler = handlers[url.pathname];
  if (handler === undefined) response.end(`${name}\n`);
  else handler(request, response, url);
});

const sockets = new WebSocketServer({ server, maxPayload: 64 * 1024 * 1024 });
sockets.on('connection', (socket) => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  socket.on('error', () => socket.terminate());
});

server.on('connection', (socket) => {
  counts.connections += 1;
  socket.once('close', () => {
    counts.connections -= 1;
  });
});

const say = (message: FromAppNode): void => {
  process.send?.(message);
};

process.on('message', (message: ToAppNode) => {
  if (message.kind === 'stats') {
    say({ kind: 'stats', stats: { ...counts, held: held.size, byPath: Object.fromEntries(byPath) } });
    return;
  }
  if (message.kind === 'health') health = { status: message.status, body: message.body ?? 'as told\n' };
  else for (const answer of held) answer();
  say({ kind: 'done' });
});
process.on('disconnect', () => process.exit(0));

if (/^\d+$/.test(where)) server.listen({ port: Number(where), host: '127.0.0.1' }, () => say({ kind: 'listening' }));
else server.listen(where, () => say({ kind: 'listening' }));
