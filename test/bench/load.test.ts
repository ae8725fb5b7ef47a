/** The benchmark as users start it, in its shortest form: it completes, and prints and writes every figure. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bounds } from '../../bench/load/bounds.ts';
import type { Results } from '../../bench/load/results.ts';
import { scenarios } from '../../bench/load/scenarios.ts';
import { testScope } from '../helpers/scope.ts';

const main = fileURLToPath(new URL('../../bench/load/main.ts', import.meta.url));

interface Ended {
  readonly code: number;
  readonly output: string;
}

const bench = (...args: readonly string[]): Promise<Ended> => benchWith(process.env, args);

function benchWith(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { env, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr });
    });
  });
}

describe('npm run bench -- --quick', () => {
  let folder = '';
  let ended: Ended;
  let results: Results;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'evenkeel-test-'));
    ended = await bench('--quick', '--rounds', '1', '--seconds', '1', '--peers', 'undici', '--out', folder);
    results = JSON.parse(await readFile(join(folder, 'load-quick.json'), 'utf8')) as Results;
  }, 600_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('measures every quick scenario and skips none', () => {
    expect(results.skipped, ended.output).toEqual([]);
    expect(ended.code, ended.output).toBe(0);
    expect(results.scenarios.map((one) => one.name)).toEqual(
      scenarios.filter((one) => one.quick).map((one) => one.name),
    );
  });

  it('says at its start how long it will take', () => {
    expect(ended.output).toMatch(/^\d+ scenarios, 1 rounds of 1 s: about \d+ (s|minutes)$/m);
  });

  it('prints every figure of every subject', () => {
    for (const { name, title, compared, subjects } of results.scenarios) {
      expect(ended.output).toContain(`### ${name}: ${title}`);
      for (const { label, medians } of subjects) {
        expect(Object.keys(medians), `${name}, ${label}`).toEqual(expect.arrayContaining([...compared, 'errors']));
        for (const [figure, value] of Object.entries(medians))
          expect(value, `${name}, ${label}: ${figure}`).toBeTypeOf('number');
      }
    }
  });

  it('has a verdict for every bound, or says why not', () => {
    expect(results.verdicts.map((one) => one.what)).toEqual(bounds.map((one) => one.what));
    for (const { what, verdict, why } of results.verdicts) {
      expect(ended.output).toContain(what);
      expect(why, `${what}: ${verdict}`).toBeTruthy();
    }
    const known = results.verdicts.find((one) => one.against === 'undici');
    expect(known?.verdict).toBe('not judged');
    expect(known?.quartiles?.median).toBeGreaterThan(0);
  });

  it('writes a table and a picture', async () => {
    expect(await readFile(join(folder, 'load-quick.md'), 'utf8')).toContain('## Against what is wanted');
    expect(await readFile(join(folder, 'load-quick.svg'), 'utf8')).toMatch(/<\/svg>\n$/);
  });
});

describe('where nothing but npm is', () => {
  it('the quick form runs, and names who is absent', async () => {
    const scope = testScope();
    const out = await scope.folder();
    const args = [
      '--quick',
      '--only',
      '100b',
      '--peers',
      'caddy,undici',
      '--rounds',
      '1',
      '--seconds',
      '1',
      '--out',
      out,
    ];
    const { code, output } = await benchWith({ PATH: await scope.folder() }, args);
    expect(code, output).toBe(0);
    expect(output).toContain('caddy is absent from this machine');
    const results = JSON.parse(await readFile(join(out, 'load-quick.json'), 'utf8')) as Results;
    expect(results).toMatchObject({ tool: 'autocannon', absent: ['caddy'], skipped: [] });
    expect(results.scenarios[0]?.subjects.map(({ label }) => label)).toEqual(['evenkeel', 'undici']);
    expect(await readFile(join(out, 'load-quick.md'), 'utf8')).toContain('Absent from this machine: caddy.');
  });
});

describe('usage', () => {
  it('says what is wrong with an argument, and what would be right', async () => {
    expect(await bench('--peers', 'ngnix')).toMatchObject({
      code: 2,
      output: expect.stringContaining('unknown ngnix'),
    });
    expect(await bench('--rounds', 'many')).toMatchObject({ code: 2, output: expect.stringContaining('--rounds') });
    expect(await bench('--quick', '--judged')).toMatchObject({ code: 2, output: expect.stringContaining('--judged') });
    expect(await bench('--fast')).toMatchObject({ code: 2, output: expect.stringContaining('--fast') });
  });

  it('lists the scenarios', async () => {
    const { code, output } = await bench('--list');
    expect(code).toBe(0);
    for (const { name } of scenarios) expect(output).toContain(name);
  });
});
