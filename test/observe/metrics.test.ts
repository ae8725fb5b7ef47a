import { describe, expect, it } from 'vitest';
import type { ObservedCluster } from '../../src/observe/cluster-source.ts';
import { histogramSamples, nodeBounds, poolBounds } from '../../src/observe/merge.ts';
import { beginScrape, families, nodeStateOf } from '../../src/observe/metrics.ts';
import { bucketCount, bucketOf } from '../../src/scoreboard/histogram.ts';
import { type PoolCounter, poolCounters } from '../../src/scoreboard/layout.ts';
import { counterRow } from '../../src/scoreboard/scoreboard.ts';
import { node, observedCluster, source, state } from './fixture.ts';

describe('metrics', () => {
  it('have unlike names with the prefix, a help, and the suffix that their type asks for', () => {
    const names = families.map((family) => family.name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, type, help } of families) {
      expect(name).toMatch(/^evenkeel_[a-z_]+$/);
      expect(help).toMatch(/\.$/);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
    }
  });

  it('have labels that are bounded by the config, never a path, an address or a host', () => {
    const from = source();
    const known = new Set([
      'version',
      'result',
      'reason',
      'thread',
      'listener',
      'route',
      'pool',
      'node',
      'code',
      'kind',
      'state',
      'le',
    ]);
    for (const family of families) {
      for (const sample of family.samples(beginScrape(from.view, from.scoreboard))) {
        for (const label of Object.keys({ ...sample.labels, ...sample.sharedLabels }))
          expect(known, family.name).toContain(label);
      }
    }
  });

  it('tell one state per node: the wish first, then ejection, then the verdict', () => {
    expect(nodeStateOf(node('p', 'a', 0))).toBe('healthy');
    expect(nodeStateOf(node('p', 'a', 0, { verdict: 'unknown' }))).toBe('unknown');
    expect(nodeStateOf(node('p', 'a', 0, { ejectedUntil: 5, fitness: 'unfit' }))).toBe('ejected');
    expect(nodeStateOf(node('p', 'a', 0, { ejectedUntil: 5, fitness: 'unfit', wish: 'maint' }))).toBe('maint');
  });
});

describe('metrics of failover', () => {
  it('are one series per pool that has it, and none where none has', () => {
    const pool = {
      ...{ pool: 'app', slot: 0, state: 'FAILED_OVER', epoch: 7, writesSent: true, automatic: true, linkFault: false },
      ...{ differing: 2, lastFailoverAt: 90_000, lastChangeMs: 250, changes: new Map([['failover', 3]]) },
    };
    const from = source(state({ failover: [pool] }));
    from.scoreboard.addPool('parked', { thread: 0, slot: 0, by: 4 });
    from.scoreboard.addPool('writing', { thread: 0, slot: 0, by: 2 });
    const counted = {
      writes: 9,
      parked: 4,
      parkFull: 1,
      parkTimeouts: 2,
      writesRefused: 3,
      readsStale: 5,
      readsLost: 6,
    };
    for (const [name, count] of Object.entries(counted))
      for (const thread of [0, 1])
        from.scoreboard.counters(thread)[counterRow.pool(0) + poolCounters.indexOf(name as PoolCounter)]! += count;
    const ours = families.filter(({ name }) => name.startsWith('evenkeel_failover_'));
    const scrape = beginScrape(from.view, from.scoreboard);
    const series = ours.flatMap(({ name, samples }) =>
      samples(scrape).map(
        ({ labels, value }) => [`${name.slice(18)} ${Object.values(labels).join(' ')}`, value] as const,
      ),
    );
    expect(Object.fromEntries(series)).toMatchObject({
      'state app FAILED_OVER': 1,
      'state app NORMAL': 0,
      'epoch app': 7,
      'writes_sent app': 1,
      'writes_waiting app': 4,
      'writes_held app': 2,
      'policies_differing app': 2,
      'last_failover_timestamp_seconds app': 90,
      'last_change_seconds app': 0.25,
      'changes_total app failover': 3,
      'changes_total app switchover': 0,
      'writes_total app': 18,
      'writes_waited_total app': 8,
      'writes_refused_total app full': 2,
      'writes_refused_total app timeout': 4,
      'writes_refused_total app stopped': 6,
      'reads_total app stale': 10,
      'reads_total app primary': 0,
      'reads_lost_total app': 12,
    });
    const none = source();
    for (const { samples } of ours) expect(samples(beginScrape(none.view, none.scoreboard))).toEqual([]);
  });
});

