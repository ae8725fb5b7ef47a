/**
 * One member of the cluster: gossip, formation, agreement and state tied together. contract.ts has the driver's loop.
 *
 *   forming --all first voters promised--> running            forming --"there is a cluster"--> joining --taken in--> running
 *   running --leave--> leaving --told--> departed             any --something must not go on--> stopped
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { RaftEvent } from '../raft/contract.ts';
import type { ReplicaEvent } from '../replica/events.ts';
import { Replica } from '../replica/replica.ts';
import type { SwimEvent } from '../swim/model.ts';
import type { MemberInput, MemberOptions, MemberOutput, MemberRestored, MemberStatus } from './contract.ts';
import { Core } from './core.ts';
import { type ClusterFact, clusterBytes, raftRestored, readCluster, readPromise } from './disk-codec.ts';
import { Door } from './door.ts';
import { Formation } from './formation.ts';
import { Gossip } from './gossip.ts';
import { House } from './house.ts';
import { Identity } from './identity.ts';
import { Joining } from './joining.ts';
import { Lineage } from './lineage.ts';
import { Watchman } from './status.ts';

export class Member {
  readonly #core: Core;
  readonly #restored: MemberRestored;
  readonly #gossip: Gossip;
  readonly #watchman: Watchman;
  readonly #joining: Joining;
  readonly #identity: Identity;
  readonly #door: Door;
  readonly #empty: Replica;
  #formation: Formation | null = null;
  #house: House | null = null;

  constructor(options: MemberOptions, restored: MemberRestored) {
    this.#core = new Core(options, restored);
    this.#restored = restored;
    this.#empty = new Replica(this.#core.limits);
    this.#watchman = new Watchman(this.#core);
    this.#joining = new Joining(this.#core, {
      status: () => this.#house?.agreement.status ?? null,
      hasQuorum: () => this.#house?.hasQuorum() ?? false,
    });
    const { boots, proofOf, facts } = restored;
    this.#identity = new Identity(this.#core, {
      boots,
      lineage: new Lineage(this.#core, { runs: facts.runs ?? null, proofOf }),
      voters: () => this.#otherVoters(),
      agreement: () => this.#house?.agreement ?? null,
    });
    this.#door = new Door(this.#core, {
      identity: this.#identity,
      joining: this.#joining,
      watchman: this.#watchman,
      formation: () => this.#formation,
      house: () => this.#house,
    });
    this.#gossip = new Gossip(this.#core, (event) => this.#swimEvent(event));
    this.#begin();
  }

  /** The agreed state as this member has it; another object after a snapshot was installed. */
  get replica(): Replica {
    return this.#house?.agreement.replica ?? this.#empty;
  }

  step(now: Millis, input: MemberInput): void {
    const core = this.#core;
    core.now = Math.max(core.now, now);
    if (input.kind === 'persisted') this.#persisted(input.ticket);
    else if (core.stopped === null) this.#handle(input);
    else if (input.kind === 'call')
      core.out.answers.push({ id: input.id, answer: { ok: false, error: { kind: 'closed' } } });
    if (core.stopped === null) this.#tick();
  }

  take(): MemberOutput {
    const core = this.#core;
    if (core.stopped === null) this.#gossip.drain();
    const persists = core.stopped === null ? (this.#house?.drain() ?? []) : [];
    if (core.stopped !== null) {
      this.#house?.calls.close();
      core.out.messages.length = core.out.datagrams.length = 0;
    }
    this.#house?.calls.withdraw();
    this.#watchman.look(this.#house?.agreement ?? null);
    return core.takeOut(persists);
  }

  /** When to step again with a tick at the latest. May be Infinity. */
  wakeAt(): Millis {
    if (this.#core.stopped !== null || this.#core.phase === 'departed') return Number.POSITIVE_INFINITY;
    return Math.min(
      this.#gossip.swim.wakeAt(),
      this.#formation?.wakeAt() ?? Number.POSITIVE_INFINITY,
      this.#house?.wakeAt() ?? Number.POSITIVE_INFINITY,
      this.#joining.wakeAt(),
      this.#identity.wakeAt(),
    );
  }

  /**
   * Leader: from when on nobody writes under a lease of this pool given until now; null if this member does not lead.
   * `unconfirmed`: all but these have shown that they write no more.
   */
  writesOverAt(pool: string, unconfirmed?: readonly MemberId[]): Millis | null {
    return this.#house?.grants.overAt(pool, unconfirmed) ?? null;
  }

  /** The epoch in which writes may go as far as this member has accepted the log; null: in none (2.8). */
  openEpoch(pool: string): number | null {
    return this.#house?.agreement.openEpoch(pool) ?? null;
  }

  /** Whether this member may answer reads of strong writes from its own state now. */
  mayRead(now: Millis): boolean {
    return this.#house?.agreement.raft.mayRead(now) ?? false;
  }

  /** `now`: between two steps the agreed time goes on; all else is as of the last one. */
  status(now: Millis = this.#core.now): MemberStatus {
    const core = this.#core;
    const house = this.#house;
    const raft = house?.agreement.status ?? null;
    const quorum = house?.hasQuorum() ?? false;
    const forming = this.#formation?.reason ?? this.#joining.reason;
    const [state, reason] = this.#watchman.cluster(raft, { quorum, forming });
    return {
      ...{ uid: core.uid, boot: core.boot, cluster: core.cluster, phase: core.phase, stop: core.stopped },
      ...{ state, reason, quorum, raft, refused: new Map(core.refused) },
      leader: raft?.leader ?? null,
      term: raft?.term ?? 0,
      missing: this.#watchman.missing(raft).map((id) => core.book.nameOf(id)),
      members: this.#watchman.lines(raft),
      agreedNow: house?.agreement.agreedAt(Math.max(core.now, now)) ?? 0,
      calls: house?.calls.size ?? 0,
    };
  }

  /** From what the disk kept: in a cluster, promised, or new. */
  #begin(): void {
    const { facts, entries, hard, snapshot } = this.#restored;
    const core = this.#core;
    const damaged = (what: string): void =>
      core.stop(
        'disk',
        `the ${what} on this member's disk can't be read: it was written by a later release, or is damaged`,
      );
    const promised = facts.promise ? readPromise(facts.promise) : null;
    if (facts.promise && promised === null) return damaged('promise to the first voters');
    if (facts.cluster) {
      const fact = readCluster(facts.cluster);
      return fact === null ? damaged("cluster's id") : this.#enter(fact);
    }
    if (entries.length > 0 || snapshot !== null || hard !== null) return damaged("cluster's id beside its log");
    this.#formation = new Formation(core, { promised, formed: (fact) => this.#formed(fact) });
    if (core.stopped === null) this.#formation.tick();
  }

  #formed(fact: ClusterFact): void {
    this.#formation = null;
    const isFirst = fact.first.length > 0;
    this.#core.note(isFirst ? `formed cluster ${fact.id}` : `found cluster ${fact.id}, asks to be taken in`);
    this.#enter(fact);
    // One of them stands at once, so that nobody waits for a time-out.
    const [lowest] = fact.first.map((one) => one.id).sort();
    if (isFirst && lowest === this.#core.uid) this.#house?.agreement.step({ kind: 'campaign' });
  }

  #enter(fact: ClusterFact): void {
    const core = this.#core;
    core.cluster = fact.id;
    core.effect({ kind: 'cluster', id: fact.id });
    // Its own address may be another one by now.
    for (const { id, address } of fact.first) if (id !== core.uid) core.book.note(id, address, '');
    const restored = raftRestored(
      this.#restored,
      fact.first.map((one) => one.id),
    );
    if (restored === null)
      return core.stop(
        'disk',
        "the log on this member's disk can't be read: it was written by a later release, or is damaged",
      );
    core.phase = 'running';
    this.#house = new House(core, restored, {
      raftEvent: (event) => this.#raftEvent(event),
      stateEvent: (event) => this.#stateEvent(event),
      missing: () => this.#watchman.missing(this.#house?.agreement.status ?? null).map((id) => core.book.nameOf(id)),
      tellGossip: () => this.#gossip.leave(),
      keepLeaving: (then) => this.#keepLeaving(fact, then),
    });
    if (fact.leaving) {
      core.leavingForGood = true;
      this.#house.leave.resume();
    }
    this.#joining.consider();
    this.#identity.begin();
  }

  #otherVoters(): readonly MemberId[] {
    const { uid } = this.#core;
    return (this.#house?.agreement.status.config.voters ?? []).filter((id) => id !== uid);
  }

  #keepLeaving(fact: ClusterFact, then: () => void): void {
    this.#core.leavingForGood = true;
    this.#core.disk.fact({ cluster: clusterBytes({ ...fact, leaving: true }) }, then);
  }

  #handle(input: MemberInput): void {
    switch (input.kind) {
      case 'datagram':
      case 'request':
      case 'answer':
      case 'failed':
        return this.#gossip.heard(input);
      case 'message':
        return this.#door.message(input);
      case 'foreign':
        return this.#watchman.sawSplit(`a member of another cluster speaks from ${input.from} under the same key`);
      case 'stalled':
        return this.#stalled(input.ms);
      case 'late':
        return this.#gossip.stalled(input.ms);
      case 'metadata':
        return this.#gossip.describe(input.metadata);
      case 'mayMove':
        return this.#house?.agreement.step(input);
      case 'tell':
        return this.#house?.tell(input);
      case 'call':
        return this.#call(input);
      case 'cancel':
        return this.#house?.calls.cancel(input.id);
    }
  }

  #call({ id, call }: Extract<MemberInput, { readonly kind: 'call' }>): void {
    if (this.#house !== null) return this.#house.calls.begin(id, call);
    if (call.kind === 'leave') {
      this.#gossip.leave();
      this.#core.out.answers.push({ id, answer: { ok: true, value: { kind: 'done' } } });
      return;
    }
    const error = { kind: 'no-quorum', missing: [] } as const;
    this.#core.out.answers.push({ id, answer: { ok: false, error } });
  }

  #persisted(ticket: number): void {
    const { raft, after } = this.#core.disk.returned(ticket);
    if (this.#core.stopped !== null) return;
    if (raft !== null) this.#house?.agreement.step({ kind: 'persisted', ticket: raft });
    for (const go of after) go();
  }

  #stalled(ms: Millis): void {
    this.#gossip.stalled(ms);
    this.#house?.agreement.step({ kind: 'stalled', ms });
    this.#house?.calls.stalled();
    this.#core.effect({ kind: 'void-leases', why: 'stalled' });
  }

  #tick(): void {
    this.#gossip.tick();
    this.#formation?.tick();
    this.#house?.tick();
    this.#joining.tick();
    this.#identity.tick();
  }

  #swimEvent(event: SwimEvent): void {
    if (event.kind === 'departed') this.#departed();
    if (event.kind === 'joined' && event.replaced !== null) this.#core.book.replaced(event.replaced);
    // Anybody with the key can claim it; whoever counted such a run proves it (identity.ts).
    if (event.kind === 'conflict' && event.over === 'id' && event.self) {
      const { options, uid } = this.#core;
      const { boot, address } = event.claimed;
      this.#core.note(
        `another process at ${address} calls itself ${options.name} (${uid}, boot ${boot}): two of one data folder, or of copies of it, must not run`,
      );
    }
  }

  #departed(): void {
    if (this.#house === null) this.#core.effect({ kind: 'departed' });
    this.#house?.leave.departed();
    this.#house?.calls.close();
  }

  #raftEvent(event: RaftEvent): void {
    if (event.kind === 'config') this.#joining.consider();
    if (event.kind === 'refused' && event.why === 'second-leader') {
      this.#watchman.sawSplit(`member ${this.#core.book.nameOf(event.from)} leads in the same term as another`);
    }
  }

  #stateEvent(event: ReplicaEvent): void {
    if (event.kind !== 'unreadable' || event.why !== 'version') return;
    this.#core.stop(
      'too-old',
      `entry ${event.index} is of a newer release than this one: update ${this.#core.options.name}, and start it with this data folder`,
    );
  }
}
