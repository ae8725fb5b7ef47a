import { describe, expect, it } from 'vitest';
import { adminFor } from '../../src/app/cluster-admin.ts';

const tcp = (host: string) => ({ kind: 'tcp', host, port: 9090 }) as const;

describe('where the others find the admin API of a member', () => {
  it.each([
    ['10.0.1.10', '10.0.1.10:7946', '10.0.1.10:9090'],
    ['0.0.0.0', '10.0.1.10:7946', '10.0.1.10:9090'],
    ['::', '[fd00::1]:7946', '[fd00::1]:9090'],
    ['0.0.0.0', 'node-1.example:7946', 'node-1.example:9090'],
    ['127.0.0.1', '127.0.0.1:7946', '127.0.0.1:9090'],
    ['127.0.0.1', '10.0.1.10:7946', ''],
    ['::1', '10.0.1.10:7946', ''],
  ])('%s of the member at %s is %s', (host, member, told) => {
    expect(adminFor(tcp(host), member)).toBe(told);
  });

  it('is nowhere behind a unix socket, or without one', () => {
    expect(adminFor({ kind: 'unix', path: '/run/a.sock' }, '10.0.1.10:7946')).toBe('');
    expect(adminFor(null, '10.0.1.10:7946')).toBe('');
  });
});
