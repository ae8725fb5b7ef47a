/**
 * Which certificate serves a host: an exact name before a wildcard, a wildcard for one label (RFC 6125 6.4.3), the first
 * certificate that has the name before later ones, and the first of all for everything else.
 */
export class CertificateNames {
  readonly #exact = new Map<string, number>();
  /** By what stands behind the star: `.example.com`. */
  readonly #wildcards = new Map<string, number>();

  /** The names of each certificate, lower case. */
  constructor(certificates: readonly (readonly string[])[]) {
    for (const [index, names] of certificates.entries()) {
      for (const name of names) {
        const wild = name.startsWith('*.');
        const [map, key] = wild ? [this.#wildcards, name.slice(1)] : [this.#exact, name];
        if (!map.has(key)) map.set(key, index);
      }
    }
  }

  /** Index of the certificate. `host` without port. */
  find(host: string): number {
    const name = host.toLowerCase();
    const exact = this.#exact.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf('.');
    return dot === -1 ? 0 : (this.#wildcards.get(name.slice(dot)) ?? 0);
  }
}
