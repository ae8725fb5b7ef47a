/**
 * One request and its answer, from the head to the outcome.
 *
 *   route -> own answer (redirect, 404)
 *         -> pick -> [wait for a place] -> attempt -> answer -> settled
 *              ^________ failed, and may be sent (again) _|
 *
 * It reads the snapshot once and holds it to its end. It settles once, in one place. A node that failed is out of the
 * pick for the rest of the exchange (unless it only closed an idle connection and there is no other). Once a byte of
 * the answer has gone out nothing is repeated, and a broken answer breaks the client's connection, so that a part
 * can't pass for the whole.
 */
import { hash32 } from '../../base/hash.ts';
import { hostOf, normalizePath, pathOf, redirectLocation, rewritePath } from '../../routing/rewrite.ts';
import type { PoolView, RouteView, Settings } from '../../routing/snapshot.ts';
import type { RefusalReason } from '../../scoreboard/layout.ts';
import { type Failure, type FailureRule, failureRules } from '../errors.ts';
import { clientAddress, isLoop, keptRequestId } from '../forwarding.ts';
import { hashKeyOf } from '../hash-key.ts';
import { dropFields } from '../http1/grammar.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { End } from '../outcome.ts';
import { allFull, noNode, type PickFor, type Pool, type Waiter } from '../pool.ts';
import { isSafe, Retries } from '../retries.ts';
import { Attempt } from './attempt.ts';
import type { Client } from './client.ts';
import type { Context } from './context.ts';
import type { Hold } from './holds.ts';
import { writeOwn } from './own-answers.ts';
import { RequestBody } from './request-body.ts';
import { countSettled, outcomeOf } from './settle.ts';

/** Scratch for one read of a body; nothing is left in it between calls. */
const pieces: Buffer[] = [];

export class Exchange implements Waiter, PickFor {
  readonly client: Client;
  readonly head: RequestHead;
  readonly context: Context;
  readonly settings: Settings;
  readonly id: string;
  readonly began: number;
  readonly startedAt: number;
  readonly body: RequestBody;
  readonly route: RouteView | null;
  /** As the node gets it, after the route's rewrite. */
  target = '';
  pool: Pool | null = null;
  retries: Retries | null = null;
  attempt: Attempt | null = null;
  /** The attempt that answered, or the last one. */
  last: Attempt | null = null;

  hash = 0;
  readonly tried: number[] = [];
  mayProbe = false;

  status = 0;
  bytesOut = 0;
  tries = 0;
  connectMs = -1;
  end: End = 'ok';
  settled = false;
  /** A byte of the answer has gone to the client. */
  answered = false;

  readonly #hold: Hold;
  #lastFailure: Failure | null = null;
  /** Slot of a node whose kept connection broke: usable once more, with a new connection, if there is no other. */
  #staleSlot = -1;
  #retrying = false;
  #waitingSince = 0;
  #backoff: ReturnType<typeof setTimeout> | null = null;
  #closeAfter = false;

  constructor(client: Client, head: RequestHead) {
    this.client = client;
    this.head = head;
    this.context = client.context;
    this.#hold = this.context.holds.current!;
    this.settings = this.#hold.snapshot.settings;
    this.began = this.context.now();
    this.startedAt = Date.now();
    this.id = keptRequestId(head, client.peer) ?? this.context.newRequestId();
    if (head.target !== '*') head.target = normalizePath(head.target);
    this.route = this.#match();
    const view = this.route?.pool ?? null;
    if (view !== null) this.retries = new Retries(head.method, view.row.retry);
    const retain = this.retries?.repeatable === true ? view!.row.retry.buffer : 0;
    this.body = new RequestBody(head.bodyLength, retain, this.settings.fields.trailers);
    // Last: if anything above throws there is no exchange that would settle.
    this.#hold.count++;
  }

