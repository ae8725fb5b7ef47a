import { describe, expect, it } from 'vitest';
import { Child } from '../helpers/child.ts';
import { until } from '../helpers/poll.ts';
import { testScope } from '../helpers/scope.ts';
import { mainFile } from './cli.ts';
import { clusterApi } from './cluster-api.ts';

describe('evenkeel lease', () => {
  it('grants, keeps alive and revokes; a key goes with it', async () => {
    const api = await clusterApi();
    const granted = await api.run('lease', 'grant', '30s');
    expect([granted.code, granted.stderr]).toEqual([0, '']);
    const lease = granted.stdout.trim();
    expect(lease).toMatch(/^\d+$/);
    expect((await api.run('state', 'set', 'worker', 'here', '--lease', lease)).code).toBe(0);
    expect((await api.run('state', 'cas', 'worker', 'still', '--expected', 'here', '--lease', lease)).code).toBe(0);
    expect((await api.run('lease', 'keep-alive', lease)).stdout).toBe('2026-01-02T00:00:30.000Z\n');
    expect((await api.run('lease', 'revoke', lease)).stdout).toBe(
      `lease ${lease} has ended, and its keys are deleted\n`,
    );
    expect((await api.run('state', 'get', 'worker')).code).toBe(1);
    const gone = await api.run('lease', 'keep-alive', lease);
    expect([gone.code, gone.stderr]).toEqual([1, expect.stringMatching(/lease/)]);
    const json = await api.run('lease', 'grant', '30s', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ ttlMs: 30_000 });
  });

  it('is kept alive until it is gone, or the command is ended', async () => {
    const api = await clusterApi();
    const lease = (await api.run('lease', 'grant', '10s')).stdout.trim();
    const args = ['lease', 'keep-alive', lease, '--every', '50ms', '--admin', api.admin];
    const keeper = testScope().own(new Child(mainFile, { args }));
    const kept = () => api.cluster.coordinator.replica.leases.get(Number(lease))?.expiresAt ?? 0;
    const before = kept();
    api.cluster.pass(5000);
    await until('it was kept alive', () => kept() >= before + 5000);
    await api.run('lease', 'revoke', lease);
    expect(await keeper.exit).toEqual({ code: 1, signal: null });
  });

  it.each([
    [['lease', 'grant', '0']],
    [['lease', 'grant', 'soon']],
    [['lease', 'grant', '31d']],
    [['state', 'set', 'a', 'b', '--lease', 'x']],
  ])('%j is not understood', async (args) => {
    const api = await clusterApi();
    expect((await api.run(...args)).code).toBe(2);
  });
});
