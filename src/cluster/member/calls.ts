/**
 * Calls of the rooms above: each is answered exactly once, or cancelled. Writes and reads have files of their own; here
 * are leave to write, changes of members, hand-overs, and the way out.
 *
 * Leave to write: where the quorum is all voters and shall stay so, this member gives it to itself, since no epoch moves
 * without its own acceptance (2.8). Else the leader is asked, and the lease counts from when that was sent (2.3).
 */
import type { Millis } from '../../base/ids.ts';
import { err, ok } from '../../base/result.ts';
import { type WriteLease, writeDrainMs, writeLeaseMs } from '../coordinator.ts';
import { isVoter, members } from '../raft/model.ts';
import type { Agreement } from './agreement.ts';
import type { Askings } from './asking.ts';
import type { Call, CallAnswer } from './contract.ts';
import type { Core } from './core.ts';
import type { Leave } from './leave.ts';
import type { Reads } from './reads.ts';
import { isPassing, refusedChange } from './refusals.ts';
import type { Ask, Told } from './words.ts';
import type { Done, Writes } from './writes.ts';

interface Asked {
  readonly ask: number;
  readonly deadline: Millis;
  readonly done: Done;
  readonly late: () => void;
  readonly isLease: boolean;
}

export class Calls {
  readonly #core: Core;
  readonly #agreement: Agreement;
  readonly #askings: Askings;
  readonly #writes: Writes;
  readonly #reads: Reads;
  readonly #leave: Leave;
  readonly #missing: () => readonly string[];
  readonly #asked = new Map<number, Asked>();
  readonly #open = new Set<number>();

  constructor(
    core: Core,
    parts: {
      readonly agreement: Agreement;
      readonly askings: Askings;
      readonly writes: Writes;
      readonly reads: Reads;
      readonly leave: Leave;
      readonly missing: () => readonly string[];
    },
  ) {
    this.#core = core;
    this.#agreement = parts.agreement;
    this.#askings = parts.askings;
    this.#writes = parts.writes;
    this.#reads = parts.reads;
    this.#leave = parts.leave;
    this.#missing = parts.missing;
  }

  get size(): number {
    return this.#open.size;
  }

  begin(id: number, call: Call): void {
    const done: Done = (answer) => {
      if (this.#open.delete(id)) this.#core.out.answers.push({ id, answer });
    };
    const { size } = this.#open;
    this.#open.add(id);
    if (size >= this.#most(call)) return done(err({ kind: 'overloaded' }));
    switch (call.kind) {
      case 'propose':
        return this.#writes.begin(id, call, done);
      case 'read':
        return this.#reads.begin(id, call.need, done);
      case 'write-lease':
        return this.#writeLease(id, call, done);
      case 'change':
        return this.#ask(id, { ...call, member: this.#meant(call), force: call.force ?? false }, done);
      case 'transfer':
        return this.#ask(id, call, done);
      case 'leave':
        return this.#leave.begin(call.forGood, done);
    }
  }

  /** Asked again it must mean the same: the name of who is to be removed may be that of who takes its seat meanwhile. */
  #meant({ change, member }: Extract<Call, { readonly kind: 'change' }>): string {
    if (change !== 'remove') return member;
    return this.#core.book.find(member, members(this.#agreement.status.config), true) ?? member;
  }

  /** Writes to primaries rest on some: those are taken, and bounded, beside all others. */
  #most(call: Call): number {
    const { callsMax } = this.#core.settings;
    if (call.kind === 'leave') return Number.POSITIVE_INFINITY;
    const isVital = call.kind === 'write-lease' || (call.kind === 'propose' && call.command.kind === 'pool');
    return isVital ? 2 * callsMax : callsMax;
  }

