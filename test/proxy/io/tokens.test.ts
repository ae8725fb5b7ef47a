/** Tokens of reads after writes: only ours are believed, each for its own pool. */
import { describe, expect, it } from 'vitest';
import { tokenField, tokenOf } from '../../../src/proxy/io/tokens.ts';
import { accepted, lines } from '../fixtures.ts';

const key = new Uint8Array(32).fill(7);
const token = { epoch: 12, position: 34, at: 56 };
const cookie = { via: 'cookie', name: 'ek-after' } as const;

const cookieLine = (pool = 'app', secure = false): string => tokenField(key, pool, { ...cookie, token, secure });
const value = /^Set-Cookie: ek-after=([^;]+);/.exec(cookieLine())![1]!;
const asked = (text: string, pool = 'app', withKey = key) =>
  tokenOf(withKey, pool, { ...cookie, head: accepted(lines('GET / HTTP/1.1', `Cookie: a=b; ek-after=${text}; c=d`)) });

describe('a token', () => {
  it('comes back from its cookie', () => {
    expect(cookieLine()).toMatch(/^Set-Cookie: ek-after=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax\r\n$/);
    expect(cookieLine('app', true)).toContain('; Secure\r\n');
    expect(asked(value)).toEqual(token);
    expect(tokenOf(key, 'app', { ...cookie, head: accepted(lines('GET / HTTP/1.1', 'Cookie: a=b')) })).toBeNull();
    expect(tokenOf(key, 'app', { ...cookie, head: accepted(lines('GET / HTTP/1.1')) })).toBeNull();
  });

  it('and from its field', () => {
    const field = { via: 'header', name: 'X-HA-Token' } as const;
    const line = tokenField(key, 'app', { ...field, token, secure: false });
    expect(line).toMatch(/^X-HA-Token: [\w.-]+\r\n$/);
    expect(tokenOf(key, 'app', { ...field, head: accepted(lines('GET / HTTP/1.1', line.trim())) })).toEqual(token);
  });

  it('with one byte changed, of another key, another pool, or too long, is forged', () => {
    for (let i = 0; i < value.length; i++) {
      // Each of base64url's digits: of the last one only two bits count, and the same bytes spelled otherwise are not ours.
      for (const other of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=')
        if (other !== value[i]) expect(asked(value.slice(0, i) + other + value.slice(i + 1))).toBe('forged');
    }
    expect(asked(`${value}=`)).toBe('forged');
    expect(asked(value, 'other')).toBe('forged');
    expect(asked(value, 'app', new Uint8Array(32))).toBe('forged');
    for (const text of ['x', '.', '...', 'x'.repeat(1000), `${value}.`, '__proto__'])
      expect(asked(text)).toBe('forged');
  });
});
