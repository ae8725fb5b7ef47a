/** Joining, comparing, leaving, metadata, who sees whom. */
import { describe, expect, it } from 'vitest';
import type { Digest, SyncEntry } from '../../../src/cluster/swim/messages.ts';
import { addressOf, claimOf, idOf, metadata } from '../../cluster/swim/world.ts';
import { Alone, ackOf, alive, dead, numberOf, pingTo, suspect } from './alone.ts';

const sender = (n: number) => ({ id: idOf(n), boot: 1, incarnation: 1, score: 0 });
const living = (...members: readonly number[]): SyncEntry[] =>
  members.map((n) => ({ claim: claimOf(n), status: 'alive' }));
const sync = (n: number, ...members: readonly number[]) =>
  ({ kind: 'sync', sender: sender(n), entries: living(n, ...members), sights: [] }) as const;

describe('join', () => {
  it('without seeds a member is active at once', () => {
    const alone = new Alone();
    expect(alone.self.state).toBe('JOINING');
    alone.give({ kind: 'join', seeds: [] });
    expect(alone.self).toMatchObject({ state: 'ACTIVE', claim: { joining: false } });
    expect(alone.event('met')).toHaveLength(1);
  });

  it('calls every seed with its own claim, but not its own address', () => {
    const alone = new Alone();
    alone.give({ kind: 'join', seeds: [addressOf(0), addressOf(1), addressOf(2)] });
    expect(alone.opened.map((open) => open.to)).toEqual([addressOf(1), addressOf(2)]);
    expect(alone.opened[0]!.request).toMatchObject({
      kind: 'sync',
      entries: [{ claim: { id: idOf(0), joining: true } }],
    });
  });

  it('neither probes nor gossips before it has met somebody', () => {
    const alone = new Alone();
    alone.give({ kind: 'join', seeds: [addressOf(1)] });
    alone.gossip(5, alive(5));
    alone.run(30_000);
    expect(alone.sent).toEqual([]);
    expect(alone.self.state).toBe('JOINING');
  });

  it('is active when a seed has answered, and knows whom the seed knows', () => {
    const alone = new Alone();
    alone.give({ kind: 'join', seeds: [addressOf(1)] });
    alone.give({ kind: 'answer', stream: alone.opened[0]!.stream, answer: sync(1, 2, 3) });
    expect(alone.self.state).toBe('ACTIVE');
    expect(alone.swim.members().map((view) => view.claim.name)).toEqual(['m0', 'm1', 'm2', 'm3']);
    alone.run(400);
    expect(alone.told('alive').map((update) => update.claim.id)).toContain(idOf(0));
    expect(alone.told('alive').map((update) => update.claim.id)).not.toContain(idOf(2));
  });

  it('is active when another called first', () => {
    const alone = new Alone();
    alone.give({ kind: 'join', seeds: [addressOf(1)] });
    expect(alone.request(7, sync(1))?.answer.kind).toBe('sync');
    expect(alone.self.state).toBe('ACTIVE');
  });

  it('tries seeds that are down for ever, with pauses of 1 s up to 15 s', () => {
    const alone = new Alone();
    alone.give({ kind: 'join', seeds: [addressOf(1)] });
    const times: number[] = [];
    for (let i = 0; i < 40; i++) {
      const open = alone.opened[i]!;
      times.push(open.at);
      alone.give({ kind: 'failed', stream: open.stream });
      while (alone.opened.length === i + 1) alone.run(50);
    }
    const pauses = times.slice(1).map((at, i) => at - times[i]!);
    expect(pauses[0]).toBeGreaterThanOrEqual(750);
    expect(pauses[0]).toBeLessThanOrEqual(1050);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(15_050);
    expect(Math.min(...pauses.slice(5))).toBeGreaterThanOrEqual(11_250);
  });

  it('a stream that nobody reports on counts as failed', () => {
    const alone = new Alone();
    alone.give({ kind: 'join', seeds: [addressOf(1)] });
    alone.run(15_000);
    expect(alone.opened).toHaveLength(2);
  });

  it('leaves a seed alone while a living member is behind it, and calls again when it is dead', () => {
    const alone = new Alone();
    alone.give({ kind: 'join', seeds: [addressOf(1)] });
    alone.give({ kind: 'answer', stream: alone.opened[0]!.stream, answer: sync(1, 2) });
    alone.answerPings().quiet();
    alone.run(25_000);
    const toSeed = () => alone.opened.filter((open) => open.to === addressOf(1) && open.request.kind === 'sync');
    expect(toSeed()).toEqual([]);
    alone.gossip(2, dead(1, 2));
    alone.run(16_000);
    expect(toSeed().length).toBeGreaterThan(0);
  });

  it('a seed that turns out to be this member itself is not called again', () => {
    const alone = new Alone();
    alone.give({ kind: 'join', seeds: ['me.example.com:7946', addressOf(1)] });
    const open = alone.opened.find((one) => one.to === 'me.example.com:7946')!;
    alone.give({ kind: 'answer', stream: open.stream, answer: sync(0) });
    alone.quiet();
    alone.run(120_000);
    expect(alone.opened.filter((one) => one.to === 'me.example.com:7946')).toEqual([]);
    expect(alone.self.state).toBe('JOINING');
  });
});

