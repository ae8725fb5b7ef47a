/**
 * What must never happen to the log, checked after every step of every member, by what disks hold and members handed
 * out, never by what one of them believes of itself:
 *
 *   election safety        one leader per term
 *   log matching           an index and a term name one entry with one predecessor, in every log that ever had it
 *   leader completeness    a new leader's log has everything that was ever committed
 *   state machine safety   every member applies the same entry at an index, in order
 *   a quorum has it        what is committed is on the disks of a quorum at that moment, but for what was taken from a disk
 *   disk before word       no vote, request for votes, heartbeat's answer or acknowledgement leaves before its write returned
 *   one vote per term      across restarts
 *   never back             terms, boots, and what is committed only grow; nobody deletes what is committed
 */
import type { MemberId } from '../../src/base/ids.ts';
import type { DiskEntry, MemberOutput, MemberRestored } from '../../src/cluster/member/contract.ts';
import type { RaftMessage } from '../../src/cluster/raft/messages.ts';
import type { Index, Term } from '../../src/cluster/raft/model.ts';
import { sameBytes } from '../../src/cluster/replica/fingerprint.ts';
import type { Species } from './body.ts';
import { Breach } from './breach.ts';
import type { Host } from './host.ts';

interface Known {
  readonly entry: DiskEntry;
  readonly before: Term | null;
}

export interface LogWorld {
  readonly species: Species;
  readonly hosts: readonly Host[];
  /** What is done to disks behind the members' backs. */
  readonly swaps: {
    /** Members whose disk was put back in silence: they may say anything until they are found out. */
    readonly forgetful: ReadonlySet<Host>;
    /** What was on a member's disk and was taken from it. */
    lost(uid: MemberId): readonly MemberRestored[];
  };
  /** For the first time in this world, in any log. */
  appended(entry: DiskEntry): void;
  /** For the first time in this world. */
  committed(entry: DiskEntry, by: Host): void;
}

export const entryAt = ({ entries }: MemberRestored, index: Index): DiskEntry | undefined =>
  entries.length === 0 ? undefined : entries[index - entries[0]!.index];

export class LogChecker {
  /** Place 0 is before the first. */
  readonly committed: DiskEntry[] = [{ index: 0, term: 0, bytes: new Uint8Array(0) }];
  /** A term by which each was committed: later leaders must have it. */
  readonly #committedBy: Term[] = [0];
  readonly leaders = new Map<Term, Host>();
  readonly #world: LogWorld;
  readonly #entries = new Map<string, Known>();
  readonly #votes = new Map<string, MemberId>();
  readonly #terms = new Map<MemberId, Term>();
  readonly #boots = new Map<MemberId, number>();
  /** What each believed to be on its disk before the step. */
  readonly #mirrors = new Map<Host, MemberRestored>();
  readonly #applied = new Map<Host, { run: number; index: Index }>();

  constructor(world: LogWorld) {
    this.#world = world;
  }

  stepped(host: Host, out: MemberOutput): void {
    for (const { entries, truncateFrom } of out.persist) {
      for (const entry of entries) this.#checkEntry(host, entry);
      if (truncateFrom !== null) this.#checkDeleted(host, truncateFrom);
    }
    if (out.persist.length > 0) this.#mirrors.set(host, host.mirror);
    this.#checkApplied(host, out);
    for (const event of out.events) {
      if (event.kind === 'raft' && event.event.kind === 'became-leader') this.#checkLeader(host, event.event.term);
    }
    for (const { bytes } of out.messages) {
      const message = this.#world.species.raftOf(bytes, { id: host.uid, boot: host.boot });
      if (message !== null) this.#checkMessage(host, message);
    }
  }

  /** Highest term in which anybody led. */
  get newestTerm(): Term {
    return Math.max(0, ...this.leaders.keys());
  }

  started(host: Host): void {
    const known = this.#boots.get(host.uid) ?? 0;
    if (host.boot <= known && !this.#world.swaps.forgetful.has(host))
      throw new Breach('never back', `${host.name} starts with boot ${host.boot} after ${known}`);
    this.#boots.set(host.uid, Math.max(known, host.boot));
  }

  #checkEntry(host: Host, entry: DiskEntry): void {
    const { mirror } = host;
    const { index, term } = entry;
    const before =
      entryAt(mirror, index - 1)?.term ?? (mirror.snapshot?.index === index - 1 ? mirror.snapshot.term : null);
    const name = `${index}:${term}`;
    const known = this.#entries.get(name);
    if (known === undefined) {
      this.#entries.set(name, { entry, before });
      this.#world.appended(entry);
    } else if (!sameEntry(known.entry, entry) || (known.before !== null && before !== null && known.before !== before))
      throw new Breach('log matching', `${host.name} has another entry ${index} of term ${term}, or another before it`);
  }

