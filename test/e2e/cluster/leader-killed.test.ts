/** SIGKILL of the leader, again and again, while clients write. */
import { expect, it } from 'vitest';
import { pause, until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { Api } from './api.ts';
import { Clients } from './clients.ts';
import { Processes, type Seat } from './processes.ts';
import { print, proving, soonMs, spread } from './prove.ts';

const rounds = proving(5, 100);

/** When the first write that was asked for from now on is acknowledged, through any of these. */
async function firstWrite(apis: readonly Api[], key: string): Promise<number> {
  let acknowledged: number | null = null;
  const deadline = performance.now() + soonMs;
  const tryOne = async (api: Api): Promise<void> => {
    while (acknowledged === null && performance.now() < deadline) {
      const { status } = await api.ask(`/api/ha/state/${key}`, { method: 'PUT', body: { value: key } });
      if (status === 200) acknowledged ??= performance.now();
      else await pause(10);
    }
  };
  await Promise.all(apis.map(tryOne));
  if (acknowledged === null) throw new Error(`no write was acknowledged within ${soonMs} ms of the leader's end`);
  return acknowledged;
}

async function newLeader(members: Processes, old: Seat): Promise<number> {
  const [first] = members.running;
  const look = async (): Promise<boolean> => {
    const { leader, quorum } = await members.shown(first!);
    return quorum && leader !== null && leader !== old.name;
  };
  await until('another leader', look, { withinMs: soonMs });
  return performance.now();
}

it(
  `${rounds} times: another leads, and takes writes; no acknowledged write is lost`,
  async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 3);
    const apis = members.seats.map((seat) => scope.own(new Api(seat)));
    members.start(...members.seats);
    await members.led(soonMs);
    const clients = scope.own(new Clients(members, { clients: 4 }));
    const [leading, writing]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      const old = await members.led(soonMs);
      const killed = performance.now();
      const ended = members.end(old, 'SIGKILL');
      const others = apis.filter(({ seat }) => seat !== old);
      const [led, written] = await Promise.all([newLeader(members, old), firstWrite(others, `round-${round}`)]);
      leading.push(led - killed);
      writing.push(written - killed);
      await ended;
      members.start(old);
      await until(`${old.name} is back`, async () => (await members.shown(old)).quorum, { withinMs: soonMs });
    }
    await clients.finish();
    print(`leader killed, a new one known: ${spread(leading)}`);
    print(`leader killed, the first write acknowledged: ${spread(writing)}`);
    print(`clients meanwhile: ${clients.summary()}`);
    expect(clients.problems()).toEqual([]);
    for (let round = 0; round < rounds; round++) {
      expect(await members.get(members.seats[round % 3]!, `round-${round}`)).toBe(`round-${round}`);
    }
  },
  120_000 + rounds * 15_000,
);
