/** What a pool's `failover:` and `split:` say about when the primary changes, and when it does not: with real processes. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { type Alone, follows, Link, startAlone } from './alone.ts';
import { going, patient } from './members.ts';
import { poolOf, type ReplicaNode, startReplicaNodes, type Writers } from './world.ts';

const automatic = { failback: 'automatic', recoveryWait: '1s' };

it('failback: automatic brings the preferred primary back by itself, and fails no request by it', async () => {
  const scope = testScope();
  const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
  const alone = await startAlone(scope, poolOf([a!, b!], automatic));
  const [writers, readers] = [alone.writers(8), alone.readers()];
  await until('b has writes', async () => (await b!.newest()) !== null, patient);
  await going([writers]);
  await a!.kill();
  await alone.state({ primary: 'b', epoch: 2, sent: true });
  await going([writers]);
  const failed = writers.load.failures.length;

  await a!.start();
  await alone.state({ state: 'NORMAL', primary: 'a', epoch: 3, sent: true });
  await going([writers], 100);
  await Promise.all([writers.stop(), readers.stop()]);
  expect(writers.load.failures.slice(failed)).toEqual([]);
  // Each client may have had one write on the node when it was killed.
  expect(failed).toBeLessThanOrEqual(8);
  expect(readers.reasons()).toEqual({});
  const log = await a!.entries();
  expect(writers.judge(log)).toEqual({ lost: [], doubled: [] });
  expect(new Set(writers.epochs)).toEqual(new Set([1, 2, 3]));
  expect((await alone.history()).filter((text) => text.includes('is primary (failback)'))).toHaveLength(1);
  expect(await alone.metric('failover_changes_total{pool="app",reason="failback"}')).toBe(1);
}, 300_000);

/** Under writing clients `a` dies, `b` takes over, and `a` is back as a replica of it. */
async function replaced(alone: Alone, a: ReplicaNode, b: ReplicaNode): Promise<Writers> {
  const writers = alone.writers();
  await until('b has writes', async () => (await b.newest()) !== null, patient);
  await going([writers]);
  await a.kill();
  await alone.state({ primary: 'b', epoch: 2, sent: true });
  await a.start();
  await alone.state({ state: 'NORMAL', primary: 'b' });
  return writers;
}

it('failback: automatic does not begin while that node lacks writes, and the pause of a try that must fail is spared', async () => {
  const scope = testScope();
  // What `a` gets as a replica it shows after an hour, or when it is started anew.
  const [a, b] = await startReplicaNodes(scope, ['a', 'b'], { lags: [3_600_000, 0] });
  const alone = await startAlone(scope, poolOf([a!, b!], automatic));
  const writers = await replaced(alone, a!, b!);
  await alone.logged(/failback to a waits: it is at \d+, b was at \d+/);
  await going([writers], 200);
  expect(await alone.shown()).toMatchObject({ primary: 'b', epoch: 2, state: 'NORMAL' });
  await writers.stop();
  await until(
    'a has all on its disk',
    async () => (await a!.entries()).length === (await b!.entries()).length,
    patient,
  );
  expect((await a!.health()).position).toBeLessThan((await b!.health()).position);

  await a!.kill();
  await a!.start();
  await alone.state({ state: 'NORMAL', primary: 'a', epoch: 3, sent: true });
  expect(writers.judge(await a!.entries())).toEqual({ lost: [], doubled: [] });
}, 300_000);

it('verify: no failover while a node still hears the primary that evenkeel cannot reach', async () => {
  const scope = testScope();
  const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
  const link = await Link.to(scope, a!.url);
  const pool = {
    ...poolOf([a!, b!], { verify: true, failureThreshold: 5 }),
    nodes: [
      { id: 'a', url: link.url },
      { id: 'b', url: b!.url },
    ],
    // What was heard counts for failureThreshold x interval.
    health: { path: '/health', interval: '2s', timeout: '10s' },
  };
  const alone = await startAlone(scope, pool);
  expect((await alone.write('before')).status).toBe(200);
  await follows(b!, a!);
  await link.cut();
  await alone.state({
    state: 'DETECTING',
    primary: 'a',
    epoch: 1,
    sent: false,
    reason: /^a can't be reached, but b still hears it$/,
  });
  const waiting = alone.write('meanwhile');
  await until('a write waits', async () => (await alone.metric('failover_writes_waiting{pool="app"}')) === 1, patient);
  expect(await alone.cli('status')).toMatchObject({ code: 3, stdout: expect.stringContaining('b still hears it') });
  await link.heal();
  await alone.state({ state: 'NORMAL', primary: 'a', epoch: 1, sent: true });
  expect([(await waiting).status, (await waiting).headers.get('x-node')]).toEqual([200, 'a']);

  // Nobody hears one that is dead.
  await follows(b!, a!);
  await a!.kill();
  await alone.state({ primary: 'b', epoch: 2, sent: true });
  expect((await b!.entries()).map(({ id }) => id)).toEqual(['before', 'meanwhile']);
}, 300_000);

