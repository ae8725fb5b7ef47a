/**
 * The state that the rooms of this core share, and the few acts that all need: send, hold back, refuse, tell.
 *
 * Nobody outside this folder sees it. A role is a union; each role holds only what it needs, so that nothing of a
 * leader outlives its leadership. What a later file reads here an earlier one has written in the same step; there is
 * no other order between them than that of raft.ts.
 */
import { assert } from '../../base/assert.ts';
import type { Millis } from '../../base/ids.ts';
import { Configs } from './configs.ts';
import type { Answer, MessageRefusal, RaftEvent, ReadAnswer } from './contract.ts';
import { Disk } from './disk.ts';
import { RaftLog } from './log.ts';
import type { Draft, RaftMessage } from './messages.ts';
import {
  type Config,
  type Entry,
  type Index,
  isVoter,
  type MemberId,
  members,
  type Restored,
  type Snapshot,
  type Term,
  type Ticket,
} from './model.ts';
import { checked, type RaftOptions, type Settings, withDrift } from './options.ts';
import { follower, type RoleState } from './role-state.ts';

interface Held {
  readonly ticket: Ticket;
  readonly term: Term;
  readonly make: () => Draft;
}

export class Outbox {
  send: RaftMessage[] = [];
  snapshot: Snapshot | null = null;
  entries: Entry[] = [];
  proposals: Answer[] = [];
  changes: Answer[] = [];
  reads: ReadAnswer[] = [];
  events: RaftEvent[] = [];
}

export interface Incoming {
  readonly from: MemberId;
  readonly term: Term;
  readonly index: Index;
  readonly size: number;
  readonly pieces: Uint8Array[];
  got: number;
}

export class Core {
  readonly settings: Settings;
  readonly self: MemberId;
  readonly log: RaftLog;
  readonly configs: Configs;
  readonly disk: Disk;
  out = new Outbox();

  now: Millis;
  term: Term;
  vote: MemberId | null;
  commit: Index;
  applied: Index;
  snapshot: Snapshot;
  role: RoleState = follower(null);

  electionAt: Millis;
  /** When a leader was last heard; -Infinity if never in this run of a new machine. */
  heardLeaderAt: Millis;
  /** When this member last acknowledged a leader, or as leader began a round. */
  lastAckAt: Millis;
  /** A follower's read lease. */
  readable: { until: Millis; index: Index } = { until: Number.NEGATIVE_INFINITY, index: 0 };
  /** Our clock may have stood still until then: what counts from before is longer than it shows. */
  distrustedUntil: Millis = Number.NEGATIVE_INFINITY;
  /** Until then a member that left the configuration may still hold a read lease. */
  othersUntil: Millis;

  hardDirty = false;
  hardTicket: Ticket = 0;
  snapshotDirty = false;
  /** A snapshot that came, and may be handed out once this ticket is done. */
  installing: { readonly ticket: Ticket; readonly snapshot: Snapshot } | null = null;
  incoming: Incoming | null = null;
  held: Held[] = [];
  /** Reads whose index is confirmed but not applied here yet. */
  confirmedReads: { readonly id: number; readonly index: Index }[] = [];
  /** Reads that the leader was asked for, with the time after which they are given up. */
  readonly askedReads = new Map<number, Millis>();
  readonly boots = new Map<MemberId, number>();
  readonly refused = new Map<MessageRefusal, number>();
  elections = 0;
  mayMove = false;
  /** How often leadership was handed on because of priority. */
  moves = 0;
  slowDisk = false;

  constructor(options: RaftOptions, restored: Restored) {
    this.settings = checked(options);
    this.self = options.id;
    this.now = options.now;
    this.term = restored.hard.term;
    this.vote = restored.hard.vote;
    this.snapshot = restored.snapshot;
    this.commit = this.applied = restored.snapshot.index;
    this.log = openLog(restored);
    this.configs = new Configs(restored.snapshot, restored.entries);
    this.disk = new Disk(this.log.lastIndex, this.settings.rules);
    const isNew = restored.hard.term === 0 && this.log.lastIndex === 0;
    this.heardLeaderAt = this.settings.rules.heardAtStart(options.now, isNew);
    this.lastAckAt = options.now;
    this.othersUntil = options.now + (isNew ? 0 : withDrift(this.settings, this.settings.readLeaseMs));
    this.electionAt = 0;
    this.restartElectionTimer();
  }

