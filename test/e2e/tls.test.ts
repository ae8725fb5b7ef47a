/** TLS as a user has it: certificates in files, named in the config, watched. */
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { type Settings, startEvenkeel } from '../helpers/evenkeel.ts';
import { until } from '../helpers/poll.ts';
import { startRawNode } from '../helpers/raw-node.ts';
import { type Scope, testScope } from '../helpers/scope.ts';
import { makeCertificate, type Pem, replaceFiles, tlsClient } from '../helpers/tls.ts';

describe('certificates', () => {
  it('that change are served from then on; open connections live on, a bad one changes nothing', async () => {
    const scope = testScope();
    const folder = await scope.folder();
    const node = await startRawNode(scope);
    const [old, next] = [await makeCertificate(folder, 'old.test'), await makeCertificate(folder, 'next.test')];
    const evenkeel = await startEvenkeel(scope, ([address]) => ({
      listen: { address, tls: old.files },
      pools: { app: { nodes: [node.url], health: false } },
      workers: 2,
    }));
    const { port, child } = evenkeel;
    const kept = await tlsClient(scope, port);
    expect([kept.server, await kept.status()]).toEqual(['old.test', 200]);
    await replaceFiles(old, next);
    const line = `config reloaded: certificate of listener 127.0.0.1:${port}`;
    await until('the reload', () => child.output().includes(line));
    for (let i = 0; i < 8; i++) expect((await tlsClient(scope, port)).server).toBe('next.test');
    expect(await kept.status()).toBe(200);
    await replaceFiles(old, { ...next, key: 'no key' });
    await until('the refusal', () => child.output().includes('reload-refused'));
    for (let i = 0; i < 8; i++) expect((await tlsClient(scope, port)).server).toBe('next.test');
    expect(await kept.status()).toBe(200);
    expect(child.exited).toBeNull();
  });

  it('make a plain listener an encrypted one, and back', async () => {
    const scope = testScope();
    const pem = await makeCertificate(await scope.folder(), 'app.test');
    const node = await startRawNode(scope);
    const plain = { pools: { app: { nodes: [node.url], health: false } } };
    const evenkeel = await startEvenkeel(scope, plain);
    const { port } = evenkeel;
    let reloads = 0;
    const change = async (listen: unknown): Promise<void> => {
      await evenkeel.write({ ...plain, listen });
      reloads++;
      const taken = (): number => evenkeel.child.output().split('config reloaded: listener').length - 1;
      await until('the change', () => taken() === reloads);
    };
    await change({ address: `127.0.0.1:${port}`, tls: pem.files });
    expect(await (await tlsClient(scope, port)).status()).toBe(200);
    await change(`127.0.0.1:${port}`);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  });
});

describe('sessions', () => {
  it('are resumed by whichever data thread a client comes to', async () => {
    const scope = testScope();
    const pem = await makeCertificate(await scope.folder(), 'app.test');
    const node = await startRawNode(scope);
    const { port, stats } = await startEvenkeel(scope, ([address]) => ({
      listen: { address, tls: pem.files },
      pools: { app: { nodes: [node.url], health: false } },
      workers: 2,
    })).then((ek) => ({ port: ek.port, stats: () => ek.stats() }));
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const first = await tlsClient(scope, port, { maxVersion });
      expect([first.resumed, await first.status()]).toEqual([false, 200]);
      const session = await first.session();
      for (let i = 0; i < 24; i++) {
        const again = await tlsClient(scope, port, { maxVersion, session });
        expect([again.resumed, await again.status()]).toEqual([true, 200]);
      }
    }
    // Each of the two had some of the fifty.
    expect((await stats()).threads.map((thread) => thread.connections > 0)).toEqual([true, true]);
  });
});

describe('https nodes', () => {
  it('are checked and asked over TLS, with our authority, and by another one after a reload', async () => {
    const scope = testScope();
    const folder = await scope.folder();
    const authority = await makeCertificate(folder, 'authority', { authority: true });
    const stranger = await makeCertificate(folder, 'stranger', { authority: true });
    const pem = await makeCertificate(folder, 'node.test', { names: ['node.test'], by: authority });
    const settings = await startNode(scope, pem);
    const evenkeel = await startEvenkeel(scope, settings({ ca: authority.files.cert }));
    const url = `http://127.0.0.1:${evenkeel.port}/`;
    expect(await (await fetch(url)).text()).toBe('over TLS');
    await evenkeel.reload(settings({ ca: stranger.files.cert }));
    await evenkeel.fit(0);
    expect((await evenkeel.pool()).nodes[0]?.why).toMatch(/certificate/);
    expect((await fetch(url)).status).toBe(503);
    await replaceFiles(stranger, authority);
    await evenkeel.fit(1);
    expect(await (await fetch(url)).text()).toBe('over TLS');
  });

  it('that ask for a certificate get ours, by checks and by traffic', async () => {
    const scope = testScope();
    const folder = await scope.folder();
    const authority = await makeCertificate(folder, 'authority', { authority: true });
    const pem = await makeCertificate(folder, 'node.test', { names: ['node.test'], by: authority });
    const ours = (await makeCertificate(folder, 'proxy', { by: authority })).files;
    const settings = await startNode(scope, pem, { ca: authority.cert, requestCert: true, rejectUnauthorized: true });
    const ca = authority.files.cert;
    const evenkeel = await startEvenkeel(scope, settings({ ca, ...ours }));
    const url = `http://127.0.0.1:${evenkeel.port}/`;
    await evenkeel.fit(1);
    expect(await (await fetch(url)).text()).toBe('over TLS to proxy');
    await evenkeel.reload(settings({ ca }));
    await evenkeel.fit(0);
    expect((await fetch(url)).status).toBe(503);
  });
});

/** An https node that says whose certificate it was shown; and the config of a pool of it, by what stands in `upstream.tls`. */
async function startNode(
  scope: Scope,
  { cert, key }: Pem,
  asks: ServerOptions = {},
): Promise<(tls: object) => Settings> {
  const server = createServer({ cert, key, ...asks }, (request, response) => {
    const shown = (request.socket as TLSSocket).getPeerCertificate().subject?.CN;
    response.end(shown === undefined ? 'over TLS' : `over TLS to ${shown}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.own({
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  return (tls) => ({
    pools: {
      app: {
        nodes: [`https://127.0.0.1:${(server.address() as AddressInfo).port}`],
        health: { path: '/up', interval: '50ms', downInterval: '50ms', fastInterval: '50ms' },
        upstream: { tls: { servername: 'node.test', ...tls }, idleTimeout: '50ms' },
      },
    },
  });
}
