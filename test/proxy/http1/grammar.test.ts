/** The words of the grammar, each against the plainest way to say the same. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  dropFields,
  fieldLine,
  findField,
  isToken,
  listMembers,
  looseLineEnd,
  parseLength,
  trimField,
} from '../../../src/proxy/http1/grammar.ts';

const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const tchars = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

it('a token is one or more tchars, for each byte there is', () => {
  for (let code = 0; code < 256; code++) {
    const char = String.fromCharCode(code);
    expect([code, isToken(char), isToken(`a${char}b`)]).toEqual([code, tchars.includes(char), tchars.includes(char)]);
  }
  expect([isToken(''), isToken('a\n')]).toEqual([false, false]);
});

it('a field line holds no control byte but the tab, for each byte there is', () => {
  const whole = new RegExp(`^${fieldLine}$`);
  for (let code = 0; code < 256; code++) {
    const allowed = code === 9 || (code >= 0x20 && code !== 0x7f);
    expect([code, whole.test(`a: x${String.fromCharCode(code)}y\r\n`)]).toEqual([code, allowed]);
  }
});

it('a loose line end is a CR without LF or a LF without CR, but for a CR at the very end', () => {
  const text = fc.array(fc.constantFrom('a', '\r', '\n', '\r\n'), { maxLength: 8 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (bytes) => {
      const plain = bytes.replaceAll('\r\n', '');
      const loose = plain.endsWith('\r') && bytes.endsWith('\r') ? plain.slice(0, -1) : plain;
      expect(looseLineEnd.test(bytes)).toBe(/[\r\n]/.test(loose));
    }),
  );
});

describe('parseLength', () => {
  it('reads what it writes, and nothing else', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (length) => {
        expect(parseLength(String(length))).toBe(length);
        for (const other of [
          `+${length}`,
          `-${length}`,
          `0${length}`,
          ` ${length}`,
          `${length} `,
          `${length}.0`,
          `${length}\n`,
        ]) {
          expect(parseLength(other)).toBe(-1);
        }
      }),
    );
  });

  it.each(['', '0x1', '1e3', '9007199254740992', '99999999999999999999', 'NaN', 'Infinity', '\u0661'])(
    '%j is none',
    (text) => {
      expect(parseLength(text)).toBe(-1);
    },
  );
});

it('trimField takes spaces and tabs off both ends, and nothing that only looks like one', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(byte, fc.constantFrom(' ', '\t', '\xa0', '\v')), { maxLength: 10 }), (chars) => {
      const text = chars.join('');
      expect(trimField(`<${text}>`, 1, text.length + 1)).toBe(text.replace(/^[ \t]+|[ \t]+$/g, ''));
    }),
  );
});

it.each([
  ['a, B ,\tc', ['a', 'b', 'c']],
  ['', []],
  [',, ,', []],
  ['a,,b', ['a', 'b']],
  ['close', ['close']],
  ['a;q=1, b c', ['a;q=1', 'b c']],
])('the members of %j', (list, members) => {
  expect(listMembers(list)).toEqual(members);
});

describe('field blocks', () => {
  const name = fc.constantFrom('a', 'A', 'ab', 'b', 'Host', '__proto__', '0');
  const line = fc.tuple(name, fc.constantFrom('', '1', ' 2 ', 'a: b', '\x80'));
  const block = fc.array(line, { maxLength: 8 });
  const textOf = (lines: readonly (readonly [string, string])[]): string =>
    lines.map(([key, value]) => `${key}:${value}\r\n`).join('');

  it('findField gives the first value of a name, in any case', () => {
    fc.assert(
      fc.property(block, name, (lines, wanted) => {
        const found = lines.find(([key]) => key.toLowerCase() === wanted.toLowerCase());
        expect(findField(textOf(lines), wanted.toLowerCase())).toBe(found?.[1].trim());
      }),
    );
  });

  it('dropFields leaves the other lines as they are', () => {
    fc.assert(
      fc.property(block, fc.array(name), (lines, names) => {
        const gone = new Set(names.map((one) => one.toLowerCase()));
        const left = lines.filter(([key]) => !gone.has(key.toLowerCase()));
        expect(dropFields(textOf(lines), gone)).toBe(textOf(left));
      }),
    );
  });

  it('neither is lost on an empty or a broken block', () => {
    expect([findField('', 'a'), findField('a: 1', 'a'), findField('\r\na: 1\r\n', 'a')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect([dropFields('', new Set(['a'])), dropFields('a: 1', new Set(['a']))]).toEqual(['', '']);
  });
});
