import { afterEach, describe, expect, it } from 'vitest';
import { defaultLimits } from '../../../src/cluster/replica/model.ts';
import { type CoordinatorWorld, coordinatorContract } from '../../contract/coordinator.contract.ts';
import { copyOf, folder, removeFolders } from './folders.ts';
import { until } from './hosts.ts';
import { Members, type Seat } from './members.ts';

async function worldOf(count: number, pick: (members: Members) => Seat): Promise<CoordinatorWorld> {
  const members = await Members.of(count);
  await members.startAll();
  await members.led();
  const seat = pick(members);
  const host = seat.host!;
  return {
    coordinator: members.coordinator(seat),
    valueBytesMax: defaultLimits.valueBytes,
    watchersMax: 20,
    now: () => host.now(),
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    close: async () => {
      await members.close();
      removeFolders();
    },
  };
}

coordinatorContract('a member alone', () => worldOf(1, (members) => members.leader!));
coordinatorContract('a follower among three members', () => worldOf(3, (members) => members.followers[0]!));

describe('three members on loopback', () => {
  let members: Members;
  afterEach(async () => {
    await members.close();
    removeFolders();
  });
  const bytes = (text: string): Uint8Array => Buffer.from(text);
  const write = async (seat: Seat, key: string): Promise<boolean> =>
    (await members.coordinator(seat).kv.set(key, bytes(key))).ok;
  const read = async (seat: Seat, key: string): Promise<string | null> => {
    const answer = await members.coordinator(seat).kv.get(key);
    if (!answer.ok) throw new Error(answer.error.kind);
    return answer.value.value === null ? null : Buffer.from(answer.value.value.value).toString();
  };

  it('form one cluster in whatever order they start, and serve writes on each', async () => {
    members = await Members.of(3);
    for (const seat of [...members.seats].reverse()) await members.start(seat);
    await members.led();
    const statuses = members.seats.map(({ host }) => host!.status());
    expect(new Set(statuses.map(({ cluster }) => cluster)).size).toBe(1);
    for (const seat of members.seats) expect(await write(seat, `of ${seat.name}`)).toBe(true);
    for (const seat of members.seats) expect(await read(seat, 'of m1')).toBe('of m1');
    await until('all see a stable cluster', () => members.seats.every(({ host }) => host!.status().state === 'STABLE'));
  });

  it('the leader dies: another one leads, and what was acknowledged is there', async () => {
    members = await Members.of(3);
    await members.startAll();
    await members.led();
    for (let i = 0; i < 20; i++) expect(await write(members.seats[i % 3]!, `k${i}`)).toBe(true);
    const dead = members.leader!;
    await members.stop(dead);
    await members.led();
    expect(members.leader).not.toBe(dead);
    for (const seat of members.running) for (let i = 0; i < 20; i++) expect(await read(seat, `k${i}`)).toBe(`k${i}`);
    for (const seat of members.running) expect(await write(seat, `after ${seat.name}`)).toBe(true);
    await members.start(dead);
    await members.led();
    expect(await read(dead, 'after m1')).toBe(dead.name === 'm1' ? null : 'after m1');
  });

  it('all are killed and started again: the cluster is the same, and every acknowledged write is there', async () => {
    members = await Members.of(3);
    await members.startAll();
    await members.led();
    const { cluster } = members.seats[0]!.host!.status();
    const acknowledged: string[] = [];
    for (let i = 0; i < 30; i++) if (await write(members.seats[i % 3]!, `k${i}`)) acknowledged.push(`k${i}`);
    expect(acknowledged).toHaveLength(30);
    await members.close();
    await members.startAll();
    await members.led();
    for (const { host } of members.seats) expect(host!.status()).toMatchObject({ cluster, boot: 2, stop: null });
    for (const key of acknowledged) expect(await read(members.seats[1]!, key)).toBe(key);
  });

  it('a member that runs on an old copy of its data folder is found out, and stops', async () => {
    members = await Members.of(3);
    await members.startAll();
    await members.led();
    const [seat] = members.followers;
    await members.stop(seat!);
    const old = copyOf(seat!.path);
    await members.start(seat!);
    await members.led();
    expect(await write(members.leader!, 'k')).toBe(true);
    await until('it was heard again', () => members.leader!.host!.status().missing.length === 0);
    await members.stop(seat!);
    await members.start({ ...seat!, path: old });
    await until('it stopped', () => seat!.stops.length > 0, 15_000);
    expect(seat!.stops[0]).toContain('empty data folder');
    expect(await write(members.leader!, 'after')).toBe(true);
    // Each start would raise its boot number, until the others take it for a new run.
    for (let again = 0; again < 3; again++) {
      await expect(members.start({ ...seat!, path: old })).rejects.toThrow('was found out to be an old copy');
    }
  });

  it('a data folder that another process has, and a port that is taken, are refused with what to do', async () => {
    members = await Members.of(1);
    const [seat] = members.seats;
    await members.start(seat!);
    await expect(members.start({ ...seat! })).rejects.toThrow('is in use by another process');
    await expect(members.start({ ...seat!, path: folder() })).rejects.toThrow('another process listens there');
  });

  it('a member that leaves hands leadership on first', async () => {
    members = await Members.of(3);
    await members.startAll();
    await members.led();
    const leader = members.leader!;
    expect(await leader.host!.leave()).toMatchObject({ ok: true });
    await members.stop(leader);
    await members.led(3000);
    expect(await write(members.running[0]!, 'k')).toBe(true);
  });
});
