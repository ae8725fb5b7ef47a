/**
 * What evenkeel wants to reach, as data. `atMost` is a ratio to `against` in the same scenario, or an absolute figure where
 * `against` is null. A row whose scenario is null is not measured, and says why.
 */
export interface Bound {
  readonly what: string;
  readonly scenario: string | null;
  readonly figure: string;
  readonly against: string | null;
  readonly atMost: number;
  readonly whyNot?: string;
}

const row = (what: string, scenario: string, figure: string, bounds: Readonly<Record<string, number>>): Bound[] =>
  Object.entries(bounds).map(([against, atMost]) => ({ what, scenario, figure, against, atMost }));
const absolute = (what: string, scenario: string, figure: string, atMost: number): Bound => ({
  what,
  scenario,
  figure,
  against: null,
  atMost,
});

export const bounds: readonly Bound[] = [
  ...row('CPU per request, 100 B', '100b', 'cpu', { nginx: 1.25, haproxy: 1.2, undici: 0.5, 'http-proxy-3': 0.25 }),
  ...row('CPU per request, 100 B, access log on', '100b-log', 'cpu', { nginx: 1.4 }),
  ...row('CPU per request, 100 B, 8 requests at once on a connection to a node', '100b-pipelining', 'cpu', {
    nginx: 1,
  }),
  ...row('CPU per request, 100 B, nodes over unix sockets, nginx over TCP', '100b-unix', 'cpu', { nginx: 1 }),
  ...row('CPU per request, 10 KiB', '10k', 'cpu', { nginx: 1.15 }),
  ...row('CPU per request, 1 MiB', '1m', 'cpu', { nginx: 0.7, haproxy: 1 }),
  ...row('CPU, a connection per request', 'reconnect', 'cpu', { nginx: 2.5 }),
  ...row('256 new connections at once under load, p99 of the first answer', 'burst', 'p99', { nginx: 1.5 }),
  ...row('CPU per request, TLS, 100 B', 'tls-100b', 'cpu', { nginx: 1.4 }),
  ...row('CPU per request, TLS, 1 MiB', 'tls-1m', 'cpu', { nginx: 1.2 }),
  ...row('CPU per full TLS handshake', 'tls-handshakes', 'cpu', { nginx: 5 }),
  absolute('memory per idle connection, plain, KiB', 'idle', 'perConnection', 6),
  absolute('memory per idle connection, TLS, KiB', 'tls-idle', 'perConnection', 64),
  ...row('5 000 requests/s, p50 added over going direct', 'open', 'addedP50', { nginx: 1.8 }),
  ...row('5 000 requests/s, p99', 'open', 'p99', { nginx: 1.25 }),
  ...row('CPU per request, 10 000 routes against 10', 'routes-10000', 'cpu', { '10 routes': 1.05 }),
  ...row('CPU per request, 2 data threads against 1', 'threads-2', 'cpu', { '1 thread': 1.1 }),
];
