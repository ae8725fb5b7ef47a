/**
 * Networks that break, in every way that nftables can cut them, while clients write: who has no majority refuses and says
 * why, who has one goes on, and when the net is whole again there is one leader, and all logs are equal.
 */
import { describe, expect, it } from 'vitest';
import { pause, until } from '../../helpers/poll.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { Api, type Reply } from './api.ts';
import { Clients } from './clients.ts';
import { Net, noNetworks } from './net.ts';
import { Processes, type Seat } from './processes.ts';
import { print, proving, soonMs } from './prove.ts';
import { differences, whole } from './whole.ts';

const missing = noNetworks();
const where = missing === null ? 'in a network of their own' : `NOT RUN: this machine has ${missing}`;
/** How long each net stays as it is, after what is expected of it has come about. */
const lastsMs = proving(1500, 10_000);
const rounds = proving(1, 5);

class World {
  readonly members: Processes;
  readonly apis: readonly Api[];
  readonly clients: Clients;
  readonly net: Net;

  private constructor(members: Processes, parts: { apis: readonly Api[]; clients: Clients; net: Net }) {
    this.members = members;
    this.apis = parts.apis;
    this.clients = parts.clients;
    this.net = parts.net;
  }

  static async of(scope: Scope, count: number): Promise<World> {
    const net = await Net.of(scope, count);
    const members = await Processes.of(scope, count, {}, net);
    const apis = members.seats.map((seat) => scope.own(new Api(seat)));
    members.start(...members.seats);
    await members.led(soonMs);
    return new World(members, { apis, net, clients: scope.own(new Clients(members, { clients: 12 })) });
  }

  /** Places of the leader, and of the others in their order. */
  async places(): Promise<{ readonly leader: number; readonly others: readonly number[] }> {
    const seat = await this.members.led(soonMs);
    const leader = this.members.seats.indexOf(seat);
    return { leader, others: this.members.seats.map((_, index) => index).filter((index) => index !== leader) };
  }

  names(places: readonly number[]): string[] {
    return places.map((index) => this.members.seats[index]!.name);
  }

  /**
   * They refuse writes, and reads that must be current; say that the quorum is missing, and as soon as they are sure of it
   * also without whom: at least so many.
   */
  async refuses(places: readonly number[], without: readonly number[], named = without.length): Promise<void> {
    const lost = this.names(without).sort();
    const refuse = async (index: number): Promise<void> => {
      const api = this.apis[index]!;
      const refusesAll = async (): Promise<boolean> => {
        const reply = await api.ask('/api/ha/state/refused', { method: 'PUT', body: { value: 1 } });
        // Sent out just before the cut: nobody knows. From then on it must be this answer.
        if (!reply.got || reply.status === 504) return false;
        expect([reply.status, reply.body['reason'], reply.headers['retry-after']]).toEqual([503, 'no-quorum', '1']);
        const names = reply.body['missing'] as readonly string[];
        expect(lost).toEqual(expect.arrayContaining([...names]));
        return names.length >= named;
      };
      await until(`${api.seat.name} says that it lacks ${lost.join(' and ')}`, refusesAll, { withinMs: soonMs });
      expect((await api.ask('/api/ha/state/unknown')).status).toBe(503);
      const local = await api.ask('/api/ha/state?prefix=k&max=1&consistency=eventual');
      expect(local.got && [local.status, (local.body['freshness'] as { kind: string }).kind]).toEqual([200, 'local']);
      expect((await this.members.shown(api.seat)).quorum).toBe(false);
    };
    await Promise.all(places.map(refuse));
  }

  /**
   * Writes that a leader has just when it is cut off: their outcome is unknown, and the same write with its ticket tells it
   * when the net is whole again. It is made once, however often it is asked for. They are asked for from now on, until one
   * is refused, or for 3 s.
   */
  underWay(place: number): () => Promise<void> {
    const { seat } = this.apis[place]!;
    const write = { method: 'PUT', body: { value: 'once' }, withinMs: soonMs } as const;
    const replies: Promise<readonly [string, Reply]>[] = [];
    let isRefused = false;
    const ask = async (path: string): Promise<readonly [string, Reply]> => {
      const reply = await this.apis[place]!.ask(path, write);
      isRefused ||= reply.status === 503;
      return [path, reply];
    };
    const asking = (async () => {
      const from = performance.now();
      for (let n = 0; !isRefused && performance.now() < from + 3000; n++) {
        replies.push(ask(`/api/ha/state/under-way-${from}-${n}`));
        await pause(40);
      }
    })();
    return async () => {
      await asking;
      const all = await Promise.all(replies);
      const found = all.find(([, { status }]) => status === 504);
      if (found === undefined) throw new Error(`none was under way: ${all.map(([, { status }]) => status)}`);
      const [path, reply] = found;
      const ticket = String(reply.got && reply.body['ticket']);
      expect(ticket).toMatch(/^[0-9a-f]{32}\.\d+\.\d+$/);
      const revisions = new Set<unknown>();
      for (let i = 0; i < 3; i++) {
        const again = await this.apis[place]!.ask(`${path}?ticket=${ticket}`, write);
        expect([seat.name, again.status]).toEqual([seat.name, 200]);
        if (again.got) revisions.add(again.body['revision']);
      }
      expect(revisions.size).toBe(1);
      for (const api of this.apis) {
        const { value, revision } = await api.get(path);
        expect([value, revisions.has(revision)]).toEqual(['once', true]);
      }
    };
  }

