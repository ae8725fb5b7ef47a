/**
 * Who is primary of each pool, and until when its writes may begin: what control says, and all data threads obey.
 *
 *   control:      primary.write(pool, record, now)      a lease came, was renewed, ended; another epoch opened
 *                 primary.writing(pool)                 0 after a record without leave: nobody writes, nobody can begin
 *                 primary.setReader(node, reader)       which nodes take reads, how far behind they are
 *                 primary.setPosition(node, position)   from health answers
 *                 primary.passed(pool, epoch)           highest position that clients of this process were told of
 *   data thread:  primary.read(pool, record) ...        see proxy/io/writes.ts
 *
 * The record has one writer and is guarded by a sequence counter: odd while it is being written, and a reader that sees
 * it change reads again. All cells are atomic, so that the order holds on every machine: a data thread adds to the
 * gauge `writing` and THEN reads the record, control stores the record and THEN reads the gauge; of the two at least
 * one sees the other (Dekker). Reading costs about 50 ns; pools without a primary never come here.
 *
 * Numbers are kept as two halves of 32 bits: epochs and positions whole up to 2^53, times as whole microseconds of
 * process.hrtime, rounded down, so that no lease is longer than what was given.
 */
import type { Millis } from '../base/ids.ts';
import { maxNodes, maxPools, maxThreads, nodeCell, poolCell } from './layout.ts';

/**
 * none: nothing is known yet. send: under a lease. park: writes wait. refuse: they are answered with 503. drain: they
 * wait, the epoch ends, and tunnels, which would never end by themselves, are cut at once. hold: writes wait, though
 * there is a lease, and the primary answers reads.
 */
export const primaryMode = { none: 0, send: 1, park: 2, refuse: 3, drain: 4, hold: 5 } as const;
export type PrimaryMode = keyof typeof primaryMode;
const modes: readonly PrimaryMode[] = ['none', 'send', 'park', 'refuse', 'drain', 'hold'];

/** The position of the new primary when an epoch was opened; null: its nodes report none. */
export interface Fork {
  readonly epoch: number;
  readonly position: number | null;
}

/** As many are kept, the newest. */
export const maxForks = 16;

/** What control says. */
export interface PrimaryWrite {
  readonly mode: PrimaryMode;
  /** 0: none. */
  readonly epoch: number;
  /** Of the primary of `epoch`; null: there is none, or this process does not have it. */
  readonly node: { readonly slot: number; readonly generation: number } | null;
  /** process.hrtime in ms; 0: no write may begin. */
  readonly writeUntil: Millis;
  /** Writes of `epoch` that still run then are cut. Without a lease: that of the last one, or now, to cut at once. */
  readonly cutAt: Millis;
  /** Oldest first. */
  readonly forks: readonly Fork[];
}

/** The record as a data thread reads it, into an object of its own. */
export class PrimaryRecord {
  mode: PrimaryMode = 'none';
  epoch = 0;
  /** -1: none. */
  slot = -1;
  generation = 0;
  writeUntil: Millis = 0;
  cutAt: Millis = 0;
  /** When this process last had leave to write; 0: never. While it has: until when. */
  heldUntil: Millis = 0;

  /** Whether a write of this record may begin. */
  isLive(now: Millis): boolean {
    return this.mode === 'send' && this.slot >= 0 && now < this.writeUntil;
  }

  /** Whether its node is known to be the primary at this moment, so that reads of it are not old. */
  isPrimary(now: Millis): boolean {
    return this.isLive(now) || (this.mode === 'hold' && this.slot >= 0 && now < this.writeUntil);
  }
}

export const readerKind = { none: 0, fit: 1, behind: 2 } as const;
/**
 * none: no reads, by its place in the cluster (standby, returning). fit: within the lag bound. behind: its place allows
 * reads, its lag does not; it takes them only as stale ones, where the pool has `stale`.
 */
