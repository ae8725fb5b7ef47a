/**
 * The Coordinator over this member: the rooms of the contract, on the member's log and state.
 *
 * `strong` and `quorum` reads are confirmed by the leader. Where all writes of something are strong (sessions), `leased`
 * says when this member's own state may be read without asking anybody.
 */
import type { Millis } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type {
  Answer,
  Consistency,
  Coordinator,
  CoordinatorError,
  Freshness,
  KvRoom,
  LeaderView,
  LeaseRoom,
  LockRoom,
  Read,
  ReadOptions,
  Watch,
  WatchEvent,
  WriteLease,
  WriteOptions,
  Written,
} from '../coordinator.ts';
import type { PoolRecord } from '../failover/model.ts';
import type { CallValue, ReadNeed } from '../member/contract.ts';
import type { Command, CommandResult } from '../replica/command.ts';
import type { ReplicaEvent } from '../replica/events.ts';
import type { Hub } from '../replica/hub.ts';
import type { HistoryEvent, RecordKind, Registered, Revision } from '../replica/model.ts';
import type { Replica } from '../replica/replica.ts';
import { type Engine, kvRoom, leaseRoom, lockRoom, read } from '../replica/rooms.ts';
import type { CallResult, MemberHost } from './member-host.ts';
import { Timings } from './timings.ts';

const timerMax: Millis = 0x7fffffff;

/** The value of a call, if it is of the kind that was asked for. */
function take<K extends CallValue['kind'], T>(
  result: CallResult,
  kind: K,
  value: (of: Extract<CallValue, { readonly kind: K }>) => T,
): Result<T, CoordinatorError> {
  if (!result.ok) return err(result.error.kind === 'change-refused' ? { kind: 'unsupported' } : result.error);
  if (result.value.kind !== kind) return err({ kind: 'unsupported' });
  return ok(value(result.value as Extract<CallValue, { readonly kind: K }>));
}

export class MemberCoordinator implements Coordinator, Engine {
  readonly kv: KvRoom = kvRoom(this);
  readonly lease: LeaseRoom = leaseRoom(this);
  readonly timings = new Timings();
  readonly lock: LockRoom = this.timings.timed(lockRoom(this));
  readonly #host: MemberHost;

  constructor(host: MemberHost) {
    this.#host = host;
  }

  get replica(): Replica {
    return this.#host.replica;
  }

  get hub(): Hub {
    return this.#host.hub;
  }

  leader(): LeaderView {
    const { leader, uid, term, quorum } = this.#host.status();
    return { leader, self: leader === uid, term, quorum: quorum && this.#host.isOpen };
  }

  propose(command: Command, options: WriteOptions = {}): Answer<Written<CommandResult>> {
    const { consistency = 'quorum', ticket } = options;
    const call = { kind: 'propose', command, consistency, ...(ticket && { ticket }) } as const;
    const started = performance.now();
    return this.#host.call(call).then((result) => {
      const answer = take(result, 'written', ({ written }) => written);
      this.timings.wrote(started, answer);
      return answer;
    });
  }

  ready(consistency: Consistency): Answer<Freshness> {
    return this.#fresh(consistency === 'eventual' ? 'local' : 'current');
  }

  after(ms: Millis, call: () => void): () => void {
    const timer = setTimeout(call, Math.min(ms, timerMax));
    return () => clearTimeout(timer);
  }

  /** When answered, `replica` has every strong write that was acknowledged before this was asked. */
  leased(): Answer<Freshness> {
    return this.#fresh('leased');
  }

  #fresh(need: ReadNeed): Answer<Freshness> {
    return this.#host
      .call({ kind: 'read', need })
      .then((result) => take(result, 'fresh', ({ freshness }) => freshness));
  }

  watch(
    options: { readonly prefix: string; readonly after?: Revision },
    sink: (event: WatchEvent) => void,
  ): Result<Watch, CoordinatorError> {
    return this.#host.isOpen ? this.hub.watch(this.replica, options, sink) : err({ kind: 'closed' });
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
    return this.#host
      .call({ kind: 'write-lease', pool, epoch })
      .then((result) => take(result, 'lease', ({ lease }) => lease));
  }
}
