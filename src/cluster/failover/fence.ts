/**
 * The fence on the leader: when is it certain that nobody writes under the epoch of before?
 *
 * Either every member that can have had leave to write has confirmed, or no lease given before can be alive. One that was
 * left out of the cluster may have leave for a while, and so may one of whom we, just started, know nothing: until that
 * while is over confirmations alone prove nothing.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import type { PoolRecord } from './model.ts';
import { driftMs } from './rules.ts';
import type { HeldWord } from './words.ts';

/** Length of a write lease; the same as in coordinator.ts, which this room does not see. */
export const leaseMs: Millis = 3000;
const leaseOverMs: Millis = leaseMs * 1.01 + driftMs;

/** Members that left, and until when they count. */
export class Leavers {
  readonly #core: Core;
  #known: ReadonlySet<MemberId> = new Set();
  /** Until then somebody that we don't know of may have leave to write. */
  strangersUntil: Millis;

  constructor(core: Core) {
    this.#core = core;
    this.strangersUntil = core.startedAt + leaseOverMs;
  }

  look(): void {
    const members = new Set(this.#core.members);
    for (const member of this.#known) if (!members.has(member)) this.strangersUntil = this.#core.now + leaseOverMs;
    this.#known = members;
  }
}

export class Fence {
  readonly #core: Core;
  /** By member: the newest word. */
  readonly #words = new Map<MemberId, HeldWord>();
  /** Highest position that anyone passed on, of those who said so since this leader leads. */
  #passed: number | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  hear(from: MemberId, word: HeldWord): void {
    const last = this.#words.get(from);
    if (last !== undefined && word.epoch < last.epoch) return;
    this.#words.set(from, word);
    if (word.passed !== null) this.#passed = Math.max(this.#passed ?? 0, word.passed);
  }

  /** Nothing was open since `last`, so that a word of any pending epoch after it counts. */
  #hasConfirmed(member: MemberId, record: PoolRecord): boolean {
    const word = this.#words.get(member);
    return word?.done === true && !word.open && word.epoch > (record.last?.epoch ?? 0);
  }

  missing(record: PoolRecord): readonly MemberId[] {
    const lost = record.allowed?.lost ?? [];
    return this.#core.members.filter((member) => !lost.includes(member) && !this.#hasConfirmed(member, record));
  }

  isComplete(record: PoolRecord, overAt: Millis | null, strangersUntil: Millis): boolean {
    const { now, rules } = this.#core;
    const allConfirmed = now >= strangersUntil && this.missing(record).length === 0;
    return rules.isFenced({ allConfirmed, now, overAt });
  }

  /** Before a switch: those of `members` that still hold writes of the open epoch. */
  undrained(record: PoolRecord, members: readonly MemberId[]): readonly MemberId[] {
    return members.filter((member) => {
      const word = this.#words.get(member);
      return word === undefined || !word.open || !word.done || word.epoch !== record.epoch;
    });
  }

  /** A new switch begins: what was said in an earlier one does not count. */
  forgetDrained(): void {
    for (const [member, word] of this.#words) if (word.open) this.#words.delete(member);
  }

  get passed(): number | null {
    return this.#passed;
  }
}
