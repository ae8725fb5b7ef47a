/**
 * Leave to write: the leader's side (2.3, 2.6, 2.7).
 *
 *   asked --> a round begun after this --confirmed--> all that was committed then is applied here
 *         --in the configuration, epoch open--> granted
 *
 * Before that it is not refused either: who asks may know more. What a quorum has may be applied there and not here yet,
 * where this leader's own disk is the slowest, or nothing of its own term is committed.
 *
 * The asker counts from when it sent; so whatever is granted here is over, on our clock, by when the request came + L +
 * drift. A new leader knows nothing of its predecessors' grants but that none was asked for later than agreement's
 * `lastPossibleGrant`. Who is removed may hold one for L + drift more.
 *
 * Where the quorum is all voters they ask nobody (2.8): each may have given itself leave until it accepted that the epoch
 * moves, so at the latest until that was committed.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import { writeLeaseMs } from '../coordinator.ts';
import { isMember } from '../raft/model.ts';
import type { Agreement } from './agreement.ts';
import type { Core } from './core.ts';
import type { Reply } from './desk.ts';

export class Grants {
  readonly #core: Core;
  readonly #agreement: Agreement;
  /** Per pool and member: when the newest request that was granted came. */
  readonly #granted = new Map<string, Map<MemberId, Millis>>();
  /** When somebody was left out last. */
  #leftAt = Number.NEGATIVE_INFINITY;

  constructor(core: Core, agreement: Agreement) {
    this.#core = core;
    this.#agreement = agreement;
  }

  ask(from: MemberId, wish: { readonly pool: string; readonly epoch: number }, reply: Reply): void {
    const cameAt = this.#core.now;
    const { term } = this.#agreement.status;
    this.#agreement.read(false, (index) => {
      const status = this.#agreement.status;
      const confirmed = this.#core.rules.grantConfirmed(index) && status.role === 'leader' && status.term === term;
      if (!confirmed || status.transferring !== null) return reply({ kind: 'refused', why: 'not-leader' });
      if (!this.#may(from, wish)) return this.#refuse(from, wish.pool, reply);
      const granted = this.#granted.get(wish.pool) ?? new Map<MemberId, Millis>();
      this.#granted.set(wish.pool, granted.set(from, Math.max(cameAt, granted.get(from) ?? cameAt)));
      reply({ kind: 'done' });
    });
  }

  #may(from: MemberId, { pool, epoch }: { readonly pool: string; readonly epoch: number }): boolean {
    const { config } = this.#agreement.status;
    return this.#core.rules.mayGrant({ inConfig: isMember(config, from), epoch, open: this.#open(pool) });
  }

  #refuse(from: MemberId, pool: string, reply: Reply): void {
    const { config } = this.#agreement.status;
    if (!isMember(config, from)) reply({ kind: 'refused', why: 'not-member' });
    else reply({ kind: 'not-open', open: this.#open(pool) });
  }

  #open(pool: string): number | null {
    return this.#agreement.openEpoch(pool);
  }

  someoneLeft(): void {
    this.#leftAt = this.#core.now;
  }

  /**
   * From when on no member writes under a lease of this pool that was given until now; null: we don't lead. `unconfirmed`:
   * all but these have shown that they write no more, so that what this leader gave to others does not count.
   */
  overAt(pool: string, unconfirmed?: readonly MemberId[]): Millis | null {
    const { lastPossibleGrant } = this.#agreement.status;
    if (lastPossibleGrant === null) return null;
    let newest = Math.max(lastPossibleGrant, this.#leftAt, this.#unasked(pool));
    for (const [member, at] of this.#granted.get(pool) ?? [])
      if (unconfirmed === undefined || unconfirmed.includes(member)) newest = Math.max(newest, at);
    return newest + this.#core.rules.withDrift(writeLeaseMs);
  }

  /** Until when a voter may have written without having asked. */
  #unasked(pool: string): Millis {
    const voters = this.#agreement.status.config.voters.length;
    return this.#core.rules.unaskedUntil({ voters, closedAt: this.#agreement.closedAt(pool), now: this.#core.now });
  }
}
