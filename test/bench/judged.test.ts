import { describe, expect, it } from 'vitest';
import { bounds } from '../../bench/load/bounds.ts';
import { expectedSeconds, judgedScenarios } from '../../bench/load/judged.ts';
import { scenarios } from '../../bench/load/scenarios.ts';

const judged = judgedScenarios(scenarios, bounds);
const pace = { quick: false, rounds: 9, seconds: 2 };

describe('npm run bench -- --judged', () => {
  it('runs each scenario that a bound names, once, and no other', () => {
    const named = new Set(bounds.flatMap((bound) => bound.scenario ?? []));
    expect(judged.map((one) => one.name)).toEqual(scenarios.map((one) => one.name).filter((name) => named.has(name)));
    expect(judged).toHaveLength(named.size);
  });

  it('has all whom a bound is held against, and nobody else', () => {
    for (const { name, peers, against } of judged) {
      const wanted = bounds.filter((bound) => bound.scenario === name).flatMap((bound) => bound.against ?? []);
      const beside = against === undefined ? peers! : [against.label];
      expect([...beside].sort(), name).toEqual([...new Set(wanted)].sort());
    }
  });

  it('fits into 35 minutes', () => {
    const peersOf = (one: (typeof judged)[number]): number => (one.against === undefined ? one.peers!.length : 1);
    expect(expectedSeconds(judged, pace, peersOf) / 60).toBeLessThan(35);
  });
});

describe('expectedSeconds()', () => {
  const scenario = scenarios.find((one) => one.name === '100b')!;

  it('grows with rounds, seconds and peers', () => {
    const one = expectedSeconds([scenario], pace, () => 1);
    // 9 rounds of two samples of 2 s, and a warm-up of each.
    expect(one).toBeGreaterThan(9 * 2 * 2 + 4);
    expect(one).toBeLessThan(9 * 2 * 3 + 12);
    expect(expectedSeconds([scenario], pace, () => 3)).toBeGreaterThan(1.8 * one);
    expect(expectedSeconds([scenario], { ...pace, seconds: 4 }, () => 1)).toBeGreaterThan(1.5 * one);
    expect(expectedSeconds([scenario, scenario], pace, () => 1)).toBe(2 * one);
  });

  it('knows that a fresh process is started for each sample', () => {
    const idle = scenarios.find((one) => one.name === 'idle')!;
    const kept = { ...idle, fresh: false };
    expect(expectedSeconds([idle], pace, () => 0)).toBeGreaterThan(expectedSeconds([kept], pace, () => 0));
  });
});
