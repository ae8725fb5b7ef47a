/**
 * The data side of one member: threads that clients' writes come to, and the record in shared memory between them and the
 * control thread. As the data path does it:
 *
 *   count it in the gauge -> read the record, with a fresh clock -> the epoch and node of now, before writeUntil: send
 *   otherwise: uncount, park or refuse. What is parked goes out in order; what was sent is never sent again.
 *   at cutAt, or as soon as the record has a newer epoch: both connections are destroyed, no answer is passed on
 *
 * A thread may stall while control runs, and the other way round; the record and the gauge know nothing of that.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { BoardWrite } from '../../../src/cluster/failover/contract.ts';
import type { NodeAnswer } from './nodes.ts';
import type { DataHabits } from './plants.ts';

export interface Op {
  readonly id: number;
  readonly takes: Millis;
  readonly done: (end: End) => void;
}

export type End =
  | { readonly kind: 'answered'; readonly epoch: number; readonly position: number | null }
  | { readonly kind: 'failed'; readonly why: string }
  /** Nothing was sent. */
  | { readonly kind: 'refused'; readonly why: string };

export interface TrafficWorld {
  readonly habits: DataHabits;
  now(): Millis;
  /** After so long on this member's clock. */
  after(ms: Millis, what: () => void): void;
  /** The first byte leaves. `answer` may never come. */
  send(op: Op, to: { readonly epoch: number; readonly node: string }, answer: (answer: NodeAnswer) => void): void;
  /** An answer goes to a client. */
  passes(op: Op, epoch: number): void;
  covered(what: string): void;
}

/** Waiting writes look again so often. */
const pollMs: Millis = 5;
const parkedMs: Millis = 15_000;
const parkedMax = 200;

interface Sent {
  readonly op: Op;
  readonly epoch: number;
  over: boolean;
}

const noRecord: BoardWrite = {
  pool: '',
  epoch: 0,
  node: null,
  writeUntil: 0,
  cutAt: 0,
  otherwise: 'park',
  why: '',
  fencing: false,
  readers: [],
  forks: [],
};

/** What all threads of the process share. */
export class Shared {
  record: BoardWrite = noRecord;
  /** The last cutAt that was seen with an epoch. */
  readonly cuts = new Map<number, Millis>();
  writing = 0;
  passed: number | null = null;

  write(record: BoardWrite): void {
    this.record = record;
    this.cuts.set(record.epoch, record.cutAt);
  }
}

export class DataThread {
  readonly #shared: Shared;
  readonly #world: TrafficWorld;
  readonly #parked: { readonly op: Op; readonly until: Millis }[] = [];
  readonly #sent = new Set<Sent>();
  /** Of connections that are open and not read yet. */
  readonly #inbox: Op[] = [];
  /** What waits in its sockets while it stands still. */
  #waiting: (() => void)[] = [];
  #stalled = false;
  #alive = true;
  #polls = false;
  /** Handed over by message, late: only a planted bug looks at it. */
  snapshot: { readonly epoch: number; readonly node: string | null } = { epoch: 0, node: null };

  constructor(shared: Shared, world: TrafficWorld) {
    this.#shared = shared;
    this.#world = world;
  }

  get isIdle(): boolean {
    return this.#sent.size === 0 && this.#parked.length === 0 && this.#inbox.length === 0;
  }

  stall(): void {
    this.#stalled = true;
  }

