/**
 * One try to get an answer from one node: connect or reuse, send, relay, leave. An exchange has one at a time.
 *
 * It holds one unit of the node's in-flight count from its beginning to leave(), which runs once. After it no
 * event of the connection reaches it.
 */

import type { Millis } from '../../base/ids.ts';
import type { Failure } from '../errors.ts';
import { requestText } from '../forwarding.ts';
import { upgradeFields } from '../http1/grammar.ts';
import { endsPlainly, mayCloseUnsaid, type ResponseHead } from '../http1/response-head.ts';
import type { End, NodeSignal } from '../outcome.ts';
import type { Pool } from '../pool.ts';
import type { Context } from './context.ts';
import type { Exchange } from './exchange.ts';
import { type InLine, mayShare, type Pipeline } from './pipeline.ts';
import { interimText, ResponseRelay } from './response-relay.ts';
import { Tunnel } from './tunnel.ts';
import type { Upstream, UpstreamUser } from './upstream.ts';
import type { UpstreamNode } from './upstream-node.ts';

/** Kept body bytes up to this size leave with the head in one write. */
const oneWriteBytes = 16 * 1024;

export class Attempt implements UpstreamUser, InLine {
  readonly exchange: Exchange;
  readonly node: UpstreamNode;
  readonly upstream: Upstream;
  /** null: the connection is its own. */
  readonly pipeline: Pipeline | null;
  readonly waits = true;
  /** The connection had served before. */
  reused: boolean;
  /** Bytes of the request have been handed to a connected socket. */
  sending = false;
  /** -1 = no byte of an answer. */
  ttfbMs = -1;
  /** In a pipeline, whose connection's deadline is not its own. */
  deadline = Number.POSITIVE_INFINITY;
  /** Its answer has come to its end. */
  whole = false;
  /** Of an answer in a pipeline that is given up for another attempt. */
  givenUp: ResponseHead | null = null;
  readonly #context: Context;
  readonly #pool: Pool;
  readonly #index: number;
  readonly #began: Millis;
  /** When the event that is being handled came: one look at the clock for all that follows from it (9 cost 2 % of a request). */
  #readAt: Millis;
  #probing: boolean;
  #relay: ResponseRelay;
  #blocked = false;
  #left = false;
  #keepAlive = false;
  #closesUnsaid = false;
  #othersBehind = false;
  #idleMs = 0;

  /** `index`: of the node in the pool, as just picked. `fresh`: a new connection whatever is idle. */
  constructor(exchange: Exchange, index: number, { fresh, now }: { readonly fresh: boolean; readonly now: Millis }) {
    const pool = exchange.pool!;
    this.exchange = exchange;
    this.#context = exchange.context;
    this.#pool = pool;
    this.#index = index;
    this.#probing = pool.probing;
    this.#began = now;
    this.#readAt = now;
    this.node = this.#context.pools.node(pool.nodes[index]!, pool.row);
    const shared = fresh || this.#probing || !mayShare(exchange) ? null : this.node.share(this.#began);
    const kept = fresh || shared !== null ? null : this.node.take(exchange.retries!.repeatable, this.#began);
    this.pipeline = shared;
    this.upstream = shared?.upstream ?? kept ?? this.node.connect();
    this.reused = kept !== null || shared?.hasServed === true;
    this.#relay = new ResponseRelay(this, this.upstream);
  }

  /** Sends at once on a kept connection; a new one calls connected(). */
  begin(): void {
    if (this.reused) this.node.count('reused');
    if (this.pipeline !== null) return this.pipeline.join(this);
    this.upstream.use(this);
    if (this.reused) this.#send();
  }

  // ---- sending ---------------------------------------------------------------------------------------------------

  connected(): void {
    this.exchange.connectMs = this.upstream.connectMs;
    this.#send();
  }

  /** The head, to be written now; empty: nothing may be sent, and another node is picked. */
  compose(): string {
    const { exchange, node } = this;
    const text = requestText(exchange.head, exchange.client.peer, exchange.route!, {
      target: exchange.target,
      requestId: exchange.id,
      authority: node.row.authority,
      fields: exchange.settings.fields,
      epoch: exchange.placement!.epoch,
    });
    if (!exchange.placement!.mayBegin(this)) {
      this.#giveBack();
      return '';
    }
    this.sending = true;
    exchange.retries!.sent = true;
    node.count('requests');
    node.count('bytesOut', text.length + exchange.body.keptBytes);
    if (this.pipeline === null) return text;
    if (!this.reused) exchange.connectMs = this.upstream.connectMs;
    this.deadline = this.#began + this.upstream.connectMs + node.limits.responseTimeout;
    return text;
  }

  #send(): void {
    const { exchange, upstream, node } = this;
    const { body } = exchange;
    const text = this.compose();
    if (text === '') return;
    let flowing: boolean;
    if (body.keptBytes === 0) flowing = upstream.socket.write(text, 'latin1');
    else if (body.keptBytes <= oneWriteBytes) flowing = upstream.socket.write(text + textOf(body.kept), 'latin1');
    else {
      flowing = upstream.socket.write(text, 'latin1');
      for (const piece of body.kept) flowing = upstream.socket.write(piece);
    }
    body.sent();
    exchange.client.readOn(flowing);
    if (body.complete) upstream.arm(this.#began + upstream.connectMs + node.limits.responseTimeout);
    else this.#awaitNode();
    // The thread may have stood still between the look at the lease and the system call.
    exchange.held?.stands();
  }

  /** Nothing was sent, and nothing may be: the connection goes back unused. */
  #giveBack(): void {
    this.leave({ failed: false, keep: true });
    this.exchange.pickAgain();
  }

