/**
 * Who speaks: a uid, its boot and the number of its run, and which runs were before it (7.2).
 *
 *   the run that is known            counts
 *   a boot above it                  a new run: its words wait. It is asked whether its disk knows of the run that counted
 *                                    last; if so its proof is kept on disk, and then it counts
 *   a lower boot, or that boot's     an old copy of its disk runs: nothing that it says counts. It is told which run is
 *   other run                        known, with the proof that this run gave of itself
 *
 * A copy that was made within the run that is known is found out by the leader that counted its acknowledgements, as
 * long as it leads: what it acknowledged is not on the disk. Only a voter that it knows is believed that.
 *
 * A proof is what only that disk and its copies can say of a run. So nobody else can make a member believe that its disk
 * is an old copy; and however high a copy's boot has grown by starts that nobody heard, it does not know of the run that
 * the others knew. Late words of a run that has ended are asked too; the run of now sees that it is not meant.
 *
 * Each run says what it is to every voter, so that whoever knows better hears of it before it is counted elsewhere.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Address } from '../swim/model.ts';
import type { Agreement } from './agreement.ts';
import type { KnownRun, PeerName } from './contract.ts';
import type { Core } from './core.ts';
import type { Lineage } from './lineage.ts';
import { runOf } from './rules.ts';
import { type LogEnd, noEnd, type Word } from './words.ts';

/** Words of one run that wait until it counts; more are lost, as on any net. */
const heldMax = 256;
/** Runs that wait. */
const waitingMax = 1024;
/** Uids that are remembered. A cluster of years has seen some hundreds; the key admits whoever claims more. */
const knownMax = 10_000;
/** What was not answered is asked again with the next word after this. */
const askAgainMs: Millis = 100;
const helloAgainMs: Millis = 1000;

type Who = Extract<Word, { readonly kind: 'who' }>;
type Run = Extract<Word, { readonly kind: 'run' }>;

export interface Speaking extends PeerName {
  readonly run: number;
  /** Where it says that it is, if its word says so. */
  readonly address: Address | null;
}

interface Waiting {
  readonly held: (() => void)[];
  askedAt: Millis;
  /** It has answered, and is on its way to the disk. */
  answered: boolean;
}

export class Identity {
  readonly #core: Core;
  readonly #lineage: Lineage;
  /** Other voters, as far as is known. */
  readonly #voters: () => readonly MemberId[];
  readonly #agreement: () => Agreement | null;
  readonly #known: Map<MemberId, KnownRun>;
  /** By uid and run: those that do not count yet. */
  readonly #waiting = new Map<string, Waiting>();
  /** Who asked this run what it is. */
  readonly #met = new Set<MemberId>();
  #helloAt: Millis = Number.POSITIVE_INFINITY;
  #doubted = false;

  constructor(
    core: Core,
    parts: {
      readonly boots: ReadonlyMap<MemberId, KnownRun>;
      readonly lineage: Lineage;
      readonly voters: () => readonly MemberId[];
      readonly agreement: () => Agreement | null;
    },
  ) {
    this.#core = core;
    this.#lineage = parts.lineage;
    this.#voters = parts.voters;
    this.#agreement = parts.agreement;
    this.#known = new Map(parts.boots);
  }

  /** Runs `go` once this run of the speaker counts: now, when it has proved itself, or never. */
  admit(from: Speaking, go: () => void): void {
    const both = runOf(from.boot, from.run);
    const verdict = this.#verdict(from.id, both);
    if (verdict === 'same') return go();
    if (verdict === 'amnesia') return this.#refuse(from, both);
    const waiting = this.#wait(from.id, both);
    if (waiting === null) return;
    if (waiting.held.length < heldMax) waiting.held.push(go);
    this.#ask(from, both, waiting);
  }

