import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { Child } from '../helpers/child.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { testScope } from '../helpers/scope.ts';
import { line } from './line-client.ts';

const script = fileURLToPath(new URL('./process.ts', import.meta.url));

async function world(shutdown: object = { delay: 0, deadline: '1m' }) {
  const scope = testScope();
  const [port, adminPort, nodePort] = [await freePort(), await freePort(), await freePort()];
  const file = join(await scope.folder(), 'config.yaml');
  const pools = { app: { nodes: [`http://127.0.0.1:${nodePort}`], health: 'off' } };
  const settings = { listen: `127.0.0.1:${port}`, admin: `127.0.0.1:${adminPort}`, workers: 1, log: { access: 'off' } };
  const write = async (more: object = {}): Promise<void> => {
    await writeFile(`${file}.new`, stringify({ ...settings, pools, shutdown, ...more }));
    await rename(`${file}.new`, file);
  };
  await write();
  const child = scope.own(new Child(script, { args: [file] }));
  const events = (): string[] => child.stderr.map((text) => (JSON.parse(text) as { event?: string }).event ?? '');
  const seen = (event: string): Promise<unknown> =>
    until(`the event ${event} in\n${child.output()}`, () => events().includes(event));
  await seen('ready');
  const ready = async (): Promise<number> => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).status;
  return { child, port, events, seen, write, ready };
}

describe('signals', () => {
  it('SIGTERM drains: not ready at once, what runs is finished, exit 0', async () => {
    const { child, port, seen, ready } = await world({ delay: '500ms', deadline: '5m' });
    const open = await line({ port });
    await until('ready', async () => (await ready()) === 200);
    child.kill('SIGTERM');
    await seen('draining');
    expect(await ready()).toBe(503);
    await until('the listener to close', () =>
      line({ port }).then(
        (one) => one.end(),
        () => true,
      ),
    );
    expect(await open.ask('row')).toBe('0');
    expect(child.exited).toBeNull();
    open.end();
    expect(await child.exit).toEqual({ code: 0, signal: null });
    expect(child.output()).toContain('drained: no client is left');
  });

  it('a second SIGTERM ends at once', async () => {
    const { child, port, seen } = await world({ delay: '60s', deadline: '60s' });
    const open = await line({ port });
    child.kill('SIGTERM');
    await seen('draining');
    child.kill('SIGTERM');
    await open.closed;
    expect(await child.exit).toEqual({ code: 0, signal: null });
  });

  it('SIGINT ends at once', async () => {
    const { child, port, events } = await world({ delay: '60s', deadline: '60s' });
    const open = await line({ port });
    child.kill('SIGINT');
    await open.closed;
    expect((await child.exit).code).toBe(0);
    expect(events()).not.toContain('draining');
  });

  it('SIGHUP and a changed file reload, SIGUSR2 opens logs again', async () => {
    const { child, events, seen, write } = await world();
    child.kill('SIGHUP');
    await seen('reloaded');
    expect(child.output()).toContain('nothing had changed');
    await write({ timeouts: { head: '3s' } });
    await until('the second reload', () => events().filter((event) => event === 'reloaded').length === 2);
    expect(child.output()).toContain('config reloaded: timeouts');
    child.kill('SIGUSR2');
    await seen('logs-reopened');
    child.kill('SIGUSR1');
    await seen('signal-ignored');
    expect(child.output()).not.toContain('Debugger listening');
    await write({ wrong: 1 });
    await seen('reload-refused');
    expect(child.exited).toBeNull();
  });
});
