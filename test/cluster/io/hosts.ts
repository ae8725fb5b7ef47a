/** Transports on loopback for tests, closed together; and waiting for a condition with a deadline. */
import { memberId } from '../../../src/base/ids.ts';
import { type ClusterTransport, openTransport, type TransportOptions } from '../../../src/cluster/io/transport.ts';
import type { Peer } from '../../../src/cluster/io/wire.ts';

export const secret = (seed: number): Uint8Array => new Uint8Array(32).fill(seed);
export const uid = (n: number) => memberId(n.toString(16).padStart(32, '0'));
export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
export const bytes = (plain: string): Uint8Array => Buffer.from(plain);

export interface Host {
  readonly transport: ClusterTransport;
  readonly address: string;
  readonly datagrams: { readonly from: Peer; readonly text: string }[];
  readonly messages: { readonly from: Peer; readonly kind: number; readonly bytes: Uint8Array }[];
  readonly foreign: Peer[];
  readonly lines: string[];
}

const opened: ClusterTransport[] = [];

export async function host(n: number, over: Partial<TransportOptions> = {}): Promise<Host> {
  const parts = { datagrams: [], messages: [], foreign: [], lines: [] } as Omit<Host, 'transport' | 'address'>;
  const result = await openTransport({
    listen: '127.0.0.1:0',
    self: { id: uid(n), boot: 1 },
    keys: [secret(1)],
    cluster: 'one',
    onDatagram: (from, payload) => void parts.datagrams.push({ from, text: text(payload) }),
    onMessage: (from, kind, payload) => void parts.messages.push({ from, kind, bytes: payload }),
    onRequest: (_from, _kind, payload) => payload,
    onForeign: (peer) => void parts.foreign.push(peer),
    onProblem: (line) => void parts.lines.push(line),
    ...over,
  });
  if (!result.ok) throw new Error(result.error);
  opened.push(result.value);
  return { ...parts, transport: result.value, address: result.value.address };
}

export async function closeHosts(): Promise<void> {
  await Promise.all(opened.splice(0).map((transport) => transport.close()));
}

export async function until(what: string, condition: () => boolean, ms = 30_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`did not come true in ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
