import { afterEach, describe, expect, it } from 'vitest';
import { realClocks } from '../../../src/cluster/io/clocks.ts';
import { type MemberHostOptions, nowhere } from '../../../src/cluster/io/member-options.ts';
import type { Telling } from '../../../src/cluster/member/contract.ts';
import { defaultLimits } from '../../../src/cluster/replica/model.ts';
import { type CoordinatorWorld, coordinatorContract } from '../../contract/coordinator.contract.ts';
import { change, next, poolRecord, targetOf } from '../replica/pool-records.ts';
import { copyOf, folder, removeFolders } from './folders.ts';
import { until } from './hosts.ts';
import { Members, type Seat } from './members.ts';

const alone = { listen: null, address: nowhere, keys: [] };

async function worldOf(
  count: number,
  pick: (members: Members) => Seat,
  over: Partial<MemberHostOptions> = {},
): Promise<CoordinatorWorld> {
  const members = await Members.of(count);
  await members.startAll(over);
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

coordinatorContract('a member alone, without a socket', () => worldOf(1, (members) => members.leader!, alone));
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
    await until('it stopped', () => seat!.stops.length > 0);
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

  it('a wait for a lock ends also where nobody says any more how it ended', async () => {
    members = await Members.of(3);
    await members.startAll();
    await members.led();
    const left = members.followers[0]!;
    const { lock } = members.coordinator(left);
    expect((await lock.acquire('l', { owner: 'ann', ttlMs: 60_000 })).ok).toBe(true);
    const waits = lock.acquire('l', { owner: 'bob', ttlMs: 60_000, waitMs: 1000 });
    await until('it stands in the queue', () => left.host!.replica.locks.get('l')?.queue.length === 1);
    for (const seat of members.seats) if (seat !== left) await members.stop(seat);
    const ended = await waits;
    // Its time may have been over before the others were gone.
    if (!ended.ok && ended.error.kind !== 'timed-out') expect(ended.error).toMatchObject({ kind: 'unknown-outcome' });
    expect(ended.ok).toBe(false);
  });

  it('whoever asks a member to leave is answered: together, and once it has left', async () => {
    members = await Members.of(3);
    await members.startAll();
    await members.led();
    const { host } = members.followers[0]!;
    const two = await Promise.all([host!.leave(), host!.leave()]);
    expect(two).toMatchObject([{ ok: true }, { ok: true }]);
    expect(await host!.leave()).toMatchObject({ ok: true });
  });

  it('a member that leaves hands leadership on first', async () => {
    members = await Members.of(3);
    await members.startAll();
    await members.led();
    const leader = members.leader!;
    expect(await leader.host!.leave()).toMatchObject({ ok: true });
    // Before it goes, not by an election once it is missed.
    expect(leader.host!.status().raft?.role).not.toBe('leader');
    await members.stop(leader);
    await members.led();
    expect(await write(members.running[0]!, 'k')).toBe(true);
  });
});

describe('alone, and for failover', () => {
  let members: Members;
  afterEach(async () => {
    await members.close();
    removeFolders();
  });
  const sockets = (): readonly string[] =>
    process.getActiveResourcesInfo().filter((one) => /^(TCP|UDP|PIPEServer)/.test(one));

  it('opens none, keeps its state, and has its data folder for itself', async () => {
    members = await Members.of(1);
    const [seat] = members.seats;
    const before = sockets();
    const host = await members.start(seat!, alone);
    expect(sockets().length).toBeLessThanOrEqual(before.length);
    expect(host.address).toBe('');
    await members.led();
    const coordinator = members.coordinator(seat!);
    expect((await coordinator.propose(change(poolRecord({ epoch: 3 })))).ok).toBe(true);
    expect((await coordinator.writeLease('app', 3)).ok).toBe(true);
    await expect(members.start({ ...seat! }, alone)).rejects.toThrow('is in use by another process');
    await members.stop(seat!);
    await members.start(seat!, alone);
    await members.led();
    expect((await members.coordinator(seat!).pools()).ok).toBe(true);
    expect(seat!.host!.replica.pools.get('app')).toMatchObject({ epoch: 3, phase: 'open' });
  });

  it('becomes the first of several when it is given a cluster, with all that it holds', async () => {
    members = await Members.of(3);
    const [first, ...others] = members.seats;
    await members.start(first!, { ...alone, cluster: null });
    await members.led();
    expect((await members.coordinator(first!).propose(change(poolRecord()))).ok).toBe(true);
    await members.stop(first!);
    for (const seat of [first!, ...others]) await members.start(seat);
    await members.led();
    const voters = (): number => members.leader?.host?.status().raft?.config.voters.length ?? 0;
    await until('all vote', () => voters() === 3);
    for (const { host } of members.seats) {
      await until('it has the pool', () => host!.replica.pools.openEpoch('app') === 1);
    }
  });

  it('does not run on the folder of a member of several, nor with others to reach', async () => {
    members = await Members.of(3);
    await members.startAll();
    await members.led();
    const [seat] = members.seats;
    await members.stop(seat!);
    await expect(members.start(seat!, { ...alone, cluster: null })).rejects.toThrow('a cluster of several: give');
    await expect(members.start(seat!, alone)).rejects.toThrow('needs an address');
    await members.start(seat!);
    await members.led();
  });

  it('members tell each other what rooms above say', async () => {
    members = await Members.of(3);
    const told: string[] = [];
    for (const seat of members.seats) {
      const onTold = (one: Telling): void => void told.push(`${seat.name} ${one.channel} ${Buffer.from(one.bytes)}`);
      await members.start(seat, { onTold });
    }
    await members.led();
    const [one, two] = members.seats;
    const to = two!.host!.status().uid;
    one!.host!.tell(to, 9, Buffer.from('hello'));
    await until('it is heard', () => told.length > 0);
    expect(told).toEqual(['m2 9 hello']);
    one!.host!.tell(to, 9, new Uint8Array(40_000));
    expect(one!.host!.status().refused.get('own word too long')).toBe(1);
  });

  it('an entry that moves an epoch is told to whoever lets writes go', async () => {
    members = await Members.of(3);
    const moving: string[] = [];
    for (const seat of members.seats) {
      await members.start(seat, { onMoving: (pool) => moving.push(`${seat.name} ${pool}`) });
    }
    await members.led();
    const coordinator = members.coordinator(members.seats[0]!);
    const first = poolRecord();
    expect((await coordinator.propose(change(first))).ok).toBe(true);
    await until('all have it', () => members.seats.every(({ host }) => host!.replica.pools.openEpoch('app') === 1));
    const pending = next(first, { phase: 'pending', epoch: 2, target: targetOf('b') });
    expect((await coordinator.propose(change(pending))).ok).toBe(true);
    await until('all are told', () => moving.length === 3);
    expect([...moving].sort()).toEqual(['m1 app', 'm2 app', 'm3 app']);
  });
});

describe('the agreed time that a member shows', () => {
  afterEach(removeFolders);

  it('is that of now, not that of the last thing that happened to it', async () => {
    let ahead = 0;
    const now = () => realClocks.now() + ahead;
    const members = await Members.of(1);
    const host = await members.start(members.seats[0]!, { ...alone, clocks: { ...realClocks, now } });
    await members.led();
    const before = host.status().agreedNow;
    ahead = 60_000; // nothing of this process runs between these lines
    expect(host.status().agreedNow).toBeGreaterThanOrEqual(before + 60_000);
    ahead = 0;
    await members.close();
  });
});
