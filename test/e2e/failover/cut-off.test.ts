/**
 * Networks that break between members and nodes, each in a namespace of its own, cut by nftables, under writes at every
 * member. Whoever is cut off together with the old primary stops writing to it before the next one takes over.
 */
import http from 'node:http';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pause, until } from '../../helpers/poll.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { Net, noNetworks } from '../cluster/net.ts';
import { Processes, type Seat } from '../cluster/processes.ts';
import { print, proving } from '../cluster/prove.ts';
import type { Entry } from './app-node.ts';
import { agreed, changeAfter, nextWrite, patient, type Steps, shown, stepsOf, stepsText } from './members.ts';
import { poolOf, type ReplicaNode, startReplicaNodes } from './world.ts';

const missing = noNetworks();
const where = missing === null ? 'in networks of their own' : `NOT RUN: this machine has ${missing}`;
const rounds = proving(2, 100);

interface Answered {
  readonly id: string;
  readonly member: number;
  readonly status: number;
  readonly epoch: number;
  /** ms since 1970. */
  readonly at: number;
}

const trafficOf = (seat: Seat): string => join(seat.folder, 'traffic.sock');

/** Writes through each member, over its unix socket, which no network cuts. */
class Clients {
  readonly answers: Answered[] = [];
  #stopping = false;
  readonly #running: Promise<void>[];

  constructor(seats: readonly Seat[], each: number) {
    this.#running = seats.flatMap((seat, member) =>
      Array.from({ length: each }, (_, client) => this.#run(seat, member, `m${member}c${client}`)),
    );
  }

  async #run(seat: Seat, member: number, name: string): Promise<void> {
    const agent = new http.Agent({ keepAlive: true });
    for (let n = 0; !this.#stopping; n++) {
      const id = `${name}-${n}`;
      const { status, epoch } = await write(agent, trafficOf(seat), id);
      this.answers.push({ id, member, status, epoch, at: Date.now() });
      await pause(20);
    }
    agent.destroy();
  }

  acknowledged(member?: number): readonly Answered[] {
    return this.answers.filter((one) => one.status === 200 && (member === undefined || one.member === member));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }
}

function write(agent: http.Agent, socketPath: string, id: string): Promise<{ status: number; epoch: number }> {
  return new Promise((resolve) => {
    const request = http.request({ socketPath, agent, method: 'POST', path: `/write?id=${id}` }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('error', () => resolve({ status: 0, epoch: 0 }));
      response.on('end', () => {
        const epoch = response.statusCode === 200 ? (JSON.parse(body) as { epoch: number }).epoch : 0;
        resolve({ status: response.statusCode ?? 0, epoch });
      });
    });
    request.on('error', () => resolve({ status: 0, epoch: 0 }));
    request.end();
  });
}

interface World {
  readonly net: Net;
  readonly nodes: readonly ReplicaNode[];
  readonly members: Processes;
  readonly clients: Clients;
}

interface Start {
  readonly copies?: number;
  readonly health?: object;
}

/** Members at 0, 1, 2; nodes a, b, c at 3, 4, 5. */
async function start(scope: Scope, { copies = 1, health = { interval: '500ms' } }: Start = {}): Promise<World> {
  const net = await Net.of(scope, 6);
  const nodes = await startReplicaNodes(scope, ['a', 'b', 'c'], { copies, place: { of: net, from: 3 } });
  const members = await Processes.of(scope, 3, {}, net);
  const pool = { ...poolOf(nodes), health: { path: '/health', ...health } };
  for (const seat of members.seats)
    await members.write(seat, {}, { listen: `unix:${trafficOf(seat)}`, pools: { app: pool } });
  members.start(...members.seats);
  await members.led();
  await members.ready();
  await agreed(members, { state: 'NORMAL', primary: 'a' });
  const clients = scope.own(new Clients(members.seats, 3));
  const enough = (): boolean => [0, 1, 2].every((member) => clients.acknowledged(member).length > 10);
  await until('writes through each member', enough, patient);
  return { net, nodes, members, clients };
}

/** When the first write of an epoch above this one began, on any node. */
const firstAbove = (logs: readonly (readonly Entry[])[], epoch: number): number =>
  Math.min(...logs.flat().flatMap((entry) => (entry.epoch > epoch ? [entry.at] : [])));

/** Cuts the primary off until another has taken a write; ends when all is well again. */
async function cutOff({ net, members, nodes, clients }: World): Promise<Steps> {
  const { primary, epoch } = await agreed(members, { state: 'NORMAL' });
  const old = nodes.findIndex(({ name }) => name === primary);
  const others = nodes.filter((_, index) => index !== old);
  const at = Date.now();
  net.split(
    [3 + old],
    [0, 1, 2, 3, 4, 5].filter((room) => room !== 3 + old),
  );
  const first = await nextWrite(members, others, epoch);
  const change = await changeAfter(members, epoch, members.seats[0]!);
  // Nothing of the epoch that was over was begun later, on the node that did not know, either.
  const late = (await nodes[old]!.entries()).filter((entry) => entry.epoch <= epoch && entry.at > first);
  expect(late).toEqual([]);
  net.heal();
  await agreed(members, { state: 'NORMAL' });
  const before = clients.acknowledged().length;
  await until('more writes', () => clients.acknowledged().length > before + 20, patient);
  return stepsOf(at, first, change);
}

