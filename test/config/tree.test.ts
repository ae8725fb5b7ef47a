// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the variables of configs
import { describe, expect, it } from 'vitest';
import { parseYaml } from '../../src/config/parse.ts';
import { at, keyMark, markAt, pathText, plain, type ScalarTree, type Tree } from '../../src/config/tree.ts';

function tree(text: string): Tree {
  const parsed = parseYaml(text, 'c.yaml', {});
  if (parsed.tree === null) throw new Error(JSON.stringify(parsed.problems.list()));
  return parsed.tree;
}

const text = ['a:', '  - b: 1', '    c: [x, "y"]', '  - 007', 'd:', '"e f": >-', '  text'].join('\n');

describe('places', () => {
  it.each([
    [[], 1, 1],
    [['a'], 2, 3],
    [['a', 0], 2, 5],
    [['a', 0, 'b'], 2, 8],
    [['a', 0, 'c'], 3, 8],
    [['a', 0, 'c', 1], 3, 12],
    [['a', 1], 4, 5],
    [['d'], 5, 1],
    [['e f'], 6, 8],
    [['nothing'], 1, 1],
    [['a', 0, 'nothing'], 2, 5],
    [['a', 7], 2, 3],
    [['d', 'x', 'y'], 5, 1],
  ])('of %j', (path, line, column) => {
    expect(markAt(tree(text), path)).toEqual({ line, column });
  });

  it.each([
    [['a'], 1, 1],
    [['a', 0, 'c'], 3, 5],
    [['e f'], 6, 1],
    [['a', 1], 4, 5],
    [['a', 0, 'nothing'], 2, 5],
  ])('of the key %j', (path, line, column) => {
    expect(keyMark(tree(text), path)).toEqual({ line, column });
  });

  it('hold with CRLF, a byte order mark and masked variables', () => {
    expect(markAt(tree(text.replaceAll('\n', '\r\n')), ['a', 0, 'c', 1])).toEqual({ line: 3, column: 12 });
    expect(markAt(tree('\ufeffa: { b: 1 }\nc: 2'), ['a', 'b'])).toEqual({ line: 1, column: 9 });
    expect(markAt(tree('a: { b: ${X:-, }, c: 2 }'), ['a', 'c'])).toEqual({
      line: 1,
      column: 22,
    });
  });

  it('of an alias are those of what it stands for', () => {
    expect(markAt(tree('a: &x { b: 1 }\nc: *x'), ['c', 'b'])).toEqual({ line: 1, column: 12 });
  });
});

describe('values', () => {
  it('are plain, without a prototype, typed as YAML types them', () => {
    const value = plain(tree('{ a: [1, 1.5, true, ~, x, "1", 0x10], b: {} }'), new Set());
    expect(JSON.parse(JSON.stringify(value))).toEqual({ a: [1, 1.5, true, null, 'x', '1', 16], b: {} });
    expect(Object.getPrototypeOf(value)).toBeNull();
  });

  it('are as written on demand', () => {
    const whole = tree('{ a: 007, b: "x", c: True }');
    const scalars = ['a', 'b', 'c'].map((key) => at(whole, [key]) as ScalarTree);
    expect(scalars.map((one) => one.value)).toEqual([7, 'x', true]);
    expect({ ...(plain(whole, new Set(scalars)) as object) }).toEqual({ a: '007', b: 'x', c: 'True' });
  });
});

it('paths are written as one would write them', () => {
  expect(pathText([])).toBe('');
  expect(pathText(['pools', 'app', 'nodes', 1, 'weight'])).toBe('pools.app.nodes[1].weight');
  expect(pathText(['pools', 'a.b', 'x y'])).toBe('pools["a.b"]["x y"]');
  expect(pathText(['routes', 0, 'set', 'X-A'])).toBe('routes[0].set.X-A');
});
