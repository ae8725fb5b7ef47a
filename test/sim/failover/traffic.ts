/**
 * The data side of one pool on one member: threads that clients' requests come to, and the record in shared memory between
 * them and the control thread. As the data path does it:
 *
 *   choose: the record's node, under leave -> connect -> count it in the gauge -> read the record, with a fresh clock: the
 *   same epoch and node, before writeUntil -> the first byte. Otherwise: uncount, choose again, park or refuse.
 *   What is parked goes out in order (the waiting room is that of the data path); what was sent is never sent again.
 *   at cutAt, or as soon as the record has a newer epoch: both connections are destroyed, no answer is passed on
 *
 * A tunnel is a write for its whole life. A thread may stall while control runs, and the other way round; the record and
 * the gauge know nothing of that.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { BoardWrite } from '../../../src/cluster/failover/contract.ts';
import { type ParkedWrite, WaitingRoom } from '../../../src/proxy/io/parking.ts';
import type { NodeAnswer } from './nodes.ts';
import type { DataHabits } from './plants.ts';
import { type Read, Reads, type ReadsWorld } from './reads.ts';

export interface Op {
  readonly id: number;
  readonly takes: Millis;
  /** Messages both ways until its end; what is said in it is no write that a node keeps. */
  readonly tunnel: boolean;
  readonly done: (end: End) => void;
}

export type End =
  | { readonly kind: 'answered'; readonly epoch: number; readonly position: number | null }
  | { readonly kind: 'failed'; readonly why: string }
  /** Nothing was sent. */
  | { readonly kind: 'refused'; readonly why: string };

/** comes -> (parked ->) goes, to connect -> over: sent, or refused. It may be parked again instead. */
export type Standing = 'comes' | 'parked' | 'goes' | 'over';

export interface Leave {
  readonly epoch: number;
  readonly node: string;
  /** Which machine the file meant by it. */
  readonly machine: object | null;
}

/** What comes back of one write. None of it may ever come. */
export interface Back {
  /** A connection is there, or was refused. */
  connected(ok: boolean): void;
  answer(answer: NodeAnswer): void;
  /** Of a tunnel. */
  message(): void;
}

export interface TrafficWorld extends ReadsWorld {
  readonly habits: DataHabits;
  /** Between counting a write and looking at the record: a thread may be put aside there. */
  gapMs(): Millis;
  machineOf(node: string): object | null;
  connect(op: Op, node: string, connected: (ok: boolean) => void): void;
  /** The first byte leaves. */
  send(op: Op, to: Leave, back: Omit<Back, 'connected'>): void;
  /** An answer, or a message, goes to a client. */
  passes(op: Op, epoch: number): void;
  /** How far it is on the way to its first byte. */
  stands(op: Op, how: Standing): void;
}

/** Waiting writes look again so often. */
export const pollMs: Millis = 5;
export const parkedMs: Millis = 15_000;
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
  /** Those of them that are counted, and have not looked yet whether they may: an ended leave sends none of them. */
  looking = 0;
  /** Highest position that was passed on, by epoch. */
  readonly #passed = new Map<number, number>();
  /** By node, of the present epoch: as health answers and answers to writes said. */
  readonly positions = new Map<string, number>();

  write(record: BoardWrite): void {
    // What was known of positions is of another epoch.
    if (record.epoch !== this.record.epoch) this.positions.clear();
    this.record = record;
    for (const node of this.positions.keys()) if (!record.readers.includes(node)) this.positions.delete(node);
    this.cuts.set(record.epoch, record.cutAt);
  }

  get passed(): number | null {
    return this.#passed.get(this.record.epoch) ?? null;
  }

  notePassed({ epoch, node }: Leave, position: number): void {
    this.#passed.set(epoch, Math.max(this.#passed.get(epoch) ?? 0, position));
    if (epoch === this.record.epoch) this.positions.set(node, Math.max(this.positions.get(node) ?? 0, position));
  }

  live(now: Millis): boolean {
    const { epoch, node, writeUntil } = this.record;
    return epoch > 0 && node !== null && now < writeUntil;
  }
}

interface Waiting extends ParkedWrite {
  readonly op: Op;
  readonly until: Millis;
  parked: boolean;
}

export class DataThread {
  readonly #shared: Shared;
  readonly #world: TrafficWorld;
  readonly #room = new WaitingRoom(() => this.#pollLater());
  /** From when it came until its first byte has left. */
  readonly #unsent = new Map<Op, Waiting>();
  readonly #sent = new Set<Sent>();
  readonly #reads: Reads;
  /** Of connections that are open and not read yet. */
  readonly #inbox: Op[] = [];
  /** What waits in its sockets while it stands still. */
  #waiting: (() => void)[] = [];
  #stalledAt: Millis | null = null;
  #stoodStill: Millis = 0;
  #alive = true;
  #polls = false;
  #order = 0;
  #parked = 0;
  #wheel: Millis = 0;
  /** Handed over by message, late: only a planted bug looks at it. */
  snapshot: { readonly epoch: number; readonly node: string | null } = { epoch: 0, node: null };

