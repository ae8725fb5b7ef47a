/** What is seen of a pool whose primary is in doubt, gone, or lacks what clients were told: with real processes. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { type Alone, follows, startAlone } from './alone.ts';
import { going, patient } from './members.ts';
import { poolOf, ReplicaNode, startReplicaNodes } from './world.ts';

/** Two nodes that don't know each other, and each take themselves for the primary if `second` does not say otherwise. */
async function startStrangers(
  scope: Scope,
  second: 'primary' | 'replica' = 'primary',
): Promise<[ReplicaNode, ReplicaNode]> {
  const one = async (name: string, role: typeof second): Promise<ReplicaNode> => {
    const folder = join(await scope.folder(), name);
    await mkdir(folder);
    const place = { name, port: await freePort(), host: '127.0.0.1', folder };
    const node = scope.own(new ReplicaNode({ ...place, peers: [], role, lagMs: 0, copies: 0 }));
    await node.start();
    return node;
  };
  return [await one('a', 'primary'), await one('b', second)];
}

/** As somebody does who knows nothing of evenkeel. */
async function promoteBy(hand: ReplicaNode, epoch: number): Promise<void> {
  const answer = await fetch(`${hand.url}/promote`, { method: 'POST', headers: { 'x-ha-epoch': String(epoch) } });
  expect(answer.status).toBe(200);
}

describe('two nodes that say that they are primary', () => {
  it('in the same epoch: writes go to the agreed one alone, and log, status and table name the other', async () => {
    const scope = testScope();
    const [a, b] = await startStrangers(scope);
    const alone = await startAlone(scope, poolOf([a, b]));
    const writers = alone.writers();
    await going([writers]);
    await alone.logged(/b says that it is primary, and a is: no write goes to b/);
    await alone.node('b', ({ detail }) => detail.includes('says that it is primary'));
    expect((await alone.cli('status')).stdout).toMatch(/^b +SECONDARY .*says that it is primary/m);
    await going([writers]);
    await writers.stop();
    expect(await alone.shown()).toMatchObject({ state: 'NORMAL', primary: 'a', epoch: 1, writes: { sent: true } });
    expect(writers.load.reasons()).toEqual({});
    expect(writers.judge(await a.entries())).toEqual({ lost: [], doubled: [] });
    expect(await b.arrived()).toEqual({});

    await fetch(`${b.url}/demote`, { method: 'POST' });
    await alone.node('b', ({ detail }) => !detail.includes('says that it is primary'));
  }, 300_000);

  it('the other in a higher epoch: SPLIT_BRAIN, and no write to either until an operator adopts one', async () => {
    const scope = testScope();
    const [a, b] = await startStrangers(scope);
    const alone = await startAlone(scope, poolOf([a, b]));
    expect((await alone.write('agreed')).status).toBe(200);
    await promoteBy(b, 9);
    const why = 'SPLIT_BRAIN: node b has seen epoch 9, agreed is 1';
    const split = await alone.state({
      state: 'DETECTING',
      primary: 'a',
      epoch: 1,
      sent: false,
      reason: /^SPLIT_BRAIN/,
    });
    expect([split.reason, split.writes.why]).toEqual([why, why]);
    expect((await alone.write('nowhere')).status).toBe(503);
    await alone.logged(new RegExp(`error.*${why}`, 'i'));
    expect(await alone.metric('failover_writes_sent{pool="app"}')).toBe(0);
    expect(await alone.metric('failover_state{pool="app",state="NORMAL"}')).toBe(0);
    const status = await alone.cli('status');
    expect(status).toMatchObject({ code: 3, stdout: expect.stringContaining(`writes are NOT sent: ${why}`) });
    expect(await alone.check('/ha/primary/app')).toBe(503);
    expect((await a.entries()).map(({ id }) => id)).toEqual(['agreed']);
    expect(await b.entries()).toEqual([]);

    expect(await alone.cli('adopt', 'app', 'a')).toMatchObject({ code: 0, stdout: 'a becomes primary of epoch 10' });
    await alone.state({ state: 'NORMAL', primary: 'a', epoch: 10, sent: true });
    await alone.logged(/SPLIT_BRAIN is over/);
    expect((await alone.write('after')).headers.get('x-node')).toBe('a');
    expect(await b.entries()).toEqual([]);
    expect((await b.health()).role).toBe('replica');
  }, 300_000);

  it('where nothing is agreed on yet: nobody guesses, and who is not adopted takes no reads', async () => {
    const scope = testScope();
    const [a, b] = await startStrangers(scope);
    await Promise.all([promoteBy(a, 4), promoteBy(b, 4)]);
    const pool = poolOf([a, b], { demote: undefined, rejoin: undefined, parking: { time: '300ms' } });
    const reason = /^epoch 4 was seen, and 2 nodes say that they are its primary$/;
    const alone = await startAlone(scope, pool, { state: 'FAILED', primary: null, sent: false, reason });
    expect((await alone.write('nowhere')).status).toBe(503);
    expect(await alone.cli('adopt', 'app', 'b')).toMatchObject({ code: 0, stdout: 'b becomes primary of epoch 5' });
    await alone.state({ primary: 'b', epoch: 5, sent: true });
    expect((await alone.write('on-b')).headers.get('x-node')).toBe('b');
    // By its own word it is primary still, with a history of its own.
    await alone.node('a', ({ up, returning }) => up === true && returning);
    for (let i = 0; i < 10; i++) expect((await alone.read()).headers.get('x-node')).toBe('b');
    expect(await alone.check('/ha/replica/app/a')).toBe(503);
    expect(await a.entries()).toEqual([]);
  }, 300_000);
});

