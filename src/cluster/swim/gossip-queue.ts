/**
 * Updates that wait to be passed on, each a bounded number of times: retransmit x ceil(log10(n + 1)). What was sent
 * least goes first, so that news overtakes what most members know. One update per member and sort: a newer statement
 * takes the place of an older one and starts anew.
 */
import type { Bytes, MemberId } from '../../base/ids.ts';
import type { Update } from './messages.ts';
import { updateBytes } from './words.ts';

interface Entry {
  readonly key: string;
  readonly update: Update;
  readonly bytes: Bytes;
  sent: number;
}

/** Entries that are looked at, beyond those that fit, before a datagram counts as full. */
const misfitsMax = 16;
const smallestUpdate = 19;

export function retransmitLimit(factor: number, members: number): number {
  return factor * Math.ceil(Math.log10(members + 1));
}

/** Whom an update is about. */
export function subjectOf(update: Update): MemberId {
  if (update.kind === 'alive') return update.claim.id;
  return update.kind === 'sight' ? update.id : update.subject.id;
}

export class GossipQueue {
  readonly #factor: number;
  readonly #byKey = new Map<string, Entry>();
  /** Entries by how often they were sent. */
  readonly #bySent: Set<Entry>[] = [];

  constructor(factor: number) {
    this.#factor = factor;
  }

  get size(): number {
    return this.#byKey.size;
  }

  add(update: Update): void {
    const key = keyOf(update);
    const before = this.#byKey.get(key);
    if (before !== undefined) this.#bySent[before.sent]!.delete(before);
    const entry: Entry = { key, update, bytes: updateBytes(update), sent: 0 };
    this.#byKey.set(key, entry);
    this.#at(0).add(entry);
  }

  clear(): void {
    this.#byKey.clear();
    this.#bySent.length = 0;
  }

  /** Something about the member's life still waits to be told. */
  tells(id: MemberId): boolean {
    return this.#byKey.has(id);
  }

  /** Updates of at most so many bytes, counted as sent once more. `members` counts all living ones. */
  take(room: Bytes, members: number): { readonly updates: readonly Update[]; readonly bytes: Bytes } {
    const limit = retransmitLimit(this.#factor, members);
    const chosen = this.#choose(room);
    for (const entry of chosen) {
      this.#bySent[entry.sent]!.delete(entry);
      entry.sent++;
      if (entry.sent >= limit) this.#byKey.delete(entry.key);
      else this.#at(entry.sent).add(entry);
    }
    return {
      updates: chosen.map((entry) => entry.update),
      bytes: chosen.reduce((sum, entry) => sum + entry.bytes, 0),
    };
  }

  #choose(room: Bytes): Entry[] {
    const chosen: Entry[] = [];
    let left = room;
    let misfits = 0;
    for (const entries of this.#bySent) {
      for (const entry of entries) {
        if (left < smallestUpdate || misfits > misfitsMax) return chosen;
        if (entry.bytes > left) misfits++;
        else {
          chosen.push(entry);
          left -= entry.bytes;
        }
      }
    }
    return chosen;
  }

  #at(sent: number): Set<Entry> {
    while (this.#bySent.length <= sent) this.#bySent.push(new Set());
    return this.#bySent[sent]!;
  }
}

const keyOf = (update: Update): string => (update.kind === 'sight' ? `sight ${update.id}` : subjectOf(update));
