/** What Prometheus sees of three running members, while locks are waited for, writes are made and a member dies. */
import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { fileScope } from '../../helpers/scope.ts';
import { Processes, type Seat } from './processes.ts';

const promtool = spawnSync('promtool', ['--version']).status === 0;
const inCi = process.env['CI'] === 'true';
if (!promtool && !inCi) console.warn("promtool is not installed (Debian's package prometheus): its check is left out");

const scope = fileScope();
let members: Processes;
let leader: Seat;

const pageOf = async (seat: Seat): Promise<string> => (await members.ask(seat, '/metrics')).text();

function metric(page: string, name: string): number {
  const line = page.split('\n').find((one) => one.startsWith(`evenkeel_cluster_${name} `));
  if (line === undefined) throw new Error(`no ${name} in the page`);
  return Number(line.slice(line.lastIndexOf(' ')));
}

const lock = (seat: Seat, owner: string, waitMs: number): Promise<Response> =>
  members.ask(seat, '/api/ha/locks/job', { method: 'POST', body: JSON.stringify({ owner, waitMs }) });

beforeAll(async () => {
  members = await Processes.of(scope, 3);
  members.start(...members.seats);
  leader = await members.led();
});

describe('metrics of a running cluster', () => {
  it.skipIf(!promtool && !inCi)('pass promtool check metrics on each member', async () => {
    for (const seat of members.seats) {
      const check = spawnSync('promtool', ['check', 'metrics'], { input: await pageOf(seat), encoding: 'utf8' });
      expect(`${check.error?.message ?? ''}${check.stdout}${check.stderr}`).toBe('');
      expect(check.status).toBe(0);
    }
  });

  it('count writes where they were asked for, and how far everybody is', async () => {
    const follower = members.seats.find((seat) => seat !== leader)!;
    const before = metric(await pageOf(follower), 'writes_total{result="committed"}');
    for (let i = 0; i < 10; i++) expect(await members.put(follower, `k${i}`, 'v')).toBe(true);
    const page = await pageOf(follower);
    expect(metric(page, 'writes_total{result="committed"}')).toBe(before + 10);
    expect(metric(page, 'commit_seconds_count')).toBe(metric(page, 'writes_total{result="committed"}'));
    expect(metric(page, 'commit_seconds_sum')).toBeGreaterThan(0);
    expect([metric(page, 'voters'), metric(page, 'is_leader')]).toEqual([3, 0]);
    expect(metric(page, 'journal_commits_total')).toBeGreaterThan(0);
    expect(metric(page, 'disk_bytes')).toBeGreaterThan(4096);
    for (const direction of ['in', 'out']) {
      expect(metric(page, `gossip_bytes_total{direction="${direction}"}`)).toBeGreaterThan(0);
      expect(metric(page, `connection_bytes_total{direction="${direction}"}`)).toBeGreaterThan(0);
    }
    await until('no lag', async () => {
      const own = await pageOf(leader);
      return members.seats.every(({ name }) => metric(own, `lag_entries{member="${name}"}`) === 0);
    });
    const log = metric(await pageOf(leader), 'log_entries');
    expect(log).toBeGreaterThanOrEqual(10);
  });

  it('show who waits for a lock, and how long it took', async () => {
    const held = (await (await lock(leader, 'one', 0)).json()) as { readonly token: number };
    const waiting = lock(leader, 'two', 60_000);
    await until('the wait is shown', async () => metric(await pageOf(leader), 'lock_waits') === 1);
    const path = `/api/ha/locks/job?token=${held.token}`;
    expect((await members.ask(leader, path, { method: 'DELETE' })).status).toBe(200);
    expect((await waiting).status).toBe(200);
    await until('the wait is counted', async () => {
      const page = await pageOf(leader);
      return metric(page, 'lock_waits') === 0 && metric(page, 'lock_wait_seconds_count') === 1;
    });
  });

  it('show a member that dies: suspected, held dead, and writes that find no quorum', async () => {
    const others = members.seats.filter((seat) => seat !== leader);
    await members.end(others[0]!, 'SIGKILL');
    await until('its death', async () => metric(await pageOf(leader), 'deaths_total') >= 1, { withinMs: 60_000 });
    expect(metric(await pageOf(leader), 'suspicions_total')).toBeGreaterThanOrEqual(1);
    await until('who is gone', async () => metric(await pageOf(leader), 'members{state="UNREACHABLE"}') === 1);
    await members.end(others[1]!, 'SIGKILL');
    await until(
      'no quorum',
      async () => {
        await members.put(leader, 'k', 'v');
        return metric(await pageOf(leader), 'writes_total{result="no-quorum"}') >= 1;
      },
      { withinMs: 60_000 },
    );
    await until('the quorum is gone', async () => metric(await pageOf(leader), 'has_quorum') === 0);
  });
});
