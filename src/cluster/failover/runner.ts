/** Runs hooks that the leader hands out: on every member, since only who finds a node healthy can reach it. */
import type { MemberId } from '../../base/ids.ts';
import { cut } from './codec.ts';
import type { FailoverInput } from './contract.ts';
import type { Core } from './core.ts';
import type { Pool } from './pool.ts';
import type { RunWord, Word } from './words.ts';

type Ran = Extract<Word, { kind: 'ran' }>;

interface Run {
  readonly from: MemberId;
  readonly word: RunWord;
  /** Of the HookRun; null: it was refused. */
  readonly id: number | null;
  answer: Ran | null;
}

export class Runner {
  readonly #core: Core;
  /** Of this term, by the leader's id for it. */
  readonly #runs = new Map<number, Run>();
  #term = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /** A newer term: what an earlier leader wanted ends (3.2). */
  look(): void {
    const { term } = this.#core.view;
    if (term === this.#term) return;
    this.#term = term;
    for (const { id, answer } of this.#runs.values())
      if (id !== null && answer === null) this.#core.out.abandon.push(id);
    this.#runs.clear();
  }

  run(from: MemberId, word: RunWord, pool: Pool | undefined): void {
    if (word.term !== this.#term || from !== this.#core.view.leader) return;
    const known = this.#runs.get(word.id);
    if (known !== undefined) {
      if (known.answer !== null) this.#core.tell(from, known.answer);
      return;
    }
    const { policy } = pool ?? { policy: null };
    const how = policy?.hooks[word.hook] ?? null;
    const target = pool?.targetOf(word.target.node) ?? null;
    const refusal = this.#refusal(word, policy?.hash, target?.url);
    const run: Run = { from, word, id: refusal === null && how !== null ? this.#core.nextId() : null, answer: null };
    this.#runs.set(word.id, run);
    if (run.id === null || how === null)
      return this.#answer(run, { ok: false, detail: refusal ?? 'no such hook here', position: null });
    const { hook: kind, epoch, reason, deadline } = word;
    this.#core.out.hooks.push({ id: run.id, how, kind, pool: word.pool, target: word.target, epoch, reason, deadline });
  }

  #refusal(word: RunWord, hash: string | undefined, url: string | undefined): string | null {
    if (this.#core.now >= word.deadline) return 'its time is over';
    if (!this.#core.rules.mayRun(hash, word.policy))
      return `the failover policy of ${this.#core.nameOf(this.#core.self)} differs`;
    return url === word.target.url ? null : 'the file has that node elsewhere';
  }

  hooked({ id, ok, detail, position }: Extract<FailoverInput, { kind: 'hooked' }>): void {
    for (const run of this.#runs.values())
      if (run.id === id && run.answer === null) return this.#answer(run, { ok, detail: cut(detail), position });
  }

  #answer(run: Run, result: Pick<Ran, 'ok' | 'detail' | 'position'>): void {
    run.answer = { kind: 'ran', id: run.word.id, term: run.word.term, ...result };
    this.#core.tell(run.from, run.answer);
  }
}
