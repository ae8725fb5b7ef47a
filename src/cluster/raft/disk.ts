/**
 * What is on disk, as far as that is known.
 *
 * Each persist has a ticket; its commit returns late, and the returns may come in any order. A ticket counts only when
 * all before it have returned too, since it was written on top of them. `durable` is the end of that prefix of the log
 * *as it is now* that is on disk: if entries were rewritten since, what returns of the old ones does not count (the
 * "ABA" of asynchronous storage).
 */
import { assert } from '../../base/assert.ts';
import type { Millis } from '../../base/ids.ts';
import type { Index, Ticket } from './model.ts';
import type { Rules } from './rules.ts';

interface Outstanding {
  readonly ticket: Ticket;
  readonly issuedAt: Millis;
  /** End of the log on disk once this returned, lowered by every later truncation. */
  last: Index;
  returned: boolean;
}

export class Disk {
  readonly #rules: Rules;
  readonly #outstanding: Outstanding[] = [];
  #issued: Ticket = 0;
  #done: Ticket = 0;
  #durable: Index;

  constructor(durable: Index, rules: Rules) {
    this.#durable = durable;
    this.#rules = rules;
  }

  get durable(): Index {
    return this.#durable;
  }

  /** The ticket issued last; 0 if none was. */
  get issued(): Ticket {
    return this.#issued;
  }

  /** All up to this one have returned. */
  get done(): Ticket {
    return this.#done;
  }

  /** When the oldest persist that has not returned was issued; Infinity if all have. */
  get waitingSince(): Millis {
    return this.#outstanding[0]?.issuedAt ?? Number.POSITIVE_INFINITY;
  }

  issue(now: Millis, last: Index): Ticket {
    this.#issued += 1;
    this.#outstanding.push({ ticket: this.#issued, issuedAt: now, last, returned: false });
    if (!this.#rules.waitsForDisk()) this.#durable = last;
    return this.#issued;
  }

  /** The log was cut: entries with index >= from are not what was written, or is being written. */
  truncated(from: Index): void {
    this.#durable = this.#rules.durableAfterTruncation(this.#durable, from);
    for (const one of this.#outstanding) one.last = this.#rules.durableAfterTruncation(one.last, from);
  }

  /** A commit returned. A ticket twice, or one that was not issued, is the driver's bug. */
  returned(ticket: Ticket): void {
    const one = this.#outstanding.find((candidate) => candidate.ticket === ticket);
    assert(one !== undefined && !one.returned, `disk: ticket ${ticket} returned, but it is not outstanding`);
    one.returned = true;
    while (this.#outstanding[0]?.returned) {
      const first = this.#outstanding.shift()!;
      this.#done = first.ticket;
      this.#durable = Math.max(this.#durable, first.last);
    }
  }
}
