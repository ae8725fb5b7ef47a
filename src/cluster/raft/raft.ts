/**
 * Raft as a pure machine: it agrees on one log among members that may stop, restart, and lose messages, as long as a
 * majority of the voters is there. No clock, no chance, no disk, no net of its own: see contract.ts for the loop around
 * it.
 *
 *   step(now, input):   the clock first (time-outs), then the input, then what follows from it (commits, applies,
 *                       answers)
 *   take():             appends and acknowledgements are made here, so that several steps share one message and one
 *                       write to disk
 *
 * What it does not do: find members (gossip does), forward proposals, keep an entry from being proposed twice (the
 * replica does), encode, or write. It trusts its own disk; a damaged one must not start.
 *
 * Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014); Ongaro's dissertation
 * (2014); names and flow control after etcd's raft. Why it differs where it does: docs/decisions/0010-raft-core.md.
 */
import type { Millis } from '../../base/ids.ts';
import type { Apply, Persist, RaftInput, RaftOutput, RaftStatus } from './contract.ts';
import { Core, Outbox } from './core.ts';
import { campaign, candidateClock } from './election.ts';
import { acknowledge } from './following.ts';
import { hasQuorum, heartbeat, trackPeers } from './leading.ts';
import { holders, readableUntil } from './leases.ts';
import type { RaftLog } from './log.ts';
import { change, finishChange } from './membership.ts';
import type { Index, MemberId, Restored } from './model.ts';
import type { RaftOptions } from './options.ts';
import { answerProposals, noteCommitted, propose } from './proposals.ts';
import { advanceReads, answerReads, read } from './reads.ts';
import { receive } from './receive.ts';
import { advanceCommit, feedAll } from './replication.ts';
import type { LeaderRole } from './role-state.ts';
import { dropReadLease, stepDown } from './roles.ts';
import type { LogPoint } from './rules.ts';
import { finishInstall, resendPieces, tookSnapshot } from './snapshots.ts';
import { appliedBy, statusOf, wakeAt } from './status.ts';
import {
  advanceTransfer,
  considerMove,
  diskClock,
  leaveIfRemoved,
  tellAgain,
  transfer,
  transferClock,
} from './transfer.ts';

export class Raft {
  readonly #core: Core;

  constructor(options: RaftOptions, restored: Restored) {
    this.#core = new Core(options, restored);
  }

  /** `now` never runs back; if it does, it is taken to stand still. */
  step(now: Millis, input: RaftInput): void {
    const core = this.#core;
    core.now = Math.max(core.now, now);
    const configIndex = core.configs.index;
    clock(core);
    handle(core, input);
    settle(core);
    if (core.configs.index !== configIndex)
      core.event({ kind: 'config', config: core.config, index: core.configs.index });
  }

  /** What has to be done now, each thing once. Apply before you send. */
  take(): RaftOutput {
    const core = this.#core;
    if (core.role.at === 'leader') feedAll(core, core.role);
    if (core.role.at === 'follower') acknowledge(core, core.role);
    const { out } = core;
    core.out = new Outbox();
    const { send, proposals, changes, reads, events } = out;
    const apply: Apply | null =
      out.snapshot === null && out.entries.length === 0 ? null : { snapshot: out.snapshot, entries: out.entries };
    return { persist: persist(core), send, apply, proposals, changes, reads, events };
  }

