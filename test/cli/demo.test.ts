import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Child } from '../helpers/child.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { testScope } from '../helpers/scope.ts';
import { cli, isGone, mainFile, threeFreePorts } from './cli.ts';

interface DemoPorts {
  readonly port: number;
  readonly admin: number;
  readonly node: number;
}

const choose = async (): Promise<DemoPorts> => ({
  port: await freePort(),
  admin: await freePort(),
  node: await threeFreePorts(),
});

const args = ({ port, admin, node }: DemoPorts): string[] =>
  ['demo', '--port', port, '--admin-port', admin, '--node-port', node].map(String);

const printedPids = (child: Child): number[] =>
  child.stdout.flatMap((line) => {
    const pid = /^ {2}app-\d .* pid (\d+)$/.exec(line)?.[1];
    return pid === undefined ? [] : [Number(pid)];
  });

describe('evenkeel demo', () => {
  it('starts three nodes and evenkeel, survives a node’s death, and takes all of them along when it ends', async () => {
    const ports = await choose();
    const demo = testScope().own(new Child(mainFile, { args: args(ports) }));
    await until('what to try', () => demo.stdout.some((line) => line.startsWith('Ctrl-C')) || demo.exited, {
      withinMs: 60_000,
    });
    expect(demo.exited, demo.output()).toBeNull();
    const pids = printedPids(demo);
    expect(pids).toHaveLength(3);
    const ask = async (): Promise<{ readonly node: string; readonly pid: number }> => {
      const response = await fetch(`http://127.0.0.1:${ports.port}/`);
      expect(response.status).toBe(200);
      return (await response.json()) as { readonly node: string; readonly pid: number };
    };
    expect(pids).toContain((await ask()).pid);
    process.kill(pids[1]!, 'SIGKILL');
    await until('the end of a node', () => isGone(pids[1]!));
    for (let i = 0; i < 20; i++) expect((await ask()).pid).not.toBe(pids[1]);
    await until('status sees it', async () => {
      const { stdout } = await cli(['status', '--admin', `127.0.0.1:${ports.admin}`]);
      return stdout.includes('2 of 3 nodes fit');
    });
    demo.kill('SIGINT');
    expect(await demo.exit).toEqual({ code: 0, signal: null });
    for (const pid of pids) await until(`end of node ${pid}`, () => isGone(pid));
  });

  it('leaves no node behind when it is killed', async () => {
    const demo = testScope().own(new Child(mainFile, { args: args(await choose()) }));
    await until('what to try', () => demo.stdout.some((line) => line.startsWith('Ctrl-C')), { withinMs: 60_000 });
    demo.kill('SIGKILL');
    await demo.exit;
    for (const pid of printedPids(demo)) await until(`end of node ${pid}`, () => isGone(pid));
  });

  it('names a port that is taken and what to do, and leaves nothing running', async () => {
    const ports = await choose();
    for (const taken of [ports.node + 2, ports.port, ports.admin]) {
      const holder = createServer();
      await new Promise<void>((resolve) => holder.listen(taken, '127.0.0.1', resolve));
      const { code, stdout, stderr } = await cli(args(ports));
      await new Promise((resolve) => holder.close(resolve));
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(String(taken));
      expect(stderr).toContain('evenkeel demo --port 8081 --admin-port 9091 --node-port 3011');
    }
  });

  it('refuses what is no port', async () => {
    const { code, stderr } = await cli(['demo', '--port', 'many']);
    expect(code).toBe(2);
    expect(stderr).toContain('a port is a number');
  });
});
