/** docs/ROUTING.md is run: its configs load, and its table of requests is what the routes do. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { buildRows } from '../../src/routing/build.ts';
import { snapshotOf } from '../../src/routing/compile.ts';
import { hostOf, normalizePath, pathOf } from '../../src/routing/rewrite.ts';
import type { Snapshot } from '../../src/routing/snapshot.ts';
import { request } from './fixtures.ts';

const page = readFileSync(new URL('../../docs/ROUTING.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
const rows = [...page.matchAll(/^\| `([A-Z]+) ([^/`]+)([^`]*)`(?: with `([^:`]+): ([^`]*)`)? \| `([^`]+)` \|$/gm)];

function snapshotOfExample(text: string): Snapshot {
  const loaded = loadConfig(text, { file: 'ROUTING.md', env: {} });
  if (!loaded.ok) throw new Error(loaded.error.map((problem) => `${problem.path}: ${problem.message}`).join('\n'));
  expect(loaded.value.warnings).toEqual([]);
  const slots = {
    pool: () => 0,
    node: () => ({ slot: 0, generation: 1 }),
    route: () => 0,
    listener: () => 0,
  };
  return snapshotOf(1, buildRows(loaded.value.config, slots));
}

describe('docs/ROUTING.md', () => {
  it.each(examples)('example %# is a config without problems', (text) => {
    expect(snapshotOfExample(text).routes.length).toBeGreaterThan(0);
  });
  it('has examples and a table to be tested', () => {
    expect([examples.length, rows.length]).toEqual([3, 11]);
  });
  it.each(rows.map((row) => row.slice(1)))('%s %s%s', (method, host, target, field, value, taker) => {
    const facts = request({
      method: method!,
      host: hostOf(host!),
      path: pathOf(normalizePath(target!)),
      headers: field === undefined ? {} : { [field.toLowerCase()]: value! },
    });
    expect(snapshotOfExample(examples[0]!).match(facts)?.row.name).toBe(taker);
  });
});
