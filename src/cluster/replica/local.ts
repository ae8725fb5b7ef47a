/**
 * A cluster of one, without a log and without a disk: the agreed state in memory, applied at once.
 *
 *   propose -> stamp -> Replica.apply -> tell who waits -> answer
 *
 * For development and tests: it keeps the whole contract but for what it cannot: its state is gone with the process. It
 * has no timer: its driver calls `tick()` at `wakeAt()`, one timer in all. Whatever has run out by then ends late, never
 * unseen, since each call looks first.
 */
import type { Millis } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import {
  type Answer,
  type Coordinator,
  type CoordinatorError,
  type Freshness,
  type KvRoom,
  type LeaderView,
  type LeaseRoom,
  type LockRoom,
  type Read,
  type ReadOptions,
  type Ticket,
  type Watch,
  type WatchEvent,
  type WriteLease,
  type WriteOptions,
  type Written,
  writeDrainMs,
  writeLeaseMs,
} from '../coordinator.ts';
import type { PoolRecord } from '../failover/model.ts';
import { AgreedClock } from './clock.ts';
import { encodeProposal } from './codec.ts';
import type { Command, CommandResult } from './command.ts';
import type { ReplicaEvent } from './events.ts';
import { Hub } from './hub.ts';
import type { HistoryEvent, RecordKind, Registered, ReplicaLimits, Revision } from './model.ts';
import { faultOf, refusalOf } from './refusals.ts';
import { type Applied, Replica } from './replica.ts';
import { type Engine, kvRoom, leaseRoom, lockRoom, read } from './rooms.ts';

export interface LocalOptions {
  /** This member's uid. */
  readonly uid: string;
  /** Monotonic ms. */
  readonly clock: () => Millis;
  /** Wall clock at the start, ms since 1970: where the agreed time begins. */
  readonly wall: Millis;
  readonly limits?: ReplicaLimits;
  readonly watchersMax?: number;
}

const boot = 1;
const term = 1;
const current: Freshness = { kind: 'current' };

export class LocalCoordinator implements Coordinator, Engine {
  readonly replica: Replica;
  readonly hub: Hub;
  readonly kv: KvRoom = kvRoom(this);
  readonly lease: LeaseRoom = leaseRoom(this);
  readonly lock: LockRoom = lockRoom(this);
  readonly #options: LocalOptions;
  readonly #agreed: AgreedClock;
  #number = 0;
  #closed = false;

  constructor(options: LocalOptions) {
    this.#options = options;
    this.#agreed = new AgreedClock({ wall: options.wall, monotonic: options.clock() });
    this.replica = new Replica(options.limits);
    this.hub = new Hub(options.watchersMax);
  }

  leader(): LeaderView {
    return { leader: this.#options.uid, self: true, term, quorum: !this.#closed };
  }

  propose(command: Command, options: WriteOptions = {}): Answer<Written<CommandResult>> {
    return Promise.resolve(this.#propose(command, options));
  }

  ready(): Answer<Freshness> {
    if (this.#closed) return Promise.resolve(err({ kind: 'closed' }));
    this.tick();
    return Promise.resolve(ok(current));
  }

  watch(
    options: { readonly prefix: string; readonly after?: Revision },
    sink: (event: WatchEvent) => void,
  ): Result<Watch, CoordinatorError> {
    return this.#closed ? err({ kind: 'closed' }) : this.hub.watch(this.replica, options, sink);
  }

  observe(sink: (event: ReplicaEvent) => void): () => void {
    return this.hub.observe(sink);
  }

  records(what: RecordKind, options?: ReadOptions): Answer<Read<readonly Registered[]>> {
    return read(this, options, ({ registry }) => ok(registry.list(what)));
  }

  pools(options?: ReadOptions): Answer<Read<readonly PoolRecord[]>> {
    return read(this, options, ({ pools }) => ok(pools.list()));
  }

  history(after: number, options?: ReadOptions): Answer<Read<readonly HistoryEvent[]>> {
    return read(this, options, ({ history }) => ok(history.after(after)));
  }

  writeLease(pool: string, epoch: number): Answer<WriteLease> {
    const sentAt = this.#options.clock();
    if (this.#closed) return Promise.resolve(err({ kind: 'closed' }));
    const open = this.replica.pools.openEpoch(pool);
    if (open !== epoch) return Promise.resolve(err({ kind: 'not-open', pool, open }));
    const cutAt = sentAt + writeLeaseMs;
    return Promise.resolve(ok({ pool, epoch, sentAt, writeUntil: cutAt - writeDrainMs, cutAt }));
  }

  /** When `tick` is due, in monotonic ms; Infinity: not before something else happens. */
  wakeAt(): Millis {
    const now = this.#options.clock();
    return this.#closed ? Number.POSITIVE_INFINITY : now + this.replica.nextExpiry() - this.#agreed.now(now);
  }

  /** Ends what has run out. */
  tick(): void {
    if (this.#closed || this.replica.nextExpiry() > this.#agreed.now(this.#options.clock())) return;
    this.#apply({ kind: 'expire' }, this.#nextTicket());
  }

  /** Everybody who waits is told; every later call is answered with `closed`. */
  close(): void {
    this.#closed = true;
    this.hub.close();
  }

  #propose(command: Command, options: WriteOptions): Result<Written<CommandResult>, CoordinatorError> {
    if (this.#closed) return err({ kind: 'closed' });
    const consistency = options.consistency ?? 'quorum';
    const fault = faultOf(command, consistency);
    if (fault !== null) return err(fault);
    this.tick();
    const ticket = options.ticket ?? this.#nextTicket();
    const { number } = ticket;
    const known = ticket.boot === boot && Number.isInteger(number) && number >= 1 && number <= this.#number;
    if (!known) return err({ kind: 'invalid', what: 'this ticket was never given out' });
    const index = this.replica.index + 1;
    const { result } = this.#apply(command, ticket);
    const refusal = refusalOf(result, ticket);
    if (refusal !== null) return err(refusal);
    if (consistency === 'eventual') return ok({ committed: false });
    return ok({ committed: true, value: result, index, ticket });
  }

  #nextTicket(): Ticket {
    this.#number += 1;
    return { boot, number: this.#number };
  }

  #apply(command: Command, ticket: Ticket): Applied {
    const monotonic = this.#options.clock();
    const at = this.#agreed.now(monotonic);
    const data = encodeProposal({ proposer: { uid: this.#options.uid, ...ticket }, at, command });
    const applied = this.replica.apply({ index: this.replica.index + 1, term, data });
    this.#agreed.heard(this.replica.now, monotonic, true);
    this.hub.tell(applied.events);
    return applied;
  }
}
