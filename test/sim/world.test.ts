import { describe, expect, it } from 'vitest';
import { bare } from './bare.ts';
import { lineText, parseScript, scriptText } from './script.ts';
import { isFailure, runSeed } from './seeds.ts';
import { World } from './world.ts';

function played(script: string, seed = 1): World {
  const world = new World(seed, { members: 3, faultMs: 15_000, script: parseScript(script) });
  world.run();
  return world;
}

const told = (world: World, text: string): readonly string[] =>
  world.timeline.lines().filter((line) => line.includes(text));

describe('the world', () => {
  it('is the same for the same seed, to the last step', () => {
    const [one, other] = [new World(11, { members: 3 }), new World(11, { members: 3 })];
    expect(one.run().steps).toBe(other.run().steps);
    expect(one.timeline.lines()).toEqual(other.timeline.lines());
  });

  it('runs agreement and replica without the rooms between them', () => {
    const results = [3, 11, 19].map((seed) => runSeed(seed, { species: bare, script: [] }));
    expect(results.filter(isFailure)).toEqual([]);
  });

  it('forms one cluster by itself, with one leader, when nothing goes wrong', () => {
    const world = played('');
    expect(told(world, 'formed cluster')).toHaveLength(3);
    expect(world.log.leaders.size).toBe(1);
    expect(world.coverage.counts.get('answer: unknown-outcome')).toBeUndefined();
  });

  it('elects another leader when one is cut off, and the minority refuses writes', () => {
    const world = played('at 4s isolate leader for 6s');
    expect(told(world, 'no-quorum')).not.toEqual([]);
    expect(world.log.leaders.size).toBeGreaterThan(1);
    expect(world.coverage.counts.get('answer: no-quorum')).toBeGreaterThan(0);
  });

  it('goes on while leadership is handed over to one who does not answer and locks run out', () => {
    const world = played(
      'at 3s pause m1 for 900ms\nat 3s pause m2 for 900ms\nat 3.001s transfer m1\nat 6s transfer m2',
    );
    expect(world.steps).toBeLessThan(20_000);
  });

  it('survives a restart of all', () => {
    expect(told(played('at 6s restart all for 500ms'), 'starts, boot 2')).toHaveLength(3);
  });
});

describe('a script', () => {
  it('reads as it is written', () => {
    const text = 'at 1.5s crash leader for 0.8s\nat 2s cut m1 > m2\nat 3.25s net bad for 2s\n';
    expect(scriptText(parseScript(text))).toBe(text);
  });

  it('says which line it does not understand', () => {
    expect(() => parseScript('at 1s heal\nsoon heal')).toThrow('line 2: "at TIME VERB ...", not "soon heal"');
    const [line] = parseScript('at 1s explode m1');
    expect(lineText(line!)).toBe('at 1s explode m1');
    expect(() => played('at 1s explode m1')).toThrow('there is no verb "explode"');
  });
});
