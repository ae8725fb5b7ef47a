import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Child } from '../helpers/child.ts';
import { until } from '../helpers/poll.ts';
import { testScope } from '../helpers/scope.ts';
import { cli, mainFile } from './cli.ts';
import { type ClusterApi, clusterApi } from './cluster-api.ts';

const node = (script: string): string[] => ['--', process.execPath, '-e', script];
const holderOf = (api: ClusterApi, name = 'job') => api.cluster.coordinator.replica.locks.get(name)?.holder ?? null;

/** Begins a run that goes on until it is told to end, and waits until its command runs. */
async function begin(api: ClusterApi, script: string, options: readonly string[] = []): Promise<Child> {
  const args = ['lock', 'run', 'job', '--admin', api.admin, ...options, ...node(script)];
  const child = testScope().own(new Child(mainFile, { args }));
  await until('the command', () => child.stdout.length > 0);
  return child;
}
/** Until it is told to end, or whoever started it is gone: a SIGKILL there does not reach it. */
const forever = `console.log(process.env.EVENKEEL_LOCK_TOKEN);
  const parent = process.ppid; setInterval(() => { if (process.ppid !== parent) process.exit(); }, 50);`;

describe('evenkeel lock run', () => {
  it('runs the command under the lock with its token, ends with its code, and releases', async () => {
    const api = await clusterApi();
    const file = join(await testScope().folder(), 'seen');
    const script = `require('fs').writeFileSync(${JSON.stringify(file)}, process.env.EVENKEEL_LOCK_TOKEN + ' ' +
      process.env.EVENKEEL_LOCK_NAME + ' ' + process.argv.slice(1)); process.exit(7);`;
    const ended = await api.run('lock', 'run', 'job', ...node(script), 'a', '--json');
    expect(ended).toMatchObject({ code: 7, stderr: '' });
    expect(await readFile(file, 'utf8')).toMatch(/^\d{10,} job a,--json$/);
    expect(holderOf(api)).toBeNull();
  });

  it('extends the lock while the command runs', async () => {
    const api = await clusterApi();
    // It is extended each third of that, and lost if nobody gets a turn for so long.
    const child = await begin(api, forever, ['--ttl', '6s']);
    expect(child.stdout).toEqual([String(holderOf(api)?.token)]);
    for (let i = 0; i < 3; i++) {
      api.cluster.pass(5400);
      const before = holderOf(api)?.expiresAt ?? 0;
      await until('an extension', () => (holderOf(api)?.expiresAt ?? 0) > before);
    }
    expect(child.exited).toBeNull();
  });

  it('ends the command when the lock is lost, and exits 1', async () => {
    const api = await clusterApi();
    const child = await begin(api, forever, ['--ttl', '1s']);
    api.cluster.pass(1001);
    expect((await child.exit).code).toBe(1);
    expect(child.stderr).toEqual([
      'The lock job is lost: the cluster says that it is not held any more. The command is ended.',
    ]);
  });

  it('ends the command when nobody extends the lock in time', async () => {
    const api = await clusterApi();
    const child = await begin(api, forever, ['--ttl', '1s']);
    await api.world.close();
    expect((await child.exit).code).toBe(1);
    expect(child.stderr[0]).toBe('The lock job is lost: it could not be extended in time. The command is ended.');
  });

  it('goes on when the cluster has no quorum for a moment', async () => {
    const api = await clusterApi();
    const child = await begin(api, forever, ['--ttl', '12s']);
    const before = holderOf(api)?.expiresAt ?? 0;
    api.cluster.refusal = { kind: 'no-quorum', missing: ['node-2'] };
    api.cluster.pass(100);
    await until('a refused extension', () => api.cluster.refused > 1);
    api.cluster.refusal = null;
    await until('an extension', () => (holderOf(api)?.expiresAt ?? 0) > before);
    expect(child.exited).toBeNull();
  });

  it('hands SIGTERM on, releases, and exits as the command did', async () => {
    const api = await clusterApi();
    const child = await begin(api, `process.on('SIGTERM', () => process.exit(9)); ${forever}`);
    child.kill('SIGTERM');
    expect((await child.exit).code).toBe(9);
    expect(holderOf(api)).toBeNull();
    const other = await begin(api, forever);
    other.kill('SIGTERM');
    expect((await other.exit).code).toBe(143);
  });

  it('does not run the command if the lock is taken, or waits for it', async () => {
    const api = await clusterApi();
    const held = await begin(api, forever);
    const refused = await api.run('lock', 'run', 'job', ...node('console.log("ran")'));
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^Lock is taken: .* holds the lock\n$/);
    const args = ['lock', 'run', 'job', '--wait', '60s', '--admin', api.admin, ...node('console.log("ran")')];
    const waiting = testScope().own(new Child(mainFile, { args }));
    await until('a waiter', () => api.cluster.coordinator.replica.locks.get('job')?.queue.length === 1);
    expect(waiting.stdout).toEqual([]);
    held.kill('SIGTERM');
    expect((await waiting.exit).code).toBe(0);
    expect(waiting.stdout).toEqual(['ran']);
  });

  it('does not wait any more when it is killed', async () => {
    const api = await clusterApi();
    await begin(api, forever);
    const args = ['lock', 'run', 'job', '--wait', '60s', '--admin', api.admin, ...node('')];
    const waiting = testScope().own(new Child(mainFile, { args }));
    const queued = () => api.cluster.coordinator.replica.locks.get('job')?.queue.length;
    await until('a waiter', () => queued() === 1);
    waiting.kill('SIGKILL');
    await until('nobody waits', () => queued() === 0);
  });

  it('waits for the answer of a member that did not hear in time how the wait ended', async () => {
    const detail = 'the outcome is unknown';
    // As a member does that was cut off meanwhile: 5 s and a hundredth after the time.
    const server = createServer((request, response) => {
      response.statusCode = request.method === 'POST' ? 504 : 200;
      const answer = (): void => void response.end(JSON.stringify({ title: 'Outcome unknown', detail }));
      if (request.method === 'POST') setTimeout(answer, 6010);
      else answer();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    testScope().own({ stop: () => void server.close() });
    const admin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ended = await cli(['lock', 'run', 'job', '--wait', '1s', '--admin', admin, ...node('')]);
    expect(ended).toMatchObject({ code: 1, stderr: `Outcome unknown: ${detail}\n` });
  });

  it('exits 127 for a command that is not there and frees the lock, 2 for a bad command line', async () => {
    const api = await clusterApi();
    const missing = await api.run('lock', 'run', 'job', '--', 'evenkeel-no-such-command');
    expect(missing.code).toBe(127);
    expect(missing.stderr).toBe('Cannot run evenkeel-no-such-command: there is no such command\n');
    expect(holderOf(api)).toBeNull();
    // What the system refuses at once, and what no system is asked for: an empty name out of an unset variable.
    for (const command of [`${mainFile}/x`, '']) {
      const refused = await api.run('lock', 'run', 'job', '--', command);
      expect([refused.code, refused.stderr], command).toEqual([126, expect.stringMatching(/^Cannot run .*\n$/)]);
      expect(holderOf(api)).toBeNull();
    }
    expect((await api.run('lock', 'run', 'job', '--ttl', '10', '--', 'true')).code).toBe(2);
    // The default as one would write it.
    expect((await api.run('lock', 'run', '--help')).stdout).toMatch(/default:\s+30s\)/);
    expect((await api.run('lock', 'run', 'job')).code).toBe(2);
  });
});
