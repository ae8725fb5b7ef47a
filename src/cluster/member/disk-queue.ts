/**
 * One queue to the disk: what agreement writes, and this member's own facts and its peers' boots. Jobs go out in order;
 * that they are on disk is told late, in any order. What rests on a job happens when that job and all before it are there.
 *
 * Nothing rests on a snapshot of the own state: until it is there, the older one and all entries are. It may take the disk
 * seconds, in which votes and entries go on: so it is a job of its own, for which nobody waits.
 */
import type { MemberId } from '../../base/ids.ts';
import type { Persist } from '../raft/contract.ts';
import type { DiskFacts, KnownRun, MemberPersist } from './contract.ts';
import { diskEntry, diskSnapshot, hardBytes } from './disk-codec.ts';
import type { MemberRules } from './rules.ts';

interface Job {
  readonly ticket: number;
  readonly raft: number | null;
  readonly after: readonly (() => void)[];
  returned: boolean;
}

const nothing = { hard: null, truncateFrom: null, compactTo: null, snapshot: null, entries: [] } as const;

/** One of another member takes the place of the log, from its first entry on. */
const isOwn = ({ snapshot, truncateFrom }: Persist): boolean =>
  snapshot !== null && (truncateFrom === null || truncateFrom > snapshot.index);

const contentOf = ({ ticket, hard, truncateFrom, compactTo, snapshot, entries }: Persist) => ({
  ...{ ticket, truncateFrom, compactTo },
  snapshot: snapshot === null ? null : diskSnapshot(snapshot),
  entries: entries.map(diskEntry),
  hard: hard === null ? null : hardBytes(hard),
});

export class DiskQueue {
  readonly #rules: MemberRules;
  readonly #jobs: Job[] = [];
  #ticket = 0;
  #facts: DiskFacts = {};
  #boots = new Map<MemberId, KnownRun>();
  #then: (() => void)[] = [];

  constructor(rules: MemberRules) {
    this.#rules = rules;
  }

  /** Calls `then` when it is on disk. */
  fact(facts: DiskFacts, then: () => void): void {
    this.#facts = { ...this.#facts, ...facts };
    this.#later(then);
  }

  boot(id: MemberId, run: KnownRun, then: () => void): void {
    this.#boots.set(id, run);
    this.#later(then);
  }

  #later(then: () => void): void {
    if (this.#rules.waitsForDisk()) this.#then.push(then);
    else then();
  }

  /** Jobs to write now, in order: own facts with the first. */
  take(raft: readonly Persist[]): readonly MemberPersist[] {
    const own = Object.keys(this.#facts).length > 0 || this.#boots.size > 0;
    const jobs: MemberPersist[] = raft.flatMap((one) => this.#jobsOf(one));
    if (own && jobs.length === 0) jobs.push(this.#job(null));
    return jobs;
  }

  #jobsOf(raft: Persist): readonly MemberPersist[] {
    if (!isOwn(raft)) return [this.#job(raft)];
    const { snapshot, compactTo } = raft;
    const rest = this.#job({ ...raft, snapshot: null, compactTo: null });
    this.#ticket += 1;
    const aside = { ...nothing, ticket: this.#ticket, snapshot, compactTo };
    return [rest, { ...contentOf(aside), facts: {}, boots: [] }];
  }

  #job(raft: Persist | null): MemberPersist {
    this.#ticket += 1;
    const ticket = this.#ticket;
    this.#jobs.push({ ticket, raft: raft?.ticket ?? null, after: this.#then, returned: false });
    const content = contentOf({ ...(raft ?? nothing), ticket });
    const job: MemberPersist = { ...content, facts: this.#facts, boots: [...this.#boots] };
    this.#then = [];
    this.#facts = {};
    this.#boots = new Map();
    return job;
  }

  /** A commit returned. What can go on now: agreement's ticket at once, own things in order. */
  returned(ticket: number): { readonly raft: number | null; readonly after: readonly (() => void)[] } {
    const job = this.#jobs.find((one) => one.ticket === ticket);
    if (job === undefined || job.returned) return { raft: null, after: [] };
    job.returned = true;
    const after: (() => void)[] = [];
    while (this.#jobs[0]?.returned) after.push(...this.#jobs.shift()!.after);
    return { raft: job.raft, after };
  }
}