it('a write that was lost: its client is told at each read, no other is, and the history says how many', async () => {
  const scope = testScope();
  const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
  const alone = await startAlone(scope, poolOf([a!, b!]));
  const cookieOf = (answer: Response): { cookie: string } => ({
    cookie: answer.headers.get('set-cookie')?.split(';')[0] ?? '',
  });
  const kept = await alone.write('both');
  await until('b has it', async () => (await b!.newest()) !== null, patient);
  await b!.kill();
  await alone.node('b', ({ up }) => up === false);
  let lost = await alone.write('lost-1');
  for (const id of ['lost-2', 'lost-3']) {
    lost = await alone.write(id);
    expect(lost.status).toBe(200);
  }
  await a!.kill();
  await b!.start();
  await alone.state({ state: 'FAILED', primary: null, sent: false });
  const least = await alone.cli('switch', 'app', '--to', 'b', '--accept-loss', '2');
  expect(least.code).not.toBe(0);
  await alone.state({ state: 'FAILED', primary: null });
  expect(await alone.cli('switch', 'app', '--to', 'b', '--accept-loss', '3')).toMatchObject({ code: 0 });
  await alone.state({ primary: 'b', sent: true });
  const opened = (await alone.history()).filter((text) => text.startsWith('b is primary'));
  expect(opened).toEqual(['b is primary (failover) at position 1, 3 behind what clients were told of']);
  expect((await alone.cli('history', 'app')).stdout).toContain('3 behind what clients were told of');

  const told = async (headers: Readonly<Record<string, string>>): Promise<unknown[]> => {
    const read = await alone.read(headers);
    return [read.status, read.headers.get('x-node'), read.headers.get('x-ha-lost')];
  };
  // Also when the new primary is past that position: it is not that write.
  const after = [];
  for (let i = 0; i < 5; i++) after.push(await alone.write(`new-${i}`));
  expect(after.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(await told(cookieOf(lost))).toEqual([200, 'b', '1']);
  for (const other of [kept, after.at(-1)!]) expect(await told(cookieOf(other))).toEqual([200, 'b', null]);
  expect(await told({})).toEqual([200, 'b', null]);
  expect(await alone.metric('failover_reads_lost_total{pool="app"}')).toBe(1);
  expect((await b!.entries()).map(({ id }) => id).filter((id) => id.startsWith('lost'))).toEqual([]);
}, 300_000);

it('stale: replicas answer reads for so long without a primary, and say how old they may be; then it is 503', async () => {
  const scope = testScope();
  const [a, b] = await startReplicaNodes(scope, ['a', 'b']);
  const bound = 8;
  const pool = { ...poolOf([a!, b!], { mode: 'manual', parking: { time: '300ms' } }), split: { stale: `${bound}s` } };
  const alone = await startAlone(scope, pool);
  expect((await alone.write('one')).status).toBe(200);
  await follows(b!, a!);
  const fresh = await alone.read();
  expect([fresh.status, fresh.headers.get('x-node'), fresh.headers.get('x-ha-stale')]).toEqual([200, 'b', null]);
  await a!.kill();
  await alone.state({ state: 'DETECTING', primary: 'a', sent: false, reason: /failover is manual/ });
  const ages: number[] = [];
  await until(
    '503 beyond the bound',
    async () => {
      const read = await alone.read();
      await read.text();
      if (read.status === 503) return true;
      expect([read.status, read.headers.get('x-node')]).toEqual([200, 'b']);
      ages.push(Number(read.headers.get('x-ha-stale') ?? Number.NaN));
      return false;
    },
    patient,
  );
  expect(ages.length).toBeGreaterThan(0);
  expect(ages.every((age) => age >= 1 && age <= bound)).toBe(true);
  expect(ages).toEqual(ages.toSorted((x, y) => x - y));
  for (let i = 0; i < 3; i++) expect((await alone.read()).status).toBe(503);

  await a!.start();
  await alone.state({ state: 'NORMAL', primary: 'a', epoch: 1, sent: true });
  const again = await alone.read();
  expect([again.status, again.headers.get('x-ha-stale')]).toEqual([200, null]);
}, 300_000);

/** Hooks that wait for a file, so that a test sees what is between. */
const rejoinWhen = (file: string): { promote: object; rejoin: object } => ({
  promote: { exec: [process.execPath, '-e', hookWhen('promote', file)], timeout: '60s' },
  rejoin: { exec: [process.execPath, '-e', hookWhen('demote', file)], timeout: '60s' },
});

const hookWhen = (hook: string, file: string): string => `
  const { existsSync } = require('node:fs');
  const headers = { 'x-ha-epoch': process.env.EK_EPOCH };
  const go = () => existsSync(${JSON.stringify(file)})
    ? fetch(process.env.EK_URL + '/${hook}', { method: 'POST', headers }).then(({ ok }) => process.exit(ok ? 0 : 4))
    : setTimeout(go, 20);
  go();
`;

it('what other balancers ask: 200 for the primary only while writes go there, and for replicas that take reads', async () => {
  const scope = testScope();
  // The old primary, when it is back, hears nothing of the new one until evenkeel lets it.
  const [a, b] = await startStrangers(scope, 'replica');
  const may = join(await scope.folder(), 'may');
  const alone = await startAlone(scope, poolOf([a, b], rejoinWhen(may)));
  await follows(b, a);
  const all = ['primary/app', 'primary/app?node=a', 'primary/app?node=b', 'replica/app/a', 'replica/app/b'];
  const answers = (wanted: readonly number[]): Promise<true> => untilChecks(alone, all, wanted);
  await answers([200, 200, 503, 503, 200]);
  expect(await Promise.all(['primary/shop', 'replica/app/z'].map((path) => alone.check(`/ha/${path}`)))).toEqual([
    404, 404,
  ]);

  await a.kill();
  // Until it is promoted nobody takes writes, and the next one takes reads.
  await alone.state({ state: 'FAILING_OVER', sent: false, reason: /b is being promoted/ });
  await answers([503, 503, 503, 503, 200]);
  await writeFile(may, '');
  await alone.state({ primary: 'b', epoch: 2, sent: true });
  await answers([200, 503, 200, 503, 503]);

  await rm(may);
  await a.start();
  // It is up, and does not know its place yet.
  await alone.node('a', ({ up, returning }) => up === true && returning);
  await answers([200, 503, 200, 503, 503]);
  await writeFile(may, '');
  await alone.state({ state: 'NORMAL', primary: 'b' });
  await answers([200, 503, 200, 200, 503]);
}, 300_000);

function untilChecks(alone: Alone, paths: readonly string[], wanted: readonly number[]): Promise<true> {
  return until(
    `${paths.join(', ')}: ${wanted.join(', ')}`,
    async () => {
      const now = await Promise.all(paths.map((path) => alone.check(`/ha/${path}`)));
      if (now.join() !== wanted.join()) throw new Error(now.join(', '));
      return true as const;
    },
    patient,
  );
}
