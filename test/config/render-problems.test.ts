// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the variables of configs
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Problem } from '../../src/config/model.ts';
import { starSecrets } from '../../src/config/problems.ts';
import { problemLine, renderProblems } from '../../src/config/render-problems.ts';
import { faults } from './helper.ts';

const problem: Problem = {
  file: 'config.yaml',
  line: 12,
  column: 9,
  path: 'pools.app.nodes[1].wieght',
  message: 'wieght is not a key that is known here',
  hint: 'did you mean weight?',
  source: '      - wieght: 2',
  severity: 'error',
};
const plain = (given: Partial<Problem>) => renderProblems([{ ...problem, ...given }], { color: false });

describe('for a terminal', () => {
  it('place, message, line, caret, hint', () => {
    expect(plain({})).toBe(
      [
        'config.yaml:12:9: error: wieght is not a key that is known here (pools.app.nodes[1].wieght)',
        '  12 |       - wieght: 2',
        '     |         ^',
        '     = did you mean weight?',
        '',
      ].join('\n'),
    );
  });

  it('several, with an empty line between', () => {
    expect(renderProblems([problem, problem], { color: false })).toBe(`${plain({})}\n${plain({})}`);
    expect(renderProblems([], { color: false })).toBe('');
  });

  it('no more than there is', () => {
    expect(plain({ hint: null, source: '', path: '', severity: 'warning' })).toBe(
      'config.yaml:12:9: warning: wieght is not a key that is known here\n',
    );
    expect(plain({ line: 0, column: 0, path: '', message: 'config.yaml does not exist', hint: null, source: '' })).toBe(
      'config.yaml: error: config.yaml does not exist\n',
    );
  });

  it('a path that the message names is not said twice', () => {
    expect(plain({ path: 'workers', message: 'workers is empty' })).toMatch(/error: workers is empty\n/);
  });

  it('colour changes nothing but the colour', () => {
    const colored = renderProblems([problem], { color: true });
    expect(colored).toContain('\x1b[');
    expect(stripVTControlCharacters(colored)).toBe(plain({}));
  });

  it('the caret stands under its column in a long line', () => {
    const source = `${'a'.repeat(500)}!${'b'.repeat(500)}`;
    const [, shown, caret] = plain({ source, column: 501 }).split('\n');
    expect(shown!.length).toBeLessThan(140);
    expect(shown![caret!.indexOf('^')]).toBe('!');
  });

  it.each([1, 60, 119, 120, 121, 180, 240])('also in column %d of 240', (column) => {
    const source = Array.from({ length: 240 }, (_, i) => (i === column - 1 ? '!' : '.')).join('');
    const [, shown, caret] = plain({ source, column }).split('\n');
    expect(shown![caret!.indexOf('^')]).toBe('!');
  });

  it('and under tabs', () => {
    const [, shown, caret] = plain({ source: '\t\tkey: 1', column: 3 }).split('\n');
    expect(shown![caret!.indexOf('^')]).toBe('k');
  });

  it('what could steer the terminal does not reach it', () => {
    const text = plain({ file: 'a\x1b[2J', message: 'x\x1b]0;y\x07', hint: '\u202e', source: '\x9b2J' });
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  });
});

describe('for a log', () => {
  it('one line', () => {
    expect(problemLine(problem)).toBe(
      'config.yaml:12:9: wieght is not a key that is known here (pools.app.nodes[1].wieght); did you mean weight?',
    );
    expect(problemLine({ ...problem, message: 'a\nb', hint: null, path: '' })).toBe('config.yaml:12:9: a?b');
    expect(problemLine({ ...problem, line: 0, message: 'gone', hint: null, path: '' })).toBe('config.yaml: gone');
  });
});

describe('secrets in source lines', () => {
  it.each([
    ['  token: abc', '  token: ***'],
    ['  token: "a b"  ', '  token: *******'],
    ['admin: { token: abc, address: :1 }', 'admin: { token: ***, address: :1 }'],
    ['admin: { token: a b c, x: 1 }', 'admin: { token: *****, x: 1 }'],
    ['admin: {token: "a,b"}', 'admin: {token: *****}'],
    ['"token": abc', '"token": ***'],
    ['token: ${ADMIN_TOKEN}', 'token: ${ADMIN_TOKEN}'],
    ['token: ${ADMIN_TOKEN:-}', 'token: ${ADMIN_TOKEN:-}'],
    ['token: ${ADMIN_TOKEN:?set it}', 'token: ${ADMIN_TOKEN:?set it}'],
    ['tokens: abc', 'tokens: abc'],
    ['mytoken: abc', 'mytoken: abc'],
    ['path: /token', 'path: /token'],
  ])('%s', (given, shown) => {
    expect(starSecrets(given)).toBe(shown);
  });

  it('a default of a variable is one too', () => {
    expect(starSecrets('token: ${T:-abc}')).not.toContain('abc');
  });

  it('and keep every place', () => {
    const [found] = faults('admin: { token: hunter2, tokn: 1 }\npools: { a: { nodes: [http://a] } }');
    expect(found?.source).toBe('admin: { token: *******, tokn: 1 }');
    expect(found?.source.slice((found.column ?? 0) - 1)).toMatch(/^tokn/);
  });
});
