/**
 * Whether a request may be sent again. Pure; one per exchange.
 *
 * - Unsent (no connection came about): any method may go to another node.
 * - Sent: only a safe method, or one that the config names, whose body is still kept whole, and whose client was not told
 *   100 (Continue).
 * - The first refused or broken attempt is repeated for free, at once. Without that, a dead node's eleven broken exchanges
 *   gave three errors, since the budget was used up. All else counts against attempts and the pool's budget.
 */
import type { PoolRow } from '../routing/snapshot.ts';
import type { Failure, FailureRule } from './errors.ts';

/** RFC 9110 9.2.1, without TRACE. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export const isSafe = (method: string): boolean => safeMethods.has(method);

export class Retries {
  /** The method may be repeated after a byte of it has left. */
  readonly repeatable: boolean;
  /** A byte of the request was handed to a connected socket. */
  sent = false;
  /** The client was told 100 (Continue): its body will not come again. */
  continued = false;
  readonly #config: PoolRow['retry'];
  #freeUsed = false;
  #paid = 0;

  /** `once`: a write to a pool with a primary; whatever the config says, it is never sent again. */
  constructor(method: string, config: PoolRow['retry'], once = false) {
    this.#config = config;
    this.repeatable = !once && (isSafe(method) || config.methods.includes(method));
  }

  /** What may follow a failed attempt. A `free` or `paid` one is taken at once. */
  after(failure: Failure, rule: FailureRule, bodyWhole: boolean): 'free' | 'paid' | 'none' {
    if (rule.retry === 'never' || !this.mayRepeat(bodyWhole)) return 'none';
    if ((failure === 'refused' || failure === 'reset') && !this.#freeUsed) {
      this.#freeUsed = true;
      return 'free';
    }
    return this.#pay();
  }

  /** Whether an answer with this status is thrown away for another attempt. */
  afterStatus(status: number, method: string, bodyWhole: boolean): boolean {
    return (
      this.#config.statuses.includes(status) &&
      isSafe(method) &&
      this.repeatable &&
      this.mayRepeat(bodyWhole) &&
      this.#pay() === 'paid'
    );
  }

  /** Whether it may be sent (again) at all. */
  mayRepeat(bodyWhole: boolean): boolean {
    return !this.sent || (this.repeatable && bodyWhole && !this.continued);
  }

  #pay(): 'paid' | 'none' {
    if (this.#paid + 1 >= this.#config.attempts) return 'none';
    this.#paid++;
    return 'paid';
  }

  /** Pause before the paid attempt, ms: doubled each time, jittered by half. `chance` is uniform in [0, 1). */
  backoff(chance: number): number {
    return this.#config.backoff * 2 ** (this.#paid - 1) * (0.5 + chance / 2);
  }
}
