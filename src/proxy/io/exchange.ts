/**
 * One request and its answer, from the head to the outcome.
 *
 *   route -> own answer (redirect, 404)
 *         -> placement (placement.ts) -> attempt -> answer -> settled
 *              ^__ failed, and may be sent (again) _|
 *
 * It reads the snapshot once and holds it to its end; only the target of a write to a pool with a primary comes from the
 * newest one. It settles once, in one place. Once a byte of the answer has gone out nothing is repeated, and a broken
 * answer breaks the client's connection, so that a part can't pass for the whole.
 */

import { assert } from '../../base/assert.ts';
import type { Millis } from '../../base/ids.ts';
import { hostOf, normalizePath, pathOf, redirectLocation, rewritePath } from '../../routing/rewrite.ts';
import type { PoolView, RouteRow, RouteView, Settings } from '../../routing/snapshot.ts';
import type { RefusalReason } from '../../scoreboard/layout.ts';
import { type Failure, type FailureRule, failureRules } from '../errors.ts';
import { believedField, clientScheme, isLoop, keptRequestId } from '../forwarding.ts';
import { allowedTrailers } from '../http1/chunked.ts';
import { dropFields } from '../http1/grammar.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { End } from '../outcome.ts';
import type { Pool } from '../pool.ts';
import { isSafe, Retries } from '../retries.ts';
import type { Attempt } from './attempt.ts';
import type { Client } from './client.ts';
import type { Context } from './context.ts';
import type { Hold } from './holds.ts';
import { tellRefused, writeOwn } from './own-answers.ts';
import { placementOf } from './place.ts';
import type { Placement } from './placement.ts';
import { RequestBody } from './request-body.ts';
import { countSettled, outcomeOf } from './settle.ts';
import type { Write } from './writes.ts';

/** Scratch for one read of a body; nothing is left in it between calls. */
const pieces: Buffer[] = [];

/** Fields that only we may set, and what nodes tell us alone. */
const ourFields: ReadonlySet<string> = new Set([
  'x-ha-epoch',
  'x-ha-position',
  'x-ha-stale',
  'x-ha-lost',
  'x-ha-token',
]);

interface OwnAnswer {
  readonly detail: string;
  readonly proxyError?: string;
  readonly retryAfter?: number;
  readonly location?: string;
  /** The connection ends whatever follows. */
  readonly close?: true;
}

const cutAnswer: OwnAnswer = {
  detail: 'The primary was replaced while the write was under way: whether it took effect is not known.',
  proxyError: 'http_response_incomplete',
  close: true,
};

export class Exchange {
  readonly client: Client;
  readonly head: RequestHead;
  readonly context: Context;
  readonly settings: Settings;
  readonly id: string;
  readonly began: number;
  readonly body: RequestBody;
  readonly route: RouteView | null;
  /** As the node gets it, after the route's rewrite. */
  target = '';
  placement: Placement | null = null;
  retries: Retries | null = null;
  /** To a pool with a primary: it goes there, once, and under a lease. */
  readonly writes: boolean;
  /** While it is counted as a write. */
  held: Write | null = null;
  attempt: Attempt | null = null;
  /** The attempt that answered, or the last one. */
  last: Attempt | null = null;

  status = 0;
  bytesOut = 0;
  /** Of these, the answer's head. */
  headOut = 0;
  tries = 0;
  connectMs = -1;
  end: End = 'ok';
  settled = false;
  /** A byte of the answer has gone to the client. */
  answered = false;

  readonly #hold: Hold;
  #closeAfter = false;

  constructor(client: Client, head: RequestHead) {
    this.client = client;
    this.head = head;
    this.context = client.context;
    this.#hold = this.context.holds.current!;
    this.settings = this.#hold.snapshot.settings;
    this.began = this.context.now();
    this.id = keptRequestId(head, client.peer) ?? this.context.newRequestId();
    if (head.target !== '*') head.target = normalizePath(head.target);
    this.route = this.#match();
    const view = this.route?.pool ?? null;
    this.writes = view !== null && view.row.primary !== null && this.#isWrite();
    if (view !== null) this.retries = new Retries(head.method, view.row.retry, this.writes);
    const retain = this.retries?.repeatable === true ? view!.row.retry.buffer : 0;
    this.body = new RequestBody(head.bodyLength, retain, this);
    // Last: if anything above throws there is no exchange that would settle.
    this.#hold.count++;
  }

