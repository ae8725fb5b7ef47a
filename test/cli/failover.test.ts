import { describe, expect, it } from 'vitest';
import { startWorld } from '../admin/fixture.ts';
import { failoverWorld, poolView, record } from '../admin/ha/failover-fixture.ts';
import { testScope } from '../helpers/scope.ts';
import { cli } from './cli.ts';

async function api() {
  const failover = failoverWorld();
  const world = await startWorld({}, undefined, failover.failover);
  testScope().own({ stop: () => world.close() });
  return { failover, run: (...args: string[]) => cli(['failover', ...args, '--admin', `127.0.0.1:${world.port}`]) };
}

describe('evenkeel failover status', () => {
  it('draws each pool with its nodes, and exits 0 while writes are sent', async () => {
    const { run } = await api();
    const { code, stdout, stderr } = await run('status');
    expect([code, stderr]).toEqual([0, '']);
    const lines = stdout.split('\n');
    expect(lines[0]).toBe('pool app RECOVERING · primary a · epoch 7 · writes are sent');
    expect(lines[1]).toBe('b is back, without reads yet');
    expect(stdout).toMatch(/^NODE +ROLE +UP +POSITION +LAG +PRIORITY +LAST CHECK$/m);
    expect(stdout).toMatch(/^a +PRIMARY +yes +40 +5 ms +100 +200 in 3 ms$/m);
    expect(stdout).toMatch(/^b +SECONDARY +yes .*was primary, takes no reads yet$/m);
    expect((await run('status', 'app')).stdout).toBe(stdout);
  });

  it('exits 3 while they are not, and says why', async () => {
    const { failover, run } = await api();
    const planned = { at: record.lastFailoverAt, target: 'b' };
    failover.pools = [
      poolView(
        {
          ...{ writeUntil: null, stopped: 'no quorum', linkFault: true, differing: ['n2'] },
          record: { ...record, automatic: false, retryAt: record.lastFailoverAt, planned },
        },
        { parked: 4 },
      ),
    ];
    const { code, stdout } = await run('status');
    expect(code).toBe(3);
    expect(stdout).toContain('writes are NOT sent: no quorum · 4 writes wait · automatic failover is off');
    expect(stdout).toContain('automatic failover rests until 2026-01-02T00:00:00.000Z');
    expect(stdout).toContain('a switch to b is planned for 2026-01-02T00:00:00.000Z');
    failover.pools = [poolView({ record: { ...record, planned: { ...planned, target: null } } })];
    expect((await run('status')).stdout).toContain('a switch to the fittest is planned for 2026');
    expect(stdout).toContain('this member alone cannot reach the primary');
    expect(stdout).toContain('the config of this pool differs on n2');
  });

  it('knows the pools that there are', async () => {
    const { run } = await api();
    expect(await run('status', 'nope')).toMatchObject({ code: 1, stderr: expect.stringContaining('known: app') });
    expect(JSON.parse((await run('status', '--json')).stdout)).toMatchObject({ pools: { app: { primary: 'a' } } });
  });
});

describe('evenkeel failover, deeds', () => {
  it('ask for what they say', async () => {
    const { failover, run } = await api();
    const runs = [
      ['switch', 'app'],
      ['switch', 'app', '--to', 'b', '--at', '2026-05-01T03:00:00Z'],
      ['switch', 'app', '--to', 'b', '--force', '--accept-loss', '4', '--lost', 'n2', 'n3'],
      ['failback', 'app', '--dry-run'],
      ['cancel', 'app'],
      ['adopt', 'app', 'b'],
      ['enable'],
      ['disable', 'app'],
    ];
    for (const args of runs)
      expect(await run(...args), args.join(' ')).toMatchObject({ code: 0, stdout: 'b is primary of epoch 8\n' });
    const plain = {
      kind: 'switch',
      pool: 'app',
      target: null,
      at: null,
      dryRun: false,
      force: false,
      acceptLoss: null,
      lost: [],
    };
    expect(failover.commands).toEqual([
      plain,
      { ...plain, target: 'b', at: Date.UTC(2026, 4, 1, 3) },
      { ...plain, target: 'b', force: true, acceptLoss: 4, lost: ['n2', 'n3'] },
      { kind: 'failback', pool: 'app', dryRun: true },
      { kind: 'cancel', pool: 'app' },
      { kind: 'adopt', pool: 'app', node: 'b' },
      { kind: 'automatic', pool: null, enabled: true },
      { kind: 'automatic', pool: 'app', enabled: false },
    ]);
  });

  it('say that a switch is planned, beside what it would do', async () => {
    const { failover, run } = await api();
    const plan = { pool: 'app', from: 'a', to: 'b', why: 'it is furthest', others: [], pauseMs: 200 };
    failover.answer = { ok: true, plan, text: 'the switch is planned' };
    const shown = 'pool app: a -> b (it is furthest)\nwrites would pause for about 200 ms\n';
    const at = ['--at', '2126-05-01T03:00:00Z'];
    expect((await run('switch', 'app', ...at)).stdout).toBe(`the switch is planned\n${shown}`);
    expect((await run('switch', 'app', ...at, '--dry-run')).stdout).toBe(shown);
  });

  it('draw the plan of a dry run', async () => {
    const { failover, run } = await api();
    const others = [{ node: 'c', why: 'not healthy' }];
    const plan = { pool: 'app', from: 'a', to: 'b', why: 'it is furthest', others, pauseMs: 200 };
    failover.answer = { ok: true, plan, text: '' };
    expect((await run('switch', 'app', '--dry-run')).stdout).toBe(
      'pool app: a -> b (it is furthest)\nwrites would pause for about 200 ms\nnot chosen:\n  c: not healthy\n',
    );
  });

  it('that are refused exit 1 with the reason, 3 without a quorum; what makes no sense exits 2', async () => {
    const { failover, run } = await api();
    failover.answer = { ok: false, error: { kind: 'unfit', why: 'b: it is 3 behind', forcible: false } };
    expect(await run('switch', 'app', '--to', 'b')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'Not fit to be primary: b: it is 3 behind\n',
    });
    failover.answer = { ok: false, error: { kind: 'no-quorum', missing: ['n2'] } };
    expect((await run('failback', 'app')).code).toBe(3);
    const asked = failover.commands.length;
    for (const args of [['switch'], ['switch', 'app', '--at', 'soon'], ['switch', 'app', '--accept-loss', '-1']])
      expect((await run(...args)).code, args.join(' ')).toBe(2);
    expect(failover.commands).toHaveLength(asked);
  });

  it('history is a table, oldest first', async () => {
    const { failover, run } = await api();
    expect((await run('history', 'app')).stdout).toBe('2026-01-02T00:00:00.000Z  app  a is primary (failover)\n');
    failover.history = [];
    expect((await run('history')).stdout).toBe('nothing has happened yet\n');
  });
});
