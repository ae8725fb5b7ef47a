/**
 * Who belongs to the cluster, and who votes (7.2, 7.3). Only the leader acts.
 *
 *   join             --> learner --caught up, fewer voters than `expect`--> voter
 *   new uid under the name and address of a voter that gossip holds dead --> learner --caught up--> takes its seat
 *   remove, leave    --> out, and remembered as such, so that it does not come back by itself
 *
 * A new uid under a living member's name is refused, and both sides say so. Gossip alone changes nothing.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Change, Outcome } from '../raft/contract.ts';
import { type Config, isMember, isVoter, members } from '../raft/model.ts';
import { encodeProposal } from '../replica/codec.ts';
import type { Command } from '../replica/command.ts';
import type { Agreement } from './agreement.ts';
import type { Core } from './core.ts';
import type { Reply } from './desk.ts';
import { runOf } from './rules.ts';
import type { Ask, Word } from './words.ts';

const lookEveryMs = 500;
/** Who was not seen for so long since our start is not there. */
const unseenMs: Millis = 30_000;
const removedFact = 'removed';
/** A refused name is said so often in the log. */
const sayEveryMs = 30_000;

type ChangeAsk = Extract<Ask, { readonly kind: 'change' }>;

export class Seats {
  readonly #core: Core;
  readonly #agreement: Agreement;
  readonly #nextNumber: () => number;
  /** Members that write without leases where the quorum is all voters, as they announced. */
  readonly #leaseless = new Map<MemberId, boolean>();
  readonly #saidAt = new Map<MemberId, Millis>();
  #lookAt: Millis;
  #changing = false;
  /** The learner that was given a seat last, or refused one: the next look begins behind it. */
  #tried: MemberId | null = null;
  readonly #since: Millis;

  constructor(core: Core, agreement: Agreement, nextNumber: () => number) {
    this.#core = core;
    this.#agreement = agreement;
    this.#nextNumber = nextNumber;
    this.#lookAt = this.#since = core.now;
  }

  announced(id: MemberId, leaseless: boolean): void {
    this.#leaseless.set(id, leaseless);
  }

  wakeAt(): Millis {
    return this.#agreement.status.role === 'leader' ? this.#lookAt : Number.POSITIVE_INFINITY;
  }

  /** Somebody wants to be taken in. `run`: of who asks. */
  join(
    from: { readonly id: MemberId; readonly boot: number; readonly run: number },
    word: Extract<Word, { kind: 'join' }>,
  ): void {
    const { config, role, leader } = this.#agreement.status;
    const { book } = this.#core;
    book.note(from.id, word.address, word.name);
    const both = runOf(from.boot, from.run);
    // Each voter that knows it says so: one alone is not believed by who does not know it himself.
    if (this.#isOut(from.id)) this.#core.say(from.id, { kind: 'away', why: 'removed', both });
    if (role !== 'leader') {
      const address = leader === null ? '' : (book.addressOf(leader) ?? '');
      return this.#core.say(from.id, { kind: 'cluster', leader: address });
    }
    if (this.#wasRemoved(from.id)) return;
    if (isMember(config, from.id)) return;
    const holder = this.#holderOf(word.name, from.id, config);
    if (holder !== null) {
      this.#sayTaken(from.id, word, holder);
      return this.#core.say(from.id, { kind: 'away', why: 'name-taken', both });
    }
    if (!this.#changing) this.#try({ kind: 'add', member: from.id }, `member ${word.name} joins as a learner`);
  }

  /** The living member that has this name. */
  #holderOf(name: string, except: MemberId, config: Config): MemberId | null {
    const { book, uid } = this.#core;
    const named = members(config).filter((id) => id !== except && book.lineOf(id)?.name === name);
    return named.find((id) => id === uid || book.isAlive(id)) ?? null;
  }

  #sayTaken(id: MemberId, word: { readonly name: string; readonly address: string }, holder: MemberId): void {
    const { now, book } = this.#core;
    if (now < (this.#saidAt.get(id) ?? Number.NEGATIVE_INFINITY) + sayEveryMs) return;
    this.#saidAt.set(id, now);
    const at = book.addressOf(holder) ?? 'an unknown address';
    this.#core.note(
      `refused a member at ${word.address} that calls itself ${word.name}: the one of that name at ${at} lives`,
    );
  }

  /** Removed, and that is committed: no longer on its way. */
  #isOut(id: MemberId): boolean {
    const { config, configCommitted } = this.#agreement.status;
    return this.#wasRemoved(id) && configCommitted && !isMember(config, id);
  }

  #wasRemoved(id: MemberId): boolean {
    const record = this.#agreement.replica.registry.get('member', id);
    return record?.facts.some(([fact]) => fact === removedFact) ?? false;
  }

