import { describe, expect, it } from 'vitest';
import type { MemberId } from '../../src/base/ids.ts';
import { seededRandom } from '../../src/base/random.ts';
import { writeDrainMs, writeLeaseMs } from '../../src/cluster/coordinator.ts';
import { safeRules } from '../../src/cluster/member/rules.ts';
import { settle } from '../../src/cluster/raft/options.ts';
import { electionTimes, lease, roundTripMost, worstCase } from '../../src/config/failover-times.ts';
import { renderConfig } from '../../src/config/print.ts';
import { config, lines, loaded, pool, warnings } from './helper.ts';

const app = (...body: string[]) => config(pool(...body)).pools[0]!;
const withNodes = (...nodes: string[]): string =>
  `pools: { app: { failover: automatic, nodes: [${nodes.join(', ')}] } }\n`;
const roles = (...nodes: string[]): string[] => config(withNodes(...nodes)).pools[0]!.nodes.map(({ role }) => role);

describe('failover', () => {
  it('is off unless the file has it', () => {
    expect(app()).toMatchObject({ failover: null, split: null });
    expect(app('failover: off')).toMatchObject({ failover: null, split: null });
  });

  it.each(['failover: automatic', 'failover: { mode: automatic }', 'failover: {}'])('is whole with %s', (line) => {
    expect(app(line).failover).toEqual({
      mode: 'automatic',
      failureThreshold: 3,
      recoveryWait: 60_000,
      failback: 'manual',
      maxAttempts: 3,
      retryAfter: 600_000,
      minInterval: 10_000,
      maxLag: 0,
      verify: false,
      withoutQuorum: 'stop',
      switchTimeout: 5000,
      demote: null,
      promote: null,
      rejoin: null,
      parking: { writes: 1000, bytes: 64 * 2 ** 20, time: 15_000 },
    });
    expect(loaded(pool(line)).warnings).toEqual([]);
  });

  it('checks nodes that are down as often as any', () => {
    expect(app('failover: automatic').health).toMatchObject({ interval: 2000, fastInterval: 500, downInterval: 2000 });
  });

  it('without split sends everything to the primary', () => {
    expect(app('failover: manual').split).toMatchObject({ reads: ['primary'], readYourWrites: { mode: 'off' } });
  });

  it('has hooks by a path, a url or a program', () => {
    const { failover } = app(
      'failover:',
      '  promote: { post: /promote }',
      '  demote: { post: "http://10.0.0.9:1/demote", timeout: 2s }',
      '  rejoin: { exec: [/usr/local/bin/rejoin, --fast, 1] }',
    );
    expect(failover).toMatchObject({
      promote: { kind: 'post', url: '/promote', timeout: 5000 },
      demote: { kind: 'post', url: 'http://10.0.0.9:1/demote', timeout: 2000 },
      rejoin: { kind: 'exec', argv: ['/usr/local/bin/rejoin', '--fast', '1'], timeout: 5000 },
    });
  });
});

describe('the first primary', () => {
  it('is the node that the file names', () => {
    expect(roles('http://a', '{ url: http://b, role: primary }')).toEqual(['replica', 'primary']);
  });

  it('is else the first of the highest priority that may be it', () => {
    expect(roles('http://a', 'http://b')).toEqual(['primary', 'replica']);
    expect(roles('http://a', '{ url: http://b, priority: 101 }', 'http://c')).toEqual([
      'replica',
      'primary',
      'replica',
    ]);
    const open = ['{ url: http://a, role: standby }', '{ url: http://b, candidate: false }', 'http://c', 'http://d'];
    expect(roles(...open)).toEqual(['standby', 'replica', 'primary', 'replica']);
  });

  it('is no node of a pool without failover', () => {
    expect(app().nodes.map(({ role }) => role)).toEqual(['replica', 'replica']);
  });
});

