/**
 * Write leases, judged by world time: a pool whose epoch moves again and again, and on every member a record of its lease
 * as the data threads would look at it.
 *
 *   open N --> pending N --> (no lease of N can be alive any more) --> open N+1
 *
 * Whoever leads moves it, and waits as the rules say: the length of a lease with drift, from when the pending entry came
 * into its own log, or from the last grant that a predecessor can have given. The rule that is checked: as N+1 opens, and
 * ever after, no member holds a lease of N whose end, on that member's own clock, lies in the world's future.
 */
import type { Millis } from '../../src/base/ids.ts';
import { type WriteLease, writeLeaseMs } from '../../src/cluster/coordinator.ts';
import type { DiskEntry, MemberOutput } from '../../src/cluster/member/contract.ts';
import { decodeProposal } from '../../src/cluster/replica/codec.ts';
import type { Condition } from '../../src/cluster/replica/model.ts';
import type { Species } from './body.ts';
import { Breach } from './breach.ts';
import type { Host } from './host.ts';
import type { Habits } from './plants.ts';
import type { Queue } from './queue.ts';

interface Marker {
  readonly epoch: number;
  readonly phase: 'open' | 'pending';
}

interface Wait {
  readonly run: number;
  readonly term: number;
  readonly epoch: number;
  /** On that member's clock. */
  readonly until: Millis;
}

