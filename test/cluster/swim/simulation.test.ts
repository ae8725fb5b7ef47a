/**
 * Real machines over a virtual network, all messages as bytes. First faults, in which nobody must be wronged; then the
 * faults stop, and all must agree again within a bound.
 */
import { describe, expect, it } from 'vitest';
import type { Host } from './net.ts';
import { addressOf, idOf, World } from './world.ts';

const second = 1000;
const minute = 60 * second;
/** Probe periods after the end of all faults by which every member holds all others to be living. */
const boundPeriods = 60;

const cut =
  (...pairs: readonly (readonly [number, number])[]) =>
  (from: string, to: string): boolean =>
    pairs.some(([a, b]) => addressOf(a) === from && addressOf(b) === to);

describe('no false death at 10 % loss over ten minutes', () => {
  for (const members of [3, 5, 10, 50]) {
    it(`of ${members} members`, () => {
      const faults = { loss: 0.1, delayMs: [0.2, 20] as const, duplicate: 0.05 };
      const world = new World({ members, seed: members, faults }).formed(minute);
      world.run(10 * minute);
      expect(world.events('dead')).toEqual([]);
      expect(world.until(() => world.whole(), minute)).toBeLessThan(minute);
    });
  }
});

describe('a cluster forms', () => {
  for (const members of [2, 3, 5, 10]) {
    it(`of ${members} members that start at once, within 3 s`, () => {
      new World({ members, seed: members }).formed(3 * second);
    });
  }

  it('though the first seed is down, and takes it in when it comes', () => {
    const world = new World({ members: 3 });
    world.net.crash(world.host(0));
    for (const n of [1, 2]) world.join(world.host(n), 0, 1);
    world.run(10 * minute);
    expect(world.status(2, 1)).toBe('alive');
    world.hosts[0] = world.start(0);
    world.join(world.host(0), 0, 1);
    expect(world.until(() => world.whole(), 3 * second)).toBeLessThan(3 * second);
  });

  it('of two halves that formed apart, once each is a seed of somebody in the other', () => {
    const world = new World({ members: 4 });
    world.net.faults.blocked = cut([0, 2], [2, 0], [0, 3], [3, 0], [1, 2], [2, 1], [1, 3], [3, 1]);
    world.join(world.host(0), 1);
    world.join(world.host(1), 0, 2);
    world.join(world.host(2), 3);
    world.join(world.host(3), 2);
    world.run(minute);
    expect(world.status(2, 0)).toBe('unknown');
    world.net.faults.blocked = () => false;
    expect(world.until(() => world.whole(), 20 * second)).toBeLessThan(20 * second);
  });
});

describe('a crash', () => {
  for (const members of [3, 5, 20]) {
    it(`is seen by all ${members - 1} others, and the member comes back under a new boot`, () => {
      const world = new World({ members }).formed();
      world.net.crash(world.host(1));
      const all = () => world.hosts.every((_, n) => n === 1 || world.status(1, n) === 'dead');
      expect(world.until(all, 40 * second)).toBeLessThan(40 * second);
      expect(world.events('dead')).toHaveLength(members - 1);
      world.hosts[1] = world.start(1, { boot: 2 });
      world.join(world.host(1), 0);
      expect(world.until(() => world.whole(), 5 * second)).toBeLessThan(5 * second);
    });
  }

  it('a lost data folder: a new id under the name of the dead takes its place everywhere', () => {
    const world = new World({ members: 3 }).formed();
    world.net.crash(world.host(1));
    world.until(() => world.status(1, 0) === 'dead' && world.status(1, 2) === 'dead', minute);
    world.hosts[1] = world.start(1, { id: idOf(41) });
    world.join(world.host(1), 0);
    expect(world.until(() => world.whole(), 5 * second)).toBeLessThan(5 * second);
    expect(world.status(1, 0)).toBe('unknown');
  });
});