describe('split', () => {
  it('has defaults', () => {
    expect(app('failover: automatic', 'split: {}').split).toEqual({
      writes: 'primary',
      reads: ['replicas', 'primary'],
      maxLag: 10_000,
      minReplicas: 0,
      stale: 3_600_000,
      readYourWrites: { mode: 'session', via: 'cookie', name: 'ek-after', wait: 500, bound: 5000 },
    });
  });

  it.each([
    ['reads: any', { reads: ['any'] }],
    ['reads: [replicas]', { reads: ['replicas'] }],
    ['maxLag: any', { maxLag: null }],
    ['stale: off', { stale: 0 }],
    ['readYourWrites: off', { readYourWrites: { mode: 'off' } }],
    ['readYourWrites: false', { readYourWrites: { mode: 'off' } }],
    ['readYourWrites: { via: header }', { readYourWrites: { mode: 'session', name: 'X-HA-Token' } }],
  ])('%s', (line, split) => {
    expect(app('failover: automatic', `split: { ${line} }`).split).toMatchObject(split);
  });
});

describe('a file that could not fail over', () => {
  const two = '{ url: http://a, role: primary }';
  const auto = 'failover: automatic';
  it.each([
    [pool('split: {}'), /5:|split has no effect without failover \| add failover: automatic/],
    ['pools: { app: { nodes: [{ url: http://a, priority: 7 }] } }', /^1:\d+ .*priority has no effect without failover/],
    [withNodes(two, '{ url: http://b, role: primary }'), /two nodes with role: primary \| the first is on line 1/],
    [withNodes('{ url: http://a, role: replica }'), /no node of pool app can be its first primary/],
    [pool(auto, 'split: { minReplicas: 2 }'), /minReplicas is 2, and pool app has 1 besides its primary/],
    [pool(auto, 'retry: { methods: [GET, PUT] }'), /retry\.methods\[1\]: PUT cannot be sent again/],
    [pool('failover: { withoutQuorum: continue }'), /two primaries with mode: automatic/],
    [pool('failover: { promote: { timeout: 1s } }'), /promote has neither post nor exec \| write promote/],
    [pool('failover: { demote: { post: /a, exec: [b] } }'), /demote has post or exec, not both/],
    [pool('failover: { promote: { post: promote } }'), /neither a path such as \/promote nor a url/],
    [pool('failover: { promote: { post: "ftp://a/b" } }'), /neither a path such as \/promote nor a url/],
    [pool(auto, 'health: off'), /nobody would know that its primary is gone/],
    [pool(auto, 'health: { interval: 1s, downInterval: 2s }'), /downInterval is longer than interval, and pool app/],
    [pool('failover: { verify: true }'), /verify has no effect with checks that only connect/],
    [pool('failover: { mode: auto }'), /mode auto is not one of automatic, manual/],
    [`${pool()}routes: [{ pool: app, treatAs: read }]\n`, /treatAs has no effect in pool app, which has no failover/],
    [`${pool(auto)}routes: [{ redirect: /x, path: /y, treatAs: read }, { pool: app }]\n`, /no effect on a redirect/],
  ])('%s', (text, expected) => {
    const found = lines(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });

  it('automatically with two voters is refused, and with two and a witness is not', () => {
    const cluster = (expect: number, seeds: string) =>
      `${pool('failover: automatic')}cluster: { member: a, address: 127.0.0.1:1, seeds: [${seeds}], expect: ${expect} }\n`;
    expect(lines(cluster(2, '127.0.0.1:2')).join('\n')).toMatch(/automatic failover is not possible with 2 voters/);
    expect(loaded(cluster(3, '127.0.0.1:2, 127.0.0.1:3')).warnings).toEqual([]);
  });

  it('warns of a pool with nobody to take over, and of writes that wait too short', () => {
    expect(warnings(withNodes('http://a'))).toEqual([
      expect.stringContaining('no other node that could become primary'),
    ]);
    const slow = pool('failover: { parking: { time: 4s } }');
    expect(warnings(slow)).toEqual([expect.stringMatching(/wait for 4s, and a failover of pool app may take 5650ms/)]);
  });
});

describe('routes', () => {
  it('may say what a request is', () => {
    const text = `${pool('failover: automatic')}routes: [{ exact: /search, pool: app, treatAs: read }, { pool: app }]\n`;
    expect(config(text).routes.map(({ treatAs }) => treatAs)).toEqual(['read', null]);
  });
});

describe('a witness', () => {
  const witness = (pools: string): string =>
    `${pools}cluster: { member: w, address: 127.0.0.1:1, seeds: [127.0.0.1:2, 127.0.0.1:3], expect: 3, witness: true }\n`;

  it('watches pools with failover, and has no routes to them', () => {
    const text = witness(withNodes('http://a', 'http://b'));
    expect(config(text)).toMatchObject({ listen: [], routes: [], pools: [{ name: 'app' }] });
    expect(config(renderConfig(loaded(text)))).toEqual(config(text));
    const two = 'pools: { a: { failover: manual, nodes: [http://a] }, b: { failover: manual, nodes: [http://b] } }\n';
    expect(config(witness(two)).pools).toHaveLength(2);
  });

  it('that is made by a variable takes of a whole file what it watches', () => {
    const off = 'pools: { app: { nodes: [http://a], failover: off }, db: { nodes: [http://b], failover: manual } }\n';
    const file = `listen: ":1"\n${off}routes: [{ pool: app }]\n${witness('').replace(', witness: true', '')}`;
    const { pools, listen, routes } = config(file, { CLUSTER_WITNESS: 'true' });
    expect([pools.map(({ name }) => name), listen, routes]).toEqual([['db'], [], []]);
  });

  it('has no use for others', () => {
    expect(lines(witness(pool()))).toEqual([expect.stringContaining('pool app has no effect on a witness')]);
  });
});

describe('dataDir', () => {
  it('is used by failover, also without a cluster', () => {
    expect(loaded(`dataDir: /d\n${pool('failover: automatic')}`).warnings).toEqual([]);
  });
});

describe('variables', () => {
  const env = {
    FAILOVER_MODE: 'manual',
    FAILOVER_FAILURE_THRESHOLD: '5',
    FAILOVER_RECOVERY_WAIT: '90s',
    FAILOVER_MAX_ATTEMPTS: '2',
  };
  const expected = { mode: 'manual', failureThreshold: 5, recoveryWait: 90_000, maxAttempts: 2 };

  it.each(['failover: automatic', 'failover: { mode: automatic }', 'failover:'])('override the keys of %s', (line) => {
    expect(config(pool(line), env).pools[0]?.failover).toMatchObject(expected);
  });

  it('make no failover where the file has none', () => {
    expect(config(pool(), env).pools[0]?.failover).toBeNull();
    expect(config(pool('failover: off'), env).pools[0]?.failover).toBeNull();
  });

  it('are shown, and named when they are wrong', () => {
    expect(renderConfig(loaded(pool('failover: {}'), env))).toMatch(/mode: manual +# env FAILOVER_MODE\n/);
    expect(lines(pool('failover: automatic'), { FAILOVER_RECOVERY_WAIT: '9' })).toEqual([
      expect.stringContaining('recoveryWait (from FAILOVER_RECOVERY_WAIT) 9 has no unit'.replace(' 9 has', ' has')),
    ]);
  });
});

describe('the predicted worst case', () => {
  const { health, failover } = app('failover: { promote: { post: /promote } }');

  it('counts with the leases that members have', () => {
    expect([lease.length, lease.drain]).toEqual([writeLeaseMs, writeDrainMs]);
    expect(safeRules.withDrift(lease.length)).toBe(lease.length * (1 + lease.driftShare) + lease.drift);
  });

  it('knows the round trips for which a lease outlives a leader', () => {
    const { electionMaxMs, heartbeatMs } = settle({ id: 'a' as MemberId, boot: 1, now: 0, random: seededRandom(1) });
    expect(electionTimes).toEqual({ max: electionMaxMs, heartbeat: heartbeatMs });
    expect(lease.length).toBeGreaterThanOrEqual(electionMaxMs + 3 * heartbeatMs + 2 * roundTripMost);
    expect(roundTripMost).toBe(200);
  });

  it('adds up what each step may take', () => {
    const times = worstCase({ health: health!, failover: failover!, voters: 3 });
    expect(times).toEqual({ detect: 5200, decide: 200, fence: 3080, promote: 5000, total: 13_480 });
    expect(worstCase({ health: health!, failover: { failureThreshold: 3 }, voters: 1 }).total).toBe(5650);
  });
});
