/**
 * The built package: compiled by tsc as for publishing, into a folder inside node_modules, where its dependencies are
 * found as they would be after an install. (.ci/run installs the packed package itself.)
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../helpers/child.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { fileScope, testScope } from '../helpers/scope.ts';
import { root, textOf } from '../tidy/source.ts';
import { threeFreePorts } from './cli.ts';

const scope = fileScope();
let bin = '';

beforeAll(async () => {
  const cache = join(root, 'node_modules/.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'evenkeel-'));
  scope.own({ stop: () => rm(folder, { recursive: true, force: true }) });
  for (const file of ['package.json', 'config.example.yaml']) await cp(join(root, file), join(folder, file));
  const tsc = join(root, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['-p', join(root, 'tsconfig.build.json'), '--outDir', join(folder, 'dist')], { stdio: 'inherit' });
  bin = join(folder, 'dist/cli/bin.js');
}, 240_000);

/** Nodes of this machine that are older than evenkeel needs. */
function olderNodes(): string[] {
  const found = execFileSync('sh', ['-c', 'which -a node || true'], { encoding: 'utf8' }).split('\n');
  const major = (node: string): number =>
    Number(execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).split('.')[0]);
  return found.filter((node) => node !== '' && major(node) < 24);
}

async function run(args: readonly string[]) {
  const child = new Child(bin, { args });
  const { code } = await child.exit;
  return { code, stdout: child.stdout.join('\n'), stderr: child.stderr.join('\n') };
}

describe('the built package', () => {
  it('knows its version and its schema', async () => {
    const { version } = JSON.parse(textOf('package.json')) as { readonly version: string };
    expect(await run(['version'])).toEqual({ code: 0, stdout: version, stderr: '' });
    const schema = await run(['schema']);
    expect(JSON.parse(schema.stdout)).toMatchObject({ type: 'object' });
  });

  it('proxies: its data threads start from compiled files', async () => {
    const node = createServer((_request, response) => void response.end('from the node'));
    const [to, port, admin] = [await freePort(), await freePort(), await freePort()];
    await new Promise<void>((resolve) => node.listen(to, '127.0.0.1', resolve));
    testScope().own({ stop: () => void node.close().closeAllConnections() });
    const listen = ['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${admin}`];
    const child = new Child(bin, { args: ['run', ...listen, '--to', `http://127.0.0.1:${to}`] });
    testScope().own(child);
    const body = await until('an answer through the proxy', async () => {
      if (child.exited) throw new Error(child.output());
      const response = await fetch(`http://127.0.0.1:${port}/`);
      return response.ok && response.text();
    });
    expect(body).toBe('from the node');
    child.process.kill('SIGTERM');
    expect(await child.exit).toEqual({ code: 0, signal: null });
  });

  it('takes a large config and reloads it: the thread that reads one starts from a compiled file', async () => {
    const scope = testScope();
    const [port, admin] = [await freePort(), await freePort()];
    const file = join(await scope.folder(), 'c.yaml');
    const write = (routes: number): void =>
      writeFileSync(
        file,
        [
          `listen: 127.0.0.1:${port}`,
          `admin: 127.0.0.1:${admin}`,
          'pools: { app: { nodes: ["http://127.0.0.1:1"], health: off } }',
          'routes:',
          ...Array.from({ length: routes }, (_, route) => `  - { host: r${route}.test, pool: app }`),
        ].join('\n'),
      );
    const routesOf = async (): Promise<number> => {
      const config = await fetch(`http://127.0.0.1:${admin}/api/config`);
      return ((await config.json()) as { readonly routes: readonly unknown[] }).routes.length;
    };
    write(2000);
    const child = scope.own(new Child(bin, { args: ['run', '-c', file] }));
    const begun = await until('the config in force', () => {
      if (child.exited) throw new Error(child.output());
      return routesOf();
    });
    expect(begun).toBe(2000);
    write(2001);
    await until('the next one', async () => (await routesOf()) === 2001);
    child.kill('SIGTERM');
    expect(await child.exit).toEqual({ code: 0, signal: null });
  });

  it('has the demo in it, with its sample nodes and its config', async () => {
    const ports = ['--port', await freePort(), '--admin-port', await freePort(), '--node-port', await threeFreePorts()];
    const demo = testScope().own(new Child(bin, { args: ['demo', ...ports.map(String)] }));
    await until('what to try', () => {
      if (demo.exited) throw new Error(demo.output());
      return demo.stdout.some((line) => line.includes('npx evenkeel status'));
    });
    demo.kill('SIGINT');
    expect(await demo.exit).toEqual({ code: 0, signal: null });
  });

  it('ends with one clear line on an older Node', () => {
    // An older version as this Node would report it, and the real older ones of this machine, if there are any.
    const pretend = join(bin, '../../pretend.cjs');
    writeFileSync(pretend, "Object.defineProperty(process, 'versions', { value: { node: '22.1.0' } });");
    for (const command of [[process.execPath, '--require', pretend], ...olderNodes().map((node) => [node])]) {
      const [node = '', ...options] = command;
      const ended = spawnSync(node, [...options, bin, 'run'], { encoding: 'utf8' });
      expect(ended).toMatchObject({ status: 1, stdout: '' });
      expect(ended.stderr).toMatch(/^evenkeel needs Node 24 or newer, this is \d+\.\d+\.\d+ .*\n$/);
    }
  });

  it('says in one line that it is not whole, where a dependency is missing', async () => {
    const alone = join(await testScope().folder(), 'dist');
    await cp(join(bin, '../..'), alone, { recursive: true });
    await cp(join(root, 'package.json'), join(alone, '../package.json'));
    const ended = spawnSync(process.execPath, [join(alone, 'cli/bin.js'), 'version'], { encoding: 'utf8' });
    expect(ended).toMatchObject({ status: 1, stdout: '' });
    expect(ended.stderr).toMatch(/^evenkeel cannot load its own files: .*commander.*\n$/);
  });

  it('asks for no devDependency', () => {
    const { dependencies } = JSON.parse(textOf('package.json')) as { readonly dependencies: object };
    const output = execFileSync('grep', ['-rhoE', '(from |import\\()[\'"][^\'"]+', join(bin, '../..')], {
      encoding: 'utf8',
    });
    const packages = output
      .split('\n')
      .map((line) => line.replace(/^.*['"]/, ''))
      .filter((name) => name !== '' && !/^(\.|node:)/.test(name))
      .map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)?.[0]);
    expect(new Set(packages)).toContain('commander');
    for (const name of packages) expect(Object.keys(dependencies)).toContain(name);
  });
});
