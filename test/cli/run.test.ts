import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Child } from '../helpers/child.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { testScope } from '../helpers/scope.ts';
import { cli, mainFile } from './cli.ts';

async function startNode(): Promise<string> {
  const server = createServer((request, response) => void response.end(`node answers ${request.url}`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  testScope().own({ stop: () => void server.close().closeAllConnections() });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

async function configFile(text: string): Promise<string> {
  const file = join(await testScope().folder(), 'config.yaml');
  await writeFile(file, text);
  return file;
}

/** The body of an answer, once there is one. */
const body = (url: string, child: Child): Promise<string> =>
  until(`an answer from ${url}`, async () => {
    if (child.exited !== null) throw new Error(`it ended: ${child.output()}`);
    const response = await fetch(url);
    return response.ok && response.text();
  });

describe('evenkeel run', () => {
  it('serves from a file, tells so, and ends with 0 on SIGTERM', async () => {
    const [port, admin, node] = [await freePort(), await freePort(), await startNode()];
    const file = await configFile(
      `listen: 127.0.0.1:${port}\nadmin: 127.0.0.1:${admin}\npools: { app: { nodes: [${node}] } }\n`,
    );
    const child = testScope().own(new Child(mainFile, { args: ['run', '-c', file] }));
    expect(await body(`http://127.0.0.1:${port}/x`, child)).toBe('node answers /x');
    const status = await cli(['status', '--admin', `127.0.0.1:${admin}`]);
    expect(status).toMatchObject({ code: 0, stderr: '' });
    expect(status.stdout).toContain(`from ${file}`);
    expect(status.stdout).toContain('1 of 1 nodes fit');
    child.kill('SIGTERM');
    expect(await child.exit).toEqual({ code: 0, signal: null });
    expect(child.stderr.join('\n')).toContain(`127.0.0.1:${port}`);
  });

  it('ends with 0 if it is told to before it serves anybody', async () => {
    const [port, admin] = [await freePort(), await freePort()];
    // Takes connections and never answers a check: the start waits for the first round.
    const mute = createTcpServer();
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    testScope().own({ stop: () => void mute.close() });
    const { port: mutePort } = mute.address() as AddressInfo;
    const file = await configFile(
      `listen: 127.0.0.1:${port}\nadmin: 127.0.0.1:${admin}\npools: { app: { nodes: [http://127.0.0.1:${mutePort}], health: { path: / } } }\n`,
    );
    const child = testScope().own(new Child(mainFile, { args: ['run', '-c', file] }));
    await until('the admin API', async () => (await fetch(`http://127.0.0.1:${admin}/livez`)).ok, { everyMs: 5 });
    child.kill('SIGTERM');
    expect(await child.exit).toEqual({ code: 0, signal: null });
    expect(child.output()).not.toContain('"event":"ready"');
  });

  it('serves without any file', async () => {
    const [port, second, admin] = [await freePort(), await freePort(), await freePort()];
    const nodes = ['--to', await startNode(), '--to', await startNode()];
    const listen = ['--listen', `127.0.0.1:${port}`, '--listen', `127.0.0.1:${second}`];
    const others = ['--admin', `127.0.0.1:${admin}`, '--balance', 'round-robin', '--workers', '1', '--access', 'off'];
    const child = testScope().own(new Child(mainFile, { args: ['run', ...listen, ...nodes, ...others] }));
    expect(await body(`http://127.0.0.1:${port}/a`, child)).toBe('node answers /a');
    expect(await body(`http://127.0.0.1:${second}/b`, child)).toBe('node answers /b');
    const { stdout } = await cli(['status', '--admin', `127.0.0.1:${admin}`]);
    expect(stdout).toContain('from the command line');
    expect(stdout).toContain('pool app · round-robin');
    expect(stdout).toContain('2 of 2 nodes fit');
    child.kill('SIGINT');
    expect(await child.exit).toEqual({ code: 0, signal: null });
  });

  it('does not start with a config that has problems, and shows all of them', async () => {
    const file = await configFile(
      'listn: 127.0.0.1:0\npools: { app: { nodes: [http://10.0.0.1:3000], blance: weighted } }\n',
    );
    const { code, stdout, stderr } = await cli(['run', '-c', file]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    for (const part of [`${file}:1:1`, 'did you mean listen?', `${file}:2:`, 'did you mean balance?']) {
      expect(stderr).toContain(part);
    }
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('names a file that is missing, and a folder without any', async () => {
    const cwd = await testScope().folder();
    const missing = await cli(['run', '-c', 'missing.yaml'], { cwd });
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toContain('missing.yaml does not exist');
    const nothing = await cli(['run'], { cwd });
    expect(nothing).toMatchObject({ code: 1, stdout: '' });
    expect(nothing.stderr).toMatch(/^No config: .*\n$/);
  });

  it('says in one line that a port is taken, and what to do', async () => {
    const holder = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
    testScope().own({ stop: () => void holder.close() });
    const free = await freePort();
    const proxy = [
      'run',
      '--listen',
      `127.0.0.1:${port}`,
      '--admin',
      `127.0.0.1:${free}`,
      '--to',
      'http://127.0.0.1:1',
    ];
    const admin = [
      'run',
      '--listen',
      `127.0.0.1:${free}`,
      '--admin',
      `127.0.0.1:${port}`,
      '--to',
      'http://127.0.0.1:1',
    ];
    for (const args of [proxy, admin]) {
      const { code, stdout, stderr } = await cli(args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(new RegExp(`^.*127\\.0\\.0\\.1:${port}.*\n$`));
      expect(stderr).toContain('choose another');
    }
  });

  it('refuses arguments that it does not understand with 2', async () => {
    const both = await cli(['run', '-c', 'config.yaml', '--to', 'http://127.0.0.1:1']);
    expect(both).toMatchObject({ code: 2, stdout: '' });
    expect(both.stderr).toContain('not both');
    const noNode = await cli(['run', '--listen', ':8080']);
    expect(noNode).toMatchObject({ code: 2, stdout: '' });
    expect(noNode.stderr).toContain('--to');
    const badUrl = await cli(['run', '--to', 'ftp://127.0.0.1']);
    expect(badUrl).toMatchObject({ code: 2, stdout: '' });
    expect(badUrl.stderr).toContain('ftp://127.0.0.1');
    const badWord = await cli(['run', '--to', 'http://127.0.0.1:1', '--balance', 'best']);
    expect(badWord).toMatchObject({ code: 2, stdout: '' });
    expect(badWord.stderr).toContain('round-robin');
  });
});