  #verdict(id: MemberId, both: number): 'same' | 'newer' | 'amnesia' {
    return this.#core.rules.bootVerdict(this.#known.get(id)?.both, both);
  }

  #wait(id: MemberId, both: number): Waiting | null {
    const name = `${id} ${both}`;
    const known = this.#waiting.get(name);
    if (known !== undefined) return known;
    if (this.#known.size >= knownMax && !this.#known.has(id)) {
      this.#core.refuse('too many members');
      return null;
    }
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size >= waitingMax && oldest !== undefined) this.#waiting.delete(oldest);
    const waiting: Waiting = { held: [], askedAt: Number.NEGATIVE_INFINITY, answered: false };
    this.#waiting.set(name, waiting);
    return waiting;
  }

  #ask(whom: Speaking, both: number, waiting: Waiting): void {
    const { now } = this.#core;
    if (waiting.answered || now < waiting.askedAt + askAgainMs) return;
    waiting.askedAt = now;
    this.#askWho(whom, both);
  }

  #refuse(whom: Speaking, both: number): void {
    this.#core.refuse('amnesia');
    this.#askWho(whom, both);
  }

  #askWho({ id, address }: Speaking, both: number): void {
    const { book, options } = this.#core;
    const to = address ?? book.addressOf(id);
    if (to === null) return;
    const { both: last, proof } = this.#known.get(id) ?? { both: 0, proof: '' };
    const had = this.#agreement()?.acknowledgedBy(id) ?? noEnd;
    this.#core.sayAt(to, { kind: 'who', both, last, proof, had, address: options.address });
  }

  /** Somebody asks this run what it is, and says what it knows. */
  asked(by: Speaking, { both, last, proof, had, address }: Who): void {
    if (both !== this.#lineage.own) return;
    if (this.#voters().includes(by.id) && this.#core.rules.hasForgotten(this.#began, had))
      return this.#isOldCopy(by.id);
    const ours = last === 0 || this.#lineage.has(last);
    const proved = !ours && this.#lineage.made(last, proof);
    if (this.#core.rules.isLostRun({ proved, ours })) return this.#isOldCopy(by.id);
    if (!ours) this.#doubt(by.id);
    this.#met.add(by.id);
    this.#lineage.whenKept(() => this.#sayRun(address, last));
    // It may itself be one that does not count here. If it does, this is where it is, whatever gossip says.
    this.admit(by, () => this.#core.book.proved(by.id, by.boot, address));
  }

  #isOldCopy(by: MemberId): void {
    const { uid, boot, book, options } = this.#core;
    this.#core.stop(
      'amnesia',
      `member ${book.nameOf(by)} knows of ${options.name} (${uid}, boot ${boot}) what its data folder does not: this ` +
        'folder is an old copy, or two processes run on copies of one; start it with an empty data folder, and it takes its place anew',
    );
  }

  /** Said once per run of ours. */
  #doubt(by: MemberId): void {
    if (this.#doubted) return;
    this.#doubted = true;
    const { book, options } = this.#core;
    this.#core.note(
      `member ${book.nameOf(by)} claims a run of ${options.name} that its data folder never made: it counts ${options.name} only with an empty data folder of its own, or that name is misused`,
    );
  }

  get #began(): LogEnd {
    return this.#agreement()?.began ?? noEnd;
  }

  #sayRun(to: Address, after: number): void {
    const { address } = this.#core.options;
    this.#core.sayAt(to, { kind: 'run', after, proof: this.#lineage.proof, had: this.#began, address });
  }

  /** A member says what its run is. */
  told(from: Speaking, { after, proof, had, address }: Run): void {
    const both = runOf(from.boot, from.run);
    const verdict = this.#verdict(from.id, both);
    if (verdict === 'same') return;
    const acknowledged = this.#agreement()?.acknowledgedBy(from.id) ?? noEnd;
    if (verdict === 'amnesia' || this.#core.rules.hasForgotten(had, acknowledged)) return this.#refuse(from, both);
    const waiting = this.#wait(from.id, both);
    if (waiting === null || waiting.answered) return;
    const wasAsked = waiting.askedAt !== Number.NEGATIVE_INFINITY;
    if (wasAsked && this.#core.rules.followsOn(this.#known.get(from.id)?.both ?? 0, after)) {
      waiting.answered = true;
      this.#learn(from, { both, proof }, address);
    } else this.#ask(from, both, waiting);
  }

  #learn({ id, boot }: PeerName, run: KnownRun, address: Address): void {
    this.#core.disk.boot(id, run, () => {
      const name = `${id} ${run.both}`;
      const held = this.#waiting.get(name)?.held ?? [];
      this.#waiting.delete(name);
      // A yet newer one may have come before it.
      if (this.#verdict(id, run.both) === 'amnesia') return;
      this.#known.set(id, run);
      this.#core.book.proved(id, boot, address);
      for (const go of held) go();
    });
  }

  /** There is a cluster: those who vote in it shall know this run. */
  begin(): void {
    this.#helloAt = this.#core.now;
  }

  tick(): void {
    const { now, book, options } = this.#core;
    if (now < this.#helloAt) return;
    this.#helloAt = now + helloAgainMs;
    const unmet = this.#voters().filter((id) => !this.#met.has(id));
    if (unmet.length === 0) return;
    // Where they are may not be known rightly: whoever is at a seed says where it is.
    const places = new Set([...unmet.map((id) => book.addressOf(id)), ...(options.cluster?.seeds ?? [])]);
    for (const to of places)
      if (to !== null && to !== options.address) this.#lineage.whenKept(() => this.#sayRun(to, 0));
  }

  wakeAt(): Millis {
    return this.#helloAt;
  }
}
