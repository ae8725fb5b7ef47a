/**
 * Write leases, judged by world time: a pool whose epoch moves again and again, and on every member a record of its lease
 * as the data threads would look at it.
 *
 *   open N --> pending N+1 --> (no lease of N can be alive any more) --> open N+1
 *
 * Whoever leads moves it, and waits as the rules say: the length of a lease with drift, from when the pending entry came
 * into its own log, or from the last grant that a predecessor can have given. The rule that is checked: as N+1 opens, and
 * ever after, no member holds a lease of N whose end, on that member's own clock, lies in the world's future.
 */
import type { Millis } from '../../src/base/ids.ts';
import { type WriteLease, writeLeaseMs } from '../../src/cluster/coordinator.ts';
import { openEpochOf, type PoolRecord } from '../../src/cluster/failover/model.ts';
import type { MemberOutput } from '../../src/cluster/member/contract.ts';
import type { ReplicaEvent } from '../../src/cluster/replica/events.ts';
import { change, next, poolRecord, targetOf } from '../cluster/replica/pool-records.ts';
import { Breach } from './breach.ts';
import type { Host } from './host.ts';
import type { Habits } from './plants.ts';
import type { Queue } from './queue.ts';

interface Wait {
  readonly run: number;
  readonly term: number;
  readonly epoch: number;
  /** On that member's clock. */
  readonly until: Millis;
}

export interface PoolWorld {
  readonly queue: Queue;
  readonly hosts: readonly Host[];
  readonly habits: Habits;
  readonly quiet: boolean;
  leader(): Host | undefined;
  covered(what: string): void;
  happened(event: string): void;
  note(who: string, text: string): void;
}

export const pool = 'app';
const renewMs: Millis = 400;
const moveMs: Millis = 700;

export class Pools {
  readonly #world: PoolWorld;
  readonly #leases = new Map<Host, { readonly lease: WriteLease; readonly run: number }>();
  readonly #waits = new Map<Host, Wait>();
  /** Members that have accepted that the epoch moves. */
  readonly #moving = new Set<Host>();
  /** The highest epoch that was opened, by what is committed. */
  #opened = 0;

  constructor(world: PoolWorld) {
    this.#world = world;
    this.#again(moveMs, () => this.#move());
    for (const host of world.hosts) this.#again(renewMs, () => this.#renew(host));
  }

  stepped(host: Host, out: MemberOutput): void {
    for (const effect of out.effects) {
      if (effect.kind === 'moving') this.#moving.add(host);
      if (effect.kind === 'moving' && this.#world.habits.looksAtAccepted) this.#leases.delete(host);
      if (effect.kind !== 'void-leases' || !this.#world.habits.heedsVoid) continue;
      this.#leases.delete(host);
      this.#world.covered(`void-leases: ${effect.why}`);
    }
    const held = this.#leases.get(host);
    if (held === undefined) return;
    if (held.lease.epoch !== this.#open(host)) this.#leases.delete(host);
    else if (held.lease.epoch < this.#opened) this.#check(host);
  }

  /** What an entry did that was committed for the first time in this world. */
  committed(events: readonly ReplicaEvent[]): void {
    for (const event of events) {
      const epoch = event.kind === 'pool' ? openEpochOf(event.record) : null;
      if (epoch === null || epoch <= this.#opened) continue;
      this.#opened = epoch;
      this.#world.note('pool', `epoch ${epoch} opens`);
      this.#world.covered('pool: opened');
      for (const host of this.#leases.keys()) this.#check(host);
      this.#world.happened('open');
    }
  }

  #again(everyMs: Millis, what: () => void): void {
    this.#world.queue.after(everyMs, () => {
      what();
      this.#again(everyMs, what);
    });
  }

  #check(host: Host): void {
    const held = this.#leases.get(host);
    // A machine that sleeps begins nothing, and its lease is void as it wakes.
    if (held === undefined || held.run !== host.run || host.pause === 'suspended') return;
    const { epoch, cutAt } = held.lease;
    const left = host.clock.worldAt(cutAt) - this.#world.queue.now;
    if (epoch < this.#opened && left > 0)
      throw new Breach(
        'write lease',
        `${host.name} may write under epoch ${epoch} for ${Math.round(left)} ms, ${this.#opened} is open`,
      );
  }

  /** As this member has applied it. */
  #open(host: Host): number | null {
    return host.body?.replica.pools.openEpoch(pool) ?? null;
  }

  #renew(host: Host): void {
    const epoch = this.#open(host);
    if (epoch === null || !host.awake) return;
    const { run } = host;
    host.call({ kind: 'write-lease', pool, epoch }, (answer) => {
      if (!answer.ok) return this.#world.covered(`lease: ${answer.error.kind}`);
      if (answer.value.kind !== 'lease' || host.run !== run) return;
      this.#world.covered('lease: given');
      this.#leases.set(host, { lease: answer.value.lease, run });
      this.#check(host);
    });
  }

  #move(): void {
    const host = this.#world.leader();
    if (host === undefined || !host.awake || host.body === null || this.#world.quiet) return;
    const raft = host.body.status().raft;
    if (raft === null || raft.role !== 'leader' || !raft.ready) return;
    const record = host.body.replica.pools.get(pool);
    if (record === null) return this.#propose(host, poolRecord({ pool }));
    if (record.phase === 'open') return this.#choose(host, record);
    const wait = this.#waits.get(host);
    const mine = wait !== undefined && wait.run === host.run && wait.term === raft.term && wait.epoch === record.epoch;
    if (!mine) this.#world.covered('pool: resumed by a new leader');
    // Of two voters the other may have written until this was committed: so it is asked anew.
    const until = mine && raft.config.voters.length > 2 ? wait.until : this.#overAt(host);
    if (mine && host.now() >= until) return this.#propose(host, next(record, { phase: 'open' }));
    this.#wait(host, { run: host.run, term: raft.term, epoch: record.epoch, until });
  }

  /** Not again while it is on its way: then its step is of an epoch that is being waited for. */
  #choose(host: Host, record: PoolRecord): void {
    const epoch = record.epoch + 1;
    const { term } = host.body!.status();
    const known = this.#waits.get(host);
    if (known?.run === host.run && known.term === term && known.epoch === epoch) return;
    this.#moving.delete(host);
    const { run } = host;
    this.#propose(host, next(record, { phase: 'pending', epoch, target: targetOf(epoch % 2 === 0 ? 'b' : 'a') }));
    if (host.body === null || host.run !== run || !this.#moving.has(host)) return;
    this.#world.happened('pending');
    // It is in the leader's own log now, so that from here on it grants nothing of this epoch.
    this.#wait(host, { run, term, epoch, until: this.#overAt(host) });
  }

  #propose(host: Host, record: PoolRecord): void {
    host.call({ kind: 'propose', command: change(record), consistency: 'quorum' }, () => {});
  }

  #overAt(host: Host): Millis {
    return host.body?.writesOverAt(pool) ?? host.now() + writeLeaseMs * 1.01 + 50;
  }

  /** To the millisecond, for a wait that is a little too short must show. */
  #wait(host: Host, wait: Wait): void {
    this.#waits.set(host, wait);
    const at = host.clock.worldAt(wait.until);
    if (at !== Number.POSITIVE_INFINITY) this.#world.queue.at(at + 0.1, () => this.#move());
  }
}
