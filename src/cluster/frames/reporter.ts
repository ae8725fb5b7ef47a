/**
 * One line per peer, reason and minute, however much of it comes: a log is no place to be flooded through. The next
 * line says how many were kept back. Peers beyond the bound share one line ("others").
 */
import type { Millis } from '../../base/ids.ts';

const quietMs = 60_000;
const peersMax = 1024;

interface Told {
  readonly at: Millis;
  kept: number;
}

export class Reporter {
  readonly #told = new Map<string, Told>();

  /** The line to log, or null: it was told less than a minute ago. `peer` is an address; its port is left out. */
  note(now: Millis, peer: string, what: string): string | null {
    const host = peer.replace(/:\d+$/, '');
    let key = `${host} ${what}`;
    if (!this.#told.has(key) && this.#told.size >= peersMax) {
      this.#forget(now);
      if (this.#told.size >= peersMax) key = `others ${what}`;
    }
    const told = this.#told.get(key);
    if (told !== undefined && now - told.at < quietMs) {
      told.kept += 1;
      return null;
    }
    this.#told.set(key, { at: now, kept: 0 });
    const kept = told !== undefined && told.kept > 0 ? ` (and ${told.kept} more since the last line)` : '';
    return `${key.startsWith('others ') ? 'several other addresses' : host}: ${what}${kept}`;
  }

  #forget(now: Millis): void {
    for (const [key, told] of this.#told) if (now - told.at >= quietMs) this.#told.delete(key);
  }
}
