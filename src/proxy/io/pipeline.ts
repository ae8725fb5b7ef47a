/**
 * Several requests under way on one connection to a node, whose answers come in the order in which the requests were
 * written. Only in pools with `upstream.pipelining` above 1, and only for requests that may be sent again (mayShare).
 *
 *   line: [ written, written, written | not yet, not yet ]      bytes of the node always belong to line[0]
 *
 * All heads that gather in one turn of the loop leave in one write, and one read may hold several answers: that is the gain
 * (19.4 to 13.7 us of CPU per request of 100 B, 8 in a line).
 *
 * Never another's answer: a place in the line is given when the request's bytes are written and taken when its answer has
 * ended. Nobody leaves from within: who has gone is replaced by one who throws the answer away (skipped.ts). After any doubt
 * about where an answer ends the connection dies, and whoever has got nothing yet goes out again, once, for free and on a
 * connection of its own. HEAD never shares: a body that a node sends with its answer would be read as the next one's. And its
 * connection is not used again in such a pool.
 *
 * Nobody waits long for another: if the first of the line is the same for three looks (a slow answer, a client that
 * takes none), those behind it go elsewhere, and the connection ends with its answer.
 */
import { assert } from '../../base/assert.ts';
import type { Millis } from '../../base/ids.ts';
import type { Failure } from '../errors.ts';
import type { Attempt } from './attempt.ts';
import type { Exchange } from './exchange.ts';
import { Skipped } from './skipped.ts';
import type { Upstream, UpstreamUser } from './upstream.ts';
import type { UpstreamNode } from './upstream-node.ts';

const lookMs: Millis = 50;
/** The first of the line is slow if so many looks in a row find it there: one of them may come late, when we stood still ourselves. */
const slowLooks = 3;
/** A connection that ends sooner costs more requests sent twice than pipelining is worth. */
const fewAnswers = 64;
const slowPauseMs: Millis = 1000;
const closedPauseMs: Millis = 10_000;
const unansweredPauseMs: Millis = 60_000;

const never = Number.POSITIVE_INFINITY;

/** One in the line. */
export interface InLine {
  /** Somebody waits for the answer. */
  readonly waits: boolean;
  /** A byte of its answer has come. */
  readonly begun: boolean;
  /** Of its answer, once it is the first. */
  readonly deadline: number;
  /** Bytes [from, to): its answer, or a part of it, and what stands behind. */
  readAnswer(bytes: Buffer, from: number, to: number): void;
  /** The node ended its side. True if that is how the answer ends. */
  endAnswer(): boolean;
  broken(detail: string): void;
  expired(): void;
  threw(error: unknown): void;
}

/**
 * Whether a request may stand on a connection together with others: only in its first try, if it has no body and no wish for
 * the connection, and if it may be sent again. Not HEAD: see above.
 */
export function mayShare({ head, retries, tries }: Exchange): boolean {
  return (
    tries === 0 &&
    (head.method === 'GET' || head.method === 'OPTIONS') &&
    !head.framed &&
    !head.upgrade &&
    !head.expectContinue &&
    retries!.repeatable
  );
}

export class Pipeline implements UpstreamUser {
  readonly upstream: Upstream;
  readonly node: UpstreamNode;
  /** On this connection, while it was shared. */
  answers = 0;
  /** How long the node is known to keep it when nothing is asked. */
  idleMs: Millis = 0;
  readonly #line: InLine[] = [];
  /** How many of the line have been written. */
  #sent = 0;
  #answersBefore = 0;
  #skipped = 0;
  /** Whose answer is being read just now. */
  #reading: InLine | null = null;
  /** Bytes of the read behind the answer that has just ended. */
  #behind = 0;
  #flushDue = false;
  #flushing = false;
  /** The first of the line at the last look, and the number of looks that found it there. */
  #seen: InLine | null = null;
  #looks = 0;
  /** The first is slow: nobody joins. */
  #slow = false;
  /** What was behind the first has gone elsewhere: the connection ends with its answer. */
  #last = false;
  #state: 'idle' | 'open' | 'closed' = 'idle';

  constructor(upstream: Upstream) {
    this.upstream = upstream;
    this.node = upstream.node;
  }

