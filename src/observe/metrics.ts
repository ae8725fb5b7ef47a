/**
 * The metrics as data: each family says its name, type and help, and how its samples are read from the scoreboard at
 * the moment of a scrape. io/prometheus.ts hands them to prom-client, which writes them out.
 *
 * Names: prefix `evenkeel_`, base units, `_total` for what only grows. Labels are bounded by the config and by fixed
 * lists (listener, route, pool, node, thread, code class, reason, kind, state), never a path, an address or a host.
 * What only grows begins anew with the process, and for a node, pool or route that was gone and comes back.
 */

import {
  type ListenerCounter,
  listenerCounters,
  type NodeCounter,
  nodeCell,
  nodeCounters,
  type PoolCounter,
  poolCell,
  poolCounters,
  type RouteCounter,
  refusalReasons,
  routeCounters,
  type ThreadCounter,
  threadCell,
  threadCounters,
} from '../scoreboard/layout.ts';
import { counterRow, nodeLine, poolLine, type Scoreboard, threadLine } from '../scoreboard/scoreboard.ts';
import { clusterFamilies } from './cluster-metrics.ts';
import { failoverFamilies } from './failover-metrics.ts';
import { histogramSamples, nodeBounds, poolBounds } from './merge.ts';
import { counter, type Family, gauge, type Labels, noLabels, one, type Sample, type Scrape } from './metrics-model.ts';
import type { ObservedNode, ObservedPool, ObservedState } from './source.ts';

export function beginScrape(state: ObservedState, board: Scoreboard): Scrape {
  const nodes = state.pools.flatMap(({ name: pool, nodes }) =>
    nodes.map((node) => ({ node, labels: { pool, node: node.id }, generation: generationOf(board, node) })),
  );
  return { state, board, nodes };
}

const generationOf = (board: Scoreboard, { slot }: ObservedNode): number =>
  board.lines[nodeLine(slot) + nodeCell.generation] ?? 0;

const rowsPerSlice = 500;

/**
 * The scrape in parts, none of which is long work for the family; at least one. A reload may come between them: nodes
 * whose slot has been given to another one are left out, and what else is gone tells zero once, as at a restart.
 */
export function* slicesOf({ rows }: Family, scrape: Scrape): Generator<Scrape, void> {
  const { state, board } = scrape;
  if (rows === undefined) return yield scrape;
  const all = rows === 'nodes' ? scrape.nodes.length : state[rows].length;
  for (let from = 0; from === 0 || from < all; from += rowsPerSlice) {
    const to = from + rowsPerSlice;
    if (rows !== 'nodes') yield { ...scrape, state: { ...state, [rows]: state[rows].slice(from, to) } };
    else {
      const nodes = scrape.nodes.slice(from, to).filter((one) => generationOf(board, one.node) === one.generation);
      yield { ...scrape, nodes };
    }
  }
}

const single =
  (read: (scrape: Scrape) => number): Family['samples'] =>
  (scrape) => [one({}, read(scrape))];

const classes = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const;

const processFamilies: readonly Family[] = [
  gauge('build_info', 'Version of evenkeel; always 1.', ({ state }) => [one({ version: state.version }, 1)]),
  gauge(
    'uptime_seconds',
    'Time since the process began.',
    single(({ state }) => state.uptime / 1000),
  ),
  gauge(
    'config_version',
    'Version of the config in force; grows with each reload.',
    single(({ state }) => state.config.version),
  ),
  gauge(
    'config_loaded_timestamp_seconds',
    'When the config in force was taken.',
    single(({ state }) => state.config.loadedAt / 1000),
  ),
  gauge(
    'config_last_reload_successful',
    'Whether the last reload was taken; 1 if there was none.',
    single(({ state }) => (state.config.lastReload?.ok === false ? 0 : 1)),
  ),
  counter('config_reloads_total', 'Reloads, by result.', ({ state }) => [
    one({ result: 'ok' }, state.config.reloads.ok),
    one({ result: 'failed' }, state.config.reloads.failed),
  ]),
  counter('requests_refused_total', 'Requests refused before they were routed, by reason.', ({ board }) =>
    refusalReasons.map((reason, column) => one({ reason }, board.sum(counterRow.refusals() + column))),
  ),
  gauge(
    'client_addresses',
    'Client addresses that are remembered for the limits per address.',
    single(({ board }) => board.clientsUsed()),
  ),
];

