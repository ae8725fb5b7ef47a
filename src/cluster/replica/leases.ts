/**
 * Leases: spans of time that somebody keeps alive. One that has run out still stands until an `expire` finds it, and may
 * be kept alive until then: nobody has acted on its end yet.
 */
import type { Millis } from '../../base/ids.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';
import type { CommandResult } from './command.ts';
import { Deadlines } from './deadlines.ts';
import type { Counter, Moment } from './events.ts';
import type { Lease, LeaseId, ReplicaLimits } from './model.ts';
import { Table } from './table.ts';

export function writeLease(to: ByteWriter, lease: Lease): void {
  to.number(lease.id).number(lease.ttlMs).number(lease.expiresAt);
}

export const readLease = (from: ByteReader): Lease => ({
  id: from.number(),
  ttlMs: from.number(),
  expiresAt: from.number(),
});

export class Leases {
  readonly #limits: ReplicaLimits;
  readonly #leases = new Table<LeaseId, Lease>({ seed: 2, write: writeLease });
  readonly #deadlines = new Deadlines<LeaseId>();

  constructor(limits: ReplicaLimits) {
    this.#limits = limits;
  }

  get table(): Table<LeaseId, Lease> {
    return this.#leases;
  }

  get(id: LeaseId): Lease | null {
    return this.#leases.get(id) ?? null;
  }

  nextDeadline(): Millis {
    return this.#deadlines.next();
  }

  grant(ttlMs: Millis, tokens: Counter, moment: Moment): CommandResult {
    const { ttlMaxMs, leases } = this.#limits;
    if (ttlMs > ttlMaxMs) return { kind: 'too-large', what: 'ttl', size: ttlMs, max: ttlMaxMs };
    if (this.#leases.size >= leases) return { kind: 'full', what: 'leases', max: leases };
    const lease: Lease = { id: tokens.next(), ttlMs, expiresAt: moment.now + ttlMs };
    this.put(lease);
    return { kind: 'granted', lease: lease.id, expiresAt: lease.expiresAt };
  }

  keepAlive(id: LeaseId, moment: Moment): CommandResult {
    const lease = this.#leases.get(id);
    if (lease === undefined) return { kind: 'absent', what: 'lease' };
    const expiresAt = moment.now + lease.ttlMs;
    this.put({ ...lease, expiresAt });
    return { kind: 'extended', expiresAt };
  }

  /** False if there is no such lease. */
  end(id: LeaseId): boolean {
    this.#deadlines.delete(id);
    return this.#leases.delete(id) !== undefined;
  }

  /** Ends and names what has run out, the earliest first. */
  expire(now: Millis): readonly LeaseId[] {
    const due = this.#deadlines.due(now);
    for (const id of due) this.#leases.delete(id);
    return due;
  }

  put(lease: Lease): void {
    this.#leases.set(lease.id, lease);
    this.#deadlines.set(lease.id, lease.expiresAt);
  }
}
