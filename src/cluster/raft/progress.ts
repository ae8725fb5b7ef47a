/**
 * What the leader knows of one other member, and how fast it may send to it.
 *
 *   probe      where do our logs meet? One append at a time, again with each heartbeat until it is answered
 *   replicate  they meet at `match`; appends follow each other without waiting, up to a window of messages and bytes
 *   snapshot   what it needs is compacted; pieces of a snapshot, one at a time
 *
 * probe -> replicate with the first accepted append; replicate -> probe with a refused one, or when nothing comes back
 * for three heartbeats; either -> snapshot when the entry before `next` is gone.
 */
import type { Bytes, Millis } from '../../base/ids.ts';
import type { About } from './messages.ts';
import type { Index, Snapshot } from './model.ts';

export interface Window {
  readonly maxInflight: number;
  readonly maxInflightBytes: Bytes;
}

interface Flight {
  readonly last: Index;
  readonly bytes: Bytes;
  readonly sentAt: Millis;
}

/** A request for a read lease: the follower's clock then, and ours when it came. */
export interface Ask {
  readonly askedAt: Millis;
  readonly boot: number;
  readonly receivedAt: Millis;
}

export type Sending =
  | { readonly at: 'probe'; asked: boolean }
  | { readonly at: 'replicate'; readonly flights: Flight[]; bytes: Bytes }
  | { readonly at: 'snapshot'; readonly snapshot: Snapshot; offset: number; sentAt: Millis };

export class Progress {
  match: Index = 0;
  next: Index;
  sending: Sending = { at: 'probe', asked: false };
  /** The highest commit index that an append carried. */
  commitSent: Index = 0;
  applied: Index = 0;
  heardAt: Millis;
  ackedRound = 0;
  about: About | null = null;
  /** Since when it could lead without a break; null if it could not now. */
  fitSince: Millis | null = null;
  /** Newest last; few. */
  asks: Ask[] = [];
  /** The newest request that is older than a confirmed round: it may be granted. */
  ready: Ask | null = null;
  mayReadUntil: Millis;

  constructor(next: Index, now: Millis, mayReadUntil: Millis) {
    this.next = next;
    this.heardAt = now;
    this.mayReadUntil = mayReadUntil;
  }

  becomeProbe(): void {
    const sentTo = this.sending.at === 'snapshot' ? this.sending.snapshot.index : 0;
    this.next = Math.max(this.match, sentTo) + 1;
    this.sending = { at: 'probe', asked: false };
  }

  becomeReplicate(): void {
    this.next = this.match + 1;
    this.sending = { at: 'replicate', flights: [], bytes: 0 };
  }

  becomeSnapshot(snapshot: Snapshot, now: Millis): void {
    this.sending = { at: 'snapshot', snapshot, offset: 0, sentAt: now };
  }

  mayAppend(window: Window): boolean {
    const { sending } = this;
    if (sending.at === 'probe') return !sending.asked;
    if (sending.at === 'snapshot') return false;
    return sending.flights.length < window.maxInflight && sending.bytes < window.maxInflightBytes;
  }

  /** An append with entries up to `last` left. */
  sent(last: Index, bytes: Bytes, now: Millis): void {
    if (this.sending.at === 'probe') this.sending.asked = true;
    if (this.sending.at !== 'replicate' || last < this.next) return;
    this.next = last + 1;
    this.sending.flights.push({ last, bytes, sentAt: now });
    this.sending.bytes += bytes;
  }

  /** It has our log up to `match`, durably. */
  accepted(match: Index): void {
    this.match = Math.max(this.match, match);
    this.next = Math.max(this.next, this.match + 1);
    if (this.sending.at === 'replicate') return this.#landed(this.sending.flights);
    // A snapshot that is still under way is given up as soon as its end is reached in another way.
    if (this.sending.at === 'probe' || this.match >= this.sending.snapshot.index) this.becomeReplicate();
  }

  /** An append behind `rejected` was refused. False if the refusal is an old one. `retry`: where they may meet. */
  refused(rejected: Index, retry: Index): boolean {
    if (this.sending.at === 'snapshot' || rejected <= this.match) return false;
    if (this.sending.at === 'replicate') {
      this.becomeProbe();
      return true;
    }
    if (rejected !== this.next - 1) return false;
    this.next = Math.max(this.match + 1, Math.min(retry + 1, rejected));
    this.sending.asked = false;
    return true;
  }

  /** Nothing came back since `since`: what was sent may be lost. */
  overdue(since: Millis): boolean {
    return this.sending.at === 'replicate' && (this.sending.flights[0]?.sentAt ?? Number.POSITIVE_INFINITY) < since;
  }

  #landed(flights: Flight[]): void {
    while (flights.length > 0 && flights[0]!.last <= this.match) {
      const flight = flights.shift()!;
      if (this.sending.at === 'replicate') this.sending.bytes -= flight.bytes;
    }
  }
}
