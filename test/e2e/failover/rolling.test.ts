/** All app nodes and all members are restarted, one after the other, under load: no request fails. And what else can be in a shape. */
import { describe, expect, it } from 'vitest';
import { runCli, startEvenkeel } from '../../helpers/evenkeel.ts';
import { Load } from '../../helpers/load.ts';
import { pause, until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { Processes, type Seat } from '../cluster/processes.ts';
import { agreed, patient, startMembers, switchBy } from './members.ts';
import { failoverOf, followedBy, type PoolShown, poolOf, startReplicaNodes, Writers } from './world.ts';

it('a rolling restart of nodes and members under load fails no request', async () => {
  const scope = testScope();
  const nodes = await startReplicaNodes(scope, ['a', 'b', 'c']);
  const members = await startMembers(scope, poolOf(nodes));
  const loads = members.seats.map(({ port }) => ({
    writers: scope.own(new Writers({ port, clients: 3 })),
    readers: scope.own(new Load({ port, clients: 3, request: () => get })),
  }));
  const acknowledged = (): number => loads.reduce((sum, { writers }) => sum + writers.acknowledged.length, 0);
  const going = async (): Promise<void> => {
    const before = acknowledged();
    await until('more writes', () => acknowledged() > before + 20, patient);
  };
  await going();

  for (const node of nodes) {
    const { primary } = await agreed(members, { state: 'NORMAL' });
    if (primary === node.name) await switchBy(members, members.seats[0]!);
    // Taken out of reads everywhere, as an operator does, so that none is under way there.
    await Promise.all(members.seats.map((seat) => wish(members, seat, { node: node.name, wish: 'maint' })));
    await until('no request on the node', () => idle(members, node.name), patient);
    await node.kill();
    await node.start();
    await Promise.all(members.seats.map((seat) => wish(members, seat, { node: node.name, wish: 'ready' })));
    await agreed(members, { state: 'NORMAL' });
    await going();
  }
  const byNodes = loads.map(({ writers, readers }) => [writers.load.reasons(), readers.reasons()]);
  expect(byNodes).toEqual(loads.map(() => [{}, {}]));

  for (const [index, seat] of members.seats.entries()) {
    const { writers, readers } = loads[index]!;
    // A balancer in front takes clients off a member before it goes.
    await Promise.all([writers.stop(), readers.stop()]);
    expect(await members.end(seat, 'SIGTERM')).toMatchObject({ code: 0 });
    const left = loads.filter((_, other) => other > index);
    const before = left.reduce((sum, one) => sum + one.writers.acknowledged.length, 0);
    if (left.length > 0)
      await until(
        'writes through the others',
        () => left.reduce((sum, one) => sum + one.writers.acknowledged.length, 0) > before + 20,
        patient,
      );
    members.start(seat);
    await members.led();
    await members.ready();
    await agreed(members, { state: 'NORMAL' });
  }
  const { primary } = await agreed(members, { state: 'NORMAL' });
  const log = await nodes.find(({ name }) => name === primary)!.entries();
  for (const { writers, readers } of loads) {
    expect([writers.load.reasons(), readers.reasons()]).toEqual([{}, {}]);
    expect(writers.judge(log)).toEqual({ lost: [], doubled: [] });
  }
}, 300_000);

const get = 'GET /read HTTP/1.1\r\nHost: ek.test\r\n\r\n';

async function wish(
  members: Processes,
  seat: Seat,
  { node, wish: wanted }: { node: string; wish: string },
): Promise<void> {
  const body = JSON.stringify({ wish: wanted });
  const answer = await members.ask(seat, `/api/pools/app/nodes/${node}`, { method: 'PATCH', body });
  if (answer.status !== 200) throw new Error(`${node} ${wanted} on ${seat.name}: ${await answer.text()}`);
}

async function idle(members: Processes, node: string): Promise<boolean> {
  const all = await Promise.all(
    members.seats.map(async (seat) => {
      const { nodes } = (await (await members.ask(seat, '/api/pools/app')).json()) as {
        readonly nodes: readonly { readonly id: string; readonly inFlight: number }[];
      };
      return nodes.find(({ id }) => id === node)?.inFlight ?? 0;
    }),
  );
  return all.every((count) => count === 0);
}

describe('shapes', () => {
  it('two members and a witness: one member dies together with the primary, and the witness makes the majority', async () => {
    const scope = testScope();
    const nodes = await startReplicaNodes(scope, ['a', 'b']);
    const members = await Processes.of(scope, 3);
    const [first, second, witness] = members.seats as [Seat, Seat, Seat];
    const pools = { app: poolOf(nodes) };
    await members.write(first, {}, { pools });
    await members.write(second, {}, { pools });
    await members.write(witness, { witness: true }, { pools, listen: undefined });
    members.start(...members.seats);
    await members.led();
    await members.ready();
    await agreed(members, { state: 'NORMAL', primary: 'a' });
    const writers = scope.own(new Writers({ port: second.port, clients: 4 }));
    await followedBy(nodes[1]!, writers);
    await Promise.all([nodes[0]!.kill(), members.end(first, 'SIGKILL')]);
    await agreed(members, { primary: 'b', epoch: 2 });
    const before = writers.acknowledged.length;
    await until('writes on b', () => writers.acknowledged.length > before + 20, patient);
    await writers.stop();
    expect(writers.judge(await nodes[1]!.entries())).toEqual({ lost: [], doubled: [] });
  }, 180_000);

  it('two members: when one dies the other writes on to the primary, and only an operator changes it', async () => {
    const scope = testScope();
    const nodes = await startReplicaNodes(scope, ['a', 'b']);
    const members = await Processes.of(scope, 2);
    const [first, second] = members.seats as [Seat, Seat];
    for (const seat of members.seats)
      await members.write(seat, {}, { pools: { app: poolOf(nodes, { mode: 'manual' }) } });
    members.start(...members.seats);
    await members.led();
    await members.ready();
    await agreed(members, { state: 'NORMAL', primary: 'a' });
    const writers = scope.own(new Writers({ port: second.port, clients: 4 }));
    const going = async (): Promise<void> => {
      const before = writers.acknowledged.length;
      await until('more writes', () => writers.acknowledged.length > before + 50, patient);
    };
    await going();
    await members.end(first, 'SIGKILL');
    // Longer than any lease.
    await pause(5000);
    await going();
    await writers.stop();
    expect(writers.load.reasons()).toEqual({});
    const admin = ['--admin', `127.0.0.1:${second.admin}`];
    expect(await runCli('failover', 'switch', 'app', ...admin)).toMatchObject({ code: 3 });
    members.start(first);
    await members.led();
    await members.ready();
    await agreed(members, { state: 'NORMAL' });
    // The leader has to have heard of the nodes again.
    await until(
      'a switch',
      async () => {
        const { code, stderr } = await runCli('failover', 'switch', 'app', ...admin);
        if (code !== 0) throw new Error(stderr);
        return true;
      },
      patient,
    );
    await agreed(members, { primary: 'b', epoch: 2 });
  }, 120_000);

  it('a primary that stands still, with its port open, is replaced after its time-outs', async () => {
    const scope = testScope();
    const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
    const pool = { ...poolOf([a!, b!]), health: { path: '/health', interval: '500ms', timeout: '1s' } };
    const ek = await startEvenkeel(scope, { pools: { app: pool }, dataDir: await scope.folder() });
    const ask = (): Promise<PoolShown> => failoverOf((path) => ek.admin(path));
    await until('a primary', async () => (await ask()).writes.sent, patient);
    const writers = scope.own(new Writers({ port: ek.port, clients: 4 }));
    // Else nobody may take over without a loss.
    await followedBy(b!, writers);
    a!.signal('SIGSTOP');
    await until('b is primary', async () => (await ask()).primary === 'b', patient);
    const before = writers.acknowledged.length;
    await until('writes on b', () => writers.acknowledged.length > before + 20, patient);
    a!.signal('SIGCONT');
    await until('a is back', async () => (await ask()).state === 'NORMAL', patient);
    expect(await a!.health()).toMatchObject({ role: 'replica' });
    await writers.stop();
    expect(writers.judge(await b!.entries())).toEqual({ lost: [], doubled: [] });
  }, 120_000);

  it('failover comes with a reload', async () => {
    const scope = testScope();
    const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
    const dataDir = await scope.folder();
    const plain = { nodes: [a!, b!].map(({ name, url }) => ({ id: name, url })), health: { path: '/health' } };
    const ek = await startEvenkeel(scope, { pools: { app: plain } });
    expect((await ek.admin('/ha/failover')).status).toBe(404);
    await ek.reload({ pools: { app: poolOf([a!, b!]) }, dataDir });
    await until('a primary', async () => (await failoverOf((path) => ek.admin(path))).writes.sent, patient);
    const answer = await fetch(`http://127.0.0.1:${ek.port}/write?id=1`, { method: 'POST' });
    expect([answer.status, answer.headers.get('x-node')]).toEqual([200, 'a']);
  });

  it('a candidate whose promote hook fails is passed over, and the history says so', async () => {
    const scope = testScope();
    const [a, b, c] = await startReplicaNodes(scope, ['a', 'b', 'c']);
    const program = 'process.exit(process.env.EK_NODE === "b" ? 3 : 0)';
    const promote = { exec: [process.execPath, '-e', program] };
    const pool = { ...poolOf([a!, b!, c!], { promote }) };
    const ek = await startEvenkeel(scope, { pools: { app: pool }, dataDir: await scope.folder() });
    const ask = (): Promise<PoolShown> => failoverOf((path) => ek.admin(path));
    await until('a primary', async () => (await ask()).writes.sent, patient);
    await a!.kill();
    await until('c is primary', async () => (await ask()).primary === 'c', patient);
    expect((await ask()).epoch).toBeGreaterThanOrEqual(3);
    const history = await runCli('failover', 'history', 'app', '--admin', `127.0.0.1:${ek.adminPort}`);
    expect(history.stdout).toMatch(/exit code 3/);
  }, 120_000);
});