  go(): void {
    if (!this.#stalled || !this.#alive) return;
    this.#stalled = false;
    // In the order of an event loop after a standstill: timers may come before sockets, or after.
    for (const what of this.#waiting.splice(0)) what();
    this.#poll();
  }

  /** The process is gone: clients see their connections break. */
  die(): void {
    this.#alive = false;
    for (const { op } of this.#sent) op.done({ kind: 'failed', why: 'the member died' });
    for (const op of [...this.#parked.map(({ op: parked }) => parked), ...this.#inbox])
      op.done({ kind: 'refused', why: 'the member died' });
    for (const sent of this.#sent) sent.over = true;
    this.#sent.clear();
    this.#parked.length = 0;
    this.#inbox.length = 0;
  }

  #when(what: () => void): void {
    if (!this.#alive) return;
    if (this.#stalled) this.#waiting.push(what);
    else what();
  }

  accept(op: Op): void {
    this.#inbox.push(op);
    this.#when(() => this.#take());
  }

  #take(): void {
    for (const op of this.#inbox.splice(0)) {
      if (this.#parked.length > 0) this.#park(op, this.#shared.record);
      else this.#begin(op);
    }
  }

  /** False: it was parked or refused. */
  #begin(op: Op): boolean {
    const { record } = this.#shared;
    if (this.#maySend(record)) {
      this.#send(op, this.#target(record));
      return true;
    }
    if (record.otherwise === 'refuse') op.done({ kind: 'refused', why: record.why });
    else this.#park(op, record);
    return false;
  }

  #maySend({ writeUntil, node, epoch }: BoardWrite): boolean {
    return epoch > 0 && node !== null && this.#world.now() < writeUntil;
  }

  #target(record: BoardWrite): { readonly epoch: number; readonly node: string } {
    const { epoch, node } =
      this.#world.habits.picksFromSnapshot && this.snapshot.node !== null ? this.snapshot : record;
    return { epoch, node: node! };
  }

  #park(op: Op, { why }: BoardWrite): void {
    if (this.#parked.length >= parkedMax) return op.done({ kind: 'refused', why: 'too many wait' });
    this.#world.covered(
      `parked: ${why.replace(/[a-z]* failed \d+ /, 'node failed n ').replace(/epoch \d+/, 'epoch n')}`,
    );
    this.#parked.push({ op, until: this.#world.now() + parkedMs });
    this.#pollLater();
  }

  #send(op: Op, to: { readonly epoch: number; readonly node: string }): void {
    const sent: Sent = { op, epoch: to.epoch, over: false };
    this.#sent.add(sent);
    this.#shared.writing += 1;
    this.#pollLater();
    this.#world.send(op, to, (answer) => this.#when(() => this.#answered(sent, answer)));
  }

  #answered(sent: Sent, answer: NodeAnswer): void {
    if (sent.over) return;
    // Before bytes are passed on: a thread that stood still wakes in a socket callback.
    if (this.#isCut(sent)) return this.#cut(sent);
    this.#end(sent);
    if (!answer.ok) return sent.op.done({ kind: 'failed', why: answer.why });
    this.#world.passes(sent.op, sent.epoch);
    const { passed } = this.#shared;
    if (answer.position !== null) this.#shared.passed = Math.max(passed ?? 0, answer.position);
    sent.op.done({ kind: 'answered', epoch: sent.epoch, position: answer.position });
  }

  #isCut({ epoch }: Sent): boolean {
    if (!this.#world.habits.cutsAnswers) return false;
    const { record, cuts } = this.#shared;
    return record.epoch > epoch || this.#world.now() >= (cuts.get(epoch) ?? 0);
  }

  #cut(sent: Sent): void {
    this.#end(sent);
    this.#world.covered('data: a write was cut');
    sent.op.done({ kind: 'failed', why: 'cut' });
  }

  #end(sent: Sent): void {
    sent.over = true;
    this.#sent.delete(sent);
    this.#shared.writing -= 1;
  }

  #pollLater(): void {
    if (this.#polls || !this.#alive) return;
    this.#polls = true;
    this.#world.after(pollMs, () => {
      this.#polls = false;
      if (!this.#alive) return;
      if (!this.#stalled) this.#poll();
      if (!this.isIdle) this.#pollLater();
    });
  }

  #poll(): void {
    for (const sent of [...this.#sent]) if (this.#isCut(sent)) this.#cut(sent);
    while (this.#parked.length > 0) {
      const { op, until } = this.#parked[0]!;
      const { record } = this.#shared;
      if (this.#maySend(record)) {
        this.#parked.shift();
        this.#world.covered('parked: sent afterwards');
        this.#send(op, this.#target(record));
      } else if (record.otherwise === 'refuse' || this.#world.now() >= until) {
        this.#parked.shift();
        op.done({ kind: 'refused', why: record.otherwise === 'refuse' ? record.why : 'waited too long' });
      } else break;
    }
    if (!this.isIdle) this.#pollLater();
  }
}
