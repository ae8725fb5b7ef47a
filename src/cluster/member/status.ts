/**
 * What is shown to people: each member's state, the cluster's, and why.
 *
 *   node      JOINING -> ACTIVE -> LEAVING | UNREACHABLE, with LEADER and DEGRADED put over ACTIVE
 *   cluster   FORMING    no cluster yet, or not taken in yet
 *             STABLE     a leader with a quorum, all voters there, as many as `expect`
 *             DEGRADED   something of that is missing
 *             SPLIT_BRAIN two quorums, or two clusters' ids, were seen
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { RaftStatus } from '../raft/contract.ts';
import { isMember, isVoter, members } from '../raft/model.ts';
import { degradedScore, type MemberView } from '../swim/model.ts';
import type { Agreement } from './agreement.ts';
import type { ClusterState, MemberLine, NodeState } from './contract.ts';
import type { Core } from './core.ts';

/** Behind the leader by more than either shows a member as degraded. */
const lagEntriesMax = 1000;
const lagMsMax: Millis = 5000;
/** Who answers no probe, by nobody's help, and was not heard for so long is missed, though gossip does not give it up yet. */
const silentMs: Millis = 1500;
/** A split that was seen is shown for so long after. */
const splitShownMs: Millis = 60_000;

export class Watchman {
  readonly #core: Core;
  /** When each member was level with the leader last. */
  readonly #levelAt = new Map<MemberId, Millis>();
  #split: { readonly at: Millis; readonly why: string } | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  sawSplit(why: string): void {
    if (this.#split === null || this.#core.now > this.#split.at + splitShownMs) this.#core.note(`SPLIT_BRAIN: ${why}`);
    this.#split = { at: this.#core.now, why };
  }

  /** Leader: who is level now. */
  look(agreement: Agreement | null): void {
    const { now } = this.#core;
    const status = agreement?.status;
    if (status?.role !== 'leader') return void this.#levelAt.clear();
    for (const { id, applied } of status.peers) {
      if (applied >= status.commit || !this.#levelAt.has(id)) this.#levelAt.set(id, now);
    }
  }

  lagOf(id: MemberId, status: RaftStatus | null): MemberLine['lag'] {
    if (status === null) return null;
    if (id === this.#core.uid) return { entries: status.commit - status.applied, seconds: 0 };
    const peer = status.peers.find((one) => one.id === id);
    if (peer === undefined) return null;
    const entries = Math.max(0, status.commit - peer.applied);
    const since = this.#core.now - (this.#levelAt.get(id) ?? this.#core.now);
    return { entries, seconds: entries === 0 ? 0 : since / 1000 };
  }

  /** All that gossip knows, and those of the configuration that it does not. */
  lines(status: RaftStatus | null): readonly MemberLine[] {
    const { book } = this.#core;
    const lines = book.views.map((view) => this.#line(view.claim.id, view, status));
    const unseen = status === null ? [] : members(status.config).filter((id) => book.view(id) === null);
    return [...lines, ...unseen.map((id) => this.#line(id, null, status))];
  }

  #line(id: MemberId, view: MemberView | null, status: RaftStatus | null): MemberLine {
    const lag = this.lagOf(id, status);
    const [state, reason] = this.#stateOf(id, { view, status, lag });
    const seat =
      status === null || !isMember(status.config, id) ? 'none' : isVoter(status.config, id) ? 'voter' : 'learner';
    return {
      ...{ id, state, reason, seat, lag },
      name: this.#core.book.nameOf(id),
      address: this.#core.book.addressOf(id) ?? '',
      boot: view?.claim.boot ?? 0,
      metadata: view?.claim.metadata ?? null,
      reach: view?.reach ?? 'unknown',
      blindTo: view?.blindTo ?? [],
      self: id === this.#core.uid,
    };
  }

  #stateOf(
    id: MemberId,
    known: { readonly view: MemberView | null; readonly status: RaftStatus | null; readonly lag: MemberLine['lag'] },
  ): readonly [NodeState, string] {
    const { view, status, lag } = known;
    const { phase, uid, stopped } = this.#core;
    if (id === uid && stopped !== null) return ['LEAVING', stopped.why];
    if (view === null) return ['UNREACHABLE', 'not seen since this member started'];
    if (view.state === 'UNREACHABLE') return ['UNREACHABLE', 'it did not answer, nor did others reach it'];
    if (view.state === 'LEAVING' || (id === uid && (phase === 'leaving' || phase === 'departed')))
      return ['LEAVING', 'it said that it leaves'];
    if (status === null || !isMember(status.config, id)) return ['JOINING', 'not in the agreed configuration yet'];
    if (view.state === 'JOINING') return ['JOINING', 'it has not met the cluster yet'];
    const trouble = this.#troubleOf(view, lag);
    if (trouble !== null) return ['DEGRADED', trouble];
    return status.leader === id ? ['LEADER', ''] : ['ACTIVE', ''];
  }

  #troubleOf(view: MemberView, lag: MemberLine['lag']): string | null {
    if (view.status === 'suspect') return 'it did not answer in time; it is being asked through others';
    if (view.healthScore >= degradedScore)
      return `answers to it are late or missing, or its own process is slow: health score ${view.healthScore} of 7`;
    const living = this.#core.book.views.filter((one) => one.status === 'alive').length;
    if (view.blindTo.length > 0 && view.blindTo.length >= living / 2)
      return 'it cannot reach most of the others by itself';
    if (lag !== null && (lag.entries > lagEntriesMax || lag.seconds * 1000 > lagMsMax))
      return `it is ${lag.entries} entries and ${Math.round(lag.seconds)} s behind`;
    return null;
  }

  /** Voters that can't be reached now. */
  missing(status: RaftStatus | null): readonly MemberId[] {
    if (status === null) return [];
    return status.config.voters.filter((id) => id !== this.#core.uid && !this.#isThere(id));
  }

  #isThere(id: MemberId): boolean {
    const { book, now } = this.#core;
    const view = book.view(id);
    return book.isAlive(id) && (view?.reach !== 'none' || now - view.heardAt < silentMs);
  }

  cluster(
    status: RaftStatus | null,
    known: { readonly quorum: boolean; readonly forming: string },
  ): readonly [ClusterState, string] {
    const { now, expect, stopped, cluster } = this.#core;
    if (this.#split !== null && now < this.#split.at + splitShownMs) return ['SPLIT_BRAIN', this.#split.why];
    if (stopped !== null) return ['DEGRADED', stopped.why];
    if (cluster === null || status === null) return ['FORMING', known.forming];
    if (status.config.voters.length === 0) return ['FORMING', known.forming || 'waiting to be taken in by the leader'];
    const missing = this.missing(status).map((id) => this.#core.book.nameOf(id));
    if (!known.quorum)
      return ['DEGRADED', `no leader with a quorum${missing.length > 0 ? `; not reached: ${missing.join(', ')}` : ''}`];
    if (missing.length > 0) return ['DEGRADED', `not reached: ${missing.join(', ')}`];
    const { length } = status.config.voters;
    if (length < expect) return ['DEGRADED', `${length} voters, ${expect} are expected`];
    return ['STABLE', ''];
  }
}
