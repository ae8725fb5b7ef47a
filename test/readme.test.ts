/** What README.md and CONTRIBUTING.md tell a user to type exists, and the config that they show is valid. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cli } from './cli/cli.ts';
import { readTable } from './conformance/cases.ts';
import { testScope } from './helpers/scope.ts';
import { textOf } from './tidy/source.ts';

const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter((m) => m[1] === language).map((m) => m[2] ?? '');

const commands = ['README.md', 'CONTRIBUTING.md']
  .flatMap((file) => blocks(textOf(file), 'sh'))
  .flatMap((block) => block.split('\n'))
  .map((line) => line.replace(/\s+#.*$/, '').trim())
  .filter((line) => line !== '');

const scripts = Object.keys((JSON.parse(textOf('package.json')) as { readonly scripts: object }).scripts);

/** The help of a subcommand, which names all its options. */
async function helpOf(command: string): Promise<string> {
  const { code, stdout } = await cli([command, '--help']);
  expect(code, `evenkeel ${command} --help`).toBe(0);
  return stdout;
}

describe('commands in README.md and CONTRIBUTING.md', () => {
  it('are there to be checked', () => {
    expect(commands).toEqual(expect.arrayContaining(['npm ci', 'npm start', 'npm test']));
    expect(commands.filter((command) => command.includes('evenkeel')).length).toBeGreaterThan(2);
  });

  it.for(commands)('%s', async (command) => {
    const words = command.split(/\s+/);
    if (words[0] === 'npm') {
      const script = words[1] === 'run' ? words.find((word, i) => i > 1 && !word.startsWith('-')) : words[1];
      expect(['ci', ...scripts]).toContain(script);
      return;
    }
    expect(words.slice(0, 2)).toEqual(['npx', 'evenkeel']);
    const help = await helpOf(words[2] ?? '');
    for (const option of words.filter((word) => word.startsWith('-'))) expect(help).toContain(option);
  });
});

describe('the table of commands in README.md', () => {
  it('has those that there are', async () => {
    const told = [...textOf('README.md').matchAll(/^\| `([a-z]+)[^`]*` \|/gm)].map((match) => match[1]);
    const { stdout } = await cli(['--help']);
    const known = [...stdout.matchAll(/^ {2}([a-z]+)\b.* {2}/gm)].map((match) => match[1]);
    expect(told.toSorted()).toEqual(known.filter((name) => name !== 'help').toSorted());
  });
});

describe('the config in README.md', () => {
  it('is valid, and short', async () => {
    const [config = '', ...more] = blocks(textOf('README.md'), 'yaml');
    expect(more).toEqual([]);
    expect(config.trimEnd().split('\n').length).toBeLessThanOrEqual(8);
    const file = join(await testScope().folder(), 'config.yaml');
    await writeFile(file, config);
    expect(await cli(['check', '-c', file])).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('the table of npm run conformance in README.md', () => {
  it.each([
    ['requests: framing of bodies', 'request-framing.yaml'],
    ['requests: request line, target, host', 'request-line.yaml'],
    ['requests: fields', 'fields.yaml'],
    ['requests: what the node is told', 'forwarding.yaml'],
    ['answers of nodes', 'responses.yaml'],
  ])('is a late one: %s', (what, table) => {
    const cases = readTable(table).length;
    expect(textOf('README.md')).toContain(`| ${what} | ${cases} | ${cases} | 0 | 0 |\n`);
  });
});
