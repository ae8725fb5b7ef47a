/**
 * The certificates that a config names: read, parsed and compared, so that a mistake is told by `check` and at a
 * reload, and not by the first client. What does not parse or does not belong together is a problem at its place in
 * the config; a certificate that is out of date, or soon will be, is a warning, since refusing it would help nobody.
 * Authorities for clients' certificates must all be readable: with fewer than meant, the wrong ones would be let in or out.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { err, ok, type Result } from '../../base/result.ts';
import { itemPath } from '../ledger.ts';
import type { LoadedConfig } from '../load.ts';
import type { Certificate, Problem, TlsConfig, TlsMaterial, UpstreamTls, UpstreamTlsConfig } from '../model.ts';
import { Problems } from '../problems.ts';
import { certificateNames } from '../tls-names.ts';
import { at, markAt, type Path } from '../tree.ts';
import { readText } from './read.ts';

export interface TlsRead {
  /** By the listener's name. */
  readonly tls: ReadonlyMap<string, TlsMaterial>;
  /** By the pool's name; pools without https nodes are left out. */
  readonly upstreamTls: ReadonlyMap<string, UpstreamTls>;
  /** All files that were read: their texts by absolute name. */
  readonly files: ReadonlyMap<string, string>;
  readonly warnings: readonly Problem[];
}

const maxPemSize = 1024 * 1024;
const day = 24 * 3600 * 1000;
/** A certificate that runs out sooner is worth a warning. */
export const expiryWarning = 14 * day;

/** Reads what `config.listen` and pools name. Relative names start at the config file's folder. `now`: wall clock. */
export async function readTls(loaded: LoadedConfig, now: Date): Promise<Result<TlsRead, readonly Problem[]>> {
  const reader = new TlsReader(loaded, now);
  const tls = new Map<string, TlsMaterial>();
  for (const [index, listener] of loaded.config.listen.entries()) {
    if (listener.tls === null) continue;
    const material = await reader.read(listener.tls, [...itemPath(loaded.tree, 'listen', index), 'tls']);
    tls.set(listener.name, material);
  }
  const upstreamTls = new Map<string, UpstreamTls>();
  for (const { name, nodes, upstream } of loaded.config.pools) {
    if (!nodes.some(({ address }) => address.kind === 'tcp' && address.tls)) continue;
    upstreamTls.set(name, await reader.readUpstream(upstream.tls, ['pools', name, 'upstream', 'tls']));
  }
  const { problems } = reader;
  if (problems.failed) return err(problems.list());
  return ok({ tls, upstreamTls, files: reader.files, warnings: problems.list() });
}

/** What a problem is said with. */
interface Pair {
  readonly cert: string;
  readonly key: string;
  /** As written in the config. */
  readonly names: { readonly cert: string; readonly key: string };
  readonly path: Path;
}

class TlsReader {
  readonly problems: Problems;
  readonly files = new Map<string, string>();
  readonly #loaded: LoadedConfig;
  readonly #now: Date;

  constructor(loaded: LoadedConfig, now: Date) {
    this.#loaded = loaded;
    this.#now = now;
    this.problems = new Problems(loaded.source);
  }

  /** Whole only if no problem was told. */
  async read(tls: TlsConfig, path: Path): Promise<TlsMaterial> {
    const certificates: Certificate[] = [];
    // The form in which they were written: one beside the other keys, or a list.
    const listed = at(this.#loaded.tree, [...path, 'certificates']) !== null;
    for (const [index, names] of tls.certificates.entries()) {
      const certificate = await this.#readPair(names, listed ? [...path, 'certificates', index] : path);
      if (certificate !== null) certificates.push(certificate);
    }
    this.#checkNames(tls, certificates, path);
    const caPath = [...path, 'clientCert', 'ca'];
    const ca = tls.clientCert === null ? null : await this.#readAuthorities(tls.clientCert.ca, caPath);
    const clientCert = tls.clientCert === null || ca === null ? null : { ca, mode: tls.clientCert.mode };
    return { certificates, minVersion: tls.minVersion, clientCert };
  }

  /** Whole only if no problem was told. */
  async readUpstream(tls: UpstreamTlsConfig, path: Path): Promise<UpstreamTls> {
    const ca = tls.ca === null ? null : await this.#readAuthorities(tls.ca, [...path, 'ca']);
    const { cert, key } = tls;
    const pair = cert === null || key === null ? null : await this.#readPair({ cert, key }, path);
    return { ...tls, ca, cert: pair?.cert ?? null, key: pair?.key ?? null };
  }

  async #readPair(names: Pair['names'], path: Path): Promise<Certificate | null> {
    const [cert, key] = [
      await this.#text(names.cert, [...path, 'cert']),
      await this.#text(names.key, [...path, 'key']),
    ];
    return cert === null || key === null ? null : this.#checkPair({ cert, key, names, path });
  }

