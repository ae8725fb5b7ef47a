/** What all parts of the machine share: clock, cluster, rules, and what is on its way out. */
import type { MemberId, Millis } from '../../base/ids.ts';
import { encodeWord } from './codec.ts';
import type { ClusterView, FailoverEvent, FailoverOptions, FailoverOutput, FailoverRules } from './contract.ts';
import { safeRules } from './rules.ts';
import type { Word } from './words.ts';

type Listed<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };
export type Outbox = Listed<FailoverOutput>;

const emptyBox = (): Outbox => ({
  board: [],
  proposals: [],
  tell: [],
  leases: [],
  hooks: [],
  abandon: [],
  probe: [],
  answers: [],
  events: [],
  mayMove: true,
});

const nobody: ClusterView = {
  leader: null,
  term: 0,
  leads: false,
  quorum: false,
  voters: [],
  learners: [],
  names: new Map(),
  cluster: null,
  agreedNow: 0,
};

/** A member that has just started, or just lost it, finds a quorum soon: a pause is better than an error. */
const hopeMs: Millis = 10_000;

export class Core {
  readonly self: MemberId;
  readonly rules: FailoverRules;
  readonly writesOverAt: FailoverOptions['writesOverAt'];
  readonly openEpoch: FailoverOptions['openEpoch'];
  readonly startedAt: Millis;
  now: Millis;
  view: ClusterView = nobody;
  out: Outbox = emptyBox();
  /** Words to ourselves: they are handed over within the same step. */
  ownWords: Word[] = [];
  /** Without a quorum writes wait until then, and are refused afterwards. */
  hopesUntil: Millis;
  /** It is on its way out of the cluster, and its process ends. */
  left = false;
  #viewAt: Millis;
  #id = 0;

  constructor(options: FailoverOptions) {
    this.self = options.self;
    this.now = options.now;
    this.startedAt = options.now;
    this.hopesUntil = options.now + hopeMs;
    this.#viewAt = options.now;
    this.writesOverAt = options.writesOverAt;
    this.openEpoch = options.openEpoch;
    this.rules = { ...safeRules, ...options.rules };
  }

  nextId(): number {
    this.#id += 1;
    return this.#id;
  }

  get lastId(): number {
    return this.#id;
  }

  look(view: ClusterView): void {
    if (view.quorum || this.view.quorum) this.hopesUntil = this.now + hopeMs;
    this.view = view;
    this.#viewAt = this.now;
  }

  /** The agreed clock now; whole ms. */
  agreed(): Millis {
    return Math.floor(this.view.agreedNow + (this.now - this.#viewAt));
  }

  /** When our clock shows what the agreed clock will show then. */
  localOf(agreed: Millis): Millis {
    return this.now + (agreed - (this.view.agreedNow + (this.now - this.#viewAt)));
  }

  /** All that may have leave to write, ourselves among them. */
  get members(): readonly MemberId[] {
    return [...this.view.voters, ...this.view.learners];
  }

  nameOf(member: string): string {
    return this.view.names.get(member as MemberId) ?? member.slice(0, 8);
  }

  tell(to: MemberId, word: Word): void {
    if (to === this.self) this.ownWords.push(word);
    else this.out.tell.push({ to, bytes: encodeWord(word) });
  }

  tellLeader(word: Word): void {
    if (this.view.leader !== null) this.tell(this.view.leader, word);
  }

  tellAll(word: Word): void {
    const bytes = encodeWord(word);
    for (const to of this.members) if (to !== this.self) this.out.tell.push({ to, bytes });
    this.ownWords.push(word);
  }

  log(level: FailoverEvent['level'], event: string, pool: string, text: string): void {
    this.out.events.push({ level, event, pool, text });
  }

  take(): Outbox {
    const { out } = this;
    this.out = emptyBox();
    return out;
  }
}
