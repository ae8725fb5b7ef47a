/**
 * Anti-entropy (push-pull): whole lists compared over a stream, so that what gossip lost is found.
 *
 * Every 30 s a random member is asked to compare digests; only if they differ both lists are exchanged, so that a quiet
 * cluster spends the same few bytes however large it is. A dead member is tried at the same time: after a partition in
 * which both sides buried each other, that is how they meet again. A death that is told in a sync counts as suspicion
 * only, so that the one it is about may refute.
 */
import type { Millis } from '../../base/ids.ts';
import type { Beliefs } from './beliefs.ts';
import type { Core } from './core.ts';
import type { Sight, StreamAnswer, StreamRequest, SyncEntry } from './messages.ts';
import { type Address, sightMembersMax } from './model.ts';
import type { Streams } from './streams.ts';

export type SyncRequest = Extract<StreamRequest, { kind: 'sync' }>;
export type SyncAnswer = Extract<StreamAnswer, { kind: 'sync' }>;

export interface SyncParts {
  readonly beliefs: Beliefs;
  readonly streams: Streams;
  /** What this member cannot reach itself, if it tells so. */
  readonly ownSight: () => Sight | null;
}

export class Syncs {
  readonly #core: Core;
  readonly #parts: SyncParts;
  #nextAt: Millis = Number.POSITIVE_INFINITY;

  constructor(core: Core, parts: SyncParts) {
    this.#core = core;
    this.#parts = parts;
  }

  wakeAt(): Millis {
    return this.#core.self.phase === 'active' ? this.#nextAt : Number.POSITIVE_INFINITY;
  }

  begin(now: Millis): void {
    this.#nextAt = now + this.#core.random.next() * this.#core.settings.syncIntervalMs;
  }

  tick(now: Millis): void {
    if (this.#core.self.phase !== 'active' || this.#nextAt > now) return;
    this.#nextAt = now + this.#core.settings.syncIntervalMs;
    this.#forget(now);
    const { list } = this.#core;
    for (const member of list.pick(1, (one) => one.status === 'alive')) this.#compare(member.claim.address, now);
    for (const member of list.pick(1, (one) => one.status === 'dead')) this.sync(member.claim.address, now);
  }

  sync(to: Address, now: Millis): void {
    this.#parts.streams.open(to, this.request(), { purpose: { kind: 'sync' }, ...this.#limits(now) });
  }

  request(): SyncRequest {
    return { kind: 'sync', sender: this.#core.outbox.sender(), entries: this.#entries(), sights: this.#sights() };
  }

  answer(): SyncAnswer {
    return { ...this.request(), kind: 'sync' };
  }

  /** Digests of the requester and of this member agree. */
  agrees(digest: readonly [number, number]): boolean {
    const own = this.#core.list.digest(this.#core.self.claim);
    return own[0] === digest[0] && own[1] === digest[1];
  }

  /**
   * Takes over what a peer knows. True if the peer is a member like any other afterwards: its claim stands, and this
   * member's name is nobody else's.
   */
  merge(told: SyncRequest | SyncAnswer, context: { readonly now: Millis; readonly quiet: boolean }): boolean {
    const { self, list, counts } = this.#core;
    counts.syncs++;
    let nameTaken = false;
    for (const entry of told.entries) {
      this.#mergeEntry(entry, told, context);
      const living = entry.status === 'alive' || entry.status === 'suspect';
      if (living && entry.claim.name === self.claim.name && entry.claim.id !== self.claim.id) nameTaken = true;
    }
    for (const sight of told.sights) this.#parts.beliefs.sight(sight, context);
    return !nameTaken && list.get(told.sender.id)?.living === true;
  }

  #mergeEntry(entry: SyncEntry, told: SyncRequest | SyncAnswer, hearing: { now: Millis; quiet: boolean }): void {
    const { beliefs } = this.#parts;
    const { claim, status } = entry;
    switch (status) {
      case 'alive':
        return beliefs.alive(claim, hearing);
      case 'suspect':
        beliefs.alive(claim, hearing);
        return beliefs.suspect(claim, told.sender.id, hearing);
      case 'dead':
        return beliefs.suspect(claim, told.sender.id, hearing);
      case 'left':
        return beliefs.left(claim, hearing);
    }
  }

  #compare(to: Address, now: Millis): void {
    const { outbox, list, self } = this.#core;
    const request = { kind: 'compare', sender: outbox.sender(), digest: list.digest(self.claim) } as const;
    this.#parts.streams.open(to, request, { purpose: { kind: 'compare', address: to }, ...this.#limits(now) });
  }

  #limits(now: Millis): { timeoutMs: Millis; now: Millis } {
    return { timeoutMs: this.#core.settings.syncTimeoutMs, now };
  }

  /** This member first: a peer cannot do without its claim. */
  #entries(): SyncEntry[] {
    const { self, list } = this.#core;
    const entries: SyncEntry[] = [{ claim: self.claim, status: self.gone ? 'left' : 'alive' }];
    for (const member of list.all()) {
      const { claim, incarnation, status } = member;
      entries.push({ claim: incarnation === claim.incarnation ? claim : { ...claim, incarnation }, status });
    }
    return entries;
  }

  #sights(): Sight[] {
    const { list } = this.#core;
    if (list.living >= sightMembersMax) return [];
    const own = this.#parts.ownSight();
    const sights: Sight[] = own === null ? [] : [own];
    for (const { living, sightNumber, claim, blindTo } of list.all())
      if (living && sightNumber >= 0 && sights.length < sightMembersMax)
        sights.push({ kind: 'sight', id: claim.id, boot: claim.boot, number: sightNumber, blindTo });
    return sights;
  }

  #forget(now: Millis): void {
    const { list, settings } = this.#core;
    const old = list.all().filter(({ status, since }) => {
      if (status === 'dead') return now - since > settings.forgetDeadMs;
      return status === 'left' && now - since > settings.forgetLeftMs;
    });
    for (const member of old) list.remove(member);
  }
}