  /** By the clock: seats to fill. */
  tick(): void {
    const { now } = this.#core;
    if (now < this.#lookAt) return;
    this.#lookAt = now + lookEveryMs;
    const { ready, config, role } = this.#agreement.status;
    if (role !== 'leader' || !ready || this.#changing) return;
    const next = this.#tried === null ? 0 : config.learners.indexOf(this.#tried) + 1;
    for (const learner of [...config.learners.slice(next), ...config.learners.slice(0, next)]) {
      if (!this.#core.book.isAlive(learner)) continue;
      const change = this.#seatFor(learner, config);
      if (change === null) continue;
      this.#tried = learner;
      return this.#try(change, `member ${this.#core.book.nameOf(learner)} becomes a voter`);
    }
  }

  #seatFor(learner: MemberId, config: Config): Change | null {
    const old = this.#lostTwin(learner, config);
    if (old !== null && !this.#mustLeaveItself(old, config)) return { kind: 'replace', old, member: learner };
    if (old !== null) this.#sayMayWrite(old);
    if (config.voters.length >= this.#core.expect || this.#endsLeaseless(config)) return null;
    return { kind: 'promote', member: learner };
  }

  /** Cut off, not dead, it would write on without a lease for as long as nobody asks for its acceptance. */
  #sayMayWrite(old: MemberId): void {
    const { now, book } = this.#core;
    if (now < (this.#saidAt.get(old) ?? Number.NEGATIVE_INFINITY) + sayEveryMs) return;
    this.#saidAt.set(old, now);
    this.#core.note(
      `a new data folder asks for the seat of ${book.nameOf(old)}, which of two voters may still write by itself: when its old process is surely off, remove it with force`,
    );
  }

  /** A voter that gossip holds dead, under the name and address that this learner has. */
  #lostTwin(learner: MemberId, { voters }: Config): MemberId | null {
    const { book } = this.#core;
    const line = book.lineOf(learner);
    if (line === null) return null;
    const isTwin = (id: MemberId): boolean => {
      const old = book.lineOf(id);
      // After a restart of ours only its address may be known; nobody else can be there now.
      return old !== null && old.address === line.address && (old.name === line.name || old.name === '');
    };
    return voters.find((id) => isTwin(id) && this.#isLost(id)) ?? null;
  }

  /** Dead; or never seen since this member started, long ago: gossip lets nobody take the name of a living one. */
  #isLost(id: MemberId): boolean {
    const { book, now } = this.#core;
    return book.isDead(id) || (book.view(id) === null && now - this.#since > unseenMs);
  }

  /** A third voter makes a quorum without one of the two who need no lease: both must have given that up before. */
  #endsLeaseless({ voters }: Config): boolean {
    return voters.length === 2 && voters.some((id) => this.#isLeaseless(id));
  }

  #isLeaseless(id: MemberId): boolean {
    return id === this.#core.uid ? this.#core.head.leaseless : (this.#leaseless.get(id) ?? true);
  }

  /** Refusals are met again at the next look. */
  #try(change: Change, text: string): void {
    this.#changing = true;
    this.#agreement.change(change, false, (outcome) => {
      this.#changing = false;
      if (outcome.kind === 'committed') this.#core.note(text);
    });
  }

  change({ change, member, force }: ChangeAsk, reply: Reply): void {
    const { config } = this.#agreement.status;
    const among = change === 'add' ? this.#core.book.views.map((view) => view.claim.id) : members(config);
    // Who came in place of a lost one has its name.
    const id = this.#core.book.find(member, among, change === 'remove');
    if (id === null) return reply({ kind: 'refused', why: 'no-such-member' });
    if (change === 'promote' && !force && this.#endsLeaseless(config)) {
      return reply({ kind: 'refused', why: 'writes-without-lease' });
    }
    if (change === 'remove' && !force && this.#mustLeaveItself(id, config)) {
      return reply({ kind: 'refused', why: 'must-leave' });
    }
    const answer = (outcome: Outcome): void => {
      if (outcome.kind === 'refused') reply({ kind: 'refused', why: outcome.why });
      else reply(outcome.kind === 'unknown' ? outcome : { kind: 'done' });
    };
    const isNews = change === 'add' ? this.#wasRemoved(id) : change === 'remove' && !this.#wasRemoved(id);
    if (isNews) this.#remember(id, change === 'remove');
    this.#agreement.change({ kind: change, member: id }, force, (outcome) => {
      // What was just written to the log may not be in the state yet; so it is undone in the log too.
      if (isNews && outcome.kind === 'refused') this.#remember(id, change !== 'remove');
      answer(outcome);
    });
  }

  #mustLeaveItself(id: MemberId, config: Config): boolean {
    return id !== this.#core.uid && config.voters.length === 2 && isVoter(config, id) && this.#isLeaseless(id);
  }

  /** In the state, before the removal itself: so that no later leader takes it in again. */
  #remember(id: MemberId, removed: boolean): void {
    const what = 'member' as const;
    const facts = [[removedFact, this.#core.book.nameOf(id)]] as const;
    const command: Command = removed ? { kind: 'register', what, id, facts } : { kind: 'unregister', what, id };
    const { uid, boot } = this.#core;
    const proposer = { uid, boot, number: this.#nextNumber() };
    const data = encodeProposal({ proposer, at: this.#agreement.agreedNow, command });
    this.#agreement.propose(data, false, () => {});
  }
}
