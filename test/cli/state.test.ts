import { describe, expect, it } from 'vitest';
import { Child } from '../helpers/child.ts';
import { until } from '../helpers/poll.ts';
import { testScope } from '../helpers/scope.ts';
import { mainFile } from './cli.ts';
import { clusterApi } from './cluster-api.ts';

describe('evenkeel state', () => {
  it('sets, gets, swaps, lists and deletes', async () => {
    const api = await clusterApi();
    const first = await api.run('state', 'set', 'app/colour', 'deep blue');
    expect(first).toMatchObject({ code: 0, stderr: '' });
    const revision = first.stdout.trim();
    expect(await api.run('state', 'get', 'app/colour')).toMatchObject({ code: 0, stdout: 'deep blue\n' });
    expect((await api.run('state', 'cas', 'app/colour', '{"n":1}', '--parse', '--revision', revision)).code).toBe(0);
    expect((await api.run('state', 'get', 'app/colour')).stdout).toBe('{"n":1}\n');
    expect((await api.run('state', 'cas', 'app/size', '7', '--absent')).code).toBe(0);
    expect((await api.run('state', 'list', 'app/')).stdout).toBe('app/colour\t{"n":1}\napp/size\t"7"\n');
    expect((await api.run('state', 'delete', 'app/size')).code).toBe(0);
    expect((await api.run('state', 'delete', 'app/size')).code).toBe(1);
  });

  it('get --json is what the API says, freshness included', async () => {
    const api = await clusterApi();
    await api.run('state', 'set', 'a', '[1]', '--parse', '--consistency', 'strong');
    const { stdout } = await api.run('state', 'get', 'a', '--json', '--consistency', 'eventual');
    expect(JSON.parse(stdout)).toMatchObject({ key: 'a', value: [1], freshness: { kind: 'local' } });
  });

  it('exits 1 for an absent key and a lost race, 3 without a quorum, 2 for a bad command line', async () => {
    const api = await clusterApi();
    expect(await api.run('state', 'get', 'nobody')).toMatchObject({ code: 1, stdout: '' });
    await api.run('state', 'set', 'a', 'x');
    const lost = await api.run('state', 'cas', 'a', 'y', '--expected', 'z');
    expect(lost.code).toBe(1);
    expect(lost.stderr).toMatch(/^Conflict: .* at revision \d+\n$/);
    expect((await api.run('state', 'cas', 'a', 'y')).code).toBe(2);
    expect((await api.run('state', 'set', 'a', '{', '--parse')).code).toBe(2);
    expect((await api.run('state', 'get', 'a', '--consistency', 'some')).code).toBe(2);
    api.cluster.refusal = { kind: 'no-quorum', missing: ['node-2'] };
    const lacking = await api.run('state', 'set', 'a', 'y');
    expect(lacking).toMatchObject({ code: 3, stdout: '' });
    expect(lacking.stderr).toContain('node-2');
  });

  it('watch prints changes as they are made, and exits 1 when the member ends', async () => {
    const api = await clusterApi();
    const args = ['state', 'watch', 'a/', '--json', '--admin', api.admin];
    const child = testScope().own(new Child(mainFile, { args }));
    await until('the begin', () => child.stdout.length === 1);
    for (const key of ['a/1', 'b']) await api.cluster.coordinator.kv.set(key, new TextEncoder().encode('1'));
    await api.cluster.coordinator.kv.delete('a/1');
    await until('two changes', () => child.stdout.length === 3);
    expect(child.stdout.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { event: 'begin', prefix: 'a/' },
      { event: 'change', key: 'a/1', value: 1, deleted: false },
      { event: 'change', key: 'a/1', deleted: true },
    ]);
    api.cluster.coordinator.close();
    expect((await child.exit).code).toBe(1);
    expect(child.stderr).toEqual(['The watch has ended: closed.']);
  });

  it('watch prints values with any character in them', async () => {
    const api = await clusterApi();
    const child = testScope().own(new Child(mainFile, { args: ['state', 'watch', '--json', '--admin', api.admin] }));
    await until('the begin', () => child.stdout.length === 1);
    const value = 'line\u2028paragraph\u2029feed\r\n\n\u0085\u0000';
    await api.cluster.coordinator.kv.set('a', new TextEncoder().encode(JSON.stringify(value)));
    await until('the change', () => child.stdout.length > 1 || child.exited !== null);
    expect(JSON.parse(child.stdout[1] ?? child.stderr.join('\n'))).toMatchObject({ key: 'a', value });
  });

  it('a token that no request can carry is told in one line', async () => {
    const api = await clusterApi();
    for (const command of [['get', 'a'], ['watch']]) {
      const { code, stderr } = await api.run('state', ...command, '--token', 'a\nb');
      expect([code, stderr], command[0]).toEqual([4, expect.stringMatching(/^Cannot read .*authorization.*\n$/)]);
    }
  });
});
