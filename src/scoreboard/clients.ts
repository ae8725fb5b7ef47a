/**
 * What is known of client addresses, for the limits per address: open connections, and when the next connection and the
 * next request are due (base/gcra.ts). One table for all threads, of a fixed size, so that no flood of addresses makes it
 * grow.
 *
 *   address -> HalfSipHash under a key of this process -> a set of 8 entries, searched and changed under the set's lock
 *
 * Where a set is full, the entry that is due first gives way, but none with open connections. An entry that is due in the
 * past says no more than none at all; one due in the future is forgiven what it had taken (`forgotten`). If all eight have
 * open connections, nothing is kept of the newcomer, who is let in uncounted (`untracked`). So nobody is ever refused for
 * what others do: a full table makes the limits milder, not harsher.
 *
 * Open connections have a cell per entry and thread with one writer each; their sum counts, so that those of a thread that
 * died are taken back by setting its cells to 0. A lock says which thread holds it, and is freed with that thread.
 */
import { type Rate, takeAt } from '../base/gcra.ts';
import type { Millis } from '../base/ids.ts';

export const clientWays = 8;
const sets = 16_384;
export const maxClients = sets * clientWays;

/** Tries for a lock that are made at once, then those with a rest of 1 ms: its holder has lost its CPU, or has died. */
const spins = 200;
const rests = 50;

export interface ClientBuffers {
  /** The key of the hash, the number of entries in use. */
  readonly head: SharedArrayBuffer;
  /** Per set: 0, or the thread that holds it plus 1. */
  readonly locks: SharedArrayBuffer;
  /** Two words per entry; 0, 0: free. */
  readonly keys: SharedArrayBuffer;
  /** Per entry: when a connection and when a request is due, ms. */
  readonly due: SharedArrayBuffer;
  /** Per entry and thread: open connections. */
  readonly open: SharedArrayBuffer;
}

const headCell = { key0: 0, key1: 1, used: 2 } as const;
const headCells = 3;

export const createClientBuffers = (threads: number): ClientBuffers => ({
  head: new SharedArrayBuffer(headCells * 4),
  locks: new SharedArrayBuffer(sets * 4),
  keys: new SharedArrayBuffer(maxClients * 2 * 4),
  due: new SharedArrayBuffer(maxClients * 2 * 8),
  open: new SharedArrayBuffer(maxClients * threads * 4),
});

/** An address, in two words that are not both 0. */
export interface ClientKey {
  readonly high: number;
  readonly low: number;
}

/** null: no such limit. */
export interface ClientRules {
  /** Open connections. */
  readonly connections: number | null;
  readonly newConnections: Rate | null;
  readonly requests: Rate | null;
}

/** Who uses the table: one thread, with two counters of its own. */
export interface ClientUser {
  readonly thread: number;
  readonly counters: Float64Array;
  /** Cells in them. */
  readonly forgotten: number;
  readonly untracked: number;
}

/** Besides an entry, what became of a connection. */
export const connectionFate = { untracked: -1, tooMany: -2, tooFast: -3 } as const;

export class ClientTable {
  readonly #threads: number;
  readonly #user: ClientUser;
  readonly #head: Int32Array;
  readonly #locks: Int32Array;
  readonly #keys: Int32Array;
  readonly #due: Float64Array;
  readonly #open: Int32Array;
  /** Where a due time is, for takeAt: one object, changed before each call. */
  readonly #place: { due: Float64Array; at: number };

  constructor(buffers: ClientBuffers, threads: number, user: ClientUser) {
    this.#threads = threads;
    this.#user = user;
    this.#head = new Int32Array(buffers.head);
    this.#locks = new Int32Array(buffers.locks);
    this.#keys = new Int32Array(buffers.keys);
    this.#due = new Float64Array(buffers.due);
    this.#open = new Int32Array(buffers.open);
    this.#place = { due: this.#due, at: 0 };
  }

