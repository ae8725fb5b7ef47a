/** One machine by itself, spoken to as by its peers, for tests of single sentences. Its disk is instant if not held. */
import { seededRandom } from '../../../src/base/random.ts';
import type { Persist, RaftInput, RaftOutput, RaftStatus } from '../../../src/cluster/raft/contract.ts';
import type { Draft, MessageKind, RaftMessage } from '../../../src/cluster/raft/messages.ts';
import { type Entry, memberId, newborn, type Restored } from '../../../src/cluster/raft/model.ts';
import type { RaftOptions } from '../../../src/cluster/raft/options.ts';
import { Raft } from '../../../src/cluster/raft/raft.ts';

export interface SoloOptions {
  readonly voters?: readonly string[];
  readonly term?: number;
  readonly vote?: string | null;
  /** Terms of the entries 1, 2, ... */
  readonly terms?: readonly number[];
  readonly raft?: Partial<RaftOptions>;
  /** Persists don't return by themselves. */
  readonly holdDisk?: boolean;
}

/** An entry whose data names it, so that entries of other terms differ. */
export const entryOf = (index: number, term: number): Entry => ({
  index,
  term,
  kind: 'data',
  data: new TextEncoder().encode(`${index}.${term}`),
});

export const entriesOf = (terms: readonly number[], from = 1): Entry[] =>
  terms.map((term, i) => entryOf(from + i, term));

const nothing: RaftOutput = { persist: null, send: [], apply: null, proposals: [], changes: [], reads: [], events: [] };

export class Solo {
  now = 0;
  raft: Raft;
  readonly persists: Persist[] = [];
  out: RaftOutput = nothing;
  readonly #holdDisk: boolean;

  /** Machine "a" of a, b, c. */
  constructor(options: SoloOptions = {}) {
    const { voters = ['a', 'b', 'c'], term = 0, vote = null, terms = [] } = options;
    const restored: Restored = {
      ...newborn(voters.map(memberId)),
      hard: { term: Math.max(term, ...terms, 0), vote: vote === null ? null : memberId(vote) },
      entries: entriesOf(terms),
    };
    this.#holdDisk = options.holdDisk ?? false;
    this.raft = new Raft(
      { random: seededRandom(5), ...options.raft, id: memberId('a'), boot: options.raft?.boot ?? 1, now: 0 },
      restored,
    );
  }

  get status(): RaftStatus {
    return this.raft.status();
  }

  /** The output of this step and of the returns of the disk that it caused. */
  step(input: RaftInput): RaftOutput {
    this.raft.step(this.now, input);
    const outs = [this.raft.take()];
    for (let out = outs[0]!; out.persist !== null; out = outs.at(-1)!) {
      this.persists.push(out.persist);
      if (this.#holdDisk) break;
      this.raft.step(this.now, { kind: 'persisted', ticket: out.persist.ticket });
      outs.push(this.raft.take());
    }
    this.out = merged(outs);
    return this.out;
  }

  returned(ticket: number): RaftOutput {
    return this.step({ kind: 'persisted', ticket });
  }

  hear(from: string, term: number, draft: Omit<Draft, 'to'> & { readonly kind: MessageKind }): RaftOutput {
    const message = { ...draft, from: memberId(from), to: memberId('a'), boot: 1, term } as RaftMessage;
    return this.step({ kind: 'message', message });
  }

  append(
    from: string,
    term: number,
    prev: readonly [number, number],
    terms: readonly number[],
    commit = 0,
  ): RaftOutput {
    const [prevIndex, prevTerm] = prev;
    const body = { kind: 'append', prevIndex, prevTerm, entries: entriesOf(terms, prevIndex + 1), commit } as const;
    return this.hear(from, term, body as never);
  }

  wait(ms: number): RaftOutput {
    this.now += ms;
    return this.step({ kind: 'tick' });
  }

  /** Waits until its time-out has come. */
  waitForTimeout(): RaftOutput {
    this.now = Math.max(this.now, this.raft.wakeAt());
    return this.step({ kind: 'tick' });
  }

  propose(id: number): RaftOutput {
    return this.step({ kind: 'propose', id, data: new TextEncoder().encode(`p${id}`) });
  }

  /** Time-out, pre-votes and votes of b: leader of the next term. */
  lead(): RaftOutput {
    this.waitForTimeout();
    this.hear('b', this.status.term, { kind: 'preVoteReply', next: this.status.term + 1, granted: true } as never);
    return this.hear('b', this.status.term, { kind: 'voteReply', granted: true, age: 5000 } as never);
  }

  ack(from: string, match: number, applied = 0): RaftOutput {
    const about = { priority: 100, witness: false };
    return this.hear(from, this.status.term, {
      kind: 'appendReply',
      result: { ok: true, match },
      applied,
      about,
    } as never);
  }

  beat(from: string, round: number, applied = 0): RaftOutput {
    const about = { priority: 100, witness: false };
    return this.hear(from, this.status.term, { kind: 'heartbeatReply', round, applied, askedAt: 1, about } as never);
  }
}

export function sent<K extends MessageKind>(out: RaftOutput, kind: K): Extract<RaftMessage, { kind: K }>[] {
  return out.send.filter((message): message is Extract<RaftMessage, { kind: K }> => message.kind === kind);
}

function merged(outs: readonly RaftOutput[]): RaftOutput {
  const applies = outs.flatMap(({ apply }) => (apply === null ? [] : [apply]));
  return {
    persist: outs[0]!.persist,
    send: outs.flatMap(({ send }) => send),
    apply:
      applies.length === 0
        ? null
        : { snapshot: applies[0]!.snapshot, entries: applies.flatMap(({ entries }) => entries) },
    proposals: outs.flatMap(({ proposals }) => proposals),
    changes: outs.flatMap(({ changes }) => changes),
    reads: outs.flatMap(({ reads }) => reads),
    events: outs.flatMap(({ events }) => events),
  };
}