export type ReaderKind = keyof typeof readerKind;

export interface Reader {
  readonly kind: ReaderKind;
  /** How far behind it is; null: not known. */
  readonly lag: Millis | null;
}

const cell = {
  sequence: 0,
  mode: 1,
  slot: 2,
  generation: 3,
  epoch: 4,
  writeUntil: 6,
  cutAt: 8,
  heldUntil: 10,
  forkCount: 12,
  forks: 16,
} as const;
const forkCells = 4;
/** Whole lines of 64 bytes. */
const poolCells = 80;
/** Epoch and position. */
const passedCells = 2;
/** A read that meets so many writes in a row gives up; nothing is live for it then. */
const maxTries = 1000;

export const primaryCells: number = maxPools * poolCells;
export const passedCellsPerThread: number = maxPools * passedCells;

export interface PrimaryBuffers {
  readonly records: SharedArrayBuffer;
  /** A row per thread. */
  readonly passed: SharedArrayBuffer;
  readonly positions: SharedArrayBuffer;
}

export const createPrimaryBuffers = (threads: number): PrimaryBuffers => ({
  records: new SharedArrayBuffer(primaryCells * Int32Array.BYTES_PER_ELEMENT),
  passed: new SharedArrayBuffer(Math.min(threads, maxThreads) * passedCellsPerThread * BigInt64Array.BYTES_PER_ELEMENT),
  positions: new SharedArrayBuffer(maxNodes * BigInt64Array.BYTES_PER_ELEMENT),
});

/** Where the shared lines of nodes and pools begin (scoreboard.ts). */
export interface Lines {
  readonly cells: Int32Array;
  node(slot: number): number;
  pool(slot: number): number;
}

export class PrimaryBoard {
  readonly #lines: Lines;
  readonly #records: Int32Array;
  readonly #passed: BigInt64Array;
  readonly #positions: BigInt64Array;
  /** Control's. */
  readonly #before = new PrimaryRecord();

  constructor(buffers: PrimaryBuffers, lines: Lines) {
    this.#lines = lines;
    this.#records = new Int32Array(buffers.records);
    this.#passed = new BigInt64Array(buffers.passed);
    this.#positions = new BigInt64Array(buffers.positions);
  }

  // ---- control ---------------------------------------------------------------------------------------------------

  /**
   * Puts a record in force, for all threads at once. `now`: process.hrtime in ms. Control alone may call it. When another
   * epoch opens, call beginEra() for each node of the pool first: positions of the epoch before mean nothing in this one.
   */
  write(pool: number, record: PrimaryWrite, now: Millis): void {
    const before = this.#before;
    this.read(pool, before);
    const { node } = record;
    const live = (record.mode === 'send' || record.mode === 'hold') && node !== null;
    const heldUntil = live ? record.writeUntil : Math.min(before.heldUntil, now);
    const cells = this.#records;
    const at = pool * poolCells;
    Atomics.add(cells, at + cell.sequence, 1);
    Atomics.store(cells, at + cell.mode, primaryMode[record.mode]);
    // One above the slot: a record that was never written has none.
    Atomics.store(cells, at + cell.slot, node === null ? 0 : node.slot + 1);
    Atomics.store(cells, at + cell.generation, node?.generation ?? 0);
    store(cells, at + cell.epoch, record.epoch);
    store(cells, at + cell.writeUntil, toMicros(live ? record.writeUntil : 0));
    store(cells, at + cell.cutAt, toMicros(record.cutAt));
    store(cells, at + cell.heldUntil, toMicros(heldUntil));
    this.#storeForks(at, record.forks.slice(-maxForks));
    Atomics.add(cells, at + cell.sequence, 1);
    // Readers leave the primary out, or take it in.
    if (before.slot !== (node?.slot ?? -1)) this.#changed(pool);
  }

