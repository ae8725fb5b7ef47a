/** TLS of a listener: names, versions, sessions, client certificates, bounds. Real openssl certificates, real clients. */
import { execFile, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { type ConnectionOptions, connect as dialTls } from 'node:tls';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ClientCertMode, TlsMaterial } from '../../../src/config/model.ts';
import { listenerCounters } from '../../../src/scoreboard/layout.ts';
import { counterRow } from '../../../src/scoreboard/scoreboard.ts';
import { field } from '../../helpers/http-bytes.ts';
import { pause, until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { get } from '../../helpers/raw-client.ts';
import type { RawNode } from '../../helpers/raw-node.ts';
import { sayWhat, startRawNode } from '../../helpers/raw-node.ts';
import { fileScope, testScope } from '../../helpers/scope.ts';
import { makeCertificate, type Pem, type TlsClient, tlsClient, tlsOf } from '../../helpers/tls.ts';
import { settings } from '../../routing/fixtures.ts';
import { startWorld, type World, type WorldOptions } from '../world.ts';

const shared = fileScope();
let one: Pem;
let two: Pem;
let authority: Pem;
let alice: Pem;
let mallory: Pem;
beforeAll(async () => {
  const folder = await shared.folder();
  authority = await makeCertificate(folder, 'authority', { authority: true });
  [one, two, alice, mallory] = await Promise.all([
    makeCertificate(folder, 'one.test', { names: ['one.test', '*.one.test'] }),
    makeCertificate(folder, 'two.test', { names: ['two.test', 'deep.one.test'] }),
    makeCertificate(folder, 'alice', { by: authority }),
    makeCertificate(folder, 'mallory'),
  ]);
});

const both = (rest: Partial<TlsMaterial> = {}): TlsMaterial =>
  tlsOf(
    [
      { ...one, names: ['one.test', '*.one.test'] },
      { ...two, names: ['two.test', 'deep.one.test'] },
    ],
    rest,
  );
const clientCert = (mode: ClientCertMode) => ({ clientCert: { ca: authority.cert, mode } });

interface Setup {
  readonly world: World;
  readonly node: RawNode;
  readonly port: number;
  readonly slot: number;
  dial(options?: ConnectionOptions): Promise<TlsClient>;
  errors(): number;
}

async function setup(material: TlsMaterial, options: WorldOptions & { name?: string } = {}): Promise<Setup> {
  const scope = testScope();
  const node = await startRawNode(scope);
  const world = await startWorld(scope, [node], options);
  const port = await freePort();
  const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
  const name = options.name ?? 'secure';
  await world.engine.listen({ slot: 1, name, address, tls: material, sockets: 1, reusePort: false });
  const column = counterRow.listener(1) + listenerCounters.indexOf('handshakeErrors');
  return {
    world,
    node,
    port,
    slot: 1,
    dial: (more = {}) => tlsClient(scope, port, more),
    errors: () => world.board.sum(column),
  };
}

const versions = ['TLSv1.2', 'TLSv1.3'] as const;

describe('the certificate', () => {
  it.each([
    [undefined, 'one.test'],
    ['one.test', 'one.test'],
    ['WWW.One.Test', 'one.test'],
    ['deep.one.test', 'two.test'],
    ['a.b.one.test', 'one.test'],
    ['two.test', 'two.test'],
    ['unknown.example', 'one.test'],
    ['__proto__', 'one.test'],
    ['x'.repeat(255), 'one.test'],
  ])('for %s is that of %s', async (servername, expected) => {
    const { dial } = await setup(both());
    for (const maxVersion of versions)
      expect((await dial({ ...(servername === undefined ? {} : { servername }), maxVersion })).server).toBe(expected);
  });

  it('is renewed without a closed socket: open connections live on, new ones get the other', async () => {
    const { world, dial, slot } = await setup(both());
    const before = await dial();
    expect(await before.status()).toBe(200);
    world.engine.renew(slot, tlsOf({ ...two, names: ['two.test'] }));
    expect((await dial()).server).toBe('two.test');
    expect(await before.status()).toBe(200);
    expect(() => world.engine.renew(slot, tlsOf({ ...two, key: one.key, names: [] }))).toThrow(/key/);
    expect(() => world.engine.renew(7, both())).toThrow('no TLS listener is open there');
    expect((await dial()).server).toBe('two.test');
  });
});

describe('versions and protocols', () => {
  it('1.2 and 1.3 by default, older ones never, 1.3 alone if asked for', async () => {
    const usual = await setup(both());
    for (const maxVersion of versions) expect((await usual.dial({ maxVersion })).socket.getProtocol()).toBe(maxVersion);
    await expect(
      usual.dial({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    ).rejects.toThrow(/alert protocol version/i);
    const strict = await setup(both({ minVersion: '1.3' }));
    await expect(strict.dial({ maxVersion: 'TLSv1.2' })).rejects.toThrow(/alert protocol version/i);
    expect((await strict.dial()).socket.getProtocol()).toBe('TLSv1.3');
  });

  it('only ciphers with forward secrecy and authenticated encryption', async () => {
    const { dial } = await setup(both());
    const maxVersion = 'TLSv1.2';
    for (const ciphers of ['AES128-SHA', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'PSK'])
      await expect(dial({ maxVersion, ciphers: `${ciphers}:@SECLEVEL=0` }), ciphers).rejects.toThrow();
    expect((await dial({ maxVersion })).socket.getCipher().name).toMatch(/^ECDHE-ECDSA-.*(GCM|POLY1305)/);
  });

  it('http/1.1 is agreed on; a client that speaks none of ours is told so', async () => {
    const { dial, errors } = await setup(both());
    expect((await dial({ ALPNProtocols: ['h2', 'http/1.1'] })).socket.alpnProtocol).toBe('http/1.1');
    expect((await dial()).socket.alpnProtocol).toBe(false);
    await expect(dial({ ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol/i);
    expect(errors()).toBe(1);
  });

  it('a client cannot negotiate anew', async () => {
    const { port, world } = await setup(both());
    const client = spawn('openssl', ['s_client', '-tls1_2', '-connect', `127.0.0.1:${port}`]);
    testScope().own({ stop: () => void client.kill() });
    const lines: string[] = [];
    const says = (what: string): boolean => lines.join('').includes(what);
    for (const stream of [client.stdout, client.stderr]) stream.on('data', (text) => lines.push(String(text)));
    await until('the handshake', () => says('Verify return code'));
    client.stdin.write('R\n');
    await until('the refusal', () => says('no renegotiation'));
    await world.quiet();
  });
});

describe.each(versions)('sessions of %s', (maxVersion) => {
  const ticketKeys = new Uint8Array(48).fill(7);

  it('are resumed in another thread, until the keys change', async () => {
    const engine = { ticketKeys };
    const [here, there] = [await setup(both(), { engine }), await setup(both(), { engine })];
    const first = await here.dial({ maxVersion, servername: 'two.test' });
    expect(await first.status()).toBe(200);
    const session = await first.session();
    const again = await there.dial({ maxVersion, servername: 'two.test', session });
    expect([again.resumed, await again.status()]).toEqual([true, 200]);
    there.world.engine.renew(1, both());
    expect((await there.dial({ maxVersion, servername: 'two.test', session })).resumed).toBe(true);
    expect((await there.dial({ maxVersion, servername: 'one.test', session })).resumed).toBe(false);
    there.world.engine.useTicketKeys(new Uint8Array(48).fill(8));
    expect((await there.dial({ maxVersion, servername: 'two.test', session })).resumed).toBe(false);
    there.world.engine.renew(1, both());
    expect((await there.dial({ maxVersion, servername: 'two.test', session })).resumed).toBe(false);
    const later = await there.dial({ maxVersion, servername: 'two.test' });
    expect((await there.dial({ maxVersion, servername: 'two.test', session: await later.session() })).resumed).toBe(
      true,
    );
  });

  it('carry no trust to another listener, nor past a change of the authorities', async () => {
    const engine = { ticketKeys };
    const open = await setup(both(), { engine, name: 'open' });
    const asking = await setup(both(clientCert('request')), { engine, name: 'guarded' });
    const guarded = await setup(both(clientCert('require')), { engine, name: 'guarded' });
    const servername = 'one.test';
    const certless = await (await asking.dial({ maxVersion, servername })).session();
    for (const session of [await (await open.dial({ maxVersion, servername })).session(), certless])
      expect(await served(guarded.dial({ maxVersion, servername, session }))).toBe(0);
    const known = await guarded.dial({ maxVersion, servername, cert: alice.cert, key: alice.key });
    expect(await known.status('one.test')).toBe(200);
    const session = await known.session();
    const again = await guarded.dial({ maxVersion, servername, session });
    expect([again.resumed, await again.status('one.test')]).toEqual([true, 200]);
    expect(field(guarded.node.requests().at(-1)!, 'client-cert')).toBe(certField(alice));
    expect(await served(guarded.dial({ maxVersion, servername: 'two.test', session }))).toBe(0);
    guarded.world.engine.renew(1, both({ clientCert: { ca: mallory.cert, mode: 'require' } }));
    expect(await served(guarded.dial({ maxVersion, servername, session }))).toBe(0);
    // Resumed without a certificate, Node calls it authorized; the node must not be told of one.
    const nobody = await asking.dial({ maxVersion, servername, session: certless });
    expect([nobody.resumed, await nobody.status('one.test')]).toEqual([true, 200]);
    expect(field(asking.node.requests().at(-1)!, 'client-cert')).toBeUndefined();
  });

  it('of a certificate that does not verify stay so', async () => {
    const { dial, node } = await setup(both(clientCert('request')));
    const first = await dial({ maxVersion, cert: mallory.cert, key: mallory.key });
    expect(await first.status('one.test')).toBe(200);
    const again = await dial({ maxVersion, session: await first.session() });
    expect([again.resumed, await again.status('one.test')]).toEqual([true, 200]);
    expect(node.requests().map((request) => field(request, 'client-cert'))).toEqual([undefined, undefined]);
  });
});

/** Status, 0 if there is no connection or it ends before an answer. */
const served = (dialing: Promise<TlsClient>): Promise<number> =>
  dialing.then((client) => client.status('one.test')).catch(() => 0);

const certField = ({ cert }: Pem): string => `:${cert.replace(/-----[A-Z ]+-----|\s/g, '')}:`;

describe.each(versions)('client certificates over %s', (maxVersion) => {
  it('required: no connection without one that verifies', async () => {
    const { dial, node, errors } = await setup(both(clientCert('require')));
    expect(await served(dial({ maxVersion }))).toBe(0);
    expect(await served(dial({ maxVersion, cert: mallory.cert, key: mallory.key }))).toBe(0);
    await until('both to be counted', () => errors() === 2);
    expect(node.requests()).toEqual([]);
    expect(await served(dial({ maxVersion, cert: alice.cert, key: alice.key }))).toBe(200);
    expect(field(node.requests()[0]!, 'client-cert')).toBe(certField(alice));
  });

  it('requested: known to the node if it verifies, and never what a client says of itself', async () => {
    const { dial, node } = await setup(both(clientCert('request')));
    const forged = 'GET / HTTP/1.1\r\nHost: one.test\r\nClient-Cert: :eA==:\r\nclient-cert-chain: :eA==:\r\n\r\n';
    for (const pem of [alice, mallory, null]) {
      const client = await dial({ maxVersion, ...(pem === null ? {} : { cert: pem.cert, key: pem.key }) });
      await client.raw.send(forged);
      await client.raw.answers(1);
    }
    const told = node.requests().map((request) => [field(request, 'client-cert'), field(request, 'client-cert-chain')]);
    expect(told).toEqual([
      [certField(alice), undefined],
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });

  it('421 for a host of another certificate than the one the connection began with', async () => {
    const { dial, node } = await setup(both(clientCert('require')));
    const client = await dial({ maxVersion, servername: 'one.test', cert: alice.cert, key: alice.key });
    expect(await client.status('one.test')).toBe(200);
    expect(await client.status('two.test:8443')).toBe(421);
    expect(await client.status('x.one.test')).toBe(200);
    const nameless = await dial({ maxVersion, cert: alice.cert, key: alice.key });
    expect(await nameless.status('two.test')).toBe(421);
    expect(node.requests().map((request) => field(request, 'host'))).toEqual(['one.test', 'x.one.test']);
    const free = await setup(both());
    expect(await (await free.dial({ maxVersion, servername: 'one.test' })).status('two.test')).toBe(200);
  });
});

describe('handshakes', () => {
  it('are bounded in number: the oldest makes room, once it is old enough', async () => {
    const { world, port, dial, errors } = await setup(both());
    const scope = testScope();
    const silent: Socket[] = [];
    const hold = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        scope.own({ stop: () => void socket.destroy() });
        silent.push(socket);
      }
    };
    hold(1024);
    await until('all to be held', () => world.connections === 1024);
    await until(
      'room',
      async () =>
        await dial()
          .then(() => true)
          .catch(() => false),
    );
    expect(errors()).toBeGreaterThan(0);
    expect(world.connections).toBeLessThanOrEqual(1025);
    for (const socket of silent) socket.destroy();
    await world.quiet(1);
    expect(world.exceptions).toBe(0);
  });
});

describe('a handshake that drips', () => {
  // A record of 16 KiB that goes on and on.
  const endless = Buffer.concat([Buffer.from([0x17, 3, 3, 0x40, 0]), Buffer.alloc(300)]);

  it.each(['hello', 'finish'] as const)(
    'in its %s ends by its deadline, though something comes all the time',
    async (part) => {
      const timeouts = { ...settings.timeouts, head: 1000 };
      const { world, port, errors } = await setup(both(), { settings: { timeouts } });
      const hello = await firstFlight();
      const client = connect(port, '127.0.0.1')
        .on('error', () => {})
        .resume();
      testScope().own({ stop: () => void client.destroy() });
      if (part === 'finish') client.write(hello);
      const drops = part === 'hello' ? hello.subarray(0, -1) : endless;
      // No pause is as long as the deadline; all of them are much longer.
      for (let at = 0; at < drops.length && !client.closed; at++) {
        client.write(drops.subarray(at, at + 1));
        await pause(50);
      }
      expect(client.closed).toBe(true);
      await until('it is counted', () => errors() === 1);
      await world.quiet();
    },
  );
});

/** What a client says first. */
function firstFlight(): Promise<Buffer> {
  return new Promise((resolve) => {
    const [near, far] = duplexPair();
    far.once('data', (hello: Buffer) => resolve(hello));
    dialTls({ socket: near, servername: 'one.test', rejectUnauthorized: false }).on('error', () => {});
  });
}

describe.each(versions)('clients of %s that reset', (maxVersion) => {
  it('as soon as they have asked, while session tickets are on their way to them: all given back at once', async () => {
    const { world, port, node } = await setup(both());
    // Answered later than the reset, so that an answer finds its client gone.
    node.respond = (request, connection) => setTimeout(() => sayWhat(request, connection), 10);
    for (const waitMs of [0, 1, 3, 9]) {
      const clients = Array.from({ length: 20 }, async () => {
        const raw = connect(port, '127.0.0.1').on('error', () => {});
        const socket = dialTls({ socket: raw, maxVersion, rejectUnauthorized: false }).on('error', () => {});
        await new Promise((resolve) => socket.once('secureConnect', resolve));
        socket.write(get('/1') + get('/2'));
        await pause(waitMs);
        raw.resetAndDestroy();
      });
      await Promise.all(clients);
    }
    await world.quiet();
    expect(world.exceptions).toBe(0);
  });
});

describe('openssl s_client', () => {
  it.each([
    ['broken by its node', 'cut', 1],
    ['that its node ended', 'ended', 0],
  ])('an answer without a length, %s, is told from another by its end', async (_, how, code) => {
    const { port, node } = await setup(both());
    node.respond = (_request, connection) => {
      connection.socket.write('HTTP/1.1 200 OK\r\n\r\nhello', () => {
        if (how === 'cut') setTimeout(() => connection.socket.resetAndDestroy(), 50);
        else connection.socket.end();
      });
    };
    const client = spawn('openssl', ['s_client', '-quiet', '-connect', `127.0.0.1:${port}`]);
    testScope().own({ stop: () => void client.kill() });
    const said: string[] = [];
    for (const stream of [client.stdout, client.stderr]) stream.on('data', (text) => said.push(String(text)));
    client.stdin.write('GET / HTTP/1.0\r\nHost: one.test\r\n\r\n');
    await until('its end', () => client.exitCode !== null);
    expect([client.exitCode, said.join('').includes('unexpected eof')]).toEqual([code, code === 1]);
    expect(said.join('')).toContain('hello');
  });

  it('is served, and verifies what it gets', async () => {
    const { port } = await setup(both());
    const command = `printf 'GET / HTTP/1.1\\r\\nHost: two.test\\r\\nConnection: close\\r\\n\\r\\n' | openssl s_client -quiet -connect 127.0.0.1:${port} -servername two.test -verify_hostname two.test -verify_return_error -CAfile '${two.files.cert}'`;
    const { stdout } = await promisify(execFile)('sh', ['-c', command]);
    expect(stdout).toContain('HTTP/1.1 200 OK');
  });
});
