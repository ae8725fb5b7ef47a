/**
 * What every member does for a pool: it keeps its leave to write alive, gives it up in time, says what its probes see, and
 * confirms fences.
 *
 * Leave is given up in the same step in which its end is known; the board that says so leaves with the next take, before
 * anything is told. So a fence is confirmed only from what data threads held after that board was out (`fencing`).
 */

import { hash32 } from '../../base/hash.ts';
import type { MemberId, Millis } from '../../base/ids.ts';
import { boardOf, claimsOf, foreignSign, isDraining, mismatch, newsMs, sameBoard, splitOf } from './board.ts';
import { cut, reportsPerWord } from './codec.ts';
import type { BoardWrite, FailoverInput, LeaseGrant, NodeReport } from './contract.ts';
import type { Core } from './core.ts';
import type { PoolRecord } from './model.ts';
import type { Pool } from './pool.ts';
import type { ToldReport } from './words.ts';

const renewMs: Millis = 1000;
/** After a refusal, or while the end of the epoch is in the log but not agreed. */
const askAgainMs: Millis = 200;
/** Asks that nobody answered; older ones are given up. */
const asksMax = 4;
const tellHeldMs: Millis = 150;
/** Words about a drain come at least so often; without one it is over. */
export const drainWordMs: Millis = 250;
const drainHoldsMs: Millis = 1000;
/** At most 20 checks of one node in a second (5.2). */
const probeGapMs: Millis = 50;

export class Guard {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** What is agreed has changed. */
  learn(pool: Pool, record: PoolRecord): void {
    const before = pool.record;
    if (before !== null && record.step <= before.step) return;
    pool.record = record;
    const isOpen = record.phase === 'open';
    pool.began ??= {
      epoch: isOpen ? record.epoch : (record.last?.epoch ?? 0),
      openedAt: isOpen ? record.times.openedAt : null,
    };
    // The entry that was told of may be a later one: a new lease shows that none is left.
    if (record.phase !== 'open' || record.epoch !== before?.epoch) pool.moving = null;
    else if (pool.moving !== null) pool.nextAskAt = 0;
    if (record.phase === 'open') {
      pool.endingAt = null;
      if (before?.phase !== 'open' || before.epoch !== record.epoch) {
        pool.nextAskAt = 0;
        if (pool.lease?.epoch !== record.epoch) pool.lease = null;
      }
    } else pool.endingAt ??= this.#core.now;
    if (record.phase === 'pending' && before?.epoch !== record.epoch) pool.heldToldAt = 0;
    // What was so before this process began, or before the pool was in its file, is told, but did not happen now.
    const isNews = before !== null || record.step === 1;
    if (record.epoch !== before?.epoch || record.phase !== before.phase) this.#announce(record, isNews);
  }