  get config(): Config {
    return this.configs.current;
  }

  get rules(): Settings['rules'] {
    return this.settings.rules;
  }

  get leader(): MemberId | null {
    if (this.role.at === 'leader') return this.self;
    return this.role.at === 'follower' ? this.role.leader : null;
  }

  /** A witness waits until every other voter had its turn. */
  restartElectionTimer(): void {
    const { electionMinMs, electionMaxMs, witness } = this.settings;
    this.electionAt = this.now + this.between(electionMinMs, electionMaxMs) + (witness ? electionMaxMs : 0);
  }

  between(min: Millis, max: Millis): Millis {
    return min + this.settings.random.next() * (max - min);
  }

  /** Other members of the configuration. */
  others(): readonly MemberId[] {
    return members(this.config).filter((id) => id !== this.self);
  }

  otherVoters(): readonly MemberId[] {
    return this.config.voters.filter((id) => id !== this.self);
  }

  mayLead(): boolean {
    return this.#isOrWasVoter() && this.settings.priority > 0 && !this.diskIsSlow();
  }

  /**
   * One that is being left out stands too until that is known to be committed: it may be the only one that has the
   * entry which says so, and then nobody else could win (dissertation 4.2.2). Its own vote does not count.
   */
  #isOrWasVoter(): boolean {
    if (isVoter(this.config, this.self)) return true;
    return this.configs.index > this.commit && isVoter(this.configs.at(this.commit), this.self);
  }

  diskIsSlow(): boolean {
    return this.now >= this.disk.waitingSince + this.settings.electionMinMs;
  }

  setHard(term: Term, vote: MemberId | null): void {
    this.term = term;
    this.vote = vote;
    this.hardDirty = true;
  }

  get dirty(): boolean {
    return this.hardDirty || this.snapshotDirty || this.log.changed;
  }

  /** The ticket after which all that was changed until now is on disk. */
  ticketOfNow(): Ticket {
    return this.dirty ? this.disk.issued + 1 : this.disk.issued;
  }

  /** The ticket after which the present term and vote are on disk. */
  ticketOfHard(): Ticket {
    return this.hardDirty ? this.disk.issued + 1 : this.hardTicket;
  }

  onDisk(ticket: Ticket): boolean {
    return ticket <= this.disk.done || !this.rules.waitsForDisk();
  }

  send(draft: Draft): void {
    this.out.send.push({ ...draft, from: this.self, boot: this.settings.boot, term: this.term } as RaftMessage);
  }

  /** Sends it once `ticket` is on disk, unless the term has changed by then. It is made as it leaves. */
  sendAfter(ticket: Ticket, make: () => Draft): void {
    if (this.onDisk(ticket)) this.send(make());
    else this.held.push({ ticket, term: this.term, make });
  }

  releaseHeld(): void {
    if (this.held.length === 0) return;
    const held = this.held;
    this.held = [];
    for (const one of held) if (one.term === this.term) this.sendAfter(one.ticket, one.make);
  }

  event(event: RaftEvent): void {
    this.out.events.push(event);
  }

  refuse(from: MemberId, why: MessageRefusal): void {
    const count = this.refused.get(why) ?? 0;
    this.refused.set(why, count + 1);
    if (count === 0) this.event({ kind: 'refused', from, why });
  }
}

/** Entries before the snapshot's end are kept if they are there, for followers that are a little behind. */
function openLog({ hard, snapshot, entries }: Restored): RaftLog {
  const first = entries[0];
  const last = entries.at(-1);
  // They are written together: with entries of a later term, a vote or a term was lost.
  assert(
    (last?.term ?? 0) <= hard.term,
    `raft: the journal has entries of term ${last?.term} but only term ${hard.term}`,
  );
  if (first === undefined || last === undefined || last.index < snapshot.index) return new RaftLog(snapshot, []);
  if (first.index === snapshot.index + 1) return new RaftLog(snapshot, entries);
  assert(first.index <= snapshot.index, `raft: the journal has nothing between ${snapshot.index} and ${first.index}`);
  return new RaftLog(first, entries.slice(1));
}
