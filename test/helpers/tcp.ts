/** What the kernel knows of TCP connections of 127.0.0.1 and no socket tells: for tests that must not guess by waiting. */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { until } from './poll.ts';

/** Lines of /proc/net/tcp that begin with these ports, of the near side and of the far one; null: any. */
function rows(near: number | null, far: number | null): (readonly [state: string, unread: number])[] {
  const port = (value: number | null): string =>
    value === null ? '[0-9A-F]{4}' : value.toString(16).toUpperCase().padStart(4, '0');
  const address = '[0-9A-F]{8}';
  const row = `^ *\\d+: ${address}:${port(near)} ${address}:${port(far)} (..) [0-9A-F]{8}:([0-9A-F]{8}) `;
  const found = readFileSync('/proc/net/tcp', 'utf8').matchAll(new RegExp(row, 'gm'));
  return Array.from(found, ([, state, unread]) => [state!, Number.parseInt(unread!, 16)] as const);
}

/** How many connections to this port wait to be let in: its backlog is full. */
export const waitingFor = (port: number): number => rows(null, port).filter(([state]) => state === '02').length;

const largest = (file: string): number =>
  Number(readFileSync(`/proc/sys/net/ipv4/${file}`, 'utf8').trim().split(/\s+/)[2]);

/** The most that the kernel holds of a stream through a proxy: two connections, each with a sender's and a receiver's share. */
export const kernelRoom = (): number => 2 * (largest('tcp_rmem') + largest('tcp_wmem'));

/** Resets the connection when the process at its other end has read all that was written to it. */
export async function resetOnceRead(socket: Socket): Promise<void> {
  const { localPort, remotePort } = socket;
  await new Promise<void>((resolve) => void socket.write('', () => resolve()));
  const isRead = (): boolean => rows(remotePort!, localPort!).every(([, unread]) => unread === 0);
  await until('it to be read', () => socket.destroyed || isRead(), { everyMs: 1 });
  socket.resetAndDestroy();
}
