/**
 * What waits to be sent on one connection, bounded.
 *
 *   small   one record each, first in first out, go before every piece of a large one
 *   large   several pieces, one message at a time
 *
 * When a lane is full, its oldest message that may be lost is dropped: agreement and gossip repeat themselves, and what
 * is older is worth less. A message of which a piece has gone is never dropped: the reader waits for its rest.
 */
import type { Bytes } from '../../base/ids.ts';
import { type Piece, pieceMax, type RecordForm } from './record.ts';

export interface Outgoing {
  readonly form: RecordForm;
  readonly kind: number;
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly droppable: boolean;
}

export interface OutboxLimits {
  readonly smallBytes: Bytes;
  readonly smallCount: number;
  /** One message may wait whatever its size. */
  readonly largeBytes: Bytes;
  readonly largeCount: number;
}

/**
 * Large: what a leader takes that is not committed yet. All that agreement has under way to one member fits in (4 MiB, 64
 * appends), and so do writes that are handed on: one that is dropped here is said again only after its time-out.
 */
export const outboxLimits: OutboxLimits = {
  smallBytes: 8 * 1024 * 1024,
  smallCount: 4096,
  largeBytes: 16 * 1024 * 1024,
  largeCount: 512,
};

export class Outbox {
  readonly #limits: OutboxLimits;
  #small: Outgoing[] = [];
  #smallBytes = 0;
  #large: Outgoing[] = [];
  #largeBytes = 0;
  /** Bytes of the first large message that have gone. */
  #offset = 0;
  /** After each piece of a large message small ones go first; after so many of them a piece of the large one. */
  #smallInRow = 0;

  constructor(limits: OutboxLimits = outboxLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#small.length + this.#large.length;
  }

  /** Bytes that wait in each lane; of the large message that has begun all count. */
  get smallBytes(): Bytes {
    return this.#smallBytes;
  }

  get largeBytes(): Bytes {
    return this.#largeBytes;
  }

  /** What was dropped for it; the message itself, if nothing older could be. */
  push(message: Outgoing): readonly Outgoing[] {
    return message.bytes.byteLength <= pieceMax ? this.#pushSmall(message) : this.#pushLarge(message);
  }

  #pushSmall(message: Outgoing): readonly Outgoing[] {
    this.#small.push(message);
    this.#smallBytes += message.bytes.byteLength;
    const dropped: Outgoing[] = [];
    while (this.#small.length > this.#limits.smallCount || this.#smallBytes > this.#limits.smallBytes) {
      const oldest = this.#small.findIndex((one) => one.droppable);
      const [out] = this.#small.splice(oldest === -1 ? this.#small.length - 1 : oldest, 1);
      this.#smallBytes -= out!.bytes.byteLength;
      dropped.push(out!);
    }
    return dropped;
  }

  #pushLarge(message: Outgoing): readonly Outgoing[] {
    this.#large.push(message);
    this.#largeBytes += message.bytes.byteLength;
    const dropped: Outgoing[] = [];
    while (this.#large.length > 1 && this.#isTooLarge()) {
      const oldest = this.#large.findIndex((one, at) => one.droppable && (at > 0 || this.#offset === 0));
      const [out] = this.#large.splice(oldest === -1 ? this.#large.length - 1 : oldest, 1);
      this.#largeBytes -= out!.bytes.byteLength;
      dropped.push(out!);
    }
    return dropped;
  }

  #isTooLarge(): boolean {
    return this.#large.length > this.#limits.largeCount || this.#largeBytes > this.#limits.largeBytes;
  }

  /** The next record and the message that it is of; null if nothing waits. */
  next(): { readonly piece: Piece; readonly of: Outgoing } | null {
    const takeSmall = this.#small.length > 0 && (this.#large.length === 0 || this.#smallInRow < 64);
    if (takeSmall) {
      const of = this.#small.shift()!;
      this.#smallBytes -= of.bytes.byteLength;
      this.#smallInRow += 1;
      return { piece: { ...of, last: true, total: of.bytes.byteLength }, of };
    }
    this.#smallInRow = 0;
    const of = this.#large[0];
    if (of === undefined) return null;
    const bytes = of.bytes.subarray(this.#offset, this.#offset + pieceMax);
    this.#offset += bytes.byteLength;
    const last = this.#offset === of.bytes.byteLength;
    if (last) {
      this.#large.shift();
      this.#largeBytes -= of.bytes.byteLength;
      this.#offset = 0;
    }
    return { piece: { form: of.form, kind: of.kind, number: of.number, last, total: of.bytes.byteLength, bytes }, of };
  }

  /** Empties it: the connection is gone. What waited, also what had gone in part. */
  clear(): readonly Outgoing[] {
    const all = [...this.#small, ...this.#large];
    this.#small = [];
    this.#large = [];
    this.#smallBytes = this.#largeBytes = 0;
    this.#offset = 0;
    return all;
  }
}
