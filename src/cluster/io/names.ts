/**
 * Names of peers to addresses for datagrams, remembered for 10 s: a resolver must not be asked five times a second, and
 * a peer that moved must be found again. (Connections resolve by themselves, each time.)
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Millis } from '../../base/ids.ts';

const keptMs = 10_000;
const failedMs = 1000;
const namesMax = 4096;

interface Known {
  readonly until: Millis;
  readonly ip: Promise<string | null>;
}

export class Names {
  readonly #family: 4 | 6;
  readonly #now: () => Millis;
  readonly #known = new Map<string, Known>();

  constructor(family: 4 | 6, now: () => Millis) {
    this.#family = family;
    this.#now = now;
  }

  /** The address to send to, at once if it is one already; null: there is none, or none of this family. */
  resolve(host: string): string | Promise<string | null> {
    const version = isIP(host);
    if (version !== 0) return this.#fit(host, version);
    const known = this.#known.get(host);
    if (known !== undefined && this.#now() < known.until) return known.ip;
    if (this.#known.size >= namesMax) this.#known.clear();
    const ip = this.#ask(host);
    this.#known.set(host, { until: this.#now() + keptMs, ip });
    return ip;
  }

  #fit(ip: string, version: number): string {
    return this.#family === 6 && version === 4 ? `::ffff:${ip}` : ip;
  }

  async #ask(host: string): Promise<string | null> {
    try {
      const found = await lookup(host, this.#family === 4 ? { family: 4 } : {});
      return this.#fit(found.address, found.family);
    } catch {
      const failed = Promise.resolve(null);
      this.#known.set(host, { until: this.#now() + failedMs, ip: failed });
      return failed;
    }
  }
}
