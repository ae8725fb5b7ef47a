/**
 * How much longer than usual a peer's word was on its way, told by the clock that it carries: the least difference between
 * our clock and its of the last seconds is taken for a word that was not held up.
 *
 *   ours - theirs, by word:   90  91  90  4090  91        the fourth was held up for 4000
 *
 * Clocks that differ in rate by 200 ppm move it by 2 ms in the time that is remembered. A peer whose clock has been set
 * back, as by a restart, is known anew; one that was suspended has its words taken for late until that time is over, which
 * is the safe side: what is old counts for nothing.
 */
import type { MemberId, Millis } from '../../base/ids.ts';

/** The least of the span before counts, too: so from one to two of them are remembered. */
const spanMs: Millis = 5000;

interface Peer {
  /** The least in this span and in the one before. */
  least: Millis;
  before: Millis;
  since: Millis;
  clock: Millis;
}

export class Transit {
  readonly #peers = new Map<MemberId, Peer>();

  /** How much longer than usual the word took, at least; 0 for the first one of a peer. */
  excess(from: MemberId, clock: Millis, now: Millis): Millis {
    const difference = now - clock;
    const peer = this.#peers.get(from);
    if (peer === undefined || clock < peer.clock - 2 * spanMs) {
      this.#peers.set(from, { least: difference, before: Infinity, since: now, clock });
      return 0;
    }
    if (now - peer.since >= spanMs) {
      // However long ago: the first word after a silence may be an old one.
      peer.before = peer.least;
      peer.least = Infinity;
      peer.since = now;
    }
    peer.least = Math.min(peer.least, difference);
    peer.clock = Math.max(peer.clock, clock);
    return difference - Math.min(peer.least, peer.before);
  }

  /** Of those who are members still. */
  keepOnly(members: readonly MemberId[]): void {
    for (const from of this.#peers.keys()) if (!members.includes(from)) this.#peers.delete(from);
  }
}