const perThread =
  (read: (scrape: Scrape, thread: number) => number): Family['samples'] =>
  (scrape) =>
    scrape.state.threads.map(({ thread }) => one({ thread }, read(scrape, thread)));

const threadLineCell = (name: keyof typeof threadCell, scale = 1): Family['samples'] =>
  perThread(({ board }, thread) => (board.lines[threadLine(thread) + threadCell[name]] ?? 0) / scale);

const threadCount = (name: ThreadCounter): Family['samples'] => {
  const cell = counterRow.thread() + threadCounters.indexOf(name);
  return perThread(({ board }, thread) => board.counters(thread)[cell] ?? 0);
};

const threadFamilies: readonly Family[] = [
  gauge('thread_up', 'Whether the data thread serves.', ({ state }) =>
    state.threads.map(({ thread, state: at }) => one({ thread }, at === 'running' || at === 'draining' ? 1 : 0)),
  ),
  counter('thread_restarts_total', 'Times the data thread was started again.', ({ state }) =>
    state.threads.map(({ thread, restarts }) => one({ thread }, restarts)),
  ),
  gauge('thread_heartbeat_age_seconds', 'Time since the data thread last gave a sign of life.', ({ state }) =>
    state.threads.map(({ thread, heartbeatAge }) => one({ thread }, heartbeatAge / 1000)),
  ),
  gauge('thread_connections', 'Open client connections.', threadLineCell('connections')),
  gauge('thread_upstream_connections', 'Connections to nodes, idle and busy.', threadLineCell('upstreams')),
  gauge(
    'thread_utilization_ratio',
    'Share of the last second in which the thread was busy.',
    threadLineCell('utilization', 1000),
  ),
  gauge('thread_config_version', 'Config version that new requests are routed by.', threadLineCell('snapshotVersion')),
  counter(
    'thread_exceptions_total',
    'Exceptions caught, each of which ended one exchange.',
    threadLineCell('exceptions'),
  ),
  counter(
    'access_log_lines_dropped_total',
    'Access log lines that could not be written.',
    threadCount('accessLinesDropped'),
  ),
  counter('events_dropped_total', 'Events that were too many to be told.', threadCount('eventsDropped')),
  counter(
    'client_write_timeouts_total',
    'Clients that took no byte of their answer for too long.',
    threadCount('writeTimeouts'),
  ),
  counter(
    'client_keep_alive_timeouts_total',
    'Idle client connections that were closed.',
    threadCount('keepAliveTimeouts'),
  ),
  counter(
    'client_addresses_forgotten_total',
    'Client addresses that gave way to others before what they had taken was made good.',
    threadCount('clientsForgotten'),
  ),
  counter(
    'client_addresses_untracked_total',
    'Connections and requests that no limit per address was applied to, since the table had no room.',
    threadCount('clientsUntracked'),
  ),
];

const listenerCount = (name: ListenerCounter): Family['samples'] => {
  const column = listenerCounters.indexOf(name);
  return ({ state, board }) =>
    state.listeners.map(({ name: listener, slot }) => one({ listener }, board.sum(counterRow.listener(slot) + column)));
};