  /** What the route says; else all but safe methods, and tunnels, whatever passes in them. */
  #isWrite(): boolean {
    const { treatAs } = this.route!.row;
    return treatAs === null ? !isSafe(this.head.method) || this.head.upgrade : treatAs === 'write';
  }

  #match(): RouteView | null {
    const { facts } = this.context;
    facts.listener = this.client.listener.slot;
    facts.host = hostOf(this.head.authority);
    facts.path = pathOf(this.head.target);
    facts.method = this.head.method;
    facts.source = this;
    return this.#hold.snapshot.match(facts);
  }

  /** As routes see it. */
  header(name: string): string | undefined {
    return believedField(name, this.head, this.client.peer);
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
    const wait = this.context.limiter === null ? 0 : this.context.limiter.wait(head, this.client);
    if (wait > 0) return this.#limited(wait);
    if (isLoop(head, this.settings.fields.via))
      return this.refuse(508, 'loop', 'The request has come through this proxy before.');
    if (head.hopsLeft === 0) return this.answer(204, { detail: '' });
    if (this.client.secure?.serves(hostOf(head.authority)) === false)
      return this.refuse(421, 'misdirected', 'This connection is not for that host: open another for it.');
    if (route === null) return this.refuse(404, 'no-route', 'No route leads to this address.');
    if (route.pool === null) return this.#redirect(route.row);
    this.target = route.rewrite === null ? head.target : rewritePath(head.target, route.rewrite);
    this.#enter(route.pool);
    this.placement!.pick(this.began);
  }

  /** Its client is over limits.perAddress.requests: nothing of it is forwarded, and the connection lives on. */
  #limited(wait: Millis): void {
    this.end = 'limited';
    this.answer(429, {
      detail: 'Too many requests from this address.',
      proxyError: 'http_request_denied',
      retryAfter: Math.ceil(wait / 1000),
    });
  }

  #enter(view: PoolView): void {
    const pool = this.context.pools.of(view);
    this.placement = placementOf(this, pool);
    pool.enter();
  }

  get pool(): Pool | null {
    return this.placement === null ? null : this.placement.pool;
  }

  /** A node was picked: one try begins. */
  begin(attempt: Attempt): void {
    this.tries++;
    this.connectMs = -1;
    this.attempt = attempt;
    this.last = attempt;
    attempt.begin();
  }

  /** The attempt was given back before anything was sent. */
  pickAgain(): void {
    this.attempt = null;
    this.placement!.pick(this.context.now());
  }

  waitedTooLong(): void {
    this.placement?.waitedTooLong();
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

  passedTrailers(lines: string): string {
    const { trailers, underscore } = this.settings.fields;
    if (!trailers) return '';
    return allowedTrailers(lines, { underscore: underscore === 'allow', drop: this.route?.requestDrop ?? null });
  }

  /** Nothing of the body that was read is held here. */
  get passedOn(): boolean {
    const { attempt } = this;
    return this.body.keptBytes === 0 && attempt?.sending === true && attempt.upstream.socket.writableLength === 0;
  }

  // ---- the answer ------------------------------------------------------------------------------------------------

  /** Fields of a node's answer that the client gets. */
  passedFields(head: ResponseHead): string {
    const { responseDrop } = this.route!;
    const fields = responseDrop === null ? head.fields : dropFields(head.fields, responseDrop);
    return this.placement!.pool.row.primary === null ? fields : dropFields(fields, ourFields);
  }

  /** The client's head for a node's answer. `closes`: only the connection's end tells where the body ends. */
  answerText(head: ResponseHead, framing: string, closes: boolean): string {
    const { client, context, route } = this;
    this.#closeAfter = closes || !this.head.keepAlive || !this.body.complete || client.lastRequest || context.draining;
    const fields = this.passedFields(head);
    let own = `${framing}${this.placement!.answerFields()}X-Request-Id: ${this.id}\r\n`;
    if (!head.hasDate) own += `Date: ${context.date}\r\n`;
    if (this.settings.fields.serverTiming) own += `Server-Timing: ek;dur=${this.last!.ttfbMs.toFixed(1)}\r\n`;
    if (this.#closeAfter) own += 'Connection: close\r\n';
    else if (this.head.minor === 0) own += 'Connection: keep-alive\r\n';
    const text = `HTTP/1.1 ${head.statusText}\r\n${fields}${route!.responseSet}${own}\r\n`;
    this.headOut = text.length;
    return text;
  }

  write(text: string): void {
    this.answered = true;
    this.bytesOut += text.length;
    if (!this.client.socket.write(text, 'latin1', this.held?.passing())) this.#full();
  }

  writeBytes(bytes: Buffer, written?: () => void): void {
    this.bytesOut += bytes.length;
    if (!this.client.socket.write(bytes, this.held === null ? written : this.held.passing(written))) this.#full();
  }

  #full(): void {
    this.client.full();
    this.attempt?.block();
  }

  answerDone(now: Millis): void {
    this.attempt = null;
    this.settle('ok', now);
    this.client.exchangeEnded(this.#closeAfter, now);
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
    if (!this.placement!.failed(attempt, failure, rule)) this.fail(rule, detail);
  }

  /** Gives an answer up for another attempt, if its status is listed for that. The head of it is all that was read. */
  statusRetried(status: number, attempt: Attempt): boolean {
    if (!this.placement!.triesAfter(status, attempt)) return false;
    attempt.leave({ failed: true, keep: false });
    this.attempt = null;
    this.placement!.pickAfterStatus();
    return true;
  }

  /** No further attempt: our own answer says why. */
  fail(rule: FailureRule, why = ''): void {
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

  #redirect({ action }: RouteRow): void {
    assert(action.kind === 'redirect', 'a route has neither a pool nor an address to redirect to');
    const location = redirectLocation(action.to, {
      host: hostOf(this.head.authority),
      target: this.head.target,
      scheme: clientScheme(this.head, this.client.peer),
    });
    if (location === null)
      this.refuse(400, 'bad-host', 'The address asked for leads elsewhere, but the request names no host.');
    else this.answer(action.status, { detail: 'The resource is elsewhere.', location });
  }

  /** A request that is not forwarded, or no further. */
  refuse(status: number, reason: RefusalReason, detail: string): void {
    this.context.countRefusal(reason);
    if (reason !== 'no-route') tellRefused(this.client, this.id, { status, reason, detail });
    this.end = reason === 'no-route' ? 'no_route' : 'bad_request';
    if (!this.answered) return this.answer(status, { detail });
    this.#leave();
    this.settle(this.end);
    this.client.cut();
  }

  /** Answers ourselves and settles. */
  answer(status: number, own: OwnAnswer): void {
    this.status = status;
    this.#leave();
    const close =
      status === 400 ||
      own.close === true ||
      !this.head.keepAlive ||
      !this.body.complete ||
      this.client.lastRequest ||
      this.context.draining;
    const sent = writeOwn(this.client, { ...own, status, close, id: this.id, head: this.head });
    this.bytesOut += sent.bytesOut;
    this.headOut = sent.headOut;
    const now = this.context.now();
    this.settle(this.end, now);
    this.client.exchangeEnded(close, now);
  }

  /**
   * The lease under which this write was sent has ended: it leaves its node, nothing more of the answer is passed on, and
   * it is not sent again. What became of it nobody knows. An answer of which a part has gone out is broken off.
   */
  cutWrite(): void {
    if (this.settled) return this.client.cut();
    this.pool!.count('writesCut');
    this.end = 'cut';
    this.attempt?.abort();
    if (!this.answered) return this.answer(504, cutAnswer);
    this.#leave();
    this.client.cut();
    this.settle('cut');
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
  settle(end: End, now = this.context.now()): void {
    if (this.settled) return;
    this.settled = true;
    this.end = end;
    if (this.placement !== null) {
      this.placement.end();
      this.placement.pool.leave();
    }
    this.held?.settled();
    // Before anyone is told: a listener that throws must not keep the snapshot.
    this.context.holds.release(this.#hold);
    countSettled(this, now);
    if (this.settings.accessLog) this.context.options.onOutcome(outcomeOf(this, now));
  }
}
