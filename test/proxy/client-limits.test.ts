/** Whose limits hold: what is one client, and what is not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientKey, clientRules } from '../../src/proxy/client-limits.ts';

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
const key = (address: string): string => {
  const { high, low } = clientKey(address);
  return `${hex(high)} ${hex(low)}`;
};

describe('the key of an address', () => {
  it.each([
    ['192.0.2.7', 'ffffffff c0000207'],
    ['::ffff:192.0.2.7', 'ffffffff c0000207'],
    ['::ffff:c000:207', 'ffffffff c0000207'],
    ['2001:db8:1:2:3:4:5:6', '20010db8 00010002'],
    ['2001:DB8:1:2::', '20010db8 00010002'],
    ['2001:db8::1', '20010db8 00000000'],
    ['fe80::1', 'fe800000 00000000'],
    ['fe80::1%eth0', 'fe800000 00000000'],
    ['64:ff9b::192.0.2.7', '0064ff9b 00000000'],
    // Free entries are 0, 0.
    ['::1', 'ffffffff 00000000'],
    ['::', 'ffffffff 00000000'],
  ])('%s', (address, expected) => {
    expect(key(address)).toBe(expected);
  });

  it.each([
    '',
    'unknown',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4.5',
    '1:2',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    '1::1.2.3',
  ])('no address (%s): all of them share one', (text) => {
    expect(key(text)).toBe('ffffffff ffffffff');
  });

  it('tells any two IPv4 addresses apart, and any two /64', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), (a, b) => {
        expect(key(a) === key(b)).toBe(a === b);
      }),
    );
    const group = fc.integer({ min: 1, max: 0xfeff });
    const network = fc
      .tuple(group, group, group, group)
      .map((groups) => groups.map((one) => one.toString(16)).join(':'));
    fc.assert(
      fc.property(network, network, fc.integer({ max: 0xffff, min: 0 }), (a, b, host) => {
        expect(key(`${a}::${host.toString(16)}`)).toBe(key(`${a}:0:0:0:1`));
        expect(key(`${a}::1`) === key(`${b}::1`)).toBe(a === b);
      }),
    );
  });

  it('is there for any text, and never that of a free entry', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV6(), fc.stringMatching(/^[0-9a-f:.]{0,40}$/)), (text) => {
        const { high, low } = clientKey(text);
        expect(Number.isInteger(high) && Number.isInteger(low) && (high !== 0 || low !== 0)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

it('rules are none where nothing is limited', () => {
  const none = { connections: null, newConnections: null, requests: null };
  expect(clientRules(none)).toBeNull();
  expect(clientRules({ ...none, connections: 3 })).toEqual({ ...none, connections: 3 });
  expect(clientRules({ ...none, requests: { perSecond: 4, burst: 9 } })?.requests).toEqual({ interval: 250, burst: 9 });
});
