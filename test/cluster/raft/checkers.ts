/**
 * What must never happen, checked after every step of every machine, by world time and by what the machines handed
 * out; never by what one of them believes. The first breach is thrown as a Breach with its rule's name.
 *
 *   election safety        one leader per term
 *   log matching           an index and a term name one entry, with one predecessor, in every log that ever had it
 *   leader completeness    a new leader's log has everything that was ever committed
 *   state machine safety   every machine applies the same entry at an index, in order, once
 *   nothing lost           what was answered as committed is there in the end (see `checkWhole`)
 *   durable before said    no vote and no acknowledgement leaves before the disk has it
 *   fresh reads            a read sees every write that was answered before it was asked
 *   strong writes          no machine that may read from its own state misses a strong write that was answered
 *   last grant             a new leader's idea of its predecessors' last grant is not before any such grant
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { RaftOutput } from '../../../src/cluster/raft/contract.ts';
import type { RaftMessage } from '../../../src/cluster/raft/messages.ts';
import type { Entry, Index, MemberId, Term } from '../../../src/cluster/raft/model.ts';
import { type Lab, type Machine, written } from './lab.ts';

export class Breach extends Error {
  readonly rule: string;
  constructor(rule: string, what: string) {
    super(`${rule}: ${what}`);
    this.rule = rule;
  }
}

const keyOf = (entry: Entry): string => {
  if (entry.kind === 'data') return `data ${new TextDecoder().decode(entry.data)}`;
  return entry.kind === 'noop' ? 'noop' : `config ${entry.config.voters.join()}|${entry.config.learners.join()}`;
};

interface Grant {
  readonly term: Term;
  /** World time at which the request reached the leader. */
  readonly askedAt: Millis;
}

export class Checkers {
  readonly #lab: Lab;
  readonly #leaders = new Map<Term, MemberId>();
  /** "index:term" -> what it is and what stands before it. */
  readonly #entries = new Map<string, { readonly key: string; readonly before: Term | null }>();
  readonly committed: { readonly term: Term; readonly key: string; readonly by: Term }[] = [
    { term: 0, key: 'start', by: 0 },
  ];
  /** Highest index that was answered as committed, and as strong. */
  answered: Index = 0;
  strong: Index = 0;
  readonly #strongIds = new Set<number>();
  readonly #proposed = new Map<number, string>();
  readonly #acknowledged: { readonly index: Index; readonly key: string }[] = [];
  readonly #reads = new Map<number, { readonly atLeast: Index; readonly askedAt: Millis; readonly grant: boolean }>();
  readonly #grants: Grant[] = [];
  readonly #lastGrants: { readonly term: Term; readonly at: Millis; readonly tolerance: Millis }[] = [];
  readonly #appliedBy = new Map<MemberId, Index>();
  readonly counts = { committed: 0, strong: 0, reads: 0, leases: 0, grants: 0, leaders: 0, snapshots: 0 };

  constructor(lab: Lab) {
    this.#lab = lab;
    lab.watch = (machine, out) => this.#check(machine, out);
  }

  willPropose(id: number, text: string, strong: boolean): void {
    this.#proposed.set(id, `data ${text}`);
    if (strong) this.#strongIds.add(id);
  }

  willRead(id: number, grant: boolean): void {
    this.#reads.set(id, { atLeast: this.answered, askedAt: this.#lab.now, grant });
  }

  restarted(machine: Machine): void {
    this.#appliedBy.set(machine.id, machine.disk.restored.snapshot.index);
  }

