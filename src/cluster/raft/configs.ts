/**
 * The configurations that are in the log, oldest first. The newest counts, committed or not; if its entry is cut off,
 * the one before it counts again. The first is that of the snapshot.
 */
import { assert } from '../../base/assert.ts';
import type { Config, Entry, Index } from './model.ts';

interface Placed {
  readonly index: Index;
  readonly config: Config;
}

export class Configs {
  #placed: Placed[];

  constructor(first: Placed, entries: readonly Entry[]) {
    this.#placed = [first];
    for (const entry of entries) this.saw(entry);
  }

  get current(): Config {
    return this.#placed.at(-1)!.config;
  }

  /** Where the current one stands in the log. */
  get index(): Index {
    return this.#placed.at(-1)!.index;
  }

  /** The configuration that counts as of `index`. */
  at(index: Index): Config {
    return this.#placed.findLast((one) => one.index <= index)?.config ?? this.#placed[0]!.config;
  }

  saw(entry: Entry): void {
    if (entry.kind !== 'config' || entry.index <= this.index) return;
    this.#placed.push({ index: entry.index, config: entry.config });
  }

  truncateFrom(from: Index): void {
    assert(this.#placed[0]!.index < from || this.#placed.length === 1, 'configs: the oldest is never cut off');
    while (this.#placed.length > 1 && this.index >= from) this.#placed.pop();
  }

  /** Those before the one that counts at `to` are not needed any more. */
  compactTo(to: Index): void {
    const keep = this.#placed.findLastIndex((one) => one.index <= to);
    if (keep > 0) this.#placed.splice(0, keep);
  }

  reset(first: Placed): void {
    this.#placed = [first];
  }
}
