/**
 * The way of a read in a pool with a primary: to a node of the first kind in `split.reads` that has a fit one, and, for a
 * client that has written, only to one that has seen it (read-after-write.ts).
 *
 *   a live lease here:  replicas | primary | any, in the order of the config, then 503
 *   none:               replicas as stale reads (X-HA-Stale), within `stale`; else it waits for a lease, then 503
 *   with a token:       waits for a replica that has reached it, then the primary, under a live lease only
 *
 * Reads of the primary look at the lease again directly before the first byte, as writes do.
 */
import type { Millis } from '../../base/ids.ts';
import { nodeCell, nodeState } from '../../scoreboard/layout.ts';
import { PrimaryRecord, readerKind } from '../../scoreboard/primary.ts';
import { nodeLine } from '../../scoreboard/scoreboard.ts';
import type { Failure, FailureRule } from '../errors.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { allFull, noNode, type Pool } from '../pool.ts';
import { type Known, type Need, needOf, readPosition, strictNeed, type Token } from '../read-after-write.ts';
import type { Attempt } from './attempt.ts';
import type { Exchange } from './exchange.ts';
import type { WaitingRead, WaitingRoom } from './parking.ts';
import { Placement } from './placement.ts';
import { tokenOf } from './tokens.ts';

const mustWait = -3;
const pauseMs: Millis = 50;

/** Scratch of one look, per thread: nothing is left in it between calls. */
const record = new PrimaryRecord();

type Via = 'readsPrimary' | 'readsReplica' | 'readsStale';

export class ReadPlacement extends Placement implements WaitingRead {
  readonly #room: WaitingRoom;
  readonly #began: Millis;
  readonly #token: Token | 'forged' | null;
  #via: Via = 'readsReplica';
  #slot = -1;
  #era = 0;
  #lost = false;
  #stale: Millis = 0;
  /** Of asking once more; 0: it broke not yet. */
  #notBefore: Millis = 0;
  #waits = false;
  #waited = false;

  constructor(exchange: Exchange, pool: Pool) {
    super(exchange, pool);
    this.#room = this.context.parking.of(pool.row.slot);
    this.#began = exchange.began;
    this.#token = this.#readToken();
  }

