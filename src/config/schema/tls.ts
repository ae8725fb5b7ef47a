/** TLS of a listener: which certificates, how old a protocol, whether clients show a certificate of their own. */
import * as z from 'zod';
import { err, ok } from '../../base/result.ts';
import { parseHostPattern } from '../addresses.ts';
import type { TlsVersion } from '../model.ts';
import { file, parsed, section } from './scalars.ts';

const cert = file('a certificate file').describe(
  'PEM file with the certificate and the chain behind it. A relative name starts at the folder of the config file.',
);
const key = file('a key file').describe('PEM file with the private key of that certificate.');

const version = parsed<TlsVersion>('version', (text) =>
  text === '1.2' || text === '1.3' ? ok(text) : err('is not a version of TLS\nwrite 1.2 or 1.3'),
).meta({ type: ['string', 'number'], pattern: '^1\\.[23]$' });

const clientCert = section({
  ca: file('a file of certificates').describe(
    'PEM file with the certificates of the authorities whose clients are let in. Without it nothing starts.',
  ),
  mode: z
    .enum(['request', 'require'])
    .prefault('require')
    .describe(
      '`require`: no handshake without a certificate of one of them; `request`: without one, too. A node gets a verified one in Client-Cert (RFC 9440).',
    ),
});

/** Either `cert` and `key` or `certificates`: check.ts sees to it, and build.ts makes one form of both. */
export const listenerTls = section({
  cert: cert.optional().meta({ 'x-default': 'required, or certificates' }),
  key: key.optional().meta({ 'x-default': 'required, or certificates' }),
  certificates: z
    .array(
      section({
        cert: cert.describe('PEM file with this certificate and the chain behind it.'),
        key: key.describe('PEM file with the private key of this certificate.'),
      }),
    )
    .min(1)
    .optional()
    .meta({ 'x-default': 'the one of cert and key' })
    .describe(
      'Several certificates in place of `cert` and `key`. A client gets the one that holds the name it asks for (SNI), exact names before wildcards, else the first.',
    ),
  minVersion: version.prefault('1.2').describe('Oldest version of TLS: 1.2 or 1.3.'),
  clientCert: clientCert
    .optional()
    .meta({ 'x-default': 'none' })
    .describe('Certificates of clients. Without it, none is asked for.'),
}).describe(
  'With it the listener speaks HTTPS. The files are read and compared when the config is loaded, and watched.',
);

const hostName = parsed('name', (text) => {
  const name = parseHostPattern(text);
  return name.ok && !text.startsWith('*') ? name : err('is not a host such as app.example.com');
});

/** For https nodes. check.ts refuses it where there are none. */
export const upstreamTls = section({
  ca: file('a file of certificates')
    .optional()
    .meta({ 'x-default': "Node's own" })
    .describe("PEM file with the authorities that sign the nodes' certificates, in place of the public ones."),
  cert: file('a certificate file')
    .optional()
    .meta({ 'x-default': 'none' })
    .describe('PEM file with a certificate that evenkeel shows to nodes, and the chain behind it.'),
  key: file('a key file').optional().meta({ 'x-default': 'none' }).describe('PEM file with its private key.'),
  verify: z
    .boolean()
    .prefault(true)
    .describe('Whether the certificate of a node must verify. `false`: anybody may pose as it.'),
  servername: hostName
    .optional()
    .meta({ 'x-default': "the host of the node's url" })
    .describe('Name to ask nodes for (SNI), which their certificate must hold.'),
})
  .prefault({})
  .describe('TLS to `https://` nodes. Files are watched; connections that are open stay as they are.');
