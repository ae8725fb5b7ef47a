/** A config that can't be used: at the start nothing begins, later nothing changes, and both say why. */

import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { launchEvenkeel, runCli, startEvenkeel } from '../helpers/evenkeel.ts';
import { startAppNode } from '../helpers/nodes.ts';
import { until, within } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { ask, get, RawClient } from '../helpers/raw-client.ts';
import { testScope } from '../helpers/scope.ts';

const threeProblems = {
  pools: { app: { nodes: [{ url: 'http://127.0.0.1:1', wieght: 2 }], balance: 'rond-robin' } },
  timeouts: { head: '10 parsecs' },
};

const refuses = (port: number): Promise<boolean> =>
  new RawClient(port).connected.then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
  );

describe('at the start', () => {
  it('all problems are told with their place, the exit is 1, nothing listens', async () => {
    const scope = testScope();
    const ek = await launchEvenkeel(scope, threeProblems);
    expect(await within('exit', ek.exit)).toEqual({ code: 1, signal: null });
    const output = ek.child.output();
    for (const word of ['wieght', 'weight', 'rond-robin', 'round-robin', '10 parsecs']) expect(output).toContain(word);
    expect(output).toMatch(/config\.yaml:\d+:\d+/);
    expect(output).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m);
    expect(await refuses(ek.port)).toBe(true);
    expect(await refuses(ek.adminPort)).toBe(true);
  });

  it.each([
    ['no YAML', 'pools: [unclosed'],
    ['empty', ''],
    ['a list', '- 1\n- 2\n'],
    ['binary', '\u0000\u0001\u0002'],
  ])('a file that is %s', async (_what, text) => {
    const scope = testScope();
    const file = `${await scope.folder()}/config.yaml`;
    await writeFile(file, text);
    const { code, stdout, stderr } = await runCli('run', '-c', file);
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('config.yaml');
    expect(stdout + stderr).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m);
  });

  it('a file that is not there', async () => {
    const { code, stdout, stderr } = await runCli('run', '-c', '/nowhere/config.yaml');
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('/nowhere/config.yaml');
  });

  it('a certificate that is not there', async () => {
    const scope = testScope();
    const ek = await launchEvenkeel(scope, (addresses) => ({
      listen: [{ address: addresses[0], tls: { cert: 'nowhere.pem', key: 'nowhere.key' } }],
      pools: { app: { nodes: ['http://127.0.0.1:1'] } },
    }));
    expect(await within('exit', ek.exit)).toEqual({ code: 1, signal: null });
    expect(ek.child.output()).toContain('nowhere.pem');
    expect(ek.child.output()).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m);
    expect(await refuses(ek.port)).toBe(true);
  });

  it('a node whose name does not resolve is no reason: it is unfit, and says why', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const ek = await startEvenkeel(scope, {
      pools: {
        app: {
          nodes: [node.url, { id: 'lost', url: 'http://nowhere.invalid:80' }],
          // Longer than a resolver takes that nobody answers.
          health: { interval: '100ms', fall: 1, timeout: '40s' },
        },
      },
    });
    const lost = await until(
      'verdict',
      async () => {
        const one = await ek.node('lost');
        return one.verdict === 'unhealthy' && one;
      },
      { withinMs: 90_000 },
    );
    expect(lost.why).toMatch(/nowhere\.invalid/);
    for (let i = 0; i < 4; i++) expect((await ask(ek.port, get('/'))).body).toBe('a\n');
  });

  it.each(['listener', 'admin'])('a port that is taken, of the %s', async (which) => {
    const scope = testScope();
    const port = await freePort();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve));
    scope.own({ stop: () => void taken.close() });
    const own = which === 'admin' ? { admin: `127.0.0.1:${port}` } : { listen: `127.0.0.1:${port}` };
    const ek = await launchEvenkeel(scope, { ...own, pools: { app: { nodes: ['http://127.0.0.1:1'] } } });
    expect(await within('exit', ek.exit)).toEqual({ code: 1, signal: null });
    expect(ek.child.output()).toContain(`127.0.0.1:${port}`);
    expect(ek.child.output()).toMatch(/another process/);
  });
});

describe('at a reload', () => {
  it('the old config stays in force; /stats and the log say why; a good one heals it', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const good = { pools: { app: { nodes: [node.url] } } };
    const ek = await startEvenkeel(scope, good);
    await ek.fit(1);
    const before = (await ek.stats()).config;

    await ek.write(threeProblems);
    const after = await until('the failed reload', async () => {
      const { config } = await ek.stats();
      return config.reloadsFailed === 1 && config;
    });
    expect(after.version).toBe(before.version);
    expect(after.lastReload).toMatchObject({ ok: false });
    expect(after.lastReload?.problem).toMatch(/config\.yaml:\d+:\d+/);
    expect((await ask(ek.port, get('/'))).body).toBe('a\n');
    await until('a line in the log', () => ek.child.output().includes('rond-robin'));
    expect((await ek.admin('/readyz')).status).toBe(200);

    await ek.reload({ ...good, timeouts: { head: '9s' } });
    expect((await ek.stats()).config.lastReload).toMatchObject({ ok: true, problem: null });
    expect((await ask(ek.port, get('/'))).body).toBe('a\n');
  });
});
