/**
 * A host: a machine with a clock, a disk and, most of the time, a member's process on it. It drives the process as the
 * real driver does (see the head of member/contract.ts), and knows nothing of what the members agree on.
 *
 * A process may be paused (its clock goes on, what comes waits in its sockets), its machine suspended (the clock stands
 * still too, and the driver says so afterwards), it may crash, end by itself, and start again with what the disk kept.
 */
import type { MemberId, Millis } from '../../src/base/ids.ts';
import type { Random } from '../../src/base/random.ts';
import type {
  Call,
  CallAnswer,
  DiskEntry,
  Effect,
  MemberInput,
  MemberOutput,
  MemberPersist,
  MemberRestored,
} from '../../src/cluster/member/contract.ts';
import { hashBytes, hashText } from '../../src/cluster/replica/fingerprint.ts';
import type { Body } from './body.ts';
import type { MemberClock } from './clock.ts';
import { Disk } from './disk.ts';
import type { Address, Net } from './net.ts';
import type { Habits } from './plants.ts';
import type { Queue } from './queue.ts';

/** Datagrams that fit into a waiting process' socket, and messages into its connections' buffers. */
const socketDatagrams = 200;
const waitingMax = 4000;

/** Together they are seen from here on, see io/clocks.ts. */
const seenFromMs: Millis = 40;

export interface HostWorld {
  readonly queue: Queue;
  readonly net: Net;
  readonly random: Random;
  readonly habits: Habits;
  hostAt(address: Address): Host | undefined;
  /** A call of its process was answered. */
  answered(host: Host, call: Call, about: { readonly askedAt: Millis; readonly answer: CallAnswer['answer'] }): void;
  /** After each step of its process. */
  stepped(host: Host, out: MemberOutput): void;
  /** Its process ended by itself. */
  ended(host: Host, why: string): void;
  noted(what: string): void;
}

export const emptyDisk = (uid: MemberId): MemberRestored => ({
  uid,
  boot: 0,
  hard: null,
  snapshot: null,
  entries: [],
  facts: {},
  boots: new Map(),
  proofOf: (both) => proofOf(`${uid} ${both}`),
});

function proofOf(run: string): string {
  const bytes = new TextEncoder().encode(run);
  return hashText(hashBytes(bytes, 1)) + hashText(hashBytes(bytes, 2));
}

/** What the disk holds after this transaction. */
export function written(disk: MemberRestored, write: MemberPersist): MemberRestored {
  const { truncateFrom, compactTo, snapshot } = write;
  let entries: readonly DiskEntry[] = disk.entries;
  if (truncateFrom !== null) entries = entries.filter(({ index }) => index < truncateFrom);
  if (compactTo !== null) entries = entries.filter(({ index }) => index > compactTo);
  if (snapshot !== null && (entries.at(-1)?.index ?? 0) < snapshot.index) entries = [];
  if (write.entries.length > 0) entries = [...entries, ...write.entries];
  const boots = write.boots.length === 0 ? disk.boots : raised(disk.boots, write.boots);
  return {
    ...disk,
    hard: write.hard ?? disk.hard,
    snapshot: snapshot ?? disk.snapshot,
    entries,
    facts: { ...disk.facts, ...write.facts },
    boots,
  };
}

function raised(known: MemberRestored['boots'], heard: MemberPersist['boots']): MemberRestored['boots'] {
  const boots = new Map(known);
  for (const [id, run] of heard) if (run.both > (boots.get(id)?.both ?? 0)) boots.set(id, run);
  return boots;
}

