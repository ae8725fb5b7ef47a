/** What is done to a cluster while it serves: each member restarted in turn, two taken in, one taken out for good. */
import { describe, expect, it } from 'vitest';
import { runCli } from '../../helpers/evenkeel.ts';
import { until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { Clients } from './clients.ts';
import { Processes, type Seat } from './processes.ts';

interface Shown {
  readonly state: string;
  readonly reason: string;
  readonly leader: string | null;
  readonly members: readonly { readonly name: string; readonly seat: string; readonly state: string }[];
}

const look = async (members: Processes, seat: Seat): Promise<Shown> =>
  (await (await members.ask(seat, '/api/ha/cluster')).json()) as Shown;

const votersOf = ({ members }: Shown): readonly string[] =>
  members.flatMap(({ name, seat }) => (seat === 'voter' ? [name] : [])).sort();

/** Until this member, asked itself, has all that run for voters, and finds the cluster whole. */
async function whole(members: Processes, asked: Seat): Promise<void> {
  const names = members.running.map(({ name }) => name).sort();
  const isWhole = async (): Promise<boolean> => {
    const shown = await look(members, asked);
    return shown.state === 'STABLE' && JSON.stringify(votersOf(shown)) === JSON.stringify(names);
  };
  await until(`${asked.name} finds it whole`, isWhole, { withinMs: 60_000 });
}

/** Ended by SIGTERM and started again with the config that it has now, and back. */
async function restart(members: Processes, seat: Seat): Promise<void> {
  expect(await members.end(seat, 'SIGTERM')).toEqual({ code: 0, signal: null });
  members.start(seat);
  await members.led();
  await whole(members, seat);
}

const admin = (seat: Seat): readonly string[] => ['--admin', `127.0.0.1:${seat.admin}`];

describe('a cluster that is looked after while clients read, write and lock', () => {
  it('is restarted member by member, and what clients see is one store', async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 3);
    members.start(...members.seats);
    const leader = await members.led();
    const clients = scope.own(new Clients(members));
    // The leader first: its office is handed on before it goes.
    for (const seat of [leader, ...members.seats.filter((one) => one !== leader)]) await restart(members, seat);
    await clients.finish();
    expect(clients.problems()).toEqual([]);
    expect(clients.counts.answered).toBeGreaterThan(100);
  });

  it('grows from three to five, and then can do without two of them', async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 5);
    const [first, second, third, fourth, fifth] = members.seats;
    const three = [first!, second!, third!];
    for (const seat of three) {
      const seeds = three.filter((one) => one !== seat).map(({ address }) => address);
      await members.write(seat, { seeds, expect: 3 });
    }
    members.start(...three);
    await members.led();
    await members.ready();
    await members.written(first!, 'k', 'v');
    const clients = scope.own(new Clients(members));
    for (const seat of three) {
      await members.write(seat);
      expect(await members.end(seat, 'SIGTERM')).toEqual({ code: 0, signal: null });
      members.start(seat);
      await members.led();
      await members.ready();
    }
    members.start(fourth!, fifth!);
    await members.led();
    for (const seat of members.seats) await whole(members, seat);
    await clients.finish();
    expect(clients.problems()).toEqual([]);

    await Promise.all([first!, second!].map((seat) => members.end(seat, 'SIGKILL')));
    await members.led();
    expect(await members.get(fifth!, 'k')).toBe('v');
    await members.written(fourth!, 'k', 'w');
  });

  it('shrinks by one that leaves for good and one that is removed, and the rest is a quorum of its own', async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 5);
    members.start(...members.seats);
    await members.led();
    const [first, second, third, fourth, fifth] = members.seats;
    await members.written(first!, 'k', 'v');
    const left = await runCli('cluster', 'leave', ...admin(fifth!));
    expect([left.code, left.stderr]).toEqual([0, '']);
    expect(await fifth!.child!.exit).toEqual({ code: 0, signal: null });
    fifth!.child = null;
    await members.end(fourth!, 'SIGKILL');
    await members.led();
    const removed = await until(
      'the lost one is removed',
      async () => {
        const { code, stderr } = await runCli('cluster', 'remove', fourth!.name, ...admin(first!));
        return code === 0 ? 'done' : Promise.reject(new Error(stderr));
      },
      { withinMs: 60_000, everyMs: 500 },
    );
    expect(removed).toBe('done');
    await until('three vote', async () => votersOf(await look(members, first!)).length === 3);
    expect(await look(members, first!)).toMatchObject({ state: 'DEGRADED', reason: '3 voters, 5 are expected' });
    // As the operator says it in the configs, one after the other.
    const three = [first!, second!, third!];
    for (const seat of three) {
      const seeds = three.filter((one) => one !== seat).map(({ address }) => address);
      await members.write(seat, { seeds, expect: 3 });
      expect(await members.end(seat, 'SIGTERM')).toEqual({ code: 0, signal: null });
      members.start(seat);
      await members.led();
    }
    for (const seat of three) await whole(members, seat);
    await members.end(first!, 'SIGKILL');
    await members.led();
    expect(await members.get(second!, 'k')).toBe('v');
    await members.written(third!, 'k', 'w');
  });
});
