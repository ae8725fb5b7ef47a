import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { testScope } from '../helpers/scope.ts';
import { cli } from './cli.ts';
import { clusterApi } from './cluster-api.ts';

describe('evenkeel cluster backup', () => {
  it('keeps nothing that is no whole backup, and says so', async () => {
    const api = await clusterApi();
    const file = join(await testScope().folder(), 'kept');
    const { code, stderr } = await api.run('cluster', 'backup', file);
    expect([code, stderr]).toEqual([1, 'what the member answered is no backup of evenkeel\n']);
    expect(() => readFileSync(file)).toThrow('ENOENT');
  });

  it('exits 3 without a quorum, and takes what the member has if asked to', async () => {
    const api = await clusterApi();
    api.cluster.refusal = { kind: 'no-quorum', missing: ['node-2'] };
    const file = join(await testScope().folder(), 'kept');
    const { code, stderr } = await api.run('cluster', 'backup', file);
    expect([code, stderr]).toEqual([3, expect.stringContaining('node-2')]);
    expect((await api.run('cluster', 'backup', file, '--consistency', 'eventual')).stderr).toMatch(/is no backup/);
  });
});

describe('evenkeel cluster recover and restore', () => {
  it('say what is wrong with the folder or the file, and change nothing', async () => {
    const folder = await testScope().folder();
    const nothing = await cli(['cluster', 'recover', '--i-am-the-only-one', '--data-dir', join(folder, 'none')]);
    expect([nothing.code, nothing.stderr]).toEqual([1, expect.stringContaining("there is no member's state in")]);
    const restored = await cli(['cluster', 'restore', join(folder, 'no-file'), '--data-dir', join(folder, 'none')]);
    expect([restored.code, restored.stderr]).toEqual([1, expect.stringContaining("can't be read: ENOENT")]);
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const noFolder = await cli(['cluster', 'recover', '--data-dir', file]);
    expect([noFolder.code, noFolder.stderr]).toEqual([1, expect.stringMatching(/^[^\n]*file[^\n]*\n$/)]);
    const config = await cli(['cluster', 'recover', '-c', join(folder, 'no.yaml')]);
    expect([config.code, config.stderr]).toEqual([1, expect.stringContaining('--data-dir names the folder')]);
  });
});
