import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isHostName,
  isIPv4,
  isIPv6,
  isLoopback,
  parseBlock,
  parseHostPattern,
  parseListen,
  parseNodeUrl,
} from '../../src/config/addresses.ts';
import { addressText } from '../../src/config/print.ts';

describe('addresses', () => {
  it.each(['0.0.0.0', '127.0.0.1', '255.255.255.255'])('%s is IPv4', (text) => expect(isIPv4(text)).toBe(true));
  it.each(['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.4 ', '1.2.3.a', '0x1.2.3.4', '1..2.3'])(
    '%j is not',
    (text) => expect(isIPv4(text)).toBe(false),
  );
  it.each(['::', '::1', 'fe80::1', '2001:db8::8:800:200c:417a', '::ffff:1.2.3.4', 'A::B'])('%s is IPv6', (text) =>
    expect(isIPv6(text)).toBe(true),
  );
  it.each(['', ':', ':::', '1::2::3', 'g::1', '::1%eth0', '[::1]', '1:2:3:4:5:6:7:8:9', '1.2.3.4', '::1]/x['])(
    '%j is not',
    (text) => expect(isIPv6(text)).toBe(false),
  );
  it.each(['a', 'a.b', 'a-b.c', 'x_y.z', '9.a', 'xn--mnchen-3ya.de', 'a'.repeat(63)])('%s is a host name', (text) =>
    expect(isHostName(text)).toBe(true),
  );
  it.each(['', '.', 'a.', '.a', 'a..b', '-a', 'a-', 'a b', 'a/b', 'ä', 'a'.repeat(64), `${'a.'.repeat(130)}a`])(
    '%j is not',
    (text) => expect(isHostName(text)).toBe(false),
  );
});

describe('where to listen', () => {
  it.each([
    ['0.0.0.0:8080', '0.0.0.0:8080', '0.0.0.0', 8080],
    [':8080', '0.0.0.0:8080', '0.0.0.0', 8080],
    ['*:8080', '0.0.0.0:8080', '0.0.0.0', 8080],
    ['8080', '0.0.0.0:8080', '0.0.0.0', 8080],
    [':0', '0.0.0.0:0', '0.0.0.0', 0],
    [':65535', '0.0.0.0:65535', '0.0.0.0', 65_535],
    ['[::]:80', '[::]:80', '::', 80],
    ['[FE80::1]:80', '[fe80::1]:80', 'fe80::1', 80],
    ['LocalHost:80', 'localhost:80', 'localhost', 80],
  ])('%s', (text, name, host, port) => {
    expect(parseListen(text)).toEqual({ ok: true, value: { name, address: { kind: 'tcp', host, port } } });
  });

  it('a socket', () => {
    const value = { name: 'unix:/run/a.sock', address: { kind: 'unix', path: '/run/a.sock' } };
    expect(parseListen('unix:/run/a.sock')).toEqual({ ok: true, value });
  });

  it.each([
    ['', /is not an address to listen on/],
    ['localhost', /is not an address to listen on/],
    [':', /is not an address to listen on/],
    ['::1:80', /is not an address to listen on/],
    [':65536', /is not an address to listen on/],
    [':99999999999', /is not an address to listen on/],
    ['http://a:80', /is not an address to listen on/],
    ['1.2.3.4:80 ', /is not an address to listen on/],
    ['[::1%lo]:80', /neither an address nor a name/],
    ['[1.2.3.4]:80', /neither an address nor a name/],
    ['1.2.3:80', /neither an address nor a name/],
    ['256.0.0.1:80', /neither an address nor a name/],
    ['a b:80', /neither an address nor a name/],
    ['unix:', /unix: and an absolute path/],
    ['unix:a.sock', /unix: and an absolute path/],
    ['unix:/', /unix: and an absolute path/],
    ['unix:/a b', /a space or a special character/],
    // Beside it there must be room for the name under which a thread listens before its socket is put in place.
    [`unix:/${'a'.repeat(103)}`, /more than 103 characters/],
  ])('%j is refused', (text, message) => {
    expect(parseListen(text)).toMatchObject({ ok: false, error: expect.stringMatching(message) });
  });

  it('a name that was made is read as itself', () => {
    const host = fc.oneof(
      fc.ipV4(),
      fc.ipV6().map((ip) => `[${ip}]`),
      fc.constantFrom('', '*', 'localhost', 'a.b'),
    );
    fc.assert(
      fc.property(host, fc.nat({ max: 65_535 }), (any, port) => {
        const first = parseListen(`${any}:${port}`);
        if (!first.ok) throw new Error(first.error);
        expect(parseListen(first.value.name)).toEqual(first);
        expect(addressText(first.value.address)).toBe(first.value.name);
      }),
    );
  });
});

