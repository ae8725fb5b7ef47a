/** One evenkeel in front of two nodes: the commonest case. Kill, failover, return, failback; nothing acknowledged is lost. */
import { describe, expect, it } from 'vitest';
import { type Evenkeel, launchEvenkeel, runCli, startEvenkeel } from '../../helpers/evenkeel.ts';
import { Load } from '../../helpers/load.ts';
import { until } from '../../helpers/poll.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { failoverOf, followedBy, type PoolShown, poolOf, startReplicaNodes, Writers } from './world.ts';

const start = async (scope: Scope, pool: object): Promise<Evenkeel> => {
  const dataDir = await scope.folder();
  const ek = await startEvenkeel(scope, { pools: { app: pool }, dataDir });
  dataDirs.set(ek, dataDir);
  return ek;
};
const dataDirs = new Map<Evenkeel, string>();
const dataDirOf = (ek: Evenkeel): string => dataDirs.get(ek)!;

const shown = (ek: Evenkeel): Promise<PoolShown> => failoverOf((path) => ek.admin(path));
const state = (ek: Evenkeel, wanted: Partial<PoolShown>): Promise<unknown> =>
  until(
    `failover ${JSON.stringify(wanted)}`,
    async () => {
      const now = await shown(ek);
      const isSo = Object.entries(wanted).every(([key, value]) => now[key as keyof PoolShown] === value);
      if (!isSo) throw new Error(JSON.stringify(now));
      return true;
    },
    patient,
  );

describe('a primary that is killed under 8 writing and 8 reading clients', () => {
  it('is followed by the other node; it comes back as replica, and is primary again after failback', async () => {
    const scope = testScope();
    const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
    const ek = await start(scope, poolOf([a!, b!]));
    await state(ek, { state: 'NORMAL', primary: 'a', epoch: 1 });
    const writers = scope.own(new Writers({ port: ek.port, clients: 8 }));
    const readers = scope.own(new Load({ port: ek.port, clients: 8, request: () => get }));
    await until('writes and reads', () => writers.acknowledged.length > 100 && readers.answered > 100, patient);
    await followedBy(b!, writers);

    await a!.kill();
    await state(ek, { primary: 'b', epoch: 2 });
    const after = writers.acknowledged.length;
    await until('writes on b', () => writers.acknowledged.length > after + 50, patient);

    await a!.start();
    await state(ek, { state: 'NORMAL', primary: 'b' });
    expect(await a!.health()).toMatchObject({ role: 'replica', epoch: 2 });

    const failed = writers.load.failures.length;
    expect(await runCli('failover', 'failback', 'app', '--admin', `127.0.0.1:${ek.adminPort}`)).toMatchObject({
      code: 0,
      stdout: 'a is primary of epoch 3',
    });
    await state(ek, { primary: 'a', epoch: 3 });
    const back = writers.acknowledged.length;
    await until('writes on a again', () => writers.acknowledged.length > back + 50, patient);
    await Promise.all([writers.stop(), readers.stop()]);

    expect(readers.reasons()).toEqual({});
    // A planned change of primary fails nothing; of those that the killed node had, nobody knows.
    expect(writers.load.failures.length).toBe(failed);
    // Each client's one, and what went to a port that still took connections as the process ended.
    expect(failed).toBeLessThan(4 * 8);
    expect(Object.keys(writers.load.reasons()).filter((reason) => !reason.includes(' 502 '))).toEqual([]);
    expect(writers.judge(await a!.entries())).toEqual({ lost: [], doubled: [] });
    const epochs = (await a!.entries()).map(({ epoch }) => epoch);
    expect(epochs).toEqual(epochs.toSorted((x, y) => x - y));
  });
});