export class Host {
  readonly name: string;
  readonly address: Address;
  readonly clock: MemberClock;
  readonly disk: Disk<MemberRestored, MemberPersist>;
  body: Body | null = null;
  /** What the process believes to be on its disk: all that it has asked to be written. */
  mirror: MemberRestored;
  /** Grows with each start and each end; what was meant for an earlier run does not reach a later one. */
  run = 0;
  /** The process ended by itself, and says why; somebody must look. */
  stopped: string | null = null;
  #pause: 'none' | 'paused' | 'suspended' = 'none';
  #pausedAt: Millis = 0;
  #downAt: Millis = 0;
  /** World time when it was started, or went on. */
  wokeAt: Millis = 0;
  /** Sleeps that nobody has seen yet. */
  #unseen: Millis = 0;
  #waiting: MemberInput[] = [];
  #wake = 0;
  #lastCall = 0;
  readonly #calls = new Map<number, (answer: CallAnswer['answer']) => void>();
  /** Streams that others opened here: the way back. */
  readonly #inbound = new Map<number, (bytes: Uint8Array) => void>();
  readonly #world: HostWorld;

  constructor(
    at: { readonly name: string; readonly address: Address; uid: MemberId; clock: MemberClock },
    world: HostWorld,
  ) {
    this.name = at.name;
    this.address = at.address;
    this.clock = at.clock;
    this.#world = world;
    this.disk = new Disk<MemberRestored, MemberPersist>(emptyDisk(at.uid), written, world);
    this.disk.noted = (what) => world.noted(what);
    this.mirror = this.disk.state;
  }

  get uid(): MemberId {
    return this.disk.state.uid;
  }

  get boot(): number {
    return this.mirror.boot;
  }

  /** Whether its process runs and is not standing still. */
  get awake(): boolean {
    return this.body !== null && this.#pause === 'none';
  }

  /** World time since which its process is not there, or stands still; Infinity: it is awake. */
  get awaySince(): Millis {
    if (this.body === null) return this.#downAt;
    return this.#pause === 'none' ? Number.POSITIVE_INFINITY : this.#pausedAt;
  }

  get pause(): 'none' | 'paused' | 'suspended' {
    return this.#pause;
  }

