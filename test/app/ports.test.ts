import { rename, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addressProblem, addressText, checkFree, reusePortWorks } from '../../src/app/ports.ts';
import { parseListen } from '../../src/config/addresses.ts';
import { freePort } from '../helpers/ports.ts';
import { testScope } from '../helpers/scope.ts';

const tcp = (port: number, host = '127.0.0.1') => ({ kind: 'tcp', host, port }) as const;

function listening(where: { port: number; host: string; reusePort?: boolean } | { path: string }): Promise<Server> {
  const server = createServer();
  testScope().own({ stop: () => new Promise<void>((resolve) => server.close(() => resolve())) });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => resolve(server));
  });
}

describe('checkFree', () => {
  it('makes port 0 real, and lets go of it', async () => {
    const result = await checkFree(tcp(0));
    expect(result.ok && result.value.kind === 'tcp' && result.value.port).toBeGreaterThan(0);
    if (result.ok) expect(await checkFree(result.value)).toEqual(result);
  });

  it.each([false, true])('finds who listens there already (SO_REUSEPORT: %s)', async (reusePort) => {
    const port = await freePort();
    await listening({ host: '127.0.0.1', port, reusePort });
    const result = await checkFree(tcp(port));
    const message = result.ok ? '' : result.error.message;
    expect(message).toContain(`cannot listen on 127.0.0.1:${port}: another process listens there`);
    expect(message).toContain(`sport = :${port}`);
    expect(message).not.toContain('\n');
  });

  it('finds an address that this machine has not', async () => {
    const result = await checkFree(tcp(8080, '192.0.2.1'));
    expect(result).toMatchObject({ ok: false, error: { code: 'EADDRNOTAVAIL' } });
    if (!result.ok) expect(result.error.message).toContain('this machine has no such address');
  });

  it('takes the longest path that a config may have, whatever a start that broke off left beside it', async () => {
    const folder = await testScope().folder();
    const path = join(folder, 'a'.repeat(103 - folder.length - 1));
    const address = { kind: 'unix', path } as const;
    expect(parseListen(`unix:${path}`)).toMatchObject({ ok: true, value: { address } });
    expect(await checkFree(address)).toEqual({ ok: true, value: address });
    const other = join(folder, 'other');
    const server = await listening({ path: other });
    await rename(other, `${path}.new`);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    expect(await checkFree(address)).toEqual({ ok: true, value: address });
  });

  it('takes a path that is free, or has a socket that nobody serves, and no other', async () => {
    const folder = await testScope().folder();
    const path = join(folder, 'a.sock');
    const address = { kind: 'unix', path } as const;
    expect(await checkFree(address)).toEqual({ ok: true, value: address });
    await writeFile(path, 'not a socket');
    expect(await checkFree(address)).toMatchObject({ ok: false, error: { code: 'ENOTSOCK' } });
    const used = join(folder, 'used.sock');
    await listening({ path: used });
    expect(await checkFree({ kind: 'unix', path: used })).toMatchObject({ ok: false, error: { code: 'EADDRINUSE' } });
    const nowhere = await checkFree({ kind: 'unix', path: join(folder, 'missing', 'a.sock') });
    expect(nowhere).toMatchObject({ ok: false });
    if (!nowhere.ok) expect(nowhere.error.message).toContain('create it');
  });
});

describe('words', () => {
  it('has one line for each failure, with what, where and what to do', () => {
    for (const code of ['EADDRINUSE', 'EACCES', 'EPERM', 'EADDRNOTAVAIL', 'ENOTFOUND', 'ENOENT', 'ENOTSOCK', 'EWHAT']) {
      const problem = addressProblem(tcp(80), { code, message: 'as the system says' });
      expect(problem.message).toMatch(/^cannot listen on 127\.0\.0\.1:80: .{10,}/);
      expect(problem.code).toBe(code);
    }
    expect(addressProblem(tcp(80), { code: 'EACCES', message: '' }).message).toContain('CAP_NET_BIND_SERVICE');
  });

  it('writes addresses as people do', () => {
    expect(addressText(tcp(80, '::1'))).toBe('[::1]:80');
    expect(addressText({ kind: 'unix', path: '/run/x.sock' })).toBe('unix:/run/x.sock');
  });

  it('knows whether ports can be shared here', async () => {
    expect(await reusePortWorks()).toBe(process.platform === 'linux');
  });
});
