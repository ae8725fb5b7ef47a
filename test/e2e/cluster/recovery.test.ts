/** What an operator does when a majority is lost for ever, with processes that are really killed. */
import { mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../helpers/evenkeel.ts';
import { until } from '../../helpers/poll.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { Processes, type Seat } from './processes.ts';

const dataOf = (seat: Seat): string => join(seat.folder, 'data');

interface Position {
  readonly before: { readonly cluster: string; readonly last: { readonly term: number; readonly index: number } };
}

/** The one whose log is the newest, as `cluster recover` without its flag shows it. */
async function newest(seats: readonly Seat[]): Promise<Seat> {
  const positions = [];
  for (const seat of seats) {
    const { code, stdout } = await runCli('cluster', 'recover', '-c', seat.file, '--json');
    expect(code).toBe(1);
    positions.push({ seat, ...(JSON.parse(stdout) as Position).before.last });
  }
  positions.sort((a, b) => b.term - a.term || b.index - a.index);
  return positions[0]!.seat;
}

/** Not "STABLE": that other clusters' words were heard is shown for a minute. */
const allVote = (members: Processes, asked: Seat): Promise<unknown> =>
  until(
    'all vote',
    async () => {
      const shown = (await (await members.ask(asked, '/api/ha/cluster')).json()) as {
        readonly members: readonly { readonly seat: string }[];
      };
      return shown.members.filter(({ seat }) => seat === 'voter').length === members.seats.length;
    },
    { withinMs: 60_000 },
  );

async function revisionOf(members: Processes, seat: Seat, key: string): Promise<number> {
  const shown = (await (await members.ask(seat, `/api/ha/state/${key}`)).json()) as { readonly revision: number };
  return shown.revision;
}

describe('a cluster that lost its majority for ever', () => {
  it('is recovered on the newest log; former members are refused with their folders, and join without', async () => {
    const members = await Processes.of(testScope(), 3);
    members.start(...members.seats);
    const leader = await members.led();
    for (let i = 0; i < 20; i++) await members.written(leader, `key-${i}`, `value-${i}`);
    const before = await revisionOf(members, leader, 'key-19');
    const old = (await members.shown(leader)).cluster;

    const locked = await runCli('cluster', 'recover', '-c', leader.file, '--i-am-the-only-one');
    expect([locked.code, locked.stderr]).toEqual([1, expect.stringContaining('is in use by another process')]);

    await Promise.all(members.seats.map((seat) => members.end(seat, 'SIGKILL')));
    const [gone, ...left] = members.seats;
    await rm(dataOf(gone!), { recursive: true });
    const chosen = await newest(left);
    const former = left.find((seat) => seat !== chosen)!;

    const recovered = await runCli('cluster', 'recover', '-c', chosen.file, '--i-am-the-only-one');
    expect([recovered.code, recovered.stderr]).toEqual([0, '']);
    expect(recovered.stdout).toMatch(/its log ends with term \d+, entry \d+, written /);
    expect(recovered.stdout).toMatch(/Lost may be: what other members acknowledged after\nterm \d+, entry \d+\./);

    members.start(chosen);
    expect(await members.led()).toBe(chosen);
    for (let i = 0; i < 20; i++) expect(await members.get(chosen, `key-${i}`)).toBe(`value-${i}`);
    const now = await members.shown(chosen);
    expect(now.cluster).not.toBe(old);
    await members.written(chosen, 'after', 'x');
    // Above all that anybody can have been given by those who are lost: counted on from the second of the recovery.
    expect((await revisionOf(members, chosen, 'after')) - before).toBeGreaterThan(2 ** 19);

    members.start(former);
    await until('the former member is refused, and the log says why', () =>
      [chosen, former].every(({ child }) => /of another cluster/.test(child!.output())),
    );
    expect(await members.get(chosen, 'key-3')).toBe('value-3');
    await members.end(former, 'SIGKILL');
    await rm(dataOf(former), { recursive: true });
    members.start(former, gone!);
    await allVote(members, chosen);
    await members.led();
    for (const seat of members.seats) expect(await members.get(seat, 'key-7')).toBe('value-7');
    // It no longer needs the one that was recovered.
    await members.end(chosen, 'SIGKILL');
    const next = await members.led();
    await members.written(next, 'later', 'y');
  });

  it('is brought back from a backup, which was taken while it ran or of a stopped member', async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 3);
    members.start(...members.seats);
    const leader = await members.led();
    for (let i = 0; i < 20; i++) await members.written(leader, `key-${i}`, `value-${i}`);
    const folder = await scope.folder();
    const [online, offline] = [join(folder, 'online'), join(folder, 'offline')];
    const taken = await runCli('cluster', 'backup', online, '--admin', `127.0.0.1:${leader.admin}`);
    expect([taken.code, taken.stderr]).toEqual([0, '']);
    await members.written(leader, 'after', 'the backup');
    const before = await revisionOf(members, leader, 'after');
    const locked = await runCli('cluster', 'backup', offline, '--offline', '-c', leader.file);
    expect([locked.code, locked.stderr]).toEqual([1, expect.stringContaining('is in use by another process')]);
    await Promise.all(members.seats.map((seat) => members.end(seat, 'SIGKILL')));
    const stopped = await runCli('cluster', 'backup', offline, '--offline', '--data-dir', dataOf(leader));
    expect([stopped.code, stopped.stderr]).toEqual([0, '']);

    const over = await runCli('cluster', 'restore', online, '-c', leader.file);
    expect([over.code, over.stderr]).toEqual([1, expect.stringContaining('holds a member')]);

    const [one, two, three] = members.seats;
    for (const seat of members.seats) await rm(dataOf(seat), { recursive: true });
    await mkdir(dataOf(one!));
    const restored = await runCli('cluster', 'restore', online, '-c', one!.file);
    expect([restored.code, restored.stderr]).toEqual([0, '']);
    members.start(...members.seats);
    await allVote(members, one!);
    await members.led();
    for (const seat of members.seats) expect(await members.get(seat, 'key-11')).toBe('value-11');
    expect(await members.get(two!, 'after')).toBe(404);
    await members.written(three!, 'after', 'again');
    expect(await revisionOf(members, three!, 'after')).toBeGreaterThan(before);
  });
});