  #checkDeleted(host: Host, from: Index): void {
    const before = this.#mirrors.get(host);
    if (
      before === undefined ||
      before.boot !== host.boot ||
      before.uid !== host.uid ||
      (host.mirror.snapshot?.index ?? 0) >= from
    )
      return;
    for (let index = from; index < this.committed.length; index++) {
      const { term } = this.committed[index]!;
      if (entryAt(before, index)?.term === term && entryAt(host.mirror, index)?.term !== term)
        throw new Breach('never back', `${host.name} deletes ${index} of term ${term}, which is committed`);
    }
  }

  #checkApplied(host: Host, out: MemberOutput): void {
    const { index } = host.body!.replica;
    const mark = this.#applied.get(host);
    const start = host.mirror.snapshot?.index ?? 0;
    let from = mark?.run === host.run ? mark.index : Math.min(start, index);
    if (out.applied.some((news) => news.kind === 'replaced')) from = Math.max(from, Math.min(start, index));
    if (index < from) throw new Breach('never back', `${host.name} applied ${from} and is at ${index} now`);
    if (index === from && mark?.run === host.run) return;
    this.#applied.set(host, { run: host.run, index });
    for (let at = from + 1; at <= index; at++) this.#checkCommitted(host, at);
  }

  #checkCommitted(host: Host, index: Index): void {
    const entry = entryAt(host.mirror, index);
    const known = this.committed[index];
    if (known === undefined) {
      if (entry === undefined) return;
      if (index !== this.committed.length)
        throw new Breach('state machine safety', `${host.name} applies ${index}, which leaves a gap`);
      this.committed.push(entry);
      this.#committedBy.push(host.body!.status().term);
      this.#checkQuorum(host, entry);
      return this.#world.committed(entry, host);
    }
    if (entry !== undefined && !sameEntry(known, entry))
      throw new Breach(
        'state machine safety',
        `${host.name} applies entry ${index} of term ${entry.term}, committed is one of term ${known.term}`,
      );
  }

  #checkQuorum(host: Host, { index, term }: DiskEntry): void {
    const raft = host.body!.status().raft;
    if (raft === null || !raft.configCommitted || raft.configIndex >= index) return;
    const { voters } = raft.config;
    const { hosts, swaps } = this.#world;
    const isOn = (disk: MemberRestored): boolean =>
      (disk.snapshot?.index ?? 0) >= index || entryAt(disk, index)?.term === term;
    // What was taken away since it was acknowledged was on a disk.
    const have = voters.filter(
      (uid) => hosts.some((one) => one.uid === uid && isOn(one.disk.state)) || swaps.lost(uid).some(isOn),
    );
    if (have.length <= voters.length / 2)
      throw new Breach(
        'a quorum has it',
        `${host.name} applies ${index}, on disk it is only at ${have.join(', ') || 'nobody'}`,
      );
  }

  #checkLeader(host: Host, term: Term): void {
    const other = this.leaders.get(term);
    if (other !== undefined)
      throw new Breach('election safety', `${host.name} leads term ${term}, so did ${other.name}`);
    this.leaders.set(term, host);
    const start = host.mirror.snapshot?.index ?? 0;
    for (let index = start + 1; index < this.committed.length; index++) {
      if (entryAt(host.mirror, index)?.term === this.committed[index]!.term) continue;
      // A leader of an older term may learn late that it was elected.
      if (this.#committedBy[index]! >= term) continue;
      throw new Breach('leader completeness', `${host.name} leads term ${term} without committed entry ${index}`);
    }
  }

  #checkMessage(host: Host, message: RaftMessage): void {
    if (this.#world.swaps.forgetful.has(host)) return;
    if (promises.has(message.kind)) this.#checkTerm(host, message);
    if (message.kind === 'appendReply' && message.result.ok) return this.#checkAck(host, message.result.match);
    if (message.kind === 'vote') return this.#checkVote(host, message.term, host.uid);
    if (message.kind === 'voteReply' && message.granted) return this.#checkVote(host, message.term, message.to);
    if (message.kind === 'heartbeatReply' && this.#hard(host).term < message.term)
      throw new Breach('disk before word', `${host.name} follows in term ${message.term}, which is not on disk`);
  }

  #checkTerm(host: Host, { kind, term }: RaftMessage): void {
    const known = this.#terms.get(host.uid) ?? 0;
    if (term < known) throw new Breach('never back', `${host.name} says ${kind} in term ${term} after ${known}`);
    this.#terms.set(host.uid, term);
  }

  #checkVote(host: Host, term: Term, candidate: MemberId): void {
    const name = `${host.uid} ${term}`;
    const earlier = this.#votes.get(name) ?? candidate;
    if (earlier !== candidate) throw new Breach('one vote per term', `${host.name} votes twice in term ${term}`);
    this.#votes.set(name, candidate);
    const hard = this.#hard(host);
    if (hard.term !== term || hard.vote !== candidate)
      throw new Breach('disk before word', `${host.name} votes in term ${term}, and its disk does not know it`);
  }

  #checkAck(host: Host, match: Index): void {
    const { state } = host.disk;
    if (match <= (state.snapshot?.index ?? 0)) return;
    if (entryAt(state, match)?.term !== entryAt(host.mirror, match)?.term || match > (state.entries.at(-1)?.index ?? 0))
      throw new Breach('disk before word', `${host.name} acknowledges ${match}, which is not on disk`);
  }

  #hard(host: Host): { readonly term: Term; readonly vote: MemberId | null } {
    const { hard } = host.disk.state;
    return hard === null ? { term: 0, vote: null } : this.#world.species.hardOf(hard);
  }
}

/** What rests on a term that is on disk; other words may be said again in an older term after a crash. */
const promises: ReadonlySet<RaftMessage['kind']> = new Set([
  'vote',
  'append',
  'heartbeat',
  'heartbeatReply',
  'snapshot',
  'stand',
]);

const sameEntry = (a: DiskEntry, b: DiskEntry): boolean =>
  a === b || (a.index === b.index && a.term === b.term && sameBytes(a.bytes, b.bytes));
