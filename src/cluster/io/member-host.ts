/**
 * Runs a member over sockets, disk and clock: the loop of member/contract.ts.
 *
 *   journal opened (boot raised, on disk) -> socket bound -> member made -> inputs, each followed by a take in the same
 *   turn of the event loop; what comes together shares one. One timer in all.
 *
 * It ends for good in two ways: `close`, or `onStop` (the machine must not go on, or the disk failed): then nothing of
 * it leaves any more, and the process should end with the reason.
 */
import { createHmac, randomInt } from 'node:crypto';
import type { MemberId, Millis } from '../../base/ids.ts';
import { seededRandom } from '../../base/random.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type {
  Call,
  CallError,
  CallValue,
  Effect,
  MemberInput,
  MemberOutput,
  MemberRestored,
  MemberStatus,
} from '../member/contract.ts';
import { readCluster } from '../member/disk-codec.ts';
import { Member } from '../member/member.ts';
import { bootOf } from '../member/rules.ts';
import { Hub } from '../replica/hub.ts';
import type { Replica } from '../replica/replica.ts';
import type { Metadata } from '../swim/model.ts';
import { type Clocks, realClocks, SuspendDetector } from './clocks.ts';
import { Journal } from './journal.ts';
import type { Restored } from './journal-model.ts';
import type { HostMeasures, MemberHostOptions } from './member-options.ts';
import { MemberStreams, swimRequest } from './member-streams.ts';
import { type MemberTransport, noTransport } from './no-transport.ts';
import { markOldCopy, oldCopyMark } from './stop-mark.ts';
import { openTransport } from './transport.ts';

export type CallResult = Result<CallValue, CallError>;

/** Words between members; gossip's streams are requests. */
const wordKind = 1;
/** Lateness of the timer from which on it counts against the own health. */
const lateMs: Millis = 500;

/** What ends leave to write takes effect before anything leaves. */
const endsLeave = ({ kind }: Effect): boolean => kind === 'moving' || kind === 'void-leases';

/** Only who has this folder, or a copy of it, can say them. */
const withProofs = (restored: Restored): MemberRestored => ({
  ...restored,
  proofOf: (both) => createHmac('sha256', restored.secret).update(`run ${both}`).digest('hex').slice(0, 32),
});

export class MemberHost {
  readonly hub: Hub;
  /** Where it listens; empty without a socket. */
  readonly address: string;
  readonly #options: MemberHostOptions;
  readonly #clocks: Clocks;
  readonly #suspends: SuspendDetector;
  readonly #journal: Journal;
  readonly #transport: MemberTransport;
  readonly #member: Member;
  readonly #streams: MemberStreams;
  readonly #calls = new Map<number, (result: CallResult) => void>();
  #call = 0;
  #state: 'open' | 'closed' | 'stopped' = 'open';
  #timer: NodeJS.Timeout | null = null;
  #wakeAt: Millis = Number.POSITIVE_INFINITY;
  #taking = false;
  /** It has told the others that it goes, or has ended. */
  readonly #departed = Promise.withResolvers<void>();
  /** Longest lateness of the timer so far. */
  #slowestTurnMs: Millis = 0;