  #writeLease(id: number, wish: Extract<Call, { readonly kind: 'write-lease' }>, done: Done): void {
    const core = this.#core;
    const sentAt = core.now;
    const { pool, epoch } = wish;
    const open = this.#agreement.openEpoch(pool);
    if (open !== epoch) return done(err({ kind: 'not-open', pool, open }));
    const lease = (from: Millis): WriteLease => {
      const cutAt = from + writeLeaseMs;
      return { pool, epoch, sentAt: from, writeUntil: cutAt - writeDrainMs, cutAt };
    };
    if (this.#mayAllowItself()) return done(ok({ kind: 'lease', lease: lease(sentAt) }));
    const deadline = sentAt + writeLeaseMs - writeDrainMs;
    this.#wait(id, { ask: { kind: 'lease', pool, epoch }, deadline, done, late: () => {} }, (told) => {
      if (told.kind === 'not-open') done(err({ kind: 'not-open', pool, open: told.open }));
      // An answer may be to the first of several questions: all count from that.
      if (told.kind === 'done') done(ok({ kind: 'lease', lease: lease(core.rules.leaseFrom(sentAt, core.now)) }));
    });
  }

  #mayAllowItself(): boolean {
    const { uid, rules, expect, leavingForGood, phase } = this.#core;
    const { config, configCommitted } = this.#agreement.status;
    if (!configCommitted || leavingForGood || phase !== 'running') return false;
    return rules.needsNoLease(config.voters.length, isVoter(config, uid), expect);
  }

  #ask(id: number, ask: Ask, done: Done): void {
    const deadline = this.#core.now + this.#core.settings.callMs;
    const late = (): void => done(err({ kind: 'change-refused', why: 'slow' }));
    this.#wait(id, { ask, deadline, done, late }, (told) => {
      if (told.kind === 'done') done(ok({ kind: 'done' }));
      else if (told.kind === 'refused' && !isPassing(told.why)) done(err(refusedChange(told.why)));
    });
  }

  #wait(
    id: number,
    wish: { readonly ask: Ask; readonly deadline: Millis; readonly done: Done; readonly late: () => void },
    settle: (told: Told) => void,
  ): void {
    const ask = this.#askings.ask(wish.ask, (told) => {
      settle(told);
      if (!this.#open.has(id)) this.#forget(id);
    });
    if (this.#open.has(id)) this.#asked.set(id, { ...wish, ask, isLease: wish.ask.kind === 'lease' });
    else this.#askings.drop(ask);
  }

  #forget(id: number): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (asked !== undefined) this.#askings.drop(asked.ask);
  }

  cancel(id: number): void {
    if (!this.#open.delete(id)) return;
    this.#writes.cancel(id);
    this.#reads.cancel(id);
    this.#forget(id);
  }

  tick(): void {
    this.#writes.tick();
    this.#reads.tick();
    for (const [id, asked] of this.#asked) {
      if (this.#core.now < asked.deadline) continue;
      if (this.#askings.isAway(asked.ask)) asked.late();
      asked.done(err({ kind: 'no-quorum', missing: this.#missing() }));
      this.#forget(id);
    }
  }

  wakeAt(): Millis {
    let at = Math.min(this.#writes.wakeAt(), this.#reads.wakeAt());
    for (const { deadline } of this.#asked.values()) at = Math.min(at, deadline);
    return at;
  }

  /** The clock missed time: what was asked before it can't be counted from then. */
  stalled(): void {
    for (const [id, asked] of this.#asked) {
      if (!asked.isLease) continue;
      asked.done(err({ kind: 'no-quorum', missing: this.#missing() }));
      this.#forget(id);
    }
  }

  /**
   * Of a take: a lease that was given in it and has ended in it is none. The driver does what ends leave to write first,
   * and would hold that lease afterwards.
   */
  withdraw(): void {
    const { answers, effects } = this.#core.out;
    const isVoid = effects.some(({ kind }) => kind === 'void-leases');
    for (const [place, { id, answer }] of answers.entries()) {
      if (!answer.ok || answer.value.kind !== 'lease') continue;
      const { pool, epoch } = answer.value.lease;
      const open = this.#agreement.openEpoch(pool);
      if (isVoid) answers[place] = { id, answer: err({ kind: 'no-quorum', missing: this.#missing() }) };
      else if (open !== epoch) answers[place] = { id, answer: err({ kind: 'not-open', pool, open }) };
    }
  }

  /** This member stops or departs: nobody is left without an answer. */
  close(): void {
    const answers: CallAnswer[] = [...this.#open].map((id) => ({ id, answer: err({ kind: 'closed' }) }));
    this.#open.clear();
    this.#core.out.answers.push(...answers);
  }
}
