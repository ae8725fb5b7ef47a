/** What operators ask that can't be, and hooks that do not what they should: each is said, and nothing is lost by it. */
import { describe, expect, it } from 'vitest';
import { type Evenkeel, runCli, startEvenkeel } from '../../helpers/evenkeel.ts';
import { until } from '../../helpers/poll.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import type { Seat } from '../cluster/processes.ts';
import { patient, startMembers } from './members.ts';
import { failoverOf, type PoolShown, poolOf, type ReplicaNode, startReplicaNodes } from './world.ts';

interface World {
  readonly ek: Evenkeel;
  readonly nodes: readonly ReplicaNode[];
}

/** `lags`: of what each node shows, ms. `more`: of the pool. */
async function start(
  scope: Scope,
  failover: object = {},
  { lags = [], more = {} }: { readonly lags?: readonly number[]; readonly more?: object } = {},
): Promise<World> {
  const nodes = await startReplicaNodes(scope, ['a', 'b', 'c'], { lags });
  const app = { ...poolOf(nodes, failover), ...more };
  const ek = await startEvenkeel(scope, { pools: { app }, dataDir: await scope.folder() });
  await until('a primary', async () => (await shown(ek)).writes.sent, patient);
  await until(
    'NORMAL, with all nodes',
    async () => {
      const { state, nodes: seen } = await shown(ek);
      return state === 'NORMAL' && seen.every(({ up }) => up);
    },
    patient,
  );
  return { ek, nodes };
}

const shown = (ek: Evenkeel): Promise<PoolShown> => failoverOf((path) => ek.admin(path));

const headers = { 'content-type': 'application/json' };
const ask = async (ek: Evenkeel, body: object): Promise<[number, string]> => {
  const answer = await ek.admin('/api/ha/failover', { method: 'POST', headers, body: JSON.stringify(body) });
  return [answer.status, await answer.text()];
};

describe('a switch', () => {
  it('to a node or of a pool that is not there is 404, with those that are', async () => {
    const { ek } = await start(testScope());
    expect(await ask(ek, { pool: 'shop' })).toEqual([404, expect.stringMatching(/no pool .*shop.*"known":\["app"\]/s)]);
    const nowhere = await ask(ek, { pool: 'app', targetNodeId: 'z' });
    expect(nowhere).toEqual([404, expect.stringMatching(/no node .*z.*"known":\["a","b","c"\]/s)]);
    expect(await ask(ek, { pool: 'app', targetNodeId: 'a' })).toEqual([
      409,
      expect.stringContaining('is the primary already'),
    ]);
    expect((await ask(ek, { pool: 'app', at: 'soon' }))[0]).toBe(422);
    expect(await shown(ek)).toMatchObject({ primary: 'a', epoch: 1 });
  });

  it('to a node that is down is 409 with the reason, by force as well', async () => {
    const { ek, nodes } = await start(testScope());
    await nodes[1]!.kill();
    await until(
      'b is down',
      async () => (await shown(ek)).nodes.some(({ id, up }) => id === 'b' && up === false),
      patient,
    );
    for (const force of [false, true]) {
      const [status, text] = await ask(ek, { pool: 'app', targetNodeId: 'b', force });
      expect([status, text]).toEqual([409, expect.stringMatching(/b: .*"forcible":false/s)]);
    }
    expect(await shown(ek)).toMatchObject({ primary: 'a', epoch: 1 });
  });

  it('to a node that is far behind is 409 with the reason, and no write waits for it', async () => {
    // What is asked for here is known after a time that grows with each of these.
    const more = { health: { path: '/health', interval: '500ms', timeout: '5s' } };
    const { ek } = await start(testScope(), { switchTimeout: '2s' }, { lags: [0, 3_600_000, 0], more });
    const write = (): Promise<Response> => fetch(`http://127.0.0.1:${ek.port}/write?id=one`, { method: 'POST' });
    expect((await write()).status).toBe(200);
    const to = (targetNodeId: string, dryRun: boolean) => ask(ek, { pool: 'app', targetNodeId, dryRun });
    await until('b is known to be far behind', async () => (await to('b', true))[0] === 409, patient);
    const [status, text] = await to('b', false);
    expect([status, text]).toEqual([409, expect.stringMatching(/b: it is at 0, and a was at 1 .* would not catch up/)]);
    expect(await shown(ek)).toMatchObject({ primary: 'a', epoch: 1, writes: { sent: true } });
    expect((await to('c', false))[0]).toBe(200);
  });

  it('without a quorum is 503, also for who asked as it was lost', async () => {
    const scope = testScope();
    const nodes = await startReplicaNodes(scope, ['a', 'b']);
    const members = await startMembers(scope, poolOf(nodes));
    const [left, ...others] = members.seats as [Seat, Seat, Seat];
    await Promise.all(others.map((seat) => members.end(seat, 'SIGKILL')));
    const body = JSON.stringify({ pool: 'app' });
    const first = await members.ask(left, '/api/ha/failover', { method: 'POST', headers, body });
    // Who led when it was asked had begun with it.
    expect([409, 503]).toContain(first.status);
    await until('no quorum is known', async () => !(await members.shown(left)).quorum, patient);
    const next = await members.ask(left, '/api/ha/failover', { method: 'POST', headers, body });
    expect([next.status, await next.text()]).toEqual([503, expect.stringContaining('no majority of the members')]);
  });
});

