import { describe, expect, it } from 'vitest';
import { bounds } from '../../bench/load/bounds.ts';
import { chart } from '../../bench/load/chart.ts';
import type { Sample, Scenario } from '../../bench/load/contract.ts';
import { proxyNames } from '../../bench/load/contract.ts';
import { markdown } from '../../bench/load/report.ts';
import { type Results, scenarioResult, verdictOf, verdictsOf } from '../../bench/load/results.ts';
import type { Measured } from '../../bench/load/run.ts';
import { scenarios } from '../../bench/load/scenarios.ts';
import { orderOf, quantile, quartiles, ratios } from '../../bench/load/statistics.ts';

const sample = (label: string, cpu: number): Sample => ({
  label,
  figures: { cpu, user: cpu / 4, system: (cpu * 3) / 4 },
});
const scenario: Scenario = {
  name: '100b',
  title: 'small <answers>',
  load: { kind: 'closed', path: '/100', connections: 64, head: 'bare' },
  compare: ['cpu'],
};

function measured(rounds: readonly (readonly Sample[])[]): Measured {
  return {
    scenario,
    load: scenario.load,
    limit: 100,
    ours: 'evenkeel',
    peers: ['nginx', 'undici'],
    rounds,
    loadAverage: [0.5, 1.5],
  };
}

/** Two peers; the machine is twice as slow in the second round, and ours is always 1.2 x nginx and 0.4 x undici. */
const steady = measured([
  [sample('evenkeel', 12), sample('nginx', 10), sample('undici', 30), sample('evenkeel', 12)],
  [sample('evenkeel', 24), sample('undici', 60), sample('nginx', 20), sample('evenkeel', 24)],
]);

/** The same often enough to be judged. */
const long = measured(Array.from({ length: 9 }, (_, round) => steady.rounds[round % 2]!));

describe('statistics', () => {
  it('quantiles lie between the values', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([1, 2, 3, 4, 5], 0.25)).toBe(2);
    expect(quantile([], 0.5)).toBeNaN();
    expect(quartiles([5, 1, 4, 2, 3])).toEqual({ q1: 2, median: 3, q3: 4 });
  });

  it('each peer runs beside us, whatever their number and the round', () => {
    for (let count = 1; count <= 6; count++) {
      const peers = Array.from({ length: count }, (_, i) => `p${i}`);
      for (const round of [0, 1]) {
        const order = orderOf('o', peers, round);
        expect([...new Set(order)].sort()).toEqual(['o', ...peers]);
        order.forEach((one, at) => {
          if (one !== 'o') expect([order[at - 1], order[at + 1]], order.join(' ')).toContain('o');
        });
      }
    }
    expect(orderOf('o', [], 0)).toEqual(['o']);
  });

  it('ratios are taken with the neighbour, so that a slower minute cancels out', () => {
    const { rounds } = steady;
    expect(ratios(rounds, { ours: 'evenkeel', theirs: 'nginx', figure: 'cpu' })).toEqual([1.2, 1.2]);
    expect(ratios(rounds, { ours: 'evenkeel', theirs: 'undici', figure: 'cpu' })).toEqual([0.4, 0.4]);
    expect(ratios(rounds, { ours: 'evenkeel', theirs: 'nginx', figure: 'p99' })).toEqual([]);
    expect(ratios(rounds, { ours: 'evenkeel', theirs: 'caddy', figure: 'cpu' })).toEqual([]);
  });
});

