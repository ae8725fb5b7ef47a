/** What never ends by itself, through a primary: WebSockets, and server-sent events that their reader does not take. */
import { expect, it } from 'vitest';
import { residentBytes } from '../../helpers/child.ts';
import { type Evenkeel, runCli, startEvenkeel } from '../../helpers/evenkeel.ts';
import { pause, until } from '../../helpers/poll.ts';
import { get, RawClient } from '../../helpers/raw-client.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import {
  failoverOf,
  firstWriteAbove,
  longestPause,
  poolOf,
  type ReplicaNode,
  startReplicaNodes,
  Writers,
} from './world.ts';

const patient = { withinMs: 60_000 };
const upgrade = get('/ws', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: k');

interface World {
  readonly ek: Evenkeel;
  readonly nodes: readonly ReplicaNode[];
  readonly writers: Writers;
}

/** `a` is primary. */
async function start(scope: Scope, switchTimeout: string, events: 'read' | 'write' = 'write'): Promise<World> {
  const nodes = await startReplicaNodes(scope, ['a', 'b', 'c']);
  const routes = [{ exact: '/events', pool: 'app', treatAs: events }, { pool: 'app' }];
  const pools = { app: poolOf(nodes, { switchTimeout }) };
  const ek = await startEvenkeel(scope, { pools, routes, dataDir: await scope.folder() });
  const writers = scope.own(new Writers({ port: ek.port, clients: 4, thinkMs: 5 }));
  await until('writes', () => writers.acknowledged.length > 20, patient);
  const all = async (): Promise<boolean> => (await failoverOf((path) => ek.admin(path))).nodes.every(({ up }) => up);
  await until('all nodes are up', all, patient);
  return { ek, nodes, writers };
}

function client(scope: Scope, { port }: Evenkeel): RawClient {
  const made = new RawClient(port);
  scope.own({ stop: () => made.stop() });
  return made;
}

async function switchTo(ek: Evenkeel, node: string): Promise<void> {
  const ended = await runCli('failover', 'switch', 'app', '--to', node, '--admin', `127.0.0.1:${ek.adminPort}`);
  expect(ended).toMatchObject({ code: 0 });
}

it('a switch cuts WebSockets and does not wait for them; they come back on the next primary', async () => {
  const scope = testScope();
  // Longer than this test may take.
  const { ek, writers } = await start(scope, '10m');
  const sockets = [client(scope, ek), client(scope, ek), client(scope, ek)];
  for (const socket of sockets) {
    await socket.send(upgrade);
    await socket.sees('a 1\n');
  }
  const asked = Date.now();
  await switchTo(ek, 'b');
  for (const socket of sockets) await socket.ended();
  const again = client(scope, ek);
  await again.send(upgrade);
  await again.sees('b 2\n');
  await again.send('still there');
  await again.sees('still there');
  await until('writes on b', () => writers.times.some((at) => at > asked + 1000), patient);
  await writers.stop();
  expect(writers.load.reasons()).toEqual({});
  console.log(`with open WebSockets writes paused for ${longestPause([writers], asked, asked + 1000)} ms`);
}, 120_000);

/** Epoch and time of each event that came whole. */
const eventsOf = (text: string): { epoch: number; at: number }[] =>
  [...text.matchAll(/data: (\d+) (\d+) x+\n\n/g)].map(([, epoch, at]) => ({ epoch: Number(epoch), at: Number(at) }));

it('a reader who stands still holds events of the primary back; they end with its epoch, and so does the wait for them', async () => {
  const scope = testScope();
  const { ek, nodes, writers } = await start(scope, '1s');
  const slow = client(scope, ek);
  await slow.send(get('/events'));
  await until('a whole event', () => eventsOf(slow.received).length > 0, patient);
  slow.socket.pause();
  // What the kernels hold of it, and more.
  await pause(2000);
  const before = residentBytes(ek.child.pid);
  await pause(3000);
  // At 64 KiB each 10 ms it would be 19 MB by then, were it held.
  expect(residentBytes(ek.child.pid) - before).toBeLessThan(8 * 1024 * 1024);
  await switchTo(ek, 'b');
  const opened = await until('a write of epoch 2', () => firstWriteAbove(nodes, 1), patient);
  slow.socket.resume();
  await slow.ended();
  const events = eventsOf(slow.received);
  // How much of what waited in the kernels outlives the reset is theirs.
  expect(events.length).toBeGreaterThan(0);
  expect(events.filter(({ epoch, at }) => epoch !== 1 || at > opened)).toEqual([]);
  const next = client(scope, ek);
  await next.send(get('/events'));
  await next.sees('data: 2 ');
  await writers.stop();
  expect(writers.load.reasons()).toEqual({});
}, 120_000);

it('events that are a read come from a replica, and go on through a switch', async () => {
  const scope = testScope();
  const { ek } = await start(scope, '5s', 'read');
  const reader = client(scope, ek);
  await reader.send(get('/events'));
  await reader.sees('data: ');
  await switchTo(ek, 'b');
  const seen = eventsOf(reader.received).length;
  await until('more events', () => eventsOf(reader.received).length > seen + 20, patient);
  expect(reader.end).toBe('open');
}, 120_000);
