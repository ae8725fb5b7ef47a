/** One test per rule of Lifeguard (Dadgar, Phillips, Currey 2018). */
import { describe, expect, it } from 'vitest';
import { suspicionTimeout } from '../../../src/cluster/swim/suspicion.ts';
import { addressOf, idOf } from '../../cluster/swim/world.ts';
import { Alone, ackOf, alive, dead, numberOf, pingTo, suspect } from './alone.ts';

const accuseSelf = (alone: Alone, times: number): void => {
  for (let i = 0; i < times; i++) alone.gossip(1, suspect(0, 1, alone.self.claim.incarnation));
};

/** When member n was buried, from the moment in which it was accused. */
function lifeOfSuspicion(alone: Alone, n: number): number {
  const start = alone.now;
  while (alone.view(n)!.status === 'suspect') {
    alone.now = alone.swim.wakeAt();
    alone.give({ kind: 'tick' });
  }
  return alone.now - start;
}

describe('Lifeguard: local health', () => {
  it('begins at 0 and is at most 7', () => {
    const alone = Alone.among(3);
    expect(alone.swim.healthScore).toBe(0);
    accuseSelf(alone, 20);
    expect(alone.swim.healthScore).toBe(7);
  });

  it('having to refute adds 1', () => {
    const alone = Alone.among(3);
    accuseSelf(alone, 1);
    expect(alone.swim.healthScore).toBe(1);
  });

  it('a probe that succeeds takes 1 away, down to 0', () => {
    const alone = Alone.among(3);
    accuseSelf(alone, 3);
    alone.answerPings();
    const seen: number[] = [];
    for (let i = 0; i < 5; i++) {
      alone.next('ping');
      seen.push(alone.swim.healthScore);
    }
    expect(seen).toEqual([2, 1, 0, 0, 0]);
  });

  it('a probe that fails adds 1', () => {
    const alone = Alone.among(1);
    alone.next('ping');
    alone.run(1000);
    expect(alone.swim.healthScore).toBe(1);
  });

  it('every nack that is missing adds 1', () => {
    for (const nacks of [0, 1, 2, 3]) {
      const alone = Alone.among(6);
      alone.next('ping');
      alone.run(500);
      for (const relay of alone.of('relay').slice(0, nacks)) {
        const { seq } = relay.datagram.message as { seq: number };
        alone.hear(numberOf(relay.to), { kind: 'nack', seq });
      }
      alone.run(500);
      expect(alone.swim.healthScore, `${nacks} nacks`).toBe(1 + 3 - nacks);
    }
  });

  it('the event loop standing still for more than 500 ms adds 1', () => {
    const alone = Alone.among(3);
    alone.give({ kind: 'stall', ms: 500 });
    expect(alone.swim.healthScore).toBe(0);
    alone.give({ kind: 'stall', ms: 501 });
    expect(alone.swim.healthScore).toBe(1);
  });

  it('a step that comes more than 500 ms late is such a stall; told twice it counts once', () => {
    const alone = Alone.among(3);
    alone.now = alone.swim.wakeAt() + 2000;
    alone.give({ kind: 'tick' });
    expect(alone.swim.counts.stalls).toBe(1);
    alone.give({ kind: 'stall', ms: 2000 });
    expect(alone.swim.counts.stalls).toBe(1);
    expect(alone.swim.healthScore).toBe(1);
  });

  it('stretches the probe interval and the time-out', () => {
    const alone = Alone.among(8);
    accuseSelf(alone, 2);
    const ping = alone.next('ping');
    alone.quiet();
    alone.run(3000);
    expect(alone.of('relay')[0]!.at - ping.at).toBeCloseTo(1500, 6);
    expect(alone.event('suspected')).toHaveLength(1);
    expect(alone.of('ping')[0]!.at - ping.at).toBeCloseTo(3000, 6);
  });

  it('is told to the others with every message', () => {
    const alone = Alone.among(3);
    accuseSelf(alone, 3);
    expect(alone.next('ping').datagram.sender.score).toBe(3);
    alone.hearFrom({ id: idOf(1), boot: 1, incarnation: 1, score: 5 }, { kind: 'gossip' });
    expect(alone.view(1)!.healthScore).toBe(5);
  });
});