  /** A write through each of them is acknowledged. */
  async accepts(places: readonly number[]): Promise<void> {
    for (const index of places) {
      const seat = this.members.seats[index]!;
      await until(`a write through ${seat.name}`, () => this.members.put(seat, 'accepted', seat.name), {
        withinMs: soonMs,
      });
    }
  }

  /** Puts the net in this state, waits for what it leads to, leaves it so for a while, and heals it. */
  async during(what: string, cut: () => void | Promise<void>, expected: () => Promise<void>): Promise<Seat> {
    const from = performance.now();
    await cut();
    await expected();
    const seen = performance.now();
    await pause(lastsMs);
    this.net.heal();
    const healed = performance.now();
    const leader = await whole(this.members, this.apis);
    const [took, after] = [seen - from, performance.now() - healed].map((ms) => (ms / 1000).toFixed(2));
    print(`${what}: as it must be after ${took} s; healed: whole after ${after} s`);
    return leader;
  }

  async end(): Promise<void> {
    await this.clients.finish();
    print(`clients meanwhile: ${this.clients.summary()}`);
    expect(this.clients.problems()).toEqual([]);
    await Promise.all(this.members.running.map((seat) => this.members.end(seat, 'SIGKILL')));
    expect(differences(this.members.seats)).toEqual([]);
  }
}

describe.skipIf(missing !== null)(`partitions, ${where}`, () => {
  it(
    'three members: the leader cut off, one-way cuts, a bridge',
    async () => {
      const world = await World.of(testScope(), 3);
      const { net } = world;
      for (let round = 0; round < rounds; round++) {
        const first = await world.places();
        let ended = async (): Promise<void> => {};
        await world.during(
          'leader cut off',
          async () => {
            ended = world.underWay(first.leader);
            // While it is asked: what it has then hears of no acknowledgement, however long the other cuts take.
            await net.deafen(first.leader, first.others);
            net.split([first.leader], first.others);
          },
          async () => {
            await world.accepts(first.others);
            await world.refuses([first.leader], first.others);
          },
        );
        await ended();

        const deaf = await world.places();
        await world.during(
          'leader hears nobody',
          () => {
            for (const index of deaf.others) net.cut(index, deaf.leader);
          },
          async () => {
            await world.accepts(deaf.others);
            await world.refuses([deaf.leader], deaf.others);
          },
        );

        const mute = await world.places();
        await world.during(
          'nobody hears the leader',
          () => {
            for (const index of mute.others) net.cut(mute.leader, index);
          },
          () => world.accepts(mute.others),
        );

        const bridge = await world.places();
        const [one, both] = bridge.others;
        await world.during(
          'leader and one follower cut, the other hears both',
          () => net.split([bridge.leader, both!], [one!, both!]),
          () => world.accepts([both!, bridge.leader]),
        );
      }
      await world.end();
    },
    300_000 * rounds,
  );

  it(
    'five members: the leader in the minority, two halves with one bridge, a ring',
    async () => {
      const world = await World.of(testScope(), 5);
      const { net } = world;
      for (let round = 0; round < rounds; round++) {
        const first = await world.places();
        const [a, b, c, d] = first.others as [number, number, number, number];
        await world.during(
          'two with the leader against three',
          () => net.split([first.leader, a], [b, c, d]),
          async () => {
            await world.accepts([b, c, d]);
            await world.refuses([first.leader, a], [b, c, d], 1);
          },
        );

        const halves = await world.places();
        const [e, f, g, h] = halves.others as [number, number, number, number];
        await world.during(
          'two halves, and one that hears both',
          () => net.split([halves.leader, e, f], [f, g, h]),
          () => world.accepts([f]),
        );

        const ring = world.members.seats.map((_, index) => index);
        await world.during(
          'a ring: each hears its two neighbours',
          () => {
            for (const i of ring) for (const j of ring) if ([2, 3].includes((i - j + 5) % 5)) net.cut(i, j);
          },
          async () => {
            const someone = async (): Promise<boolean> => {
              const all = world.apis.map(({ seat }) => world.members.put(seat, 'accepted', 'ring'));
              return (await Promise.all(all)).includes(true);
            };
            await until('a write through any of them', someone, { withinMs: soonMs });
          },
        );
      }
      await world.end();
    },
    300_000 * rounds,
  );
});