describe('a cluster of one', () => {
  it('wakes for nothing but to look for others every 30 s', () => {
    const alone = Alone.among(0);
    let wakes = 0;
    for (; alone.swim.wakeAt() <= 300_000; wakes++) {
      alone.now = alone.swim.wakeAt();
      alone.give({ kind: 'tick' });
    }
    expect(wakes).toBeLessThanOrEqual(11);
    expect(alone.sent).toEqual([]);
  });
});

describe('push-pull', () => {
  it('every 30 s a living member is asked to compare', () => {
    const alone = Alone.among(3).answerPings();
    alone.run(300_000);
    expect(alone.opened.filter((open) => open.request.kind === 'compare')).toHaveLength(10);
  });

  const digestOf = (alone: Alone): Digest => {
    const from = alone.opened.length;
    alone.run(30_000);
    const { request } = alone.opened.slice(from).find((open) => open.request.kind === 'compare')!;
    if (request.kind !== 'compare') throw new Error('not a compare');
    return request.digest;
  };

  it('equal lists have equal digests in whatever order they were learned; others differ', () => {
    const a = Alone.among(3).answerPings();
    const b = new Alone();
    b.give({ kind: 'join', seeds: [] });
    b.gossip(2, alive(3), alive(2), alive(4), alive(1), dead(4, 2));
    b.answerPings();
    const digest = digestOf(a);
    expect(digestOf(b)).toEqual(digest);
    b.gossip(1, alive(1, 2));
    const [low, high] = digestOf(b);
    expect(low).not.toBe(digest[0]);
    expect(high).not.toBe(digest[1]);
  });

  it('the answer to a digest is same or differs, and a stranger gets differs', () => {
    const a = Alone.among(3).answerPings();
    const digest = digestOf(a);
    expect(a.request(1, { kind: 'compare', sender: sender(1), digest })?.answer.kind).toBe('same');
    expect(a.request(2, { kind: 'compare', sender: sender(1), digest: [1, 2] })?.answer.kind).toBe('differs');
    expect(a.request(3, { kind: 'compare', sender: sender(8), digest })?.answer.kind).toBe('differs');
  });

  it('lists are exchanged only if digests differ', () => {
    const alone = Alone.among(3).answerPings();
    digestOf(alone);
    const compare = alone.opened.findLast((open) => open.request.kind === 'compare')!;
    alone.give({ kind: 'answer', stream: compare.stream, answer: { kind: 'same', sender: sender(1) } });
    expect(alone.opened.filter((open) => open.request.kind === 'sync')).toEqual([]);
    digestOf(alone);
    const other = alone.opened.findLast((open) => open.request.kind === 'compare')!;
    alone.give({ kind: 'answer', stream: other.stream, answer: { kind: 'differs', sender: sender(1) } });
    expect(alone.opened.at(-1)).toMatchObject({ to: other.to, request: { kind: 'sync' } });
  });

  it('a death that is told in it is a suspicion only', () => {
    const alone = Alone.among(3);
    alone.request(1, { ...sync(1), entries: [{ claim: claimOf(2), status: 'dead' }] });
    expect(alone.view(2)!.status).toBe('suspect');
  });

  it('a death of somebody unknown is no news', () => {
    const alone = Alone.among(3);
    alone.request(1, { ...sync(1), entries: [{ claim: claimOf(9), status: 'dead' }] });
    expect(alone.view(9)).toBeUndefined();
  });

  it('own death is refuted', () => {
    const alone = Alone.among(3);
    const entries: SyncEntry[] = [...living(1), { claim: alone.self.claim, status: 'dead' }];
    const before = alone.self.claim.incarnation;
    const reply = alone.request(1, { ...sync(1), entries });
    expect(reply?.answer).toMatchObject({ entries: [{ claim: { id: idOf(0), incarnation: before + 1 } }, {}, {}, {}] });
  });

  it('what it brings is passed on', () => {
    const alone = Alone.among(3).answerPings().run(30_000);
    alone.quiet();
    alone.request(1, sync(1, 9));
    alone.run(1000);
    expect(alone.told('alive')).toContainEqual(alive(9));
  });

  it('a dead member is tried every 30 s: two halves that buried each other meet again', () => {
    const alone = Alone.among(3).answerPings();
    alone.gossip(1, dead(2, 1));
    alone.quiet();
    alone.run(60_000);
    expect(alone.opened.filter((open) => open.to === addressOf(2) && open.request.kind === 'sync')).toHaveLength(2);
  });
});

