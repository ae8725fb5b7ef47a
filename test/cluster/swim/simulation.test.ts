import { describe, expect, it } from 'vitest';
import { World } from './world.ts';

const minute = 60_000;

describe('no false death at 10 % loss over ten minutes', () => {
  for (const members of [3, 5, 10, 50]) {
    it(`of ${members} members`, () => {
      const world = new World({ members, seed: members, faults: { loss: 0.1, delayMs: [0.2, 20] } }).formed(minute);
      world.run(10 * minute);
      expect(world.events('dead')).toEqual([]);
      expect(world.until(() => world.whole(), minute)).toBeLessThan(minute);
    });
  }
});
