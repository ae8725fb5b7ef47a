/** What is known of the other end of a client's connection. */
import { forwardedBy, type Peer } from '../forwarding.ts';
import type { Client } from './client.ts';

export function peerOf({ socket, listener, context, secure }: Client): Peer {
  const remote = socket.remoteAddress ?? 'unix';
  const address = remote.startsWith('::ffff:') ? remote.slice(7) : remote;
  const at = { address, scheme: listener.tls ? 'https' : 'http', port: listener.port } as const;
  return {
    ...at,
    trusted: context.isTrusted(address),
    forwardedLines: forwardedBy(at),
    clientCert: secure?.clientCert ?? '',
    isTrusted: context.isTrusted,
  };
}
