/**
 * Writes of this member (8.1, 8.2).
 *
 *   number --> to the leader --> committed at i --> applied here up to i --> answered with what the state says
 *
 * The number stays with a write through all its attempts, and the state applies none twice; so it is asked again after a
 * change of leader, and what this member's own state says of that number is an answer whoever brought it there. Only
 * `strong` waits for the leader's word. What has no answer in time is refused if it went nowhere, else unknown.
 */
import type { Millis } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type { CoordinatorError, Ticket } from '../coordinator.ts';
import { textBytes } from '../replica/bytes.ts';
import { encodeProposal } from '../replica/codec.ts';
import type { Command, CommandResult } from '../replica/command.ts';
import { faultOf, refusalOf } from '../replica/refusals.ts';
import type { Agreement } from './agreement.ts';
import type { Askings } from './asking.ts';
import type { Call, CallError, CallValue } from './contract.ts';
import type { Core } from './core.ts';
import type { Told } from './words.ts';

type ProposeCall = Extract<Call, { readonly kind: 'propose' }>;
export type Done = (answer: Result<CallValue, CallError>) => void;

interface Write {
  readonly call: number;
  readonly command: Command;
  ticket: Ticket;
  readonly strong: boolean;
  readonly deadline: Millis;
  readonly done: Done;
  ask: number;
  /** It may be in a log, or come into one. */
  mayBe: boolean;
  /** The leader committed it there. */
  index: number | null;
}

export class Writes {
  readonly #core: Core;
  readonly #agreement: Agreement;
  readonly #askings: Askings;
  readonly #missing: () => readonly string[];
  readonly #open = new Map<number, Write>();
  #number = 0;

  constructor(
    core: Core,
    parts: { readonly agreement: Agreement; readonly askings: Askings; readonly missing: () => readonly string[] },
  ) {
    this.#core = core;
    this.#agreement = parts.agreement;
    this.#askings = parts.askings;
    this.#missing = parts.missing;
  }

  nextNumber(): number {
    this.#number += 1;
    return this.#number;
  }

