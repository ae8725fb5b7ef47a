/** Certificates that grow old while the process runs, and the keys that seal TLS sessions. */
import { randomBytes } from 'node:crypto';
import type { Millis } from '../base/ids.ts';
import { expiryWarning, type TlsRead } from '../config/io/files.ts';
import type { TlsMaterial } from '../config/model.ts';

const day: Millis = 24 * 3600 * 1000;

/** Each by its first name; of several with the same, the one that runs out first. */
export function certificatesOf({ certificates }: TlsMaterial): { name: string; expiresAt: Millis }[] {
  const soonest = new Map<string, Millis>();
  for (const { names, expiresAt } of certificates) {
    const name = names[0] ?? 'unnamed';
    soonest.set(name, Math.min(expiresAt, soonest.get(name) ?? expiresAt));
  }
  return [...soonest].map(([name, expiresAt]) => ({ name, expiresAt }));
}

/** Lines about certificates that have run out, or will within 14 days. `now`: wall time. */
export function expiryLines(tls: TlsRead['tls'], now: Millis): string[] {
  return [...tls].flatMap(([listener, material]) =>
    certificatesOf(material).flatMap(({ name, expiresAt }) => {
      const left = expiresAt - now;
      if (left >= expiryWarning) return [];
      const when = left < 0 ? 'has run out' : `runs out in ${Math.floor(left / day)} days`;
      return [`the certificate for ${name} of listener ${listener} ${when}; renew it`];
    }),
  );
}

/** Says the expiry lines once a day. A config that was just loaded has had its warnings. */
export class ExpiryWatch {
  #toldAt: Millis;

  constructor(now: Millis) {
    this.#toldAt = now;
  }

  /** Lines to say now. */
  look(tls: TlsRead['tls'], now: Millis): string[] {
    if (now - this.#toldAt < day) return [];
    this.#toldAt = now;
    return expiryLines(tls, now);
  }
}

/** How long the same keys seal session tickets: whoever steals them can read what was resumed with them. */
const keysFor: Millis = 12 * 3600 * 1000;

/**
 * The keys of TLS session tickets. Node holds one set of them, so a ticket of the set before is worth nothing: once in
 * 12 hours a client that comes back makes a full handshake.
 */
export class TicketKeys {
  #keys: Uint8Array = randomBytes(48);
  #madeAt: Millis;

  constructor(now: Millis) {
    this.#madeAt = now;
  }

  get current(): Uint8Array {
    return this.#keys;
  }

  /** New keys when it is time for them, else null. `now`: the clock of the constructor's. */
  rotate(now: Millis): Uint8Array | null {
    if (now - this.#madeAt < keysFor) return null;
    this.#madeAt = now;
    this.#keys = randomBytes(48);
    return this.#keys;
  }
}
