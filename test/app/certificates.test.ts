import { describe, expect, it } from 'vitest';
import { certificatesOf, ExpiryWatch, expiryLines, TicketKeys } from '../../src/app/certificates.ts';
import type { TlsMaterial } from '../../src/config/model.ts';

const day = 24 * 3600 * 1000;
const one = (names: readonly string[], expiresAt: number) => ({ cert: '', key: '', names, expiresAt });
const material = (...certificates: TlsMaterial['certificates']): TlsMaterial => ({
  certificates,
  minVersion: '1.2',
  clientCert: null,
});
const tls = new Map([['0.0.0.0:443', material(one(['a.test', 'b.test'], 100 * day), one(['c.test'], 50 * day))]]);

describe('certificates', () => {
  it('are told by their first names, each once', () => {
    const several = material(one(['a'], 5), one(['b', 'a'], 3), one(['a'], 4), one([], 9));
    expect(certificatesOf(several)).toEqual([
      { name: 'a', expiresAt: 4 },
      { name: 'b', expiresAt: 3 },
      { name: 'unnamed', expiresAt: 9 },
    ]);
  });

  it('that run out soon, or have', () => {
    expect(expiryLines(tls, 36 * day)).toEqual([]);
    expect(expiryLines(tls, 36.5 * day)).toEqual([
      'the certificate for c.test of listener 0.0.0.0:443 runs out in 13 days; renew it',
    ]);
    expect(expiryLines(tls, 51 * day)).toEqual([
      'the certificate for c.test of listener 0.0.0.0:443 has run out; renew it',
    ]);
  });

  it('are spoken of once a day', () => {
    const watch = new ExpiryWatch(60 * day);
    expect(watch.look(tls, 60.9 * day)).toEqual([]);
    expect(watch.look(tls, 61 * day)).toHaveLength(1);
    expect(watch.look(tls, 61.9 * day)).toEqual([]);
    expect(watch.look(tls, 62 * day)).toHaveLength(1);
  });
});

describe('ticket keys', () => {
  it('are 48 random bytes, others every 12 hours', () => {
    const keys = new TicketKeys(1000);
    const first = keys.current;
    expect(first).toHaveLength(48);
    expect(keys.rotate(1000 + day / 2 - 1)).toBeNull();
    const second = keys.rotate(1000 + day / 2);
    expect(second).not.toEqual(first);
    expect(keys.current).toBe(second);
    expect(keys.rotate(1000 + day - 1)).toBeNull();
    expect(keys.rotate(1000 + day)).not.toBeNull();
  });
});