describe('a promote hook', () => {
  /** Of `b` it does this; of others it succeeds. A shell starts soon, also where much else runs; what fails waits so long. */
  const ofB = (program: string) => ({
    exec: ['/bin/sh', '-c', `if [ "$EK_NODE" = b ]; then ${program}; fi`],
    timeout: '10s',
  });
  const history = async ({ adminPort }: Evenkeel): Promise<string> =>
    (await runCli('failover', 'history', 'app', '--admin', `127.0.0.1:${adminPort}`)).stdout;

  it.each([
    ['hangs', ofB('exec sleep 1000'), /instead of b: promote failed: (no answer in time|ended at its deadline)/],
    ['fails', ofB('exit 3'), /instead of b: promote failed: exit code 3/],
  ])('that %s passes the turn to the next candidate, and the history says why', async (_, promote, said) => {
    const { ek, nodes } = await start(testScope(), { promote, demote: undefined });
    expect((await ek.admin('/api/ha/nodes/b', { method: 'PATCH', headers, body: '{"priority": 200}' })).status).toBe(
      200,
    );
    await nodes[0]!.kill();
    await until(
      'c is primary',
      async () => {
        const now = await shown(ek);
        if (now.primary === 'c') return true;
        throw new Error(`${JSON.stringify(now)}\n${await history(ek)}`);
      },
      { ...patient, everyMs: 200 },
    );
    expect(await history(ek)).toMatch(said);
  });

  it('that answers rubbish has still succeeded: what counts is its exit code or status', async () => {
    const rubbish = `printf '{"position": "far"} \\\\u0000 ['`;
    const { ek } = await start(testScope(), { promote: ofB(rubbish), demote: undefined });
    expect((await ask(ek, { pool: 'app', targetNodeId: 'b' }))[0]).toBe(200);
    expect(await shown(ek)).toMatchObject({ primary: 'b', epoch: 2 });
  });
});

it('a token that is forged, or of another pool’s key, sends its read to the primary', async () => {
  const { ek } = await start(testScope());
  const read = async (cookie: string): Promise<string | null> => {
    const answer = await fetch(`http://127.0.0.1:${ek.port}/read`, { headers: { cookie } });
    await answer.text();
    return answer.headers.get('x-node');
  };
  const write = await fetch(`http://127.0.0.1:${ek.port}/write?id=1`, { method: 'POST' });
  const [token = ''] = (write.headers.getSetCookie()[0] ?? '').split(';');
  expect(token).toMatch(/^[\w-]+=\S+$/);
  // Of the last character only two bits are part of the signature: another one that says the same is forged, too.
  for (const last of ['A', 'B', 'Q', 'R', 'g', 'h', 'w', 'x']) {
    if (token.endsWith(last)) continue;
    for (let i = 0; i < 3; i++) expect(await read(token.slice(0, -1) + last)).toBe('a');
  }
});
