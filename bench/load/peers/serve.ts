/** The front of the references: node:http or node:https, as the options in the first argument say. */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ReferenceOptions } from '../recipes/reference.ts';

export const options = JSON.parse(process.argv[2] ?? '{}') as ReferenceOptions;
export const scheme = options.cert === null ? 'http' : 'https';

export function serve(handle: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const common = { keepAliveTimeout: 75_000, requestTimeout: 0 };
  const server =
    options.cert === null || options.key === null
      ? createServer(common, handle)
      : createTlsServer({ ...common, cert: readFileSync(options.cert), key: readFileSync(options.key) }, handle);
  process.on('SIGTERM', () => process.exit(0));
  return server.listen({ port: options.port, host: '127.0.0.1', backlog: 1024 });
}

let turn = 0;
/** Round robin. */
export function next<T>(all: readonly T[]): T {
  turn = turn + 1 < all.length ? turn + 1 : 0;
  return all[turn]!;
}
