/**
 * The way of a write to the primary of its pool (AGREEMENT rules 2.1 to 2.4, 5.5).
 *
 *   record live -> its node, in the newest snapshot -> attempt -> leave for the first byte -> sent, never again
 *       |no                                              |refused       |none any more
 *       '-> parked, in order, bounded <------------------'--------------' (picked again)
 *
 * The target is not the balancer's: it is whom the scoreboard's record names now, whatever snapshot the exchange holds, and
 * it is asked anew after every wait. Fitness plays no part: whether the primary is well, the cluster decides.
 */
import type { Millis } from '../../base/ids.ts';
import { PrimaryRecord } from '../../scoreboard/primary.ts';
import type { Failure, FailureRule } from '../errors.ts';
import { clientScheme } from '../forwarding.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { allFull, noNode, type Pool } from '../pool.ts';
import { readPosition } from '../read-after-write.ts';
import type { Attempt } from './attempt.ts';
import type { Exchange } from './exchange.ts';
import type { ParkedWrite, WaitingRoom } from './parking.ts';
import { Placement } from './placement.ts';
import { tokenField } from './tokens.ts';
import type { Leave } from './writes.ts';

const mustPark = -3;
const mustRefuse = -4;
/** Its group: all wait for the primary. */
const theWrites = -1;
/** Where writes may wait for less, none waits that may need not. */
const patientMs: Millis = 1000;

/** Scratch of one look, per process: nothing is left in it between calls. */
const record = new PrimaryRecord();

export class WritePlacement extends Placement implements ParkedWrite {
  readonly order: number;
  readonly #room: WaitingRoom;
  #leave: Leave = { epoch: 0, slot: -1, generation: 0 };
  #sent = false;
  /** As the answer says; -1: it does not. */
  #position = -1;
  #era = 0;
  /** 0: it does not wait. */
  #parkedAt: Millis = 0;
  #parkedBytes = 0;
  /** Of all waiting together; 0: it has not waited. */
  #deadline: Millis = 0;

  constructor(exchange: Exchange, pool: Pool) {
    super(exchange, pool);
    this.order = this.context.parking.nextOrder();
    this.#room = this.context.parking.of(pool.row.slot);
  }

  protected override get group(): number {
    return theWrites;
  }

  override get epoch(): number {
    return this.#leave.epoch;
  }

  override get sentEpoch(): number {
    return this.#sent ? this.#leave.epoch : 0;
  }