  async #text(name: string, path: Path): Promise<string | null> {
    const file = resolve(dirname(this.#loaded.source.file), name);
    const read = await readText(file, maxPemSize);
    this.files.set(file, read.ok ? read.value : '');
    if (read.ok) return read.value;
    this.#tell(path, read.error, null);
    return null;
  }

  #checkPair({ cert, key, names, path }: Pair): Certificate | null {
    const certificate = attempt(() => new X509Certificate(cert));
    const privateKey = attempt(() => createPrivateKey(key));
    if (!certificate) {
      const hint = /PRIVATE KEY/.test(cert)
        ? 'it holds a key: are cert and key swapped?'
        : 'it must be PEM: -----BEGIN CERTIFICATE-----';
      this.#tell([...path, 'cert'], `${names.cert} holds no certificate that can be read`, hint);
    }
    if (!privateKey) this.#tell([...path, 'key'], `${names.key} holds no private key that can be read`, keyHint(key));
    if (!certificate || !privateKey) return null;
    if (!certificate.checkPrivateKey(privateKey)) {
      const hint = 'use the key that the certificate was asked for with';
      this.#tell([...path, 'key'], `${names.key} is not the key of the certificate in ${names.cert}`, hint);
      return null;
    }
    if (!attempt(() => createSecureContext({ cert, key }))) {
      const hint = 'is the key too short, or a certificate of the chain broken?';
      this.#tell([...path, 'cert'], `${names.cert} is refused by OpenSSL`, hint);
    }
    this.#checkDates(certificate, names.cert, [...path, 'cert']);
    return { cert, key, names: certificateNames(certificate), expiresAt: certificate.validToDate.getTime() };
  }

  #checkDates({ validToDate, validTo, validFromDate, validFrom }: X509Certificate, name: string, path: Path): void {
    const left = validToDate.getTime() - this.#now.getTime();
    if (left < 0) this.#warn(path, `the certificate in ${name} ran out on ${validTo}`, 'renew it');
    else if (left < expiryWarning)
      this.#warn(
        path,
        `the certificate in ${name} runs out on ${validTo}, in ${Math.floor(left / day)} days`,
        'renew it',
      );
    if (validFromDate > this.#now)
      this.#warn(path, `the certificate in ${name} is not valid before ${validFrom}`, null);
  }

  /** With several certificates, each but the first is found by its names alone. */
  #checkNames(tls: TlsConfig, certificates: readonly Certificate[], path: Path): void {
    if (certificates.length < 2 || certificates.length < tls.certificates.length) return;
    const seen = new Map<string, string>();
    for (const [index, { names }] of certificates.entries()) {
      const here = [...path, 'certificates', index, 'cert'];
      const file = tls.certificates[index]!.cert;
      if (index > 0 && names.every((name) => seen.has(name)))
        this.#warn(here, `no client gets the certificate in ${file}`, 'it has no host name that none before it has');
      for (const name of names) if (!seen.has(name)) seen.set(name, file);
    }
  }

  /** All authorities of the file as PEM, or null after telling what is wrong. */
  async #readAuthorities(name: string, path: Path): Promise<string | null> {
    const text = await this.#text(name, path);
    if (text === null) return null;
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
    const begun = text.split(/-----BEGIN [A-Z ]*CERTIFICATE-----/).length - 1;
    const found = blocks.map((block) => attempt(() => new X509Certificate(block)));
    if (found.length === 0 || found.length < begun || found.includes(null)) {
      const what = found.length === 0 ? 'holds no certificate' : 'holds a certificate that cannot be read';
      this.#tell(path, `${name} ${what}`, 'it must be PEM: -----BEGIN CERTIFICATE-----, of each authority');
      return null;
    }
    for (const certificate of found) {
      if (!certificate!.ca)
        this.#warn(path, `${name} holds a certificate that is no authority's: ${oneLine(certificate!.subject)}`, null);
      this.#checkDates(certificate!, name, path);
    }
    return blocks.join('\n');
  }

  #tell(path: Path, message: string, hint: string | null): void {
    this.problems.error({ mark: markAt(this.#loaded.tree, path), path }, message, hint);
  }

  #warn(path: Path, message: string, hint: string | null): void {
    this.problems.warning({ mark: markAt(this.#loaded.tree, path), path }, message, hint);
  }
}

const oneLine = (subject: string): string => JSON.stringify(subject.replaceAll('\n', ', ').slice(0, 200));

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