  // ---- joining and sending ---------------------------------------------------------------------------------------

  /** Begins with a connection that is idle or not there yet. */
  open(): void {
    this.#state = 'open';
    this.#answersBefore = this.answers;
    this.idleMs = this.node.limits.idleTimeout;
    this.upstream.use(this);
  }

  hasRoom(most: number): boolean {
    return !this.#slow && !this.#last && this.#line.length < most && !this.upstream.socket.writableNeedDrain;
  }

  join(attempt: Attempt): void {
    this.#line.push(attempt);
    if (this.#flushDue) return;
    this.#flushDue = true;
    this.node.context.pools.turn.flush(this);
  }

  connected(): void {
    this.flush();
  }

  /** Writes what has gathered. Each head is made now, since a lease may have ended since its request joined. */
  flush(): void {
    this.#flushDue = false;
    if (this.#state !== 'open' || this.upstream.state === 'connecting') return;
    let text = '';
    this.#flushing = true;
    while (this.#sent < this.#line.length) {
      const head = this.#compose(this.#line[this.#sent] as Attempt);
      if (head === '') continue;
      text += head;
      this.#sent++;
    }
    this.#flushing = false;
    if (text !== '') {
      this.node.count('pipelinedWrites');
      this.upstream.socket.write(text, 'latin1');
      if (this.upstream.deadline === never) this.#look(this.node.context.now());
    }
    this.#settle();
  }

  /** Empty: it has left the line. */
  #compose(attempt: Attempt): string {
    let head = '';
    try {
      head = attempt.compose();
    } catch (error) {
      attempt.threw(error);
    }
    assert(head !== '' || this.#line[this.#sent] !== attempt, 'a request that is not sent has left its pipeline');
    return head;
  }

  // ---- answers ---------------------------------------------------------------------------------------------------

  received(bytes: Buffer, length: number): void {
    this.node.count('bytesIn', length);
    let at = 0;
    while (at < length && this.#state === 'open') {
      if (this.#sent === 0) {
        this.node.count('excessBytes', length - at);
        return this.close('bytes came that nobody had asked for');
      }
      this.#behind = 0;
      this.#reading = this.#line[0]!;
      this.#reading.readAnswer(bytes, at, length);
      at = length - this.#behind;
    }
    this.#reading = null;
    this.#settle();
  }

  /** It has answered on this connection. */
  get hasServed(): boolean {
    return this.answers + this.upstream.served > 0;
  }

  /** What came for this one can't be read: it may be the rest of the answer before it. */
  mayBeOthers(attempt: Attempt): boolean {
    return this.hasServed && !attempt.exchange.answered;
  }

  /** Nobody should wait behind a large answer. */
  large(): void {
    this.node.pausePipelining(slowPauseMs, 'an answer was large');
  }

  /** The answer that is being read ends so many bytes before the end of the read. */
  endsBefore(bytes: number): void {
    this.#behind = bytes;
  }

  /** The first of the line has its answer, or what was left of it has been thrown away. */
  pass(behind: number, keepAlive: boolean): void {
    this.#behind = behind;
    if (!this.#line.shift()!.waits) this.#skipped--;
    this.#sent--;
    this.#slow = false;
    this.#looks = 0;
    this.answers++;
    this.upstream.useShared();
    if (!keepAlive) this.close('it ended the connection with an answer');
    else if (this.#last) this.close('');
    else if (this.#reading === null) this.#settle();
  }

  /** An attempt leaves, for whatever reason. */
  left(attempt: Attempt, { failed, keep }: { readonly failed: boolean; readonly keep: boolean }): void {
    if (this.#state !== 'open') return;
    const at = this.#line.indexOf(attempt);
    // It was sent elsewhere.
    if (at === -1) return;
    if (at >= this.#sent) this.#line.splice(at, 1);
    else if (attempt.whole) {
      assert(at === 0, 'answers come in the order of their requests');
      return this.pass(this.#behind, keep);
    } else if (attempt.givenUp === null && (failed || attempt.begun || this.#reading === attempt)) {
      this.#line.splice(at, 1);
      this.#sent--;
      return this.close(failed ? 'an answer failed' : 'a client went away within its answer');
    } else this.#skip(attempt, at);
    this.#settle();
  }

  #skip(attempt: Attempt, at: number): void {
    const { method } = attempt.exchange.head;
    const skipped = new Skipped(this, { method, deadline: attempt.deadline }, attempt.givenUp);
    this.#line[at] = skipped;
    this.#skipped++;
    if (attempt.givenUp !== null) skipped.look(this.#behind);
  }

  /** Back among the idle ones when the line is empty; an answer that nobody waits for is not waited for. */
  #settle(): void {
    if (this.#state !== 'open' || this.#reading !== null || this.#flushing || this.#line.length > this.#skipped) return;
    if (this.#line.length > 0 || this.upstream.state === 'connecting') return this.close('');
    this.#state = 'idle';
    this.#seen = null;
    this.node.endPipeline(this);
    const now = this.node.context.now();
    if (this.answers === this.#answersBefore) this.upstream.giveBack(now);
    else this.upstream.release(now, this.idleMs);
  }

  // ---- deadlines -------------------------------------------------------------------------------------------------

  #look(now: Millis): void {
    this.upstream.arm(Math.min(now + lookMs, this.#line[0]?.deadline ?? never));
  }

  expired(now: Millis): void {
    const first = this.#line[0];
    if (first !== undefined && this.#sent > 0 && first.deadline <= now) return first.expired();
    this.#looks = first === this.#seen ? this.#looks + 1 : 1;
    this.#seen = first ?? null;
    this.#look(now);
    if (this.#looks >= slowLooks && this.#sent > 0) this.#goAround();
  }

  /** The first takes its time: those behind it go elsewhere. */
  #goAround(): void {
    this.#slow = true;
    if (this.#line.length === 1) return;
    this.#last = true;
    const behind = this.#line.splice(1);
    this.#sent = 1;
    this.#skipped = this.#line[0]!.waits ? 0 : 1;
    this.#sendAgain(behind);
    this.node.pausePipelining(slowPauseMs, 'an answer was slow while others waited behind it');
    this.#settle();
  }

  // ---- ends ------------------------------------------------------------------------------------------------------

  connectFailed(failure: Failure, detail: string): void {
    for (const one of this.#end()) {
      try {
        (one as Attempt).connectFailed(failure, detail);
      } catch (error) {
        one.threw(error);
      }
    }
  }

  ended(): void {
    if (this.#sent === 0 || !this.#line[0]!.endAnswer()) this.broken('the node closed the connection');
  }

  /** Who is alone on it, or has a part of its answer, is dealt with as on a connection of its own. */
  broken(detail: string): void {
    if (this.#state !== 'open') return;
    const first = this.#line[0];
    const failed = this.#sent > 0 && first !== undefined && (first.begun || this.#line.length === 1);
    if (failed) {
      this.#line.shift();
      this.#sent--;
    } else if (this.#sent > 0) this.node.count('resets');
    this.node.doubt(this.node.context.now());
    this.close(detail);
    if (failed) first.broken(detail);
  }

  drained(): void {}

  threw(error: unknown): void {
    const reading = this.#reading;
    this.close('an exception');
    if (reading === null) this.node.context.exception('a pipeline', error);
    else reading.threw(error);
  }

  /** The connection ends, and whoever still waits goes elsewhere. `why`: empty if that is nobody's fault. */
  close(why: string): void {
    if (this.#state !== 'open') return;
    const sent = this.#sent;
    const again = this.#sendAgain(this.#end());
    if (again === 0 || sent === 0 || why === '' || this.answers >= fewAnswers) return;
    this.node.pausePipelining(
      this.answers === 0 ? unansweredPauseMs : closedPauseMs,
      `a connection ended after ${this.answers} answers, with ${again} more requests on it: ${why}`,
    );
  }

  #end(): InLine[] {
    this.#state = 'closed';
    this.node.endPipeline(this);
    this.upstream.destroy();
    return this.#line.splice(0);
  }

  #sendAgain(line: readonly InLine[]): number {
    let count = 0;
    for (const one of line) {
      if (!one.waits) continue;
      count++;
      this.node.context.pools.turn.sendAgain(one as Attempt);
    }
    return count;
  }
}
