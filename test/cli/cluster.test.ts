import { describe, expect, it } from 'vitest';
import { err } from '../../src/base/result.ts';
import { startWorld } from '../admin/fixture.ts';
import { memberStatus } from '../admin/ha/fixture.ts';
import { freePort } from '../helpers/ports.ts';
import { testScope } from '../helpers/scope.ts';
import { cli } from './cli.ts';
import { clusterApi } from './cluster-api.ts';

describe('evenkeel cluster status', () => {
  it('draws state, leader and members with reasons, and exits 0 with a quorum', async () => {
    const api = await clusterApi();
    const { code, stdout, stderr } = await api.run('cluster', 'status');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout.split('\n')[0]).toBe('cluster STABLE · leader node-1 · term 7 · quorum');
    expect(stdout).toMatch(/^node-1 \(asked\) +LEADER +voter +10\.0\.0\.1:7946 /m);
    expect(stdout).toMatch(/^node-3 +DEGRADED .* 1200 \/ 6\.0 s +indirect +it is 1200 .*; does not reach node-2$/m);
    expect(stdout).toContain('\nnote: all 3 voters are in zone a: with it the quorum is lost');
    expect((await api.run('cluster', 'members')).stdout.split('\n')[0]).toMatch(/^MEMBER +STATE/);
  });

  it('exits 3 without a quorum, and says who is missing', async () => {
    const api = await clusterApi();
    api.cluster.status = memberStatus({
      leader: null,
      quorum: false,
      state: 'DEGRADED',
      missing: ['node-2', 'node-3'],
    });
    const { code, stdout } = await api.run('cluster', 'status');
    expect(code).toBe(3);
    expect(stdout).toContain('no leader · term 7 · NO QUORUM · missing node-2, node-3');
    const asJson = await api.run('cluster', 'status', '--json');
    expect(asJson.code).toBe(3);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ leader: null, missing: ['node-2', 'node-3'] });
  });

  it('exits 4 when nothing answers, 1 when there is no cluster', async () => {
    const nobody = await cli(['cluster', 'status', '--admin', `127.0.0.1:${await freePort()}`]);
    expect(nobody).toMatchObject({ code: 4, stdout: '' });
    const alone = await startWorld();
    testScope().own({ stop: () => alone.close() });
    const { code, stderr } = await cli(['cluster', 'status', '--admin', `127.0.0.1:${alone.port}`]);
    expect(code).toBe(1);
    expect(stderr).toContain('No cluster');
  });
});

describe('evenkeel cluster events', () => {
  it('tells what happened, a line each', async () => {
    const api = await clusterApi();
    await api.cluster.coordinator.lock.acquire('job', { owner: 'me', ttlMs: 1000, delayMs: 0 });
    api.cluster.pass(1001);
    const { code, stdout, stderr } = await api.run('cluster', 'events');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^1\t2026-01-02T00:00:01\.001Z\tlock lost\tjob\tme did not extend it in time; token \d+\n$/);
    expect((await api.run('cluster', 'events', '--after', '1')).stdout).toBe('');
    expect((await api.run('cluster', 'events', '--limit', '0')).code).toBe(1);
  });
});

describe('evenkeel cluster, changes', () => {
  it('transfer, leave, add and remove do what they say', async () => {
    const api = await clusterApi();
    const runs = [
      ['transfer'],
      ['transfer', '--to', 'node-2'],
      ['leave', '--keep-seat'],
      ['leave'],
      ['add', 'node-4'],
      ['remove', 'node-3', '--force'],
    ];
    for (const run of runs) expect(await api.run('cluster', ...run)).toMatchObject({ code: 0, stderr: '' });
    expect(api.cluster.called).toEqual([
      ...[null, 'node-2', false, true],
      { change: 'add', member: 'node-4', force: false },
      { change: 'remove', member: 'node-3', force: true },
    ]);
  });

  it('that are refused exit 1 with one line; 3 without a quorum; --json prints the problem', async () => {
    const api = await clusterApi();
    api.cluster.verdict = err({ kind: 'change-refused', why: 'no-such-member' });
    const refused = await api.run('cluster', 'remove', 'nobody');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toBe('Change refused: no member of that name or id is known\n');
    api.cluster.verdict = err({ kind: 'no-quorum', missing: ['node-2'] });
    const lacking = await api.run('cluster', 'transfer', '--json');
    expect(lacking.code).toBe(3);
    expect(JSON.parse(lacking.stdout)).toMatchObject({ reason: 'no-quorum', missing: ['node-2'] });
  });
});