async function judge({ members, nodes, clients }: World): Promise<void> {
  const { primary } = await agreed(members, { state: 'NORMAL' });
  await clients.stop();
  await until(
    'equal logs',
    async () => {
      const [first, ...rest] = await Promise.all(nodes.map((node) => node.entries()));
      return rest.every((log) => JSON.stringify(log) === JSON.stringify(first));
    },
    patient,
  );
  const log = await nodes.find(({ name }) => name === primary)!.entries();
  const ids = new Set(log.map(({ id }) => id));
  expect(ids.size).toBe(log.length);
  const acknowledged = clients.acknowledged();
  expect(acknowledged.filter(({ id }) => !ids.has(id))).toEqual([]);
  const opened = firsts(log);
  // What a client was told of an epoch that was over.
  const next = (epoch: number): number => opened.get(epoch + 1) ?? Number.POSITIVE_INFINITY;
  expect(acknowledged.filter((one) => one.at > next(one.epoch) + toldWithinMs)).toEqual([]);
  const order = log.map(({ epoch }) => epoch);
  expect(order).toEqual(order.toSorted((x, y) => x - y));
}

/** When the first write of each epoch began. */
function firsts(log: readonly Entry[]): ReadonlyMap<number, number> {
  const first = new Map<number, number>();
  for (const { epoch, at } of log) first.set(epoch, Math.min(at, first.get(epoch) ?? at));
  return first;
}

/**
 * From the bytes of an answer in the socket to the client's callback, on a machine that others load too. Who goes on under
 * an old epoch does so for seconds: until it is told better, or the net is whole again.
 */
const toldWithinMs = 1000;

describe.skipIf(missing !== null)(`a net that breaks, ${where}`, () => {
  it(
    `the primary is cut off from everybody ${rounds} times: another takes over, and nothing acknowledged is lost`,
    async () => {
      // As it is by default: silence is found by three checks of a second each, begun within 2.2 s.
      const world = await start(testScope(), { health: {} });
      const steps: Steps[] = [];
      for (let round = 0; round < rounds; round++) steps.push(await cutOff(world));
      await judge(world);
      print(`primary cut off to the next write, load ${loadavg()[0]!.toFixed(1)}:\n${stepsText(steps)}`);
    },
    proving(180_000, 3_600_000),
  );

  it('a member is cut off together with the primary: its clients get no answer of the old epoch later', async () => {
    // Nodes that acknowledge alone: so it is evenkeel that stops, and not the node. What they lose is theirs.
    const world = await start(testScope(), { copies: 0 });
    const { net, members, nodes, clients } = world;
    net.split([0, 3], [1, 2, 4, 5]);
    const others = members.seats.slice(1);
    await agreed(members, { epoch: 2 }, others);
    const before = clients.acknowledged().length;
    await until('writes through the others', () => clients.acknowledged().length > before + 20, patient);
    // Longer than any lease.
    await pause(4000);
    const cut = await shown(members, members.seats[0]!);
    expect(cut.writes.sent).toBe(false);
    // They wait for a quorum, for a while.
    const refused = (): boolean => clients.answers.findLast(({ member }) => member === 0)?.status !== 200;
    await until('its clients are refused', refused, patient);
    const [old, ...logs] = await Promise.all(nodes.map((node) => node.entries()));
    const next = firstAbove(logs, 1);
    // Both did something in the time that the old lease still ran.
    expect(next).toBeLessThan(Date.now());
    expect(old!.length).toBeGreaterThan(0);
    expect(old!.filter(({ at }) => at > next + toldWithinMs)).toEqual([]);
    const late = clients.acknowledged(0).filter(({ epoch, at }) => epoch === 1 && at > next + toldWithinMs);
    expect(late).toEqual([]);
    net.heal();
    const told = clients.acknowledged(0).length;
    await until('writes through the member that was cut off', () => clients.acknowledged(0).length > told + 5, patient);
    await agreed(members, { state: 'NORMAL' });
  }, 180_000);

  it('the primary is cut off from one member alone: nothing happens, and that member says so', async () => {
    const world = await start(testScope());
    const { net, members, clients } = world;
    net.split([0], [3]);
    const seat = members.seats[0]!;
    const fault = async (): Promise<boolean> => {
      const { pools } = (await (await members.ask(seat, '/ha/failover')).json()) as {
        pools: { app: { linkFault: boolean } };
      };
      return pools.app.linkFault;
    };
    await until('a link fault', fault, patient);
    const before = clients.acknowledged(1).length;
    await until('writes through the others', () => clients.acknowledged(1).length > before + 20, patient);
    expect(await shown(members, members.seats[1]!)).toMatchObject({ primary: 'a', epoch: 1 });
    net.heal();
    await judge(world);
  }, 180_000);
});
