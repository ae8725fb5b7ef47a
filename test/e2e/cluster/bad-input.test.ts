/** What a cluster of real processes does with names that are taken, frames that are not for it, and requests beyond bounds. */
import { createSocket, type Socket } from 'node:dgram';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { DatagramSealer } from '../../../src/cluster/io/datagrams.ts';
import { clusterTag, Keyring } from '../../../src/cluster/io/keyring.ts';
import { secret, uid } from '../../cluster/io/hosts.ts';
import { until } from '../../helpers/poll.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { Processes, type Seat } from './processes.ts';

interface StatusShown {
  readonly cluster: string;
  readonly dropped: Readonly<Record<string, number>>;
}

const reasonOf = async (members: Processes, seat: Seat): Promise<string | null> =>
  ((await (await members.ask(seat, '/api/ha/cluster')).json()) as { readonly reason: string }).reason;

const statusOf = async (members: Processes, seat: Seat): Promise<StatusShown> =>
  (await (await members.ask(seat, '/api/ha/status')).json()) as StatusShown;

describe('a second living member of one name', () => {
  it('is refused, both sides say so, and the cluster stays as it is', async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 3);
    members.start(...members.seats);
    await members.led();
    const [first, second, third] = members.seats;
    const before = await members.shown(second!);

    const others = await Processes.of(scope, 1);
    const [double] = others.seats;
    await others.write(double!, { member: first!.name, seeds: [second!.address, third!.address], expect: 3 });
    others.start(double!);
    const saysSo = (seat: Seat, words: RegExp): boolean => words.test(seat.child!.output());
    await until('the refused one says so', () => saysSo(double!, /another living member is called n1/), {
      withinMs: 30_000,
    });
    await until('the others say so', () => members.seats.some((seat) => saysSo(seat, /calls itself n1: .* lives/)));
    await until('who is called so, too', () => saysSo(first!, /two members are called n1: the one at .* lives/));

    const shown = (await (await others.ask(double!, '/api/ha/cluster')).json()) as {
      readonly quorum: boolean;
      readonly reason: string;
    };
    expect(shown).toMatchObject({ quorum: false, reason: expect.stringContaining('give this one a name of its own') });
    expect(await others.put(double!, 'k', 'v')).toBe(false);
    const after = await members.shown(second!);
    expect(after).toMatchObject({ leader: before.leader, cluster: before.cluster, quorum: true });
    await members.written(first!, 'k', 'v');

    // Under a name of its own it is let in, as one that does not vote: there are as many voters as shall be.
    await others.end(double!, 'SIGTERM');
    await others.write(double!, { member: 'n4', seeds: [second!.address, third!.address], expect: 3 });
    others.start(double!);
    await until('it has the state', async () => (await others.get(double!, 'k')) === 'v', { withinMs: 30_000 });
  });
});

describe('two first voters of one name', () => {
  it('form no cluster until one has a name of its own; all of them say so', async () => {
    const members = await Processes.of(testScope(), 3);
    const [first, second, third] = members.seats;
    await members.write(third!, { member: second!.name });
    members.start(...members.seats);
    for (const seat of members.seats) {
      await until(
        `${seat.name} says so`,
        async () => /two first voters are called n2, at .* and at /.test((await reasonOf(members, seat)) ?? ''),
        { withinMs: 30_000 },
      );
    }
    await members.end(third!, 'SIGTERM');
    await members.write(third!);
    members.start(third!);
    await members.led();
    await members.written(first!, 'k', 'v');
  });
});

/** Sends datagrams to a member, all from one address. */
async function sender(scope: Scope, to: Seat): Promise<(frame: Uint8Array) => Promise<void>> {
  const socket: Socket = createSocket('udp4');
  scope.own({ stop: () => void socket.close() });
  const port = Number(to.address.split(':')[1]);
  return (frame) =>
    new Promise((resolve, reject) =>
      socket.send(frame, port, '127.0.0.1', (error) => (error === null ? resolve() : reject(error))),
    );
}