  /**
   * A connection comes. Returns its entry, to be given to release() when it closes, or a connectionFate; one that is
   * refused takes nothing.
   */
  connect(key: ClientKey, rules: ClientRules, now: Millis): number {
    const set = this.setOf(key);
    if (!this.#lock(set)) return this.#untracked();
    try {
      const entry = this.#entryOf(set, key, now);
      if (entry < 0) return this.#untracked();
      if (rules.connections !== null && this.#openOf(entry) >= rules.connections) return connectionFate.tooMany;
      if (rules.newConnections !== null && this.#take(entry * 2, rules.newConnections, now) > 0)
        return connectionFate.tooFast;
      if (rules.connections === null) return connectionFate.untracked;
      Atomics.add(this.#open, entry * this.#threads + this.#user.thread, 1);
      return entry;
    } finally {
      Atomics.store(this.#locks, set, 0);
    }
  }

  /** A connection that was counted in is gone. Its entry is the same as ever: none with open connections gives way. */
  release(entry: number): void {
    Atomics.sub(this.#open, entry * this.#threads + this.#user.thread, 1);
  }

  /** A request comes. 0: it may; else the time until it may. */
  request(key: ClientKey, rate: Rate, now: Millis): Millis {
    const set = this.setOf(key);
    if (!this.#lock(set)) {
      this.#untracked();
      return 0;
    }
    try {
      const entry = this.#entryOf(set, key, now);
      if (entry >= 0) return this.#take(entry * 2 + 1, rate, now);
      this.#untracked();
      return 0;
    } finally {
      Atomics.store(this.#locks, set, 0);
    }
  }

  /** Open connections of an address that were counted in. */
  openOf(key: ClientKey): number {
    const entry = this.#find(this.setOf(key), key);
    return entry < 0 ? 0 : this.#openOf(entry);
  }

  setOf({ high, low }: ClientKey): number {
    return halfSipHash(this.#head[headCell.key0]!, this.#head[headCell.key1]!, high, low) & (sets - 1);
  }

  #take(at: number, rate: Rate, now: Millis): Millis {
    this.#place.at = at;
    return takeAt(rate, now, this.#place);
  }

  #untracked(): number {
    this.#user.counters[this.#user.untracked]!++;
    return connectionFate.untracked;
  }

  /** False after 50 ms: its holder has died, and control has not seen it yet. */
  #lock(set: number): boolean {
    const mine = this.#user.thread + 1;
    for (let i = 0; i < spins + rests; i++) {
      const holder = Atomics.compareExchange(this.#locks, set, 0, mine);
      if (holder === 0) return true;
      if (i >= spins) Atomics.wait(this.#locks, set, holder, 1);
    }
    return false;
  }

  #find(set: number, { high, low }: ClientKey): number {
    const end = (set + 1) * clientWays;
    for (let entry = set * clientWays; entry < end; entry++)
      if (this.#keys[entry * 2] === high && this.#keys[entry * 2 + 1] === low) return entry;
    return -1;
  }

  /** The address's entry, a new one if it has none; -1 if no other gives way. */
  #entryOf(set: number, key: ClientKey, now: Millis): number {
    const known = this.#find(set, key);
    if (known >= 0) return known;
    let entry = -1;
    let first = Number.POSITIVE_INFINITY;
    const end = (set + 1) * clientWays;
    for (let each = set * clientWays; each < end; each++) {
      const free = this.#keys[each * 2] === 0 && this.#keys[each * 2 + 1] === 0;
      const due = free ? -1 : Math.max(this.#due[each * 2]!, this.#due[each * 2 + 1]!);
      if (due >= first || this.#openOf(each) > 0) continue;
      first = due;
      entry = each;
    }
    if (entry < 0) return -1;
    if (first < 0) Atomics.add(this.#head, headCell.used, 1);
    else if (first > now) this.#user.counters[this.#user.forgotten]!++;
    this.#due[entry * 2] = 0;
    this.#due[entry * 2 + 1] = 0;
    this.#keys[entry * 2] = key.high;
    this.#keys[entry * 2 + 1] = key.low;
    return entry;
  }

  #openOf(entry: number): number {
    let sum = 0;
    const from = entry * this.#threads;
    for (let cell = from; cell < from + this.#threads; cell++) sum += this.#open[cell]!;
    return sum;
  }
}

/** The key of the hash: random, and unknown outside, or one could choose addresses that all fall into one set. */
export function keyClients({ head }: ClientBuffers, key: readonly [number, number]): void {
  const cells = new Int32Array(head);
  cells[headCell.key0] = key[0];
  cells[headCell.key1] = key[1];
}

/** Entries in use; one that was used stays so until another address takes it. */
export const clientsUsed = ({ head }: ClientBuffers): number => new Int32Array(head)[headCell.used]!;

/** Takes back the connections and the locks of a thread that has ended. */
export function repairClients(buffers: ClientBuffers, threads: number, thread: number): void {
  const locks = new Int32Array(buffers.locks);
  for (let set = 0; set < sets; set++) Atomics.compareExchange(locks, set, thread + 1, 0);
  // Pages that were never touched stay so.
  if (clientsUsed(buffers) === 0) return;
  const open = new Int32Array(buffers.open);
  for (let cell = thread; cell < open.length; cell += threads) if (open[cell] !== 0) open[cell] = 0;
}

const rotate = (word: number, by: number): number => (word << by) | (word >>> (32 - by));

/**
 * HalfSipHash-1-3 (Aumasson and Bernstein; the one of the Linux kernel's hash tables) of two words, with 32 bits of result:
 * who does not know the key can't tell which addresses fall together.
 */
export function halfSipHash(key0: number, key1: number, high: number, low: number): number {
  let v0 = key0;
  let v1 = key1;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  for (let i = 0; i < 6; i++) {
    const word = i === 0 ? high : i === 1 ? low : i === 2 ? 8 << 24 : 0;
    v3 ^= word;
    if (i === 3) v2 ^= 0xff;
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 13) ^ v2;
    v2 = rotate(v2, 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}
