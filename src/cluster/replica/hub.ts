/**
 * Who waits on this member for what entries do: watches of keys, waits for locks, observers.
 *
 * Fed with the events of each applied entry, and told when the whole state was replaced by a snapshot: then nobody knows
 * what happened meanwhile, so everything is looked up in the new state. Bounded; nothing here is agreed on.
 */
import { err, ok, type Result } from '../../base/result.ts';
import type { CoordinatorError, Held, Watch, WatchEvent } from '../coordinator.ts';
import type { ReplicaEvent } from './events.ts';
import type { Change, Revision } from './model.ts';
import type { Replica } from './replica.ts';

interface Watcher {
  readonly prefix: string;
  readonly sink: (event: WatchEvent) => void;
  /** Told up to here. */
  after: Revision;
}

export type WaitOutcome = Result<Held, CoordinatorError>;

interface LockWait {
  readonly name: string;
  readonly owner: string;
  readonly done: (outcome: WaitOutcome) => void;
}

export class Hub {
  readonly watchersMax: number;
  readonly #watchers = new Set<Watcher>();
  readonly #waits = new Set<LockWait>();
  readonly #observers = new Set<(event: ReplicaEvent) => void>();
  readonly #untold: (readonly ReplicaEvent[])[] = [];
  /** Sinks that threw, and were closed for it. */
  faults = 0;

  constructor(watchersMax = 10_000) {
    this.watchersMax = watchersMax;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  get waits(): number {
    return this.#waits.size;
  }

  watch(
    replica: Replica,
    options: { readonly prefix: string; readonly after?: Revision },
    sink: (event: WatchEvent) => void,
  ): Result<Watch, CoordinatorError> {
    if (this.#watchers.size >= this.watchersMax) return err({ kind: 'full', what: 'watchers', max: this.watchersMax });
    const after = options.after ?? replica.kv.revision.value;
    const { floor } = replica.kv;
    if (after < floor) return err({ kind: 'compacted', floor });
    const watcher: Watcher = { prefix: options.prefix, sink, after };
    this.#watchers.add(watcher);
    this.#catchUp(watcher, replica);
    return ok({ revision: after, close: () => void this.#watchers.delete(watcher) });
  }

  observe(sink: (event: ReplicaEvent) => void): () => void {
    // Wrapped, so that one function given twice is two observers.
    const observer = (event: ReplicaEvent): void => sink(event);
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  /**
   * Waits until `owner`, who stands in the queue of `name`, has the lock or has left the queue. Returns how to give up,
   * after which `done` is not called. What the state says already is told before this returns.
   */
  awaitLock(replica: Replica, wait: LockWait): () => void {
    this.#waits.add(wait);
    this.#lookUp(wait, replica);
    return () => void this.#waits.delete(wait);
  }

  /**
   * Tells everybody what an entry did. A sink may cause the next entry itself: that is told when this one was told to
   * all, so that everybody hears of entries in their order.
   */
  tell(events: readonly ReplicaEvent[]): void {
    this.#untold.push(events);
    if (this.#untold.length > 1) return;
    for (let next = this.#untold[0]; next !== undefined; next = this.#untold[0]) {
      this.#tellOne(next);
      this.#untold.shift();
    }
  }

  #tellOne(events: readonly ReplicaEvent[]): void {
    const changes: Change[] = [];
    for (const event of events) {
      if (event.kind === 'changed') changes.push(event.change);
      else if (event.kind === 'lock-granted') this.#granted(event);
      else if (event.kind === 'wait-ended') this.#ended(event.name, event.owner, event.why);
      for (const observer of this.#observers) this.#guarded(() => observer(event), this.#observers, observer);
    }
    if (changes.length > 0) for (const watcher of this.#watchers) this.#deliver(watcher, changes);
  }

  /** The state was replaced: what was missed is looked up in it, or given up. All pools are told as they are now. */
  replaced(replica: Replica): void {
    this.tell(replica.pools.list().map((record) => ({ kind: 'pool', record })));
    for (const watcher of this.#watchers) this.#catchUp(watcher, replica);
    for (const wait of this.#waits) this.#lookUp(wait, replica);
  }

  close(): void {
    for (const wait of this.#waits) wait.done(err({ kind: 'closed' }));
    for (const { sink, after } of this.#watchers) {
      this.#guarded(() => sink({ kind: 'ended', why: 'closed', floor: after }), this.#watchers, null);
    }
    this.#waits.clear();
    this.#watchers.clear();
    this.#observers.clear();
  }

  #catchUp(watcher: Watcher, replica: Replica): void {
    const since = replica.kv.since(watcher.after, watcher.prefix);
    if (since.kind === 'changes') {
      if (since.changes.length > 0) this.#deliver(watcher, since.changes);
      return;
    }
    this.#watchers.delete(watcher);
    const { floor } = since;
    this.#guarded(() => watcher.sink({ kind: 'ended', why: 'compacted', floor }), this.#watchers, watcher);
  }

  #deliver(watcher: Watcher, all: readonly Change[]): void {
    // A watch from a revision that this member has not reached yet is told nothing before it.
    const changes = all.filter((one) => one.revision > watcher.after && one.key.startsWith(watcher.prefix));
    if (changes.length === 0) return;
    const revision = changes.at(-1)!.revision;
    watcher.after = revision;
    this.#guarded(() => watcher.sink({ kind: 'changes', changes, revision }), this.#watchers, watcher);
  }

  #granted(event: Extract<ReplicaEvent, { readonly kind: 'lock-granted' }>): void {
    const { name, owner, token, expiresAt } = event;
    this.#resolve(name, owner, ok({ name, owner, token, expiresAt }));
  }

  #ended(name: string, owner: string, why: 'timed-out' | 'withdrawn'): void {
    this.#resolve(name, owner, err({ kind: why }));
  }

  #resolve(name: string, owner: string, outcome: WaitOutcome): void {
    for (const wait of this.#waits) {
      if (wait.name !== name || wait.owner !== owner) continue;
      this.#waits.delete(wait);
      wait.done(outcome);
    }
  }

  #lookUp(wait: LockWait, replica: Replica): void {
    const { name, owner } = wait;
    const lock = replica.locks.get(name);
    if (lock?.queue.some((waiter) => waiter.owner === owner)) return;
    this.#waits.delete(wait);
    if (lock?.holder?.owner !== owner) wait.done(err({ kind: 'timed-out' }));
    else wait.done(ok({ name, owner, token: lock.holder.token, expiresAt: lock.holder.expiresAt }));
  }

  #guarded<T>(tell: () => void, among: Set<T>, who: T | null): void {
    try {
      tell();
    } catch {
      this.faults += 1;
      if (who !== null) among.delete(who);
    }
  }
}