  #announce({ pool, epoch, phase, target, reason }: PoolRecord, isNews: boolean): void {
    const isBad = phase === 'failed' || phase === 'undecided';
    const level = isBad ? 'error' : reason === 'failover' && isNews ? 'warn' : 'info';
    this.#core.log(
      level,
      isNews ? `epoch_${phase}` : 'epoch_known',
      pool,
      `epoch ${epoch} (${reason}) ${phase}: ${target?.node ?? 'no primary'}`,
    );
  }

  move(pool: Pool): void {
    pool.moving = this.#core.lastId;
  }

  void(pool: Pool): void {
    pool.lease = null;
    pool.voidUpTo = this.#core.lastId;
    pool.nextAskAt = 0;
  }

  leased(pool: Pool, { id, lease, why }: Extract<FailoverInput, { kind: 'leased' }>): void {
    if (!pool.asks.delete(id)) return;
    if (lease === null) {
      pool.nextAskAt = Math.min(pool.nextAskAt, this.#core.now + askAgainMs);
      if (why !== pool.leaseRefused && why !== 'not-open') this.#core.log('info', 'lease_refused', pool.name, why);
      pool.leaseRefused = why;
      return;
    }
    const { record } = pool;
    if (record?.phase !== 'open' || record.epoch !== lease.epoch) return;
    if (!this.#core.rules.mayUse({ askedAs: id, voidUpTo: pool.voidUpTo })) return;
    if (pool.moving !== null) {
      // Given although we had asked after the entry came: it was of a leader that is none any more, and is lost.
      if (id <= pool.moving && this.#core.rules.heedsMoving()) return;
      pool.moving = null;
    }
    this.#use(pool, lease);
  }

  #use(pool: Pool, lease: LeaseGrant): void {
    pool.leaseRefused = '';
    if (pool.lease === null || lease.cutAt > pool.lease.cutAt) pool.lease = lease;
    for (const [id, at] of pool.asks) if (this.#core.now - at > asksMax * renewMs) pool.asks.delete(id);
  }

  /** Own probes. */
  report(pool: Pool, report: NodeReport): void {
    const target = pool.targetOf(report.node);
    if (target === null) return;
    const before = pool.reports.own(report.node);
    const position = report.position === null ? null : Math.max(0, Math.floor(report.position));
    pool.reports.set(this.#core.self, { ...report, position, url: target.url, detail: cut(report.detail) });
    this.tellReports(pool, [report.node]);
    const worse = report.failures > (before?.failures ?? 0);
    if (worse && report.node === pool.record?.target?.node && report.failures <= (pool.policy?.failureThreshold ?? 0))
      this.#core.tellAll({ kind: 'probe', pool: pool.name, node: report.node });
  }

  /** Somebody found it worse, or wants to know: at most 20 a second. */
  probe(pool: Pool, node: string): void {
    const { now } = this.#core;
    const last = Math.max(pool.probedAt.get(node) ?? 0, pool.reports.own(node)?.at ?? 0);
    if (pool.targetOf(node) === null || now < last + probeGapMs) return;
    pool.probedAt.set(node, now);
    this.#core.out.probe.push({ pool: pool.name, node });
  }

  /** All nodes, or these. */
  tellReports(pool: Pool, nodes: readonly string[] | null): void {
    const { policy } = pool;
    const { view, self, now } = this.#core;
    if (policy === null || view.leader === null || view.leader === self) return;
    const reports = (nodes ?? policy.nodes.map(({ id }) => id)).flatMap((node): ToldReport[] => {
      const own = pool.reports.own(node);
      if (own === null) return [];
      const { at, ...rest } = own;
      return [{ ...rest, age: now - at }];
    });
    const policies = [[pool.name, policy.hash] as const];
    for (let from = 0; from === 0 || from < reports.length; from += reportsPerWord) {
      const some = reports.slice(from, from + reportsPerWord);
      this.#core.tellLeader({ kind: 'report', clock: now, policies, reports: some });
    }
  }

  drain(pool: Pool, epoch: number, on: boolean): void {
    pool.drain = on ? { epoch, until: this.#core.now + drainHoldsMs } : null;
  }

  held(pool: Pool, held: { readonly writing: number; readonly passed: number | null }): void {
    if (!pool.fencing) return;
    const done = (of: typeof held | null): boolean => of !== null && this.#core.rules.mayConfirm(of.writing);
    if (done(held) && !done(pool.held)) pool.heldToldAt = 0;
    pool.held = held;
  }

  /** What is due now, and when to look again. */
  tend(pool: Pool): void {
    const { now } = this.#core;
    this.#lookForSplit(pool);
    this.#lookForSecond(pool);
    if (now < this.#core.hopesUntil) pool.wake(this.#core.hopesUntil);
    if (pool.drain !== null && now < pool.drain.until) pool.wake(pool.drain.until);
    if (pool.lease !== null && now < pool.lease.writeUntil) pool.wake(pool.lease.writeUntil);
    this.#ask(pool);
    this.#tellHeld(pool);
  }

  #lookForSplit(pool: Pool): void {
    const { now } = this.#core;
    const foreign = foreignSign(this.#core, pool);
    const was = pool.split;
    pool.foreignSince = foreign === null ? null : (pool.foreignSince ?? now);
    pool.split = splitOf(this.#core, pool);
    if (pool.split !== null && was === null)
      this.#core.log('error', 'split_brain', pool.name, `SPLIT_BRAIN: ${foreign}`);
    if (pool.split === null && was !== null)
      this.#core.log('info', 'split_brain_over', pool.name, 'SPLIT_BRAIN is over');
    if (pool.foreignSince !== null && pool.split === null) pool.wake(pool.foreignSince + newsMs);
  }

  /** A node that says that it is primary, and is not: no write goes there, but somebody made it that. */
  #lookForSecond(pool: Pool): void {
    const claims = claimsOf(pool);
    for (const node of pool.claims.keys()) if (!claims.includes(node)) pool.claims.delete(node);
    for (const node of claims) {
      const claim = pool.claims.get(node) ?? { since: this.#core.now, said: false };
      // What it said before it learned its place is no claim: its next word counts.
      const said = claim.said || (pool.reports.own(node)?.at ?? 0) > claim.since;
      pool.claims.set(node, { ...claim, said });
      const text = `${node} says that it is primary, and ${pool.record?.target?.node} is: no write goes to ${node}`;
      if (said && !claim.said) this.#core.log('warn', 'second_primary', pool.name, text);
    }
  }

  #ask(pool: Pool): void {
    const { record, policy } = pool;
    const { now } = this.#core;
    if (record?.phase !== 'open' || policy === null || mismatch(this.#core, pool) !== null) return;
    if (now < pool.nextAskAt) return pool.wake(pool.nextAskAt);
    const id = this.#core.nextId();
    for (const old of [...pool.asks.keys()].slice(0, Math.max(0, pool.asks.size - asksMax + 1))) pool.asks.delete(old);
    pool.asks.set(id, now);
    this.#core.out.leases.push({ id, pool: pool.name, epoch: record.epoch });
    // Members that started together would ask together for ever.
    const jitter = 0.8 + (hash32(`${this.#core.self} ${id}`) % 1000) / 5000;
    pool.nextAskAt = now + (pool.moving === null ? renewMs * jitter : askAgainMs);
    pool.wake(pool.nextAskAt);
  }

  #tellHeld(pool: Pool): void {
    const { record, held } = pool;
    const { now, rules } = this.#core;
    if (record === null || held === null || !pool.fencing) return;
    const open = record.phase === 'open';
    if (open ? !isDraining(this.#core, pool) : record.phase !== 'pending') return;
    if (now >= pool.heldToldAt + tellHeldMs) {
      pool.heldToldAt = now;
      const done = rules.mayConfirm(held.writing);
      const partial = held.passed === null && this.#isPartial(pool, record);
      this.#core.tellLeader({ kind: 'held', pool: pool.name, epoch: record.epoch, open, done, ...held, partial });
    }
    pool.wake(pool.heldToldAt + tellHeldMs);
  }

  /** The epoch that ends was open before this process, or this pool in it, began: what was passed on then is not known. */
  #isPartial({ began, since }: Pool, record: PoolRecord): boolean {
    const ends = record.phase === 'open' ? record.epoch : (record.last?.epoch ?? 0);
    if (began === null || ends !== began.epoch) return false;
    const agreedThen = this.#core.agreed() - (this.#core.now - since);
    return began.openedAt === null || began.openedAt < agreedThen;
  }

  /** At a take: the board, if it changed; null if it did not. */
  board(pool: Pool): BoardWrite | null {
    const board = boardOf(this.#core, pool);
    if (board === null) return null;
    // What was held before the board was out says nothing.
    if (!board.fencing || !pool.fencing) pool.held = null;
    pool.fencing = board.fencing;
    if (sameBoard(pool.board, board)) return null;
    pool.board = board;
    return board;
  }

  /** Who says that its file is another. */
  differing(pool: Pool): readonly MemberId[] {
    const own = pool.policy?.hash;
    return this.#core.members.filter((member) => (pool.hashes.get(member) ?? own) !== own);
  }
}
