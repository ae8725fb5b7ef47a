/** Files that mean harm, or that no editor would write: refused with a reason, within seconds, and never by throwing. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the variables of configs
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxFileSize } from '../../src/config/parse.ts';
import { config, faults, lines, pool, pools, read, routes } from './helper.ts';

const one = (cases: readonly (readonly [text: string, expected: RegExp])[]): void => {
  it.each(cases)('%j', (text, expected) => {
    expect(lines(text).join('\n')).toMatch(expected);
  });
};

describe('text that is no YAML for us', () => {
  one([
    ['', /1:1 : the file is empty \| the least that works: pools/],
    ['   \n\n', /the file is empty/],
    ['# only a comment\n', /the file is empty/],
    ['~', /the file is empty/],
    ['---\n', /the file is empty/],
    [`a: 1\n---\n${pools}`, /2:1 : the file holds several documents|2:\d+ : the file holds several documents/],
    [`%YAML 1.1\n---\n${pools}`, /%YAML directives are not read/],
    [`%FOO\n---\n${pools}`, /% directives are not read/],
    ['pools:\n\tapp: 1\n', /2:1 : a tab is used for indentation \| YAML allows spaces only/],
    ['pools: {\n', /a closing quote or bracket|the indentation is off, or a bracket is not closed/],
    ['pools: "a\n', /closing quote/],
    ['a: @x\n', /1:4 : a value starts with a character that means something to YAML \| put the value in quotes/],
    ['a: `x`\n', /put the value in quotes/],
    ['a: b: c\n', /there is a second key on this line/],
    ['a: 1\n b: 2\n', /2:2|1:4/],
    ['pools\n', /must be a map of keys/],
    ['a: !foo b\n', /YAML tags \(!name\) are not read/],
    [`workers: !!int "2"\n${pools}`, /YAML tags \(!!name\) are not read/],
    ['pools: \u0000', /1:8 : the character U\+0000 cannot be used here/],
    ['pools:\n  a\u001b[2J: 1', /2:4 : the character U\+001B cannot be used here \| the file must be plain text/],
    ['pools: \ufffd', /U\+FFFD/],
    ['pools: \ue03a', /U\+E03A cannot be used here \| characters of private use are not read/],
  ]);
});

describe('keys', () => {
  one([
    [`${pools}${pools}`, /2:1 pools: pools is given twice \| the first is on line 1/],
    ['pools: { a: { nodes: [http://a], nodes: [http://b] } }', /1:34 pools.a.nodes: nodes is given twice/],
    ['pools: { a: 1, "a": 2 }', /a is given twice/],
    [`x: &x { nodes: [http://a] }\npools: { a: { <<: *x } }`, /merge keys \(<<\) are not read/],
    ['__proto__: { workers: 2 }', /__proto__ cannot be a key/],
    ['pools: { __proto__: { nodes: [http://a] } }', /__proto__ cannot be a key/],
    ['"__proto__": 1', /__proto__ cannot be a key/],
    ['"\\u005f_proto__": 1', /__proto__ cannot be a key/],
    ['? [a]\n: b', /a key must be a plain word/],
    ['? {a: b}\n: c', /a key must be a plain word/],
    [': a', /a key must be a plain word/],
    [`? ${'k'.repeat(2000)}\n: 1`, /over 1024 characters/],
  ]);

  it('names that mean something to JavaScript are names like any other', () => {
    const text = 'pools: { constructor: { nodes: [http://a] } }\n';
    expect(config(text).pools[0]?.name).toBe('constructor');
    expect(lines(`toString: 1\nconstructor: 2\nhasOwnProperty: 3\n${pools}`)).toHaveLength(3);
    expect(lines(routes('{ pool: toString }', '{ pool: constructor }'))).toHaveLength(2);
    expect(Object.hasOwn(Object.prototype, 'workers')).toBe(false);
  });
});

describe('aliases', () => {
  one([
    ['pools: *nothing', /\*nothing refers to an anchor that is not defined above/],
    ['pools: { a: *b, b: &b 1 }', /\*b refers to an anchor that is not defined above/],
    ['pools: &a { app: *a }', /\*a contains itself/],
    ['a: &a [*a, *a]', /\*a contains itself/],
  ]);

  it('that multiply are counted at each use', () => {
    const levels = Array.from({ length: 30 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i}, `.repeat(9)}*l${i}]`);
    expect(lines(['l0: &l0 lol', ...levels].join('\n'))[0]).toMatch(
      /more than 1000000 values, aliases counted at each use/,
    );
  });

  it('and bounded in number', () => {
    expect(lines(`a: &a x\nb: [${'*a,'.repeat(1001)}]`).join()).toMatch(/more than 1000 aliases/);
  });
});

describe('size', () => {
  it('a file of 10 MB is not even parsed', () => {
    const found = faults(`${pools}#${'x'.repeat(10_000_000)}`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ line: 1, message: `the file is over ${maxFileSize / 2 ** 20} MiB` });
  });

  it.each([
    ['[', 10_000],
    ['{a: ', 10_000],
    ['- ', 10_000],
    ['? ', 10_000],
    ['a: ', 10_000],
    ['&a ', 10_000],
    ['! ', 10_000],
    ['}', 10_000],
    ['*a ', 10_000],
    ['%x\n', 10_000],
    ['---\n', 10_000],
    ['\n\t', 10_000],
    ['"', 10_000],
    ['${', 100_000],
    ['${A}', 100_000],
    ['$', 100_000],
    ["'", 100_000],
  ])('%j again and again is refused', (piece, times) => {
    expect(lines(piece.repeat(times)).length).toBeGreaterThan(0);
    expect(lines(`pools: ${piece.repeat(times)}`).length).toBeGreaterThan(0);
  });

  it('33 levels are too deep, whatever they are', () => {
    const deep = Array.from({ length: 40 }, (_, i) => `${' '.repeat(i)}a:`).join('\n');
    expect(lines(deep).join()).toMatch(/nested deeper than 32 levels/);
  });

  it('200 000 keys are looked at in linear time', { timeout: 300_000 }, () => {
    /** CPU time of this thread, which other work on the machine does not add to. */
    const costOf = (keys: number): number => {
      const text = Array.from({ length: keys }, (_, i) => `k${i}: 1`).join('\n');
      const before = process.threadCpuUsage();
      expect(lines(text).at(-1)).toMatch(/and \d+ more problems/);
      return process.threadCpuUsage(before).user;
    };
    const few = Math.max(costOf(20_000), costOf(20_000));
    // Ten times the keys: ten times the work, where their square would be a hundred times.
    expect(costOf(200_000) / few).toBeLessThan(40);
  });

  it('what variables expand to is bounded in all', () => {
    const text = `trustedProxies:\n${'  - ${A}\n'.repeat(200)}${pools}`;
    expect(lines(text, { A: 'x'.repeat(60_000) }).some((one) => one.includes('expand to over 4 MiB'))).toBe(true);
  });

  it('all that there is room for still loads', () => {
    const nodes = Array.from({ length: 16_384 }, (_, i) => `      - http://10.0.${i >> 8}.${i & 255}:3000`).join('\n');
    expect(config(`pools:\n  app:\n    balance: random-two\n    nodes:\n${nodes}\n`).pools[0]?.nodes).toHaveLength(
      16_384,
    );
  });
});