  protected override choose(): number {
    const { context } = this;
    const { slot, name } = this.pool.row;
    context.scoreboard.primary.read(slot, record);
    if (record.mode === 'refuse') return mustRefuse;
    const now = context.hrtime();
    if (!record.isLive(now) || this.#room.holdsBack(this, record.slot, now)) return mustPark;
    const view = context.holds.current!.snapshot.pools.get(name);
    if (view === undefined || view.row.slot !== slot || view.row.primary === null) return mustPark;
    this.pool = context.pools.of(view);
    const index = this.pool.takeNode(record.slot, record.generation);
    if (index === noNode) return mustPark;
    this.#leave = { epoch: record.epoch, slot: record.slot, generation: record.generation };
    return index;
  }

  protected override attempt(index: number, fresh: boolean, now: Millis): void {
    this.#room.goes(this);
    super.attempt(index, fresh, now);
  }

  protected override without(reason: number): void {
    if (reason === mustPark) this.#park();
    else this.#refuse();
  }

  override mayBegin(): boolean {
    const write = this.context.writes.begin(this.exchange, this.pool.row.slot, this.#leave);
    if (write === null) {
      this.pool.count('writesStale');
      this.#room.gaveBack(this);
      return false;
    }
    this.#sent = true;
    this.#era = this.context.scoreboard.primary.era(this.#leave.slot);
    this.exchange.held = write;
    this.pool.count('writes');
    this.#room.sent();
    return true;
  }

  override failed(attempt: Attempt, failure: Failure, rule: FailureRule): boolean {
    if (this.retries.sent) {
      if (failure === 'reset' && this.#isPatient()) this.#room.broke(attempt.node.row.slot, this.context.hrtime());
      return false;
    }
    this.lastFailure = failure;
    if (failure !== 'refused' && failure !== 'connect-timeout') {
      this.#room.gaveBack(this);
      return super.failed(attempt, failure, rule);
    }
    this.#room.refused(this, attempt.node.row.slot, this.context.hrtime());
    this.#park();
    return true;
  }

  /** What its position is, is noted before the answer goes on: a fence asks for the highest that clients know of. */
  override answered(attempt: Attempt, head: ResponseHead): void {
    this.#position = readPosition(head.header('x-ha-position'));
    if (this.#position < 0) return;
    const { scoreboard, thread } = this.context.options;
    const { slot } = attempt.node.row;
    scoreboard.primary.notePassed(thread, this.pool.row.slot, { epoch: this.epoch, position: this.#position });
    scoreboard.primary.raisePosition(slot, this.#era, this.#position);
  }

  override answerFields(): string {
    const { row } = this.pool;
    const { mode, via, name } = row.primary!.split.readYourWrites;
    if (mode === 'off') return '';
    const { epoch } = this;
    // Of two answers that cross, the later one must not take the client back: it bears the highest that was passed on.
    const passed = this.context.scoreboard.primary.passed(row.slot, epoch) ?? 0;
    const position = this.#position < 0 ? null : Math.max(this.#position, passed);
    const { head, client } = this.exchange;
    const secure = clientScheme(head, client.peer) === 'https';
    return tokenField(this.context.tokenKey, row.name, {
      via,
      name,
      token: { epoch, position, at: Date.now() },
      secure,
    });
  }

  // ---- parking ---------------------------------------------------------------------------------------------------

  #park(): void {
    const { exchange, context, pool } = this;
    const { parking } = pool.row.primary!;
    const now = context.now();
    if (this.#deadline === 0) {
      this.#deadline = now + parking.time;
      pool.count('parked');
    }
    if (now >= this.#deadline) return this.#gaveUp('parkTimeouts');
    this.#parkedBytes = exchange.head.raw.length + exchange.body.keptBytes;
    const writes = this.#gauge('parked', 1);
    // A pause that may be for nothing must cost no write.
    if (writes > parking.writes / 2) this.#room.waitNoMore();
    const bytes = this.#gauge('parkedBytes', this.#parkedBytes);
    this.#parkedAt = now;
    if (writes > parking.writes || bytes > parking.bytes) return this.#gaveUp('parkFull');
    this.#room.addWrite(this);
    exchange.client.waitUntil(this.#deadline);
    // The rest of the body stays in the client's socket.
    if (!exchange.body.complete) exchange.client.readOn(false);
  }

  /** Whether a short wait costs no write here. */
  #isPatient(): boolean {
    const { writes, time } = this.pool.row.primary!.parking;
    return writes > 1 && time >= patientMs;
  }

  #gauge(gauge: 'parked' | 'parkedBytes', by: number): number {
    const { scoreboard, thread } = this.context.options;
    return scoreboard.addPool(gauge, { thread, slot: this.pool.row.slot, by });
  }

  leaves(): boolean {
    try {
      const index = this.choose();
      if (index === mustPark || index === allFull) return false;
      this.#unpark();
      if (index >= 0) this.attempt(index, false, this.context.now());
      else this.#refuse();
    } catch (error) {
      this.exchange.threw(error);
    }
    return true;
  }

  #unpark(): void {
    if (this.#parkedAt === 0) return;
    this.#room.removeWrite(this);
    this.#gauge('parked', -1);
    this.#gauge('parkedBytes', -this.#parkedBytes);
    this.pool.count('parkedMs', this.context.now() - this.#parkedAt);
    this.#parkedAt = 0;
    this.exchange.client.waitUntil(Number.POSITIVE_INFINITY);
  }

  override waitedTooLong(): void {
    if (this.#parkedAt === 0) super.waitedTooLong();
    else this.#gaveUp('parkTimeouts');
  }

  #gaveUp(why: 'parkFull' | 'parkTimeouts'): void {
    this.pool.count(why);
    this.exchange.end = 'parked';
    const detail = why === 'parkFull' ? 'Too many writes wait for a primary.' : 'No primary took the write in time.';
    this.exchange.answer(503, { detail, proxyError: 'destination_unavailable', retryAfter: 1 });
  }

  #refuse(): void {
    this.pool.count('writesRefused');
    this.exchange.end = 'no_node';
    const detail = 'The service takes no writes at present.';
    this.exchange.answer(503, { detail, proxyError: 'destination_unavailable', retryAfter: 5 });
  }

  override end(): void {
    const { end } = this.exchange;
    if (this.#sent && end !== 'ok' && end !== 'cut') this.pool.count('writesFailed');
    this.#unpark();
    this.#room.removeWrite(this);
    super.end();
  }
}
