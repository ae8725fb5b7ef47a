/**
 * The way of an exchange to a node, and to another one when that fails.
 *
 *   pick -> attempt -> answered
 *    ^  \-> wait: every node is full -> pick
 *    |__ failed, and may be sent (again): at once, or after a pause
 *
 * A node that failed is out of the pick for the rest of the exchange (unless it only closed an idle connection and there is
 * no other). Pools with a primary have ways of their own: write-placement.ts, read-placement.ts.
 */
import { hash32, mix32 } from '../../base/hash.ts';
import type { Millis } from '../../base/ids.ts';
import { type Failure, type FailureRule, failureRules } from '../errors.ts';
import { clientAddress } from '../forwarding.ts';
import { hashKeyOf } from '../hash-key.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { allFull, anyNode, type PickFor, type Pool, type Waiter } from '../pool.ts';
import { isSafe, type Retries } from '../retries.ts';
import { Attempt } from './attempt.ts';
import type { Context } from './context.ts';
import type { Exchange } from './exchange.ts';

export class Placement implements Waiter, PickFor {
  readonly exchange: Exchange;
  readonly context: Context;
  readonly retries: Retries;
  /** The one whose nodes are picked from. */
  pool: Pool;
  readonly hash: number = 0;
  readonly tried: number[] = [];
  readonly mayProbe: boolean;
  protected lastFailure: Failure | null = null;
  /** Slot of a node whose kept connection broke: usable once more, with a new connection, if there is no other. */
  #staleSlot = -1;
  #retrying = false;
  #waitingSince = 0;
  #waitingIn: Pool | null = null;
  #backoff: ReturnType<typeof setTimeout> | null = null;

  constructor(exchange: Exchange, pool: Pool) {
    this.exchange = exchange;
    this.context = exchange.context;
    this.retries = exchange.retries!;
    this.pool = pool;
    const { head, client } = exchange;
    this.mayProbe = isSafe(head.method) && head.bodyLength === 0;
    const { balance } = pool.row;
    if (balance.algorithm !== 'consistent-hash') return;
    this.hash = hash32(hashKeyOf(balance.key, head, clientAddress(head, client.peer)));
  }

  // ---- picking ---------------------------------------------------------------------------------------------------

