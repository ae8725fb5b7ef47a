/**
 * The driver of agreement and state: raft's loop as its contract says, around one replica.
 *
 *   raft.take -> persist (queued) -> apply to the replica -> send -> answer
 *
 * Who proposes, changes or reads here gets its answer by a function of its own, once. Beside that: the agreed clock, the
 * leader's `expire`, snapshots (written in slices, between other work), and what an entry of a newer version means.
 */
import type { Bytes, MemberId, Millis } from '../../base/ids.ts';
import type { PoolRecord } from '../failover/model.ts';
import type { Change, Outcome, Persist, RaftEvent, RaftInput, RaftOutput, RaftStatus } from '../raft/contract.ts';
import { entrySize, type Restored } from '../raft/model.ts';
import { Raft } from '../raft/raft.ts';
import { AgreedClock } from '../replica/clock.ts';
import type { ReplicaEvent } from '../replica/events.ts';
import { Replica } from '../replica/replica.ts';
import { Capture, restore } from '../replica/snapshot.ts';
import type { Core } from './core.ts';
import { Moving } from './moving.ts';
import { type LogEnd, noEnd } from './words.ts';

export interface AgreementNews {
  raftEvent(event: RaftEvent): void;
  /** Entries were applied, or the whole state was replaced. */
  applied(): void;
  stateEvent(event: ReplicaEvent): void;
}

/** Of a snapshot, written per step. */
const sliceBytes = 512 * 1024;
/** Over the largest value: its key and the rest of its proposal. */
const proposalExtra = 64 * 1024;