describe('frames that are not for a member', () => {
  const words = [
    'too short',
    'too long',
    'a key that is not ours',
    'seal is broken',
    'another cluster',
    'received before',
  ];

  it('are dropped, counted by reason, and one line of the log per address, reason and minute', async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 1);
    const [only] = members.seats;
    members.start(only!);
    await members.led();
    const { cluster, dropped: before } = await statusOf(members, only!);
    expect(Object.values(before).every((count) => count === 0)).toBe(true);

    const send = await sender(scope, only!);
    const payload = new TextEncoder().encode('not a word of gossip');
    const sealer = (seed: number, of: string, n: number): DatagramSealer =>
      new DatagramSealer({
        keys: new Keyring([secret(seed)]),
        self: { id: uid(n), boot: 1 },
        cluster: clusterTag(of),
        counter: 1,
      });
    const sound = sealer(7, cluster, 1).seal(payload)!;
    const forged = Buffer.from(sound);
    forged[forged.length - 1]! ^= 1;
    const version = Buffer.from(sound);
    version[0]! ^= 0x7f;
    const frames: Readonly<Record<string, Uint8Array>> = {
      truncated: sound.subarray(0, 20),
      oversized: Buffer.concat([sound, Buffer.alloc(4000)]),
      key: sealer(8, cluster, 2).seal(payload)!,
      forged,
      cluster: sealer(7, 'another', 3).seal(payload)!,
      replayed: sound,
      malformed: version,
    };
    // The first of these is let in, and found to be no word; from then on it was there before.
    await send(sound);
    const rounds = 20;
    for (let i = 1; i <= rounds; i++) {
      for (const frame of Object.values(frames)) await send(frame);
      // One round after the other: a socket that is not read holds few. 'malformed' may be told as another version.
      await until('all are counted', async () => {
        const { dropped } = await statusOf(members, only!);
        const odd = (dropped['malformed'] ?? 0) + (dropped['version'] ?? 0);
        const isCounted = (reason: string): boolean => reason === 'malformed' || dropped[reason] === i;
        if (odd === i && Object.keys(frames).every(isCounted)) return true;
        throw new Error(`${i} sent of each: ${JSON.stringify(dropped)}`);
      });
    }
    const page = await (await members.ask(only!, '/metrics')).text();
    for (const reason of ['truncated', 'oversized', 'key', 'forged', 'cluster', 'replayed'])
      expect(page).toContain(`\nevenkeel_cluster_frames_dropped_total{reason="${reason}"} ${rounds}\n`);

    const linesOf = (): readonly string[] =>
      only!
        .child!.output()
        .split('\n')
        .filter((line) => line.includes('"cluster-problem"'));
    const told = (words: string): number => linesOf().filter((line) => line.includes(words)).length;
    // What it wrote last may still be in the pipe.
    await until('all are told', () => words.every((one) => told(one) > 0));
    expect(words.map((one) => [one, told(one)])).toEqual(words.map((one) => [one, 1]));
    await members.written(only!, 'k', 'v');
  });

  it('on a connection end it, and are counted; strangers are few', async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 1);
    const [only] = members.seats;
    members.start(only!);
    await members.led();
    const port = Number(only!.address.split(':')[1]);
    const closed = Array.from({ length: 5 }, () => {
      const socket = connect(port, '127.0.0.1', () => void socket.write(Buffer.alloc(5000, 0x41)));
      scope.own({ stop: () => void socket.destroy() });
      return new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
    });
    await Promise.all(closed);
    const { dropped } = await statusOf(members, only!);
    expect(Object.values(dropped).reduce((sum, count) => sum + count, 0)).toBe(5);
    await members.written(only!, 'k', 'v');
  });
});

describe('requests beyond the bounds', () => {
  it('are 413 with what and how much, and without a quorum 503 with who is missing and when to ask again', async () => {
    const members = await Processes.of(testScope(), 3);
    members.start(...members.seats);
    const leader = await members.led();
    const put = (key: string, value: string): Promise<Response> =>
      members.ask(leader, `/api/ha/state/${key}`, { method: 'PUT', body: JSON.stringify({ value }) });
    const key = await put('k'.repeat(1025), 'v');
    expect([key.status, await key.json()]).toMatchObject([413, { what: 'key', size: 1025, max: 1024 }]);
    expect((await put('k'.repeat(1024), 'v')).status).toBe(200);
    const value = await put('k', 'v'.repeat(1024 * 1024));
    expect([value.status, await value.json()]).toMatchObject([413, { what: 'value', max: 1024 * 1024 }]);
    expect((await put('k', 'v'.repeat(1024 * 1024 - 2))).status).toBe(200);
    expect((await put('k', 'v'.repeat(3 * 1024 * 1024))).status).toBe(413);

    const others = members.seats.filter((seat) => seat !== leader);
    await Promise.all(others.map((seat) => members.end(seat, 'SIGKILL')));
    const refused = await until(
      'it is refused',
      async () => {
        const answer = await put('k', 'v');
        const body = (await answer.json()) as { readonly missing?: readonly string[]; readonly reason?: string };
        return body.missing?.length === 2 ? { status: answer.status, headers: answer.headers, body } : null;
      },
      { withinMs: 40_000 },
    );
    expect([refused.status, refused.headers.get('retry-after'), refused.body.reason]).toEqual([503, '1', 'no-quorum']);
    expect([...refused.body.missing!].sort()).toEqual(others.map(({ name }) => name).sort());
  });
});

describe('a cluster that could not survive the loss of a zone', () => {
  it('says so in its status', async () => {
    const members = await Processes.of(testScope(), 3, { zone: 'a' });
    members.start(...members.seats);
    const leader = await members.led();
    await until('the risk is told', async () => {
      const shown = (await (await members.ask(leader, '/api/ha/cluster')).json()) as {
        readonly risks: readonly string[];
      };
      return shown.risks.some((risk) => risk.startsWith('all 3 voters are in zone a: with it the quorum is lost'));
    });
  });
});
