/** For a cluster of one that nobody shall reach: no socket, no key. What is to be sent goes nowhere. */
import type { ClusterTransport } from './transport.ts';
import { emptyCounts } from './wire.ts';

/** What a member's host needs of its transport. */
export type MemberTransport = Pick<
  ClusterTransport,
  'address' | 'close' | 'counts' | 'datagram' | 'keyIds' | 'request' | 'send' | 'traffic' | 'useCluster' | 'useKeys'
>;

export function noTransport(): MemberTransport {
  const none = { in: 0, out: 0 };
  return {
    address: '',
    counts: emptyCounts(),
    keyIds: [],
    datagram: () => false,
    send: () => false,
    request: () => Promise.reject(new Error('this member has no socket')),
    traffic: () => ({ datagrams: none, connections: none }),
    useCluster: () => {},
    useKeys: () => {},
    close: () => Promise.resolve(),
  };
}
