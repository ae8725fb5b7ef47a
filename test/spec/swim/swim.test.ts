/** One test per rule of SWIM (Das, Gupta, Motivala 2002), with the numbers of the local network. */
import { describe, expect, it } from 'vitest';
import { addressOf, claimOf, idOf } from '../../cluster/swim/world.ts';
import { Alone, ackOf, alive, dead, numberOf, pingTo, suspect } from './alone.ts';

describe('SWIM 3.1: the failure detector', () => {
  it('pings one member per protocol period of 1 s', () => {
    const alone = Alone.among(5).answerPings();
    alone.run(30_000);
    const times = alone.of('ping').map((sent) => sent.at);
    expect(times.length).toBeGreaterThanOrEqual(29);
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeCloseTo(1000, 6);
  });

  it('asks 3 others to ping a target that did not answer within 500 ms', () => {
    const alone = Alone.among(8);
    const ping = alone.next('ping');
    alone.run(499.9);
    expect(alone.of('relay')).toEqual([]);
    alone.run(0.1);
    const relays = alone.of('relay');
    expect(relays).toHaveLength(3);
    expect(new Set(relays.map((sent) => sent.to)).size).toBe(3);
    for (const relay of relays) {
      expect(relay.to).not.toBe(ping.to);
      expect(relay.datagram.message).toMatchObject({ target: idOf(numberOf(ping.to)) });
    }
  });

  it('asks only members that nobody suspects', () => {
    const alone = Alone.among(4);
    const target = numberOf(alone.next('ping').to);
    const others = [1, 2, 3, 4].filter((n) => n !== target);
    alone.gossip(others[0]!, suspect(others[1]!, others[0]!));
    alone.run(500);
    expect(
      alone
        .of('relay')
        .map((sent) => numberOf(sent.to))
        .sort(),
    ).toEqual([others[0], others[2]].sort());
  });

  it('an ack that comes through a helper clears the target', () => {
    const alone = Alone.among(5);
    const ping = alone.next('ping');
    alone.run(500);
    const relay = alone.of('relay')[0]!;
    const { seq } = relay.datagram.message as { seq: number };
    alone.hear(numberOf(relay.to), ackOf(seq));
    alone.run(499);
    expect(alone.view(numberOf(ping.to))).toMatchObject({ status: 'alive', reach: 'indirect' });
  });

  it('an ack from somebody who was not asked clears nobody', () => {
    const alone = Alone.among(5);
    const ping = alone.next('ping');
    const { seq } = ping.datagram.message as { seq: number };
    const others = [1, 2, 3, 4, 5].filter((n) => n !== numberOf(ping.to));
    alone.hear(others[0]!, ackOf(seq));
    alone.run(500);
    const asked = alone.of('relay').map((sent) => numberOf(sent.to));
    alone.hear(others.find((n) => !asked.includes(n))!, ackOf(seq));
    alone.run(500);
    expect(alone.view(numberOf(ping.to))!.status).toBe('suspect');
  });

  it('an ack with another number clears nobody', () => {
    const alone = Alone.among(1);
    const ping = alone.next('ping');
    alone.hear(1, ackOf((ping.datagram.message as { seq: number }).seq + 1));
    alone.run(1000);
    expect(alone.view(1)!.status).toBe('suspect');
  });

  it('a helper pings the target for the asker and passes its ack on', () => {
    const alone = Alone.among(3);
    alone.hear(1, { kind: 'relay', seq: 77, target: idOf(2) });
    const ping = alone.of('ping').find((sent) => sent.to === addressOf(2))!;
    const { seq } = ping.datagram.message as { seq: number };
    alone.hear(2, ackOf(seq));
    const ack = alone.of('ack')[0]!;
    expect(ack).toMatchObject({ to: addressOf(1), datagram: { message: { kind: 'ack', seq: 77 } } });
  });

  it('a helper passes on no ack of anybody but the target', () => {
    const alone = Alone.among(3);
    alone.hear(1, { kind: 'relay', seq: 77, target: idOf(2) });
    const ping = alone.of('ping').find((sent) => sent.to === addressOf(2))!;
    alone.hear(3, ackOf((ping.datagram.message as { seq: number }).seq));
    expect(alone.of('ack')).toEqual([]);
  });

  it('tries a stream when datagrams bring no answer, and believes it', () => {
    const alone = Alone.among(5);
    const ping = alone.next('ping');
    alone.run(500);
    const open = alone.opened.find((one) => one.request.kind === 'ping')!;
    expect(open).toMatchObject({ to: ping.to, timeoutMs: 500 });
    const n = numberOf(ping.to);
    const sender = { id: idOf(n), boot: 1, incarnation: 1, score: 0 };
    alone.give({ kind: 'answer', stream: open.stream, answer: { kind: 'ack', sender } });
    alone.run(400);
    expect(alone.view(n)).toMatchObject({ status: 'alive', reach: 'stream' });
  });

  it('answers a ping on a stream only for itself', () => {
    const alone = Alone.among(1);
    const sender = { id: idOf(1), boot: 1, incarnation: 1, score: 0 };
    expect(alone.request(1, { kind: 'ping', sender, target: idOf(0) })?.answer.kind).toBe('ack');
    expect(alone.request(2, { kind: 'ping', sender, target: idOf(9) })).toBeUndefined();
  });
});

