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
import type { HeldWord } from './words.ts';

/** Words of so many epochs are kept: those of one change of primary, with room. */
const passedMax = 64;

/** Members that left, and until when they count. */
export class Leavers {
  readonly #core: Core;
  #known: ReadonlySet<MemberId> = new Set();
  /** Until then somebody that we don't know of may have leave to write. */
  strangersUntil: Millis;

  constructor(core: Core) {
    this.#core = core;
    this.strangersUntil = core.rules.strangersUntil(core.startedAt);
  }

  look(): void {
    const members = new Set(this.#core.members);
    const { now, rules } = this.#core;
    for (const member of this.#known) if (!members.has(member)) this.strangersUntil = rules.strangersUntil(now);
    this.#known = members;
  }
}

export class Fence {
  readonly #core: Core;
  /** By member: the newest word. */
  readonly #words = new Map<MemberId, HeldWord>();
  /** What members said since this leader leads: highest positions that they passed on, by the epoch of the word. */
  #passed: { readonly epoch: number; readonly open: boolean; readonly passed: number }[] = [];

  constructor(core: Core) {
    this.#core = core;
  }

  hear(from: MemberId, word: HeldWord): void {
    const last = this.#words.get(from);
    if (last !== undefined && word.epoch < last.epoch) return;
    this.#words.set(from, word);
    if (word.passed !== null) this.#note(word, word.passed);
  }

  /** Nothing was open since `last`, so that a word of any pending epoch after it counts. */
  #hasConfirmed(member: MemberId, record: PoolRecord): boolean {
    const word = this.#words.get(member);
    return word !== undefined && this.#core.rules.confirms(word, record.last?.epoch ?? 0);
  }

  missing(record: PoolRecord): readonly MemberId[] {
    const lost = record.allowed?.lost ?? [];
    return this.#core.members.filter((member) => !lost.includes(member) && !this.#hasConfirmed(member, record));
  }

  /** Whether all that members passed on is known: each has said so, and none of them has forgotten a part. */
  knowsAll(record: PoolRecord): boolean {
    const { members, rules } = this.#core;
    const unheard = this.missing(record).length + (record.allowed?.lost.length ?? 0);
    const forgot = [...this.#words].some(([member, { partial }]) => partial === true && members.includes(member));
    return rules.knowsPassed({ unheard, forgot });
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

  #note({ epoch, open }: HeldWord, passed: number): void {
    const known = this.#passed.find((one) => one.epoch === epoch && one.open === open);
    if (known !== undefined && known.passed >= passed) return;
    this.#passed = [...this.#passed.filter((one) => one !== known), { epoch, open, passed }].slice(-passedMax);
  }

  /**
   * The highest position that anyone passed on under the epoch that was open last; null: nobody said one. Positions of
   * earlier epochs don't count: what a failover gave up is not missed again by the next.
   */
  passed({ last }: PoolRecord): number | null {
    const of = last?.epoch ?? 0;
    const said = this.#passed.filter(({ epoch, open }) => (open ? epoch === of : epoch > of));
    return said.length === 0 ? null : Math.max(...said.map(({ passed }) => passed));
  }
}
