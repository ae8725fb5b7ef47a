/**
 * A member that is not in the agreed configuration, as far as it knows: asks the leader to be taken in, again and again,
 * or whoever may know where the leader is. So too one that was removed, until it hears that.
 */
import type { Millis } from '../../base/ids.ts';
import type { RaftStatus } from '../raft/contract.ts';
import { isMember } from '../raft/model.ts';
import type { Core } from './core.ts';

export class Joining {
  readonly #core: Core;
  /** Null until there is a cluster. */
  readonly #status: () => RaftStatus | null;
  #at: Millis = Number.POSITIVE_INFINITY;
  /** Where the leader was said to be. */
  #told = '';
  /** Why it is not taken in. */
  reason = '';

  constructor(core: Core, status: () => RaftStatus | null) {
    this.#core = core;
    this.#status = status;
  }

  leaderIsAt(address: string): void {
    this.#told = address;
  }

  /** The leader's address, as this member itself knows; empty if it does not. */
  addressOfLeader(): string {
    const leader = this.#status()?.leader ?? null;
    return leader === null ? '' : (this.#core.book.addressOf(leader) ?? '');
  }

  /** The configuration may be another. */
  consider(): void {
    const { uid, phase, now } = this.#core;
    const status = this.#status();
    if (status === null || phase === 'leaving' || phase === 'departed') return;
    const isIn = isMember(status.config, uid);
    if (isIn && phase === 'joining') this.#core.phase = 'running';
    if (!isIn && phase === 'running') this.#core.phase = 'joining';
    if (isIn) this.#at = Number.POSITIVE_INFINITY;
    else if (this.#at === Number.POSITIVE_INFINITY) this.#at = now;
  }

  tick(): void {
    if (this.#core.now < this.#at) return;
    const { settings, options, book } = this.#core;
    this.#at = this.#core.now + 2 * settings.formMs;
    const { name, address } = options;
    const seeds = options.cluster?.seeds ?? [];
    const leader = this.addressOfLeader() || this.#told;
    const to = leader === '' ? [...seeds, ...book.views.map((view) => view.claim.address)] : [leader, ...seeds];
    for (const one of new Set(to)) if (one !== address) this.#core.sayAt(one, { kind: 'join', name, address });
  }

  wakeAt(): Millis {
    return this.#at;
  }
}
