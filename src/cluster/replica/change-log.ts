/**
 * The last changes of all keys, bounded in number and bytes: watches go on from it after a break, and reads of the past
 * are answered from it. What fell out is said to be compacted; the reader then lists anew. It is no part of the state
 * that is agreed on: a member that was restored from a snapshot begins with an empty one.
 */
import type { Bytes } from '../../base/ids.ts';
import type { Change, KvEntry, Revision } from './model.ts';

export type Since =
  | { readonly kind: 'changes'; readonly changes: readonly Change[]; readonly upTo: Revision }
  /** Changes up to and with `floor` are gone: list, then watch from the list's revision. */
  | { readonly kind: 'compacted'; readonly floor: Revision };

export type Past =
  | { readonly kind: 'entry'; readonly entry: KvEntry | null }
  | { readonly kind: 'compacted'; readonly floor: Revision };

const overhead = 128;
const sizeOf = ({ key, entry }: Change): Bytes => overhead + 2 * key.length + (entry?.value.byteLength ?? 0);

export class ChangeLog {
  readonly #max: number;
  readonly #maxBytes: Bytes;
  #changes: Change[] = [];
  /** Place of the oldest change that counts. */
  #first = 0;
  #bytes: Bytes = 0;
  #floor: Revision;

  constructor(options: { readonly changes: number; readonly changeBytes: Bytes; readonly floor: Revision }) {
    this.#max = options.changes;
    this.#maxBytes = options.changeBytes;
    this.#floor = options.floor;
  }

  /** Everything after this revision is here. */
  get floor(): Revision {
    return this.#floor;
  }

  /** An empty log cannot know of changes before `floor`. */
  begin(floor: Revision): void {
    if (this.#first === this.#changes.length) this.#floor = floor;
  }

  add(change: Change): void {
    this.#changes.push(change);
    this.#bytes += sizeOf(change);
    while (this.#changes.length - this.#first > this.#max || this.#bytes > this.#maxBytes) {
      const oldest = this.#changes[this.#first]!;
      this.#first += 1;
      this.#bytes -= sizeOf(oldest);
      this.#floor = oldest.revision;
    }
    if (this.#first > 1024 && this.#first * 2 > this.#changes.length) {
      this.#changes = this.#changes.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Changes after `revision` of keys with `prefix`, oldest first. `current` is the newest revision. */
  since(revision: Revision, prefix: string, current: Revision): Since {
    if (revision < this.#floor) return { kind: 'compacted', floor: this.#floor };
    const changes: Change[] = [];
    for (let at = this.#after(revision); at < this.#changes.length; at++) {
      const change = this.#changes[at]!;
      if (change.key.startsWith(prefix)) changes.push(change);
    }
    return { kind: 'changes', changes, upTo: Math.max(revision, current) };
  }

  /** The key as it was when `revision` was the newest, if `now` is what it is. */
  at(key: string, revision: Revision, now: KvEntry | null): Past {
    if (revision < this.#floor) return { kind: 'compacted', floor: this.#floor };
    for (let at = this.#after(revision); at < this.#changes.length; at++) {
      const change = this.#changes[at]!;
      if (change.key === key) return { kind: 'entry', entry: change.previous };
    }
    return { kind: 'entry', entry: now };
  }

  /** Place of the first change after `revision`. */
  #after(revision: Revision): number {
    let low = this.#first;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#changes[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
