/**
 * Where requests of a pool with a primary wait: writes for leave, in the order in which they came; reads for a replica
 * that has caught up, or for a primary.
 *
 * The record is looked at every few milliseconds while anybody waits. When there is leave, the writes go out in order, as
 * many as the primary takes. After a refused connection one goes ahead to try, and the others follow once it was sent: a
 * node that starts again would get a thousand connections at once otherwise. After a write's connection broke the others
 * wait a moment: the port of a process that is being killed takes connections to its last, and 4 % of the writes that a
 * killed primary cost were sent into those.
 */
import type { Millis } from '../../base/ids.ts';
import type { Context } from './context.ts';

const lookMs: Millis = 5;
/** Begun in one turn of the loop. */
const maxPerTurn = 64;
/** More waiting reads than this are looked at each fifth time only. */
const manyReads = 64;
const firstPause: Millis = 50;
const longestPause: Millis = 500;
/** The sockets of a killed process were all closed within 11 ms of the first, on a machine with load 14. */
const brokenPause: Millis = 30;
/** Whoever has the node break one connection after the other stops writes for a thirtieth of the time. */
const breaksApart: Millis = 1000;

export interface ParkedWrite {
  /** Grows with each request of the thread. */
  readonly order: number;
  /** False: it goes on waiting, and so do those behind it. */
  leaves(): boolean;
}

export interface WaitingRead {
  /** False: it goes on waiting. */
  leaves(): boolean;
}

/** Those of one pool. */
export class WaitingRoom {
  readonly #writes: ParkedWrite[] = [];
  readonly #reads = new Set<WaitingRead>();
  readonly #wake: (room: WaitingRoom) => void;
  /** The slot that refused; -1: none did. */
  #refusedBy = -1;
  #pause: Millis = 0;
  #tryAt: Millis = 0;
  /** Whose connection broke under a write, and when. */
  #brokenBy = -1;
  #brokeAt: Millis = Number.NEGATIVE_INFINITY;
  #looks = 0;
  /** Goes ahead. */
  #trial: ParkedWrite | WaitingRead | null = null;

  constructor(wake: (room: WaitingRoom) => void) {
    this.#wake = wake;
  }

  get empty(): boolean {
    return this.#writes.length === 0 && this.#reads.size === 0;
  }

  addWrite(write: ParkedWrite): void {
    let at = this.#writes.length;
    while (at > 0 && this.#writes[at - 1]!.order > write.order) at--;
    this.#writes.splice(at, 0, write);
    this.#wake(this);
  }

  addRead(read: WaitingRead): void {
    this.#reads.add(read);
    this.#wake(this);
  }

  removeWrite(write: ParkedWrite): void {
    const at = this.#writes.indexOf(write);
    if (at !== -1) this.#writes.splice(at, 1);
    if (this.#trial === write) this.#trial = null;
  }

  removeRead(read: WaitingRead): void {
    this.#reads.delete(read);
    if (this.#trial === read) this.#trial = null;
  }

  /** Whether a write has to wait though there is leave: others came before it, or the node of this slot may be gone. */
  holdsBack(write: ParkedWrite, slot: number, now: Millis): boolean {
    if (this.#writes.length > 0 && this.#writes[0] !== write) return true;
    if (this.#brokenBy === slot && now < this.#brokeAt + brokenPause) return true;
    return this.refuses(write, slot, now);
  }

  /** Whether the node of this slot refused, and is not to be tried now by this one. */
  refuses(one: ParkedWrite | WaitingRead, slot: number, now: Millis): boolean {
    if (this.#refusedBy === -1) return false;
    if (this.#refusedBy !== slot) {
      this.#cleared();
      return false;
    }
    return (this.#trial !== null && this.#trial !== one) || now < this.#tryAt;
  }

  /** A connection to the node of this slot could not be opened. */
  refused(one: ParkedWrite | WaitingRead, slot: number, now: Millis): void {
    const first = this.#refusedBy !== slot;
    if (!first && this.#trial !== one) return;
    this.#refusedBy = slot;
    this.#pause = first ? firstPause : Math.min(this.#pause * 2, longestPause);
    this.#tryAt = now + this.#pause;
    this.#trial = null;
  }

  /** Too many wait for that: whoever is next finds out. */
  waitNoMore(): void {
    this.#brokenBy = -1;
  }

  /** A connection to the node of this slot broke under a write: if it died, its port refuses soon. */
  broke(slot: number, now: Millis): void {
    if (now < this.#brokeAt + breaksApart) return;
    this.#brokenBy = slot;
    this.#brokeAt = now;
  }

  /** On its way; ahead of the others, if the node refused before. */
  goes(one: ParkedWrite | WaitingRead): void {
    if (this.#refusedBy !== -1) this.#trial = one;
  }

  /** It was not sent, and that says nothing of the node: another may go ahead. It may be on its way elsewhere, for hours. */
  gaveBack(one: ParkedWrite | WaitingRead): void {
    if (this.#trial === one) this.#trial = null;
  }

  /** It was sent: the node takes connections. */
  sent(): void {
    if (this.#refusedBy !== -1) this.#cleared();
  }

  #cleared(): void {
    this.#refusedBy = -1;
    this.#trial = null;
  }

  /** Lets go whoever may. */
  look(): void {
    for (let left = maxPerTurn; left > 0 && this.#writes.length > 0; left--) if (!this.#writes[0]!.leaves()) break;
    // A look costs a microsecond or two each, whether they leave or not.
    if (this.#reads.size > manyReads && this.#looks++ % 5 !== 0) return;
    let left = maxPerTurn;
    for (const read of this.#reads) if (read.leaves() && --left === 0) break;
  }
}

export class Parking {
  readonly #context: Context;
  readonly #rooms = new Map<number, WaitingRoom>();
  readonly #waiting = new Set<WaitingRoom>();
  #order = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Of the pool in this slot. */
  of(pool: number): WaitingRoom {
    let room = this.#rooms.get(pool);
    if (room === undefined) {
      room = new WaitingRoom((one) => this.#watch(one));
      this.#rooms.set(pool, room);
    }
    return room;
  }

  nextOrder(): number {
    return this.#order++;
  }

  #watch(room: WaitingRoom): void {
    this.#waiting.add(room);
    this.#timer ??= setTimeout(() => this.#look(), lookMs);
  }

  #look(): void {
    this.#timer = null;
    for (const room of this.#waiting) {
      try {
        room.look();
      } catch (error) {
        this.#context.exception('the waiting room', error);
      }
      if (room.empty) this.#waiting.delete(room);
    }
    if (this.#waiting.size > 0) this.#timer ??= setTimeout(() => this.#look(), lookMs);
  }

  destroy(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
