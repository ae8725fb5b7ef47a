/** A client of faulty-thread.ts: one command, one line back. */
import { connect, type Socket } from 'node:net';

export interface Line {
  ask(command: string): Promise<string>;
  /** Resolves when the connection has ended, however. */
  readonly closed: Promise<void>;
  end(): void;
}

/** Resolves when the thread has accepted it, not only the kernel: what the kernel has queued may still be reset. */
export function line(where: { readonly port: number } | { readonly path: string }): Promise<Line> {
  const socket: Socket = connect('port' in where ? { ...where, host: '127.0.0.1' } : where);
  socket.setEncoding('latin1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const ask = (command: string): Promise<string> => {
    const answer = new Promise<string>((resolve) => socket.once('data', (text) => resolve(String(text).trim())));
    socket.write(`${command}\n`);
    return Promise.race([answer, closed.then(() => Promise.reject(new Error('the connection ended')))]);
  };
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    const opened: Line = { ask, closed, end: () => socket.destroy() };
    socket.once('connect', () => ask('row').then(() => resolve(opened), reject));
  });
}

/** Asks on a connection of its own. */
export async function askOnce(port: number, command: string): Promise<string> {
  const one = await line({ port });
  try {
    return await one.ask(command);
  } finally {
    one.end();
  }
}
