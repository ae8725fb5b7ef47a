/** What may be changed of a running cluster without a restart: its keys, and what members tell each other of themselves. */
import { describe, expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { testScope } from '../../helpers/scope.ts';
import { Processes, type Seat } from './processes.ts';

const key = (n: number): string => Buffer.alloc(32, n).toString('base64');

interface Shown {
  readonly term: number;
  readonly leader: string | null;
  readonly quorum: boolean;
  readonly members: readonly { readonly name: string; readonly state: string; readonly admin: string | null }[];
}

const look = async (members: Processes, seat: Seat): Promise<Shown> =>
  (await (await members.ask(seat, '/api/ha/cluster')).json()) as Shown;

const keysOf = async (members: Processes, seat: Seat): Promise<readonly string[]> => {
  const { keys } = (await (await members.ask(seat, '/api/ha/status')).json()) as { readonly keys: readonly string[] };
  return keys;
};

async function reload(members: Processes, seat: Seat, change: object, more: object = {}): Promise<void> {
  await members.write(seat, change, more);
  const response = await members.ask(seat, '/api/reload', { method: 'POST', body: '{}' });
  expect(response.status, await response.text()).toBe(200);
}

describe('the key of a cluster', () => {
  it('is exchanged on three running members; meanwhile every write is acknowledged, and the leader stays', async () => {
    const [old, next] = [key(1), key(2)];
    const members = await Processes.of(testScope(), 3, { key: [old] });
    members.start(...members.seats);
    const leader = await members.led();
    const { term } = await look(members, leader);
    const before = await keysOf(members, leader);

    let done = false;
    const refused: string[] = [];
    let written = 0;
    const writing = (async () => {
      while (!done) {
        for (const seat of members.seats) {
          if (await members.put(seat, `k${written}`, 'v')) written += 1;
          else refused.push(`${seat.name} after ${written} writes`);
        }
      }
    })();
    for (const keys of [[old, next], [next, old], [next]]) {
      for (const seat of members.seats) {
        await reload(members, seat, { key: keys });
        const now = written;
        await until('more writes', () => written >= now + 10);
      }
    }
    done = true;
    await writing;

    expect(refused).toEqual([]);
    expect(await look(members, leader)).toMatchObject({ term, leader: leader.name, quorum: true });
    for (const seat of members.seats) {
      const shown = await look(members, seat);
      expect(shown.members.map(({ state }) => state).sort()).toEqual(['ACTIVE', 'ACTIVE', 'LEADER']);
      const now = await keysOf(members, seat);
      expect(now).toHaveLength(1);
      expect(now).not.toEqual(before);
    }
    // Who has only the old key is not let in any more; with the new one it is.
    const other = members.seats.find((seat) => seat !== leader)!;
    await members.end(other, 'SIGKILL');
    await members.write(other, { key: [old] });
    members.start(other);
    await until('the others say why', () => /a key that is not ours/.test(leader.child!.output()));
    await members.end(other, 'SIGKILL');
    await members.write(other, { key: [next] });
    members.start(other);
    await members.led();
    expect(await members.get(other, `k${written - 1}`)).toBe('v');
  });

  it('is not taken away, nor any other part of the membership changed, by a reload', async () => {
    const members = await Processes.of(testScope(), 1, { key: [key(1)] });
    const [only] = members.seats;
    members.start(only!);
    await members.led();
    for (const change of [{ key: [] }, { key: [key(1)], member: 'other' }, { key: [key(1)], priority: 7 }]) {
      await members.write(only!, change);
      const response = await members.ask(only!, '/api/reload', { method: 'POST', body: '{}' });
      expect([response.status, await response.text()]).toEqual([422, expect.stringContaining('restart the process')]);
    }
    await members.written(only!, 'k', 'v');
  });
});

describe('a reload that moves the admin API, or names another zone', () => {
  it('is known to the other members', async () => {
    const members = await Processes.of(testScope(), 3);
    members.start(...members.seats);
    await members.led();
    const [moved, other] = members.seats;
    const admin = `127.0.0.1:${await freePort()}`;
    await reload(members, moved!, { zone: 'b' }, { admin });
    await until('the new address and zone', async () => {
      const line = (await look(members, other!)).members.find(({ name }) => name === moved!.name);
      return line?.admin === admin && (line as { readonly zone?: string }).zone === 'b';
    });
  });
});
