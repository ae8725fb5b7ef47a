import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { testScope } from '../helpers/scope.ts';
import { root, textOf } from '../tidy/source.ts';
import { cli } from './cli.ts';

const good = 'listen: 127.0.0.1:8080\npools: { app: { nodes: [http://10.0.0.1:3000, http://10.0.0.2:3000] } }\n';
const bad = 'listn: 127.0.0.1:8080\npools: { app: { nodes: [http://10.0.0.1:3000], blance: weighted } }\n';

async function configFile(text: string): Promise<{ readonly folder: string; readonly file: string }> {
  const folder = await testScope().folder();
  const file = join(folder, 'config.yaml');
  await writeFile(file, text);
  return { folder, file };
}

describe('evenkeel check', () => {
  it('says what a valid file holds, and exits 0', async () => {
    const { file } = await configFile(good);
    const result = await cli(['check', '-c', file]);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const [said, ...notes] = result.stdout.trimEnd().split('\n');
    expect(said).toBe(`${file} is valid: 1 listener, 1 pool, 2 nodes, 1 route`);
    for (const note of notes) expect(note).toMatch(/^note: /);
  });

  it('shows all problems with place, line and hint, and exits 1', async () => {
    const { file } = await configFile(bad);
    const { code, stdout } = await cli(['check', '-c', file]);
    expect(code).toBe(1);
    expect(stdout).toContain(`${file}:1:1`);
    expect(stdout).toContain('listn: 127.0.0.1:8080');
    expect(stdout).toContain('did you mean listen?');
    expect(stdout).toContain(`${file}:2:`);
    expect(stdout).toContain('did you mean balance?');
    expect(stdout).toContain(`${file}: 2 errors\n`);
  });

  it('predicts how long writes wait for a failover, and what could be lost', async () => {
    const nodes = 'nodes: [http://10.0.0.1:3000, http://10.0.0.2:3000]';
    const hook = 'promote: { post: /promote, timeout: 3s }';
    const app = `{ ${nodes}, health: { path: /health }, failover: { ${hook} }, split: {} }`;
    const { file } = await configFile(
      `pools: { app: ${app}, db: { ${nodes}, failover: manual } }\nroutes: [{ path: /db, pool: db }, { pool: app }]\n`,
    );
    const { code, stdout } = await cli(['check', '-c', file]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /pool app: when its primary dies, writes wait 8650ms at worst \(detect 5200ms, decide 200ms, fence 250ms, promote hook 3s\)/,
    );
    expect(stdout).toMatch(/pool app: where its health answers report positions, only one that has every position/);
    expect(stdout).toMatch(/pool db: only an operator changes its primary/);
    expect(stdout).toMatch(/pool db: its checks only connect, so nodes report no positions/);
    const lease = { member: 'a', address: '127.0.0.1:1', seeds: ['127.0.0.1:2', '127.0.0.1:3'], expect: 3 };
    const three = await configFile(`pools: { app: ${app} }\ncluster: ${JSON.stringify(lease)}\n`);
    expect((await cli(['check', '-c', three.file])).stdout).toMatch(
      /writes wait 11480ms at worst.*fence 3080ms[\s\S]*round trips between members take up to 200ms/,
    );
  });

  it('prints the same as JSON', async () => {
    const { file } = await configFile(bad);
    const { code, stdout } = await cli(['check', '--json', '-c', file]);
    expect(code).toBe(1);
    const said = JSON.parse(stdout) as {
      readonly ok: boolean;
      readonly problems: readonly { readonly line: number }[];
    };
    expect(said).toMatchObject({ ok: false, file });
    expect(said.problems.map((problem) => problem.line)).toEqual([1, 2]);
    const valid = await configFile(good);
    const { stdout: fine } = await cli(['check', '--json', '-c', valid.file]);
    expect(JSON.parse(fine)).toMatchObject({ ok: true, file: valid.file, problems: [] });
  });

  it('finds ./config.yaml by itself, and says where it looked if there is none', async () => {
    const { folder } = await configFile(good);
    expect(await cli(['check'], { cwd: folder })).toMatchObject({ code: 0 });
    const nothing = await cli(['check'], { cwd: await testScope().folder() });
    expect(nothing).toMatchObject({ code: 1, stdout: '' });
    expect(nothing.stderr).toMatch(
      /^No config: neither \.\/config\.yaml nor \/etc\/evenkeel\/config\.yaml exists\..*\n$/,
    );
  });

  it('names a file that cannot be read', async () => {
    const { code, stdout } = await cli(['check', '-c', 'missing.yaml'], { cwd: await testScope().folder() });
    expect(code).toBe(1);
    expect(stdout).toContain('missing.yaml does not exist');
  });

  it('finds config.example.yaml good', async () => {
    expect(await cli(['check', '-c', join(root, 'config.example.yaml')])).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('evenkeel config print', () => {
  it('prints each value and where it came from, never a secret', async () => {
    const { file } = await configFile(`${good}admin: { address: 127.0.0.1:9090, token: geheim-geheim-geheim }\n`);
    const { code, stdout } = await cli(['config', 'print', '-c', file]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/address: 127\.0\.0\.1:8080 +# .*config\.yaml:1/);
    expect(stdout).toMatch(/# default/);
    const json = await cli(['config', 'print', '--json', '-c', file]);
    expect(JSON.parse(json.stdout)).toMatchObject({ pools: { app: { balance: { algorithm: 'least-connections' } } } });
    expect(stdout + json.stdout).not.toContain('geheim');
  });

  it('shows problems instead of an invalid config', async () => {
    const { file } = await configFile(bad);
    const { code, stdout, stderr } = await cli(['config', 'print', '-c', file]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('did you mean listen?');
  });
});

describe('evenkeel schema, version, help', () => {
  it('prints config.schema.json', async () => {
    expect(await cli(['schema'])).toEqual({ code: 0, stdout: textOf('config.schema.json'), stderr: '' });
  });

  it('prints the version of package.json', async () => {
    const { version } = JSON.parse(textOf('package.json')) as { readonly version: string };
    expect(await cli(['version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect((await cli(['--version'])).stdout).toBe(`${version}\n`);
    const { stdout } = await cli(['version', '--json']);
    expect(JSON.parse(stdout)).toEqual({ evenkeel: version, node: process.versions.node });
  });

  it('exits 0 for help and 2 for what it does not understand', async () => {
    const help = await cli(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const command of ['run', 'check', 'demo', 'status', 'config', 'schema', 'version']) {
      expect(help.stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
    }
    for (const args of [[], ['chek'], ['check', '--jsn'], ['status', 'extra'], ['config'], ['run', '-c']]) {
      const result = await cli(args);
      expect(result, args.join(' ')).toMatchObject({ code: 2, stdout: '' });
      expect(result.stderr, args.join(' ')).not.toBe('');
    }
  });

  it('leads to the help of the command that was mistyped', async () => {
    const file = 'a config file is named with -c FILE; ';
    for (const [args, hint] of [
      [['cluster', 'add'], 'evenkeel cluster add --help'],
      [['state', 'set', 'k'], 'evenkeel state set --help'],
      [['check', 'config.yaml'], `${file}evenkeel check --help`],
      [['config', 'print', 'config.yaml'], `${file}evenkeel config print --help`],
      [['clutser'], 'evenkeel --help'],
    ] as const)
      expect((await cli([...args])).stderr).toContain(`(${hint} lists what there is)`);
  });
});