export interface PoolWorld {
  readonly species: Species;
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
const key = 'pool/app';
const renewMs: Millis = 400;
const moveMs: Millis = 700;
const markerOf = (text: string): Marker => {
  const [epoch, phase] = text.split(' ');
  return { epoch: Number(epoch), phase: phase as Marker['phase'] };
};
const bytesOf = ({ epoch, phase }: Marker): Uint8Array => new TextEncoder().encode(`${epoch} ${phase}`);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export class Pools {
  readonly #world: PoolWorld;
  readonly #markers = new WeakMap<DiskEntry, Marker | 'none'>();
  readonly #leases = new Map<Host, { readonly lease: WriteLease; readonly run: number }>();
  readonly #waits = new Map<Host, Wait>();
  /** The highest epoch that was opened, by what is committed. */
  #opened = 0;

  constructor(world: PoolWorld) {
    this.#world = world;
    this.#again(moveMs, () => this.#move());
    for (const host of world.hosts) this.#again(renewMs, () => this.#renew(host));
  }

  /** What the member is told of the pool: what it has accepted, not what is agreed. */
  openEpoch(host: Host): number | null {
    const marker = this.#accepted(host);
    return marker?.phase === 'open' ? marker.epoch : null;
  }

  stepped(host: Host, out: MemberOutput): void {
    for (const effect of out.effects) {
      if (effect.kind !== 'void-leases' || !this.#world.habits.heedsVoid) continue;
      this.#leases.delete(host);
      this.#world.covered(`void-leases: ${effect.why}`);
    }
    const held = this.#leases.get(host);
    if (held === undefined) return;
    // The control thread takes the record back as soon as it has accepted that the epoch moves.
    if (out.persist.length > 0 && held.lease.epoch !== this.openEpoch(host)) this.#leases.delete(host);
    else if (held.lease.epoch < this.#opened) this.#check(host);
  }

  /** For the first time in this world. */
  committed(entry: DiskEntry): void {
    const marker = this.#marker(entry);
    if (marker === 'none' || marker.phase !== 'open' || marker.epoch <= this.#opened) return;
    this.#opened = marker.epoch;
    this.#world.note('pool', `epoch ${marker.epoch} opens`);
    this.#world.covered('pool: opened');
    for (const host of this.#leases.keys()) this.#check(host);
    this.#world.happened('open');
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

  #renew(host: Host): void {
    const epoch = this.openEpoch(host);
    if (epoch === null || !host.awake) return;
    const { run } = host;
    host.call({ kind: 'write-lease', pool, epoch }, (answer) => {
      if (!answer.ok) return this.#world.covered(`lease: ${answer.error.kind}`);
      if (answer.value.kind !== 'lease' || host.run !== run) return;
      this.#world.covered('lease: given');
      const { lease } = answer.value;
      if (lease.epoch !== this.openEpoch(host)) return;
      this.#leases.set(host, { lease, run });
      this.#check(host);
    });
  }

  #move(): void {
    const host = this.#world.leader();
    if (host === undefined || !host.awake || host.body === null || this.#world.quiet) return;
    const raft = host.body.status().raft;
    if (raft === null || raft.role !== 'leader' || !raft.ready) return;
    const entry = host.body.replica.kv.get(key);
    if (entry === null) return this.#set(host, { kind: 'absent' }, { epoch: 1, phase: 'open' });
    const { epoch, phase } = markerOf(textOf(entry.value));
    const when: Condition = { kind: 'value', value: entry.value };
    if (phase === 'open') {
      // Not again while it is on its way.
      if (this.openEpoch(host) !== null) this.#set(host, when, { epoch, phase: 'pending' });
      return;
    }
    const wait = this.#waits.get(host);
    const mine = wait !== undefined && wait.run === host.run && wait.term === raft.term && wait.epoch === epoch;
    if (mine && host.now() < wait.until) return;
    if (mine) return this.#set(host, when, { epoch: epoch + 1, phase: 'open' });
    // The entry came from an earlier leader: this one has granted nothing of the epoch.
    const until = this.#overAt(host);
    this.#waits.set(host, { run: host.run, term: raft.term, epoch, until });
    this.#moveAt(host, until);
    this.#world.covered('pool: resumed by a new leader');
  }

  #set(host: Host, when: Condition, marker: Marker): void {
    const raft = host.body!.status().raft!;
    host.call(
      {
        kind: 'propose',
        command: { kind: 'set', key, value: bytesOf(marker), lease: null, when },
        consistency: 'quorum',
      },
      () => {},
    );
    const { run } = host;
    if (marker.phase === 'open' || host.body === null || this.openEpoch(host) !== null) return;
    this.#world.happened('pending');
    // It is in the leader's own log now, so that from here on it grants nothing of this epoch.
    const until = this.#overAt(host);
    this.#waits.set(host, { run, term: raft.term, epoch: marker.epoch, until });
    this.#moveAt(host, until);
  }

  /** To the millisecond, for a wait that is a little too short must show. */
  #moveAt(host: Host, local: Millis): void {
    const at = host.clock.worldAt(local);
    if (at !== Number.POSITIVE_INFINITY) this.#world.queue.at(at + 0.1, () => this.#move());
  }

  #overAt(host: Host): Millis {
    return host.body?.writesOverAt(pool) ?? host.now() + writeLeaseMs * 1.01 + 50;
  }

  #accepted(host: Host): Marker | null {
    const { entries } = host.mirror;
    const applied = host.body?.replica;
    if (applied === undefined) return null;
    if (!this.#world.habits.looksAtAccepted) return this.#applied(host);
    for (let i = entries.length - 1; i >= 0; i--) {
      const marker = this.#marker(entries[i]!);
      if (marker === 'none') continue;
      if (entries[i]!.index > applied.index) return { ...marker, phase: 'pending' };
      break;
    }
    return this.#applied(host);
  }

  #applied(host: Host): Marker | null {
    const entry = host.body?.replica.kv.get(key) ?? null;
    return entry === null ? null : markerOf(textOf(entry.value));
  }

  #marker(entry: DiskEntry): Marker | 'none' {
    const known = this.#markers.get(entry);
    if (known !== undefined) return known;
    const marker = this.#read(entry);
    this.#markers.set(entry, marker);
    return marker;
  }

  #read({ bytes }: DiskEntry): Marker | 'none' {
    const body = this.#world.species.entryOf(bytes);
    const proposal = body.kind === 'data' ? decodeProposal(body.data) : null;
    if (proposal === null || !proposal.ok) return 'none';
    const { command } = proposal.value;
    return command.kind === 'set' && command.key === key ? markerOf(textOf(command.value)) : 'none';
  }
}
