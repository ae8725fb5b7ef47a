/**
 * Where each number stands in shared memory. Capacities are fixed at start: pages that nobody touches cost nothing,
 * and a growable SharedArrayBuffer costs 26 ns per access instead of 3 to 8.
 *
 * Two kinds of cell:
 * - gauges (in flight, queued): a total per row that all threads change with Atomics, on a 64-byte line of its own,
 *   beside a row per thread with one writer, which only repair reads after a thread has died;
 * - counters: a Float64 row per thread with one writer, exact up to 2^53, summed by the reader.
 */

/** Rows of threads: twice the data threads, since each may have a replacement beside it. */
export const maxThreads = 128;
export const maxNodes = 16_384;
export const maxPools = 1024;
export const maxRoutes = 16_384;
/** Several times what a config may have: a listener that is gone keeps its row until its last connection is. */
export const maxListeners = 256;

/** Int32 cells in one 64-byte line. */
export const lineCells = 16;

/** A node's shared line. All but the gauges are written by the control thread alone, unless said otherwise. */
export const nodeCell = {
  /** Bits of nodeState; 0 = takes nothing. */
  state: 0,
  /** Weight in force, times weightScale. */
  weight: 1,
  /** Grows each time the slot is given to another node. */
  generation: 2,
  /** Gauge: requests in flight. */
  inFlight: 3,
  /** 5xx, resets and time-outs since the last good answer. Data threads. */
  consecutiveErrors: 4,
  /** On probation: 1 = a real request is trying the node now. Data threads by compare-and-exchange, control clears. */
  probationTaken: 5,
  /** Whether it takes reads of a pool with a primary: readerKind (primary.ts). */
  reader: 6,
  /** How far it is behind its primary, ms; -1 = not known. */
  lag: 7,
} as const;

/** `anyMayTry`, beside probation: no request that may be sent again came to try it, so any other may. */
export const nodeState = { fit: 1, probation: 2, anyMayTry: 4 } as const;
export const weightScale = 1000;

/** A pool's shared line. */
export const poolCell = {
  /** Grows with every change of a node's state or weight; a thread that sees another number reads them anew. */
  changes: 0,
  /** Gauge: exchanges that hold or wait for a node. */
  active: 1,
  /** Gauge: exchanges that wait because every node is full. */
  pending: 2,
  /** Gauge: retries that count against the budget. */
  retrying: 3,
  /** Gauge: writes that a data thread holds, tunnels among them (primary.ts). */
  writing: 4,
  /** Gauge: writes that wait for leave. */
  parked: 5,
  /** Gauge: bytes of them that are held. */
  parkedBytes: 6,
} as const;

/** A data thread's own line. Written by that thread, unless said otherwise. */
export const threadCell = {
  /** Grows with each wheel tick; stands still if the thread hangs. */
  heartbeat: 0,
  /** Open client connections. */
  connections: 1,
  /** The version that new exchanges route by. */
  snapshotVersion: 2,
  /** The oldest version that an exchange still holds. */
  oldestHeld: 3,
  /** Event-loop utilization of the last second, in thousandths. */
  utilization: 4,
  /** Exceptions caught by the guard since the thread began. */
  exceptions: 5,
  /** Upstream connections, idle and busy. */
  upstreams: 6,
} as const;

/** Columns of a node's counters, one row per thread. */
export const nodeCounters = [
  'requests',
  'status1xx',
  'status2xx',
  'status3xx',
  'status4xx',
  'status5xx',
  'bytesOut', // to the node
  'bytesIn', // from the node
  'connects',
  'connectErrors',
  'connectMs',
  'reused',
  'resets',
  'timeouts',
  'badAnswers',
  'excessBytes', // bytes behind a complete answer, or on an idle connection
  'retries', // tries that went to another node after this one failed
  'clientAborts',
  'ttfbMs',
  'totalMs',
  'pipelinedWrites', // each with one or more requests
  'pipelinedAgain', // requests that were sent again since their connection ended
  'pipeliningPauses',
] as const;

/** Columns of a pool's counters, one row per thread. */
export const poolCounters = [
  'requests',
  'retries',
  'freeRetries',
  'budgetRefused',
  'queued',
  'queueMs',
  'queueFull',
  'queueTimeouts',
  'noNode',
  // Of pools with a primary.
  'writes', // sent
  'writesFailed', // sent, and not answered by the node
  'writesCut', // their lease ended first
  'writesStale', // picked under an epoch or a lease that had ended before the first byte
  'parked', // writes that waited for leave
  'parkedMs',
  'parkFull', // 503: too many waited
  'parkTimeouts', // 503: they waited too long
  'writesRefused', // 503: told not to wait
  'readsPrimary',
  'readsReplica',
  'readsStale', // said so
  'readsWaited', // for a replica to follow, or for a primary
  'readsLost', // their own write is lost, and they were told
  'tokensRefused', // forged, or of another key
] as const;

/** Columns of a route's counters, one row per thread. */
export const routeCounters = ['requests', 'status1xx', 'status2xx', 'status3xx', 'status4xx', 'status5xx'] as const;

/** Columns of a listener's counters, one row per thread. */
export const listenerCounters = [
  'accepted',
  'refused', // over maxConnections, or over a limit per address
  'closed',
  'requests',
  'status1xx',
  'status2xx',
  'status3xx',
  'status4xx',
  'status5xx',
  'bytesIn',
  'bytesOut',
  'clientAborts',
  'badRequests',
  'tunnels', // upgrades that became one
  'handshakeErrors', // TLS handshakes that failed, timed out or were too many
] as const;

/** Why a request was refused before it was routed; the label `reason` of one metric. Columns of one row per thread. */
export const refusalReasons = [
  'bad-request-line',
  'bad-field',
  'bad-host',
  'bad-length',
  'bad-transfer-encoding',
  'bad-chunk',
  'bad-trailer',
  'bad-target',
  'method-refused',
  'version',
  'head-too-large',
  'target-too-long',
  'body-too-large',
  'head-timeout',
  'body-timeout',
  'expectation',
  'coding',
  'loop',
  'no-route',
  'connections',
  'misdirected',
  // Limits per client address: connections, new ones, requests.
  'address-connections',
  'address-new-connections',
  'address-requests',
] as const;

/** Columns of one row per thread for what concerns the thread itself. */
export const threadCounters = [
  'accessLinesDropped',
  'eventsDropped',
  'writeTimeouts',
  'keepAliveTimeouts',
  // Of the table of client addresses (clients.ts).
  'clientsForgotten',
  'clientsUntracked',
] as const;

export type NodeCounter = (typeof nodeCounters)[number];
export type PoolCounter = (typeof poolCounters)[number];
export type RouteCounter = (typeof routeCounters)[number];
export type ListenerCounter = (typeof listenerCounters)[number];
export type RefusalReason = (typeof refusalReasons)[number];
export type ThreadCounter = (typeof threadCounters)[number];
