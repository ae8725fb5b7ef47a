/**
 * The virtual net between addresses.
 *
 *   datagram   lost, delayed, doubled, overtaken, at will
 *   kept       one connection per direction: in order; a lost packet costs time instead. While a direction is cut its
 *              bytes either wait in the sender's kernel and come very late, or the connection breaks and takes with it
 *              all that was under way
 *   stream     opened for one question and its answer; needs both directions
 *
 * Cuts are per direction, so partitions may be symmetric, one-way or bridges.
 */
import type { Millis } from '../../src/base/ids.ts';
import type { Random } from '../../src/base/random.ts';
import { between, type Queue, type Range } from './queue.ts';

export type Address = string;

interface Kept {
  /** Nothing sent later comes before. */
  lastAt: Millis;
  /** Grows when the connection breaks: what was sent in an older one is gone. */
  generation: number;
  held: { readonly at: Millis; readonly deliver: () => void }[];
}

/** How long a sender's kernel repeats what is not acknowledged. */
const heldMs: Millis = 15_000;
const heldMax = 400;
const retransmitMs: Millis = 200;

/** Bytes that were so long on their way are of another time. */
const oldMs: Millis = 1000;

export class Net {
  loss = 0;
  doubling = 0;
  delay: Range = [0.2, 2];
  /** Share of packets that take up to `lateMs` longer, and so are overtaken. */
  late = 0;
  lateMs: Millis = 300;
  /** Counts what the faults really did. */
  noted: (what: string) => void = () => {};
  readonly #queue: Queue;
  readonly #random: Random;
  /** By how many faults each way is cut. */
  readonly #cut = new Map<string, number>();
  readonly #cutAt = new Map<string, Millis>();
  readonly #lateAt = new Map<string, Millis>();
  readonly #lag = new Map<string, Millis>();
  readonly #kept = new Map<string, Kept>();

  constructor(queue: Queue, random: Random) {
    this.#queue = queue;
    this.#random = random;
  }

  isCut(from: Address, to: Address): boolean {
    return this.#cut.size > 0 && this.#cut.has(`${from}>${to}`);
  }

  /** Infinity: it is not. */
  cutSince(from: Address, to: Address): Millis {
    return this.#cutAt.get(`${from}>${to}`) ?? Number.POSITIVE_INFINITY;
  }

  /** When bytes came last that are old: they waited for the end of a cut, or were lost and sent again; -Infinity: none. */
  lateAt(from: Address, to: Address): Millis {
    return this.#lateAt.get(`${from}>${to}`) ?? Number.NEGATIVE_INFINITY;
  }

