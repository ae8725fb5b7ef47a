/**
 * What a user sees. Each .in file in cases/ is a config as somebody might write it; the .out beside it is what `check`
 * prints for it. Read them side by side; after a change on purpose: `npx vitest run -u --project unit test/config/cases`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { problemLine, renderProblems } from '../../src/config/render-problems.ts';

const folder = join(import.meta.dirname, 'cases');
const names = readdirSync(folder).filter((name) => name.endsWith('.in'));

it('there is a text for each config, and none besides', () => {
  const texts = readdirSync(folder).filter((name) => name.endsWith('.out'));
  expect(texts.map((name) => name.replace('.out', '.in')).sort()).toEqual([...names].sort());
});

describe.each(names)('%s', (file) => {
  const result = loadConfig(readFileSync(join(folder, file), 'utf8'), { file, env: {} });
  const told = result.ok ? result.value.warnings : result.error;

  it('is told in these words', async () => {
    const verdict = result.ok ? 'ok\n\n' : 'refused\n\n';
    await expect(verdict + renderProblems(told, { color: false })).toMatchFileSnapshot(
      join(folder, file.replace('.in', '.out')),
    );
  });

  it('each problem is one line in a log', () => {
    expect(told.length).toBeGreaterThan(0);
    for (const problem of told) {
      expect(problemLine(problem)).not.toMatch(/\n/);
      expect(problemLine(problem).startsWith(`${file}:${problem.line}:${problem.column}: `)).toBe(true);
    }
  });
});