describe('a planned change of primary, under 8 writing and 8 reading clients', () => {
  it('fails no request: by the command line, by draining the primary, and by the API', async () => {
    const scope = testScope();
    const nodes = await startReplicaNodes(scope, ['a', 'b', 'c']);
    const ek = await start(scope, poolOf(nodes));
    await state(ek, { state: 'NORMAL', primary: 'a' });
    const writers = scope.own(new Writers({ port: ek.port, clients: 8 }));
    const readers = scope.own(new Load({ port: ek.port, clients: 8, request: () => get }));
    const going = async (): Promise<void> => {
      const before = writers.acknowledged.length;
      await until('more writes', () => writers.acknowledged.length > before + 50, patient);
    };
    await going();
    const admin = ['--admin', `127.0.0.1:${ek.adminPort}`];
    const planned = await runCli('failover', 'switch', 'app', '--to', 'b', '--dry-run', ...admin);
    expect(planned.stdout).toMatch(/^pool app: a -> b \(named by an operator\)\nwrites would pause for about \d+ ms/);
    expect(await shown(ek)).toMatchObject({ primary: 'a', epoch: 1 });

    expect(await runCli('failover', 'switch', 'app', '--to', 'b', ...admin)).toMatchObject({ code: 0 });
    await going();
    const body = JSON.stringify({ wish: 'drain' });
    const headers = { 'content-type': 'application/json' };
    const drained = await ek.admin('/api/pools/app/nodes/b', { method: 'PATCH', body, headers });
    expect(drained.status).toBe(200);
    const now = await shown(ek);
    expect(now.primary).not.toBe('b');
    expect(now.epoch).toBe(3);
    await going();
    await state(ek, { state: 'NORMAL' });
    const wish = JSON.stringify({ pool: 'app', targetNodeId: now.primary === 'a' ? 'c' : 'a' });
    const switched = await ek.admin('/api/ha/failover', { method: 'POST', body: wish, headers });
    expect([switched.status, await switched.json()]).toMatchObject([200, { pool: 'app' }]);
    await going();
    await Promise.all([writers.stop(), readers.stop()]);
    expect([writers.load.reasons(), readers.reasons()]).toEqual([{}, {}]);
    const { primary } = await shown(ek);
    const last = nodes.find(({ name }) => name === primary);
    expect(writers.judge(await last!.entries())).toEqual({ lost: [], doubled: [] });
    const history = await runCli('failover', 'history', 'app', ...admin);
    expect(history.stdout.split('\n').filter((line) => line.includes('is primary (switchover)'))).toHaveLength(3);
  });
});

describe('a switch that is planned', () => {
  it('happens at its moment, or not if it is given up', async () => {
    const scope = testScope();
    const nodes = await startReplicaNodes(scope, ['a', 'b']);
    const ek = await start(scope, poolOf(nodes));
    await state(ek, { state: 'NORMAL', primary: 'a' });
    const admin = ['--admin', `127.0.0.1:${ek.adminPort}`];
    const far = new Date(Date.now() + 3_600_000).toISOString();
    expect(await runCli('failover', 'switch', 'app', '--at', far, ...admin)).toMatchObject({ code: 0 });
    expect((await runCli('failover', 'status', ...admin)).stdout).toContain(`is planned for ${far}`);
    expect(await runCli('failover', 'cancel', 'app', ...admin)).toMatchObject({ code: 0 });
    expect((await runCli('failover', 'status', ...admin)).stdout).not.toContain('is planned');
    const soon = new Date(Date.now() + 1500).toISOString();
    expect(await runCli('failover', 'switch', 'app', '--to', 'b', '--at', soon, ...admin)).toMatchObject({ code: 0 });
    await state(ek, { primary: 'b', epoch: 2 });
  });
});

describe('roles and priorities', () => {
  it('that were set while it runs count: the candidate of the highest priority, and no standby reads', async () => {
    const scope = testScope();
    const nodes = await startReplicaNodes(scope, ['a', 'b', 'c']);
    const ek = await start(scope, poolOf(nodes));
    await state(ek, { state: 'NORMAL', primary: 'a' });
    const headers = { 'content-type': 'application/json' };
    const patch = (node: string, body: object): Promise<Response> =>
      ek.admin(`/api/ha/nodes/${node}`, { method: 'PATCH', headers, body: JSON.stringify(body) });
    expect((await patch('c', { priority: 200 })).status).toBe(200);
    expect((await patch('b', { role: 'standby' })).status).toBe(200);
    // What is not named stays as it was set.
    expect((await patch('b', { priority: 50 })).status).toBe(200);
    const admin = ['--admin', `127.0.0.1:${ek.adminPort}`];
    await until(
      'the plan is c',
      async () => {
        const { stdout } = await runCli('failover', 'switch', 'app', '--dry-run', ...admin);
        return stdout.startsWith('pool app: a -> c ');
      },
      patient,
    );
    await until(
      'reads go to c alone',
      async () => {
        const readers = new Set<string | null>();
        for (let i = 0; i < 30; i++) {
          const answer = await fetch(`http://127.0.0.1:${ek.port}/read`);
          readers.add(answer.headers.get('x-node'));
        }
        if (readers.size === 1 && readers.has('c')) return true;
        throw new Error([...readers].join());
      },
      patient,
    );
    await patch('b', { role: null, priority: null });
    await until(
      'b reads again',
      async () => (await fetch(`http://127.0.0.1:${ek.port}/read`)).headers.get('x-node') === 'b',
      patient,
    );
  });
});