  cut(from: Address, to: Address): void {
    const way = `${from}>${to}`;
    if (!this.#cut.has(way)) this.#cutAt.set(way, this.#queue.now);
    this.#cut.set(way, (this.#cut.get(way) ?? 0) + 1);
  }

  /** Takes back one cut of one direction; with the last, what its kernel still holds comes now. */
  mend(from: Address, to: Address): void {
    const way = `${from}>${to}`;
    const cuts = this.#cut.get(way) ?? 0;
    if (cuts > 1) this.#cut.set(way, cuts - 1);
    if (cuts !== 1) return;
    this.#cut.delete(way);
    this.#cutAt.delete(way);
    const kept = this.#kept.get(`${from}>${to}`);
    if (kept === undefined) return;
    for (const { at, deliver } of kept.held.splice(0)) {
      if (at + heldMs < this.#queue.now) continue;
      this.noted('kept: bytes came after a cut');
      this.#lateAt.set(way, this.#queue.now);
      this.#inOrder(kept, between(this.#random, this.delay), { from, to, deliver });
    }
  }

  /** What is sent this way takes so much longer, from now on; 0 ends it. */
  lag(from: Address, to: Address, ms: Millis): void {
    this.#lag.set(`${from}>${to}`, ms);
  }

  #lagOf(from: Address, to: Address): Millis {
    return this.#lag.size === 0 ? 0 : (this.#lag.get(`${from}>${to}`) ?? 0);
  }

  mendAll(): void {
    this.#lag.clear();
    for (const pair of [...this.#cut.keys()]) {
      const [from, to] = pair.split('>');
      this.#cut.set(pair, 1);
      this.mend(from!, to!);
    }
  }

  get cuts(): readonly string[] {
    return [...this.#cut.keys()];
  }

  calm(): void {
    this.loss = this.doubling = this.late = 0;
    this.delay = [0.2, 2];
  }

  datagram(from: Address, to: Address, deliver: () => void): void {
    const copies = this.doubling > 0 && this.#random.next() < this.doubling ? 2 : 1;
    if (copies === 2) this.noted('datagram: doubled');
    for (let i = 0; i < copies; i++) {
      if (this.loss > 0 && this.#random.next() < this.loss) this.noted('datagram: lost');
      else if (this.isCut(from, to)) this.noted('datagram: cut');
      else this.#queue.after(this.#delay() + this.#lagOf(from, to), deliver);
    }
  }

  kept(from: Address, to: Address, deliver: () => void): void {
    const kept = this.#connection(from, to);
    // A sender that is not sure whether it arrived sends again over the next connection.
    const copies = this.doubling > 0 && this.#random.next() < this.doubling * 0.3 ? 2 : 1;
    for (let i = 0; i < copies; i++)
      this.#inOrder(kept, this.#packets(1) + this.#lagOf(from, to), { from, to, deliver });
  }

  /** All that is under way there is lost. */
  break(from: Address, to: Address): void {
    const kept = this.#connection(from, to);
    kept.generation += 1;
    kept.held = [];
    kept.lastAt = this.#queue.now;
    this.noted('kept: broken');
  }

  /** `ask` is called at the other end with the way back; `failed` here, if no answer came in time. */
  stream(
    from: Address,
    to: Address,
    how: { readonly timeoutMs: Millis; ask: (answer: (deliver: () => void) => void) => void; failed: () => void },
  ): void {
    let open = true;
    this.#queue.after(how.timeoutMs, () => {
      if (open) how.failed();
      open = false;
    });
    if (this.isCut(from, to) || this.isCut(to, from)) return;
    this.#queue.after(this.#packets(3), () => {
      how.ask((deliver) => {
        if (this.isCut(from, to) || this.isCut(to, from)) return;
        this.#queue.after(this.#packets(1), () => {
          if (open) deliver();
          open = false;
        });
      });
    });
  }

  #connection(from: Address, to: Address): Kept {
    const pair = `${from}>${to}`;
    const known = this.#kept.get(pair);
    if (known !== undefined) return known;
    const kept: Kept = { lastAt: 0, generation: 0, held: [] };
    this.#kept.set(pair, kept);
    return kept;
  }

  #inOrder(kept: Kept, ms: Millis, one: { from: Address; to: Address; deliver: () => void }): void {
    kept.lastAt = Math.max(kept.lastAt + 0.001, this.#queue.now + ms);
    const { generation } = kept;
    const sentAt = this.#queue.now;
    this.#queue.at(kept.lastAt, () => {
      if (kept.generation !== generation) return this.noted('kept: lost with its connection');
      if (!this.isCut(one.from, one.to)) {
        if (this.#queue.now - sentAt > oldMs) this.#lateAt.set(`${one.from}>${one.to}`, this.#queue.now);
        return one.deliver();
      }
      if (kept.held.length === 0 && this.#random.next() < 0.5) return this.break(one.from, one.to);
      if (kept.held.length < heldMax) kept.held.push({ at: this.#queue.now, deliver: one.deliver });
    });
  }

  #delay(): Millis {
    const ms = between(this.#random, this.delay);
    if (this.late === 0 || this.#random.next() >= this.late) return ms;
    this.noted('datagram: late');
    return ms + this.#random.next() * this.lateMs;
  }

  /** Time for so many packets in a row, each repeated after a growing pause when it was lost. */
  #packets(count: number): Millis {
    let time = 0;
    for (let i = 0; i < count; i++) {
      time += between(this.#random, this.delay);
      for (let pause = retransmitMs; pause < 2000 && this.loss > 0 && this.#random.next() < this.loss; pause *= 2)
        time += pause;
    }
    return time;
  }
}
