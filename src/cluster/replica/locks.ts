/**
 * Locks with fencing tokens.
 *
 *           acquire                release                      acquire, or the first in the queue
 *   free ------------> held ----------------------> free ------------------------------------------> held
 *                       |   ttl over, at `expire`     ^
 *                       +----------> delayed ---------+ freeAt
 *
 * - The queue is served in the order of arrival. A waiter past its deadline never gets the lock.
 * - A holder that was lost may still be at work for a moment: nobody gets the lock for its `delayMs`. Who must be sure
 *   checks the token: each grant of any lock has a higher one than all before.
 * - A wait that would close a circle of owners waiting for each other is refused, and the circle is told.
 * - An `acquire` that comes twice changes nothing but the times: the holder keeps its token, the waiter its place.
 */
import type { Millis } from '../../base/ids.ts';
import { textBytes } from './bytes.ts';
import type { Command, CommandResult } from './command.ts';
import { Deadlines } from './deadlines.ts';
import type { Counter, Moment } from './events.ts';
import { lookAt, writeLock } from './lock-record.ts';
import type { Holder, Lock, ReplicaLimits, Waiter } from './model.ts';
import { Table } from './table.ts';
import { WaitGraph } from './wait-graph.ts';

type Acquire = Extract<Command, { readonly kind: 'acquire' }>;
const notHeld: CommandResult = { kind: 'absent', what: 'lock' };

export class Locks {
  readonly #limits: ReplicaLimits;
  readonly #tokens: Counter;
  readonly #locks = new Table<string, Lock>({ seed: 3, write: writeLock });
  readonly #deadlines = new Deadlines<string>();
  readonly #graph = new WaitGraph();

  constructor(limits: ReplicaLimits, tokens: Counter) {
    this.#limits = limits;
    this.#tokens = tokens;
  }

  get table(): Table<string, Lock> {
    return this.#locks;
  }

  get(name: string): Lock | null {
    return this.#locks.get(name) ?? null;
  }

  nextDeadline(): Millis {
    return this.#deadlines.next();
  }

  acquire(command: Acquire, moment: Moment): CommandResult {
    const refused = this.#tooMuch(command);
    if (refused !== null) return refused;
    const { name, owner } = command;
    const lock = this.#settle(this.get(name) ?? { name, holder: null, freeAt: 0, queue: [] }, moment);
    if (lock.holder?.owner === owner) return this.#renew(lock, lock.holder, { ...command, now: moment.now });
    if (lock.holder === null && lock.freeAt <= moment.now && lock.queue.length === 0) {
      const holder = this.#grant(lock, command, moment);
      return { kind: 'acquired', token: holder.token, expiresAt: holder.expiresAt };
    }
    if (command.waitMs === 0) {
      return { kind: 'busy', owner: lock.holder?.owner ?? null, until: lock.holder?.expiresAt ?? lock.freeAt };
    }
    return this.#wait(lock, command, moment);
  }

  extend(command: Extract<Command, { readonly kind: 'extend' }>, moment: Moment): CommandResult {
    const { ttlMs, token, name } = command;
    const lock = this.#locks.get(name);
    const { ttlMaxMs } = this.#limits;
    if (ttlMs > ttlMaxMs) return { kind: 'too-large', what: 'ttl', size: ttlMs, max: ttlMaxMs };
    if (lock?.holder?.token !== token) return notHeld;
    const expiresAt = moment.now + ttlMs;
    this.put({ ...lock, holder: { ...lock.holder, ttlMs, expiresAt } });
    return { kind: 'extended', expiresAt };
  }

  release(name: string, token: number, moment: Moment): CommandResult {
    const lock = this.#locks.get(name);
    if (lock?.holder?.token !== token) return notHeld;
    this.#end(lock, lock.holder, moment);
    return { kind: 'done' };
  }

  withdraw(name: string, owner: string, moment: Moment): CommandResult {
    const lock = this.#locks.get(name);
    if (lock?.holder?.owner === owner) {
      this.#end(lock, lock.holder, moment);
      return { kind: 'done' };
    }
    if (!lock?.queue.some((waiter) => waiter.owner === owner)) return notHeld;
    moment.events.push({ kind: 'wait-ended', name, owner, why: 'withdrawn' });
    this.#settle({ ...lock, queue: lock.queue.filter((waiter) => waiter.owner !== owner) }, moment);
    return { kind: 'done' };
  }

  /** Ends what has run out: the earliest first. */
  expire(moment: Moment): void {
    for (const name of this.#deadlines.due(moment.now)) {
      const lock = this.#locks.get(name)!;
      const { holder } = lock;
      if (holder === null || holder.expiresAt > moment.now) {
        this.#settle(lock, moment);
        continue;
      }
      moment.events.push({ kind: 'lock-ended', name, owner: holder.owner, token: holder.token, why: 'lost' });
      this.#settle({ ...lock, holder: null, freeAt: moment.now + holder.delayMs }, moment);
    }
  }