describe('Lifeguard: nack', () => {
  it('a helper says nack after 80 % of the time-out, 400 ms, and still passes on a later ack', () => {
    const alone = Alone.among(3);
    const from = alone.now;
    alone.hear(1, { kind: 'relay', seq: 9, target: idOf(2) });
    const ping = alone.of('ping').find((sent) => sent.to === addressOf(2))!;
    alone.run(1);
    expect(alone.next('nack')).toMatchObject({ to: addressOf(1), datagram: { message: { seq: 9 } } });
    expect(alone.now - from).toBeCloseTo(400, 6);
    alone.hear(2, ackOf((ping.datagram.message as { seq: number }).seq));
    expect(alone.of('ack')[0]).toMatchObject({ to: addressOf(1), datagram: { message: { seq: 9 } } });
  });

  it('a helper that does not know the target says nack at once', () => {
    const alone = Alone.among(3);
    alone.hear(1, { kind: 'relay', seq: 9, target: idOf(77) });
    expect(alone.of('nack')).toHaveLength(1);
  });
});

describe('Lifeguard: suspicion', () => {
  it('timeout = max - (max - min) x ln(c + 1) / ln(k + 1)', () => {
    const bounds = { min: 4000, max: 24_000 };
    expect(suspicionTimeout(bounds, 0, 2)).toBe(24_000);
    expect(suspicionTimeout(bounds, 1, 2)).toBeCloseTo(24_000 - 20_000 * (Math.log(2) / Math.log(3)), 6);
    expect(suspicionTimeout(bounds, 2, 2)).toBeCloseTo(4000, 6);
    expect(suspicionTimeout(bounds, 9, 2)).toBeCloseTo(4000, 6);
    expect(suspicionTimeout(bounds, 0, 0)).toBe(4000);
  });

  it('without confirmation it lasts max = 6 x min, min = 4 x max(1, log10 n) x 1 s', () => {
    for (const others of [5, 99]) {
      const alone = Alone.among(others).answerPings();
      alone.gossip(1, suspect(2, 1));
      const min = 4000 * Math.max(1, Math.log10(others + 1));
      expect(lifeOfSuspicion(alone, 2)).toBeCloseTo(6 * min, 3);
    }
  });

  it('each independent accuser shortens it, two bring it to min', () => {
    const lives = [0, 1, 2].map((confirmations) => {
      const alone = Alone.among(8).answerPings();
      alone.gossip(1, suspect(2, 1));
      for (let i = 0; i < confirmations; i++) alone.gossip(3, suspect(2, 3 + i));
      return lifeOfSuspicion(alone, 2);
    });
    expect(lives[0]).toBeCloseTo(24_000, 3);
    expect(lives[1]).toBeCloseTo(24_000 - 20_000 * (Math.log(2) / Math.log(3)), 3);
    expect(lives[2]).toBeCloseTo(4000, 3);
  });

  it('the same accuser twice is no confirmation', () => {
    const alone = Alone.among(8).answerPings();
    alone.gossip(1, suspect(2, 1));
    alone.gossip(3, suspect(2, 1), suspect(2, 1));
    expect(lifeOfSuspicion(alone, 2)).toBeCloseTo(24_000, 3);
  });

  it('where fewer than two others could confirm it lasts min at once', () => {
    for (const others of [1, 2]) {
      const alone = Alone.among(others).answerPings();
      alone.gossip(1, suspect(others, 1));
      expect(lifeOfSuspicion(alone, others)).toBeCloseTo(4000, 3);
    }
  });

  it('a confirmation is passed on, a repetition is not', () => {
    const alone = Alone.among(30).answerPings().run(60_000);
    alone.gossip(1, suspect(2, 1));
    alone.run(5000);
    alone.quiet();
    alone.gossip(3, suspect(2, 3));
    alone.run(1000);
    expect(alone.told('suspect')).toContainEqual(suspect(2, 3));
    alone.run(2500);
    alone.quiet();
    alone.gossip(3, suspect(2, 1), suspect(2, 3));
    alone.run(200);
    expect(alone.of('gossip')).toEqual([]);
  });

  it('confirmations beyond the expected two are not passed on', () => {
    const alone = Alone.among(30).answerPings().run(60_000);
    alone.gossip(1, suspect(2, 1), suspect(2, 3), suspect(2, 4), suspect(2, 5));
    alone.quiet();
    alone.run(2000);
    expect(alone.told('suspect')).toContainEqual(suspect(2, 4));
    expect(alone.told('suspect')).not.toContainEqual(suspect(2, 5));
  });

  it('an accusation of a higher incarnation shows that the suspect has refuted since: its time begins anew', () => {
    const alone = Alone.among(8).answerPings();
    alone.gossip(1, suspect(2, 1), suspect(2, 3));
    alone.run(3500);
    alone.gossip(4, suspect(2, 4, 2));
    expect(lifeOfSuspicion(alone, 2)).toBeCloseTo(24_000, 3);
    expect(alone.event('suspected')).toHaveLength(1);
  });

  it('a suspect is called twice before it is declared dead, and may refute even then', () => {
    const alone = Alone.among(2).answerPings([2]);
    alone.gossip(1, suspect(2, 1));
    const start = alone.now;
    alone.quiet();
    alone.run(3600);
    const calls = alone.of('ping').filter((sent) => sent.to === addressOf(2) && sent.at - start >= 3000);
    expect(calls.map((sent) => sent.at - start)).toEqual(expect.arrayContaining([3000, 3500]));
    for (const call of calls) expect(call.datagram.updates[0]).toEqual(suspect(2, 1));
    alone.hear(2, ackOf(1), alive(2, 2));
    alone.run(3000);
    expect(alone.view(2)!.status).not.toBe('dead');
  });

  it('a stall of this member is added to every suspicion: nobody dies because we did not listen', () => {
    const alone = Alone.among(2).answerPings();
    alone.gossip(1, suspect(2, 1));
    alone.now += 60_000;
    alone.give({ kind: 'tick' });
    expect(alone.view(2)!.status).toBe('suspect');
    alone.gossip(2, alive(2, 2));
    alone.run(30_000);
    expect(alone.event('dead')).toEqual([]);
  });

  it('a stall voids the running probe: it accuses nobody', () => {
    const alone = Alone.among(3);
    alone.next('ping');
    alone.now += 5000;
    alone.give({ kind: 'tick' });
    expect(alone.event('suspected')).toEqual([]);
    expect(alone.swim.counts.probeFailures).toBe(0);
  });
});

describe('Lifeguard: buddy system', () => {
  it('the probe of a suspect tells it of its suspicion, whatever else waits', () => {
    const alone = Alone.among(6).answerPings().run(60_000);
    alone.gossip(1, suspect(2, 1));
    alone.run(3000);
    alone.quiet();
    while (!alone.of('ping').some((sent) => sent.to === addressOf(2))) alone.run(500);
    const ping = alone.of('ping').find((sent) => sent.to === addressOf(2))!;
    expect(ping.datagram.updates[0]).toEqual(suspect(2, 1));
  });

  it('a suspect that is probed answers with its refutation', () => {
    const alone = Alone.among(3);
    alone.hear(1, pingTo(0, 4), suspect(0, 1, 3));
    expect(alone.of('ack')[0]!.datagram.updates[0]).toEqual({ kind: 'alive', claim: alone.self.claim });
    expect(alone.self.claim.incarnation).toBe(4);
  });

  it('a member that is held dead and pings is told so', () => {
    const alone = Alone.among(3);
    alone.gossip(1, dead(2, 1));
    alone.quiet();
    alone.hear(2, pingTo(0, 4));
    expect(alone.of('ack')[0]!.datagram.updates[0]).toEqual(dead(2, 1));
  });
});