describe('SWIM 4.1: dissemination', () => {
  it('gossips every 200 ms to 3 members, as long as there is news', () => {
    const alone = Alone.among(20).answerPings().run(30_000);
    alone.quiet();
    alone.gossip(1, alive(1, 2), alive(2, 2));
    alone.run(5000);
    const times = [...new Set(alone.of('gossip').map((sent) => sent.at))];
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeCloseTo(200, 6);
    for (const at of times) expect(alone.of('gossip').filter((sent) => sent.at === at).length).toBeLessThanOrEqual(3);
    alone.quiet();
    expect(alone.run(10_000).of('gossip')).toEqual([]);
  });

  for (const [members, times] of [
    [2, 4],
    [9, 4],
    [10, 8],
    [99, 8],
    [100, 12],
  ] as const) {
    it(`sends an update 4 x ceil(log10(n + 1)) times: ${times} times in a cluster of ${members}`, () => {
      const alone = Alone.among(members - 1)
        .answerPings()
        .run(120_000);
      alone.quiet();
      alone.gossip(1, alive(1, 2));
      alone.run(30_000);
      const told = alone.told('alive').filter((update) => update.claim.id === idOf(1));
      expect(told).toHaveLength(times);
    });
  }

  it('carries updates on pings and acks', () => {
    const alone = Alone.among(30).answerPings().run(60_000);
    alone.gossip(1, alive(1, 2));
    alone.quiet();
    alone.hear(2, pingTo(0, 5));
    expect(alone.of('ack')[0]!.datagram.updates).toEqual([alive(1, 2)]);
  });

  it('prefers what was sent least', () => {
    const alone = Alone.among(30).answerPings().run(60_000);
    alone.gossip(1, alive(1, 2));
    alone.run(250);
    alone.quiet();
    alone.gossip(2, alive(2, 2));
    alone.hear(3, pingTo(0, 5));
    expect(alone.of('ack')[0]!.datagram.updates[0]).toEqual(alive(2, 2));
  });

  it('a newer update about a member takes the place of an older one', () => {
    const alone = Alone.among(30).answerPings().run(60_000);
    alone.gossip(1, suspect(5, 1), alive(5, 2));
    alone.quiet();
    alone.hear(3, pingTo(0, 5));
    expect(alone.of('ack')[0]!.datagram.updates).toEqual([alive(5, 2)]);
  });

  it('no datagram is longer than 1400 bytes, however much there is to tell', () => {
    const alone = Alone.among(0);
    alone.give({ kind: 'join', seeds: [] });
    for (let n = 1; n <= 200; n++) alone.gossip(n, alive(n));
    alone.answerPings().run(60_000);
    expect(Math.max(...alone.sent.map((sent) => sent.bytes))).toBeLessThanOrEqual(1400);
    expect(Math.max(...alone.sent.map((sent) => sent.bytes))).toBeGreaterThan(1300);
  });

  it('the dead are gossiped to for 30 s', () => {
    const alone = Alone.among(3).answerPings([3]);
    alone.gossip(1, dead(3, 1));
    const buriedAt = alone.now;
    let incarnation = 2;
    for (let i = 0; i < 300; i++) {
      alone.gossip(1, alive(1, incarnation++));
      alone.run(200);
    }
    const to3 = alone.of('gossip').filter((sent) => sent.to === addressOf(3));
    expect(to3.some((sent) => sent.at - buriedAt > 25_000)).toBe(true);
    expect(to3.every((sent) => sent.at - buriedAt <= 30_000)).toBe(true);
  });
});

