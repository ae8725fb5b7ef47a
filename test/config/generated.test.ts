/**
 * Files that are made from the schema, or must agree with it. After a change of the schema:
 * `npx vitest run -u --project unit test/config/generated.test.ts` writes them anew.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { capacity } from '../../src/config/check.ts';
import { configJsonSchema, type JsonSchema, renderJsonSchema } from '../../src/config/json-schema.ts';
import { notYet, synonyms } from '../../src/config/schema.ts';
import { maxListeners, maxNodes, maxPools, maxRoutes } from '../../src/scoreboard/layout.ts';
import { loaded } from './helper.ts';
import { renderReference } from './reference.ts';

const root = join(import.meta.dirname, '../..');
const example = readFileSync(join(root, 'config.example.yaml'), 'utf8');

it('config.schema.json is up to date', async () => {
  await expect(renderJsonSchema()).toMatchFileSnapshot(join(root, 'config.schema.json'));
});

it('docs/CONFIG.md is up to date', async () => {
  await expect(renderReference()).toMatchFileSnapshot(join(root, 'docs/CONFIG.md'));
});

describe('config.example.yaml', () => {
  it('loads without a warning, and is what the demo needs', () => {
    const { config, warnings } = loaded(example);
    expect(warnings).toEqual([]);
    expect(config.listen.map((one) => one.name)).toEqual(['0.0.0.0:8080']);
    expect(config.admin.address).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 9090 });
    expect(config.pools[0]?.nodes.map((node) => node.url)).toEqual(
      [3001, 3002, 3003].map((port) => `http://127.0.0.1:${port}`),
    );
  });

  it('still loads with all that is commented out', () => {
    const all = example.replace(
      /^( *)# (?=(routes|slowStart|failover|split|static|trustedProxies): ?| {2}- | {2}(nodes|health): )/gm,
      '$1',
    );
    expect(all).not.toBe(example);
    const { config } = loaded(all);
    expect(config.routes).toHaveLength(4);
    expect(config.pools.map((pool) => pool.name)).toEqual(['app', 'static']);
    expect(config.pools[0]?.slowStart).toEqual({ window: 10_000, aggression: 1 });
    expect(config.pools[0]?.failover?.mode).toBe('automatic');
  });

  it('shows an admin line that works', () => {
    const admin = /^# (admin: .*)$/m.exec(example)?.[1];
    const text = example.replace(/^admin: .*$/m, () => admin ?? '');
    expect(loaded(text, { ADMIN_TOKEN: '0123456789abcdef' }).config.admin.token).toBe('0123456789abcdef');
  });
});

describe('the schema', () => {
  const inner = (value: unknown): JsonSchema[] => {
    if (Array.isArray(value)) return value.flatMap(inner);
    if (typeof value !== 'object' || value === null) return [];
    return [value as JsonSchema, ...Object.values(value).flatMap(inner)];
  };
  const schemas = inner(configJsonSchema());
  const sections = schemas.filter((one) => typeof one['properties'] === 'object' && one['type'] === 'object');
  const keys = sections.flatMap((one) => Object.entries(one['properties'] as Record<string, JsonSchema>));

  it('describes every key', () => {
    expect(keys.length).toBeGreaterThan(80);
    for (const [key, form] of keys) expect(form['description'], key).toMatch(/^[A-Z0-9`].*[.)]$/s);
  });

  it('allows no key that it does not describe', () => {
    for (const one of sections) expect(one['additionalProperties'], JSON.stringify(one).slice(0, 80)).toBe(false);
  });

  it('promises no key of a later version, and translates only to keys that exist', () => {
    const names = new Set(keys.map(([key]) => key));
    for (const key of notYet) expect(names.has(key), key).toBe(false);
    for (const [from, to] of Object.entries(synonyms)) expect(names.has(to), `${from}: ${to}`).toBe(true);
  });

  it('says of every number, duration, size and share how large it may be', () => {
    const rows = renderReference()
      .split('\n')
      .filter((one) => /^\| `/.test(one));
    // A listener stands in the schema twice, alone and in a list; each of three hooks has a table of its own.
    expect(new Set(rows).size).toBe(new Set(keys.map((entry) => JSON.stringify(entry))).size);
    const unbounded = rows.filter((one) =>
      /\| [^|]*\b(number|duration|size|share)\b[^|]*\|[^|]*\| {1,2}\|/.test(one.replaceAll('\\|', ' ')),
    );
    expect(unbounded).toEqual([]);
  });
});

it('what a config may have fits into the scoreboard', () => {
  expect(capacity.nodes).toBeLessThanOrEqual(maxNodes);
  expect(capacity.pools).toBeLessThanOrEqual(maxPools);
  expect(capacity.routes).toBeLessThanOrEqual(maxRoutes);
  expect(capacity.listeners).toBeLessThanOrEqual(maxListeners);
});
