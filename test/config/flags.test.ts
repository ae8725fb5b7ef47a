import { describe, expect, it } from 'vitest';
import { type ConfigFlags, configFromFlags } from '../../src/config/flags.ts';
import { config, line } from './helper.ts';

const problems = (flags: ConfigFlags): string[] => {
  const result = configFromFlags(flags);
  return result.ok ? [] : result.error.map((one) => `${line(one)} / ${one.source}`);
};

const from = (flags: ConfigFlags) => {
  const result = configFromFlags(flags);
  if (!result.ok) throw new Error(result.error.map(line).join('\n'));
  return result.value.config;
};

it('is the same as a file that says the same', () => {
  const file = config(
    'listen: [":8080", ":8081"]\nworkers: 2\npools: { app: { nodes: [http://a:3000, http://b:3000], balance: round-robin, health: { path: /up } } }\nadmin: 127.0.0.1:1\nlog: { level: debug, access: off }',
  );
  const flags = {
    listen: [':8080', ':8081'],
    to: ['http://a:3000', 'http://b:3000'],
    balance: 'round-robin',
    health: '/up',
    workers: '2',
    admin: '127.0.0.1:1',
    logLevel: 'debug',
    access: 'off',
  };
  expect(from(flags)).toEqual(file);
});

it('one node is enough, and is probed by connecting', () => {
  const one = from({ to: ['http://a'] });
  expect(one.listen[0]?.name).toBe('0.0.0.0:8080');
  expect(one.pools[0]?.health?.kind).toBe('tcp');
  expect(one.routes).toHaveLength(1);
  expect(from({ to: ['http://a'], health: 'off' }).pools[0]?.health).toBeNull();
});

it('a flag is taken as it is: the shell has expanded it already', () => {
  expect(problems({ to: ['http://a'], logLevel: '$HOME' })[0]).toMatch(/level \$HOME is not one of/);
});

describe('what is wrong is shown in the command line itself', () => {
  it.each<[ConfigFlags, string]>([
    [{ to: [] }, '1:1 : no node is given | name each with --to, for example --to http://127.0.0.1:3000 / '],
    [
      { to: ['http://a', 'b:3000'] },
      '1:20 pools.app.nodes[1]: nodes b:3000 is not the url of a node | write http://b:3000 / --to http://a --to b:3000',
    ],
    [
      { listen: [':x'], to: ['http://a'] },
      '1:10 listen[0]: listen :x is not an address to listen on | write 0.0.0.0:8080, [::]:8080, :8080 or unix:/path / --listen :x --to http://a',
    ],
    [
      { to: ['http://a', 'http://a'] },
      '1:20 pools.app.nodes[1]: http://a is in pool app twice | the first is on line 1 / --to http://a --to http://a',
    ],
    [
      { to: ['http://a'], workers: '100' },
      '1:25 workers: workers 100 must be a whole number from 1 to 64 / --to http://a --workers 100',
    ],
  ])('%j', (flags, expected) => {
    expect(problems(flags)).toEqual([expected]);
  });

  it('all at once', () => {
    expect(problems({ to: ['http://a'], health: 'up' }).join()).toMatch(/path up is not a path such as \/health/);
    expect(problems({ listen: ['x', 'y'], to: ['z'], balance: 'rr', health: 'maybe', admin: ':1' })).toHaveLength(6);
  });
});