describe('a probe finds what gossip lost', () => {
  const newest = (alone: Alone) => ({ kind: 'alive', claim: alone.self.claim });

  it('a prober that knows an older incarnation or boot of the target gets its claim with the ack', () => {
    const alone = Alone.among(3, { boot: 3 }).answerPings().run(10_000);
    for (const known of [
      { boot: 3, incarnation: 0 },
      { boot: 2, incarnation: 99 },
    ]) {
      alone.quiet();
      alone.hear(1, { kind: 'ping', seq: 1, target: { id: idOf(0), ...known } });
      expect(alone.of('ack')[0]!.datagram.updates).toEqual([newest(alone)]);
    }
  });

  it('a member that does not know the prober says so, and gets its claim', () => {
    const alone = Alone.among(1).answerPings().run(10_000);
    const { seq } = alone.next('ping').datagram.message as { seq: number };
    alone.quiet();
    alone.hear(1, { kind: 'ack', seq, stranger: true });
    expect(alone.of('gossip')).toMatchObject([{ to: addressOf(1), datagram: { updates: [newest(alone)] } }]);
    alone.quiet();
    alone.hear(9, pingTo(0, 5));
    expect(alone.of('ack')[0]!.datagram.message).toEqual({ kind: 'ack', seq: 5, stranger: true });
  });

  it('one that knows the newest gets none', () => {
    const alone = Alone.among(3).answerPings().run(10_000);
    alone.quiet();
    alone.hear(1, { kind: 'ping', seq: 1, target: alone.self.claim });
    expect(alone.of('ack')[0]!.datagram.updates).toEqual([]);
  });
});

describe('leave', () => {
  it('is told to the cluster, and done when it was told often enough', () => {
    const alone = Alone.among(3).answerPings().run(10_000);
    alone.quiet();
    alone.give({ kind: 'leave' });
    expect(alone.self.state).toBe('LEAVING');
    alone.run(1000);
    expect(alone.told('left').map((update) => update.subject.id)).toEqual(Array(4).fill(idOf(0)));
    expect(alone.event('departed')).toHaveLength(1);
  });

  it('is done at once where nobody is there to tell', () => {
    const alone = Alone.among(0);
    alone.give({ kind: 'leave' });
    expect(alone.event('departed')).toHaveLength(1);
  });

  it('a leaver accuses nobody and refutes nothing', () => {
    const alone = Alone.among(2);
    alone.next('ping');
    alone.gossip(1, suspect(2, 1));
    alone.quiet();
    alone.give({ kind: 'leave' });
    alone.gossip(1, suspect(0, 1), dead(0, 1));
    alone.run(60_000);
    alone.give({ kind: 'tick' });
    expect(alone.event('suspected')).toEqual([]);
    expect(alone.event('dead')).toEqual([]);
    expect(alone.event('refuted')).toEqual([]);
  });

  it('others show LEAVING, suspect nobody, and forget it after a minute', () => {
    const alone = Alone.among(3).answerPings([2]);
    alone.gossip(2, { kind: 'left', subject: { id: idOf(2), boot: 1, incarnation: 1 } });
    expect(alone.view(2)).toMatchObject({ state: 'LEAVING', status: 'left' });
    expect(alone.event('left')).toHaveLength(1);
    alone.run(100_000);
    expect(alone.event('suspected')).toEqual([]);
    expect(alone.event('dead')).toEqual([]);
    expect(alone.view(2)).toBeUndefined();
  });

  it('a member of which a leave was forged takes it back', () => {
    const alone = Alone.among(3);
    const { id, boot, incarnation } = alone.self.claim;
    alone.gossip(2, { kind: 'left', subject: { id, boot, incarnation } });
    expect(alone.self).toMatchObject({ state: 'ACTIVE', claim: { incarnation: incarnation + 1 } });
  });
});