  get #split() {
    return this.pool.row.primary!.split;
  }

  #readToken(): Token | 'forged' | null {
    const { mode, via, name } = this.#split.readYourWrites;
    if (mode === 'off') return null;
    const token = tokenOf(this.context.tokenKey, this.pool.row.name, { via, name, head: this.exchange.head });
    if (token === 'forged') this.pool.count('tokensRefused');
    return token;
  }

  /** Those of one position, or of none, may have the same nodes. */
  protected override get group(): number {
    return this.#token === null || this.#token === 'forged' ? 1 : 3 + (this.#token.position ?? -1);
  }

  // ---- choosing --------------------------------------------------------------------------------------------------

  protected override choose(): number {
    this.context.scoreboard.primary.read(this.pool.row.slot, record);
    const now = this.context.hrtime();
    const live = record.isPrimary(now);
    this.#lost = false;
    const need = this.#need(live);
    switch (need.kind) {
      case 'any':
        return live ? this.#byPreference() : this.#asStale(now);
      case 'reached':
        return this.#reached(need.position);
      case 'primary':
        this.#lost = need.lost;
        return live ? this.#primary() : mustWait;
      case 'wait':
        return mustWait;
    }
  }

  #need(live: boolean): Need {
    const { row } = this.pool;
    const { mode, bound } = this.#split.readYourWrites;
    if (mode === 'off' || (mode === 'session' && this.#token === null)) return needOf(null, nothing);
    const { primary } = this.context.scoreboard;
    const { epoch } = record;
    const forks = live && this.#isOlder(epoch) ? primary.forks(row.slot) : [];
    const known: Known = { epoch, live, forks, bound, wall: Date.now() };
    const own = needOf(this.#token, known);
    if (mode === 'session' || own.kind === 'wait' || own.kind === 'primary') return own;
    const strict = strictNeed(known, row.primary!.alone ? primary.passed(row.slot, epoch) : null);
    return strict.kind === 'reached' && own.kind === 'reached'
      ? { kind: 'reached', position: Math.max(strict.position, own.position) }
      : strict;
  }

  #isOlder(epoch: number): boolean {
    return this.#token !== null && this.#token !== 'forged' && this.#token.epoch < epoch;
  }

  #byPreference(): number {
    let none = noNode;
    for (const place of this.#split.reads) {
      const index = place === 'primary' ? this.#primary() : this.#reader(place, -1);
      if (index === mustWait) none = mustWait;
      else if (index !== noNode) return index;
    }
    return none;
  }

  /** A replica that is far enough; after a wait for one, the primary. */
  #reached(position: number): number {
    const { reads, readYourWrites } = this.#split;
    if (reads[0] === 'primary') return this.#primary();
    for (const place of reads) {
      if (place === 'primary') continue;
      const index = this.#reader(place, position);
      if (index !== noNode) return index;
    }
    const inTime = this.context.now() < this.#began + readYourWrites.wait;
    return inTime && this.#someFollow() ? mustWait : this.#primary();
  }

  /** Whether waiting has a point: a fit replica tells its position. */
  #someFollow(): boolean {
    const { primary } = this.context.scoreboard;
    return this.pool.nodes.some(({ slot }) => slot !== record.slot && this.#isFit(slot) && primary.position(slot) >= 0);
  }

  #isFit(slot: number): boolean {
    const { primary, lines } = this.context.scoreboard;
    return (
      primary.reader(slot) === readerKind.fit &&
      (lines[nodeLine(slot) + nodeCell.state]! & nodeState.fit) !== 0 &&
      !this.tried.includes(slot)
    );
  }

  /** `position`: -1 = any. */
  #reader(place: 'replicas' | 'any', position: number): number {
    const needs = { primary: record.slot, withPrimary: place === 'any', position };
    const index = this.pool.pickReader(this, this.context.now(), needs);
    return index < 0 ? index : this.#chosen(index, 'readsReplica');
  }

  #primary(): number {
    if (this.tried.includes(record.slot)) return noNode;
    if (this.#room.refuses(this, record.slot, this.context.hrtime())) return mustWait;
    const index = this.pool.takeNode(record.slot, record.generation);
    return index < 0 ? index : this.#chosen(index, 'readsPrimary');
  }

  #chosen(index: number, via: Via): number {
    this.#slot = this.pool.nodes[index]!.slot;
    this.#era = this.context.scoreboard.primary.era(this.#slot);
    this.#via = this.#slot === record.slot && via === 'readsReplica' ? 'readsPrimary' : via;
    return index;
  }

  /** There is no primary that this process knows of: the replica that is least behind and least busy, and it is said. */
  #asStale(now: Millis): number {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (const { slot } of this.pool.nodes) {
      const behind = this.#behind(slot, now);
      if (behind > this.#split.stale || behind > least || this.#split.stale === 0) continue;
      if (behind === least && !this.#isLessBusy(slot, best)) continue;
      best = slot;
      least = behind;
    }
    const node = this.pool.nodes.find(({ slot }) => slot === best);
    const index = node === undefined ? noNode : this.pool.takeNode(node.slot, node.generation);
    if (index < 0) return index === allFull ? allFull : mustWait;
    this.#stale = least;
    return this.#chosen(index, 'readsStale');
  }

  /** How old what a node has may be, ms; infinite: it is not known, or the node takes no reads. */
  #behind(slot: number, now: Millis): Millis {
    const { primary, lines } = this.context.scoreboard;
    const fit = (lines[nodeLine(slot) + nodeCell.state]! & nodeState.fit) !== 0 && !this.tried.includes(slot);
    const reader = primary.reader(slot);
    if (!fit || slot === record.slot || reader === readerKind.none) return Number.POSITIVE_INFINITY;
    const lag = primary.lag(slot);
    if (record.heldUntil === 0 || (reader === readerKind.behind && lag < 0)) {
      return lag < 0 ? Number.POSITIVE_INFINITY : lag;
    }
    return Math.max(0, now - record.heldUntil) + Math.max(0, lag);
  }

  #isLessBusy(slot: number, than: number): boolean {
    const { lines } = this.context.scoreboard;
    return lines[nodeLine(slot) + nodeCell.inFlight]! < lines[nodeLine(than) + nodeCell.inFlight]!;
  }

  // ---- at the node -----------------------------------------------------------------------------------------------

  override mayBegin(): boolean {
    const { primary } = this.context.scoreboard;
    if (this.#via === 'readsPrimary') {
      primary.read(this.pool.row.slot, record);
      if (record.slot !== this.#slot || !record.isPrimary(this.context.hrtime())) {
        this.#room.gaveBack(this);
        return false;
      }
      this.#room.sent();
    } else if (this.#via === 'readsReplica' && primary.era(this.#slot) !== this.#era) return false;
    this.pool.count(this.#via);
    return true;
  }

  override answered(_attempt: Attempt, head: ResponseHead): void {
    const position = readPosition(head.header('x-ha-position'));
    if (position >= 0) this.context.scoreboard.primary.raisePosition(this.#slot, this.#era, position);
    if (this.#lost) this.pool.count('readsLost');
  }

  override answerFields(): string {
    const stale = this.#via === 'readsStale' ? `X-HA-Stale: ${Math.ceil(this.#stale / 1000)}\r\n` : '';
    return this.#lost ? `${stale}X-HA-Lost: 1\r\n` : stale;
  }

  /**
   * A primary that can't be reached may be about to be replaced: what may be sent (again) waits for that, as writes do. A
   * connection that broke under a read is a reason to ask once more, not more often: the read itself may be to blame.
   */
  override failed(attempt: Attempt, failure: Failure, rule: FailureRule): boolean {
    const { retries, context } = this;
    if (this.#via !== 'readsPrimary') return super.failed(attempt, failure, rule);
    const mayRepeat = retries.mayRepeat(this.exchange.body.whole);
    if (mayRepeat && (failure === 'refused' || failure === 'connect-timeout')) {
      this.lastFailure = failure;
      this.#room.refused(this, attempt.node.row.slot, context.hrtime());
      this.pick(context.now());
      return true;
    }
    this.#room.gaveBack(this);
    const again = failure === 'reset' && !attempt.reused && mayRepeat;
    if (!again || this.#notBefore > 0) return super.failed(attempt, failure, rule);
    this.#notBefore = context.now() + pauseMs;
    this.lastFailure = failure;
    this.#wait();
    return true;
  }

  protected override attempt(index: number, fresh: boolean, now: Millis): void {
    if (this.#via === 'readsPrimary') this.#room.goes(this);
    super.attempt(index, fresh, now);
  }

  // ---- waiting ---------------------------------------------------------------------------------------------------

  protected override without(reason: number): void {
    if (reason === mustWait) this.#wait();
    else super.without(reason);
  }

  #wait(): void {
    const { exchange, pool } = this;
    if (!pool.enterQueue()) {
      pool.count('queueFull');
      return this.#gaveUp();
    }
    this.#waits = true;
    if (!this.#waited) pool.count('readsWaited');
    this.#waited = true;
    this.#room.addRead(this);
    exchange.client.waitUntil(this.#began + pool.row.primary!.parking.time);
    if (!exchange.body.complete) exchange.client.readOn(false);
  }

  leaves(): boolean {
    const now = this.context.now();
    if (now < this.#notBefore) return false;
    try {
      const index = this.choose();
      if (index === mustWait || index === allFull) return false;
      this.#stopWaiting();
      if (index < 0) this.without(index);
      else this.attempt(index, false, now);
    } catch (error) {
      this.exchange.threw(error);
    }
    return true;
  }

  #stopWaiting(): void {
    if (!this.#waits) return;
    this.#waits = false;
    this.#room.removeRead(this);
    this.pool.leaveQueue();
    this.exchange.client.waitUntil(Number.POSITIVE_INFINITY);
  }

  override waitedTooLong(): void {
    if (this.#waits) this.#gaveUp();
    else super.waitedTooLong();
  }

  #gaveUp(): void {
    this.exchange.end = 'no_node';
    const detail = 'No node of the service that is known to be new enough can answer.';
    this.exchange.answer(503, { detail, proxyError: 'destination_unavailable', retryAfter: 1 });
  }

  override end(): void {
    this.#stopWaiting();
    this.#room.removeRead(this);
    super.end();
  }
}

const nothing: Known = { epoch: 0, live: false, forks: [], bound: 0, wall: 0 };
