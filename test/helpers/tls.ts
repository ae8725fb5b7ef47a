/** Certificates made by openssl for one test, and clients that speak TLS. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import type { Certificate, TlsMaterial } from '../../src/config/model.ts';
import { statusOf } from './http-bytes.ts';
import { until } from './poll.ts';
import { RawClient } from './raw-client.ts';
import type { Scope } from './scope.ts';

const run = promisify(execFile);
const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export interface Pem {
  readonly cert: string;
  readonly key: string;
  /** Where they stand. */
  readonly files: { readonly cert: string; readonly key: string };
}

export interface Making {
  /** Alternative names; none: only the common name. */
  readonly names?: readonly string[];
  readonly days?: number;
  /** Signs it; without: it signs itself. */
  readonly by?: Pem;
  readonly authority?: boolean;
}

/** A certificate in `folder`, in files named after it. */
export async function makeCertificate(folder: string, name: string, making: Making = {}): Promise<Pem> {
  const files = { cert: `${folder}/${name}.pem`, key: `${folder}/${name}.key` };
  const { names = [], days = 365, by, authority = false } = making;
  const alternative =
    names.length > 0 ? ['-addext', `subjectAltName=${names.map((one) => `DNS:${one}`).join(',')}`] : [];
  const signed = by === undefined ? [] : ['-CA', by.files.cert, '-CAkey', by.files.key];
  const basic = ['-addext', `basicConstraints=critical,CA:${authority ? 'TRUE' : 'FALSE'}`];
  const out = ['-keyout', files.key, '-out', files.cert, '-days', String(days), '-subj', `/CN=${name}`];
  await run('openssl', ['req', '-x509', ...curve, ...out, ...alternative, ...basic, ...signed]);
  return { cert: await readFile(files.cert, 'utf8'), key: await readFile(files.key, 'utf8'), files };
}

/** Puts one certificate's files in place of another's. */
export async function replaceFiles(old: Pem, next: Pem): Promise<void> {
  await Promise.all([writeFile(old.files.cert, next.cert), writeFile(old.files.key, next.key)]);
}

type Named = Pick<Certificate, 'cert' | 'key' | 'names'>;

/** A listener's TLS of these certificates, as the control thread reads it from files. */
export function tlsOf(certificates: Named | readonly Named[], rest: Partial<TlsMaterial> = {}): TlsMaterial {
  const all = [certificates].flat().map((one) => ({ ...one, expiresAt: 0 }));
  return { certificates: all, minVersion: '1.2', clientCert: null, ...rest };
}

/** A connection whose handshake has ended well, as the client sees it: in TLS 1.3 the server may still refuse it. */
export interface TlsClient {
  readonly raw: RawClient;
  readonly socket: TLSSocket;
  /** Common name of the server's certificate. */
  readonly server: string;
  readonly resumed: boolean;
  /** Status of the answer to a GET of `/`; 0 if the connection ended before one. */
  status(host?: string): Promise<number>;
  /** What a later connection can resume with. */
  session(): Promise<Buffer>;
}

/** Rejects if the handshake fails. */
export async function tlsClient(scope: Scope, port: number, options: ConnectionOptions = {}): Promise<TlsClient> {
  const raw = scope.own(new RawClient({ tls: port, options }));
  const socket = raw.socket as TLSSocket;
  const sessions: Buffer[] = [];
  socket.on('session', (session) => sessions.push(session));
  await raw.connected;
  let asked = 0;
  return {
    raw,
    socket,
    server: String(socket.getPeerCertificate().subject?.CN),
    resumed: socket.isSessionReused(),
    status: async (host = 'app.test') => {
      await raw.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      const answer = (await raw.answers(++asked))[asked - 1];
      return answer === undefined ? 0 : statusOf(answer);
    },
    session: async () => {
      await until('a session', () => sessions.length > 0);
      return sessions.at(-1)!;
    },
  };
}
