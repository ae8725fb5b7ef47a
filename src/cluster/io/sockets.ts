/** The two sockets of a member, on one port, and what is said when they can't be had. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import { formatHostPort, unmapped } from '../frames/address.ts';

export interface Sockets {
  readonly server: Server;
  readonly udp: UdpSocket;
  readonly address: string;
  readonly family: 4 | 6;
}

export const withoutKey = (listen: string): string =>
  `the cluster has no key, so it must not listen on ${listen}, where others could speak as members: ` +
  'set cluster.key to 32 random bytes (`openssl rand -base64 32`), the same on all members, or bind 127.0.0.1';

export function whyNot(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return 'another process listens there (port in use): stop it or choose another port';
  if (code === 'EADDRNOTAVAIL') return 'this machine has no such address: give one of its own, or 0.0.0.0';
  return code === 'ENOTFOUND' ? 'the name is not known' : message;
}

/**
 * TCP and UDP on one port. Port 0: one that is free for both. TCP comes last, so that no connection comes in before the
 * caller, who goes on in the same turn of the loop, listens for it.
 */
export async function bindBoth(ip: string, port: number): Promise<Sockets> {
  const family = ip.includes(':') ? 6 : 4;
  for (let attempt = 0; ; attempt++) {
    const udp = createSocket({ type: family === 6 ? 'udp6' : 'udp4', recvBufferSize: 1024 * 1024 });
    const server = createServer({ noDelay: true });
    try {
      await begun(udp, (done) => udp.bind(port, ip, done));
      const chosen = udp.address().port;
      await begun(server, (done) => server.listen({ host: ip, port: chosen }, done));
      return { server, udp, family, address: formatHostPort(unmapped(ip), chosen) };
    } catch (error) {
      udp.close();
      if (port !== 0 || attempt >= 10) throw error;
    }
  }
}

function begun(socket: UdpSocket | Server, begin: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    begin(() => {
      socket.off('error', reject);
      resolve();
    });
  });
}
