/**
 * Who speaks: a uid, its boot and the number of its run (7.2).
 *
 *   boot above all that was seen          a new run: kept on disk first, then it counts
 *   the same boot and run                 counts
 *   a lower boot, or that boot's other run   amnesia: an old copy of its disk runs. Nothing that it says counts
 *
 * The word that comes back tells it so. A late word of a run that has ended is answered like that too; the run of now
 * sees that it is not meant.
 */
import type { MemberId } from '../../base/ids.ts';
import type { PeerName } from './contract.ts';
import type { Core } from './core.ts';
import { runOf } from './rules.ts';
import type { Word } from './words.ts';

/** Words of one run that wait for the disk; more are lost, as on any net. */
const heldMax = 256;
/** Uids that are remembered. A cluster of years has seen some hundreds; the key admits whoever claims more. */
const knownMax = 10_000;

export class Identity {
  readonly #core: Core;
  readonly #known: Map<MemberId, number>;
  /** Words of runs that are not on disk yet. */
  readonly #held = new Map<MemberId, (() => void)[]>();

  constructor(core: Core, boots: ReadonlyMap<MemberId, number>) {
    this.#core = core;
    this.#known = new Map(boots);
  }

  /** Runs `go` once this run of the speaker counts: now, when it is on disk, or never. */
  admit(from: PeerName, run: number, go: () => void): void {
    const both = runOf(from.boot, run);
    const verdict = this.#core.rules.bootVerdict(this.#known.get(from.id), both);
    if (verdict === 'amnesia') return this.#sendAway(from.id, both);
    if (verdict === 'newer') {
      if (this.#known.size >= knownMax && !this.#known.has(from.id)) return this.#core.refuse('too many members');
      this.#learn(from.id, both);
    }
    const held = this.#held.get(from.id);
    if (held === undefined) return go();
    if (held.length < heldMax) held.push(go);
  }

  #learn(id: MemberId, both: number): void {
    this.#known.set(id, both);
    const held: (() => void)[] = [];
    this.#held.set(id, held);
    this.#core.disk.boot(id, both, () => {
      // A yet newer run has a queue of its own.
      if (this.#held.get(id) === held) this.#held.delete(id);
      if (this.#known.get(id) === both) for (const go of held) go();
    });
  }

  #sendAway(id: MemberId, both: number): void {
    this.#core.refuse('amnesia');
    this.#core.say(id, { kind: 'away', why: 'amnesia', both });
  }

  /** Somebody sends us away. */
  sentAway(by: MemberId, { why, both }: Extract<Word, { readonly kind: 'away' }>): string | null {
    const { uid, boot, run, book, options } = this.#core;
    if (both !== runOf(boot, run)) return null;
    const who = book.nameOf(by);
    if (why === 'amnesia') {
      const text =
        `member ${who} has seen a later run of ${options.name} (${uid}, boot ${boot}): this data folder is an old copy, ` +
        'or two processes run on copies of one; start it with an empty data folder, and it takes its place anew';
      this.#core.stop('amnesia', text);
      return text;
    }
    if (why === 'removed') {
      const text = `${options.name} (${uid}) was removed from the cluster: to join again, start it with an empty data folder`;
      this.#core.stop('removed', text);
      return text;
    }
    return `member ${who} says that another living member is called ${options.name}: give this one a name of its own, or stop the other`;
  }
}