  now(): Millis {
    return this.clock.read(this.#world.queue.now);
  }

  /** Raises the boot number, and gives the body what the disk kept. */
  start(make: (restored: MemberRestored) => Body): void {
    if (this.body !== null) return;
    const { state } = this.disk;
    this.disk.state = { ...state, boot: state.boot + (this.#world.habits.raisesBoot || state.boot === 0 ? 1 : 0) };
    this.mirror = this.disk.state;
    this.run += 1;
    this.stopped = null;
    this.#unseen = 0;
    this.wokeAt = this.#world.queue.now;
    this.#pause = 'none';
    this.body = make(this.mirror);
    this.#finish();
  }

  crash(): void {
    if (this.body === null) return;
    this.body = null;
    this.#downAt = this.#world.queue.now;
    this.run += 1;
    this.#wake += 1;
    this.#waiting = [];
    this.#inbound.clear();
    this.#calls.clear();
    this.disk.crash();
    if (!this.#world.habits.keepsWhatItSynced) this.disk.forget();
    if (this.#pause === 'suspended') this.clock.go(this.#world.queue.now);
    this.#pause = 'none';
  }

  pauseNow(how: 'paused' | 'suspended'): void {
    if (this.#pause !== 'none' || this.body === null) return;
    this.#pause = how;
    this.#pausedAt = this.#world.queue.now;
    if (how === 'suspended') this.clock.stop(this.#world.queue.now);
  }

  /** Timers come first, as in an event loop; then what waited in the sockets. */
  resume(): void {
    if (this.#pause === 'none') return;
    const ms = this.#world.queue.now - this.#pausedAt;
    const slept = this.#pause === 'suspended';
    this.#pause = 'none';
    this.wokeAt = this.#world.queue.now;
    if (slept) this.clock.go(this.#world.queue.now);
    if (slept) this.#unseen += ms;
    if (slept && this.#unseen >= seenFromMs && this.#world.habits.seesSleep) {
      this.give({ kind: 'stalled', ms: this.#unseen });
      this.#unseen = 0;
    } else if (!slept && ms > 500) this.give({ kind: 'late', ms });
    this.give({ kind: 'tick' });
    for (const input of this.#waiting.splice(0)) this.give(input);
  }

  give(input: MemberInput): void {
    if (this.body === null) return;
    if (this.#pause !== 'none') return this.#wait(input);
    this.body.step(this.now(), input);
    this.#finish();
  }

  /** `done` is told at once when the answer is there; never, if the process dies before. */
  call(call: Call, done: (answer: CallAnswer['answer']) => void): void {
    this.#lastCall += 1;
    const askedAt = this.#world.queue.now;
    this.#calls.set(this.#lastCall, (answer) => {
      this.#world.answered(this, call, { askedAt, answer });
      done(answer);
    });
    this.give({ kind: 'call', id: this.#lastCall, call });
  }

  #wait(input: MemberInput): void {
    if (input.kind === 'tick' || this.#waiting.length >= waitingMax) return;
    if (input.kind === 'datagram' && this.#waiting.length >= socketDatagrams) return;
    this.#waiting.push(input);
  }

  #finish(): void {
    const out = this.body!.take();
    for (const write of out.persist) this.#write(write);
    this.#send(out);
    this.#world.stepped(this, out);
    for (const { id, answer } of out.answers) {
      const done = this.#calls.get(id);
      this.#calls.delete(id);
      done?.(answer);
    }
    for (const effect of out.effects) this.#effect(effect);
    this.#arm();
  }

  #effect(effect: Effect): void {
    if (effect.kind !== 'stop' && effect.kind !== 'departed') return;
    const why = effect.kind === 'stop' ? `${effect.reason}: ${effect.why}` : 'departed';
    this.#end(why);
  }

  #end(why: string): void {
    if (this.body === null) return;
    this.crash();
    this.stopped = why;
    this.#world.ended(this, why);
  }

  #write(write: MemberPersist): void {
    this.mirror = written(this.mirror, write);
    const { run } = this;
    const early = this.#world.habits.reportsBeforeSync;
    if (early)
      this.#world.queue.after(0, () => this.run === run && this.give({ kind: 'persisted', ticket: write.ticket }));
    this.disk.write(write, (ok) => {
      if (this.run !== run || early) return;
      if (ok) this.give({ kind: 'persisted', ticket: write.ticket });
      else this.#end('disk: a commit failed');
    });
  }

  #send(out: MemberOutput): void {
    const { net } = this.#world;
    const peer = { id: this.uid, boot: this.boot };
    for (const { to, bytes } of out.datagrams)
      net.datagram(this.address, to, () => this.#other(to)?.give({ kind: 'datagram', from: this.address, bytes }));
    for (const { to, bytes } of out.messages)
      net.kept(this.address, to, () => this.#other(to)?.give({ kind: 'message', from: peer, bytes }));
    for (const open of out.open) this.#open(open);
    for (const { stream, bytes } of out.replies) {
      this.#inbound.get(stream)?.(bytes);
      this.#inbound.delete(stream);
    }
  }

  #open({ stream, to, bytes, timeoutMs }: MemberOutput['open'][number]): void {
    const { run } = this;
    const mine = (input: MemberInput): void => {
      if (this.run === run) this.give(input);
    };
    this.#world.net.stream(this.address, to, {
      timeoutMs,
      failed: () => mine({ kind: 'failed', stream }),
      ask: (answer) =>
        this.#other(to)?.ask(bytes, (reply) => answer(() => mine({ kind: 'answer', stream, bytes: reply }))),
    });
  }

  /** Somebody opened a stream here. */
  ask(bytes: Uint8Array, answer: (bytes: Uint8Array) => void): void {
    this.#lastCall += 1;
    this.#inbound.set(this.#lastCall, answer);
    this.give({ kind: 'request', stream: this.#lastCall, bytes });
  }

  #other(address: Address): Host | undefined {
    return this.#world.hostAt(address);
  }

  #arm(): void {
    if (this.body === null) return;
    this.#wake += 1;
    const wake = this.#wake;
    const at = this.clock.worldAt(this.body.wakeAt());
    if (at === Number.POSITIVE_INFINITY) return;
    // A timer is never early, and always a little late.
    this.#world.queue.at(at + 0.01, () => {
      if (this.#wake === wake) this.give({ kind: 'tick' });
    });
  }
}
