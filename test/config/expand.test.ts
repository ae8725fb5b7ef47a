// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the variables of configs
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expand, mask, typed, unmask } from '../../src/config/expand.ts';
import { config, lines, loaded, pools } from './helper.ts';

const env = { HOST: 'a.example', PORT: '3000', EMPTY: '', YAML: '{ a: [b] } # c', OFF: 'off', YES: 'true' };
const text = (value: string) => {
  const result = expand(value, env);
  return result.ok ? result.value.text : result.error.message;
};

describe('expand', () => {
  it.each([
    ['plain', 'plain'],
    ['$HOST', '$HOST'],
    ['${HOST}', 'a.example'],
    ['http://${HOST}:${PORT}/', 'http://a.example:3000/'],
    ['${HOST}${HOST}', 'a.examplea.example'],
    ['${MISSING:-x}', 'x'],
    ['${MISSING:-}', ''],
    ['${EMPTY}', ''],
    ['${EMPTY:-x}', 'x'],
    ['${HOST:-x}', 'a.example'],
    ['${HOST:?needed}', 'a.example'],
    ['${MISSING:-a:-b}', 'a:-b'],
    ['$${HOST}', '${HOST}'],
    ['$${HOST}${PORT}', '${HOST}3000'],
    ['$$${HOST}', '$${HOST}'],
    ['a$', 'a$'],
    ['{HOST}', '{HOST}'],
  ])('%s', (given, expected) => {
    expect(text(given)).toBe(expected);
  });

  it.each([
    ['${MISSING}', /the environment variable MISSING is not set$/],
    ['${MISSING:?set it to the port}', /MISSING is not set: set it to the port/],
    ['${EMPTY:?set it}', /EMPTY is empty: set it/],
    ['${', /is not closed/],
    ['a ${HOST', /is not closed/],
    ['${}', /is not a variable/],
    ['${1A}', /is not a variable/],
    ['${A-b}', /is not a variable/],
    ['${A:b}', /is not a variable/],
    ['${A:+b}', /is not a variable/],
    ['${ HOST }', /is not a variable/],
    ['${A:-${HOST}}', /is not a variable/],
    ['${constructor}', /constructor is not set/],
    ['${__proto__}', /__proto__ is not set/],
  ])('%s is refused', (given, message) => {
    expect(text(given)).toMatch(message);
  });

  it('names the variables that took part', () => {
    const result = expand('${HOST}:${PORT}:${NONE:-1}', env);
    expect(result.ok && result.value.variables).toEqual(['HOST', 'PORT', 'NONE']);
  });

  it('does not grow without bound', () => {
    const result = expand('${A}'.repeat(100), { A: 'x'.repeat(10_000) });
    expect(result).toMatchObject({ ok: false, error: { message: 'the expanded value is over 64 KiB' } });
  });

  it('never reads what a variable brings in', () => {
    expect(expand('${A}', { A: '${B}' })).toMatchObject({ ok: true, value: { text: '${B}' } });
  });
});

describe('the mask', () => {
  it('hides from YAML what it would trip over, and keeps every place', () => {
    const given = 'admin: { token: ${TOKEN:-}, address: "${A:-[::1]:9, # x}" } # ${B';
    const masked = mask(given);
    expect(masked).toHaveLength(given.length);
    expect(masked).not.toMatch(/\$\{(TOKEN|A)/);
    expect(unmask(masked)).toBe(given);
  });

  it('is undone for any text', () => {
    const piece = fc.constantFrom('${', '}', 'A', ':-', '"', "'", '\n', '$', ' # ', '{', '[', ', ');
    fc.assert(
      fc.property(
        fc.array(piece).map((pieces) => pieces.join('')),
        (any) => {
          expect(unmask(mask(any))).toBe(any);
          expect(mask(any)).toHaveLength(any.length);
        },
      ),
    );
  });
});

describe('the type of an expanded value', () => {
  it.each([
    ['3000', 3000],
    ['-1', -1],
    ['0x10', 16],
    ['1.5', 1.5],
    ['1e3', 1000],
    ['true', true],
    ['False', false],
    ['', null],
    ['~', null],
    ['null', null],
    ['off', 'off'],
    ['yes', 'yes'],
    ['1.2.3', '1.2.3'],
    ['10.0.0.1', '10.0.0.1'],
    ['2s', '2s'],
  ])('%j', (given, value) => {
    expect(typed(given)).toBe(value);
  });
});

describe('in a config', () => {
  it('a number where a number is wanted, text where text is wanted', () => {
    const given = [
      'workers: ${WORKERS:-2}',
      'fields: { forwarded: ${YES}, via: ${OFF} }',
      'admin: { address: "127.0.0.1:${ADMIN_PORT:-9191}", token: ${TOKEN:-} }',
      'pools: { app: { nodes: [{ url: "http://${HOST}:${PORT}", weight: ${WEIGHT:-5}, id: ${ID:-0012} }] } }',
    ].join('\n');
    const one = config(given, env);
    expect(one.workers).toBe(2);
    expect(one.fields).toMatchObject({ forwarded: true, via: null });
    expect(one.admin).toEqual({ address: { kind: 'tcp', host: '127.0.0.1', port: 9191 }, token: null });
    expect(one.pools[0]?.nodes[0]).toMatchObject({ url: 'http://a.example:3000', weight: 5, id: '0012' });
    expect(config(given, { ...env, TOKEN: '12345678901234567890' }).admin.token).toBe('12345678901234567890');
  });

  it('in quotes the result is text', () => {
    expect(lines(`workers: "\${N}"\n${pools}`, { N: '2' })).toEqual([
      '1:10 workers: workers must be "auto" or a number, not text | leave out the quotes',
    ]);
  });

  it('works in block text and behind a special character', () => {
    const given = `log:\n  accessFile: >-\n    /log/\${NAME}\n${pools}`;
    expect(config(given, { NAME: 'a' }).log.accessFile).toBe('/log/a');
  });

  it('what a variable holds never becomes structure', () => {
    const found = lines(`workers: \${YAML}\n${pools}`, env);
    expect(found).toEqual(['1:10 workers: workers must be "auto" or a number, not text']);
    expect(
      config('pools: { app: { nodes: [http://a], health: { path: ${P} } } }', { P: '/a:b,c' }).pools[0]?.health?.path,
    ).toBe('/a:b,c');
  });

  it('one that is missing is a problem at its place, and the only one', () => {
    expect(lines('pools: { app: { nodes: [{ url: ${URL} }] } }')).toEqual([
      '1:32 pools.app.nodes[0].url: the environment variable URL is not set | set URL, or give a default: ${URL:-...}',
    ]);
    expect(lines('pools: { app: { nodes: [http://a, "${URL:?the second node}"] } }')).toEqual([
      expect.stringMatching(/^1:35 pools.app.nodes\[1\]: the environment variable URL is not set: the second node/),
    ]);
  });

  it('comments and keys are left alone', () => {
    expect(config(`# \${NOT_SET}\n${pools}`).pools).toHaveLength(1);
    expect(lines('pools: { "${A}": 1 }')[0]).toMatch(/variables are not expanded in keys/);
  });

  it('what they brought in is in no message', () => {
    const found = lines(`timeouts: { head: \${SECRET} }\n${pools}`, { SECRET: 'hunter2' });
    expect(found).toHaveLength(1);
    expect(found[0]).not.toContain('hunter2');
  });

  it('the value knows them', () => {
    const { tree } = loaded(`workers: \${N}\n${pools}`, { N: '3' });
    expect(tree.kind === 'map' && tree.entries.get('workers')?.value).toMatchObject({ value: 3, variables: ['N'] });
  });
});
