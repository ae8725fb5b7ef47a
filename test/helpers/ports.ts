/**
 * Free TCP ports on 127.0.0.1, known before the process that will listen on them starts.
 * Taken from below the range that the kernel gives to outgoing connections: else, while a killed node's port is free
 * for a moment, one of thousands of client connections may take it and the node can't come back.
 * A port is claimed for the life of this process by a name of the kernel's, so that no other test process is given it:
 * engines share their ports (SO_REUSEPORT), and two in two processes would get each other's requests.
 */
import { type AddressInfo, createServer, type Server } from 'node:net';

const lowest = 12_000;
const highest = 32_000;
/** What claims the ports that were given. */
const claims = new Map<number, Server>();

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (claims.has(port)) continue;
    const claim = await claimPort(port);
    if (claim === null) continue;
    claims.set(port, claim);
    if (await canBind(port)) return port;
  }
  throw new Error(`no free port between ${lowest} and ${highest} on 127.0.0.1 after 200 tries`);
}

/** null: another process has it. */
function claimPort(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const claim = createServer().unref();
    claim.once('error', () => resolve(null));
    claim.listen(`\0evenkeel-test-port-${port}`, () => resolve(claim));
  });
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
