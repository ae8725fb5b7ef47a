/** Who was wrong about a living member asks twice before it accuses again. */
import { describe, expect, it } from 'vitest';
import { Doubt } from '../../../src/cluster/swim/doubt.ts';
import { addressOf, idOf, World } from './world.ts';

const second = 1000;
const minute = 60 * second;

/** Of two, so that nobody else accuses, helps or confirms. */
function two(): { readonly world: World; cutFor: (ms: number) => number } {
  const world = new World({ members: 2 }).formed();
  world.run(10 * second);
  const accusations = (): number => world.events('suspected', world.host(0)).length;
  const cutFor = (ms: number): number => {
    const before = accusations();
    world.net.faults.blocked = (from, to) => from === addressOf(0) && to === addressOf(1);
    world.run(ms);
    world.net.faults.blocked = () => false;
    world.run(8 * second);
    return accusations() - before;
  };
  return { world, cutFor };
}

describe('a probe that fails', () => {
  it('is an accusation, where nothing was wrong lately', () => {
    const { cutFor } = two();
    expect(cutFor(1.9 * second)).toBe(1);
  });

  it('is asked again first, by whom a living member has refuted; two in a row are an accusation all the same', () => {
    const { world, cutFor } = two();
    expect(cutFor(1.9 * second)).toBe(1);
    expect(world.status(1, 0)).toBe('alive');
    expect(cutFor(1.9 * second)).toBe(0);
    expect(cutFor(9 * second)).toBe(1);
  });

  it('is an accusation again when nothing was wrong for a minute', () => {
    const { world, cutFor } = two();
    expect(cutFor(1.9 * second)).toBe(1);
    world.run(2 * minute);
    expect(cutFor(1.9 * second)).toBe(1);
  });
});

describe('30 % loss', () => {
  it('makes a member accuse far fewer of the living than its probes fail to reach, and bury none', () => {
    const world = new World({ members: 30, seed: 3, codec: false }).formed();
    world.net.faults.loss = 0.3;
    world.run(minute);
    world.told.length = 0;
    const failures = (): number => world.hosts.reduce((sum, host) => sum + host.swim.counts.probeFailures, 0);
    const before = failures();
    world.run(5 * minute);
    const own = world.hosts.flatMap((host, n) =>
      world.events('suspected', host).filter(({ by }) => by === idOf(n)),
    ).length;
    expect(failures() - before).toBeGreaterThan(200);
    expect(own).toBeLessThan((failures() - before) / 4);
    expect(world.events('dead')).toEqual([]);
  });
});

describe('doubt', () => {
  const wrong = (...heard: readonly (readonly [n: number, at: number])[]): boolean => {
    const doubt = new Doubt(minute);
    for (const [n, at] of heard) doubt.refuted(idOf(n), at);
    return doubt.asksTwice(heard.at(-1)![1]);
  };

  it('comes when three different members were accused within 10 s and live', () => {
    expect(wrong([1, 0], [2, 4000], [3, 9000])).toBe(true);
    expect(wrong([1, 0], [2, 4000])).toBe(false);
    expect(wrong([1, 0], [2, 4000], [3, 10_000])).toBe(false);
    expect(wrong([1, 0], [1, 1000], [1, 2000], [2, 3000], [1, 4000])).toBe(false);
    expect(wrong([1, 0], [1, 1000], [2, 3000], [3, 10_500])).toBe(true);
  });

  it('goes after its time', () => {
    const doubt = new Doubt(minute);
    doubt.wasWrong(5000);
    expect(doubt.asksTwice(5000 + minute - 1)).toBe(true);
    expect(doubt.asksTwice(5000 + minute)).toBe(false);
  });
});