  #match(): RouteView | null {
    const { facts } = this.context;
    facts.listener = this.client.listener.slot;
    facts.host = hostOf(this.head.authority);
    facts.path = pathOf(this.head.target);
    facts.method = this.head.method;
    facts.source = this.head;
    return this.#hold.snapshot.match(facts);
  }

  // ---- from the head to a node -----------------------------------------------------------------------------------

  /** Begins with what came behind the head. Returns where this request's bytes end. */
  start(bytes: Buffer, from: number): number {
    const { maxBody } = this.settings.limits;
    if (maxBody !== null && this.head.bodyLength > maxBody) {
      this.refuse(413, 'body-too-large', `The body is over ${maxBody} bytes.`);
      return bytes.length;
    }
    const to = this.body.complete ? from : this.feed(bytes, from);
    if (!this.settled) this.#act();
    return to;
  }

  #act(): void {
    const { route, head } = this;
    if (isLoop(head, this.settings.fields.via))
      return this.refuse(508, 'loop', 'The request has come through this proxy before.');
    if (this.client.secure?.serves(hostOf(head.authority)) === false)
      return this.refuse(421, 'misdirected', 'This connection is not for that host: open another for it.');
    if (route === null) return this.refuse(404, 'no-route', 'No route leads to this address.');
    const { action } = route.row;
    if (action.kind === 'redirect') return this.#redirect(action.to, action.status);
    this.target = action.rewrite === null ? head.target : rewritePath(head.target, action.rewrite);
    this.#enter(route.pool!);
    this.#pick();
  }

  #enter(view: PoolView): void {
    const pool = this.context.pools.of(view);
    this.pool = pool;
    pool.enter();
    this.mayProbe = isSafe(this.head.method) && this.head.bodyLength === 0;
    const { balance } = pool.row;
    if (balance.algorithm !== 'consistent-hash') return;
    this.hash = hash32(hashKeyOf(balance.key, this.head, clientAddress(this.head, this.client.peer)));
  }

  #pick(): void {
    const index = this.pool!.pick(this, this.context.now());
    if (index >= 0) this.#try(index, false);
    else if (index === allFull) this.#wait();
    else if (this.#staleSlot === -1) this.#noNode();
    else this.#pickStale();
  }

  /** No other node is there: the one that only closed an idle connection gets another chance, on a new one. */
  #pickStale(): void {
    this.tried.splice(this.tried.indexOf(this.#staleSlot), 1);
    this.#staleSlot = -1;
    const index = this.pool!.pick(this, this.context.now());
    if (index >= 0) this.#try(index, true);
    else if (index === allFull) this.#wait();
    else this.#noNode();
  }

  #try(index: number, fresh: boolean): void {
    this.tries++;
    this.connectMs = -1;
    this.attempt = new Attempt(this, index, fresh);
    this.last = this.attempt;
    this.attempt.begin();
  }

  #noNode(): void {
    if (this.#lastFailure !== null) return this.#fail(failureRules[this.#lastFailure]);
    this.pool!.count('noNode');
    this.end = 'no_node';
    this.answer(503, {
      detail: 'No node of the service is fit to answer.',
      proxyError: 'destination_unavailable',
      retryAfter: 1,
    });
  }

  // ---- waiting for a place ---------------------------------------------------------------------------------------

  #wait(): void {
    const pool = this.pool!;
    if (!pool.wait(this)) {
      pool.count('queueFull');
      return this.#limited();
    }
    pool.count('queued');
    this.#waitingSince = this.context.now();
    this.client.waitUntil(this.#waitingSince + pool.row.limits.queueTimeout);
    this.context.pools.watchQueue(pool);
  }

  /** Called by whoever frees a place: what goes wrong here is this exchange's affair, not the caller's. */
  tryAgain(): boolean {
    try {
      const index = this.pool!.pick(this, this.context.now());
      if (index === allFull) return false;
      this.#stopWaiting();
      if (index === noNode) this.#noNode();
      else this.#try(index, false);
    } catch (error) {
      this.threw(error);
    }
    return true;
  }

  #stopWaiting(): void {
    if (this.#waitingSince === 0) return;
    this.pool!.stopWaiting(this);
    this.pool!.count('queueMs', this.context.now() - this.#waitingSince);
    this.#waitingSince = 0;
    this.client.waitUntil(Number.POSITIVE_INFINITY);
  }

  waitedTooLong(): void {
    if (this.#waitingSince === 0) return;
    this.pool!.count('queueTimeouts');
    this.#limited();
  }

  #limited(): void {
    this.end = 'limited';
    this.answer(503, { detail: 'The service is at its limit.', proxyError: 'connection_limit_reached', retryAfter: 1 });
  }

  // ---- the request's body ----------------------------------------------------------------------------------------

  /** Body bytes of the client. Returns where the body's bytes end. */
  feed(bytes: Buffer, from: number): number {
    const { body, attempt } = this;
    pieces.length = 0;
    const to = body.read(bytes, from, pieces);
    const { maxBody } = this.settings.limits;
    if (body.fault !== null) {
      this.refuse(400, body.fault, 'The chunked coding of the body is not well formed.');
    } else if (maxBody !== null && body.bytes > maxBody) {
      this.refuse(413, 'body-too-large', `The body is over ${maxBody} bytes.`);
    } else {
      const sending = attempt?.sending ?? false;
      body.keep(pieces, sending);
      this.client.bodyProgress(body.complete);
      if (sending) attempt!.pass(pieces);
      else if (body.full && !body.complete) this.client.readOn(false);
    }
    pieces.length = 0;
    return to;
  }

  // ---- the answer ------------------------------------------------------------------------------------------------

  /** The client's head for a node's answer. `closes`: only the connection's end tells where the body ends. */
  answerText(head: ResponseHead, framing: string, closes: boolean): string {
    const { client, context, route } = this;
    this.#closeAfter = closes || !this.head.keepAlive || !this.body.complete || client.lastRequest || context.draining;
    const fields = route!.responseDrop === null ? head.fields : dropFields(head.fields, route!.responseDrop);
    let own = `${framing}X-Request-Id: ${this.id}\r\n`;
    if (!head.hasDate) own += `Date: ${context.date}\r\n`;
    if (this.settings.fields.serverTiming) own += `Server-Timing: ek;dur=${this.last!.ttfbMs.toFixed(1)}\r\n`;
    if (this.#closeAfter) own += 'Connection: close\r\n';
    else if (this.head.minor === 0) own += 'Connection: keep-alive\r\n';
    return `HTTP/1.1 ${head.statusText}\r\n${fields}${route!.responseSet}${own}\r\n`;
  }

  write(text: string): void {
    this.answered = true;
    this.bytesOut += text.length;
    if (!this.client.socket.write(text, 'latin1')) this.#full();
  }

  writeBytes(bytes: Buffer, written?: () => void): void {
    this.bytesOut += bytes.length;
    if (!this.client.socket.write(bytes, written)) this.#full();
  }

  #full(): void {
    this.client.full();
    this.attempt?.block();
  }

  answerDone(): void {
    this.attempt = null;
    this.settle('ok');
    this.client.exchangeEnded(this.#closeAfter);
  }

  // ---- what goes wrong at the node -------------------------------------------------------------------------------

  /** The attempt has left its node. What follows: another attempt, our own answer, or a cut. */
  attemptFailed(attempt: Attempt, failure: Failure, detail: string): void {
    const rule = failureRules[failure];
    this.attempt = null;
    const stale = failure === 'reset' && attempt.reused;
    if (rule.signal !== null && !stale) attempt.signal(rule.signal, detail);
    if (this.answered) {
      this.settle(rule.end);
      return this.client.cut();
    }
    const { slot } = attempt.node.row;
    if (stale) this.#staleSlot = slot;
    this.tried.push(slot);
    this.#lastFailure = failure;
    if (!this.#retried(failure, rule, attempt)) this.#fail(rule, detail);
  }

  #retried(failure: Failure, rule: FailureRule, attempt: Attempt): boolean {
    const next = this.retries!.after(failure, rule, this.body.whole);
    if (next === 'none' || (next === 'paid' && !this.#enterBudget())) return false;
    attempt.node.count('retries');
    this.pool!.count(next === 'free' ? 'freeRetries' : 'retries');
    if (next === 'free') this.#pick();
    else this.#pickLater();
    return true;
  }

  /** Gives an answer up for another attempt, if its status is listed for that. The head of it is all that was read. */
  statusRetried(status: number, attempt: Attempt): boolean {
    if (!this.pool!.row.retry.statuses.includes(status)) return false;
    const others = this.tried.length + 1 < this.pool!.nodes.length;
    if (!others || !this.retries!.afterStatus(status, this.head.method, this.body.whole) || !this.#enterBudget())
      return false;
    attempt.node.count('retries');
    this.pool!.count('retries');
    this.tried.push(attempt.node.row.slot);
    this.#lastFailure = 'status';
    attempt.leave({ failed: true, keep: false });
    this.attempt = null;
    this.#pickLater();
    return true;
  }

  #enterBudget(): boolean {
    if (this.#retrying) return true;
    this.#retrying = this.pool!.beginRetry();
    if (!this.#retrying) this.pool!.count('budgetRefused');
    return this.#retrying;
  }

  #pickLater(): void {
    this.#backoff = setTimeout(() => {
      this.#backoff = null;
      try {
        this.#pick();
      } catch (error) {
        this.threw(error);
      }
    }, this.retries!.backoff(this.context.options.random.next()));
  }

  #fail(rule: FailureRule, why = ''): void {
    this.end = rule.end;
    this.context.options.onEvent({
      level: 'debug',
      event: 'exchange-failed',
      message: `${this.head.method} got ${rule.status} from pool ${this.pool!.row.name}: ${rule.detail} ${why}`,
      fields: { id: this.id, pool: this.pool!.row.name, node: this.last?.node.row.id ?? '', status: rule.status },
    });
    this.answer(rule.status, {
      detail: rule.detail,
      proxyError: rule.proxyError,
      retryAfter: rule.status === 503 ? 1 : 0,
    });
  }

  // ---- ends ------------------------------------------------------------------------------------------------------

  #redirect(to: string, status: number): void {
    const location = redirectLocation(to, {
      host: hostOf(this.head.authority),
      target: this.head.target,
      scheme: this.client.peer.scheme,
    });
    if (location === null)
      this.refuse(400, 'bad-host', 'The address asked for leads elsewhere, but the request names no host.');
    else this.answer(status, { detail: 'The resource is elsewhere.', location });
  }

  /** A request that is not forwarded, or no further. */
  refuse(status: number, reason: RefusalReason, detail: string): void {
    this.context.countRefusal(reason);
    this.end = reason === 'no-route' ? 'no_route' : 'bad_request';
    if (!this.answered) return this.answer(status, { detail });
    this.#leave();
    this.settle(this.end);
    this.client.cut();
  }

  /** Answers ourselves and settles. */
  answer(status: number, own: { detail: string; proxyError?: string; retryAfter?: number; location?: string }): void {
    this.status = status;
    this.#leave();
    const close =
      status === 400 || !this.head.keepAlive || !this.body.complete || this.client.lastRequest || this.context.draining;
    this.bytesOut += writeOwn(this.client, { status, close, id: this.id, head: this.head, ...own });
    this.settle(this.end);
    this.client.exchangeEnded(close);
  }

  /** The client went away: nothing more is sent to it, and the node's connection ends. */
  clientGone(): void {
    if (this.settled) return;
    this.status = 499;
    this.last?.node.count('clientAborts');
    this.#leave();
    this.settle('client_abort');
  }

  /** A guard caught an exception: this exchange ends, and both its sockets. */
  threw(error: unknown): void {
    this.context.exception('an exchange', error);
    this.status = 500;
    this.#leave();
    this.settle('internal');
    this.client.cut();
  }

  #leave(): void {
    this.attempt?.leave({ failed: false, keep: false });
    this.attempt = null;
  }

  /** The one place where an exchange is counted. */
  settle(end: End): void {
    if (this.settled) return;
    this.settled = true;
    this.end = end;
    if (this.#backoff !== null) clearTimeout(this.#backoff);
    if (this.pool !== null) {
      this.#stopWaiting();
      if (this.#retrying) this.pool.endRetry();
      this.pool.leave();
    }
    // Before anyone is told: a listener that throws must not keep the snapshot.
    this.context.holds.release(this.#hold);
    countSettled(this);
    if (this.settings.accessLog) this.context.options.onOutcome(outcomeOf(this));
  }
}