describe('partitions', () => {
  it('one way between two members: nobody dies, and all see who cannot reach whom', () => {
    const world = new World({ members: 4 }).formed();
    world.net.faults.blocked = cut([0, 1]);
    world.run(5 * minute);
    expect(world.events('dead')).toEqual([]);
    for (const host of world.hosts) {
      const views = host.swim.members();
      const blind = (n: number) => views.find((view) => view.claim.id === idOf(n))!.blindTo;
      expect(blind(0)).toEqual([idOf(1)]);
      expect(blind(1)).toEqual([idOf(0)]);
      expect(blind(2)).toEqual([]);
    }
    world.net.faults.blocked = () => false;
    const clear = () => world.hosts.every((host) => host.swim.members().every((view) => view.blindTo.length === 0));
    expect(world.until(clear, minute)).toBeLessThan(minute);
  });

  it('a bridge: two that only a third can see both stay alive', () => {
    const world = new World({ members: 3 }).formed();
    world.net.faults.blocked = cut([0, 2], [2, 0]);
    world.run(5 * minute);
    expect(world.events('dead')).toEqual([]);
  });

  for (const length of [10, 60, 600]) {
    it(`in halves for ${length} s: each buries the other if it lasts, and they meet again`, () => {
      const world = new World({ members: 5, seed: length }).formed();
      const side = (address: string): boolean => address === addressOf(0) || address === addressOf(1);
      world.net.faults.blocked = (from, to) => side(from) !== side(to);
      world.run(length * second);
      if (length >= 60) expect([world.status(4, 0), world.status(0, 4)]).toEqual(['dead', 'dead']);
      world.net.faults.blocked = () => false;
      expect(world.until(() => world.whole(), boundPeriods * second)).toBeLessThan(boundPeriods * second);
    });
  }
});

describe('a member that stands still', () => {
  for (const length of [1, 3, 10]) {
    it(`for ${length} s mistrusts itself, accuses nobody, and is whole again`, () => {
      const world = new World({ members: 5, seed: length }).formed();
      const host = world.host(2);
      world.net.pause(host);
      world.run(length * second);
      const from = world.told.length;
      world.net.resume(host);
      expect(host.swim.healthScore).toBeGreaterThan(0);
      expect(world.until(() => world.whole(), boundPeriods * second)).toBeLessThan(boundPeriods * second);
      const own = world.told.slice(from).filter((told) => told.event.kind === 'suspected' && told.event.by === idOf(2));
      expect(own).toEqual([]);
      expect(world.events('dead', host)).toEqual([]);
    });
  }
});

describe('lies', () => {
  it('a forged death is refuted before anybody else believes it for long', () => {
    const world = new World({ members: 5 }).formed();
    const claim = world.host(1).swim.members()[0]!.claim;
    const liar = { id: idOf(3), boot: 1, incarnation: 1, score: 0 };
    for (const n of [0, 2, 4]) {
      const updates = [{ kind: 'dead' as const, subject: claim, by: idOf(3) }];
      const datagram = { sender: liar, message: { kind: 'gossip' as const }, updates };
      world.net.give(world.host(n), { kind: 'datagram', from: addressOf(3), datagram });
    }
    expect(world.status(1, 0)).toBe('dead');
    expect(world.until(() => world.whole(), 2 * second)).toBeLessThan(2 * second);
    expect(world.host(1).swim.members()[0]!.claim.incarnation).toBe(claim.incarnation + 1);
  });

  it('two living members under one name: both sides say so, the second stays out', () => {
    const world = new World({ members: 3 }).formed();
    const second2 = world.start(1, { id: idOf(41), address: addressOf(41) });
    world.join(second2, 0);
    world.run(30 * second);
    expect(second2.swim.members()[0]!.state).toBe('JOINING');
    expect(world.events('conflict', second2).some((event) => event.self)).toBe(true);
    expect(world.events('conflict', world.host(1)).some((event) => event.self)).toBe(true);
    expect(world.status(41, 0)).toBe('unknown');
    expect(world.status(1, 0)).toBe('alive');
  });

  it('a copied data folder: two processes of one id and boot; the first stays, and it is told', () => {
    const world = new World({ members: 3 }).formed();
    const copy = world.start(7, { id: idOf(1), name: 'm1' });
    world.join(copy, 0);
    world.run(30 * second);
    expect(world.events('conflict', world.host(1)).some((event) => event.over === 'id' && event.self)).toBe(true);
    const held = world
      .host(0)
      .swim.members()
      .find((view) => view.claim.id === idOf(1));
    expect(held?.claim.address).toBe(addressOf(1));
  });

  it('a copy that is dead keeps the number of its start from nobody: the member itself starts with it, and is whole', () => {
    const world = new World({ members: 3 }).formed();
    world.net.crash(world.host(2));
    const copy = world.start(7, { id: idOf(2), name: 'm2', boot: 2 });
    world.join(copy, 0);
    world.until(() => world.status(2, 0) === 'alive' && world.status(2, 1) === 'alive', 30 * second);
    world.net.crash(copy);
    world.until(() => world.status(2, 0) === 'dead' && world.status(2, 1) === 'dead', minute);
    world.hosts[2] = world.start(2, { boot: 2 });
    world.join(world.host(2), 0, 1);
    expect(world.until(() => world.whole(), minute)).toBeLessThan(minute);
  });
});

