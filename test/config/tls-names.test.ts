import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { certificateNames } from '../../src/config/tls-names.ts';
import { cert } from '../health/io/certificate.ts';

const names = (subjectAltName: string | undefined, subject = 'CN=common.test') =>
  certificateNames({ subjectAltName, subject });

describe('the names of a certificate', () => {
  it.each<[string | undefined, string[]]>([
    ['DNS:a.test, DNS:*.A.test', ['a.test', '*.a.test']],
    ['DNS:a.test, IP Address:10.0.0.1, DNS:a.test', ['a.test']],
    ['URI:"http://x/, DNS:evil.test", DNS:good.test', ['good.test']],
    ['DNS:"evil.test, DNS:x.test"', []],
    ['DNS:*.*.test, DNS:a..test, DNS:-a.test, DNS:a b', []],
    ['IP Address:10.0.0.1', ['common.test']],
    [undefined, ['common.test']],
    ['', ['common.test']],
  ])('%s', (written, expected) => {
    expect(names(written)).toEqual(expected);
  });

  it('the common name only if it is a host, and stands by itself', () => {
    expect(names(undefined, 'O=My, Org\nCN=My Company')).toEqual([]);
    expect(names(undefined, 'O=CN=evil.test\nCN=good.test')).toEqual(['good.test']);
    expect(names(undefined, 'O=nobody')).toEqual([]);
  });

  it('as Node writes them', () => {
    expect(certificateNames(new X509Certificate(cert))).toEqual(['app.test']);
  });
});