  private constructor(
    options: MemberHostOptions,
    parts: { journal: Journal; transport: MemberTransport; clocks: Clocks },
  ) {
    this.#options = options;
    this.#clocks = parts.clocks;
    this.#journal = parts.journal;
    this.#transport = parts.transport;
    this.address = parts.transport.address;
    this.hub = new Hub(options.watchersMax);
    this.#suspends = new SuspendDetector(parts.clocks);
    this.#streams = new MemberStreams(parts.transport, (input) => this.#step(input));
    this.#member = new Member(
      {
        ...options,
        random: seededRandom(randomInt(2 ** 32)),
        now: parts.clocks.now(),
        wall: parts.clocks.wall(),
      },
      withProofs(parts.journal.restored),
    );
    this.#take();
  }

  /** The error says what to do. */
  static async open(options: MemberHostOptions): Promise<Result<MemberHost, string>> {
    let host: MemberHost | null = null;
    let fault: string | null = null;
    const step = (input: MemberInput): void => {
      if (host !== null) host.#step(input);
    };
    const mark = oldCopyMark(options.path);
    if (mark !== null) return err(mark);
    const opened = await Journal.open({
      path: options.path,
      onDurable: (ticket) => step({ kind: 'persisted', ticket }),
      onFatal: (error) => {
        fault = error.message;
        if (host !== null) host.#stop(fault);
      },
    });
    if (!opened.ok) return err(opened.error.message);
    const journal = opened.value;
    const clocks = options.clocks ?? realClocks;
    const transport = await MemberHost.#transportOf(options, journal.restored, {
      step,
      asked: (bytes) => (host === null ? null : host.#streams.asked(bytes)),
    });
    if (!transport.ok) {
      await journal.close();
      return err(transport.error);
    }
    if (fault !== null) {
      await transport.value.close();
      return err(fault);
    }
    host = new MemberHost(options, { journal, transport: transport.value, clocks });
    const others = options.listen === null ? host.#others() : null;
    if (others === null) return ok(host);
    await host.close();
    return err(others);
  }

  static #transportOf(
    options: MemberHostOptions,
    { uid, boot, boots, facts }: Restored,
    to: {
      readonly step: (input: MemberInput) => void;
      readonly asked: (bytes: Uint8Array) => Promise<Uint8Array> | null;
    },
  ): Promise<Result<MemberTransport, string>> {
    const { listen, clocks = realClocks } = options;
    const { step } = to;
    if (listen === null) {
      const alone = options.cluster === null;
      return Promise.resolve(alone ? ok(noTransport()) : err('a member of a cluster of several needs an address'));
    }
    return openTransport({
      listen,
      keys: options.keys,
      self: { id: uid, boot },
      cluster: (facts.cluster && readCluster(facts.cluster)?.id) ?? '',
      boots: new Map([...boots].map(([id, { both }]) => [id, bootOf(both)])),
      now: clocks.now,
      ...(options.limitsOfTransport && { limits: options.limitsOfTransport }),
      onDatagram: (from, bytes) => step({ kind: 'datagram', from: from.remote, bytes }),
      onMessage: (from, kind, bytes) => {
        if (kind === wordKind) step({ kind: 'message', from: { id: from.id, boot: from.boot }, bytes });
      },
      onRequest: (_from, kind, bytes) => {
        const answer = kind === swimRequest ? to.asked(bytes) : null;
        if (answer === null) throw new Error('not answered here');
        return answer;
      },
      onForeign: (peer) => step({ kind: 'foreign', from: peer.remote }),
      onProblem: (line) => options.onProblem?.(line),
    });
  }

  /** Why a member without a socket can't run on this folder. */
  #others(): string | null {
    const { uid, raft } = this.#member.status();
    if (raft === null || (raft.config.voters.length === 1 && raft.config.voters[0] === uid)) return null;
    return `data folder ${this.#options.path} is of a member of a cluster of several: give this process its \`cluster:\` back, or another dataDir; if the others are lost for good, \`evenkeel cluster recover\``;
  }

  /** The agreed state as this member has it now. Another object after a snapshot was installed. */
  get replica(): Replica {
    return this.#member.replica;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get slowestTurnMs(): Millis {
    return this.#slowestTurnMs;
  }

  now(): Millis {
    return this.#clocks.now();
  }

  status(): MemberStatus {
    return this.#member.status(this.#clocks.now());
  }

  /** Other keys, the sealing one first; at least one, unless it was opened without. */
  useKeys(secrets: readonly Uint8Array[]): void {
    if (this.#state === 'open') this.#transport.useKeys(secrets);
  }

  /** What the others are told of this member from now on. */
  describe(metadata: Metadata): void {
    this.#step({ kind: 'metadata', metadata });
  }

  /** What was counted since the start, and which keys are in use. */
  measures(): HostMeasures {
    const { keyIds, counts } = this.#transport;
    const traffic = this.#transport.traffic();
    return { keyIds, traffic, slowestTurnMs: this.#slowestTurnMs, net: counts, journal: this.#journal.stats };
  }

  /** Leader: from when on nobody writes under a lease of this pool given until now, on this clock. */
  writesOverAt(pool: string, unconfirmed?: readonly MemberId[]): Millis | null {
    return this.#member.writesOverAt(pool, unconfirmed);
  }

  /** The epoch in which writes may go as far as this member has accepted the log; null: in none. */
  openEpoch(pool: string): number | null {
    return this.#member.openEpoch(pool);
  }

  /** Whether leadership may move to a member with a higher priority now. */
  mayMove(allowed: boolean): void {
    this.#step({ kind: 'mayMove', allowed });
  }

  /** To that member's `onTold`: at most 32 KiB, said once; it may be lost. */
  tell(to: MemberId, channel: number, bytes: Uint8Array): void {
    this.#step({ kind: 'tell', to, channel, bytes });
  }

  call(call: Call): Promise<CallResult> {
    if (this.#state !== 'open') return Promise.resolve(err({ kind: 'closed' }));
    this.#call += 1;
    const id = this.#call;
    return new Promise((resolve) => {
      this.#calls.set(id, resolve);
      this.#step({ kind: 'call', id, call });
    });
  }

  #step(input: MemberInput): void {
    if (this.#state !== 'open') return;
    const now = this.#clocks.now();
    const slept = this.#suspends.slept(now);
    if (slept > 0) this.#member.step(now, { kind: 'stalled', ms: slept });
    this.#member.step(now, input);
    if (this.#taking) return;
    this.#taking = true;
    // Behind all sockets that are ready in this turn: their inputs share one write to the disk and one message to each peer.
    setImmediate(() => this.#take());
  }

  #take(): void {
    this.#taking = false;
    if (this.#state !== 'open') return;
    const out = this.#member.take();
    for (const effect of out.effects) if (endsLeave(effect)) this.#effect(effect);
    for (const job of out.persist) this.#journal.write(job);
    for (const news of out.applied) {
      if (news.kind === 'events') this.hub.tell(news.events);
      else this.hub.replaced(this.#member.replica);
    }
    for (const told of out.told) this.#options.onTold?.(told);
    this.#send(out);
    for (const { id, answer } of out.answers) {
      this.#calls.get(id)?.(answer);
      this.#calls.delete(id);
    }
    for (const event of out.events) this.#options.onEvent?.(event);
    for (const effect of out.effects) if (!endsLeave(effect)) this.#effect(effect);
    this.#arm();
  }

  #send({ datagrams, messages, open, replies }: MemberOutput): void {
    for (const { to, bytes } of datagrams) this.#transport.datagram(to, bytes);
    for (const { to, bytes } of messages) this.#transport.send(to, wordKind, bytes);
    for (const one of open) this.#streams.open(one);
    this.#streams.answered(replies);
  }

  #effect(effect: Effect): void {
    switch (effect.kind) {
      case 'cluster':
        return this.#transport.useCluster(effect.id);
      case 'stop':
        if (effect.reason === 'amnesia') this.#markOldCopy(effect.why);
        return this.#stop(effect.why);
      case 'void-leases':
        return this.#options.onVoidLeases?.(effect.why);
      case 'moving':
        return this.#options.onMoving?.(effect.pool);
      case 'departed':
        return this.#departed.resolve();
    }
  }

  #arm(): void {
    if (this.#state !== 'open') return;
    const at = this.#member.wakeAt();
    if (at === this.#wakeAt && this.#timer !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#wakeAt = at;
    this.#timer = null;
    if (at === Number.POSITIVE_INFINITY) return;
    const delay = Math.min(Math.max(0, Math.ceil(at - this.#clocks.now())), 60_000);
    this.#timer = setTimeout(() => this.#tick(), delay);
  }

  #tick(): void {
    this.#timer = null;
    const late = this.#clocks.now() - this.#wakeAt;
    this.#slowestTurnMs = Math.max(this.#slowestTurnMs, late);
    if (late > lateMs) this.#step({ kind: 'late', ms: late });
    this.#step({ kind: 'tick' });
  }

  #markOldCopy(why: string): void {
    try {
      markOldCopy(this.#options.path, why);
    } catch (error) {
      const { message } = error as Error;
      this.#options.onProblem?.(
        `${this.#options.path} can't be marked as an old copy: ${message}; don't start it again`,
      );
    }
  }

  /** Ends it where it stands; the disk keeps what it has. */
  #stop(why: string): void {
    if (this.#state !== 'open') return;
    this.#end('stopped');
    void this.#transport.close();
    void this.#journal.close();
    this.#options.onStop(why);
  }

  #end(state: 'closed' | 'stopped'): void {
    this.#state = state;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#streams.close();
    for (const resolve of this.#calls.values()) resolve(err({ kind: 'closed' }));
    this.#calls.clear();
    this.hub.close();
    this.#departed.resolve();
  }

  /** Hands leadership on and tells the others; `forGood`: out of the voters first. Then `close`. */
  async leave(forGood = false): Promise<CallResult> {
    const result = await this.call({ kind: 'leave', forGood });
    if (result.ok) await this.#departed.promise;
    return result;
  }

  /** At once: the others notice by themselves. Calls are answered as closed. */
  async close(): Promise<void> {
    if (this.#state === 'open') this.#end('closed');
    await this.#transport.close();
    await this.#journal.close();
  }
}