it('a secret is in no message and in no source line', () => {
  const secret = 'hunter2hunter2';
  const texts = [
    `admin: { token: ${secret}, tokn: 1 }\n${pools}`,
    `admin:\n  token: ${secret}   # the token\n  adress: 1\n${pools}`,
    `admin: { token: "${secret}\u00e9" }\n${pools}`,
    `admin: { "token": '${secret} é', address: 1.2.3.4 }\n${pools}`,
    `admin: { token: [${secret}] }\n${pools}`,
    `admin:\n  token: ${secret}: x\n${pools}`,
    `admin: { token: \${T:-${secret}}, a: 1 }\n${pools}`,
  ];
  for (const text of texts) expect(JSON.stringify(faults(text))).not.toContain(secret);
});

describe('any text', () => {
  /** Loads, or has at least one problem, each of which can be printed. */
  const holds = (text: string): void => {
    const result = read(text, { A: 'x', B: '1' });
    if (result.ok) return;
    expect(result.error.length).toBeGreaterThan(0);
    const rows = text.split(/\r\n|\n|\r/).length;
    for (const problem of result.error) {
      expect(problem.line).toBeGreaterThanOrEqual(1);
      expect(problem.line).toBeLessThanOrEqual(rows);
      expect(problem.column).toBeGreaterThanOrEqual(1);
      expect(problem.message).not.toBe('');
      expect(problem.message).not.toMatch(/\n|undefined|NaN|\[object/);
    }
  };

  it('of any characters never throws', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), holds), { numRuns: 300 });
  });

  it('that looks like YAML never throws', () => {
    const words = [
      'pools',
      'app',
      'nodes',
      'listen',
      ':',
      ': ',
      '- ',
      '\n',
      '\n  ',
      '\n    ',
      '{',
      '}',
      '[',
      ']',
      ', ',
      '"',
      "'",
      '#',
      ' #',
    ];
    const more = [
      '&a ',
      '*a',
      '<<: ',
      '!x ',
      '|',
      '>-',
      '\t',
      '? ',
      '${A}',
      '${B',
      '${X:-',
      '$${',
      'http://a:1',
      '8080',
      'off',
      '~',
      '%',
      '---\n',
      '\r',
      '\u2028',
    ];
    const text = fc.array(fc.constantFrom(...words, ...more), { maxLength: 40 }).map((pieces) => pieces.join(''));
    fc.assert(fc.property(text, holds), { numRuns: 500 });
  });

  it('a good file with something cut out or put in never throws', () => {
    const good = `listen: [":80", { address: ":81" }]\nworkers: \${B}\n${pool(
      'balance: { algorithm: consistent-hash, key: path }',
      'health: { path: /up, status: [200, 2xx] }',
      'slowStart: 30s',
    )}routes: [{ host: "*.a.b", path: /x, pool: app, request: { set: { A: "\${A}" }, remove: [B] } }]\n`;
    expect(read(good, { A: 'x', B: '1' }).ok).toBe(true);
    const cut = fc.tuple(fc.nat({ max: good.length }), fc.nat({ max: 30 }), fc.string({ maxLength: 5 }));
    fc.assert(
      fc.property(cut, ([from, length, put]) => holds(good.slice(0, from) + put + good.slice(from + length))),
      { numRuns: 300 },
    );
  });

  it('any JSON value in any place never throws', () => {
    const keys = [
      'listen',
      'workers',
      'pools',
      'routes',
      'timeouts',
      'limits',
      'trustedProxies',
      'fields',
      'admin',
      'log',
      'shutdown',
    ];
    const value = fc.jsonValue({ maxDepth: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...keys), value, (key, any) => {
        holds(JSON.stringify({ pools: { app: { nodes: ['http://a'] } }, [key]: any }));
        holds(
          JSON.stringify({
            pools: { app: { nodes: ['http://a'], [key]: any, health: any, retry: any, balance: any } },
          }),
        );
        holds(
          JSON.stringify({
            pools: { app: { nodes: [any] } },
            routes: [{ pool: any, host: any, headers: any, request: any, redirect: any }],
          }),
        );
      }),
      { numRuns: 100 },
    );
  });
});
