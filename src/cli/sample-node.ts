/**
 * One app node for `evenkeel demo`: a small server in a process of its own, so that a user can kill it and watch.
 * Started by demo as `node sample-node.ts NAME PORT`; tells its parent by message when it listens, or why it can't.
 *
 *   /            its name, and how many requests it has answered     /slow?ms=500   the same, later
 *   /health      200, what the health check asks for                 /echo          the request's method, fields, body
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

const maxWaitMs = 60_000;
const [name = 'sample', port = '0'] = process.argv.slice(2);
let answered = 0;

function answer(response: ServerResponse, body: object): void {
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify(body)}\n`);
}

const greet = (response: ServerResponse): void =>
  answer(response, { node: name, pid: process.pid, answered: ++answered });

function echo(request: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = request;
  text(request).then(
    (body) => answer(response, { node: name, method, url, headers, body }),
    () => response.destroy(), // the client went away
  );
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://sample');
  if (url.pathname === '/health') return answer(response, { status: 'up', node: name });
  if (url.pathname === '/echo') return echo(request, response);
  if (url.pathname !== '/slow') return greet(response);
  const waitMs = Math.min(Number(url.searchParams.get('ms')) || 0, maxWaitMs);
  setTimeout(greet, waitMs, response);
});

/** What a sample node tells the process that started it. */
export type SampleNews =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly code: string };

const tell = (news: SampleNews): void => void process.send?.(news);

server.on('error', (error: NodeJS.ErrnoException) => {
  tell({ kind: 'failed', code: error.code ?? error.message });
  process.exitCode = 1;
  process.disconnect?.();
});
server.listen(Number(port), '127.0.0.1', () => {
  const address = server.address();
  tell({ kind: 'listening', port: typeof address === 'object' && address !== null ? address.port : 0 });
});
// The demo is gone: nothing is left that would stop this process.
process.on('disconnect', () => process.exit());
process.on('SIGINT', () => undefined); // Ctrl-C reaches the whole group; demo ends its nodes itself, last
