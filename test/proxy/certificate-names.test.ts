import { describe, expect, it } from 'vitest';
import { CertificateNames } from '../../src/proxy/certificate-names.ts';

describe('the certificate of a host', () => {
  const names = new CertificateNames([
    ['default.test'],
    ['*.a.test', 'a.test'],
    ['x.a.test', '*.b.a.test', 'a.test'],
    ['*.c.test'],
  ]);

  it.each([
    ['default.test', 0],
    ['a.test', 1],
    ['A.TEST', 1],
    ['y.a.test', 1],
    ['x.a.test', 2],
    ['x.b.a.test', 2],
    ['b.a.test', 1],
    ['y.x.a.test', 0],
    ['c.test', 0],
    ['.c.test', 3],
    ['unknown', 0],
    ['', 0],
    ['.', 0],
    ['constructor', 0],
  ])('%s: %i', (host, index) => {
    expect(names.find(host)).toBe(index);
  });

  it('is the only one there is', () => {
    expect(new CertificateNames([[]]).find('any.test')).toBe(0);
  });
});