describe('a restart', () => {
  it('of evenkeel knows the primary and the epoch, and automatic failover that was switched off stays off', async () => {
    const scope = testScope();
    const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
    const pool = poolOf([a!, b!]);
    const dataDir = await scope.folder();
    const first = await startEvenkeel(scope, { pools: { app: pool }, dataDir });
    await state(first, { state: 'NORMAL', primary: 'a' });
    const admin = (ek: Evenkeel): string[] => ['--admin', `127.0.0.1:${ek.adminPort}`];
    expect(await runCli('failover', 'switch', 'app', ...admin(first))).toMatchObject({ code: 0 });
    expect(await runCli('failover', 'disable', ...admin(first))).toMatchObject({ code: 0 });
    await first.stop();

    const second = await startEvenkeel(scope, { pools: { app: pool }, dataDir });
    await state(second, { primary: 'b', epoch: 2 });
    const changes = async (reason: string): Promise<number> => {
      const text = await (await second.admin('/metrics')).text();
      return Number(
        new RegExp(`^evenkeel_failover_changes_total\\{.*reason="${reason}"\\} (.+)$`, 'm').exec(text)?.[1],
      );
    };
    expect([await changes('first'), await changes('switchover')]).toEqual([0, 0]);
    await b!.kill();
    await state(second, { state: 'DETECTING', primary: 'b' });
    await until(
      'the command line says so',
      async () => {
        const { code, stdout } = await runCli('failover', 'status', ...admin(second));
        const words = /primary b · epoch 2 · writes are NOT sent: .* · automatic failover is off/;
        if (code === 3 && words.test(stdout)) return true;
        throw new Error(`${code}: ${stdout}`);
      },
      patient,
    );
    expect(await runCli('failover', 'enable', 'app', ...admin(second))).toMatchObject({ code: 0 });
    await state(second, { primary: 'a', epoch: 3 });
    expect([await changes('failover'), await changes('switchover')]).toEqual([1, 0]);
  });

  it('needs the data folder for itself', async () => {
    const scope = testScope();
    const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
    const dataDir = await scope.folder();
    await startEvenkeel(scope, { pools: { app: poolOf([a!, b!]) }, dataDir });
    const second = await launchEvenkeel(scope, { pools: { app: poolOf([a!, b!]) }, dataDir });
    expect(await second.exit).toMatchObject({ code: 1 });
    expect(second.child.output()).toMatch(/another process|in use|locked/);
  });
});

describe('a reload', () => {
  it('that takes the primary away, or moves it, is refused, and says what to do', async () => {
    const scope = testScope();
    const nodes = await startReplicaNodes(scope, ['a', 'b', 'c']);
    const pool = poolOf(nodes);
    const ek = await start(scope, pool);
    await state(ek, { state: 'NORMAL', primary: 'a' });
    const [, b, c] = nodes;
    const reload = async (changed: object): Promise<unknown> => {
      await ek.write({ pools: { app: changed }, dataDir: dataDirOf(ek) });
      return (
        await ek.admin('/api/reload', { method: 'POST', headers: { 'content-type': 'application/json' } })
      ).json();
    };
    const gone = await reload(poolOf([b!, c!]));
    expect(JSON.stringify(gone)).toMatch(
      /node a at .* is the primary and is not in the new config: evenkeel failover switch app/,
    );
    const moved = await reload({
      ...pool,
      nodes: [
        { id: 'a', url: c!.url },
        { id: 'b', url: b!.url },
      ],
    });
    expect(JSON.stringify(moved)).toMatch(/is the primary and has another url in the new config/);
    const off = await reload({ nodes: [nodes[0]!.url, b!.url] });
    expect(JSON.stringify(off)).toMatch(/would write to all its nodes: restart the process/);
    expect(await shown(ek)).toMatchObject({ primary: 'a', state: 'NORMAL' });
    expect(JSON.stringify(await reload(poolOf([nodes[0]!, b!])))).toMatch(/"version":\d+,"changed":true/);
    expect((await shown(ek)).nodes.map(({ id }) => id)).toEqual(['a', 'b']);
  });
});

const patient = { withinMs: 60_000 };
const get = 'GET /read HTTP/1.1\r\nHost: ek.test\r\n\r\n';