describe('where a node is', () => {
  it.each([
    ['http://10.0.0.11:3000', 'http://10.0.0.11:3000', '10.0.0.11', 3000, '10.0.0.11:3000'],
    ['http://app', 'http://app', 'app', 80, 'app:80'],
    ['http://app:80/', 'http://app:80', 'app', 80, 'app:80'],
    ['HTTP://App.Example:81', 'HTTP://App.Example:81', 'app.example', 81, 'app.example:81'],
    ['http://[::1]:3000', 'http://[::1]:3000', '::1', 3000, '[::1]:3000'],
    ['http://app_1:3000', 'http://app_1:3000', 'app_1', 3000, 'app_1:3000'],
  ])('%s', (text, url, host, port, id) => {
    expect(parseNodeUrl(text)).toEqual({ ok: true, value: { url, address: { kind: 'tcp', host, port }, id } });
  });

  it.each([
    ['https://app', 'app', 443, 'app:443'],
    ['HTTPS://App:8443/', 'app', 8443, 'app:8443'],
    ['https://[::1]', '::1', 443, '[::1]:443'],
  ])('%s, over TLS', (text, host, port, id) => {
    const url = text.replace(/\/$/, '');
    expect(parseNodeUrl(text)).toEqual({
      ok: true,
      value: { url, address: { kind: 'tcp', host, port, tls: true }, id },
    });
  });

  it('a socket', () => {
    expect(parseNodeUrl('unix:/run/app.sock')).toEqual({
      ok: true,
      value: { url: 'unix:/run/app.sock', address: { kind: 'unix', path: '/run/app.sock' }, id: '/run/app.sock' },
    });
  });

  it.each([
    ['', /is not the url of a node\nwrite http:\/\/host:port/],
    ['app', /write http:\/\/app$/],
    ['app:3000', /write http:\/\/app:3000$/],
    ['//app', /is not the url of a node/],
    ['tcp://app:1', /is not the url of a node/],
    ['https://app/x', /must end behind the port/],
    ['http://', /is not a url/],
    ['http://a b', /is not a url/],
    ['http://a:x', /is not a url/],
    ['http://a\n', /is not a url/],
    ['http://ä', /is not a url/],
    ['http://a:0', /has port 0/],
    ['http://a/x', /must end behind the port/],
    ['http://a/?', /must end behind the port/],
    ['http://a#', /must end behind the port/],
    ['http://u@a', /holds a user or a password/],
    ['http://:p@a', /holds a user or a password/],
  ])('%j is refused', (text, message) => {
    expect(parseNodeUrl(text)).toMatchObject({ ok: false, error: expect.stringMatching(message) });
  });
});

describe('whom to trust', () => {
  it.each(['10.0.0.0/8', '127.0.0.1', '0.0.0.0/0', '::1', 'fd00::/8', '::/0', '::1/128'])('%s', (text) => {
    expect(parseBlock(text)).toEqual({ ok: true, value: text });
  });

  it.each([
    '',
    '/8',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'fd00::/129',
    'a/8',
    '10.0.0/8',
    '10.0.0.0/0x8',
  ])('%j is refused', (text) => {
    expect(parseBlock(text).ok).toBe(false);
  });
});

describe('which host a route means', () => {
  it.each([
    ['a.example', 'a.example'],
    ['A.Example', 'a.example'],
    ['*.a.example', '*.a.example'],
    ['10.0.0.1', '10.0.0.1'],
    ['[::1]', '[::1]'],
    ['localhost', 'localhost'],
  ])('%s', (text, host) => {
    expect(parseHostPattern(text)).toEqual({ ok: true, value: host });
  });

  it.each([
    '',
    '*',
    '*.',
    '**.a',
    'a.*',
    'a.*.b',
    '*a.b',
    'a:80',
    '*.a:80',
    '[::1',
    '[x]',
    'a/b',
    'a b',
    'http://a',
    'é.fr',
    'a.',
  ])('%j is refused', (text) => {
    expect(parseHostPattern(text).ok).toBe(false);
  });
});

it('who is on this machine', () => {
  const local = (text: string) => {
    const read = parseListen(text);
    return read.ok && isLoopback(read.value.address);
  };
  expect(['127.0.0.1:1', '127.9.9.9:1', '[::1]:1', 'localhost:1', 'unix:/a'].every(local)).toBe(true);
  expect([':1', '0.0.0.0:1', '[::]:1', '10.0.0.1:1', '127.example:1', 'localhost.example:1'].some(local)).toBe(false);
});

it('any text is read or refused, never thrown at', () => {
  const near = fc.stringMatching(/^(unix:|http:\/\/|\[|\*\.)?[a-z0-9:./[\]@?#%-]{0,12}$/);
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (text) => {
      for (const parse of [parseListen, parseNodeUrl, parseBlock, parseHostPattern]) {
        const result = parse(text);
        if (!result.ok) expect(result.error).toMatch(/^(is|has|holds|must|names) /);
      }
    }),
    { numRuns: 500 },
  );
});