  begin(call: number, wish: ProposeCall, done: Done): void {
    const { command, consistency } = wish;
    const fault = faultOf(command, consistency) ?? this.#tooLarge(command) ?? this.#ticketFault(wish.ticket);
    if (fault !== null) return done(err(fault));
    const status = this.#agreement.status;
    if (this.#core.options.writes === 'master-slave' && status.role !== 'leader') {
      const leader = status.leader === null ? null : this.#core.book.nameOf(status.leader);
      return done(err({ kind: 'not-leader', leader }));
    }
    const ticket = wish.ticket ?? { boot: this.#core.boot, number: this.nextNumber() };
    if (consistency === 'eventual') return this.#handOn(this.#encode(command, ticket), done);
    const deadline = this.#core.now + this.#core.settings.callMs;
    const write: Write = {
      ...{ call, command, ticket, deadline, done },
      ...{ strong: consistency === 'strong', ask: 0, mayBe: wish.ticket !== undefined, index: null },
    };
    this.#open.set(call, write);
    if (wish.ticket !== undefined) this.#look(write);
    if (this.#open.has(call)) this.#ask(write);
  }

  #encode(command: Command, ticket: Ticket): Uint8Array {
    return encodeProposal({ proposer: { uid: this.#core.uid, ...ticket }, at: 0, command });
  }

  #ask(write: Write): void {
    const data = this.#encode(write.command, write.ticket);
    const ask = { kind: 'propose', strong: write.strong, data } as const;
    // The answer may come before `ask` returns.
    write.ask = -1;
    const settle = (told: Told): void => this.#told(write, told);
    const id = this.#askings.ask(ask, settle);
    write.ask = id;
    if (!this.#open.has(write.call)) this.#askings.drop(id);
  }

  /** Its loss is allowed: one attempt, and no number waits for an answer. */
  #handOn(data: Uint8Array, done: Done): void {
    if (this.#agreement.status.leader === null) return done(err(this.#noQuorum()));
    const id = this.#askings.ask({ kind: 'propose', strong: false, data }, () => {});
    this.#askings.drop(id);
    done(ok({ kind: 'written', written: { committed: false } }));
  }

  #told(write: Write, told: Told): void {
    if (!this.#open.has(write.call)) return;
    if (told.kind === 'committed') {
      write.index = told.index;
      write.mayBe = true;
      return this.#look(write);
    }
    if (told.kind === 'unknown') {
      write.mayBe = true;
      return this.#again(write);
    }
    if (told.kind !== 'refused') return;
    if (this.#askings.isRepeated(write.ask)) write.mayBe = true;
    switch (told.why) {
      case 'not-leader':
      case 'transferring':
        return;
      case 'busy':
        return write.mayBe ? undefined : this.#end(write, err({ kind: 'overloaded' }));
      case 'not-member':
        return write.mayBe ? undefined : this.#end(write, err(this.#noQuorum()));
      case 'too-large':
        return this.#end(write, err({ kind: 'invalid', what: 'the command is too large' }));
      default:
        return this.#end(write, err({ kind: 'unsupported' }));
    }
  }

  /** It goes to the next leader as it is. Only a planted fault gives it another number. */
  #again(write: Write): void {
    const { boot, number } = write.ticket;
    const next = this.#core.rules.numberOfRetry(number, () => this.nextNumber());
    if (next === number) return;
    write.ticket = { boot, number: next };
    this.#askings.drop(write.ask);
    this.#ask(write);
  }

  /** Entries were applied: what does the state say of our numbers? */
  applied(): void {
    for (const write of this.#open.values()) this.#look(write);
  }

  #look(write: Write): void {
    const { replica } = this.#agreement;
    const isThere = write.index !== null && replica.index >= write.index;
    if (write.strong && !isThere) return;
    const known = replica.proposers.resultOf({ uid: this.#core.uid, ...write.ticket });
    if (known === null && !isThere) return;
    this.#settle(write, known ?? { kind: 'unknown' });
  }

  #settle(write: Write, result: CommandResult): void {
    const refusal = refusalOf(result, write.ticket);
    if (refusal !== null) return this.#end(write, err(refusal));
    const index = write.index ?? this.#agreement.replica.index;
    const written = { committed: true, value: result, index, ticket: write.ticket } as const;
    this.#end(write, ok({ kind: 'written', written }));
  }

  #end(write: Write, answer: Result<CallValue, CallError>): void {
    this.#open.delete(write.call);
    if (write.ask > 0) this.#askings.drop(write.ask);
    write.done(answer);
  }

  cancel(call: number): void {
    const write = this.#open.get(call);
    if (write !== undefined) this.#end({ ...write, done: () => {} }, err({ kind: 'withdrawn' }));
  }

  tick(): void {
    for (const write of this.#open.values()) {
      if (this.#core.now < write.deadline) continue;
      const isOut = write.mayBe || this.#askings.isAway(write.ask);
      this.#end(write, err(isOut ? { kind: 'unknown-outcome', ticket: write.ticket } : this.#noQuorum()));
    }
  }

  wakeAt(): Millis {
    let at = Number.POSITIVE_INFINITY;
    for (const write of this.#open.values()) at = Math.min(at, write.deadline);
    return at;
  }

  #noQuorum(): CoordinatorError {
    return { kind: 'no-quorum', missing: this.#missing() };
  }

  /** Not even worth the log; the state would refuse it. */
  #tooLarge(command: Command): CoordinatorError | null {
    const { keyBytes, valueBytes } = this.#core.limits;
    if (command.kind !== 'set') return null;
    const key = textBytes(command.key);
    if (key > keyBytes) return { kind: 'too-large', what: 'key', size: key, max: keyBytes };
    const size = command.value.byteLength;
    return size > valueBytes ? { kind: 'too-large', what: 'value', size, max: valueBytes } : null;
  }

  #ticketFault(ticket: Ticket | undefined): CoordinatorError | null {
    if (ticket === undefined) return null;
    const { boot, number } = ticket;
    const isNumber = Number.isInteger(number) && number >= 1 && Number.isInteger(boot) && boot >= 0;
    if (isNumber && boot < this.#core.boot) return { kind: 'unknown-outcome', ticket };
    const known = isNumber && boot === this.#core.boot && number <= this.#number;
    return known ? null : { kind: 'invalid', what: 'this ticket was never given out' };
  }
}