describe('metrics of the cluster', () => {
  const values = (of: ObservedCluster | null): Record<string, number> => {
    const from = source(state({ cluster: of }));
    const scrape = beginScrape(from.view, from.scoreboard);
    const ours = families.filter(({ name }) => name.startsWith('evenkeel_cluster_'));
    return Object.fromEntries(
      ours.flatMap(({ name, samples }) =>
        samples(scrape).map(({ metricName = name, labels, value }) => [
          [metricName.slice(17), ...Object.values(labels)].join(' '),
          value,
        ]),
      ),
    );
  };

  it('say each number once, and each state', () => {
    const all = values(observedCluster());
    const buckets = Object.keys(all).filter((name) => name.includes('_bucket '));
    for (const name of buckets) delete all[name];
    expect(all).toEqual({
      ...{ 'members JOINING': 0, 'members ACTIVE': 2, 'members LEADER': 1, 'members DEGRADED': 0 },
      ...{ 'members LEAVING': 0, 'members UNREACHABLE': 0 },
      ...{ 'state FORMING': 0, 'state STABLE': 1, 'state DEGRADED': 0, 'state SPLIT_BRAIN': 0 },
      ...{ is_leader: 1, has_quorum: 1, voters: 3, term: 7, commit_index: 90, applied_index: 89, elections_total: 2 },
      ...{ 'lag_entries n1': 1, 'lag_seconds n1': 0, 'lag_entries n2': 12, 'lag_seconds n2': 1.5 },
      ...{ log_entries: 40, disk_bytes: 65536 },
      ...{ journal_commits_total: 50, journal_persists_total: 80, journal_slowest_commit_seconds: 0.25 },
      ...{ keys: 4, key_bytes: 400, locks: 2, leases: 1 },
      ...{ 'gossip_bytes_total in': 1000, 'gossip_bytes_total out': 1100 },
      ...{ 'connection_bytes_total in': 5000, 'connection_bytes_total out': 4000, unsent_total: 3 },
      ...{ 'frames_dropped_total key': 5, 'frames_dropped_total replayed': 0, 'words_refused_total amnesia': 1 },
      ...{ suspicions_total: 6, refutations_total: 5, deaths_total: 1 },
      ...{ 'writes_total committed': 2, 'writes_total no-quorum': 1 },
      ...{ commit_seconds_count: 2, commit_seconds_sum: expect.closeTo(0.004, 3) },
      ...{ lock_wait_seconds_count: 0, lock_wait_seconds_sum: 0, lock_waits: 1, watches: 2, calls: 3 },
    });
    expect(values(observedCluster())['commit_seconds_bucket 0.002048']).toBe(1);
  });

  it('are absent without one', () => {
    expect(values(null)).toEqual({});
  });
});

describe('a histogram', () => {
  it.each([poolBounds, nodeBounds])('counts every answer once, below a bound that is exact', (...bounds) => {
    const counts = new Float64Array(bucketCount);
    const times = [1, 511, 512, 1023, 1024, 40_000, 999_999, 16_777_215, 16_777_216, 80_000_000];
    for (const us of times) counts[bucketOf(us)]!++;
    const samples = histogramSamples('h', { labels: {}, counts, bounds });
    for (const { labels, value, metricName } of samples) {
      if (metricName !== 'h_bucket') continue;
      const le = labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels['le']) * 1e6;
      expect(value, `le ${labels['le']}`).toBe(times.filter((us) => us < le).length);
    }
    expect(samples.find((one) => one.metricName === 'h_count')?.value).toBe(times.length);
  });

  it('estimates the sum to the width of a bucket', () => {
    const counts = new Float64Array(bucketCount);
    counts[bucketOf(10_000)] = 1000;
    const sum = histogramSamples('h', { labels: {}, counts, bounds: poolBounds }).find(
      (one) => one.metricName === 'h_sum',
    );
    expect(sum?.value).toBeGreaterThan(8);
    expect(sum?.value).toBeLessThan(12.5);
  });
});
