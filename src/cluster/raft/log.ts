/**
 * The log in memory: base (index and term of the entry before the first that is kept), then the entries.
 *
 *     base | first ................ unsaved ...... last
 *          |  kept, handed to disk |  not handed yet |
 *
 * It also remembers what the disk has not been told: entries, a truncation, a compaction. Knows nothing of commits;
 * whoever truncates must have looked.
 */
import { assert } from '../../base/assert.ts';
import type { Bytes } from '../../base/ids.ts';
import { type Entry, entrySize, type Index, type Term } from './model.ts';

export interface LogBase {
  readonly index: Index;
  readonly term: Term;
}

export interface LogChanges {
  readonly truncateFrom: Index | null;
  readonly compactTo: Index | null;
  readonly entries: readonly Entry[];
}

export class RaftLog {
  #base: LogBase;
  #entries: Entry[];
  #unsaved: Index;
  #truncateFrom: Index | null = null;
  #compactTo: Index | null = null;

  /** Entries as read from disk: contiguous, and behind `base`. */
  constructor(base: LogBase, entries: readonly Entry[]) {
    this.#base = base;
    this.#entries = [...entries];
    entries.forEach((entry, i) => {
      assert(entry.index === base.index + 1 + i, `log: entry ${entry.index} where ${base.index + 1 + i} belongs`);
    });
    this.#unsaved = this.lastIndex + 1;
  }

  get lastIndex(): Index {
    return this.#base.index + this.#entries.length;
  }

  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? this.#base.term;
  }

  /** The first entry that is kept; lastIndex + 1 if there is none. */
  get firstIndex(): Index {
    return this.#base.index + 1;
  }

  /** Whether there is something that take() would hand to the disk. */
  get changed(): boolean {
    return this.#unsaved <= this.lastIndex || this.#truncateFrom !== null || this.#compactTo !== null;
  }

  /** null: compacted, or beyond the end. */
  term(index: Index): Term | null {
    if (index === this.#base.index) return this.#base.term;
    return this.#entries[index - this.#base.index - 1]?.term ?? null;
  }

  has(index: Index, term: Term): boolean {
    return this.term(index) === term;
  }

  entry(index: Index): Entry | undefined {
    return this.#entries[index - this.#base.index - 1];
  }

  /** Entries from `from` on, up to so many bytes but at least one; none if `from` is beyond the end. */
  slice(from: Index, maxBytes: Bytes): readonly Entry[] {
    assert(from > this.#base.index, `log: entry ${from} is compacted, the first is ${this.firstIndex}`);
    const start = from - this.#base.index - 1;
    let end = start;
    let bytes = 0;
    while (end < this.#entries.length) {
      bytes += entrySize(this.#entries[end]!);
      if (bytes > maxBytes && end > start) break;
      end += 1;
    }
    return this.#entries.slice(start, end);
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, `log: append of ${entry.index} behind ${this.lastIndex}`);
      this.#entries.push(entry);
    }
  }

  /** Deletes entries with index >= from. */
  truncateFrom(from: Index): void {
    assert(from > this.#base.index, `log: truncation from ${from} below the first entry ${this.firstIndex}`);
    this.#entries.length = Math.min(this.#entries.length, from - this.#base.index - 1);
    if (from < this.#unsaved) {
      this.#truncateFrom = Math.min(this.#truncateFrom ?? from, from);
      this.#unsaved = from;
    }
  }

  /** Forgets entries with index <= to. */
  compactTo(to: Index): void {
    const term = this.term(to);
    if (to <= this.#base.index || term === null) return;
    this.#entries.splice(0, to - this.#base.index);
    this.#base = { index: to, term };
    this.#compactTo = to;
    this.#unsaved = Math.max(this.#unsaved, to + 1);
  }

  /** A snapshot takes the place of the whole log. */
  reset(base: LogBase): void {
    this.#truncateFrom = 1;
    this.#compactTo = null;
    this.#base = base;
    this.#entries = [];
    this.#unsaved = base.index + 1;
  }

  /**
   * The highest index <= `index` whose term is <= `term`: up to there two logs may be equal, behind it they can't.
   * What is compacted counts as equal, since it is committed.
   */
  lastNotAbove(index: Index, term: Term): Index {
    let at = Math.min(index, this.lastIndex);
    while (at > this.#base.index && this.term(at)! > term) at -= 1;
    return at;
  }

  /** What the disk has not been told yet. The caller must tell it. */
  takeChanges(): LogChanges {
    const entries = this.#entries.slice(this.#unsaved - this.#base.index - 1);
    const changes = { truncateFrom: this.#truncateFrom, compactTo: this.#compactTo, entries };
    this.#truncateFrom = this.#compactTo = null;
    this.#unsaved = this.lastIndex + 1;
    return changes;
  }
}