  /** Puts a lock in its place as it is: also how a snapshot comes back. */
  put(lock: Lock): void {
    const before = this.#locks.get(lock.name);
    if (before?.queue !== lock.queue) {
      for (const waiter of before?.queue ?? []) this.#graph.remove(waiter.owner, lock.name);
      for (const waiter of lock.queue) this.#graph.add(waiter.owner, lock.name);
    }
    this.#locks.set(lock.name, lock);
    this.#deadlines.set(lock.name, lookAt(lock));
  }

  #renew(lock: Lock, holder: Holder, terms: Acquire & { readonly now: Millis }): CommandResult {
    const expiresAt = terms.now + terms.ttlMs;
    this.put({ ...lock, holder: { ...holder, ttlMs: terms.ttlMs, delayMs: terms.delayMs, expiresAt } });
    return { kind: 'acquired', token: holder.token, expiresAt };
  }

  #wait(lock: Lock, command: Acquire, moment: Moment): CommandResult {
    const { owner, ttlMs, delayMs } = command;
    const place = lock.queue.findIndex((waiter) => waiter.owner === owner);
    const waiter: Waiter = { owner, ttlMs, delayMs, deadline: moment.now + command.waitMs };
    if (place !== -1) {
      this.#settle({ ...lock, queue: lock.queue.with(place, waiter) }, moment);
      return { kind: 'waiting', ahead: place, deadline: waiter.deadline };
    }
    const { waitersPerLock: max } = this.#limits;
    if (lock.queue.length >= max) return { kind: 'full', what: 'waiters', max };
    const cycle = this.#graph.cycle(owner, lock.name, (name) => this.#locks.get(name));
    if (cycle !== null) return { kind: 'deadlock', cycle };
    this.put({ ...lock, queue: [...lock.queue, waiter] });
    return { kind: 'waiting', ahead: lock.queue.length, deadline: waiter.deadline };
  }

  /** Given back by its holder: no delay. */
  #end(lock: Lock, holder: Holder, moment: Moment): void {
    const { owner, token } = holder;
    moment.events.push({ kind: 'lock-ended', name: lock.name, owner, token, why: 'released' });
    this.#settle({ ...lock, holder: null, freeAt: 0 }, moment);
  }

  /** Lets go who waited too long, gives a free lock to the first in the queue, forgets it if nobody is left. */
  #settle(lock: Lock, moment: Moment): Lock {
    const { now } = moment;
    const late = lock.queue.filter((waiter) => waiter.deadline <= now);
    const queue = late.length === 0 ? lock.queue : lock.queue.filter((waiter) => waiter.deadline > now);
    for (const { owner } of late) {
      moment.events.push({ kind: 'wait-ended', name: lock.name, owner, why: 'timed-out' });
    }
    const settled: Lock = { ...lock, queue };
    if (lock.holder === null && lock.freeAt <= now) {
      const first = queue[0];
      if (first === undefined) this.#forget(lock.name);
      else this.#grant({ ...settled, queue: queue.slice(1) }, first, moment);
    } else this.put(settled);
    return this.#locks.get(lock.name) ?? { name: lock.name, holder: null, freeAt: 0, queue: [] };
  }

  #grant(
    lock: Lock,
    to: { readonly owner: string; readonly ttlMs: Millis; readonly delayMs: Millis },
    moment: Moment,
  ): Holder {
    const { owner, ttlMs, delayMs } = to;
    const token = this.#tokens.next();
    const holder: Holder = { owner, token, ttlMs, delayMs, since: moment.now, expiresAt: moment.now + ttlMs };
    this.put({ ...lock, holder, freeAt: 0 });
    moment.events.push({ kind: 'lock-granted', name: lock.name, owner, token, expiresAt: holder.expiresAt });
    return holder;
  }

  #forget(name: string): void {
    const lock = this.#locks.delete(name);
    for (const waiter of lock?.queue ?? []) this.#graph.remove(waiter.owner, name);
    this.#deadlines.delete(name);
  }

  #tooMuch(command: Acquire): CommandResult | null {
    const { nameBytes, ttlMaxMs, locks } = this.#limits;
    for (const text of [command.name, command.owner]) {
      const size = textBytes(text);
      if (size > nameBytes) return { kind: 'too-large', what: 'name', size, max: nameBytes };
    }
    for (const ms of [command.ttlMs, command.waitMs, command.delayMs]) {
      if (ms > ttlMaxMs) return { kind: 'too-large', what: 'ttl', size: ms, max: ttlMaxMs };
    }
    const isNew = !this.#locks.has(command.name);
    return isNew && this.#locks.size >= locks ? { kind: 'full', what: 'locks', max: locks } : null;
  }
}