  pick(now: Millis): void {
    const index = this.choose(now);
    if (index >= 0) this.attempt(index, false, now);
    else if (index === allFull) this.#wait();
    else if (this.#staleSlot === -1) this.without(index);
    else this.#pickStale(now);
  }

  /** Index of a node, whose count in flight is raised; or what is said when there is none. */
  protected choose(now: Millis): number {
    return this.pool.pick(this, now);
  }

  /** No other node is there: the one that only closed an idle connection gets another chance, on a new one. */
  #pickStale(now: Millis): void {
    this.tried.splice(this.tried.indexOf(this.#staleSlot), 1);
    this.#staleSlot = -1;
    const index = this.choose(now);
    if (index >= 0) this.attempt(index, true, now);
    else if (index === allFull) this.#wait();
    else this.without(index);
  }

  protected attempt(index: number, fresh: boolean, now: Millis): void {
    this.exchange.begin(new Attempt(this.exchange, index, { fresh, now }));
  }

  /** Nothing was chosen, for this reason. */
  protected without(_reason: number): void {
    if (this.lastFailure !== null) return this.exchange.fail(failureRules[this.lastFailure]);
    this.pool.count('noNode');
    this.exchange.end = 'no_node';
    this.exchange.answer(503, {
      detail: 'No node of the service is fit to answer.',
      proxyError: 'destination_unavailable',
      retryAfter: 1,
    });
  }

  // ---- a pool with a primary -------------------------------------------------------------------------------------

  /** Of the request, as the node gets it; 0: none. */
  get epoch(): number {
    return 0;
  }

  /** The same, once it was sent. */
  get sentEpoch(): number {
    return 0;
  }

  /** Asked directly before the first byte. False: nothing is sent, and another node is picked. */
  mayBegin(_attempt: Attempt): boolean {
    return true;
  }

  /** The head of the answer has come. */
  answered(_attempt: Attempt, _head: ResponseHead): void {}

  /** Fields that the answer gets. */
  answerFields(): string {
    return '';
  }

  /** By which nodes it may have before any was tried. */
  protected get group(): number {
    return anyNode;
  }

  // ---- waiting for a place ---------------------------------------------------------------------------------------

  #wait(): void {
    const { pool } = this;
    if (!pool.wait(this)) {
      pool.count('queueFull');
      return this.#limited();
    }
    pool.count('queued');
    this.#waitingIn = pool;
    this.#waitingSince = this.context.now();
    this.exchange.client.waitUntil(this.#waitingSince + pool.row.limits.queueTimeout);
    this.context.pools.watchQueue(pool);
  }

  get kind(): number {
    if (this.tried.length === 0) return this.group;
    // Not 0, which is anyNode.
    return this.tried.reduce((kind, slot) => mix32(kind ^ slot), this.group) || 1;
  }

  /** Called by whoever frees a place: what goes wrong here is this exchange's affair, not the caller's. */
  tryAgain(): boolean {
    try {
      const now = this.context.now();
      const index = this.choose(now);
      if (index === allFull) return false;
      this.#stopWaiting();
      if (index < 0) this.without(index);
      else this.attempt(index, false, now);
    } catch (error) {
      this.exchange.threw(error);
    }
    return true;
  }

  #stopWaiting(): void {
    if (this.#waitingIn === null) return;
    this.#waitingIn.stopWaiting(this);
    this.#waitingIn = null;
    this.pool.count('queueMs', this.context.now() - this.#waitingSince);
    this.exchange.client.waitUntil(Number.POSITIVE_INFINITY);
  }

  waitedTooLong(): void {
    if (this.#waitingIn === null) return;
    this.pool.count('queueTimeouts');
    this.#limited();
  }

  #limited(): void {
    this.exchange.end = 'limited';
    this.exchange.answer(503, {
      detail: 'The service is at its limit.',
      proxyError: 'connection_limit_reached',
      retryAfter: 1,
    });
  }

  // ---- trying again ----------------------------------------------------------------------------------------------

  /** An attempt has failed before a byte of the answer. False: nothing follows. */
  failed(attempt: Attempt, failure: Failure, rule: FailureRule): boolean {
    const { slot } = attempt.node.row;
    if (failure === 'reset' && attempt.reused) this.#staleSlot = slot;
    this.tried.push(slot);
    this.lastFailure = failure;
    const next = this.retries.after(failure, rule, this.exchange.body.whole);
    if (next === 'none' || (next === 'paid' && !this.#enterBudget())) return false;
    attempt.node.count('retries');
    this.pool.count(next === 'free' ? 'freeRetries' : 'retries');
    if (next === 'free') this.pick(this.context.now());
    else this.#pickLater();
    return true;
  }

  /** Whether an answer is given up for another attempt, its status being listed for that. Then leave, and pickLater(). */
  triesAfter(status: number, attempt: Attempt): boolean {
    const { head, body } = this.exchange;
    if (!this.pool.row.retry.statuses.includes(status)) return false;
    const others = this.tried.length + 1 < this.pool.nodes.length;
    if (!others || !this.retries.afterStatus(status, head.method, body.whole) || !this.#enterBudget()) return false;
    attempt.node.count('retries');
    this.pool.count('retries');
    this.tried.push(attempt.node.row.slot);
    this.lastFailure = 'status';
    return true;
  }

  pickAfterStatus(): void {
    this.#pickLater();
  }

  #enterBudget(): boolean {
    if (this.#retrying) return true;
    this.#retrying = this.pool.beginRetry();
    if (!this.#retrying) this.pool.count('budgetRefused');
    return this.#retrying;
  }

  #pickLater(): void {
    this.#backoff = setTimeout(() => {
      this.#backoff = null;
      try {
        this.pick(this.context.now());
      } catch (error) {
        this.exchange.threw(error);
      }
    }, this.retries.backoff(this.context.options.random.next()));
  }

  /** The exchange has ended: all places are given back. */
  end(): void {
    if (this.#backoff !== null) clearTimeout(this.#backoff);
    this.#stopWaiting();
    if (this.#retrying) this.pool.endRetry();
  }
}
