import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAddress } from '../../../src/cluster/swim/valid.ts';
import { parseMemberAddress } from '../../../src/config/cluster-words.ts';

describe('addresses of members', () => {
  it.each([
    ['a name with an underscore, as container networks give them', 'evenkeel_1:7946'],
    ['a name that begins with a number of its own', '1.members.example:7946'],
    ['a short name', 'a:7946'],
    ['an IPv4 address', '10.0.0.1:7946'],
    ['an IPv6 address', '[fd00::1]:65535'],
  ])('the config takes %s, and so does gossip', (_, text) => {
    expect(parseMemberAddress(text)).toEqual({ ok: true, value: text });
    expect(isAddress(text)).toBe(true);
  });

  it('whatever the config takes can be told to the others', () => {
    const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/);
    const name = fc.array(label, { minLength: 1, maxLength: 16 }).map((labels) => labels.join('.'));
    const numbers = fc.array(fc.nat(300), { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.'));
    const host = fc.oneof(
      name,
      numbers,
      fc.ipV4(),
      fc.ipV6().map((one) => `[${one}]`),
    );
    fc.assert(
      fc.property(host, fc.nat(70_000), (one, port) => {
        const read = parseMemberAddress(`${one}:${port}`);
        return !read.ok || isAddress(read.value);
      }),
      { numRuns: 2000 },
    );
  });

  it('a name that is too long for gossip is refused with what is wrong', () => {
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example:7946`;
    expect(parseMemberAddress(long)).toEqual({ ok: false, error: expect.stringContaining('128 characters') });
  });
});
