import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfigFile } from '../../../src/config/io/load.ts';
import { testScope } from '../../helpers/scope.ts';
import { line, pools } from '../helper.ts';
import { a, b, encryptedKey } from './pem.ts';

const today = new Date('2030-01-01T00:00:00Z');

/** Writes the files beside a c.yaml that listens with `cert.pem` and `key.pem`, and loads it. */
async function load(files: Readonly<Record<string, string>>, options: { now?: Date; yaml?: string } = {}) {
  const folder = await testScope().folder();
  const yaml = options.yaml ?? `listen: { address: ":8443", tls: { cert: cert.pem, key: key.pem } }\n${pools}`;
  for (const [name, text] of Object.entries({ ...files, 'c.yaml': yaml })) await writeFile(join(folder, name), text);
  const result = await loadConfigFile(join(folder, 'c.yaml'), { env: {}, now: options.now ?? today });
  const told = result.ok ? result.value.warnings : result.error;
  return { result, told: told.map((one) => line(one).replaceAll(`${folder}/`, '')) };
}

/** One certificate, and defaults. They have no alternative names, so the common name counts. */
const only = (pair: typeof a) => ({
  certificates: [{ ...pair, names: [pair === a ? 'a.test' : 'b.test'], expiresAt: Date.UTC(2126, 9, 27, 12, 0, 23) }],
  minVersion: '1.2',
  clientCert: null,
});

describe('a file without certificates', () => {
  it('is loaded with its text', async () => {
    const { result } = await load({}, { yaml: pools });
    expect(result).toMatchObject({ ok: true, value: { text: pools, config: { workers: 'auto' } } });
    expect(result.ok && result.value.tls.size).toBe(0);
  });

  it('or refused with its problems', async () => {
    expect((await load({}, { yaml: 'pools: 1' })).told).toEqual(['1:8 pools: pools must be a map, not the number 1']);
  });

  it('one that cannot be read is a problem without a line', async () => {
    const result = await loadConfigFile('/nonexistent/c.yaml', { env: {}, now: today });
    expect(result).toMatchObject({
      ok: false,
      error: [{ line: 0, message: '/nonexistent/c.yaml does not exist', severity: 'error' }],
    });
  });

  it('variables come from the given environment', async () => {
    const name = join(await testScope().folder(), 'c.yaml');
    await writeFile(name, `workers: \${N}\n${pools}`);
    expect(await loadConfigFile(name, { env: { N: '3' }, now: today })).toMatchObject({
      ok: true,
      value: { config: { workers: 3 } },
    });
  });
});

