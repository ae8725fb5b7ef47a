/** Real servers for probes: each on a port of its own, all closed at the end of the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { ProbeAddress } from '../../../src/health/policy.ts';

export async function listen(server: net.Server, at: { port?: number; path?: string } = {}): Promise<ProbeAddress> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at.path === undefined ? { host: '127.0.0.1', port: at.port ?? 0 } : { path: at.path }, resolve);
  });
  const address = server.address();
  if (typeof address === 'string' || address === null) return { kind: 'unix', path: at.path ?? '' };
  return { kind: 'tcp', host: '127.0.0.1', port: address.port };
}

export function httpNode(
  handler: http.RequestListener,
  at: { port?: number; path?: string } = {},
): Promise<ProbeAddress> {
  return listen(http.createServer(handler), at);
}

/** Answers every connection with these bytes; null = accepts and says nothing. */
export function rawNode(answer: string | null, end = true): Promise<ProbeAddress> {
  return listen(
    net.createServer((socket) => {
      socket.once('data', () => {
        if (answer === null) return;
        if (end) socket.end(answer, 'latin1');
        else socket.write(answer, 'latin1');
      });
    }),
  );
}

/** An address where nobody listens: a port that was free a moment ago. */
export async function deadAddress(): Promise<ProbeAddress & { kind: 'tcp' }> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return { kind: 'tcp', host: '127.0.0.1', port };
}

export function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ek-health-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'node.sock');
}
