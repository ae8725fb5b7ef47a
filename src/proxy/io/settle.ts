/** What is counted and told when an exchange has ended. */

import type { Millis } from '../../base/ids.ts';
import { bucketOf } from '../../scoreboard/histogram.ts';
import { listenerCounters, poolCounters, routeCounters } from '../../scoreboard/layout.ts';
import { counterRow } from '../../scoreboard/scoreboard.ts';
import { clientAddress } from '../forwarding.ts';
import type { End, Outcome } from '../outcome.ts';
import type { Exchange } from './exchange.ts';

const listenerAt = Object.fromEntries(listenerCounters.map((name, index) => [name, index])) as Record<
  (typeof listenerCounters)[number],
  number
>;
const routeRequests = routeCounters.indexOf('requests');
const routeStatus = routeCounters.indexOf('status1xx');
const poolRequests = poolCounters.indexOf('requests');

/** Column of a status's class, counted from the first. 499 is no status that anyone was sent: it counts as an abort. */
const classOf = (status: number): number => Math.min(Math.max(Math.floor(status / 100), 1), 5) - 1;

export function countSettled(exchange: Exchange, now: Millis): void {
  const { counters } = exchange.context;
  const { status } = exchange;
  const listener = counterRow.listener(exchange.client.listener.slot);
  counters[listener + listenerAt.requests]!++;
  counters[listener + listenerAt.bytesIn]! += exchange.head.raw.length + exchange.body.bytes;
  counters[listener + listenerAt.bytesOut]! += exchange.bytesOut;
  if (exchange.end === 'client_abort') counters[listener + listenerAt.clientAborts]!++;
  else counters[listener + listenerAt.status1xx + classOf(status)]!++;
  if (exchange.end === 'bad_request') counters[listener + listenerAt.badRequests]!++;
  if (status === 101) counters[listener + listenerAt.tunnels]!++;
  if (exchange.route !== null) {
    const route = counterRow.route(exchange.route.slot);
    counters[route + routeRequests]!++;
    if (status !== 499) counters[route + routeStatus + classOf(status)]!++;
  }
  if (exchange.pool !== null) {
    const { slot } = exchange.pool.row;
    counters[counterRow.pool(slot) + poolRequests]!++;
    if (status !== 101) counters[counterRow.poolHistogram(slot) + bucketOf((now - exchange.began) * 1000)]!++;
  }
}

/** A request whose head could not be read. */
export function countRefusedHead(counters: Float64Array, slot: number, status: number): void {
  const listener = counterRow.listener(slot);
  counters[listener + listenerAt.requests]!++;
  counters[listener + listenerAt.badRequests]!++;
  counters[listener + listenerAt.status1xx + classOf(status)]!++;
}

export function countListener(
  counters: Float64Array,
  slot: number,
  what: 'accepted' | 'refused' | 'closed' | 'handshakeErrors',
): void {
  counters[counterRow.listener(slot) + listenerAt[what]]!++;
}

/** The line of the access log. Made only when one is kept. */
export function outcomeOf(exchange: Exchange, now: Millis): Outcome {
  const { head, last, client, route } = exchange;
  const durationMs = now - exchange.began;
  return {
    id: exchange.id,
    client: clientAddress(head, client.peer),
    method: head.method,
    host: head.authority,
    target: head.rawTarget,
    protocol: head.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0',
    status: exchange.status,
    bytesIn: head.raw.length + exchange.body.bytes,
    bytesOut: exchange.bytesOut,
    headOut: exchange.headOut,
    durationMs,
    startedAt: Date.now() - durationMs,
    listener: client.listener.name,
    route: route?.row.name ?? '',
    pool: exchange.pool?.row.name ?? '',
    node: last?.node.row.id ?? '',
    connectMs: exchange.connectMs,
    ttfbMs: last?.ttfbMs ?? -1,
    tries: exchange.tries,
    epoch: exchange.placement?.sentEpoch ?? 0,
    end: exchange.end,
    header: (name) => head.header(name),
  };
}

/** The line for a request whose head was refused, or never came whole. */
export function refusedOutcome(refused: {
  readonly id: string;
  readonly client: string;
  readonly listener: string;
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly headOut: number;
  readonly durationMs: number;
}): Outcome {
  const end: End = 'bad_request';
  return {
    ...refused,
    method: '',
    host: '',
    target: '',
    protocol: '',
    startedAt: Date.now() - refused.durationMs,
    route: '',
    pool: '',
    node: '',
    connectMs: -1,
    ttfbMs: -1,
    tries: 0,
    epoch: 0,
    end,
    header: () => undefined,
  };
}