describe('verdicts', () => {
  const bound = { what: 'x', scenario: '100b', figure: 'cpu', against: 'nginx', atMost: 1.25 };

  it('a miss is a first quartile above the bound', () => {
    expect(verdictOf(bound, [long]).verdict).toBe('met');
    expect(verdictOf({ ...bound, atMost: 1.1 }, [long]).verdict).toBe('miss');
    expect(verdictOf({ ...bound, against: null, atMost: 11 }, [long]).verdict).toBe('miss');
    expect(verdictOf({ ...bound, against: null, atMost: 13 }, [long]).verdict).toBe('met');
  });

  it('few rounds and the quick form are shown, and not judged', () => {
    expect(verdictOf(bound, [steady])).toMatchObject({ verdict: 'not judged', why: '2 rounds of the 9 it takes' });
    expect(verdictOf(bound, [steady]).quartiles?.median).toBeCloseTo(1.2);
    expect(verdictOf(bound, [long], true)).toMatchObject({ verdict: 'not judged', why: 'the quick form' });
  });

  it('a title names the size that the load really had', () => {
    const load = { kind: 'idle', count: 500, webSocket: false } as const;
    const idle = { ...scenario, title: '500 idle', load };
    const title = (count: number, limit: number): string =>
      scenarioResult({ ...steady, scenario: idle, load: count === 500 ? load : { ...load, count }, limit }).title;
    expect(title(500, 1000)).toBe('500 idle');
    expect(title(25, 1000)).toBe('500 idle (here 25)');
    expect(title(500, 400)).toBe('500 idle (here 400: the limit of open files)');
  });

  it('what was not measured says why', () => {
    expect(verdictOf({ ...bound, against: 'haproxy' }, [steady]).why).toMatch(/haproxy is not part/);
    expect(verdictOf(bound, []).why).toMatch(/scenario 100b is not part/);
    expect(verdictOf({ ...bound, figure: 'p99' }, [steady]).why).toMatch(/no round/);
    for (const { verdict, why } of verdictsOf([])) expect([verdict, why === null]).toEqual(['not measured', false]);
  });
});

describe('the tables of data', () => {
  it('names are unique, and every bound is about a scenario that measures it', () => {
    expect(new Set(scenarios.map((one) => one.name)).size).toBe(scenarios.length);
    for (const bound of bounds) {
      if (bound.scenario === null) {
        expect(bound.whyNot, bound.what).toBeTruthy();
        continue;
      }
      const one = scenarios.find((candidate) => candidate.name === bound.scenario);
      expect(one?.compare, bound.what).toContain(bound.figure);
      if (bound.against === null) continue;
      const peers: readonly string[] = one?.against ? [one.against.label] : (one?.peers ?? proxyNames);
      expect(peers, bound.what).toContain(bound.against);
    }
  });
});

describe('report', () => {
  const results: Results = {
    form: 'full',
    started: '2026-05-01T00:00:00.000Z',
    tool: 'wrk',
    rounds: 2,
    seconds: 1,
    machine: { processor: 'P', cores: 2, kernel: 'K', node: 'v24', openFiles: 1024 },
    proxies: [{ name: 'nginx', title: 'nginx, 1 worker', version: '1.2' }],
    absent: ['caddy'],
    scenarios: [scenarioResult(steady)],
    verdicts: verdictsOf([long]),
    skipped: [{ scenario: 'burst', subject: 'haproxy', why: 'it failed' }],
  };

  it('has medians, ratios, verdicts, and what is missing by name', () => {
    const text = markdown(results);
    expect(text).toMatch(/\| evenkeel +\| +18\.0 \| +4\.50 \| +13\.5 \| +\|/);
    expect(text).toMatch(/\| nginx +\| +15\.0 \| .* 1\.20 \(1\.20 to 1\.20\) \|/);
    expect(text).toContain('Absent from this machine: caddy.');
    expect(text).toMatch(/CPU per request, 100 B +\| +nginx \| +1\.25 \| +1\.20 \(1\.20 to 1\.20\) \| +met \|/);
    expect(text).toContain('- burst, haproxy: it failed');
    expect(text).toContain('Too short to judge by');
  });

  it('draws a bar per subject, to scale, with texts escaped', () => {
    const svg = chart(results);
    expect(svg).toContain('small &lt;answers&gt;');
    const widths = [...svg.matchAll(/<rect x="[\d.]+" y="\d+" width="([\d.]+)" height="16"/g)].map((one) =>
      Number(one[1]),
    );
    expect(widths).toHaveLength(6);
    expect((widths[0]! + widths[1]!) / (widths[4]! + widths[5]!)).toBeCloseTo(18 / 45, 2);
  });
});
