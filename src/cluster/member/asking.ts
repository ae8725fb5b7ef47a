/**
 * What this member asks of the leader, itself perhaps, until it is answered: the id stays, so a lost word is asked again.
 *
 *   wish --leader known--> at the leader --no answer for a while--> again --told--> settled
 *     ^                         `-- another leader, another term: unknown what became of it -----.
 *     `------------------------------------------------------------------------------------------+
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Agreement } from './agreement.ts';
import type { Core } from './core.ts';
import type { Desk } from './desk.ts';
import type { Ask, Told } from './words.ts';

interface Asking {
  readonly id: number;
  readonly ask: Ask;
  readonly settle: (told: Told) => void;
  /** To whom and in which term it went last. */
  at: { readonly leader: MemberId; readonly term: number } | null;
  againAt: Millis;
  sent: number;
}

export class Askings {
  readonly #core: Core;
  readonly #agreement: Agreement;
  readonly #desk: Desk;
  readonly #open = new Map<number, Asking>();
  #id = 0;

  constructor(core: Core, agreement: Agreement, desk: Desk) {
    this.#core = core;
    this.#agreement = agreement;
    this.#desk = desk;
  }

  /**
   * `settle` is called with each answer, `unknown` when the leader changed before one came; it is asked again until
   * `drop`. Returns the id.
   */
  ask(ask: Ask, settle: (told: Told) => void): number {
    this.#id += 1;
    const asking: Asking = { id: this.#id, ask, settle, at: null, againAt: Number.NEGATIVE_INFINITY, sent: 0 };
    this.#open.set(asking.id, asking);
    this.#pump(asking);
    return asking.id;
  }

  /** Whether it is, or may be, at a leader. */
  isAway(id: number): boolean {
    return (this.#open.get(id)?.at ?? null) !== null;
  }

  /** More than once: a refusal of the last time says nothing of those before. */
  isRepeated(id: number): boolean {
    return (this.#open.get(id)?.sent ?? 0) > 1;
  }

  drop(id: number): void {
    this.#open.delete(id);
  }

  tick(): void {
    for (const asking of this.#open.values()) this.#pump(asking);
  }

  wakeAt(): Millis {
    let at = Number.POSITIVE_INFINITY;
    const { leader } = this.#agreement.status;
    if (leader === null) return at;
    for (const asking of this.#open.values()) at = Math.min(at, asking.againAt);
    return Math.max(at, this.#core.now);
  }

  #pump(asking: Asking): void {
    const { leader, term } = this.#agreement.status;
    if (asking.at !== null && (asking.at.leader !== leader || asking.at.term !== term)) {
      asking.at = null;
      asking.againAt = this.#core.now;
      asking.settle({ kind: 'unknown' });
      if (!this.#open.has(asking.id)) return;
    }
    if (leader === null || this.#core.now < asking.againAt) return;
    asking.againAt = this.#core.now + this.#core.settings.againMs;
    const at = { leader, term };
    asking.at = at;
    asking.sent += 1;
    if (leader !== this.#core.uid) return this.#core.say(leader, { kind: 'ask', id: asking.id, ask: asking.ask });
    const self = { id: this.#core.uid, boot: this.#core.boot };
    this.#desk.ask(self, asking.ask, (told) => this.#told(asking, told));
  }

  /** The leader answered. */
  told(from: MemberId, id: number, told: Told): void {
    const asking = this.#open.get(id);
    if (asking?.at?.leader === from) this.#told(asking, told);
  }

  #told(asking: Asking, told: Told): void {
    if (!this.#open.has(asking.id)) return;
    const isLater = told.kind === 'refused' && (told.why === 'not-leader' || told.why === 'transferring');
    if (isLater || told.kind === 'unknown') {
      asking.at = null;
      asking.againAt = this.#core.now + this.#core.settings.againMs / 10;
    }
    asking.settle(told);
  }
}
