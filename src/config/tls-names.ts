/**
 * The host names that a certificate is good for, from Node's text of it: `DNS:example.com, DNS:*.example.com, IP
 * Address:10.0.0.1`. Entries that could be mistaken for others are quoted there, and so never read as a name.
 * Names that are no host names (an address, `*.*.com`) can't be asked for by SNI and are left out.
 */

const hostName = /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

export interface CertificateText {
  readonly subjectAltName?: string | undefined;
  /** One `KEY=value` a line. */
  readonly subject: string;
}

/** Lower case, each once. Without alternative names, the common name, as clients of old wrote it. */
export function certificateNames({ subjectAltName, subject }: CertificateText): readonly string[] {
  const entries = (subjectAltName ?? '').split(', ').filter((entry) => entry.startsWith('DNS:'));
  const common = /^CN=(.+)$/m.exec(subject)?.[1] ?? '';
  const written = entries.length > 0 ? entries.map((entry) => entry.slice('DNS:'.length)) : [common];
  const names = written.map((name) => name.toLowerCase()).filter((name) => hostName.test(name));
  return [...new Set(names)];
}