const listenerFamilies: readonly Family[] = [
  gauge('listener_up', 'Whether the listener is open in every data thread that runs.', ({ state }) =>
    state.listeners.map(({ name: listener, open }) => one({ listener }, open ? 1 : 0)),
  ),
  counter('listener_connections_accepted_total', 'Client connections accepted.', listenerCount('accepted')),
  counter('listener_connections_closed_total', 'Client connections closed.', listenerCount('closed')),
  counter('listener_connections_refused_total', 'Client connections over the limit.', listenerCount('refused')),
  counter('listener_requests_total', 'Requests.', listenerCount('requests')),
  counter('listener_responses_total', 'Responses to clients, by class of status.', ({ state, board }) =>
    state.listeners.flatMap(({ name: listener, slot }) =>
      classes.map((code) =>
        one({ listener, code }, board.sum(counterRow.listener(slot) + listenerCounters.indexOf(`status${code}`))),
      ),
    ),
  ),
  counter('listener_received_bytes_total', 'Bytes from clients.', listenerCount('bytesIn')),
  counter('listener_sent_bytes_total', 'Bytes to clients.', listenerCount('bytesOut')),
  counter('listener_client_aborts_total', 'Requests whose client went away first.', listenerCount('clientAborts')),
  counter('listener_bad_requests_total', 'Requests that broke the rules of HTTP.', listenerCount('badRequests')),
  counter('listener_tunnels_total', 'Upgrades that became a tunnel.', listenerCount('tunnels')),
  counter(
    'listener_handshake_errors_total',
    'TLS handshakes that failed, timed out or were too many.',
    listenerCount('handshakeErrors'),
  ),
  gauge('certificate_expiry_timestamp_seconds', 'When the certificate runs out.', ({ state }) =>
    state.listeners.flatMap(({ name: listener, certificates }) =>
      certificates.map(({ name, expiresAt }) => one({ listener, name }, expiresAt / 1000)),
    ),
  ),
];

const routeCount = (name: RouteCounter): number => routeCounters.indexOf(name);

const routeFamilies: readonly Family[] = [
  counter('route_requests_total', 'Requests that matched the route.', ({ state, board }) =>
    state.routes.map(({ name: route, slot }) =>
      one({ route }, board.sum(counterRow.route(slot) + routeCount('requests'))),
    ),
  ),
  counter('route_responses_total', 'Responses, by class of status.', ({ state, board }) =>
    state.routes.flatMap(({ name: route, slot }) =>
      classes.map((code) => one({ route, code }, board.sum(counterRow.route(slot) + routeCount(`status${code}`)))),
    ),
  ),
];

const perPool =
  (read: (pool: ObservedPool, scrape: Scrape) => number): Family['samples'] =>
  (scrape) =>
    scrape.state.pools.map((pool) => one({ pool: pool.name }, read(pool, scrape)));

const poolCount = (name: PoolCounter, scale = 1): Family['samples'] => {
  const column = poolCounters.indexOf(name);
  return perPool(({ slot }, { board }) => board.sum(counterRow.pool(slot) + column) / scale);
};

const poolGauge = (name: 'active' | 'pending' | 'retrying'): Family['samples'] =>
  perPool(({ slot }, { board }) => board.lines[poolLine(slot) + poolCell[name]] ?? 0);

const poolFamilies: readonly Family[] = [
  gauge(
    'pool_nodes',
    'Nodes in the pool.',
    perPool(({ health }) => health.total),
  ),
  gauge(
    'pool_fit_nodes',
    'Nodes that take traffic.',
    perPool(({ health }) => health.fit),
  ),
  gauge(
    'pool_panic',
    'Whether all nodes are used because too few are fit.',
    perPool(({ health }) => (health.panic ? 1 : 0)),
  ),
  gauge('pool_active_requests', 'Requests that hold or wait for a node.', poolGauge('active')),
  gauge('pool_pending_requests', 'Requests that wait because every node is full.', poolGauge('pending')),
  gauge('pool_active_retries', 'Retries under way that count against the budget.', poolGauge('retrying')),
  counter('pool_requests_total', 'Requests led to the pool.', poolCount('requests')),
  counter('pool_retries_total', 'Retries that counted against the budget.', poolCount('retries')),
  counter('pool_free_retries_total', 'Retries after a refused or broken connection.', poolCount('freeRetries')),
  counter('pool_retries_refused_total', 'Retries that the budget did not allow.', poolCount('budgetRefused')),
  counter('pool_queued_total', 'Requests that had to wait for a node.', poolCount('queued')),
  counter('pool_queue_wait_seconds_total', 'Time that requests waited for a node.', poolCount('queueMs', 1000)),
  counter('pool_queue_full_total', 'Requests refused because the queue was full.', poolCount('queueFull')),
  counter('pool_queue_timeouts_total', 'Requests that waited too long.', poolCount('queueTimeouts')),
  counter('pool_no_node_total', 'Requests for which no node was fit.', poolCount('noNode')),
  {
    ...gauge('pool_response_seconds', 'Time from a request to the end of its answer.', ({ state, board }) =>
      state.pools.flatMap(({ name: pool, slot }) =>
        histogramSamples('evenkeel_pool_response_seconds', {
          labels: { pool },
          counts: board.histogram(counterRow.poolHistogram(slot)),
          bounds: poolBounds,
        }),
      ),
    ),
    type: 'histogram',
  },
];

