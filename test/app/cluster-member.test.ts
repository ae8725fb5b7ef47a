/** A cluster of one, composed with everything else: what the process makes of its member. */

import { createSocket } from 'node:dgram';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { App } from '../../src/app/app.ts';
import type { ClusterEnd } from '../../src/app/cluster-member.ts';
import { compose, type StartFailure } from '../../src/app/compose.ts';
import { createLog } from '../../src/app/log.ts';
import type { Result } from '../../src/base/result.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { type Scope, testScope } from '../helpers/scope.ts';

interface World {
  readonly composed: Result<App, StartFailure>;
  readonly log: readonly string[];
  write(cluster: object | null, more?: object): Promise<void>;
  readonly cluster: { readonly member: string; readonly address: string; readonly expect: number };
}

async function world(scope: Scope, change: object = {}): Promise<World> {
  const folder = await scope.folder();
  const file = join(folder, 'config.yaml');
  const cluster = { member: 'n1', address: `127.0.0.1:${await freePort()}`, expect: 1, ...change };
  const settings = { listen: '127.0.0.1:0', workers: 1, admin: '127.0.0.1:0', dataDir: join(folder, 'data') };
  const pools = { app: { nodes: ['http://127.0.0.1:1'], health: 'off' } };
  const write = (given: object | null, more: object = {}): Promise<void> =>
    writeFile(file, stringify({ ...settings, pools, ...(given && { cluster: given }), ...more }));
  await write(cluster);
  const log: string[] = [];
  const composed = await compose({
    file,
    env: {},
    log: createLog('debug', { readable: false, write: (line) => void log.push(line) }),
  });
  if (composed.ok) scope.own({ stop: () => composed.value.close() });
  return { composed, log, write, cluster };
}

async function running(scope: Scope): Promise<World & { readonly app: App }> {
  const made = await world(scope);
  if (!made.composed.ok) throw new Error(JSON.stringify(made.composed.error));
  const app = made.composed.value;
  await until('a leader', () => app.cluster?.coordinator.leader().self === true);
  return { ...made, app };
}

const ask = (app: App, path: string, init: RequestInit = {}): Promise<Response> => {
  const address = app.adminAddress;
  const headers = { 'content-type': 'application/json' };
  return fetch(`http://127.0.0.1:${address?.kind === 'tcp' ? address.port : 0}${path}`, { headers, ...init });
};

describe('a process with cluster', () => {
  it('keeps agreed state, in metrics and through the API', async () => {
    const { app } = await running(testScope());
    expect(await app.cluster?.coordinator.kv.set('k', Buffer.from('"v"'))).toMatchObject({ ok: true });
    expect(await (await ask(app, '/api/ha/state/k')).json()).toMatchObject({ value: 'v' });
    const page = await (await ask(app, '/metrics')).text();
    expect(page).toMatch(/^evenkeel_cluster_is_leader 1$/m);
    expect(page).toMatch(/^evenkeel_cluster_has_quorum 1$/m);
    expect(page).toMatch(/^evenkeel_cluster_members\{state="LEADER"\} 1$/m);
    expect(await (await ask(app, '/readyz')).json()).toEqual({ status: 'ready', reasons: [] });
  });

  it('refuses a reload that changes who it is, and says restart', async () => {
    const { app, cluster, write } = await running(testScope());
    await write({ ...cluster, priority: 7 }, { dataDir: '/elsewhere', timeouts: { head: '3s' } });
    const changed = await app.reload();
    const said = changed.ok ? [] : changed.problems.map(({ message }) => message);
    expect(said).toEqual([
      'cluster.priority was changed: restart the process for that, or set it back',
      'dataDir was changed: restart the process for that, or set it back',
    ]);
    expect(app.config.timeouts.head).toBe(10_000);
    await write(null);
    expect(await app.reload()).toMatchObject({ ok: false });
    await write(cluster, { timeouts: { head: '3s' } });
    expect(await app.reload()).toMatchObject({ ok: true, changed: true });
    expect(app.cluster?.host.isOpen).toBe(true);
  });

  it('that is told to leave wants to end with 0, and answers until it does', async () => {
    const { app, log } = await running(testScope());
    const ends: ClusterEnd[] = [];
    app.onEnd((end) => ends.push(end));
    await ask(app, '/api/ha/cluster/leave', { method: 'POST', body: '{"forGood": false}' });
    await until('the end', () => ends.length === 1);
    expect(ends).toEqual([{ code: 0, why: expect.stringContaining('left') }]);
    expect((await ask(app, '/livez')).status).toBe(200);
    await app.drain();
    expect(app.cluster?.host.isOpen).toBe(false);
    expect(log.join('')).toContain('member n1 of a cluster');
  });

  it('does not start where its address is taken, and leaves nothing behind', async () => {
    const scope = testScope();
    const socket = createSocket('udp4');
    scope.own({ stop: () => void socket.close() });
    const port = await freePort();
    await new Promise<void>((resolve) => socket.bind(port, '127.0.0.1', resolve));
    const { composed } = await world(scope, { address: `127.0.0.1:${port}` });
    expect(composed).toMatchObject({
      ok: false,
      error: { kind: 'start', lines: [expect.stringMatching(/port in use/)] },
    });
  });
});

describe('a process without cluster', () => {
  it('has none of it', async () => {
    const scope = testScope();
    const file = join(await scope.folder(), 'config.yaml');
    const pools = { app: { nodes: ['http://127.0.0.1:1'], health: 'off' } };
    await writeFile(file, stringify({ listen: '127.0.0.1:0', workers: 1, admin: '127.0.0.1:0', pools }));
    const composed = await compose({ file, env: {}, log: createLog('fatal', { readable: false, write: () => {} }) });
    if (!composed.ok) throw new Error(JSON.stringify(composed.error));
    const app = composed.value;
    scope.own({ stop: () => app.close() });
    expect(app.cluster).toBeNull();
    expect((await ask(app, '/api/ha/status')).status).toBe(404);
    expect(await (await ask(app, '/metrics')).text()).not.toMatch(/^evenkeel_cluster_\w+[ {]/m);
  });
});
