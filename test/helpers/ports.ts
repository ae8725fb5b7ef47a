/**
 * Free TCP ports on 127.0.0.1, known before the process that will listen on them starts.
 * Taken from below the range that the kernel gives to outgoing connections: else, while a killed node's port is free
 * for a moment, one of thousands of client connections may take it and the node can't come back.
 */
import { type AddressInfo, createServer } from 'node:net';

const lowest = 12_000;
const highest = 32_000;
const given = new Set<number>();

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (given.has(port) || !(await canBind(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port between ${lowest} and ${highest} on 127.0.0.1 after 200 tries`);
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1' }, () => {
      const bound = (probe.address() as AddressInfo).port === port;
      probe.close(() => resolve(bound));
    });
  });
}
