import { describe, expect, it } from 'vitest';
import { type Clocks, SuspendDetector } from '../../../src/cluster/io/clocks.ts';

function clocks(): Clocks & { at: { now: number; wall: number; uptime: number }; run(ms: number): void } {
  const at = { now: 1000, wall: 1.7e12, uptime: 5000 };
  return {
    at,
    now: () => at.now,
    wall: () => at.wall,
    uptime: () => at.uptime,
    run: (ms) => {
      at.now += ms;
      at.wall += ms;
      at.uptime += ms;
    },
  };
}

describe('a machine that slept', () => {
  it('is seen at the first look, and once', () => {
    const world = clocks();
    const detector = new SuspendDetector(world);
    world.run(10);
    expect(detector.slept(world.now())).toBe(0);
    world.at.wall += 7000;
    world.at.uptime += 7000;
    expect(detector.slept(world.now())).toBe(7000);
    expect(detector.slept(world.now())).toBe(0);
  });

  it('is seen even if the wall clock was set back meanwhile', () => {
    const world = clocks();
    const detector = new SuspendDetector(world);
    world.at.uptime += 7000;
    world.run(1001);
    expect(detector.slept(world.now())).toBe(7000);
  });

  it('a wall clock that was set is none, nor is a gap that may be coarseness', () => {
    const world = clocks();
    const detector = new SuspendDetector(world);
    world.at.wall += 3_600_000;
    expect(detector.slept(world.now())).toBe(0);
    world.at.uptime += 25;
    world.run(5000);
    expect(detector.slept(world.now())).toBe(0);
  });

  it('is seen though it slept less than a lease’s drift would bear ten times over', () => {
    for (const ms of [40, 80, 330, 480]) {
      const world = clocks();
      const detector = new SuspendDetector(world);
      world.run(10);
      world.at.wall += ms;
      world.at.uptime += ms;
      expect(detector.slept(world.now())).toBe(ms);
    }
  });

  it('a thread that was kept waiting between two looks did not sleep', () => {
    const world = clocks();
    let waits = 0;
    const uptime = (): number => {
      world.run(waits);
      return world.at.uptime;
    };
    const late = { ...world, uptime };
    const detector = new SuspendDetector(late);
    world.run(2000);
    waits = 900;
    expect(detector.slept(world.now())).toBe(0);
    waits = 0;
    world.run(2000);
    expect(detector.slept(world.now())).toBe(0);
  });

  it('short sleeps add up', () => {
    const world = clocks();
    const detector = new SuspendDetector(world);
    for (let i = 0; i < 2; i++) {
      world.at.uptime += 20;
      world.run(2000);
    }
    expect(detector.slept(world.now())).toBe(40);
  });
});
