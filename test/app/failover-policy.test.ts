import { describe, expect, it } from 'vitest';
import { factsOf, nodeName, policiesOf } from '../../src/app/failover-policy.ts';
import { primaryKept } from '../../src/app/failover-reload.ts';
import type { PoolStatus } from '../../src/cluster/failover/contract.ts';
import type { PoolRecord } from '../../src/cluster/failover/model.ts';
import type { Config } from '../../src/config/model.ts';
import { config } from '../config/helper.ts';

const nodes = ['{ id: a, url: http://10.0.0.1:1 }', '{ id: b, url: http://10.0.0.2:1, priority: 7 }'];
const file = (change: { nodes?: readonly string[]; failover?: string; health?: string } = {}): Config =>
  config(
    `pools: { app: { nodes: [${(change.nodes ?? nodes).join(', ')}], failover: ${change.failover ?? 'automatic'}, health: ${change.health ?? '{}'} } }\n`,
  );
const policy = (of: Config, facts: Parameters<typeof policiesOf>[1] = new Map()) => policiesOf(of, facts)[0]!;

describe('the policy of a pool', () => {
  it('is what the file says', () => {
    const { hash: _, ...rest } = policy(file({ failover: '{ promote: { post: /up, timeout: 2s }, maxLag: any }' }));
    expect(rest).toMatchObject({
      ...{ pool: 'app', mode: 'automatic', interval: 2000, timeout: 1000, failureThreshold: 3, maxLag: null },
      hooks: { promote: { kind: 'post', url: '/up', timeout: 2000 }, demote: null, rejoin: null },
      nodes: [
        { id: 'a', url: 'http://10.0.0.1:1', role: 'primary', priority: 100, candidate: true },
        { id: 'b', url: 'http://10.0.0.2:1', role: 'replica', priority: 7, candidate: true },
      ],
    });
  });

  it('has a hash of all that matters, and of nothing else', () => {
    const { hash } = policy(file());
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    const primary = '{ id: a, url: http://10.0.0.1:1, role: primary }';
    expect(policy(file({ nodes: [nodes[1]!, primary] })).hash).toBe(hash);
    expect(policy(file({ failover: '{ parking: { writes: 7 } }' })).hash).toBe(hash);
    for (const other of [
      file({ failover: 'manual' }),
      file({ failover: '{ failureThreshold: 4 }' }),
      file({ health: '{ interval: 1s }' }),
      file({ nodes: [nodes[0]!, '{ id: b, url: http://10.0.0.3:1, priority: 7 }'] }),
    ])
      expect(policy(other).hash).not.toBe(hash);
  });

  it('of a pool without failover there is none', () => {
    expect(policiesOf(file({ failover: 'off', nodes: ['http://a'] }), new Map())).toEqual([]);
  });

  it('takes role and priority of a node as members agreed, the rest from the file', () => {
    const registered = (facts: readonly (readonly [string, string])[]) =>
      factsOf([{ what: 'node', id: nodeName('app', 'b'), facts, at: 0 }]);
    expect(
      policy(
        file(),
        registered([
          ['priority', '9'],
          ['role', 'standby'],
        ]),
      ).nodes[1],
    ).toMatchObject({
      role: 'standby',
      priority: 9,
    });
    expect(
      policy(
        file(),
        registered([
          ['priority', 'x'],
          ['role', 'primary'],
        ]),
      ).nodes[1],
    ).toMatchObject({
      role: 'replica',
      priority: 7,
    });
    expect(policy(file(), registered([['priority', '9']])).hash).not.toBe(policy(file()).hash);
  });
});

describe('a reload', () => {
  const target = { node: 'a', url: 'http://10.0.0.1:1' };
  const record = { pool: 'app', epoch: 7, phase: 'open', target, last: null } as PoolRecord;
  const known = (change: Partial<PoolRecord> = {}) => ({
    status: () => ({ record: { ...record, ...change } }) as PoolStatus,
  });

  it('may change what it likes but the primary', () => {
    const to = file({ nodes: [nodes[0]!, '{ id: c, url: http://10.0.0.9:1 }'], failover: 'manual' });
    expect(primaryKept(known(), file(), to)).toEqual([]);
    expect(primaryKept({ status: () => null }, file(), file({ nodes: ['http://z'] }))).toEqual([]);
    expect(primaryKept(null, file(), file({ nodes: ['http://z'] }))).toEqual([]);
    expect(primaryKept(known(), file(), config('pools: { other: { nodes: [http://z] } }\n'))).toEqual([]);
  });

  it.each([
    [file({ nodes: [nodes[1]!] }), /node a at http:\/\/10\.0\.0\.1:1 is the primary and is not in the new config/],
    [
      file({ nodes: ['{ id: a, url: http://10.0.0.9:1 }'] }),
      /has another url in the new config, http:\/\/10\.0\.0\.9:1/,
    ],
    [file({ failover: 'off', nodes: ['http://10.0.0.1:1'] }), /would write to all its nodes: restart the process/],
  ])('is refused where it takes the primary away', (to, expected) => {
    const found = primaryKept(known(), file(), to);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });

  it('does not take traffic off a primary', () => {
    const drained = file({ nodes: ['{ id: a, url: http://10.0.0.1:1, wish: drain }', nodes[1]!] });
    expect(primaryKept(known(), file(), drained)).toEqual([
      'pool app: node a is the primary, and shall have wish drain: evenkeel failover switch app, then reload',
    ]);
    expect(primaryKept(known(), drained, drained)).toEqual([]);
    expect(primaryKept(known({ target: { node: 'b', url: 'http://10.0.0.2:1' } }), file(), drained)).toEqual([]);
  });

  it('may be the way out where nobody is primary', () => {
    for (const phase of ['failed', 'undecided'] as const)
      expect(primaryKept(known({ phase }), file(), file({ nodes: ['http://z'] }))).toEqual([]);
  });

  it('keeps both nodes of a change of primary that is under way', () => {
    const last = { epoch: 6, target: { node: 'b', url: 'http://10.0.0.2:1' } };
    const pending = known({ phase: 'pending', last });
    expect(primaryKept(pending, file(), file({ nodes: [nodes[0]!] }))).toEqual([
      expect.stringMatching(/node b at .* takes part in a change of primary and is not in the new config/),
    ]);
    expect(primaryKept(pending, file(), file({ nodes: [nodes[1]!] }))).toHaveLength(1);
  });
});
