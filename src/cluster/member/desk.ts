/**
 * The leader's desk: what members ask of it, its own calls among them, and what it answers.
 *
 *   propose    stamped, put into the log, answered with its index     (asked again while under way: one entry, one answer)
 *   change     members in and out, see seats.ts
 *   transfer   leadership to another
 *   lease      leave to write, see grants.ts
 *
 * Beside that, by itself: ends in the state what has run out.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Outcome } from '../raft/contract.ts';
import { isMember } from '../raft/model.ts';
import { decodeProposal, encodeProposal, stampProposal } from '../replica/codec.ts';
import type { Agreement } from './agreement.ts';
import type { Core } from './core.ts';
import type { Grants } from './grants.ts';
import type { Seats } from './seats.ts';
import type { Ask, Told, ToldRefusal } from './words.ts';

export interface Asker {
  readonly id: MemberId;
  readonly boot: number;
}

export type Reply = (told: Told) => void;

export const toldOf = (outcome: Outcome): Told => {
  if (outcome.kind === 'committed') return { kind: 'committed', index: outcome.index };
  return outcome.kind === 'unknown' ? outcome : { kind: 'refused', why: outcome.why };
};

/** Commands that every release knows with which members can speak: what a silent voter counts for. */
const commandsOfAll = 2;
/** Between two `expire`: a refused one is not proposed again at once. */
const expireRestMs: Millis = 20;

export class Desk {
  readonly #core: Core;
  readonly #agreement: Agreement;
  readonly #seats: Seats;
  readonly #grants: Grants;
  readonly #nextNumber: () => number;
  /** Proposals under way, by their names: who waits for them. */
  readonly #underWay = new Map<string, Reply>();
  /** Newest version of commands that each member announced. */
  readonly #commands = new Map<MemberId, number>();
  #expiring = false;
  #restUntil: Millis = Number.NEGATIVE_INFINITY;

  constructor(
    core: Core,
    parts: {
      readonly agreement: Agreement;
      readonly seats: Seats;
      readonly grants: Grants;
      readonly nextNumber: () => number;
    },
  ) {
    this.#core = core;
    this.#agreement = parts.agreement;
    this.#seats = parts.seats;
    this.#grants = parts.grants;
    this.#nextNumber = parts.nextNumber;
  }

  announced(id: MemberId, commands: number): void {
    this.#commands.set(id, commands);
  }

  get leads(): boolean {
    return this.#agreement.status.role === 'leader';
  }

  ask(from: Asker, ask: Ask, reply: Reply): void {
    const refuse = (why: ToldRefusal): void => reply({ kind: 'refused', why });
    if (!this.leads) return refuse('not-leader');
    const { config, configCommitted } = this.#agreement.status;
    if (!isMember(config, from.id)) {
      // Out already, and the word that said so was lost.
      const asksForThat = ask.kind === 'change' && ask.change === 'remove' && ask.member === from.id;
      return asksForThat && configCommitted ? reply({ kind: 'done' }) : refuse('not-member');
    }
    switch (ask.kind) {
      case 'propose':
        return this.#propose(from, ask, reply);
      case 'change':
        return this.#seats.change(ask, reply);
      case 'transfer':
        return this.#transfer(ask.to, reply);
      case 'lease':
        return this.#grants.ask(from.id, ask, reply);
    }
  }

  #propose(from: Asker, { data, strong }: Extract<Ask, { readonly kind: 'propose' }>, reply: Reply): void {
    const version = data[0] ?? 0;
    if (!this.#mayPropose(version)) return reply({ kind: 'refused', why: 'unsupported' });
    const decoded = decodeProposal(data);
    // A newer version than ours can't be looked into; its voters do, and so does the state.
    if (!decoded.ok) return reply({ kind: 'refused', why: decoded.error === 'version' ? 'unsupported' : 'malformed' });
    const { uid, boot, number } = decoded.value.proposer;
    if (uid !== from.id || boot > from.boot) return reply({ kind: 'refused', why: 'malformed' });
    const name = `${number}/${boot}/${uid}/${strong}`;
    const isUnderWay = this.#underWay.has(name);
    this.#underWay.set(name, reply);
    if (isUnderWay) return;
    const stamped = stampProposal(data, this.#agreement.agreedNow);
    this.#agreement.propose(stamped, strong, (outcome) => {
      const waits = this.#underWay.get(name);
      this.#underWay.delete(name);
      waits?.(toldOf(outcome));
    });
  }

  /**
   * 8.4: what a voter does not know it could not apply. One that is silent, since it died before this member led, must not
   * keep the others from agreeing on another primary.
   */
  #mayPropose(version: number): boolean {
    if (version <= 1) return true;
    const { voters } = this.#agreement.status.config;
    const known = (id: MemberId): number | undefined =>
      id === this.#core.uid ? this.#core.settings.commandVersion : (this.#commands.get(id) ?? commandsOfAll);
    return this.#core.rules.mayPropose(version, voters.map(known));
  }

  #transfer(to: string | null, reply: Reply): void {
    const { voters } = this.#agreement.status.config;
    const target = to === null ? null : this.#core.book.find(to, voters);
    if (to !== null && target === null) return reply({ kind: 'refused', why: 'no-such-member' });
    if (target === this.#core.uid) return reply({ kind: 'done' });
    this.#agreement.step({ kind: 'transfer', to: target });
    // It may have nobody who could lead, or be about to hand over to another.
    const { transferring } = this.#agreement.status;
    const isUnderWay = transferring !== null && (target === null || transferring === target);
    reply(isUnderWay ? { kind: 'done' } : { kind: 'refused', why: 'change-void' });
  }

  /** Ends what has run out. */
  tick(): void {
    const { ready, transferring } = this.#agreement.status;
    if (!ready || transferring !== null || this.#expiring || this.#core.now < this.#restUntil) return;
    if (this.#agreement.expiryAt() > this.#core.now) return;
    const { uid, boot } = this.#core;
    const proposer = { uid, boot, number: this.#nextNumber() };
    const data = encodeProposal({ proposer, at: this.#agreement.agreedNow, command: { kind: 'expire' } });
    this.#expiring = true;
    this.#agreement.propose(data, false, () => {
      this.#expiring = false;
      this.#restUntil = this.#core.now + expireRestMs;
    });
  }

  wakeAt(): number {
    // What `tick` would not do must not wake it, or it turns in a circle.
    const { ready, transferring } = this.#agreement.status;
    const isIdle = this.#expiring || !ready || transferring !== null;
    return isIdle ? Number.POSITIVE_INFINITY : Math.max(this.#restUntil, this.#agreement.expiryAt());
  }
}
