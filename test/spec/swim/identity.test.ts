/** Names, ids and boots: who is who, and what happens when two say the same. */
import { describe, expect, it } from 'vitest';
import type { SyncEntry } from '../../../src/cluster/swim/messages.ts';
import { addressOf, claimOf, idOf } from '../../cluster/swim/world.ts';
import { Alone, alive, dead, suspect } from './alone.ts';

const sender = (n: number) => ({ id: idOf(n), boot: 1, incarnation: 1, score: 0 });

describe('a name belongs to one living member', () => {
  it('a new id under a living name is refused, and both are told', () => {
    const alone = Alone.among(2);
    const claimed = claimOf(9, { name: 'm1' });
    alone.gossip(9, { kind: 'alive', claim: claimed });
    expect(alone.view(9)).toBeUndefined();
    expect(alone.event('conflict')).toEqual([
      { kind: 'conflict', over: 'name', held: claimOf(1), claimed, self: false },
    ]);
    const tellers = alone.sent.map((sent) => [sent.to, sent.datagram.updates]);
    expect(tellers).toContainEqual([addressOf(9), [alive(1)]]);
    expect(tellers).toContainEqual([addressOf(1), [{ kind: 'alive', claim: claimed }]]);
  });

  it('a suspect still holds its name', () => {
    const alone = Alone.among(3);
    alone.gossip(2, suspect(1, 2), { kind: 'alive', claim: claimOf(9, { name: 'm1' }) });
    expect(alone.view(9)).toBeUndefined();
  });

  it('a new id under the name of a dead one takes its place', () => {
    const alone = Alone.among(3);
    alone.gossip(2, dead(1, 2), { kind: 'alive', claim: claimOf(9, { name: 'm1' }) });
    expect(alone.view(1)).toBeUndefined();
    expect(alone.view(9)).toMatchObject({ status: 'alive' });
    expect(alone.event('joined')).toMatchObject([{ claim: { id: idOf(9) }, replaced: idOf(1) }]);
  });

  it('a new id under the name of one that left takes its place', () => {
    const alone = Alone.among(3);
    const left = { kind: 'left', subject: { id: idOf(1), boot: 1, incarnation: 1 } } as const;
    alone.gossip(2, left, { kind: 'alive', claim: claimOf(9, { name: 'm1' }) });
    expect(alone.event('joined')).toMatchObject([{ replaced: idOf(1) }]);
  });

  it('a member that hears its own name from another tells it', () => {
    const alone = Alone.among(2);
    alone.gossip(1, { kind: 'alive', claim: claimOf(9, { name: 'm0' }) });
    expect(alone.event('conflict')).toMatchObject([{ over: 'name', self: true, claimed: { id: idOf(9) } }]);
    expect(alone.sent.find((sent) => sent.to === addressOf(9))?.datagram.updates).toMatchObject([
      { claim: { id: idOf(0) } },
    ]);
  });

  it('a newcomer whose name is taken stays JOINING until its holder is gone', () => {
    const alone = new Alone();
    alone.give({ kind: 'join', seeds: [addressOf(1)] });
    const holder: SyncEntry = { claim: claimOf(5, { name: 'm0' }), status: 'alive' };
    const entries: SyncEntry[] = [{ claim: claimOf(1), status: 'alive' }];
    const answer = { kind: 'sync', sender: sender(1), sights: [] } as const;
    alone.give({ kind: 'answer', stream: 1, answer: { ...answer, entries: [...entries, holder] } });
    expect(alone.self.state).toBe('JOINING');
    expect(alone.event('conflict')).toMatchObject([{ over: 'name', self: true }]);
    alone.run(2000);
    const again = alone.opened.at(-1)!;
    expect(again.stream).not.toBe(1);
    alone.give({ kind: 'answer', stream: again.stream, answer: { ...answer, entries } });
    expect(alone.self.state).toBe('ACTIVE');
  });

  it('is told at most every 10 s per pair', () => {
    const alone = Alone.among(2).answerPings();
    const claimed = claimOf(9, { name: 'm1' });
    for (let i = 0; i < 100; i++) {
      alone.gossip(9, { kind: 'alive', claim: claimed });
      alone.run(250);
    }
    expect(alone.event('conflict')).toHaveLength(3);
    expect(alone.sent.filter((sent) => sent.to === addressOf(9))).toHaveLength(3);
    expect(alone.swim.counts.refused.conflict).toBe(100);
  });

  it('a flood of claimants makes no flood of answers', () => {
    const alone = Alone.among(2);
    for (let n = 10; n < 1000; n++) alone.gossip(n, { kind: 'alive', claim: claimOf(n, { name: 'm1' }) });
    expect(alone.event('conflict').length).toBeLessThanOrEqual(64);
    expect(alone.sent.length).toBeLessThanOrEqual(128);
  });
});

describe('an id belongs to one process', () => {
  it('a higher boot is the same member started anew, whatever was held of it', () => {
    const alone = Alone.among(4);
    alone.gossip(1, dead(2, 1, 500), suspect(3, 1, 500));
    for (const n of [2, 3, 4])
      alone.gossip(n, { kind: 'alive', claim: claimOf(n, { boot: 2, incarnation: 0, address: addressOf(50 + n) }) });
    for (const n of [2, 3, 4])
      expect(alone.view(n)).toMatchObject({ status: 'alive', claim: { boot: 2, address: addressOf(50 + n) } });
    expect(alone.event('joined')).toMatchObject([{ claim: { id: idOf(2) }, replaced: null }]);
    expect(alone.event('restarted').map((event) => event.claim.id)).toEqual([idOf(3), idOf(4)]);
  });

  it('words of or about an earlier boot count no more', () => {
    const alone = Alone.among(2);
    alone.gossip(1, { kind: 'alive', claim: claimOf(1, { boot: 2 }) });
    alone.gossip(2, dead(1, 2, 900), alive(1, 900));
    expect(alone.view(1)).toMatchObject({ status: 'alive', claim: { boot: 2, incarnation: 1 } });
  });

  it('the same boot at another address is a conflict, and the known one stays', () => {
    for (const incarnation of [1, 2]) {
      const alone = Alone.among(2);
      alone.gossip(2, { kind: 'alive', claim: claimOf(1, { incarnation, address: addressOf(66) }) });
      expect(alone.view(1)!.claim).toEqual(claimOf(1));
      expect(alone.event('conflict')).toMatchObject([{ over: 'id', self: false }]);
    }
  });

  it('a member that hears of a later boot of itself tells of it', () => {
    const alone = Alone.among(2);
    alone.gossip(1, { kind: 'alive', claim: { ...alone.self.claim, boot: 2 } });
    expect(alone.event('conflict')).toMatchObject([{ over: 'id', self: true }]);
  });

  it('an echo of an own older claim is nothing', () => {
    const alone = Alone.among(2);
    alone.gossip(1, { kind: 'alive', claim: alone.self.claim });
    alone.gossip(1, { kind: 'alive', claim: { ...alone.self.claim, boot: 0 } });
    expect(alone.events).toEqual([]);
  });

  it('an own boot out of bounds is a broken invariant', () => {
    expect(() => new Alone({ boot: -1 })).toThrow(/boot -1/);
  });
});
