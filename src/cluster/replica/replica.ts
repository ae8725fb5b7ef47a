/**
 * The agreed state of the cluster: what every member holds, the same at the same index of the log.
 *
 *   entry -> decode -> seen before? -> the agreed clock -> command -> result, events
 *
 * Applying is a pure function of the entries: no clock but the one that they carry, no chance, no order of a Map. What a
 * peer put into an entry never breaks it: what can't be read is counted and answered, and takes no effect.
 *
 * Revisions and tokens of a new state begin at the first entry's time, seconds << 20, so that they are above all that an
 * earlier state gave out. Nothing runs out unless an `expire` says so: the leader proposes one at `nextExpiry()`.
 *
 * Not here: who may propose, what consistency a write asked for, how long a watch may lag. Rooms above.
 */
import { assert, assertNever } from '../../base/assert.ts';
import type { Millis } from '../../base/ids.ts';
import { ByteWriter } from './bytes.ts';
import { decodeProposal } from './codec.ts';
import type { Command, CommandResult, Proposal } from './command.ts';
import { Counter, type Moment, type ReplicaEvent } from './events.ts';
import { Fingerprint, type Hash64, hashBytes } from './fingerprint.ts';
import { History } from './history.ts';
import { Kv } from './kv.ts';
import { Leases } from './leases.ts';
import { Locks } from './locks.ts';
import { counterFloor, defaultLimits, type LeaseId, type ReplicaLimits } from './model.ts';
import { Pools } from './pools.ts';
import { Proposers } from './proposers.ts';
import { Registry } from './registry.ts';

/** `data` null: an entry of the log that is none of the state's business; only the index moves on. */
export interface ReplicaEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array | null;
}

export interface Applied {
  readonly result: CommandResult;
  readonly events: readonly ReplicaEvent[];
}

/** Counts since this member's start; for metrics. */
export interface ReplicaCounts {
  applied: number;
  repeated: number;
  unreadable: number;
}

export const hashEvery = 1000;

export class Replica {
  readonly limits: ReplicaLimits;
  readonly kv: Kv;
  readonly leases: Leases;
  readonly locks: Locks;
  readonly registry: Registry;
  readonly history: History;
  readonly pools: Pools;
  readonly proposers: Proposers;
  readonly tokens = new Counter();
  readonly counts: ReplicaCounts = { applied: 0, repeated: 0, unreadable: 0 };
  #index: number;
  #term: number;
  #now: Millis;

  /** A new state; or, with a position, one that a snapshot is read into. Limits must be the same on every member. */
  constructor(limits: ReplicaLimits = defaultLimits, from = { index: 0, term: 0, now: 0 }) {
    this.limits = limits;
    this.kv = new Kv(limits);
    this.leases = new Leases(limits);
    this.locks = new Locks(limits, this.tokens);
    this.registry = new Registry(limits);
    this.history = new History(limits);
    this.pools = new Pools(limits);
    this.proposers = new Proposers(limits);
    this.#index = from.index;
    this.#term = from.term;
    this.#now = from.now;
  }

  /** Index of the newest applied entry; 0 before the first. */
  get index(): number {
    return this.#index;
  }

  /** Term of the newest applied entry. */
  get term(): number {
    return this.#term;
  }

  /** The agreed time as of the newest applied entry; 0 in a new state. */
  get now(): Millis {
    return this.#now;
  }