describe('SWIM 4.2: suspicion', () => {
  it('a member that fails its probe is suspected, not dead, and the cluster is told', () => {
    const alone = Alone.among(5);
    const target = numberOf(alone.next('ping').to);
    alone.run(1000);
    expect(alone.view(target)!.status).toBe('suspect');
    expect(alone.event('suspected')).toMatchObject([{ claim: { id: idOf(target) }, by: idOf(0) }]);
    expect(alone.told('suspect')[0]).toEqual(suspect(target, 0));
  });

  it('a suspicion that nobody refutes becomes a death, and the cluster is told', () => {
    const alone = Alone.among(2).answerPings([2]).run(30_000);
    expect(alone.view(2)).toMatchObject({ status: 'dead', state: 'UNREACHABLE' });
    expect(alone.event('dead')).toMatchObject([{ claim: { id: idOf(2) }, by: idOf(0) }]);
    expect(alone.told('dead')).toContainEqual(dead(2, 0));
  });

  const table: readonly (readonly [string, ReturnType<typeof alive>, ReturnType<typeof alive>, string])[] = [
    ['alive does not overrule a suspicion of the same incarnation', suspect(1, 2, 5), alive(1, 5), 'suspect'],
    ['alive overrules a suspicion of a lower incarnation', suspect(1, 2, 5), alive(1, 6), 'alive'],
    ['suspect overrules alive of the same incarnation', alive(1, 5), suspect(1, 2, 5), 'suspect'],
    ['suspect does not overrule alive of a higher incarnation', alive(1, 5), suspect(1, 2, 4), 'alive'],
    ['dead overrules alive of the same incarnation', alive(1, 5), dead(1, 2, 5), 'dead'],
    ['dead overrules a suspicion of the same incarnation', suspect(1, 2, 5), dead(1, 2, 5), 'dead'],
    ['dead does not overrule alive of a higher incarnation', alive(1, 5), dead(1, 2, 4), 'alive'],
    ['alive does not overrule a death of the same incarnation', dead(1, 2, 5), alive(1, 5), 'dead'],
    ['alive overrules a death of a lower incarnation', dead(1, 2, 5), alive(1, 6), 'alive'],
    ['suspect does not overrule a death', dead(1, 2, 5), suspect(1, 2, 6), 'dead'],
  ];
  for (const [rule, first, second, status] of table) {
    it(rule, () => {
      const alone = Alone.among(3);
      alone.gossip(3, first);
      alone.gossip(3, second);
      expect(alone.view(1)!.status).toBe(status);
    });
  }

  it('a member that hears of its suspicion refutes it with an incarnation above the accused one', () => {
    for (const accused of [1, 2, 40]) {
      const alone = Alone.among(3);
      alone.gossip(1, suspect(0, 1, accused));
      expect(alone.self.claim.incarnation).toBe(accused + 1);
      alone.run(300);
      expect(alone.told('alive')).toContainEqual({ kind: 'alive', claim: alone.self.claim });
    }
  });

  it('a member that hears of its death refutes it', () => {
    const alone = Alone.among(3);
    alone.gossip(1, dead(0, 1, 7));
    expect(alone.self.claim.incarnation).toBe(8);
    expect(alone.event('refuted')).toMatchObject([{ claim: { id: idOf(0) }, was: 'dead' }]);
  });

  it('an accusation that was refuted already is not refuted again', () => {
    const alone = Alone.among(3);
    alone.gossip(1, suspect(0, 1, 5));
    alone.gossip(2, suspect(0, 2, 5));
    expect(alone.self.claim.incarnation).toBe(6);
  });

  it('only the member itself raises its incarnation', () => {
    const alone = Alone.among(3).answerPings([2]).run(60_000);
    const said = [...alone.told('suspect'), ...alone.told('dead')].map((update) => update.subject);
    expect(new Set(said.map((subject) => subject.incarnation))).toEqual(new Set([1]));
  });
});

describe('SWIM 4.3: round-robin probe targets', () => {
  it('every member is probed once in each pass over the list', () => {
    const members = 12;
    const alone = Alone.among(members).answerPings().run(60_000);
    const targets = alone.of('ping').map((sent) => sent.to);
    for (let pass = 0; pass + members <= targets.length; pass += members)
      expect(new Set(targets.slice(pass, pass + members)).size).toBe(members);
  });

  it('passes differ in their order', () => {
    const alone = Alone.among(12).answerPings().run(60_000);
    const targets = alone.of('ping').map((sent) => sent.to);
    expect(targets.slice(0, 12)).not.toEqual(targets.slice(12, 24));
  });

  it('a new member comes in at a random place', () => {
    const placeOf = (seed: number): number => {
      const alone = Alone.among(10, { seed }).answerPings().run(30_000);
      alone.gossip(1, { kind: 'alive', claim: claimOf(99) });
      alone.quiet();
      alone.run(21_000);
      return alone.of('ping').findIndex((sent) => sent.to === addressOf(99));
    };
    const places = Array.from({ length: 20 }, (_, seed) => placeOf(seed));
    expect(Math.min(...places)).toBeGreaterThanOrEqual(0);
    expect(new Set(places).size).toBeGreaterThan(5);
  });

  it('a member that was dead for long and lives again is probed again', () => {
    const alone = Alone.among(3).answerPings();
    alone.gossip(1, dead(2, 1));
    alone.run(60_000);
    alone.gossip(1, alive(2, 2));
    alone.quiet();
    alone.run(10_000);
    expect(alone.of('ping').map((sent) => numberOf(sent.to))).toContain(2);
  });

  it('the dead are forgotten after a day', () => {
    const alone = Alone.among(2).answerPings();
    alone.gossip(1, dead(2, 1));
    alone.run(24 * 3_600_000 - 60_000);
    expect(alone.view(2)!.state).toBe('UNREACHABLE');
    alone.run(120_000);
    expect(alone.view(2)).toBeUndefined();
  });

  it('the dead and those who left are not probed', () => {
    const alone = Alone.among(3).answerPings();
    alone.gossip(1, dead(2, 1), { kind: 'left', subject: { id: idOf(3), boot: 1, incarnation: 1 } });
    alone.quiet();
    alone.run(20_000);
    expect(new Set(alone.of('ping').map((sent) => numberOf(sent.to)))).toEqual(new Set([1]));
  });
});