const eachNode = ({ nodes }: Scrape, visit: (node: ObservedNode, labels: Labels) => Sample | Sample[]): Sample[] =>
  nodes.flatMap(({ node, labels }) => visit(node, labels));

const perNode =
  (read: (node: ObservedNode, scrape: Scrape) => number): Family['samples'] =>
  (scrape) =>
    eachNode(scrape, (node, labels) => one(noLabels, read(node, scrape), labels));

const nodeColumn = (name: NodeCounter): number => nodeCounters.indexOf(name);

const nodeCount = (name: NodeCounter, scale = 1): Family['samples'] => {
  const column = nodeColumn(name);
  return perNode(({ slot }, { board }) => board.sum(counterRow.node(slot) + column) / scale);
};

/** Several counters as one family, told apart by one label. */
const nodeCountsBy = (label: string, columns: Readonly<Record<string, NodeCounter>>): Family['samples'] => {
  const entries = Object.entries(columns).map(([value, name]) => [value, nodeColumn(name)] as const);
  return (scrape) =>
    eachNode(scrape, ({ slot }, labels) =>
      entries.map(([value, column]) =>
        one({ [label]: value }, scrape.board.sum(counterRow.node(slot) + column), labels),
      ),
    );
};

const nodeStates = ['healthy', 'degraded', 'unhealthy', 'unknown', 'ejected', 'drain', 'maint'] as const;

/** One word for a node: the operator's wish first, then what traffic found, then what the checks found. */
export function nodeStateOf({ health }: ObservedNode): (typeof nodeStates)[number] {
  if (health.wish !== 'ready') return health.wish;
  return health.ejectedUntil !== null && health.fitness !== 'fit' ? 'ejected' : health.verdict;
}

