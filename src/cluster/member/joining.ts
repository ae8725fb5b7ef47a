/**
 * A member that is not in the agreed configuration, as far as it knows: asks the leader to be taken in, again and again,
 * or whoever may know where the leader is. So too one that belongs, but hears no leader: it may have been removed while
 * it was away.
 *
 *   "you were removed", of a member of the committed configuration that leaves it out              -> stops
 *                       of a majority of the other voters that it knows, its own log knows nothing -> stops
 *                       of anybody else                                                            nothing
 *
 * So nobody who does not belong can stop it; and one that can't be told by those whom it knows takes no part anyway.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { RaftStatus } from '../raft/contract.ts';
import { isMember } from '../raft/model.ts';
import type { Core } from './core.ts';
import { runOf } from './rules.ts';
import type { Word } from './words.ts';

/** Without a leader for so long, it asks whether it still belongs. */
const lonelyMs: Millis = 5000;

export interface JoiningParts {
  /** Null until there is a cluster. */
  readonly status: () => RaftStatus | null;
  readonly hasQuorum: () => boolean;
}

export class Joining {
  readonly #core: Core;
  readonly #parts: JoiningParts;
  #at: Millis = Number.POSITIVE_INFINITY;
  #lonelyAt: Millis = Number.POSITIVE_INFINITY;
  /** Where the leader was said to be. */
  #told = '';
  /** Voters that say that it was removed. */
  readonly #removedBy = new Set<MemberId>();
  /** Why it is not taken in. */
  reason = '';

  constructor(core: Core, parts: JoiningParts) {
    this.#core = core;
    this.#parts = parts;
  }

  leaderIsAt(address: string): void {
    this.#told = address;
  }

  /** The leader's address, as this member itself knows; empty if it does not. */
  addressOfLeader(): string {
    const leader = this.#parts.status()?.leader ?? null;
    return leader === null ? '' : (this.#core.book.addressOf(leader) ?? '');
  }

  /** The configuration may be another. */
  consider(): void {
    const { uid, phase, now } = this.#core;
    const status = this.#parts.status();
    if (status === null || phase === 'leaving' || phase === 'departed') return;
    this.#removedBy.clear();
    const isIn = isMember(status.config, uid);
    if (isIn && phase === 'joining') this.#core.phase = 'running';
    if (!isIn && phase === 'running') this.#core.phase = 'joining';
    this.#lonelyAt = isIn ? now + lonelyMs : Number.POSITIVE_INFINITY;
    if (isIn) this.#at = Number.POSITIVE_INFINITY;
    else if (this.#at === Number.POSITIVE_INFINITY) this.#at = now;
  }

  tick(): void {
    const { now, settings, phase } = this.#core;
    // Who leaves knows that it goes.
    if (phase === 'leaving' || phase === 'departed') this.#at = this.#lonelyAt = Number.POSITIVE_INFINITY;
    if (this.#parts.hasQuorum() && this.#lonelyAt < Number.POSITIVE_INFINITY) this.#lonelyAt = now + lonelyMs;
    if (now >= this.#lonelyAt) {
      this.#lonelyAt = now + lonelyMs / 2;
      this.#ask();
    }
    if (now < this.#at) return;
    this.#at = now + 2 * settings.formMs;
    this.#ask();
  }

  #ask(): void {
    const { options, book } = this.#core;
    const { name, address } = options;
    const seeds = options.cluster?.seeds ?? [];
    const voters = (this.#parts.status()?.config.voters ?? []).map((id) => book.addressOf(id) ?? '');
    const leader = this.addressOfLeader() || this.#told;
    const others = leader === '' ? book.views.map((view) => view.claim.address) : [leader];
    for (const one of new Set([...others, ...seeds, ...voters]))
      if (one !== address && one !== '') this.#core.sayAt(one, { kind: 'join', name, address });
  }

  wakeAt(): Millis {
    return Math.min(this.#at, this.#lonelyAt);
  }

  /** A member says that this one does not belong. It may be wrong, or nobody. */
  sentAway(by: MemberId, { why, both }: Extract<Word, { readonly kind: 'away' }>): void {
    const { uid, boot, run, book, options } = this.#core;
    const status = this.#parts.status();
    if (status === null || both !== runOf(boot, run)) return;
    const who = book.nameOf(by);
    if (why === 'removed') return this.#toldRemoved(by, status);
    if (isMember(status.config, uid)) return this.#core.refuse('sent away as a member');
    this.#because(
      `member ${who} says that another living member is called ${options.name}: give this one a name of its own, or stop the other`,
    );
  }

  #toldRemoved(by: MemberId, { config, configCommitted }: RaftStatus): void {
    const { uid, book, options } = this.#core;
    if (!isMember(config, by)) this.#core.refuse('sent away by a stranger');
    else this.#removedBy.add(by);
    const isOut = configCommitted && config.voters.length > 0 && !isMember(config, uid);
    const others = config.voters.filter((id) => id !== uid);
    const said = others.filter((id) => this.#removedBy.has(id)).length;
    if ((isOut && this.#removedBy.size > 0) || (said > 0 && said > others.length / 2)) {
      const text = `${options.name} (${uid}) was removed from the cluster: to join again, start it with an empty data folder`;
      this.#core.note(text);
      return this.#core.stop('removed', text);
    }
    this.#because(
      `member ${book.nameOf(by)} says that ${options.name} was removed; of the voters that it knows, ${said} of ${others.length} say so: if it was, start it with an empty data folder`,
    );
  }

  #because(reason: string): void {
    if (reason === this.reason) return;
    this.reason = reason;
    this.#core.note(reason);
  }
}
