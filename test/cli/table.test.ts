import { describe, expect, it } from 'vitest';
import { drawTable } from '../../src/cli/table.ts';

describe('drawTable', () => {
  it('makes columns as wide as their widest cell, and pads none at the end of a line', () => {
    const rows = [
      [{ text: 'NODE' }, { text: 'IN FLIGHT', right: true }, { text: 'WHY' }],
      [{ text: '10.0.0.11:3000' }, { text: '7', right: true }, { text: '200 in 3 ms' }],
    ];
    expect(drawTable(rows, '  ')).toBe(
      '  NODE            IN FLIGHT  WHY\n' + //
        '  10.0.0.11:3000          7  200 in 3 ms\n',
    );
  });

  it('takes rows of unlike length, and no rows', () => {
    expect(drawTable([[{ text: 'a' }], [{ text: 'bb' }, { text: 'c' }]])).toBe('a\nbb  c\n');
    expect(drawTable([])).toBe('');
  });
});
