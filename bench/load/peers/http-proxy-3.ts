/** http-proxy-3 over node:http, with kept connections to the nodes. */
import { randomUUID } from 'node:crypto';
import { Agent } from 'node:http';
import { createProxyServer } from 'http-proxy-3';
import { next, options, scheme, serve } from './serve.ts';

const targets = options.nodes.map((node) => `http://${node}`);
const agent = new Agent({ keepAlive: true, maxFreeSockets: 256, scheduling: 'lifo' });
const proxy = createProxyServer({ agent });
proxy.on('error', (_error, _request, answer) => {
  if ('writeHead' in answer && !answer.headersSent) answer.writeHead(502).end();
  else answer.destroy();
});

function fields(host: string, client: string): Record<string, string> {
  return {
    'x-forwarded-for': client,
    'x-real-ip': client,
    'x-forwarded-proto': scheme,
    'x-forwarded-host': host,
    'x-forwarded-port': String(options.port),
    'x-request-id': randomUUID(),
  };
}

const server = serve((request, response) => {
  const headers = fields(request.headers.host ?? '', request.socket.remoteAddress ?? '');
  proxy.web(request, response, { target: next(targets), headers });
});
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head, { target: next(targets) }));