export class Agreement {
  readonly raft: Raft;
  readonly clock: AgreedClock;
  replica: Replica;
  /** The end of the log as this run started. */
  readonly began: LogEnd;
  readonly #core: Core;
  readonly #news: AgreementNews;
  readonly #moving: Moving;
  readonly #startedAt: Millis;
  /** Of pools: when this member saw committed that their epoch is not open any more. */
  readonly #closedAt = new Map<string, Millis>();
  readonly #outcomes = new Map<number, (outcome: Outcome) => void>();
  readonly #reads = new Map<number, (index: number | null) => void>();
  #id = 0;
  #status: RaftStatus | null = null;
  #snapshotAt: number;
  /** Of the newest snapshot. */
  #snapshotBytes: Bytes;
  /** Of the entries applied since it was taken. */
  #appliedBytes: Bytes = 0;
  #capture: {
    readonly index: number;
    readonly slices: Generator<Uint8Array, void>;
    readonly done: Uint8Array[];
  } | null = null;

  constructor(core: Core, restored: Restored, news: AgreementNews) {
    this.#core = core;
    this.#news = news;
    const { options, uid: id, boot, now, limits } = core;
    const { random, metadata, raft: numbers, raftRules } = options;
    this.raft = new Raft(
      {
        maxEntryBytes: limits.valueBytes + proposalExtra,
        ...numbers,
        ...(raftRules && { rules: raftRules }),
        ...{ id, boot, now, random, priority: metadata.priority, witness: metadata.witness },
      },
      restored,
    );
    // Where nobody above speaks of it, leadership goes to the highest priority.
    this.raft.step(now, { kind: 'mayMove', allowed: true });
    const { lastTerm: term, lastIndex: index } = this.raft.status();
    this.began = { term, index };
    this.clock = new AgreedClock({ wall: options.wall + (now - options.now), monotonic: now });
    this.replica = new Replica(limits);
    this.#snapshotAt = restored.snapshot.index;
    this.#snapshotBytes = restored.snapshot.data.byteLength;
    this.#moving = new Moving({
      log: () => this.raft.log,
      replica: () => this.replica,
      tell: (pool) => core.effect({ kind: 'moving', pool }),
    });
    this.#startedAt = now;
    if (restored.snapshot.data.byteLength > 0) this.#install(restored.snapshot.data);
  }

  /** What a leader would stamp now. */
  get agreedNow(): Millis {
    return this.agreedAt(this.#core.now);
  }

  /** What it would stamp then. `now`: not before the last step. */
  agreedAt(now: Millis): Millis {
    return this.#core.rules.stamp(this.clock.now(now), this.replica.now);
  }

  /**
   * A member that has the agreed time says what it is. A follower takes its leader's; whoever was started since, and so has
   * but a wall clock, takes anybody's before it may lead. So no new leader is ahead of the one before, whose locks and
   * leases would else run out early.
   */
  heardTime(agreed: Millis, isLeaders: boolean): void {
    if (isLeaders || !this.clock.live) this.clock.heard(agreed, this.#core.now, true);
  }

  /** Null as long as it comes from this member's own wall clock. Whoever leads says what the time is. */
  agreedTime(): Millis | null {
    if (!this.clock.live && this.status.role === 'leader') this.clock.heard(this.agreedNow, this.#core.now, true);
    return this.clock.live ? this.agreedNow : null;
  }

  /** Leader: what this member acknowledged to have on disk. */
  acknowledgedBy(id: MemberId): LogEnd {
    const end = this.raft.ackedBy(id);
    return end === null ? noEnd : { term: end.lastTerm, index: end.lastIndex };
  }

  /** As of the last step or take; asked for many times between two. */
  get status(): RaftStatus {
    this.#status ??= this.raft.status();
    return this.#status;
  }

  /**
   * The open epoch of a pool, null if none is, as far as this member has accepted the log: null as soon as an entry that
   * moves it is in the own log, committed or not.
   */
  openEpoch(pool: string): number | null {
    const { openEpoch } = this.#core.options;
    if (openEpoch !== undefined) return openEpoch(pool);
    if (this.#core.rules.endsByAcceptance()) return this.#moving.openEpoch(pool);
    return this.replica.pools.openEpoch(pool);
  }

  /**
   * Since when every voter of one or two has accepted that no epoch of this pool is open, by our clock; null: one is. What
   * is not known to have been later counts as of our start.
   */
  closedAt(pool: string): Millis | null {
    if (this.replica.pools.openEpoch(pool) !== null) return null;
    return this.#closedAt.get(pool) ?? this.#startedAt;
  }

  step(input: RaftInput): void {
    this.#status = null;
    this.raft.step(this.#core.now, input);
  }

  propose(data: Uint8Array, strong: boolean, done: (outcome: Outcome) => void): void {
    const id = this.#next();
    this.#outcomes.set(id, done);
    this.step({ kind: 'propose', id, data, strong });
  }

  change(change: Change, force: boolean, done: (outcome: Outcome) => void): void {
    const id = this.#next();
    this.#outcomes.set(id, done);
    this.step({ kind: 'change', id, change, force });
  }

  /** `lease`: a leader's own lease is enough. */
  read(lease: boolean, done: (index: number | null) => void): void {
    const id = this.#next();
    this.#reads.set(id, done);
    this.step({ kind: 'read', id, lease });
  }

  #next(): number {
    this.#id += 1;
    return this.#id;
  }

  /** When something of the state runs out, on our clock. Only its leader has to look. */
  expiryAt(): Millis {
    return this.#core.now + this.replica.nextExpiry() - this.agreedNow;
  }

  wakeAt(): Millis {
    return this.#capture === null ? this.raft.wakeAt() : this.#core.now;
  }

  /** Does what raft says, until it says nothing more. */
  drain(): readonly Persist[] {
    const persists: Persist[] = [];
    this.#writeSnapshot();
    for (let round = 0; round < 32; round++) {
      // Before an acknowledgement of it is made: who writes must have been told by then.
      this.#moving.look();
      const out = this.raft.take();
      this.#status = null;
      if (isEmpty(out)) break;
      if (out.persist !== null) persists.push(out.persist);
      this.#do(out);
      if (this.#core.stopped !== null) break;
    }
    return persists;
  }

  #do(out: RaftOutput): void {
    if (out.apply !== null) this.#apply(out.apply);
    for (const message of out.send) this.#core.say(message.to, { kind: 'raft', message });
    for (const event of out.events) {
      this.#core.out.events.push({ kind: 'raft', event });
      this.#news.raftEvent(event);
    }
    for (const { id, outcome } of [...out.proposals, ...out.changes]) {
      const done = this.#outcomes.get(id);
      this.#outcomes.delete(id);
      done?.(outcome);
    }
    for (const { id, index } of out.reads) {
      const done = this.#reads.get(id);
      this.#reads.delete(id);
      done?.(index);
    }
  }

  #apply({ snapshot, entries }: NonNullable<RaftOutput['apply']>): void {
    if (snapshot !== null) this.#install(snapshot.data);
    for (const entry of entries) {
      if (this.#core.stopped !== null) return;
      const { events } = this.replica.apply({ ...entry, data: entry.kind === 'data' ? entry.data : null });
      this.#appliedBytes += entrySize(entry);
      this.clock.heard(this.replica.now, this.#core.now, false);
      for (const event of events) this.#stateEvent(event);
      if (events.length > 0) this.#core.out.applied.push({ kind: 'events', index: entry.index, events });
    }
    this.#considerSnapshot();
    this.#news.applied();
  }

  #stateEvent(event: ReplicaEvent): void {
    if (event.kind === 'pool') this.#noteClosed(event.record);
    this.#news.stateEvent(event);
  }

  #noteClosed({ pool, phase }: PoolRecord): void {
    if (phase === 'open') this.#closedAt.delete(pool);
    else if (!this.#closedAt.has(pool)) this.#closedAt.set(pool, this.#core.now);
  }

  #install(data: Uint8Array): void {
    const state = restore(data);
    if (!state.ok) {
      this.#core.stop('disk', `the snapshot of the agreed state can't be used: it is ${state.error}`);
      return;
    }
    this.replica = state.value;
    // What happened in between is not known: an epoch may have been open.
    this.#closedAt.clear();
    for (const record of this.replica.pools.list()) this.#noteClosed(record);
    this.#capture = null;
    this.#snapshotAt = this.replica.index;
    this.#snapshotBytes = data.byteLength;
    this.#appliedBytes = 0;
    this.clock.heard(this.replica.now, this.#core.now, false);
    this.#core.out.applied.push({ kind: 'replaced' });
  }

  #considerSnapshot(): void {
    const { index } = this.replica;
    const { snapshotEvery, snapshotBytes } = this.#core.settings;
    const isLong = index - this.#snapshotAt >= snapshotEvery;
    const isLarge = this.#appliedBytes >= Math.max(snapshotBytes, this.#snapshotBytes);
    if (this.#capture !== null || !(isLong || isLarge)) return;
    this.#snapshotAt = index;
    this.#appliedBytes = 0;
    this.#capture = { index, slices: new Capture(this.replica).slices(sliceBytes), done: [] };
  }

  #writeSnapshot(): void {
    if (this.#capture === null) return;
    const { index, slices, done } = this.#capture;
    const next = slices.next();
    if (next.done !== true) return void done.push(next.value);
    this.#capture = null;
    const data = new Uint8Array(done.reduce((sum, slice) => sum + slice.byteLength, 0));
    let at = 0;
    for (const slice of done) {
      data.set(slice, at);
      at += slice.byteLength;
    }
    this.#snapshotBytes = data.byteLength;
    this.step({ kind: 'snapshot', index, data });
  }
}

const isEmpty = (out: RaftOutput): boolean =>
  out.persist === null &&
  out.apply === null &&
  out.send.length + out.proposals.length + out.changes.length + out.reads.length + out.events.length === 0;