  /** When to step again with a tick at the latest, if nothing comes before. May be Infinity. */
  wakeAt(): Millis {
    return wakeAt(this.#core);
  }

  status(): RaftStatus {
    return statusOf(this.#core);
  }

  /** The own log as it is now, committed or not. */
  get log(): Pick<RaftLog, 'firstIndex' | 'lastIndex' | 'term' | 'entry'> {
    return this.#core.log;
  }

  /** May this member answer reads from its own state now? */
  mayRead(now: Millis): boolean {
    return now < readableUntil(this.#core);
  }

  /**
   * Until when everything that was committed is applied here: a read lease is given to who has all that is committed, and
   * counts from when it was asked for. -Infinity: not known.
   */
  levelAt(): Millis {
    return readableUntil(this.#core) - this.#core.settings.readLeaseMs;
  }

  /** Leader: what each member has applied, as far as is known; itself included. Else only itself. */
  appliedBy(): ReadonlyMap<MemberId, Index> {
    return appliedBy(this.#core);
  }

  /** Leader: the last entry that this member acknowledged, in whatever run; null if it did not, or it is compacted. */
  ackedBy(id: MemberId): LogPoint | null {
    const { role, log } = this.#core;
    const match = role.at === 'leader' ? (role.peers.get(id)?.match ?? 0) : 0;
    const term = match === 0 ? null : log.term(match);
    return term === null || term === undefined ? null : { lastIndex: match, lastTerm: term };
  }

  /** Leader: other members that may hold a read lease now. */
  leaseHolders(now: Millis): readonly MemberId[] {
    return holders(this.#core, now);
  }
}

function handle(core: Core, input: RaftInput): void {
  switch (input.kind) {
    case 'tick':
      return;
    case 'message':
      return receive(core, input.message);
    case 'propose':
      return propose(core, input);
    case 'change':
      return change(core, input);
    case 'read':
      return read(core, input.id, input.lease ?? false);
    case 'persisted':
      return core.disk.returned(input.ticket);
    case 'transfer':
      return handOver(core, input.to);
    case 'campaign':
      return campaign(core, 'asked');
    case 'snapshot':
      return tookSnapshot(core, input.index, input.data);
    case 'stalled':
      return stalled(core, input.ms);
    case 'mayMove':
      core.mayMove = input.allowed;
  }
}

function clock(core: Core): void {
  const { role } = core;
  if (role.at === 'candidate') return candidateClock(core, role);
  if (role.at === 'leader') return leaderClock(core, role);
  if (core.now >= core.electionAt) campaign(core, 'time-out');
}

function leaderClock(core: Core, role: LeaderRole): void {
  if (!hasQuorum(core, role)) return stepDown(core, 'no-quorum');
  diskClock(core, role);
  if (core.role === role) transferClock(core, role);
  if (core.role !== role || core.now < role.heartbeatAt) return;
  heartbeat(core, role);
  resendPieces(core, role);
  tellAgain(core, role);
  considerMove(core, role);
}

/** What follows from what is known now. */
function settle(core: Core): void {
  core.releaseHeld();
  if (core.role.at === 'candidate') candidateClock(core, core.role);
  finishInstall(core);
  if (core.role.at === 'leader') commitMore(core, core.role);
  applyMore(core);
  if (core.role.at === 'leader') settleLeader(core, core.role);
  answerReads(core);
}

function commitMore(core: Core, role: LeaderRole): void {
  const before = core.commit;
  if (!advanceCommit(core, role)) return;
  noteCommitted(core, role, before);
  if (before >= core.configs.index || core.commit < core.configs.index) return;
  // Those who are left out learn that it holds, before they are forgotten.
  feedAll(core, role);
  trackPeers(core, role);
}

function settleLeader(core: Core, role: LeaderRole): void {
  finishChange(core, role);
  answerProposals(core, role);
  advanceReads(core, role);
  advanceTransfer(core, role);
  leaveIfRemoved(core, role);
}

/** Only what is committed and on our own disk: a restart must not know less than was applied. */
function applyMore(core: Core): void {
  if (core.installing !== null) return;
  const upTo = Math.min(core.commit, core.disk.durable);
  while (core.applied < upTo) {
    core.applied += 1;
    core.out.entries.push(core.log.entry(core.applied)!);
  }
}

function handOver(core: Core, to: MemberId | null): void {
  if (core.role.at === 'leader' && transfer(core, core.role, to, 'asked')) return;
  core.event({ kind: 'transfer-refused', to });
}

/** Leases count time that the clock may have missed; a leader that was away that long is none. */
function stalled(core: Core, ms: Millis): void {
  dropReadLease(core);
  core.distrustedUntil = core.now;
  core.restartElectionTimer();
  if (core.role.at !== 'leader') return;
  core.role.rounds.distrustClock();
  if (ms >= core.settings.electionMinMs) stepDown(core, 'stalled');
}

function persist(core: Core): Persist | null {
  if (!core.dirty) return null;
  const hard = core.hardDirty ? { term: core.term, vote: core.vote } : null;
  const snapshot = core.snapshotDirty ? core.snapshot : null;
  const changes = core.log.takeChanges();
  const ticket = core.disk.issue(core.now, core.log.lastIndex);
  if (core.hardDirty) core.hardTicket = ticket;
  core.hardDirty = core.snapshotDirty = false;
  return { ticket, hard, snapshot, ...changes };
}