/** A node that says who it is and in which epoch it was asked. */
async function nodeOf(scope: Scope, name: string): Promise<string> {
  const server = createServer((request, response) => response.end(`${name} ${request.headers['x-ha-epoch'] ?? ''}`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.own({ stop: () => void server.close().closeAllConnections() });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a pool with failover, after a restore', () => {
  it('has no primary until an operator says who is; then in an epoch above all that were', async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 1);
    const [only] = members.seats;
    const nodes = [
      { id: 'a', url: await nodeOf(scope, 'a'), role: 'primary' },
      { id: 'b', url: await nodeOf(scope, 'b') },
    ];
    const app = {
      nodes,
      health: { path: '/', interval: '500ms' },
      failover: { mode: 'manual', parking: { time: '1s' } },
    };
    await members.write(only!, {}, { pools: { app: { ...app, split: { writes: 'primary' } } } });
    const post = async (): Promise<string> => {
      const answer = await fetch(`http://127.0.0.1:${only!.port}/`, { method: 'POST', body: 'x' });
      return answer.status === 200 ? answer.text() : String(answer.status);
    };
    members.start(only!);
    await until('a write', async () => (await post()) === 'a 1', { withinMs: 40_000 });
    const admin = ['--admin', `127.0.0.1:${only!.admin}`];
    const file = join(await scope.folder(), 'backup');
    expect((await runCli('cluster', 'backup', file, ...admin)).code).toBe(0);
    await members.end(only!, 'SIGKILL');
    await rm(dataOf(only!), { recursive: true });
    const restored = await runCli('cluster', 'restore', file, '-c', only!.file);
    expect(restored.stdout).toContain(
      'pool app: nobody is primary, it was a; say who is: evenkeel failover adopt app NODE',
    );

    members.start(only!);
    await members.ready();
    await until('a write is refused', async () => (await post()) === '503', { withinMs: 40_000 });
    const adopt = async (): Promise<boolean> => (await runCli('failover', 'adopt', 'app', 'b', ...admin)).code === 0;
    await until('b is adopted', adopt, { withinMs: 40_000 });
    await until('writes go to b', async () => (await post()) === 'b 1002', { withinMs: 40_000 });
  });
});
