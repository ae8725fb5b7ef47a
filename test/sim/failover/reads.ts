/**
 * Reads of clients that have written (AGREEMENT rules 6.2, 6.3), on one data thread: which node may answer says the data
 * path's own rule, `needOf`; whom that is, is looked for here as it does, in short.
 */
import type { Millis } from '../../../src/base/ids.ts';
import { needOf, type Token } from '../../../src/proxy/read-after-write.ts';
import type { DataHabits } from './plants.ts';
import type { Shared } from './traffic.ts';

export interface Read {
  readonly token: Token;
  /** The write that it has to see. */
  readonly wrote: number;
  readonly done: () => void;
}

export interface ReadsWorld {
  readonly habits: DataHabits;
  now(): Millis;
  wall(): Millis;
  /** After so long on this member's clock. */
  after(ms: Millis, what: () => void): void;
  /** What its own checks say of a node. */
  isUp(node: string): boolean;
  reads(read: Read, to: { readonly epoch: number; readonly node: string; readonly lost: boolean }): void;
  covered(what: string): void;
}

/** A replica is waited for this long, then the primary answers; a member that knows too little waits, and then refuses. */
const waitMs: Millis = 300;
const refuseMs: Millis = 1500;
const lookMs: Millis = 20;
/** Without positions the primary answers for so long. */
const boundMs: Millis = 2000;

export class Reads {
  readonly #shared: Shared;
  readonly #world: ReadsWorld;
  readonly #when: (what: () => void) => void;
  #alive = true;

  constructor(shared: Shared, world: ReadsWorld, when: (what: () => void) => void) {
    this.#shared = shared;
    this.#world = world;
    this.#when = when;
  }

  die(): void {
    this.#alive = false;
  }

  accept(read: Read): void {
    this.#look(read, this.#world.now());
  }

  #look(read: Read, since: Millis): void {
    if (!this.#alive) return;
    const now = this.#world.now();
    const to = this.#choose(read.token, now < since + waitMs);
    if (to !== null) {
      const { epoch } = this.#shared.record;
      this.#world.covered(`read: by ${to.node === this.#shared.record.node ? 'the primary' : 'a replica'}`);
      this.#world.reads(read, { epoch, ...to });
      return read.done();
    }
    if (now < since + refuseMs) return this.#world.after(lookMs, () => this.#when(() => this.#look(read, since)));
    this.#world.covered('read: refused');
    read.done();
  }

  /** Null: it waits. */
  #choose(token: Token, inTime: boolean): { readonly node: string; readonly lost: boolean } | null {
    const { record, positions } = this.#shared;
    const live = this.#shared.live(this.#world.now());
    const { epoch, forks } = record;
    const asked = this.#world.habits.heedsTokenEpoch ? token : { ...token, epoch };
    const need = needOf(asked, { epoch, live, forks, bound: boundMs, wall: this.#world.wall() });
    const primary = record.node === null ? null : { node: record.node, lost: false };
    const replica = (fits: (node: string) => boolean): { readonly node: string; readonly lost: boolean } | null => {
      const node = record.readers.find((one) => one !== record.node && this.#world.isUp(one) && fits(one));
      return node === undefined ? null : { node, lost: false };
    };
    switch (need.kind) {
      case 'wait':
        return null;
      case 'any':
        return live ? (replica(() => true) ?? primary) : null;
      case 'primary':
        return live && primary !== null ? { ...primary, lost: need.lost } : null;
      case 'reached': {
        const found = replica((node) => (positions.get(node) ?? -1) >= need.position);
        return found ?? (inTime && positions.size > 1 ? null : primary);
      }
    }
  }
}
