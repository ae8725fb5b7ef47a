/**
 * Keys in order, so that all with a prefix are found without looking at the others. Chunks of at most 512, each sorted:
 * an insertion moves at most one chunk. Order is that of UTF-16 code units, the same on every member.
 */
const chunkMax = 512;

export class SortedKeys {
  #chunks: string[][] = [];

  add(key: string): void {
    const place = Math.max(0, this.#chunkOf(key));
    const chunk = this.#chunks[place];
    if (chunk === undefined) {
      this.#chunks.push([key]);
      return;
    }
    const at = lowerBound(chunk, key);
    if (chunk[at] === key) return;
    chunk.splice(at, 0, key);
    if (chunk.length > chunkMax) this.#chunks.splice(place + 1, 0, chunk.splice(chunkMax / 2));
  }

  delete(key: string): void {
    const place = this.#chunkOf(key);
    const chunk = this.#chunks[place];
    if (chunk === undefined) return;
    const at = lowerBound(chunk, key);
    if (chunk[at] !== key) return;
    chunk.splice(at, 1);
    if (chunk.length === 0) this.#chunks.splice(place, 1);
  }

  /** Those that begin with `prefix` and come after `after` (null: from the first), at most `max`. */
  list(options: { readonly prefix: string; readonly after: string | null; readonly max: number }): string[] {
    const { prefix, after, max } = options;
    const from = after !== null && after > prefix ? after : prefix;
    const found: string[] = [];
    for (let place = Math.max(0, this.#chunkOf(from)); place < this.#chunks.length; place++) {
      const chunk = this.#chunks[place]!;
      for (let at = lowerBound(chunk, from); at < chunk.length; at++) {
        const key = chunk[at]!;
        if (found.length === max || !key.startsWith(prefix)) return found;
        if (key !== after) found.push(key);
      }
    }
    return found;
  }

  /** The last chunk whose first key is not after `key`; -1 if there is none. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#chunks[middle]![0]! <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