describe('certificates', () => {
  it('are read from beside the config', async () => {
    const { result, told } = await load({ 'cert.pem': a.cert, 'key.pem': a.key });
    expect(told).toEqual([]);
    expect(result.ok && result.value.tls.get('0.0.0.0:8443')).toEqual(only(a));
  });

  it('each listener has its own', async () => {
    const yaml = `listen:\n  - :80\n  - { address: ":443", tls: { cert: a, key: ak } }\n  - { address: ":444", tls: { cert: b, key: bk } }\n${pools}`;
    const { result } = await load({ a: a.cert, ak: a.key, b: b.cert, bk: b.key }, { yaml });
    expect(result.ok && [...result.value.tls]).toEqual([
      ['0.0.0.0:443', only(a)],
      ['0.0.0.0:444', only(b)],
    ]);
  });

  const certAt = '1:42 listen.tls.cert: ';
  const keyAt = '1:57 listen.tls.key: ';
  it.each<[string, Readonly<Record<string, string>>, string[]]>([
    ['both missing', {}, [`${certAt}cert.pem does not exist`, `${keyAt}key.pem does not exist`]],
    [
      'of two pairs',
      { 'cert.pem': a.cert, 'key.pem': b.key },
      [
        `${keyAt}key.pem is not the key of the certificate in cert.pem | use the key that the certificate was asked for with`,
      ],
    ],
    [
      'swapped',
      { 'cert.pem': a.key, 'key.pem': a.cert },
      [
        `${certAt}cert.pem holds no certificate that can be read | it holds a key: are cert and key swapped?`,
        `${keyAt}key.pem holds no private key that can be read | it holds a certificate: are cert and key swapped?`,
      ],
    ],
    [
      'an encrypted key',
      { 'cert.pem': a.cert, 'key.pem': encryptedKey },
      [
        `${keyAt}key.pem holds no private key that can be read | it is encrypted, and nobody is there to type its password: openssl pkey -in KEY -out PLAIN`,
      ],
    ],
    [
      'garbage',
      { 'cert.pem': 'x', 'key.pem': '' },
      [
        `${certAt}cert.pem holds no certificate that can be read | it must be PEM: -----BEGIN CERTIFICATE-----`,
        `${keyAt}key.pem holds no private key that can be read | it must be PEM: -----BEGIN PRIVATE KEY-----`,
      ],
    ],
    [
      'a broken chain',
      { 'cert.pem': `${a.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, 'key.pem': a.key },
      [`${certAt}cert.pem is refused by OpenSSL | is the key too short, or a certificate of the chain broken?`],
    ],
  ])('%s', async (_, files, expected) => {
    const { result, told } = await load(files);
    expect(result.ok).toBe(false);
    expect(told).toEqual(expected);
  });

  it('out of date is worth a warning', async () => {
    const files = { 'cert.pem': a.cert, 'key.pem': a.key };
    const late = await load(files, { now: new Date('2200-01-01T00:00:00Z') });
    expect(late.result.ok).toBe(true);
    expect(late.told).toEqual([
      expect.stringMatching(/^1:42 listen.tls.cert: the certificate in cert.pem ran out on .* \| renew it$/),
    ]);
    const early = await load(files, { now: new Date('2000-01-01T00:00:00Z') });
    expect(early.told).toEqual([expect.stringMatching(/is not valid before/)]);
  });

  it('soon out of date is worth one, too', async () => {
    const files = { 'cert.pem': a.cert, 'key.pem': a.key };
    const soon = await load(files, { now: new Date(Date.UTC(2126, 9, 14)) });
    expect(soon.told).toEqual([expect.stringMatching(/cert.pem runs out on .*, in 13 days \| renew it$/)]);
    expect((await load(files, { now: new Date(Date.UTC(2126, 9, 13)) })).told).toEqual([]);
  });

  it('several have names of their own; one that nobody can get is worth a warning', async () => {
    const pair = '{ cert: a, key: ak }';
    const yaml = (list: string) => `listen: { address: ":443", tls: { certificates: [${list}] } }\n${pools}`;
    const files = { a: a.cert, ak: a.key, b: b.cert, bk: b.key };
    const { result, told } = await load(files, { yaml: yaml(`${pair}, { cert: b, key: bk }`) });
    expect(told).toEqual([]);
    expect(result.ok && result.value.tls.get('0.0.0.0:443')?.certificates.map(({ names }) => names)).toEqual([
      ['a.test'],
      ['b.test'],
    ]);
    expect(result.ok && [...result.value.files.keys()].map((file) => file.split('/').at(-1))).toEqual([
      'a',
      'ak',
      'b',
      'bk',
    ]);
    expect((await load(files, { yaml: yaml(`${pair}, ${pair}`) })).told).toEqual([
      expect.stringMatching(/certificates\[1\].cert: no client gets the certificate in a \| it has no host name/),
    ]);
    expect((await load(files, { yaml: yaml(`${pair}, { cert: b, key: ak }`) })).told).toEqual([
      expect.stringMatching(/certificates\[1\].key: ak is not the key of the certificate in b/),
    ]);
  });

  it.each<[string, string | null, RegExp]>([
    ['missing', null, /clientCert.ca: ca.pem does not exist$/],
    ['empty', '', /clientCert.ca: ca.pem holds no certificate \| it must be PEM/],
    ['a key', a.key, /ca.pem holds no certificate/],
    ['half of two', `${a.cert}${b.cert.slice(0, 200)}`, /ca.pem holds a certificate that cannot be read/],
    ['two, one broken', `${a.cert}${b.cert.replace('MII', 'AAA')}`, /ca.pem holds a certificate that cannot be read/],
  ])('authorities of clients: %s is refused', async (_, ca, expected) => {
    const tls = '{ cert: cert.pem, key: key.pem, clientCert: { ca: ca.pem } }';
    const files = { 'cert.pem': a.cert, 'key.pem': a.key, ...(ca === null ? {} : { 'ca.pem': ca }) };
    const { result, told } = await load(files, { yaml: `listen: { address: ":443", tls: ${tls} }\n${pools}` });
    expect(result.ok).toBe(false);
    expect(told).toEqual([expect.stringMatching(expected)]);
  });

  it('authorities of clients are read, all of them', async () => {
    const tls = '{ cert: cert.pem, key: key.pem, clientCert: { ca: ca.pem, mode: request } }';
    const files = { 'cert.pem': a.cert, 'key.pem': a.key, 'ca.pem': `# both\n${a.cert}\n${b.cert}` };
    const { result, told } = await load(files, { yaml: `listen: { address: ":443", tls: ${tls} }\n${pools}` });
    expect(told).toEqual([]);
    const material = result.ok ? result.value.tls.get('0.0.0.0:443') : null;
    expect(material?.clientCert).toEqual({ ca: `${a.cert.trim()}\n${b.cert.trim()}`, mode: 'request' });
  });

  it('pools with https nodes have theirs, too', async () => {
    const of = (tls: string) => `pools: { app: { nodes: [https://a], upstream: { tls: ${tls} } } }`;
    const files = { ca: a.cert, cert: b.cert, key: b.key };
    const { result, told } = await load(files, { yaml: of('{ ca: ca, cert: cert, key: key, servername: A.b }') });
    expect(told).toEqual([]);
    const whole = { ca: a.cert.trim(), cert: b.cert, key: b.key, verify: true, servername: 'a.b' };
    expect(result.ok && [...result.value.upstreamTls]).toEqual([['app', whole]]);
    expect(result.ok && result.value.files.size).toBe(3);
    expect((await load(files, { yaml: of('{ ca: nowhere, cert: cert, key: ca }') })).told).toEqual([
      expect.stringMatching(/upstream.tls.ca: nowhere does not exist/),
      expect.stringMatching(/upstream.tls.key: ca holds no private key/),
    ]);
    expect((await load(files, { yaml: of('{ verify: false }') })).told).toEqual([
      expect.stringMatching(/upstream.tls.verify: the nodes of pool app are not verified/),
    ]);
  });

  it('no key is in a problem', async () => {
    const { result } = await load({ 'cert.pem': a.key, 'key.pem': b.key });
    expect(JSON.stringify(result)).not.toContain(a.key.split('\n')[1]);
  });
});