it('minReplicas: writes get 503 while too few replicas follow, and the status says why; reads go on', async () => {
  const scope = testScope();
  const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
  const pool = { ...poolOf([a!, b!], { parking: { time: '300ms' } }), split: { minReplicas: 1 } };
  const alone = await startAlone(scope, pool);
  const written = await alone.write('first');
  expect(written.status).toBe(200);
  await b!.kill();
  const why = '0 of at least 1 replicas follow (split.minReplicas)';
  await alone.state({ state: 'NORMAL', primary: 'a', sent: false, why: /^0 of at least 1 replicas follow/ });
  const refused = await alone.write('refused');
  expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true]);
  const status = await alone.cli('status');
  expect(status).toMatchObject({ code: 3, stdout: expect.stringContaining(`writes are NOT sent: ${why}`) });
  expect(await alone.metric('failover_writes_sent{pool="app"}')).toBe(0);
  expect(await alone.metric('failover_writes_refused_total{pool="app",reason="timeout"}')).toBe(1);
  expect(await alone.check('/ha/primary/app')).toBe(503);
  // The primary is well, and nobody else is there: it answers reads, also of who has just written.
  const cookie = written.headers.get('set-cookie')?.split(';')[0] ?? '';
  for (const headers of [{}, { cookie }]) {
    const read = await alone.read(headers);
    expect([read.status, read.headers.get('x-node'), read.headers.has('x-ha-stale')]).toEqual([200, 'a', false]);
  }

  await b!.start();
  await alone.state({ state: 'NORMAL', primary: 'a', epoch: 1, sent: true });
  expect((await alone.write('again')).status).toBe(200);
  expect((await a!.entries()).map(({ id }) => id)).toEqual(['first', 'again']);
}, 300_000);

it('minInterval: a second failover so soon does not come by itself, and an operator can go on', async () => {
  const scope = testScope();
  const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
  const alone = await startAlone(scope, poolOf([a!, b!], { minInterval: '1h' }));
  const writers = await replaced(alone, a!, b!);
  await going([writers]);
  // Only where each write is on both, either may die.
  const rests = (node: string): RegExp => new RegExp(`^${node} is down, (\\d+) s before another failover may come$`);
  await b!.kill();
  const held = await alone.state({ state: 'DETECTING', primary: 'b', epoch: 2, sent: false, reason: rests('b') });
  expect(Number(rests('b').exec(held.reason)?.[1])).toBeLessThanOrEqual(3600);
  await alone.logged(/DETECTING: b is down, \d+ s before another failover may come/);
  const status = await alone.cli('status');
  expect(status).toMatchObject({ code: 3, stdout: expect.stringContaining('before another failover may come') });

  expect(await alone.cli('switch', 'app')).toMatchObject({ code: 0, stdout: 'a is primary of epoch 3' });
  await going([writers]);
  await b!.start();
  await alone.state({ state: 'NORMAL', primary: 'a' });
  await going([writers]);
  await a!.kill();
  // Two so soon after each other: the next waits for twice as long.
  const longer = await alone.state({ state: 'DETECTING', primary: 'a', epoch: 3, reason: rests('a') });
  expect(Number(rests('a').exec(longer.reason)?.[1])).toBeGreaterThan(3600);
  expect(await alone.cli('switch', 'app', '--to', 'b')).toMatchObject({ code: 0 });
  await going([writers]);
  await writers.stop();
  expect(writers.judge(await b!.entries())).toEqual({ lost: [], doubled: [] });
}, 300_000);

it('maxAttempts: no more candidates are tried, which is said loudly, and an operator can go on', async () => {
  const scope = testScope();
  const nodes = await startReplicaNodes(scope, ['a', 'b', 'c'], { copies: 0 });
  const [a, b, c] = nodes;
  const broken = join(await scope.folder(), 'broken');
  await writeFile(broken, '');
  const promote = { exec: [process.execPath, '-e', promoteUnless(broken)], timeout: '30s' };
  const alone = await startAlone(scope, poolOf(nodes, { promote, maxAttempts: 1 }));
  expect((await alone.write('one')).status).toBe(200);
  await Promise.all([follows(b!, a!), follows(c!, a!)]);
  await a!.kill();
  await alone.state({ state: 'FAILED', primary: null, sent: false, reason: /promote failed: exit code 3/ });
  const tried = (await alone.history()).flatMap((text) => /^promote of (\w) starts$/.exec(text)?.[1] ?? []);
  expect(tried).toHaveLength(1);
  await alone.logged(/no primary|FAILED: /);
  expect(await alone.metric('failover_state{pool="app",state="FAILED"}')).toBe(1);
  const status = await alone.cli('status');
  expect(status.code).toBe(3);
  expect(status.stdout).toMatch(/pool app FAILED · no primary .*\n.*promote failed: exit code 3.*\n.*rests until 20/);
  expect(await alone.check('/ha/primary/app')).toBe(503);

  await rm(broken);
  const other = tried[0] === 'b' ? 'c' : 'b';
  expect(await alone.cli('switch', 'app', '--to', other)).toMatchObject({ code: 0 });
  await alone.state({ primary: other, sent: true });
  expect((await alone.write('two')).headers.get('x-node')).toBe(other);
  const log = await nodes.find(({ name }) => name === other)!.entries();
  expect(log.map(({ id }) => id)).toEqual(['one', 'two']);
}, 300_000);

/** A hook that fails while there is this file, else it promotes the node. */
const promoteUnless = (file: string): string => `
  if (require('node:fs').existsSync(${JSON.stringify(file)})) process.exit(3);
  const headers = { 'x-ha-epoch': process.env.EK_EPOCH };
  fetch(process.env.EK_URL + '/promote', { method: 'POST', headers }).then(({ ok }) => process.exit(ok ? 0 : 4));
`;