describe('a member that leaves', () => {
  it('is LEAVING at all others within 2 s and dead at none', () => {
    const world = new World({ members: 10, faults: { loss: 0.1 } }).formed(minute);
    const host = world.host(4);
    world.net.give(host, { kind: 'leave' });
    const departed = () => world.events('departed', host).length > 0;
    world.until(departed, minute);
    world.net.crash(host);
    const told = () => world.hosts.every((_, n) => n === 4 || world.status(4, n) === 'left');
    expect(world.until(told, 2 * second)).toBeLessThan(2 * second);
    world.run(minute);
    expect(world.events('dead')).toEqual([]);
  });
});

describe(`after any faults have stopped, all agree within ${boundPeriods} probe periods`, () => {
  const disturb = (world: World): void => {
    const { net, random } = world;
    const any = () => random.below(world.hosts.length);
    const pairs = new Set<string>();
    net.faults.blocked = (from, to) => pairs.has(`${from} ${to}`);
    const acts: readonly (() => unknown)[] = [
      () => void pairs.add(`${addressOf(any())} ${addressOf(any())}`),
      () => pairs.clear(),
      () => Object.assign(net.faults, { loss: random.next() * 0.5 }),
      () => Object.assign(net.faults, { delayMs: [0.2, 1 + random.next() * 300] }),
      () => Object.assign(net.faults, { duplicate: random.next() * 0.3 }),
      () => stall(world, world.host(any()), random.next() * 15 * second),
      () => restart(world, any()),
    ];
    for (let i = 0; i < 30; i++) {
      acts[random.below(acts.length)]!();
      world.run(random.next() * 8 * second);
    }
    Object.assign(net.faults, { loss: 0, duplicate: 0, delayMs: [0.2, 2] });
    pairs.clear();
    for (const host of world.hosts) if (host.paused) net.resume(host);
  };

  const stall = (world: World, host: Host, ms: number): void => {
    if (host.paused || !host.running) return;
    world.net.pause(host);
    world.net.at(world.net.now + ms, () => {
      if (host.paused && host.running) world.net.resume(host);
    });
  };

  const restart = (world: World, n: number): void => {
    const boot = world.host(n).swim.members()[0]!.claim.boot + 1;
    world.net.crash(world.host(n));
    world.hosts[n] = world.start(n, { boot });
    world.join(world.host(n), 0, 1);
  };

  for (let seed = 1; seed <= 60; seed++) {
    const members = [3, 5, 8][seed % 3]!;
    it(`seed ${seed}, ${members} members`, () => {
      const world = new World({ members, seed }).formed();
      disturb(world);
      const took = world.until(() => world.whole(), boundPeriods * second);
      expect(took, world.picture()).toBeLessThan(boundPeriods * second);
    });
  }
});
