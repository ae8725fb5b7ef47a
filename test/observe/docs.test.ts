import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createAccessFormatter } from '../../src/observe/access-log.ts';
import { ProcessMeter } from '../../src/observe/io/process-meter.ts';
import { families } from '../../src/observe/metrics.ts';
import { outcome } from './fixture.ts';

const page = readFileSync(new URL('../../docs/OBSERVE.md', import.meta.url), 'utf8');

describe('docs/OBSERVE.md', () => {
  it('names only metrics that there are', () => {
    const meter = new ProcessMeter();
    const known = new Set([...families, ...meter.families].map((family) => family.name));
    meter.close();
    const named = page.match(/\b(?:evenkeel|process)_[a-z_]+/g) ?? [];
    expect(named.length).toBeGreaterThan(10);
    for (const name of named) expect(known, name).toContain(name.replace(/_bucket$/, ''));
  });

  it('shows a line of the access log as it is written', () => {
    const example = /^\{"time":.*\}$/m.exec(page)?.[0];
    expect(`${example}\n`).toBe(createAccessFormatter('json')(outcome()));
  });

  it('explains every field of it', () => {
    const fields = Object.keys(JSON.parse(createAccessFormatter('json')(outcome())) as object);
    const rows = page.split('\n').filter((line) => line.startsWith('| `'));
    const explained = rows.flatMap((row) => row.split('|')[1]?.match(/\w+/g) ?? []);
    for (const field of fields) expect(explained).toContain(field);
  });
});
