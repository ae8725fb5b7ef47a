/** node:http in front, undici's dispatch behind: the fastest that a proxy of Node's own parts gets. No upgrades. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { next, options, scheme, serve } from './serve.ts';

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const pools = options.nodes.map(
  (node) => new Pool(`http://${node}`, { pipelining: 1, keepAliveTimeout: 60_000, bodyTimeout: 0, headersTimeout: 0 }),
);

/** Field names and values in turn, as undici takes and gives them. */
function requestFields(request: IncomingMessage): string[] {
  const kept: string[] = [];
  const raw = request.rawHeaders;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase();
    if (!hopByHop.has(name) && !(name === 'expect')) kept.push(raw[i]!, raw[i + 1]!);
  }
  const client = request.socket.remoteAddress ?? '';
  kept.push('X-Forwarded-For', client, 'X-Real-IP', client, 'X-Forwarded-Proto', scheme);
  kept.push('X-Forwarded-Host', request.headers.host ?? '', 'X-Forwarded-Port', String(options.port));
  kept.push('X-Request-Id', randomUUID());
  return kept;
}

class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#response.on('close', () => {
      if (!this.#response.writableFinished) controller.abort(new Error('the client has gone'));
    });
    this.#response.on('drain', () => controller.resume());
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const raw = controller.rawHeaders as Buffer[];
    const kept: string[] = [];
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]!.toString('latin1');
      if (!hopByHop.has(name.toLowerCase())) kept.push(name, raw[i + 1]!.toString('latin1'));
    }
    this.#response.writeHead(status, kept);
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (!this.#response.write(piece)) controller.pause();
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502).end();
  }
}

serve((request, response) => {
  const { method = 'GET', url: path = '/' } = request;
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  const body = hasBody ? request : null;
  const what = { path, method: method as Dispatcher.HttpMethod, headers: requestFields(request), body };
  next(pools).dispatch(what, new Relay(response));
});
