import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { loadConfigFile } from '../../../src/config/io/load.ts';
import { type ReadyOptions, readyFile } from '../../../src/config/io/ready.ts';
import { testScope } from '../../helpers/scope.ts';
import { line } from '../helper.ts';
import { a } from './pem.ts';

/** Files that this thread read itself; another thread has modules of its own. */
const readHere: string[] = [];
vi.mock('../../../src/config/load.ts', async (original) => {
  const real = await original<typeof import('../../../src/config/load.ts')>();
  const loadConfig: typeof real.loadConfig = (text, options) => {
    readHere.push(options.file);
    return real.loadConfig(text, options);
  };
  return { ...real, loadConfig };
});

const options: ReadyOptions = { env: { HOST: 'shop.test' }, now: new Date('2030-01-01T00:00:00Z') };

/** A config of so many routes, each to one of ten pools, one of them over TLS. */
const configOf = (routes: number): string =>
  [
    'listen: { address: ":8443", tls: { cert: cert.pem, key: key.pem } }',
    'admin: { token: hunter2hunter2hunter2hunter2 }',
    'pools:',
    ...Array.from(
      { length: 10 },
      (_, pool) => `  p${pool}: { nodes: ["http${pool === 0 ? 's' : ''}://10.0.0.${pool}"] }`,
    ),
    'routes:',
    `  - { host: "\${HOST}", pool: p0, request: { set: { X-A: b } } }`,
    ...Array.from({ length: routes }, (_, route) => `  - { host: r${route}.test, path: /a, pool: p${route % 10} }`),
    '',
  ].join('\n');

async function written(text: string): Promise<string> {
  const folder = await testScope().folder();
  await writeFile(join(folder, 'cert.pem'), a.cert);
  await writeFile(join(folder, 'key.pem'), a.key);
  await writeFile(join(folder, 'c.yaml'), text);
  return join(folder, 'c.yaml');
}

/** Is anything in it not frozen? */
const loose = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && (!Object.isFrozen(value) || Object.values(value).some(loose));

describe('a config that is ready to run', () => {
  it.each([
    ['a small file, in this thread', 10, true],
    ['a large one, in a thread of its own', 1000, false],
  ])('%s, is the same as loaded', async (_, routes, here) => {
    const file = await written(configOf(routes));
    readHere.length = 0;
    const ready = await readyFile(file, options);
    expect(readHere).toEqual(here ? [file] : []);
    const loaded = await loadConfigFile(file, options);
    if (!ready.ok || !loaded.ok) throw new Error('must load');
    const { config, text, tls, upstreamTls, files, warnings } = loaded.value;
    const { shown, ...rest } = ready.value;
    expect(rest).toEqual({ config, text, tls, upstreamTls, files, warnings });
    expect(files.size).toBe(2);
    expect(loose(ready.value.config)).toBe(false);
    expect(JSON.parse(shown)).toMatchObject({ admin: { token: '<redacted>' }, routes: { length: routes + 1 } });
    expect(shown).not.toContain('hunter2');
  });

  it.each([
    ['small', 10],
    ['large', 1000],
  ])('the problems of a %s file are told at their places', async (_, routes) => {
    const file = await written(`${configOf(routes)}  - { host: last.test, pool: nowhere }\nworkers: many\n`);
    const ready = await readyFile(file, options);
    const loaded = await loadConfigFile(file, options);
    expect(ready).toEqual(loaded);
    expect(ready.ok ? [] : ready.error.map(({ path }) => path)).toEqual([`routes[${routes + 1}].pool`, 'workers']);
  });

  it('a missing certificate of a large file is a problem', async () => {
    const file = await written(configOf(1000).replace('cert.pem', 'none.pem'));
    const ready = await readyFile(file, options);
    expect(ready.ok ? [] : ready.error.map(line)).toEqual([
      expect.stringMatching(/^1:\d+ listen\.tls\.cert: .*none\.pem/),
    ]);
  });

  it('a thread that fails is a problem of the file', async () => {
    const file = await written(configOf(1000));
    const entry = (code: string): URL => new URL(`data:text/javascript,${encodeURIComponent(code)}`);
    const whyOf = async (code: string): Promise<string[]> => {
      const ready = await readyFile(file, { ...options, entry: entry(code) });
      return ready.ok ? [] : ready.error.map(line);
    };
    expect(await whyOf('throw new Error("no room")')).toEqual([
      '0:0 : could not be read: the thread that read it failed: no room',
    ]);
    expect(await whyOf('')).toEqual(['0:0 : could not be read: the thread that read it ended without a word']);
  });
});
