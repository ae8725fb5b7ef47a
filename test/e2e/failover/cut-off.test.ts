/**
 * Networks that break between members and nodes, each in a namespace of its own, cut by nftables, under writes at every
 * member. Whoever is cut off together with the old primary stops writing to it before the next one takes over.
 */
import http from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pause, until } from '../../helpers/poll.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { Net, noNetworks } from '../cluster/net.ts';
import { Processes, type Seat } from '../cluster/processes.ts';
import { print } from '../cluster/prove.ts';
import type { Entry } from './app-node.ts';
import { failoverOf, type PoolShown, poolOf, type ReplicaNode, startReplicaNodes } from './world.ts';

const missing = noNetworks();
const where = missing === null ? 'in networks of their own' : `NOT RUN: this machine has ${missing}`;
const patient = { withinMs: 60_000 };

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

/** Members at 0, 1, 2; nodes a, b, c at 3, 4, 5. */
async function start(scope: Scope, copies = 1): Promise<World> {
  const net = await Net.of(scope, 6);
  const nodes = await startReplicaNodes(scope, ['a', 'b', 'c'], { copies, place: { of: net, from: 3 } });
  const members = await Processes.of(scope, 3, {}, net);
  const pool = { ...poolOf(nodes), health: { path: '/health', interval: '500ms', timeout: '1s' } };
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

const shown = (members: Processes, seat: Seat): Promise<PoolShown> => failoverOf((path) => members.ask(seat, path));

const agreed = (members: Processes, wanted: Partial<PoolShown>, seats = members.seats): Promise<PoolShown> =>
  until(
    `failover ${JSON.stringify(wanted)}`,
    async () => {
      const all = await Promise.all(seats.map((seat) => shown(members, seat)));
      const isSo = (one: PoolShown): boolean =>
        Object.entries(wanted).every(([key, value]) => one[key as keyof PoolShown] === value);
      if (!all.every(isSo)) throw new Error(JSON.stringify(all));
      return all[0];
    },
    patient,
  );

/** When the first write of an epoch above this one began, on any node. */
const firstAbove = (logs: readonly (readonly Entry[])[], epoch: number): number =>
  Math.min(...logs.flat().flatMap((entry) => (entry.epoch > epoch ? [entry.at] : [])));

async function judge({ members, nodes, clients }: World, old: ReplicaNode): Promise<void> {
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
  expect(clients.acknowledged().filter(({ id }) => !ids.has(id))).toEqual([]);
  for (const { epoch } of log) expect(epoch).toBeGreaterThan(0);
  const epochs = [...new Set(log.map(({ epoch }) => epoch))];
  for (const epoch of epochs.slice(0, -1)) {
    const next = firstAbove([log], epoch);
    // What a node began, and what a client was told, of an epoch that was over.
    expect((await old.entries()).filter((entry) => entry.epoch <= epoch && entry.at > next)).toEqual([]);
    expect(clients.acknowledged().filter((one) => one.epoch <= epoch && one.at > next + toldWithinMs)).toEqual([]);
  }
}

/** From the bytes of an answer in the socket to the client's callback, on a machine that others load too. */
const toldWithinMs = 250;

describe.skipIf(missing !== null)(`a net that breaks, ${where}`, () => {
  it('the primary is cut off from everybody: another takes over, and nothing acknowledged is lost', async () => {
    const world = await start(testScope());
    const { net, members, nodes, clients } = world;
    const at = Date.now();
    net.split([3], [0, 1, 2, 4, 5]);
    const { epoch } = await agreed(members, { epoch: 2 });
    await until('writes of the next epoch', () => clients.acknowledged().some((one) => one.epoch === epoch), patient);
    const took = clients.acknowledged().find((one) => one.epoch === epoch)!.at - at;
    net.heal();
    await judge(world, nodes[0]!);
    print(`primary cut off to the next write: ${took} ms`);
  }, 180_000);

  it('a member is cut off together with the primary: its clients get no answer of the old epoch later', async () => {
    // Nodes that acknowledge alone: so it is evenkeel that stops, and not the node. What they lose is theirs.
    const world = await start(testScope(), 0);
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
    expect(clients.answers.findLast(({ member }) => member === 0)?.status).not.toBe(200);
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
    const { net, members, nodes, clients } = world;
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
    await judge(world, nodes[0]!);
  }, 180_000);
});
