/**
 * Who owns which row. The control thread gives a slot to a name (a node of a pool, a pool, a route, a listener) and
 * takes it back only when nothing can still count in it: the owner is gone from the config, its gauges are 0, and
 * every data thread has said that no exchange holds a snapshot from before its removal. (A WebSocket holds its
 * snapshot for days; without this rule its counts would land on another node.)
 */
export class SlotTable {
  readonly #capacity: number;
  readonly #what: string;
  readonly #byName = new Map<string, number>();
  readonly #free: number[] = [];
  readonly #leaving: { readonly slot: number; readonly removedAt: number }[] = [];
  #next = 0;

  constructor(what: string, capacity: number) {
    this.#what = what;
    this.#capacity = capacity;
  }

  /** The slot of a name, newly given if it has none. Throws if all are taken. */
  take(name: string): { readonly slot: number; readonly fresh: boolean } {
    const known = this.#byName.get(name);
    if (known !== undefined) return { slot: known, fresh: false };
    const slot = this.#free.pop() ?? (this.#next < this.#capacity ? this.#next++ : undefined);
    if (slot === undefined)
      throw new Error(
        `more than ${this.#capacity} ${this.#what} at once (those still in use by old connections count)`,
      );
    this.#byName.set(name, slot);
    return { slot, fresh: true };
  }

  slotOf(name: string): number | undefined {
    return this.#byName.get(name);
  }

  names(): IterableIterator<string> {
    return this.#byName.keys();
  }

  /** The name is gone from the snapshot of this version on; its slot is kept until sweep() finds it unused. */
  remove(name: string, version: number): void {
    const slot = this.#byName.get(name);
    if (slot === undefined) return;
    this.#byName.delete(name);
    this.#leaving.push({ slot, removedAt: version });
  }

  /**
   * Frees what nothing can count in any more. `oldestHeld` is the smallest snapshot version that any data thread still
   * holds; `idle` tells whether a slot's gauges are 0. Returns the freed slots, for their rows to be cleared.
   */
  sweep(oldestHeld: number, idle: (slot: number) => boolean): number[] {
    const freed: number[] = [];
    for (let i = this.#leaving.length - 1; i >= 0; i--) {
      const { slot, removedAt } = this.#leaving[i]!;
      if (removedAt > oldestHeld || !idle(slot)) continue;
      this.#leaving.splice(i, 1);
      this.#free.push(slot);
      freed.push(slot);
    }
    return freed;
  }
}