  constructor(shared: Shared, world: TrafficWorld) {
    this.#shared = shared;
    this.#world = world;
    this.#reads = new Reads(shared, world, (what) => this.#when(what));
    this.#wheel = world.now();
  }

  get isIdle(): boolean {
    return this.#sent.size === 0 && this.#unsent.size === 0 && this.#inbox.length === 0;
  }

  stall(worldNow: Millis): void {
    this.#stalledAt ??= worldNow;
  }

  /** World time for which it stood still since it began. */
  stoodStill(worldNow: Millis): Millis {
    return this.#stoodStill + (this.#stalledAt === null ? 0 : worldNow - this.#stalledAt);
  }

  go(worldNow: Millis): void {
    if (this.#stalledAt === null || !this.#alive) return;
    this.#stoodStill = this.stoodStill(worldNow);
    this.#stalledAt = null;
    // In the order of an event loop after a standstill: timers may come before sockets, or after.
    for (const what of this.#waiting.splice(0)) what();
    this.#poll();
  }

  /** The process is gone: clients see their connections break. */
  die(): void {
    this.#alive = false;
    for (const { op } of this.#sent) op.done({ kind: 'failed', why: 'the member died' });
    for (const op of [...this.#unsent.keys(), ...this.#inbox]) {
      this.#world.stands(op, 'over');
      op.done({ kind: 'refused', why: 'the member died' });
    }
    for (const sent of this.#sent) sent.over = true;
    this.#sent.clear();
    this.#unsent.clear();
    this.#inbox.length = 0;
    this.#reads.die();
  }

  #when(what: () => void): void {
    if (!this.#alive) return;
    if (this.#stalledAt !== null) this.#waiting.push(what);
    else what();
  }

  read(read: Read): void {
    this.#when(() => this.#reads.accept(read));
  }

  accept(op: Op): void {
    this.#inbox.push(op);
    this.#world.stands(op, 'comes');
    this.#when(() => this.#take());
  }

  #take(): void {
    for (const op of this.#inbox.splice(0)) {
      this.#come(op);
    }
  }

  #come(op: Op): void {
    this.#order += 1;
    const waiting: Waiting = {
      op,
      order: this.#order,
      until: this.#world.now() + parkedMs,
      parked: false,
      leaves: () => this.#leaves(waiting),
    };
    this.#unsent.set(op, waiting);
    this.#begin(waiting);
  }

  /** The clock, or what a wheel kept of it. */
  #now(): Millis {
    return this.#world.habits.freshClock ? this.#world.now() : this.#wheel;
  }

  #begin(waiting: Waiting): void {
    const leave = this.#choose(waiting);
    if (leave === 'refuse') this.#refuse(waiting, this.#shared.record.why);
    else if (leave === 'park') this.#park(waiting);
    else this.#connect(waiting, leave);
  }

  #choose(waiting: Waiting): Leave | 'park' | 'refuse' {
    const { record } = this.#shared;
    const { habits } = this.#world;
    const may = this.#shared.live(this.#now());
    if (!may && record.otherwise === 'refuse') return 'refuse';
    if (!may || (habits.keepsOrder && this.#room.holdsBack(waiting, slotOf(record.node!), this.#world.now())))
      return 'park';
    const node = habits.picksFromSnapshot && this.snapshot.node !== null ? this.snapshot.node : record.node!;
    return { epoch: record.epoch, node, machine: this.#world.machineOf(node) };
  }

  /** It is sent, or ends: true, unless it was so before. */
  #isOver(waiting: Waiting): boolean {
    this.#unpark(waiting);
    this.#room.removeWrite(waiting);
    if (!this.#unsent.delete(waiting.op)) return false;
    this.#world.stands(waiting.op, 'over');
    return true;
  }

  #refuse(waiting: Waiting, why: string): void {
    if (this.#isOver(waiting)) waiting.op.done({ kind: 'refused', why });
  }

  #park(waiting: Waiting): void {
    if (waiting.parked) return;
    if (this.#parked >= parkedMax) return this.#refuse(waiting, 'too many wait');
    const { why } = this.#shared.record;
    const told = why
      .replace(/^[a-z0-9]+ failed \d+ /, 'node failed n ')
      .replace(/^node [a-z0-9]+ (has|follows) .*/, 'a node knows better');
    this.#world.covered(`parked: ${told.replace(/epoch \d+/, 'epoch n')}`);
    waiting.parked = true;
    this.#parked += 1;
    this.#world.stands(waiting.op, 'parked');
    this.#room.addWrite(waiting);
  }

  #unpark(waiting: Waiting): void {
    if (!waiting.parked) return;
    waiting.parked = false;
    this.#parked -= 1;
    this.#room.removeWrite(waiting);
  }

  /** False: it goes on waiting. */
  #leaves(waiting: Waiting): boolean {
    const leave = this.#choose(waiting);
    if (leave === 'park') return false;
    if (leave === 'refuse') {
      this.#refuse(waiting, this.#shared.record.why);
      return true;
    }
    this.#unpark(waiting);
    this.#world.covered('parked: sent afterwards');
    this.#connect(waiting, leave);
    return true;
  }

  #connect(waiting: Waiting, leave: Leave): void {
    const { op } = waiting;
    this.#world.stands(op, 'goes');
    this.#room.goes(waiting);
    this.#pollLater();
    let tried = false;
    this.#world.connect(op, leave.node, (ok) =>
      this.#when(() => {
        if (tried || this.#unsent.get(op) !== waiting) return;
        tried = true;
        if (ok) return this.#mayBegin(waiting, leave);
        this.#world.covered('data: a connection was refused, nothing was sent');
        this.#room.refused(waiting, slotOf(leave.node), this.#world.now());
        this.#park(waiting);
      }),
    );
  }

  /** Counting comes before looking: whoever ends leave looks at the count after that. */
  #mayBegin(waiting: Waiting, leave: Leave): void {
    const { habits } = this.#world;
    const gap = this.#world.gapMs();
    const then = (what: () => void): void => (gap === 0 ? what() : this.#world.after(gap, () => this.#when(what)));
    if (!habits.addsFirst) return this.#stands(leave) ? then(() => this.#send(waiting, leave)) : this.#begin(waiting);
    this.#shared.writing += 1;
    this.#shared.looking += 1;
    then(() => {
      this.#shared.writing -= 1;
      this.#shared.looking -= 1;
      if (this.#unsent.get(waiting.op) !== waiting) return;
      if (this.#stands(leave) || !habits.looksAgain) this.#send(waiting, leave);
      else this.#begin(waiting);
    });
  }

  #stands({ epoch, node, machine }: Leave): boolean {
    const { record } = this.#shared;
    if (machine !== this.#world.machineOf(node)) return false;
    const same = record.epoch === epoch && (record.node === node || this.#world.habits.picksFromSnapshot);
    return same && this.#shared.live(this.#now());
  }

  #send(waiting: Waiting, leave: Leave): void {
    if (!this.#isOver(waiting)) return;
    const { op } = waiting;
    const sent: Sent = { op, epoch: leave.epoch, over: false };
    this.#sent.add(sent);
    if (this.#counts(op)) this.#shared.writing += 1;
    this.#pollLater();
    this.#room.sent();
    this.#world.send(op, leave, {
      answer: (answer) => this.#when(() => this.#answered(sent, leave, answer)),
      message: () => this.#when(() => this.#message(sent)),
    });
  }

  #counts({ tunnel }: Op): boolean {
    return !tunnel || this.#world.habits.countsTunnels;
  }

  #message(sent: Sent): void {
    if (sent.over) return;
    if (this.#isCut(sent)) return this.#cut(sent);
    this.#world.passes(sent.op, sent.epoch);
  }

  #answered(sent: Sent, leave: Leave, answer: NodeAnswer): void {
    if (sent.over) return;
    // Before bytes are passed on: a thread that stood still wakes in a socket callback.
    if (this.#isCut(sent)) return this.#cut(sent);
    this.#end(sent);
    if (!answer.ok) return this.#broke(sent, answer.why);
    // Noted before it is passed on: a fence asks for the highest that clients know of.
    if (answer.position !== null) this.#shared.notePassed(leave, answer.position);
    this.#world.passes(sent.op, sent.epoch);
    sent.op.done({ kind: 'answered', epoch: sent.epoch, position: answer.position });
  }

  #isCut({ epoch, op }: Sent): boolean {
    const { habits } = this.#world;
    if (!habits.cutsAnswers || !this.#counts(op)) return false;
    const { record, cuts } = this.#shared;
    return record.epoch > epoch || (habits.cutsByTime && this.#world.now() >= (cuts.get(epoch) ?? 0));
  }

  #cut(sent: Sent): void {
    this.#end(sent);
    this.#world.covered(`data: a ${sent.op.tunnel ? 'tunnel' : 'write'} was cut`);
    this.#broke(sent, 'cut');
  }

  #broke({ op }: Sent, why: string): void {
    if (!this.#world.habits.repeatsBroken || op.tunnel) return op.done({ kind: 'failed', why });
    this.#come(op);
  }

  #end(sent: Sent): void {
    sent.over = true;
    this.#sent.delete(sent);
    if (this.#counts(sent.op)) this.#shared.writing -= 1;
  }

  #pollLater(): void {
    if (this.#polls || !this.#alive) return;
    this.#polls = true;
    this.#world.after(pollMs, () => {
      this.#polls = false;
      if (!this.#alive) return;
      if (this.#stalledAt === null) this.#poll();
      if (!this.isIdle) this.#pollLater();
    });
  }

  #poll(): void {
    this.#wheel = this.#world.now();
    for (const sent of [...this.#sent]) if (this.#isCut(sent)) this.#cut(sent);
    this.#room.look();
    if (this.#world.habits.boundsWaits)
      for (const waiting of this.#unsent.values())
        if (waiting.parked && this.#wheel >= waiting.until) this.#refuse(waiting, 'waited too long');
    if (!this.isIdle) this.#pollLater();
  }
}

/** The waiting room knows nodes by a number. */
const slotOf = (node: string): number => [...node].reduce((sum, char) => sum * 31 + char.charCodeAt(0), 0) % 65_521;