  /** More of the request's body. */
  pass(pieces: readonly Buffer[]): void {
    if (this.exchange.held?.stands() === false) return;
    let flowing = true;
    for (const piece of pieces) {
      this.node.count('bytesOut', piece.length);
      flowing = this.upstream.send(piece);
    }
    if (!flowing) this.exchange.client.readOn(false);
    this.#awaitNode();
  }

  drained(): void {
    this.exchange.client.readOn(true);
    this.#awaitNode();
  }

  /**
   * The node's deadline for what it owes next: an answer to a whole request, more of an answer, 100 (Continue), or room
   * for more of the body. None runs while the client is awaited, who has deadlines of its own: five slow clients could
   * have a good node ejected otherwise.
   */
  #awaitNode(now = this.#context.now()): void {
    if (this.#blocked || this.#left || (this.pipeline === null && this.upstream.user !== this)) return;
    const { exchange, node } = this;
    const { body, head, retries, client } = exchange;
    const owes = body.complete || client.bodyHeldBack || (head.expectContinue && !retries!.continued);
    const ms = exchange.answered ? node.limits.bodyTimeout : node.limits.responseTimeout;
    this.#arm(owes ? now + ms : Number.POSITIVE_INFINITY);
  }

  #arm(deadline: number): void {
    if (this.pipeline === null) this.upstream.arm(deadline);
    else this.deadline = deadline;
  }

  // ---- the answer ------------------------------------------------------------------------------------------------

  received(bytes: Buffer, length: number): void {
    if (this.exchange.held?.stands() === false) return;
    this.node.count('bytesIn', length);
    this.readAnswer(bytes, 0, length);
  }

  readAnswer(bytes: Buffer, from: number, to: number): void {
    const now = this.#context.now();
    this.#readAt = now;
    this.#relay.read(bytes, from, to);
    if (this.exchange.answered) this.#awaitNode(now);
  }

  endAnswer(): boolean {
    this.#readAt = this.#context.now();
    return this.#relay.end();
  }

  /** A byte of an answer has come. */
  get begun(): boolean {
    return this.#relay.begun;
  }

  /** A final head has come. False if the answer is given up for another attempt. */
  answerBegins(head: ResponseHead): boolean {
    this.ttfbMs = this.#readAt - this.#began;
    this.node.countStatus(head.status);
    this.node.count('ttfbMs', this.ttfbMs);
    this.#judge(head.status >= 500, `status ${head.status}`);
    if (this.pipeline !== null) this.givenUp = head;
    if (this.exchange.statusRetried(head.status, this)) return false;
    this.givenUp = null;
    this.exchange.status = head.status;
    this.exchange.placement!.answered(this, head);
    this.#closesUnsaid = mayCloseUnsaid(this.exchange.head.method, head);
    // Where a connection is shared, now or later.
    this.#keepAlive =
      head.keepAlive && (this.node.limits.pipelining === 1 || endsPlainly(this.exchange.head.method, head));
    this.#idleMs = this.node.limits.idleTimeout;
    if (head.keepAliveTimeout >= 0) this.#idleMs = Math.min(this.#idleMs, head.keepAliveTimeout * 1000 - 1000);
    if (this.pipeline !== null) this.pipeline.idleMs = this.#idleMs;
    return true;
  }

  /** After answerBegins() said no: so many bytes were read behind the head. */
  bodyUnread(bytes: number): void {
    this.pipeline?.endsBefore(bytes);
  }

  interim(head: ResponseHead): void {
    const { exchange } = this;
    if (head.status === 100) {
      exchange.retries!.continued = true;
      this.#awaitNode();
    }
    if (exchange.head.minor === 0 || (head.status === 100 && !exchange.head.expectContinue)) return;
    const text = interimText(head.statusText, exchange.passedFields(head));
    if (!exchange.client.socket.write(text, 'latin1')) exchange.client.full();
  }

  /** The body goes on beyond the first read. */
  bodyFollows(large: boolean): void {
    if (large && !this.#blocked) this.upstream.useStream();
    if (large) this.pipeline?.large();
  }

  /** The client's socket is full: the node's is read no further until it has drained. */
  block(): void {
    if (this.#blocked || this.#left) return;
    this.#blocked = true;
    this.upstream.socket.pause();
    this.#arm(Number.POSITIVE_INFINITY);
  }

  unblock(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.upstream.socket.resume();
    this.#awaitNode();
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  /** Bytes behind the answer: in a pipeline they are the next one's. */
  excess(bytes: number): void {
    if (this.pipeline === null) return this.node.count('excessBytes', bytes);
    this.#othersBehind = true;
    this.pipeline.endsBefore(bytes);
  }

  /** The answer is whole. `clean`: nothing but it has come, and the connection is still open. */
  answerDone(clean: boolean): void {
    this.whole = true;
    const keep = this.#keepAlive && (clean || this.#othersBehind) && this.#bodyLeft;
    this.leave({ failed: false, keep }, this.#readAt);
    this.exchange.answerDone(this.#readAt);
  }

  /** All of the request's body: what waits would stand before the next request, whatever the node still reads of it. */
  get #bodyLeft(): boolean {
    const { body } = this.exchange;
    return body.complete && (body.bytes === 0 || this.upstream.socket.writableLength === 0);
  }

  switchProtocols(head: ResponseHead, rest: Buffer): void {
    const { exchange } = this;
    const { route } = exchange;
    if (!exchange.head.upgrade || head.upgradeTo.toLowerCase() !== 'websocket')
      return this.answerRefused('101 that was not asked for');
    this.ttfbMs = this.#context.now() - this.#began;
    exchange.status = 101;
    this.node.countStatus(101);
    this.#judge(false, 'status 101');
    exchange.write(
      `HTTP/1.1 ${head.statusText}\r\n${exchange.passedFields(head)}${route!.responseSet}X-Request-Id: ${exchange.id}\r\n${upgradeFields}\r\n`,
    );
    exchange.headOut = exchange.bytesOut;
    const tunnel = new Tunnel(this);
    this.upstream.user = tunnel;
    exchange.client.becomeTunnel(tunnel);
    if (rest.length > 0) tunnel.received(rest, rest.length);
  }

  /** The tunnel that this became has ended. */
  tunnelEnded(end: End): void {
    this.leave({ failed: false, keep: false });
    this.exchange.settle(end);
  }

  // ---- what goes wrong -------------------------------------------------------------------------------------------

  connectFailed(failure: Failure, detail: string): void {
    this.#fail(failure, detail);
  }

  ended(): void {
    if (!this.endAnswer()) this.broken('the node closed the connection');
  }

  broken(detail: string): void {
    if (this.pipeline?.hasServed) this.reused = true;
    this.#fail(this.#relay.begun ? 'truncated' : 'reset', detail);
  }

  expired(): void {
    if (this.exchange.answered) this.#fail('timeout', `the answer went silent for ${this.node.limits.bodyTimeout} ms`);
    else this.#fail('timeout', `no answer within ${this.node.limits.responseTimeout} ms`);
  }

  /** What came is no HTTP answer. Behind another answer it may be the rest of that one. */
  answerRefused(detail: string): void {
    if (this.pipeline?.mayBeOthers(this)) {
      this.node.count('badAnswers');
      return this.pipeline.close(detail);
    }
    this.#fail('bad-answer', detail);
  }

  /** The coding of an answer that has begun is broken. */
  answerCut(detail: string): void {
    this.#fail('bad-answer', detail);
  }

  threw(error: unknown): void {
    this.exchange.threw(error);
  }

  #fail(failure: Failure, detail: string): void {
    if (this.#left) return;
    if (failure === 'timeout') this.node.count('timeouts');
    else if (failure === 'bad-answer') this.node.count('badAnswers');
    else if (failure === 'reset' || failure === 'truncated') {
      this.node.count('resets');
      this.node.doubt(this.#context.now());
    }
    if (this.#countsAgainst(failure)) this.#judge(true, detail);
    this.leave({ failed: true, keep: false });
    this.exchange.attemptFailed(this, failure, detail);
  }

  /**
   * Whether a failure counts among those in a row that eject a node. Refused connections don't: the checks see to those,
   * and a node that was started again must come back when they say so. Nor does a kept connection that breaks before an
   * answer: the node closed an idle one. A crash breaks all exchanges of a node at once: that is one failure.
   */
  #countsAgainst(failure: Failure): boolean {
    switch (failure) {
      case 'timeout':
      case 'bad-answer':
        return true;
      case 'reset':
      case 'truncated':
        return !(failure === 'reset' && this.reused) && this.node.breaksAnew(this.#context.now());
      case 'exhausted':
        return false;
      default:
        return this.#probing;
    }
  }

  /** Counts failures in a row, which eject a node; and answers for a node on probation. */
  #judge(failed: boolean, detail: string): void {
    const bound = this.#pool.row.errorsToEject;
    if (this.#pool.countError(this.#index, failed))
      this.signal('errors', `${bound} failed requests in a row, the last: ${detail}`);
    if (!this.#probing) return;
    this.#probing = false;
    this.signal(failed ? 'failure' : 'success', detail);
  }

  signal(signal: NodeSignal['signal'], detail: string): void {
    const { row } = this.node;
    this.#context.options.onSignal({
      pool: row.pool,
      node: row.id,
      slot: row.slot,
      generation: row.generation,
      signal,
      detail,
    });
  }

  /** Leaves the node so that nothing more reaches it. */
  abort(): void {
    if (!this.#left && this.pipeline === null) this.upstream.reset();
    this.leave({ failed: false, keep: false });
  }

  /** Its connection ended before a byte of its answer, and whose fault that was is not known: it goes out again, for free. */
  goAgain(): void {
    if (this.#left) return;
    this.node.count('pipelinedAgain');
    this.leave({ failed: false, keep: false });
    this.exchange.pickAgain();
  }

  /** The one place where a node is left: its connection, its in-flight count, its balancer's memory. */
  leave(how: { readonly failed: boolean; readonly keep: boolean }, now = this.#context.now()): void {
    if (this.#left) return;
    this.#left = true;
    if (this.#blocked) this.upstream.socket.resume();
    if (this.pipeline !== null) this.pipeline.left(this, how);
    else if (!how.keep) this.upstream.destroy();
    else if (this.sending) this.upstream.release(now, this.#idleMs, this.#closesUnsaid);
    else this.upstream.giveBack(now);
    if (this.#probing) this.#pool.unprobe(this.#index);
    this.node.countTotal(now - this.#began);
    this.#pool.release(this.#index, {
      responseMs: this.ttfbMs < 0 ? now - this.#began : this.ttfbMs,
      failed: how.failed,
      now,
    });
  }
}

function textOf(pieces: readonly Buffer[]): string {
  let text = '';
  for (const piece of pieces) text += piece.latin1Slice();
  return text;
}
