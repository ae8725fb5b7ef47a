/**
 * Is an address free, before the data threads listen on it?
 *
 * Their listeners share a port by SO_REUSEPORT, so the kernel would also let a second evenkeel of the same user in, and
 * each would get half of the traffic. The control thread therefore listens first, alone and without it, and lets go
 * again. That finds any other program on the port, and turns port 0 into a real one for all threads.
 * It does not hold the port between: what takes it in that moment is found when the threads listen.
 */
import { lstat, rm } from 'node:fs/promises';
import { connect, createServer, type ListenOptions } from 'node:net';
import { dirname } from 'node:path';
import { err, ok, type Result } from '../base/result.ts';
import type { ListenAddress } from '../config/model.ts';

export interface AddressProblem {
  readonly address: ListenAddress;
  /** The system's code: EADDRINUSE, EACCES, ... */
  readonly code: string;
  /** One line: what, where, what to do. */
  readonly message: string;
}

/** The address as it can be listened on (port 0 made real), or why not. */
export async function checkFree(address: ListenAddress): Promise<Result<ListenAddress, AddressProblem>> {
  if (address.kind === 'unix') return checkUnix(address);
  const tried = await tryListen({ host: address.host, port: address.port, exclusive: true });
  if (!tried.ok) return err(addressProblem(address, tried.error));
  return ok({ ...address, port: tried.value });
}

/** Whether several sockets may listen on one port here (Linux, recent BSDs; not macOS, not Windows). */
export async function reusePortWorks(): Promise<boolean> {
  return (await tryListen({ host: '127.0.0.1', port: 0, reusePort: true, exclusive: true })).ok;
}

export const addressText = (address: ListenAddress): string => {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
};

/** One line for a failure to listen, from the system's error. */
export function addressProblem(
  address: ListenAddress,
  error: { readonly code?: string | undefined; readonly message: string },
): AddressProblem {
  const code = error.code ?? 'UNKNOWN';
  const where = `cannot listen on ${addressText(address)}`;
  return { address, code, message: `${where}: ${reason(address, code, error.message)}` };
}

function reason(address: ListenAddress, code: string, message: string): string {
  const unix = address.kind === 'unix';
  switch (code) {
    case 'EADDRINUSE':
      return unix
        ? 'another process listens on this socket; stop it, or choose another path'
        : `another process listens there; stop it (ss -ltnp 'sport = :${address.port}' shows it), or choose another port`;
    case 'EACCES':
    case 'EPERM':
      return unix
        ? "no permission; let this process's user write to the socket's folder, or choose another path"
        : 'no permission; ports below 1024 need the capability CAP_NET_BIND_SERVICE, or choose a port above 1023';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address; `ip address` lists those it has, 0.0.0.0 means all of them';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the name cannot be resolved; write an IP address, or correct the name';
    case 'ENOENT':
    case 'ENOTDIR':
      return "the socket's folder does not exist; create it, or choose another path";
    case 'ENOTSOCK':
      return 'a file that is no socket stands there; remove it, or choose another path';
    default:
      return `${message} (${code})`;
  }
}

type SystemError = { readonly code?: string | undefined; readonly message: string };

/** Listens and lets go again; gives the port. */
function tryListen(options: ListenOptions): Promise<Result<number, SystemError>> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(err(error)));
    server.listen(options, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(ok(port)));
    });
  });
}

/** A socket file left behind by a process that is gone refuses connections; it will be replaced. One that answers is in use. */
async function checkUnix(
  address: ListenAddress & { readonly kind: 'unix' },
): Promise<Result<ListenAddress, AddressProblem>> {
  // Looked at first, since libuv says EACCES where the folder is missing.
  if ((await lstat(dirname(address.path)).catch(() => null)) === null)
    return err(addressProblem(address, { code: 'ENOENT', message: '' }));
  const found = await lstat(address.path).catch(() => null);
  if (found !== null && !found.isSocket()) return err(addressProblem(address, { code: 'ENOTSOCK', message: '' }));
  if (found !== null && (await answers(address.path)))
    return err(addressProblem(address, { code: 'EADDRINUSE', message: '' }));
  // No longer than the names under which threads listen (listeners.ts). One may be left of a start that broke off.
  const beside = `${address.path}.new`;
  if ((await lstat(beside).catch(() => null))?.isSocket()) await rm(beside, { force: true });
  const tried = await tryListen({ path: beside });
  return tried.ok ? ok(address) : err(addressProblem(address, tried.error));
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code === 'EAGAIN'));
  });
}
