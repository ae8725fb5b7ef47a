import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostName, isLoopback, refusalOf, sameText } from '../../src/admin/access.ts';
import type { AdminAccess } from '../../src/admin/actions.ts';

const tcp = (host: string) => ({ kind: 'tcp', host, port: 9090 }) as const;
const base: AdminAccess = { token: null, address: tcp('127.0.0.1'), hosts: [] };

const ask = (method: string, path: string, fields: Readonly<Record<string, string>>, access = base): number | null =>
  refusalOf({ method, path, header: (name) => fields[name] }, access)?.status ?? null;

const read = (host: string, access = base): number | null => ask('GET', '/stats', { host }, access);

describe('the Host field', () => {
  it.each([
    '127.0.0.1:9090',
    '127.0.0.1',
    '[::1]:9090',
    '[fe80::1]',
    '10.1.2.3:80',
    'localhost:9090',
    'LOCALHOST',
    'a.localhost',
    'localhost.',
  ])('may be %s', (host) => expect(read(host)).toBeNull());

  it.each([
    'evil.com',
    'evil.com:9090',
    '127.0.0.1.evil.com',
    'localhost.evil.com',
    'notlocalhost',
    '1.2.3',
    '127.0.0.1@evil.com',
    '[::1',
    '[evil.com]',
    'a b',
    '..',
    '127.0.0.1:99999999',
    'local host',
    '[::1]evil',
  ])('may not be %s', (host) => expect(read(host)).toBe(403));

  it('may be the configured host, and the names that were allowed', () => {
    const access = { ...base, address: tcp('Admin.Example.com'), hosts: ['ek-0'] };
    expect(read('admin.example.com:9090', access)).toBeNull();
    expect(read('ek-0:9090', access)).toBeNull();
    expect(read('ek-0.evil.com:9090', access)).toBe(403);
  });

  it('may be missing, as in the checks of HTTP/1.0 balancers', () => {
    expect(ask('GET', '/readyz', {})).toBeNull();
  });

  it('may be anything on a unix socket, which no browser reaches', () => {
    expect(read('evenkeel', { ...base, address: { kind: 'unix', path: 'x.sock' } })).toBeNull();
  });

  it('is refused for other names also with the token, and for the probes', () => {
    const access = { ...base, token: 'secret' };
    expect(ask('GET', '/stats', { host: 'evil.com', authorization: 'Bearer secret' }, access)).toBe(403);
    expect(ask('GET', '/readyz', { host: 'evil.com' }, access)).toBe(403);
  });

  it('is never read in two ways: what is accepted is a plain name or address', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (host) => {
        const name = hostName(host);
        if (name !== null) expect(name).toMatch(/^[a-z0-9._:-]+$/);
      }),
    );
  });
});

describe('the Origin field', () => {
  const host = '127.0.0.1:9090';
  it('may be our own', () => {
    expect(ask('GET', '/stats', { host, origin: 'http://127.0.0.1:9090' })).toBeNull();
  });

  it.each([
    'http://evil.com',
    'null',
    '',
    'http://127.0.0.1',
    'http://127.0.0.1:9091',
    '127.0.0.1:9090',
    'file://127.0.0.1:9090',
  ])('is refused when it is %j, for reading too', (origin) => {
    expect(ask('GET', '/stats', { host, origin })).toBe(403);
    expect(ask('POST', '/api/reload', { host, origin, 'content-type': 'application/json' })).toBe(403);
  });
});

describe('the token', () => {
  const access = { ...base, token: 's3cret-token' };
  const get = (path: string, authorization?: string) =>
    ask('GET', path, { host: 'localhost', ...(authorization === undefined ? {} : { authorization }) }, access);

  it('is needed for everything but the probes', () => {
    for (const path of [
      '/',
      '/stats',
      '/metrics',
      '/api/pools',
      '/api/config',
      '/nowhere',
      '/livez/',
      '/Livez',
      '//livez',
    ]) {
      expect(get(path), path).toBe(401);
    }
    for (const path of ['/livez', '/readyz', '/health']) expect(get(path), path).toBeNull();
  });

  it.each([
    'Bearer s3cret-toke',
    'Bearer s3cret-token2',
    'Bearer ',
    'Bearer',
    's3cret-token',
    'Basic s3cret-token',
    'Bearer S3CRET-TOKEN',
    'Bearer \0',
  ])('is not %j', (authorization) => expect(get('/stats', authorization)).toBe(401));

  it('is right in either case of the scheme', () => {
    expect(get('/stats', 'Bearer s3cret-token')).toBeNull();
    expect(get('/stats', 'bearer s3cret-token')).toBeNull();
  });

  it('is compared whole', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => sameText(a, b) === (a === b)));
    fc.assert(fc.property(fc.string(), (a) => sameText(a, a)));
  });
});

describe('a change', () => {
  it.each([
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/jsonp',
    'text/plain; application/json',
  ])('is refused with content type %s', (type) => {
    const fields = { host: 'localhost', ...(type === undefined ? {} : { 'content-type': type }) };
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const isBareDelete = method === 'DELETE' && type === undefined;
      expect(ask(method, '/api/reload', fields), method).toBe(isBareDelete ? null : 415);
    }
  });

  it('that deletes needs no type, but a browser on another site is refused all the same', () => {
    const origin = 'http://evil.example';
    expect(ask('DELETE', '/api/ha/state/a', { host: 'localhost:9090', origin })).toBe(403);
  });

  it('is taken as JSON', () => {
    for (const type of ['application/json', 'Application/JSON; charset=utf-8']) {
      expect(ask('POST', '/api/reload', { host: 'localhost', 'content-type': type })).toBeNull();
    }
  });
});

describe('loopback', () => {
  it('is what only this machine reaches', () => {
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) expect(isLoopback(tcp(host)), host).toBe(true);
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.evil.com', ''])
      expect(isLoopback(tcp(host)), host).toBe(false);
    expect(isLoopback({ kind: 'unix', path: 'x.sock' })).toBe(true);
  });
});
