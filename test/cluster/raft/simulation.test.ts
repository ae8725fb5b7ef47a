import { describe, expect, it } from 'vitest';
import { healMs, runWorld } from './world.ts';

const seeds = 120;

describe('the core over a bad net, with crashes, late disks, stalls and changes of who belongs', () => {
  it(`breaks no rule in ${seeds} seeds, and is whole within ${healMs} ms after the faults`, {
    timeout: 120_000,
  }, () => {
    const totals = new Map<string, number>();
    const faults = new Set<string>();
    let steps = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const result = runWorld({ seed });
      steps += result.steps;
      for (const [name, count] of Object.entries(result.counts)) totals.set(name, (totals.get(name) ?? 0) + count);
      for (const fault of result.faults.keys()) faults.add(fault);
    }
    // A run in which nothing happened proves nothing.
    expect(steps).toBeGreaterThan(200_000);
    for (const name of ['committed', 'strong', 'reads', 'leases', 'grants', 'leaders']) {
      expect(totals.get(name), name).toBeGreaterThan(500);
    }
    expect(totals.get('snapshots'), 'snapshots installed').toBeGreaterThan(20);
    expect(faults.size, [...faults].join()).toBeGreaterThanOrEqual(25);
  });

  it('the same seed gives the same run', () => {
    expect(runWorld({ seed: 7 })).toEqual(runWorld({ seed: 7 }));
  });
});
