/** What a member that lies, or somebody who is none, can't do. */
import { describe, expect, it } from 'vitest';
import { encodeDatagram } from '../../../src/cluster/swim/codec.ts';
import { leapMax } from '../../../src/cluster/swim/core.ts';

import { addressOf, claimOf, idOf } from '../../cluster/swim/world.ts';
import { Alone, ackOf, alive, dead, pingTo, suspect } from './alone.ts';

const far = 2 ** 48 - 1;

describe('forged numbers freeze nobody', () => {
  it('an accusation that leaps ahead is refused by all, and by the accused', () => {
    const alone = Alone.among(3);
    alone.gossip(1, dead(2, 1, far), suspect(3, 1, far), dead(0, 1, far));
    expect(alone.view(2)!.status).toBe('alive');
    expect(alone.view(3)!.status).toBe('alive');
    expect(alone.self.claim.incarnation).toBe(1);
    expect(alone.swim.counts.refused.leap).toBe(3);
  });

  it('a claim that leaps ahead is refused by all, and by its subject', () => {
    const alone = Alone.among(3);
    alone.gossip(1, alive(2, far), { kind: 'alive', claim: { ...alone.self.claim, incarnation: far } });
    expect(alone.view(2)!.claim.incarnation).toBe(1);
    expect(alone.self.claim.incarnation).toBe(1);
    expect(alone.swim.counts.refused.leap).toBe(2);
  });

  it('a boot that leaps ahead is refused', () => {
    const alone = Alone.among(3);
    alone.gossip(1, { kind: 'alive', claim: claimOf(2, { boot: 2 ** 31 }) });
    expect(alone.view(2)!.claim.boot).toBe(1);
  });

  it('the longest leap that is believed can be refuted', () => {
    const alone = Alone.among(3);
    alone.gossip(1, dead(0, 1, 1 + leapMax));
    expect(alone.self.claim.incarnation).toBe(2 + leapMax);
    alone.gossip(1, dead(2, 1, 1 + leapMax));
    expect(alone.view(2)!.status).toBe('dead');
    alone.gossip(2, alive(2, 2 + leapMax));
    expect(alone.view(2)!.status).toBe('alive');
  });

  for (const forged of [claimOf(7, { incarnation: far }), claimOf(7, { boot: 2 ** 32 - 1 })]) {
    it(`believed at first sight (boot ${forged.boot}, incarnation ${forged.incarnation}), it yields to the member's own word`, () => {
      const alone = Alone.among(3);
      alone.gossip(1, { kind: 'alive', claim: forged });
      alone.gossip(1, { kind: 'dead', subject: forged, by: idOf(1) });
      expect(alone.view(7)!.status).toBe('dead');
      alone.hear(7, { kind: 'gossip' });
      expect(alone.view(7)).toMatchObject({ status: 'alive', claim: { boot: 1, incarnation: 1 } });
      alone.gossip(1, dead(7, 1, 1));
      expect(alone.view(7)!.status).toBe('dead');
      alone.gossip(1, alive(7, 2));
      expect(alone.view(7)!.status).toBe('alive');
    });
  }

  it('a sight whose number leaps ahead is refused', () => {
    const alone = Alone.among(3);
    alone.gossip(1, { kind: 'sight', id: idOf(1), boot: 1, number: far, blindTo: [idOf(2)] });
    alone.gossip(1, { kind: 'sight', id: idOf(1), boot: 1, number: 1, blindTo: [idOf(3)] });
    expect(alone.view(1)!.blindTo).toEqual([idOf(3)]);
  });
});

describe('a stranger', () => {
  const ping = pingTo(0, 2 ** 32 - 1);

  it('gets an ack that is no longer than its ping, without gossip', () => {
    const alone = Alone.among(30);
    alone.gossip(1, dead(0, 1, 2 ** 20));
    alone.quiet();
    const sender = { id: idOf(99), boot: 0, incarnation: 0, score: 0 };
    alone.hearFrom(sender, ping);
    const asked = encodeDatagram({ sender, message: ping, updates: [] }).length;
    expect(alone.of('ack')).toHaveLength(1);
    expect(alone.of('ack')[0]!.bytes).toBeLessThanOrEqual(asked);
    expect(alone.of('ack')[0]!.datagram.updates).toEqual([]);
  });

  it('gets nobody probed', () => {
    const alone = Alone.among(3);
    alone.hear(99, { kind: 'relay', seq: 1, target: idOf(1) });
    expect(alone.sent).toEqual([]);
    expect(alone.swim.counts.refused.stranger).toBe(1);
  });

  it('answers no probe', () => {
    const alone = Alone.among(1);
    const { seq } = alone.next('ping').datagram.message as { seq: number };
    alone.hear(99, ackOf(seq));
    alone.run(1000);
    expect(alone.view(1)!.status).toBe('suspect');
  });

  it('a member of another boot than the known one is one', () => {
    const alone = Alone.among(3);
    alone.hearFrom({ id: idOf(1), boot: 7, incarnation: 0, score: 0 }, { kind: 'relay', seq: 1, target: idOf(2) });
    expect(alone.swim.counts.refused.stranger).toBe(1);
  });
});

describe('bounds', () => {
  it('a ping for somebody else is not answered', () => {
    const alone = Alone.among(2);
    alone.hear(1, pingTo(2, 1));
    expect(alone.sent).toEqual([]);
    expect(alone.swim.counts.refused.misdirected).toBe(1);
  });

  it('a frame of our own that comes back is nothing', () => {
    const alone = Alone.among(2);
    alone.hear(0, pingTo(0, 1), dead(1, 0));
    expect(alone.sent).toEqual([]);
    expect(alone.view(1)!.status).toBe('alive');
  });

  it('the member list has an end; the dead make room', () => {
    const alone = Alone.among(3, { settings: { membersMax: 3 } });
    alone.gossip(1, alive(4));
    expect(alone.view(4)).toBeUndefined();
    expect(alone.swim.counts.refused.full).toBe(1);
    alone.gossip(1, dead(2, 1), alive(4));
    expect(alone.view(2)).toBeUndefined();
    expect(alone.view(4)).toBeDefined();
  });

  it('probes on behalf of others have an end', () => {
    const alone = Alone.among(3);
    for (let seq = 0; seq < 2000; seq++) alone.hear(1, { kind: 'relay', seq, target: idOf(2) });
    expect(alone.of('ping').length).toBeLessThanOrEqual(1024);
    expect(alone.of('nack')).toHaveLength(2000 - alone.of('ping').length);
  });

  it('an answer to a stream that was never opened, or is over, is nothing', () => {
    const alone = Alone.among(1);
    const sender = { id: idOf(1), boot: 1, incarnation: 1, score: 0 };
    const entries = [{ claim: claimOf(9), status: 'alive' as const }];
    alone.give({ kind: 'answer', stream: 12_345, answer: { kind: 'sync', sender, entries, sights: [] } });
    alone.give({ kind: 'failed', stream: 12_345 });
    expect(alone.view(9)).toBeUndefined();
  });

  it('an answer of the wrong sort is a failure', () => {
    const alone = new Alone();
    alone.give({ kind: 'join', seeds: [addressOf(1)] });
    const sender = { id: idOf(1), boot: 1, incarnation: 1, score: 0 };
    alone.give({ kind: 'answer', stream: alone.opened[0]!.stream, answer: { kind: 'ack', sender } });
    expect(alone.self.state).toBe('JOINING');
    alone.run(1500);
    expect(alone.opened).toHaveLength(2);
  });
});