describe('metadata', () => {
  it('a change is told under a new incarnation and shows at the others', () => {
    const alone = Alone.among(3).answerPings();
    const before = alone.self.claim.incarnation;
    alone.give({ kind: 'metadata', metadata: { ...metadata, priority: 0, witness: true } });
    alone.run(1000);
    const told = alone.told('alive').findLast((update) => update.claim.id === idOf(0))!;
    expect(told.claim).toMatchObject({ incarnation: before + 1, metadata: { priority: 0, witness: true } });
    const changed = claimOf(1, { incarnation: 2, metadata: { ...metadata, zone: 'eu-1a' } });
    alone.gossip(2, { kind: 'alive', claim: changed });
    expect(alone.event('metadata')).toMatchObject([{ claim: changed, before: claimOf(1) }]);
    expect(alone.view(1)!.claim.metadata.zone).toBe('eu-1a');
  });

  it('own metadata out of bounds is a broken invariant', () => {
    const alone = Alone.among(1);
    expect(() => alone.give({ kind: 'metadata', metadata: { ...metadata, priority: -1 } })).toThrow(/out of bounds/);
  });
});

describe('who sees whom', () => {
  /** Nobody answers the pings of m0 but through others. */
  const throughOthers = (alone: Alone, deaf: readonly number[]): Alone => {
    alone.onSent = (sent) => {
      const { message } = sent.datagram;
      const to = numberOf(sent.to);
      if (message.kind === 'relay' || (message.kind === 'ping' && !deaf.includes(to)))
        alone.hear(to, ackOf(message.seq));
    };
    return alone;
  };

  it('a member that was reached only through others, twice in a row, is told of, once', () => {
    const alone = throughOthers(Alone.among(3), [2]);
    alone.run(30_000);
    expect(alone.view(2)).toMatchObject({ status: 'alive', reach: 'indirect' });
    expect(alone.self.blindTo).toEqual([idOf(2)]);
    expect(new Set(alone.told('sight').map((sight) => sight.number))).toEqual(new Set([1]));
    expect(alone.told('sight')[0]!.blindTo).toEqual([idOf(2)]);
  });

  it('once is not enough', () => {
    const alone = throughOthers(Alone.among(3), [2]);
    while (alone.view(2)!.reach === 'unknown') alone.run(100);
    throughOthers(alone, []).run(30_000);
    expect(alone.told('sight')).toEqual([]);
  });

  it('is kept of the others, the newest of their boot', () => {
    const alone = Alone.among(3);
    const sight = (number: number, blindTo: number[], boot = 1) =>
      ({ kind: 'sight', id: idOf(1), boot, number, blindTo: blindTo.map(idOf) }) as const;
    alone.gossip(1, sight(2, [2, 3]));
    alone.gossip(1, sight(1, [3]));
    alone.gossip(1, sight(9, [], 2));
    expect(alone.view(1)!.blindTo).toEqual([idOf(2), idOf(3)]);
    alone.gossip(1, sight(3, []));
    expect(alone.view(1)!.blindTo).toEqual([]);
  });

  it('is not told in clusters of more than 32', () => {
    const alone = throughOthers(Alone.among(32), [5]).run(150_000);
    expect(alone.view(5)).toMatchObject({ status: 'alive', reach: 'indirect' });
    expect(alone.told('sight')).toEqual([]);
  });
});