  #storeForks(at: number, forks: readonly Fork[]): void {
    const cells = this.#records;
    Atomics.store(cells, at + cell.forkCount, forks.length);
    forks.forEach((fork, index) => {
      const from = at + cell.forks + index * forkCells;
      store(cells, from, fork.epoch);
      store(cells, from + 2, fork.position === null ? 0 : fork.position + 1);
    });
  }

  #changed(pool: number): void {
    Atomics.add(this.#lines.cells, this.#lines.pool(pool) + poolCell.changes, 1);
  }

  /** Writes that data threads hold, tunnels among them. Read after write(), 0 is a fence. */
  writing(pool: number): number {
    return Atomics.load(this.#lines.cells, this.#lines.pool(pool) + poolCell.writing);
  }

  /** Writes that wait. */
  parked(pool: number): number {
    return Atomics.load(this.#lines.cells, this.#lines.pool(pool) + poolCell.parked);
  }

  /** Whether a node takes reads. One that takes none forgets its position: it may come back with a lower one. */
  setReader(place: { readonly pool: number; readonly node: number }, reader: Reader): void {
    const { cells } = this.#lines;
    const line = this.#lines.node(place.node);
    const kind = readerKind[reader.kind];
    Atomics.store(cells, line + nodeCell.lag, reader.lag === null ? -1 : Math.min(Math.ceil(reader.lag), 0x7fff_ffff));
    if (Atomics.load(cells, line + nodeCell.reader) === kind) return;
    if (kind === readerKind.none) this.beginEra(place.node);
    Atomics.store(cells, line + nodeCell.reader, kind);
    this.#changed(place.pool);
  }

  /** What was known of the node's position is void, and answers to requests sent before say nothing any more. */
  beginEra(node: number): void {
    Atomics.store(this.#positions, node, ((BigInt(this.era(node)) + 1n) % eras) << eraShift);
  }

  /** As the node's health answer says, of the present epoch; null: it says none. */
  setPosition(node: number, position: number | null): void {
    const known = position === null ? 0n : BigInt(position) + 1n;
    Atomics.store(this.#positions, node, (BigInt(this.era(node)) << eraShift) | known);
  }

  /** Highest position of an epoch that clients of this process were told of; null: none. */
  passed(pool: number, epoch: number): number | null {
    let highest = -1;
    const wanted = BigInt(epoch);
    for (let at = pool * passedCells; at < this.#passed.length; at += passedCellsPerThread) {
      // Its writer clears the position before it changes the epoch: so it is of the epoch that stood before and after.
      if (Atomics.load(this.#passed, at) !== wanted) continue;
      const position = Number(Atomics.load(this.#passed, at + 1)) - 1;
      if (Atomics.load(this.#passed, at) === wanted) highest = Math.max(highest, position);
    }
    return highest === -1 ? null : highest;
  }

  /** The pool's row is given away. */
  clear(pool: number): void {
    this.write(pool, { mode: 'none', epoch: 0, node: null, writeUntil: 0, cutAt: 0, forks: [] }, 0);
    for (let at = pool * passedCells; at < this.#passed.length; at += passedCellsPerThread) {
      this.#passed.fill(0n, at, at + passedCells);
    }
  }

  // ---- data threads ----------------------------------------------------------------------------------------------

  /** Reads the record into an object of the caller. Where control stands still half way, there is no record. */
  read(pool: number, into: PrimaryRecord): void {
    const cells = this.#records;
    const at = pool * poolCells;
    for (let tries = 0; tries < maxTries; tries++) {
      const sequence = Atomics.load(cells, at + cell.sequence);
      if ((sequence & 1) !== 0) continue;
      into.mode = modes[Atomics.load(cells, at + cell.mode)]!;
      into.slot = Atomics.load(cells, at + cell.slot) - 1;
      into.generation = Atomics.load(cells, at + cell.generation);
      into.epoch = load(cells, at + cell.epoch);
      into.writeUntil = load(cells, at + cell.writeUntil) / 1000;
      into.cutAt = load(cells, at + cell.cutAt) / 1000;
      into.heldUntil = load(cells, at + cell.heldUntil) / 1000;
      if (Atomics.load(cells, at + cell.sequence) === sequence) return;
    }
    into.mode = 'none';
    into.epoch = 0;
    into.slot = -1;
    into.writeUntil = 0;
  }

  /** The primary's slot, for what needs no more; -1: none. */
  slotOf(pool: number): number {
    return Atomics.load(this.#records, pool * poolCells + cell.slot) - 1;
  }

  /** Oldest first. Empty where control stands still half way: nothing is known then. */
  forks(pool: number): Fork[] {
    const cells = this.#records;
    const at = pool * poolCells;
    for (let tries = 0; tries < maxTries; tries++) {
      const sequence = Atomics.load(cells, at + cell.sequence);
      if ((sequence & 1) !== 0) continue;
      const count = Atomics.load(cells, at + cell.forkCount);
      const forks = Array.from({ length: count }, (_, index) => {
        const from = at + cell.forks + index * forkCells;
        const position = load(cells, from + 2);
        return { epoch: load(cells, from), position: position === 0 ? null : position - 1 };
      });
      if (Atomics.load(cells, at + cell.sequence) === sequence) return forks;
    }
    return [];
  }

  /** Notes a position before the answer that bears it is passed on. Positions of older epochs are left out. */
  notePassed(thread: number, pool: number, told: { readonly epoch: number; readonly position: number }): void {
    const at = thread * passedCellsPerThread + pool * passedCells;
    const epoch = Number(Atomics.load(this.#passed, at));
    const position = BigInt(told.position) + 1n;
    if (told.epoch < epoch || (told.epoch === epoch && Atomics.load(this.#passed, at + 1) >= position)) return;
    if (told.epoch > epoch) {
      Atomics.store(this.#passed, at + 1, 0n);
      Atomics.store(this.#passed, at, BigInt(told.epoch));
    }
    Atomics.store(this.#passed, at + 1, position);
  }

  /** A node's position; -1: not known. */
  position(node: number): number {
    return Number(Atomics.load(this.#positions, node) & positionMask) - 1;
  }

  /** Tells apart the times between which what was known of a node's position became void. */
  era(node: number): number {
    return Number(Atomics.load(this.#positions, node) >> eraShift);
  }

  /** A node's answer says its position. `era`: as it was when the request was sent. */
  raisePosition(node: number, era: number, position: number): void {
    const raised = (BigInt(era) << eraShift) | (BigInt(position) + 1n);
    for (;;) {
      const known = Atomics.load(this.#positions, node);
      if (known >> eraShift !== BigInt(era) || known >= raised) return;
      if (Atomics.compareExchange(this.#positions, node, known, raised) === known) return;
    }
  }

  reader(node: number): number {
    return Atomics.load(this.#lines.cells, this.#lines.node(node) + nodeCell.reader);
  }

  /** How far a node is behind, ms; -1: not known. */
  lag(node: number): number {
    return Atomics.load(this.#lines.cells, this.#lines.node(node) + nodeCell.lag);
  }
}

/** A position's cell: an era of nine bits above 54 bits, one above the position. So no change of both can be torn. */
const eraShift = 54n;
const eras = 512n;
const positionMask = (1n << eraShift) - 1n;

const half = 2 ** 32;
/** A time without end is as good as one in 285 years. */
const toMicros = (ms: Millis): number => Math.min(Math.max(0, Math.floor(ms * 1000)), Number.MAX_SAFE_INTEGER);

function store(cells: Int32Array, at: number, value: number): void {
  Atomics.store(cells, at, Math.floor(value / half));
  Atomics.store(cells, at + 1, value | 0);
}

const load = (cells: Int32Array, at: number): number =>
  Atomics.load(cells, at) * half + (Atomics.load(cells, at + 1) >>> 0);
