/**
 * What the limits per client address cost: `node bench/micro/client-limits.ts`
 *
 * The table alone, ns per request:
 *
 *   one address        the same one each time
 *   10 000 addresses   in turn, known to the table
 *   as text            10 000 in turn, read from text as they stand in X-Forwarded-For
 *   a flood            a new address each time: the table is full, and each takes the place of another
 *
 * A whole request: CPU of a data thread per request of 64 keep-alive connections, without limits and with all of them, in
 * turns; what counts is the ratio of neighbours, since it holds on a busy machine.
 */
import { type AddressInfo, connect, createServer } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { seededRandom } from '../../src/base/random.ts';
import { clientKey } from '../../src/proxy/client-limits.ts';
import { Engine } from '../../src/proxy/io/engine.ts';
import { snapshotOf } from '../../src/routing/compile.ts';
import { Scoreboard } from '../../src/scoreboard/scoreboard.ts';
import { setNode } from '../../test/proxy/fixtures.ts';
import { node as nodeRow, pool as poolRow, route as routeRow, settings } from '../../test/routing/fixtures.ts';
import { measure, printTable, writeResults } from './harness.ts';

const rounds = 9;
const roundMs = 700;
const connections = 64;
const plenty = { perSecond: 1_000_000, burst: 1_000_000 };
const perAddress = { connections: 1_000_000, newConnections: plenty, requests: plenty };

// ---- the table -----------------------------------------------------------------------------------------------------

function tableCosts(): Record<string, number> {
  const clients = Scoreboard.create(2).clients(0);
  const rate = { interval: 1e-3, burst: 1_000_000 };
  const many = Array.from({ length: 10_000 }, (_, i) => ({ high: -1, low: 0x0a00_0000 + i }));
  const texts = many.map((_, i) => `10.0.${i >> 8}.${i & 255}`);
  let now = 1;
  let fresh = 0;
  const cost = (ask: (i: number) => number): number =>
    measure((ops) => {
      let sum = 0;
      now += 1000;
      for (let i = 0; i < ops; i++) sum += ask(i);
      return sum;
    }).median;
  const last = many.length - 1;
  return {
    'one address': cost(() => clients.request(many[0]!, rate, now)),
    '10 000 addresses': cost((i) => clients.request(many[i % last]!, rate, now)),
    'as text': cost((i) => clients.request(clientKey(texts[i % last]!), rate, now)),
    'a flood': cost(() => clients.request({ high: -1, low: fresh++ }, rate, now)),
  };
}

// ---- a whole request -----------------------------------------------------------------------------------------------

type ToThread = 'off' | 'on' | 'cpu';

/** The engine in a thread of its own, so that clients and node are not measured. */
async function engineThread(): Promise<void> {
  const board = Scoreboard.create(1);
  setNode(board, 0);
  const engine = new Engine({
    thread: 0,
    scoreboard: board,
    random: seededRandom(1),
    onSignal: () => {},
    onEvent: () => {},
    onOutcome: () => {},
    onDrained: () => {},
  });
  const address = { kind: 'tcp', host: '127.0.0.1', port: workerData as number } as const;
  let version = 0;
  const swap = (limited: boolean): void =>
    engine.swap(
      snapshotOf(++version, {
        settings: {
          ...settings,
          accessLog: false,
          limits: limited ? { ...settings.limits, perAddress } : settings.limits,
        },
        pools: [poolRow('app', 1)],
        nodes: new Map([['app', [{ ...nodeRow('app', 'n-0', 0), address }]]]),
        routes: [routeRow('r')],
        listeners: { bench: 0 },
      }),
    );
  swap(false);
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const at = { kind: 'tcp', host: '127.0.0.1', port } as const;
  await engine.listen({ slot: 0, name: 'bench', address: at, tls: null, sockets: 1, reusePort: false });
  parentPort!.on('message', (what: ToThread) => {
    if (what !== 'cpu') swap(what === 'on');
    const { user, system } = process.threadCpuUsage();
    parentPort!.postMessage(user + system);
  });
  parentPort!.postMessage(port);
}

async function wholeRequest(): Promise<{ off: number[]; on: number[] }> {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', () => socket.write(answer)).on('error', () => {});
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const thread = new Worker(new URL(import.meta.url), { workerData: (server.address() as AddressInfo).port });
  const said = (): Promise<number> => new Promise((resolve) => thread.once('message', resolve));
  const port = await said();
  const ask = (what: ToThread): Promise<number> => {
    thread.postMessage(what);
    return said();
  };
  let answered = 0;
  const sockets = Array.from({ length: connections }, () => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const send = (): void => void socket.write('GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n');
    return socket.on('connect', send).on('data', () => {
      answered++;
      send();
    });
  });
  const costs: { off: number[]; on: number[] } = { off: [], on: [] };
  for (let round = -1; round < rounds; round++) {
    for (const mode of round % 2 === 0 ? (['off', 'on'] as const) : (['on', 'off'] as const)) {
      const before = await ask(mode);
      const from = answered;
      await new Promise((resolve) => setTimeout(resolve, roundMs));
      const used = (await ask('cpu')) - before;
      if (round >= 0) costs[mode].push(used / (answered - from));
    }
  }
  for (const socket of sockets) socket.destroy();
  await thread.terminate();
  server.close();
  return costs;
}

if (isMainThread) {
  const table = tableCosts();
  printTable(
    'the table, ns per request',
    Object.entries(table).map(([what, ns]) => ({ what, ns: ns.toFixed(0) })),
  );
  const { off, on } = await wholeRequest();
  const ratios = on.map((cost, round) => cost / off[round]!).sort((a, b) => a - b);
  const [low, median, high] = [0.25, 0.5, 0.75].map((at) => ratios[Math.floor(at * (ratios.length - 1))]!.toFixed(3));
  printTable('a whole request, CPU with limits / without', [
    { 'first quartile': low!, median: median!, 'third quartile': high! },
  ]);
  writeResults('micro-client-limits', { tableNs: table, ratio: { low, median, high } });
} else {
  await engineThread();
}
