/** What a running evenkeel does about TLS as time goes by: hours and days pass by the clocks that its rooms are told. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import type { App } from '../../src/app/app.ts';
import { ExpiryWatch, TicketKeys } from '../../src/app/certificates.ts';
import { compose } from '../../src/app/compose.ts';
import { createLog } from '../../src/app/log.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { startRawNode } from '../helpers/raw-node.ts';
import { type Scope, testScope } from '../helpers/scope.ts';
import { makeCertificate, type TlsClient, tlsClient } from '../helpers/tls.ts';

const hour = 3600 * 1000;

interface World {
  readonly app: App;
  readonly port: number;
  readonly log: Record<string, unknown>[];
}

async function start(scope: Scope, days: number): Promise<World> {
  const folder = await scope.folder();
  const tls = (await makeCertificate(folder, 'app.test', { names: ['app.test'], days })).files;
  const [node, port] = [await startRawNode(scope), await freePort()];
  const settings = {
    listen: [{ address: `127.0.0.1:${port}`, tls }],
    pools: { app: { nodes: [node.url], health: false } },
    ...{ admin: '127.0.0.1:0', workers: 2, log: { access: 'off' } },
  };
  const file = join(folder, 'config.yaml');
  await writeFile(file, stringify(settings));
  const log: Record<string, unknown>[] = [];
  const write = (line: string): void => void log.push(JSON.parse(line));
  const made = await compose({ file, env: {}, log: createLog('debug', { readable: false, write }) });
  if (!made.ok) throw new Error(JSON.stringify(made.error));
  scope.own({ stop: () => made.value.close() });
  return { app: made.value, port, log };
}

afterEach(() => vi.restoreAllMocks());

describe('as time goes by', () => {
  it('the keys of session tickets change, in all data threads', async () => {
    const scope = testScope();
    let later = 0;
    const { rotate } = TicketKeys.prototype;
    vi.spyOn(TicketKeys.prototype, 'rotate').mockImplementation(function (this: TicketKeys, now) {
      return rotate.call(this, now + later);
    });
    const { app, port } = await start(scope, 365);
    const dial = (session?: Buffer): Promise<TlsClient> =>
      tlsClient(scope, port, { servername: 'app.test', ...(session === undefined ? {} : { session }) });
    const sessionOf = async (client: TlsClient): Promise<Buffer> => {
      expect(await client.status()).toBe(200);
      return client.session();
    };
    /** Whether connections of both threads resume it. */
    const resumed = async (session: Buffer): Promise<readonly boolean[]> => {
      const found: boolean[] = [];
      const clients: TlsClient[] = [];
      await until('connections in both threads', async () => {
        const client = await dial(session);
        clients.push(client);
        found.push(client.resumed);
        const { threads } = app.stats();
        return threads.length === 2 && threads.every(({ connections }) => connections > 0);
      });
      for (const { raw } of clients) raw.stop();
      await until('all gone', () => app.stats().threads.every(({ connections }) => connections === 0));
      return [...new Set(found)];
    };
    const first = await dial();
    const old = await sessionOf(first);
    first.raw.stop();
    await until('it is gone', () => app.stats().threads.every(({ connections }) => connections === 0));
    expect(await resumed(old)).toEqual([true]);
    later = 12 * hour;
    await until('other keys in both', async () => (await resumed(old)).join() === 'false');
    const next = await dial();
    expect(next.resumed).toBe(false);
    const fresh = await sessionOf(next);
    next.raw.stop();
    await until('it is gone', () => app.stats().threads.every(({ connections }) => connections === 0));
    expect(await resumed(fresh)).toEqual([true]);
  });

  it('a certificate that runs out is warned of', async () => {
    let later = 0;
    const { look } = ExpiryWatch.prototype;
    vi.spyOn(ExpiryWatch.prototype, 'look').mockImplementation(function (this: ExpiryWatch, tls, now) {
      return look.call(this, tls, now + later);
    });
    const { log, port } = await start(testScope(), 30);
    const told = (): unknown[] => log.filter(({ event }) => event === 'certificate-expires');
    expect(told()).toEqual([]);
    later = 20 * 24 * hour;
    await until('the warning', () => told().length === 1);
    expect(told()).toEqual([
      expect.objectContaining({
        level: 'warn',
        message: `the certificate for app.test of listener 127.0.0.1:${port} runs out in 9 days; renew it`,
      }),
    ]);
  });
});
