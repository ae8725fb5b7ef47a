/**
 * SIGSTOP of the leader, as a hypervisor, a debugger or a swapping machine does it: the process is gone, its sockets take
 * requests, and when it goes on it knows of nothing. What waited for it in its sockets is then the first thing it reads.
 */
import { expect, it } from 'vitest';
import { pause, until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { Api, type Reply } from './api.ts';
import { Clients } from './clients.ts';
import { Processes, type Seat } from './processes.ts';
import { print, proving, soonMs } from './prove.ts';
import { differences, whole } from './whole.ts';

const stops = proving(1, 5);

interface Before {
  readonly revision: number;
  readonly token: number;
}

/** A key and a lock, both through the leader. The lock runs out after 1.5 s if nobody extends it. */
async function prepare(api: Api, name: string): Promise<Before> {
  const set = await api.ask(`/api/ha/state/${name}`, { method: 'PUT', body: { value: 'before' } });
  const acquire = { owner: 'first', ttlMs: 1500, delayMs: 0 };
  const held = await api.ask(`/api/ha/locks/${name}`, { method: 'POST', body: acquire });
  if (!set.got || !held.got || set.status !== 200 || held.status !== 200)
    throw new Error(`${JSON.stringify(set)} ${JSON.stringify(held)}`);
  return { revision: Number(set.body['revision']), token: Number(held.body['token']) };
}

/** Asked of a process that stands still; it reads them when it goes on. */
function ask(api: Api, name: string, { revision, token }: Before) {
  const key = `/api/ha/state/${name}`;
  const withinMs = soonMs;
  return {
    cluster: api.ask('/api/ha/cluster', { withinMs }),
    local: api.ask(`${key}?consistency=eventual`, { withinMs }),
    current: api.ask(key, { withinMs }),
    write: api.ask(`${key}-own`, { method: 'PUT', body: { value: 'stale' }, withinMs }),
    swap: api.ask(`${key}/cas`, { method: 'POST', body: { value: 'stale', revision }, withinMs }),
    extend: api.ask(`/api/ha/locks/${name}`, { method: 'PUT', body: { token, ttlMs: 60_000 }, withinMs }),
  };
}

const bodyOf = (reply: Reply): Record<string, unknown> => {
  if (!reply.got) throw new Error(`no answer: ${reply.why}`);
  return reply.body;
};

const ageOf = (reply: Reply): { kind: string; ageMs: number | null } =>
  bodyOf(reply)['freshness'] as { kind: string; ageMs: number | null };

class Stop {
  readonly #members: Processes;
  readonly #apis: readonly Api[];

  constructor(members: Processes, apis: readonly Api[]) {
    this.#members = members;
    this.#apis = apis;
  }

  #of(seat: Seat): Api {
    return this.#apis.find((api) => api.seat === seat)!;
  }

  /** `ms`: at least so long. From 3 s on the others go on before it does. */
  async run(name: string, ms: number): Promise<void> {
    const leader = await this.#members.led(soonMs);
    const api = this.#of(leader);
    const others = this.#apis.filter((one) => one !== api);
    const before = await prepare(api, name);
    const stopped = performance.now();
    leader.child!.kill('SIGSTOP');
    let asked: ReturnType<typeof ask>;
    let token = 0;
    try {
      asked = ask(api, name, before);
      if (ms >= 3000) token = await this.#goOn(others[0]!, name);
      await pause(Math.max(0, ms - (performance.now() - stopped)));
    } finally {
      leader.child!.kill('SIGCONT');
    }
    const stood = performance.now() - stopped;
    await this.#judge(leader, { name, asked, token, stood });
  }

  /** Without it: the value is changed, and another one gets the lock, whose time has run out. */
  async #goOn(api: Api, name: string): Promise<number> {
    const set = { method: 'PUT', body: { value: 'after' } } as const;
    const isSet = async (): Promise<boolean> => (await api.ask(`/api/ha/state/${name}`, set)).status === 200;
    await until('a write without the leader', isSet, { withinMs: soonMs });
    const acquire = { method: 'POST', body: { owner: 'second', ttlMs: 60_000, waitMs: 5000, delayMs: 0 } } as const;
    const hold = async (): Promise<number> => {
      const reply = await api.ask(`/api/ha/locks/${name}`, acquire);
      return reply.got && reply.status === 200 ? Number(reply.body['token']) : 0;
    };
    return until('the lock, for another', hold, { withinMs: soonMs });
  }

  async #judge(
    leader: Seat,
    was: { name: string; asked: ReturnType<typeof ask>; token: number; stood: number },
  ): Promise<void> {
    const { name, asked, token, stood } = was;
    const [cluster, local, current] = await Promise.all([asked.cluster, asked.local, asked.current]);
    const [write, swap, extend] = await Promise.all([asked.write, asked.swap, asked.extend]);
    const seen = [cluster, local, current, write, swap, extend].map(({ status }) => status).join(' ');
    print(`leader stopped for ${(stood / 1000).toFixed(2)} s; then it answered ${seen} to what had waited`);
    if (token > 0) {
      // What claims to be current is; what is old says how old.
      if (current.status === 200) expect(bodyOf(current)['value']).toBe('after');
      if (bodyOf(local)['value'] === 'before') expectOld(local, stood);
      if (bodyOf(cluster)['leader'] === leader.name) expectOld(cluster, stood);
      expect(swap.status).not.toBe(200);
      expect(extend.status).not.toBe(200);
      await until(
        `${leader.name} follows another`,
        async () => {
          const { leader: now, quorum } = await this.#members.shown(leader);
          return quorum && now !== leader.name;
        },
        { withinMs: soonMs },
      );
    }
    const other = this.#apis.find(({ seat }) => seat !== leader)!;
    const [own, value] = await Promise.all([
      other.ask(`/api/ha/state/${name}-own`),
      this.#members.get(other.seat, name),
    ]);
    if (write.status === 200) expect(bodyOf(own)['value']).toBe('stale');
    if (write.status === 503) expect(own.status).toBe(404);
    if (token > 0) expect(value).toBe('after');
  }
}

function expectOld(reply: Reply, stood: number): void {
  const { kind, ageMs } = ageOf(reply);
  expect(kind).toBe('local');
  expect(ageMs ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(stood - 1000);
}

it(
  `for 1, 3 and 10 s, ${stops} times each: it acts on nothing stale, and follows the one that leads now`,
  async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 3);
    const apis = members.seats.map((seat) => scope.own(new Api(seat)));
    members.start(...members.seats);
    await members.led(soonMs);
    const clients = scope.own(new Clients(members, { clients: 12 }));
    const stop = new Stop(members, apis);
    for (let round = 0; round < stops; round++) {
      for (const ms of [1000, 3000, 10_000]) await stop.run(`stopped-${round}-${ms}`, ms);
    }
    await clients.finish();
    await whole(members, apis);
    print(`clients meanwhile: ${clients.summary()}`);
    expect(clients.problems()).toEqual([]);
    await Promise.all(members.running.map((seat) => members.end(seat, 'SIGKILL')));
    expect(differences(members.seats)).toEqual([]);
  },
  180_000 * stops,
);