  #check(machine: Machine, out: RaftOutput): void {
    if (out.persist !== null) this.#checkEntries(machine, out.persist.entries);
    for (const message of out.send) this.#checkSaid(machine, message);
    this.#checkApply(machine, out);
    for (const event of out.events) {
      if (event.kind === 'became-leader') this.#checkLeader(machine, event.term, event.lastPossibleGrant);
      if (event.kind === 'snapshot-installed') this.counts.snapshots += 1;
    }
    for (const { id, outcome } of out.proposals) {
      if (outcome.kind === 'committed') this.#checkAnswer(id, outcome.index, outcome.term);
    }
    for (const read of out.reads) this.#checkRead(machine, read.id, read.index);
    this.#checkReadable(machine);
  }

  #checkEntries(machine: Machine, entries: readonly Entry[]): void {
    const { mirror } = machine;
    for (const entry of entries) {
      const at = mirror.entries.findIndex(({ index }) => index === entry.index);
      const previous = mirror.entries[at - 1];
      const before = previous?.term ?? (mirror.snapshot.index === entry.index - 1 ? mirror.snapshot.term : null);
      const name = `${entry.index}:${entry.term}`;
      const key = keyOf(entry);
      const known = this.#entries.get(name);
      if (known === undefined) this.#entries.set(name, { key, before });
      else if (known.key !== key || (known.before !== null && before !== null && known.before !== before)) {
        throw new Breach('log matching', `${machine.id} has ${name} as ${key} after ${before}, known as ${known.key}`);
      }
    }
  }

  #checkSaid(machine: Machine, message: RaftMessage): void {
    const { hard, snapshot, entries } = machine.disk.restored;
    if ((message.kind === 'voteReply' && message.granted) || message.kind === 'vote') {
      const vote = message.kind === 'vote' ? machine.id : message.to;
      if (hard.term !== message.term || hard.vote !== vote)
        throw new Breach('durable before said', `${machine.id} votes in ${message.term}`);
    }
    if (message.kind !== 'appendReply' || !message.result.ok) return;
    const { match } = message.result;
    // What our own snapshot covers was applied, so it was on disk.
    if (match <= snapshot.index || match <= machine.mirror.snapshot.index) return;
    const termOn = (log: readonly Entry[]): Term | undefined => log.find(({ index }) => index === match)?.term;
    if (termOn(entries) !== termOn(machine.mirror.entries))
      throw new Breach(
        'durable before said',
        `${machine.id} acknowledges ${match}, on disk it is of ${termOn(entries)}`,
      );
  }

  #checkApply(machine: Machine, { apply }: RaftOutput): void {
    if (apply === null) return;
    let at = this.#appliedBy.get(machine.id) ?? 0;
    if (apply.snapshot !== null) {
      if (apply.snapshot.index < at)
        throw new Breach('state machine safety', `${machine.id} goes back to ${apply.snapshot.index}`);
      at = apply.snapshot.index;
      const text = new TextDecoder().decode(apply.snapshot.data);
      if (text !== `state ${at}` && at > 0)
        throw new Breach('state machine safety', `${machine.id} installed ${text} at ${at}`);
    }
    for (const entry of apply.entries) {
      if (entry.index !== at + 1)
        throw new Breach('state machine safety', `${machine.id} applies ${entry.index} after ${at}`);
      at = entry.index;
      this.#checkCommitted(machine, entry);
    }
    this.#appliedBy.set(machine.id, at);
  }

  #checkCommitted(machine: Machine, entry: Entry): void {
    const known = this.committed[entry.index];
    const key = keyOf(entry);
    if (known === undefined) {
      if (entry.index !== this.committed.length)
        throw new Breach('state machine safety', `${entry.index} leaves a gap`);
      this.committed.push({ term: entry.term, key, by: machine.raft!.status().term });
    } else if (known.key !== key || known.term !== entry.term) {
      throw new Breach(
        'state machine safety',
        `${machine.id} applies ${key} (${entry.term}) at ${entry.index}, it was ${known.key} (${known.term})`,
      );
    }
  }

  #checkLeader(machine: Machine, term: Term, lastPossibleGrant: Millis): void {
    this.counts.leaders += 1;
    const other = this.#leaders.get(term);
    if (other !== undefined)
      throw new Breach('election safety', `${machine.id} leads term ${term}, and so did ${other}`);
    this.#leaders.set(term, machine.id);
    const { snapshot, entries } = machine.mirror;
    const has = new Map(entries.map((entry) => [entry.index, entry.term]));
    // `by`: the term in which it was first applied, and so committed at the latest.
    for (let index = snapshot.index + 1; index < this.committed.length; index++) {
      const { term: entryTerm, by } = this.committed[index]!;
      // A leader of an older term may emerge late; nothing of a later one is asked of it.
      if (has.get(index) === entryTerm || by >= term) continue;
      throw new Breach('leader completeness', `${machine.id} leads term ${term} without committed entry ${index}`);
    }
    const at = machine.world(lastPossibleGrant);
    this.#lastGrants.push({ term, at, tolerance: 1 + (this.#lab.now - at) * 0.021 });
    for (const grant of this.#grants) this.#checkGrant(grant);
  }

  #checkGrant(grant: Grant): void {
    for (const last of this.#lastGrants) {
      if (grant.term >= last.term || grant.askedAt <= last.at + last.tolerance) continue;
      throw new Breach(
        'last grant',
        `term ${grant.term} granted what came at ${grant.askedAt}, term ${last.term} believes ${last.at}`,
      );
    }
  }

  #checkAnswer(id: number, index: Index, term: Term): void {
    const key = this.#proposed.get(id);
    const known = this.committed[index];
    if (known?.key !== key || known?.term !== term)
      throw new Breach('nothing lost', `${id} was answered at ${index}, where ${known?.key} is`);
    this.counts.committed += 1;
    this.answered = Math.max(this.answered, index);
    this.#acknowledged.push({ index, key: key! });
    if (!this.#strongIds.has(id)) return;
    this.counts.strong += 1;
    this.strong = Math.max(this.strong, index);
    for (const machine of this.#lab.live) this.#checkReadable(machine);
  }

  #checkReadable(machine: Machine): void {
    if (machine.raft === null || this.#lab.now < machine.pausedUntil) return;
    if (!machine.raft.mayRead(machine.clock(this.#lab.now))) return;
    const status = machine.raft.status();
    const needed = status.role === 'leader' ? this.answered : this.strong;
    this.counts.leases += 1;
    const rule = status.role === 'leader' ? 'fresh reads' : 'strong writes';
    if (status.applied < needed)
      throw new Breach(rule, `${machine.id} may read at ${status.applied}, ${needed} was answered`);
  }

  #checkRead(machine: Machine, id: number, index: Index | null): void {
    const read = this.#reads.get(id);
    if (read === undefined || index === null) return;
    this.counts.reads += 1;
    if (index < read.atLeast)
      throw new Breach('fresh reads', `${machine.id} reads at ${index}, ${read.atLeast} was answered before`);
    if ((this.#appliedBy.get(machine.id) ?? 0) < index)
      throw new Breach('fresh reads', `${machine.id} has not applied ${index}`);
    const status = machine.raft!.status();
    if (!read.grant || status.role !== 'leader') return;
    this.counts.grants += 1;
    const grant = { term: status.term, askedAt: read.askedAt };
    this.#grants.push(grant);
    this.#checkGrant(grant);
  }

  /** After the faults: every live member of the newest configuration has everything, and nothing else is committed. */
  checkWhole(): void {
    for (const { index, key } of this.#acknowledged) {
      if (this.committed[index]?.key !== key) throw new Breach('nothing lost', `${key} was answered at ${index}`);
    }
    for (const machine of this.#lab.live) {
      const disk = machine.writes.reduce((sofar, { persist }) => written(sofar, persist), machine.disk.restored);
      for (const entry of disk.entries) {
        const known = this.committed[entry.index];
        if (known !== undefined && entry.index <= machine.applied && known.term !== entry.term)
          throw new Breach(
            'nothing lost',
            `${machine.id} has ${entry.term} at ${entry.index}, committed is ${known.term}`,
          );
      }
    }
  }
}