  /** Applies the next entry. Entries come in order, each once; anything else is a bug of the driver. */
  apply(entry: ReplicaEntry): Applied {
    assert(entry.index === this.#index + 1, `replica at ${this.#index} was given entry ${entry.index}`);
    this.#index = entry.index;
    this.#term = entry.term;
    const events: ReplicaEvent[] = [];
    const result = entry.data === null ? ({ kind: 'done' } as const) : this.#read(entry.data, events);
    if (entry.index % hashEvery === 0) events.push({ kind: 'hash', index: entry.index, hash: this.hash() });
    return { result, events };
  }

  /** When the leader should propose `expire`, in agreed time; Infinity: never, as things are. */
  nextExpiry(): Millis {
    return Math.min(this.leases.nextDeadline(), this.locks.nextDeadline());
  }

  /** Equal on members whose states are equal; unlike otherwise, but for one chance in 2^64. */
  hash(): Hash64 {
    const print = new Fingerprint();
    const scalars = new ByteWriter().number(this.#index).number(this.#term).number(this.#now);
    scalars.number(this.kv.revision.value).number(this.tokens.value).number(this.history.last);
    print.add(hashBytes(scalars.peek()));
    const tables = [this.kv, this.leases, this.locks, this.registry, this.history, this.pools].map(
      (room) => room.table,
    );
    for (const table of [...tables, ...this.proposers.tables]) print.add(table.fingerprint);
    return print.value;
  }

  #read(data: Uint8Array, events: ReplicaEvent[]): CommandResult {
    const decoded = decodeProposal(data);
    if (decoded.ok) return this.#once(decoded.value, events);
    this.counts.unreadable += 1;
    events.push({ kind: 'unreadable', index: this.#index, why: decoded.error });
    return { kind: 'unreadable' };
  }

  #once({ proposer, at, command }: Proposal, events: ReplicaEvent[]): CommandResult {
    this.#now = Math.max(this.#now, at);
    if (this.tokens.value === 0) this.#raise();
    const moment: Moment = { now: this.#now, events };
    const seen = this.proposers.seen(proposer, this.#now);
    if (seen !== 'new') {
      this.counts.repeated += 1;
      return seen;
    }
    this.counts.applied += 1;
    const result = this.#run(command, moment);
    this.proposers.remember(proposer, result, this.#now);
    return result;
  }

  #run(command: Command, moment: Moment): CommandResult {
    switch (command.kind) {
      case 'set':
        if (command.lease !== null && this.leases.get(command.lease) === null) return { kind: 'absent', what: 'lease' };
        return this.kv.set(command, moment);
      case 'delete':
        return this.kv.delete(command.key, command.when, moment);
      case 'grant':
        return this.leases.grant(command.ttlMs, this.tokens, moment);
      case 'keep-alive':
        return this.leases.keepAlive(command.lease, moment);
      case 'revoke':
        if (!this.leases.end(command.lease)) return { kind: 'absent', what: 'lease' };
        return this.#endLease(command.lease, 'revoked', moment);
      case 'acquire':
        return this.locks.acquire(command, moment);
      case 'extend':
        return this.locks.extend(command, moment);
      case 'release':
        return this.locks.release(command.name, command.token, moment);
      case 'withdraw':
        return this.locks.withdraw(command.name, command.owner, moment);
      case 'register':
        return this.registry.register(command, moment);
      case 'unregister':
        return this.registry.unregister(command.what, command.id, moment);
      case 'note':
        return this.history.note(command, moment);
      case 'expire':
        return this.#expire(moment);
      case 'raise':
        return this.#raise();
      case 'pool':
        return this.pools.change(command, this.history, moment);
      default:
        return assertNever(command, 'command');
    }
  }

  #endLease(lease: LeaseId, why: 'expired' | 'revoked', moment: Moment): CommandResult {
    this.kv.deleteAttached(lease, moment);
    moment.events.push({ kind: 'lease-ended', lease, why });
    return { kind: 'done' };
  }

  #expire(moment: Moment): CommandResult {
    for (const lease of this.leases.expire(moment.now)) this.#endLease(lease, 'expired', moment);
    this.locks.expire(moment);
    for (const event of [...moment.events]) {
      if (event.kind !== 'lock-ended' || event.why !== 'lost') continue;
      const text = `${event.owner} did not extend it in time; token ${event.token}`;
      this.history.add({ topic: 'lock lost', subject: event.name, text }, moment);
    }
    return { kind: 'done' };
  }

  #raise(): CommandResult {
    const floor = counterFloor(this.#now);
    this.tokens.raise(floor);
    this.kv.raise(floor);
    return { kind: 'done' };
  }
}
