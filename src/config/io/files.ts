/**
 * The certificates that a config names: read, parsed and compared, so that a mistake is told by `check` and at a
 * reload, and not by the first client. What does not parse or does not belong together is a problem at its place in
 * the config; a certificate that is out of date is a warning, since refusing it would help nobody.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { err, ok, type Result } from '../../base/result.ts';
import { itemPath } from '../ledger.ts';
import type { LoadedConfig } from '../load.ts';
import type { Problem } from '../model.ts';
import { Problems } from '../problems.ts';
import { markAt } from '../tree.ts';
import { readText } from './read.ts';

/** PEM text. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface TlsRead {
  /** By the listener's name. */
  readonly tls: ReadonlyMap<string, TlsFiles>;
  readonly warnings: readonly Problem[];
}

const maxPemSize = 1024 * 1024;

/** Reads what `config.listen` names. Relative names start at the config file's folder. `now`: wall clock. */
export async function readTls(loaded: LoadedConfig, now: Date): Promise<Result<TlsRead, readonly Problem[]>> {
  const problems = new Problems(loaded.source);
  const tls = new Map<string, TlsFiles>();
  for (const [index, listener] of loaded.config.listen.entries()) {
    if (!listener.tls) continue;
    const base = itemPath(loaded.tree, 'listen', index);
    const found: Partial<Record<'cert' | 'key', string>> = {};
    const tell = (
      which: 'cert' | 'key',
      message: string,
      hint: string | null,
      severity: 'error' | 'warning' = 'error',
    ) => {
      const path = [...base, 'tls', which];
      problems[severity]({ mark: markAt(loaded.tree, path), path }, message, hint);
    };
    for (const which of ['cert', 'key'] as const) {
      const read = await readText(resolve(dirname(loaded.source.file), listener.tls[which]), maxPemSize);
      if (read.ok) found[which] = read.value;
      else tell(which, read.error, null);
    }
    const { cert, key } = found;
    if (cert === undefined || key === undefined) continue;
    checkPair({ cert, key }, { names: listener.tls, now, tell });
    tls.set(listener.name, { cert, key });
  }
  return problems.failed ? err(problems.list()) : ok({ tls, warnings: problems.list() });
}

interface Telling {
  /** As written in the config. */
  readonly names: TlsFiles;
  readonly now: Date;
  readonly tell: (which: 'cert' | 'key', message: string, hint: string | null, severity?: 'error' | 'warning') => void;
}

function checkPair({ cert, key }: TlsFiles, { names, now, tell }: Telling): void {
  const certificate = attempt(() => new X509Certificate(cert));
  const privateKey = attempt(() => createPrivateKey(key));
  if (!certificate) {
    const hint = /PRIVATE KEY/.test(cert)
      ? 'it holds a key: are cert and key swapped?'
      : 'it must be PEM: -----BEGIN CERTIFICATE-----';
    tell('cert', `${names.cert} holds no certificate that can be read`, hint);
  }
  if (!privateKey) tell('key', `${names.key} holds no private key that can be read`, keyHint(key));
  if (!certificate || !privateKey) return;
  if (!certificate.checkPrivateKey(privateKey)) {
    tell(
      'key',
      `${names.key} is not the key of the certificate in ${names.cert}`,
      'use the key that the certificate was asked for with',
    );
    return;
  }
  const usable = attempt(() => createSecureContext({ cert, key }));
  if (!usable)
    tell('cert', `${names.cert} is refused by OpenSSL`, 'is the key too short, or a certificate of the chain broken?');
  if (certificate.validToDate < now)
    tell('cert', `the certificate in ${names.cert} ran out on ${certificate.validTo}`, 'renew it', 'warning');
  if (certificate.validFromDate > now)
    tell('cert', `the certificate in ${names.cert} is not valid before ${certificate.validFrom}`, null, 'warning');
}

function keyHint(key: string): string {
  if (/ENCRYPTED/.test(key))
    return 'it is encrypted, and nobody is there to type its password: openssl pkey -in KEY -out PLAIN';
  if (/BEGIN CERTIFICATE/.test(key)) return 'it holds a certificate: are cert and key swapped?';
  return 'it must be PEM: -----BEGIN PRIVATE KEY-----';
}

function attempt<T>(make: () => T): T | null {
  try {
    return make();
  } catch {
    return null;
  }
}
