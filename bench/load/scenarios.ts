/**
 * What is measured: one entry per scenario. To add one, add an entry; to hold it against a figure, add a row in bounds.ts.
 *
 * Counts are those of the full form; the quick form divides the number of idle, stalled and new connections by 20 and the
 * fixed rate by 10 (scaled in `quickLoad`). CPU per request is the figure that holds where the machine is shared; rates
 * and percentiles of a closed load depend on who else has the cores.
 */
import type { Load, ProxyName, Scenario } from './contract.ts';

const closed = (path: string, connections = 64): Load => ({ kind: 'closed', path, connections, head: 'bare' });
const upload = (size: number, connections: number): Load => ({
  kind: 'closed',
  path: '/upload',
  connections,
  upload: size,
});
const kib = 1024;
const mib = 1024 * kib;
const cpu = ['cpu'];
const servers: readonly ProxyName[] = ['nginx', 'haproxy'];

export const scenarios: readonly Scenario[] = [
  { name: '100b', title: '100 B answers, 64 keep-alive connections', load: closed('/100'), compare: cpu, quick: true },
  {
    name: '100b-browser',
    title: '100 B answers, head of a browser (16 fields)',
    load: { kind: 'closed', path: '/100', connections: 64, head: 'browser' },
    compare: cpu,
    quick: true,
  },
  {
    name: '100b-log',
    title: '100 B answers, access log on',
    load: closed('/100'),
    setup: { accessLog: true },
    peers: ['nginx'],
    compare: cpu,
  },
  {
    name: '100b-unix',
    title: '100 B answers, nodes over unix sockets (nginx over TCP)',
    load: closed('/100'),
    setup: { over: 'unix' },
    peerSetup: { over: 'tcp' },
    peers: ['nginx'],
    compare: cpu,
    quick: true,
  },
  {
    name: '100b-pipelining',
    title: '100 B answers, 8 requests at once on a connection to a node (nginx: 1)',
    load: closed('/100'),
    setup: { pipelining: 8 },
    peers: ['nginx'],
    compare: cpu,
    quick: true,
  },
  { name: '10k', title: '10 KiB answers', load: closed('/10k'), compare: cpu, quick: true },
  { name: '1m', title: '1 MiB answers', load: closed('/1m', 16), compare: cpu, quick: true },
  { name: '100b-chunked', title: '100 B answers, chunked', load: closed('/chunked/100'), compare: cpu },
  { name: '10k-chunked', title: '10 KiB answers, chunked', load: closed('/chunked/10k'), compare: cpu },
  { name: '1m-chunked', title: '1 MiB answers, chunked', load: closed('/chunked/1m', 16), compare: cpu },
  {
    name: 'upload-64k',
    title: 'uploads of 64 KiB',
    load: upload(64 * kib, 16),
    setup: { backend: 'app' },
    compare: cpu,
    quick: true,
  },
  { name: 'upload-1m', title: 'uploads of 1 MiB', load: upload(mib, 8), setup: { backend: 'app' }, compare: cpu },
  {
    name: 'upload-100m',
    title: 'uploads of 100 MiB',
    load: upload(100 * mib, 1),
    setup: { backend: 'app' },
    longer: 5,
    compare: cpu,
  },
  {
    name: 'reconnect',
    title: 'a connection per request',
    load: { kind: 'reconnect', path: '/100', connections: 64 },
    compare: cpu,
    quick: true,
  },
  {
    name: 'burst',
    title: '256 new connections at once under 64 busy ones',
    load: { kind: 'burst', path: '/100', connections: 64, burst: 256 },
    compare: ['p99'],
    quick: true,
  },
  {
    name: 'mixed',
    title: 'small requests beside bulk downloads',
    load: { kind: 'mixed', path: '/100', connections: 16, bulkPath: '/1m', bulk: 8 },
    compare: ['p99'],
    quick: true,
  },
  {
    name: 'open',
    title: '5 000 requests/s at fixed instants',
    load: { kind: 'open', path: '/100', rate: 5000, connections: 256 },
    compare: ['addedP50', 'p99'],
    quick: true,
  },
  {
    name: 'reloads',
    title: 'reloads under load, two a second',
    load: { kind: 'reloads', path: '/100', connections: 64, everyMs: 500 },
    peers: servers,
    compare: ['p99'],
    quick: true,
  },
  {
    name: 'tls-100b',
    title: 'TLS, 100 B answers',
    load: closed('/100'),
    setup: { tls: true },
    compare: cpu,
    quick: true,
  },
  { name: 'tls-1m', title: 'TLS, 1 MiB answers', load: closed('/1m', 16), setup: { tls: true }, compare: cpu },
  {
    name: 'tls-handshakes',
    title: 'TLS, a full handshake per request, 16 at once',
    load: { kind: 'handshakes', path: '/100', connections: 16 },
    setup: { tls: true },
    compare: cpu,
    quick: true,
  },
  ...memory(),
  ...selves(),
];

function memory(): Scenario[] {
  const common = { fresh: true, compare: ['perConnection'] };
  return [
    {
      ...common,
      name: 'idle',
      title: '10 000 idle connections',
      load: { kind: 'idle', count: 10_000, webSocket: false },
      quick: true,
    },
    {
      ...common,
      name: 'tls-idle',
      title: '2 000 idle TLS connections',
      load: { kind: 'idle', count: 2000, webSocket: false },
      setup: { tls: true },
    },
    {
      ...common,
      name: 'idle-websockets',
      title: '10 000 idle WebSockets',
      load: { kind: 'idle', count: 10_000, webSocket: true },
      setup: { backend: 'app' },
      peers: servers,
    },
    {
      ...common,
      name: 'stalled',
      title: '1 000 readers of 1 MiB that take nothing',
      load: { kind: 'stalled', path: '/1m', count: 1000 },
      quick: true,
    },
  ];
}

/** evenkeel against itself, as something grows. */
function selves(): Scenario[] {
  const load = closed('/100');
  const routes = { label: '10 routes', setup: { routes: 10 } };
  const nodes = { label: '3 nodes', setup: { nodes: 3 } };
  return [
    { name: 'routes-1000', title: '1 000 routes', load, setup: { routes: 1000 }, against: routes, compare: cpu },
    { name: 'routes-10000', title: '10 000 routes', load, setup: { routes: 10_000 }, against: routes, compare: cpu },
    { name: 'nodes-100', title: '100 nodes', load, setup: { nodes: 100 }, against: nodes, compare: cpu },
    { name: 'nodes-1000', title: '1 000 nodes', load, setup: { nodes: 1000 }, against: nodes, compare: cpu },
    {
      name: 'threads-2',
      title: '2 data threads',
      load,
      setup: { workers: 2 },
      against: { label: '1 thread', setup: {} },
      compare: cpu,
    },
  ];
}

export function quickLoad(load: Load): Load {
  if (load.kind === 'idle' || load.kind === 'stalled') return { ...load, count: Math.ceil(load.count / 20) };
  if (load.kind === 'burst') return { ...load, burst: Math.ceil(load.burst / 4) };
  if (load.kind === 'open') return { ...load, rate: load.rate / 10 };
  return load;
}