const nodeFamilies: readonly Family[] = [
  gauge(
    'node_up',
    'Whether the node takes traffic.',
    perNode(({ health }) => (health.fitness === 'fit' ? 1 : 0)),
  ),
  gauge('node_state', 'State of the node: 1 for the one that holds, 0 for the others.', (scrape) =>
    eachNode(scrape, (node, labels) => {
      const now = nodeStateOf(node);
      return nodeStates.map((state) => one({ state }, state === now ? 1 : 0, labels));
    }),
  ),
  gauge(
    'node_last_change_timestamp_seconds',
    'When its state last changed.',
    perNode(({ health }) => health.changedAt / 1000),
  ),
  gauge(
    'node_weight',
    'Weight as configured.',
    perNode(({ weight }) => weight),
  ),
  gauge(
    'node_effective_weight',
    'Weight in force; 0 if it takes no traffic.',
    perNode(({ health }) => health.weight),
  ),
  gauge(
    'node_backup',
    'Whether it serves only when no other node is fit.',
    perNode(({ backup }) => (backup ? 1 : 0)),
  ),
  gauge(
    'node_in_flight_requests',
    'Requests that the node is working on.',
    perNode(({ slot }, { board }) => board.lines[nodeLine(slot) + nodeCell.inFlight] ?? 0),
  ),
  gauge('node_check_up', 'Whether the last health check succeeded; absent without one.', (scrape) =>
    eachNode(scrape, ({ health }, labels) =>
      health.check === null ? [] : one(noLabels, health.check.ok ? 1 : 0, labels),
    ),
  ),
  gauge('node_check_duration_seconds', 'How long the last health check took; absent without one.', (scrape) =>
    eachNode(scrape, ({ health }, labels) =>
      health.check === null ? [] : one(noLabels, health.check.durationMs / 1000, labels),
    ),
  ),
  gauge(
    'node_ejections',
    'Ejections in a row.',
    perNode(({ health }) => health.ejections),
  ),
  counter(
    'node_downs_total',
    'Falls from healthy.',
    perNode(({ health }) => health.downs),
  ),
  counter(
    'node_down_seconds_total',
    'Time not healthy.',
    perNode(({ health }) => health.downtime / 1000),
  ),
  counter('node_requests_total', 'Tries sent to the node.', nodeCount('requests')),
  counter(
    'node_responses_total',
    'Responses of the node, by class of status.',
    nodeCountsBy('code', {
      '1xx': 'status1xx',
      '2xx': 'status2xx',
      '3xx': 'status3xx',
      '4xx': 'status4xx',
      '5xx': 'status5xx',
    }),
  ),
  counter(
    'node_errors_total',
    'Tries that failed, by kind.',
    nodeCountsBy('kind', {
      connect: 'connectErrors',
      reset: 'resets',
      timeout: 'timeouts',
      'bad-answer': 'badAnswers',
      'excess-bytes': 'excessBytes',
    }),
  ),
  counter('node_sent_bytes_total', 'Bytes to the node.', nodeCount('bytesOut')),
  counter('node_received_bytes_total', 'Bytes from the node.', nodeCount('bytesIn')),
  counter('node_connects_total', 'Connections made.', nodeCount('connects')),
  counter('node_connect_seconds_total', 'Time spent on connecting.', nodeCount('connectMs', 1000)),
  counter('node_reuses_total', 'Requests that went over a kept connection.', nodeCount('reused')),
  counter(
    'node_pipelined_writes_total',
    'Writes of one or more requests to a connection that they share.',
    nodeCount('pipelinedWrites'),
  ),
  counter(
    'node_pipelined_again_total',
    'Requests that were sent again because the connection that they shared ended or stood still.',
    nodeCount('pipelinedAgain'),
  ),
  counter(
    'node_pipelining_pauses_total',
    'Times that requests got connections of their own for a while.',
    nodeCount('pipeliningPauses'),
  ),
  counter(
    'node_first_byte_seconds_total',
    'Time from requests to the first byte of their answers.',
    nodeCount('ttfbMs', 1000),
  ),
  counter('node_retries_total', 'Tries that went to another node after this one failed.', nodeCount('retries')),
  counter('node_client_aborts_total', 'Requests whose client went away first.', nodeCount('clientAborts')),
  {
    ...gauge('node_response_seconds', 'Time from a try to the end of its answer.', (scrape) =>
      eachNode(scrape, ({ slot }, labels) =>
        histogramSamples('evenkeel_node_response_seconds', {
          labels,
          counts: scrape.board.histogram(counterRow.nodeHistogram(slot)),
          bounds: nodeBounds,
        }),
      ),
    ),
    type: 'histogram',
  },
];

export const families: readonly Family[] = [
  ...processFamilies,
  ...threadFamilies,
  ...listenerFamilies,
  ...routeFamilies.map((family): Family => ({ ...family, rows: 'routes' })),
  ...poolFamilies.map((family): Family => ({ ...family, rows: 'pools' })),
  ...nodeFamilies.map((family): Family => ({ ...family, rows: 'nodes' })),
  ...clusterFamilies,
  ...failoverFamilies,
];
