/**
 * Gives the admin API its socket: TCP or unix. A listener of its own on the control thread, so that it answers when
 * the data threads are busy; bounded in connections, head and time, so that whoever reaches it can't hold it.
 */
import { chmod, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { getRequestListener } from '@hono/node-server';
import type { Context } from 'hono';
import type { Bytes, Millis } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type { ListenAddress } from '../../config/model.ts';
import { isLoopback } from '../access.ts';
import type { AdminActions } from '../actions.ts';
import { type ProblemAnswer, problemResponse } from '../problem.ts';
import { createAdmin } from '../server.ts';

const maxBodyBytes = 64 * 1024;
const maxConnections = 256;
const closeWithinMs = 1000;
const serverOptions = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 15_000,
};

export interface ServeOptions {
  readonly actions: AdminActions;
  readonly address: ListenAddress;
  readonly onError: (error: unknown, path: string) => void;
}

export interface AdminServer {
  /** As bound: with the real port where 0 was asked for. */
  readonly address: ListenAddress;
  /** Ends it; what is being answered gets so long, a second by default. */
  close(withinMs?: Millis): Promise<void>;
  /** Cuts what is still being answered. */
  cut(): void;
}

/** Rejects with one line that says what, where and what to do; nothing is left open then. */
export async function serveAdmin({ actions, address, onError }: ServeOptions): Promise<AdminServer> {
  if (!isLoopback(address) && actions.access().token === null) {
    throw new Error(
      `the admin API would be open to the network on ${addressText(address)}: set admin.token, or use a loopback address`,
    );
  }
  const app = createAdmin({ actions, now: () => performance.now(), every, readBody, peerOf, onError });
  const listener = getRequestListener(app.fetch, {
    hostname: 'localhost', // of a request without a Host
    // Answers of its own kind, which it writes without a web stream in between.
    overrideGlobalObjects: true,
    errorHandler: () =>
      problemResponse({ status: 400, title: 'Bad request', detail: 'the Host field or the target can not be read' }),
  });
  const server = createServer(serverOptions, (incoming, outgoing) => {
    listener(incoming, outgoing).catch((error: unknown) => {
      onError(error, incoming.url ?? '');
      outgoing.destroy();
    });
  });
  server.maxConnections = maxConnections;
  server.on('clientError', (error, socket) => refuseBytes(error, socket as Socket));
  await listen(server, address);
  server.on('error', (error) => onError(error, ''));
  return {
    address: boundAddress(server, address),
    close: (withinMs = closeWithinMs) => close(server, withinMs),
    cut: () => server.closeAllConnections(),
  };
}

const clientErrors: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Bytes that are no HTTP, too many of them, or too slow: one answer, then the end. */
function refuseBytes(error: Error, socket: Socket): void {
  socket.on('error', () => socket.destroy());
  const status = clientErrors[codeOf(error)] ?? '400 Bad Request';
  if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  else socket.destroy();
}

function every(ms: Millis, f: () => void): () => void {
  const timer = setInterval(f, ms);
  return () => clearInterval(timer);
}

const incomingOf = (context: Context): IncomingMessage =>
  (context.env as { readonly incoming: IncomingMessage }).incoming;

const peerOf = (context: Context): string => incomingOf(context).socket.remoteAddress ?? 'unix';

/** From Node's own stream: a web stream around it would cost more than all the rest of a small request. */
function readBody(context: Context, maxBytes: Bytes = maxBodyBytes): Promise<Result<string, ProblemAnswer>> {
  const incoming = incomingOf(context);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size: Bytes = 0;
    const end = (result: Result<string, ProblemAnswer>): void => {
      incoming.off('data', take);
      resolve(result);
    };
    const take = (chunk: Buffer): void => {
      size += chunk.byteLength;
      chunks.push(chunk);
      if (size <= maxBytes) return;
      incoming.pause();
      end(err(tooLarge(maxBytes)));
    };
    incoming.on('data', take);
    incoming.once('end', () => end(ok(Buffer.concat(chunks).toString('utf8'))));
    // The client is gone, or its chunks can't be read: nobody may be there for this answer.
    const brokeOff = { status: 400, title: 'Body broke off', detail: 'the body ended before it was complete' };
    incoming.once('close', () => end(err(brokeOff)));
    incoming.once('error', () => end(err(brokeOff)));
    if (incoming.destroyed) end(err(brokeOff));
  });
}

const tooLarge = (maxBytes: Bytes): ProblemAnswer => ({
  status: 413,
  title: 'Body too large',
  detail: `a body may have at most ${maxBytes} bytes`,
});

async function listen(server: Server, address: ListenAddress): Promise<void> {
  try {
    await bind(server, address);
  } catch (error) {
    if (address.kind !== 'unix' || codeOf(error) !== 'EADDRINUSE' || (await answers(address.path))) {
      throw new Error(explain(error, address), { cause: error });
    }
    // The socket of a process that ended without removing it.
    await unlink(address.path);
    await bind(server, address);
  }
  if (address.kind === 'unix') await chmod(address.path, 0o660);
}

function bind(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const bound = (): void => {
      server.off('error', reject);
      resolve();
    };
    if (address.kind === 'unix') server.listen(address.path, bound);
    else server.listen({ host: address.host, port: address.port }, bound);
  });
}

/** Does anybody listen on a unix socket? */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has it; stop that one or choose another admin.address',
  EACCES: 'not permitted; choose a port above 1023, or a path that may be written',
  EADDRNOTAVAIL: 'this machine has no such address; see `ip addr`',
  ENOENT: 'the folder does not exist; create it',
  ENOTFOUND: 'the name does not resolve',
};

function explain(error: unknown, address: ListenAddress): string {
  const code = codeOf(error);
  const why = advice[code] ?? (error instanceof Error ? error.message : String(error));
  return `cannot open the admin API on ${addressText(address)}: ${why}${code === '' ? '' : ` (${code})`}`;
}

const addressText = (address: ListenAddress): string =>
  address.kind === 'unix'
    ? `unix:${address.path}`
    : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;

function boundAddress(server: Server, asked: ListenAddress): ListenAddress {
  const bound = server.address();
  return asked.kind === 'tcp' && typeof bound === 'object' && bound !== null
    ? { kind: 'tcp', host: asked.host, port: bound.port }
    : asked;
}

function close(server: Server, withinMs: Millis): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(() => server.closeAllConnections(), withinMs);
    server.close(() => {
      clearTimeout(late);
      resolve();
    });
    server.closeIdleConnections();
  });
}
