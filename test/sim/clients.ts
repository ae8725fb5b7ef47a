/**
 * Clients of the agreed state: each does one thing at a time, through a member of its choice, and writes down when it
 * asked, when it was answered and what with. What is not answered in time has an unknown outcome, and the client goes on
 * as another one.
 *
 * Key operations and lock operations become two histories for the linearizability checker. What a lock's holder may rely
 * on is also judged directly: from the answer until its time runs out on the slowest clock, nobody else is a holder.
 */
import type { Millis } from '../../src/base/ids.ts';
import type { Random } from '../../src/base/random.ts';
import type { CallAnswer, CallError } from '../../src/cluster/member/contract.ts';
import type { Command, CommandResult } from '../../src/cluster/replica/command.ts';
import type { Species } from './body.ts';
import { Breach } from './breach.ts';
import type { Host } from './host.ts';
import { check, describeVerdict } from './linearizability/checker.ts';
import { HistoryRecorder } from './linearizability/history.ts';
import { type KvInput, type KvOutput, kvModel } from './linearizability/kv-model.ts';
import { type LockInput, type LockOutput, lockModel } from './linearizability/lock-model.ts';
import { oneOf, type Queue } from './queue.ts';

export interface ClientWorld {
  readonly queue: Queue;
  readonly random: Random;
  readonly hosts: readonly Host[];
  readonly species: Species;
  /** Only reads are wanted now. */
  isQuiet(): boolean;
  covered(what: string): void;
  /** A write was answered as committed. */
  acknowledged(ticket: string, index: number, result: CommandResult): void;
}

export interface ClientOptions {
  readonly clients: number;
  /** Mean pause between two operations of a client. */
  readonly thinkMs: Millis;
  readonly keys: number;
  readonly locks: number;
  /** Share of writes that are strong; 0.2. */
  readonly strong?: number;
  /** Share of operations on keys that are reads under a lease, 0.08, and current reads, 0.32. */
  readonly leased?: number;
  readonly reads?: number;
}

const answerMs: Millis = 6000;
const utf8 = new TextEncoder();
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
/** Leaders' clocks and the client's may run apart by so much. */
const drift = 0.97;

interface Holding {
  readonly lock: string;
  readonly token: number;
  /** The client's name then. */
  readonly owner: string;
  readonly client: Client;
  /** World time until which the holder may rely on it. */
  until: Millis;
}

class Client {
  readonly number: number;
  generation = 0;
  holding: Holding | null = null;
  /** Newest revision that it saw of each key. */
  readonly seen = new Map<string, { readonly value: string | null; readonly revision: number | null }>();

  constructor(number: number) {
    this.number = number;
  }

  get name(): string {
    return `c${this.number}.${this.generation}`;
  }
}

type Answered = CallAnswer['answer'];

export class Clients {
  readonly counts = { asked: 0, answered: 0, unknown: 0, refused: 0 };
  readonly kv = new HistoryRecorder<KvInput, KvOutput>();
  readonly locks = new HistoryRecorder<LockInput, LockOutput>();
  #stopped = false;
  #value = 0;
  readonly #world: ClientWorld;
  readonly #options: ClientOptions;
  readonly #holdings = new Map<string, Holding>();
  readonly #leaps: { readonly at: Millis; readonly ahead: Millis }[] = [];
  /** Locks that were asked for, with no answer yet: each tells that it may be lost. */
  readonly #unanswered = new Set<() => void>();
  /** Index of the newest strong write that was answered. */
  strong = 0;
  /** Index of the newest state that a client has seen: its write's, or that of its current read. */
  #seen = 0;

  constructor(world: ClientWorld, options: ClientOptions) {
    this.#world = world;
    this.#options = options;
    for (let i = 0; i < options.clients; i++) this.#next(new Client(i + 1));
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Locks that were asked for before now may be lost so much earlier: the agreed time may leap by that. */
  timeLeapt(ahead: Millis): void {
    if (ahead === 0) return;
    this.#leaps.push({ at: this.#world.queue.now, ahead });
    for (const holding of this.#holdings.values()) {
      holding.until = this.#endOf(holding.until - ahead);
      this.#watch(holding);
    }
    for (const lose of [...this.#unanswered]) lose();
  }

  #endOf(until: Millis): Millis {
    return Math.max(until, this.#world.queue.now);
  }

  /** Until when a lock counts that was asked for then. */
  #untilOf(askedAt: Millis, ttlMs: Millis): Millis {
    const leapt = this.#leaps.reduce((sum, { at, ahead }) => (at >= askedAt ? sum + ahead : sum), 0);
    return askedAt + ttlMs * drift - leapt;
  }

  /** Throws if what the clients saw could not have come from one state. */
  checkHistories(): void {
    const kv = check(kvModel, this.kv.operations(), 300_000);
    if (kv.kind === 'violation') throw new Breach('linearizable keys', describeVerdict(kv));
    const locks = check(lockModel({ patient: false }), this.locks.operations(), 300_000);
    if (locks.kind === 'violation') throw new Breach('linearizable locks', describeVerdict(locks));
    this.#world.covered(kv.kind === 'undecided' ? 'history: keys undecided' : 'history: keys checked');
    this.#world.covered(locks.kind === 'undecided' ? 'history: locks undecided' : 'history: locks checked');
  }

  #next(client: Client): void {
    const { queue, random } = this.#world;
    queue.after(this.#options.thinkMs * 2 * random.next(), () => {
      if (this.#stopped) return;
      const host = oneOf(
        random,
        this.#world.hosts.filter(({ body }) => body !== null),
      );
      if (host === undefined) return this.#next(client);
      this.counts.asked += 1;
      if (random.next() < 0.75 || this.#world.isQuiet()) this.#onKey(client, host);
      else this.#onLock(client, host);
    });
  }

  #onKey(client: Client, host: Host): void {
    const { random } = this.#world;
    const key = `k${random.below(this.#options.keys)}`;
    const { leased = 0.08, reads = 0.32 } = this.#options;
    const dice = random.next();
    if (dice < leased) return this.#leased(client, host);
    if (dice < leased + reads || this.#world.isQuiet()) return this.#read(client, host, key);
    const kind = (dice - leased - reads) / (1 - leased - reads);
    this.#value += 1;
    const value = `v${this.#value}`;
    const seen = client.seen.get(key);
    if (kind < 0.42 || seen === undefined) return this.#write(client, host, { do: 'set', key, value });
    if (kind < 0.58) return this.#write(client, host, { do: 'delete', key });
    if (kind < 0.83 || seen.revision === null)
      return this.#write(client, host, { do: 'cas', key, from: seen.value, to: value });
    this.#write(client, host, { do: 'cas-revision', key, at: seen.revision, to: value });
  }

  #read(client: Client, host: Host, key: string): void {
    const call = this.kv.invoke(client.name, { do: 'get', key });
    const needed = this.#seen;
    this.#ask(client, host, { kind: 'read', need: 'current' }, (answer) => {
      if (!answer?.ok) return answer === null ? this.#lost(client) : this.#refused(this.kv, call, answer.error);
      this.#isCurrent(host, needed);
      const entry = host.body!.replica.kv.get(key);
      this.#world.covered('answer: read');
      client.seen.set(key, { value: entry === null ? null : textOf(entry.value), revision: entry?.revision ?? null });
      if (entry === null) this.kv.answered(call, { is: 'absent' });
      else this.kv.answered(call, { is: 'value', value: textOf(entry.value), revision: entry.revision });
    });
  }

  /** A current read sees what anybody had seen before it was asked for: not of its key alone, of the whole state. */
  #isCurrent(host: Host, needed: number): void {
    const { index } = host.body!.replica;
    if (index < needed)
      throw new Breach('current reads', `${host.name} reads at ${index}, a client saw ${needed} before`);
    this.#seen = Math.max(this.#seen, index);
  }

  /** Sees every strong write that was answered before it was asked for. */
  #leased(client: Client, host: Host): void {
    const [needed, seen] = [this.strong, this.#seen];
    this.#ask(client, host, { kind: 'read', need: 'leased' }, (answer) => {
      if (!answer?.ok) return;
      this.#world.covered('answer: leased read');
      if (answer.value.kind === 'fresh' && answer.value.freshness.kind === 'current') this.#isCurrent(host, seen);
      const { index } = host.body!.replica;
      if (index < needed)
        throw new Breach(
          'strong writes',
          `${host.name} reads at ${index}, a strong write at ${needed} was answered before`,
        );
    });
  }

  #write(client: Client, host: Host, input: Exclude<KvInput, { do: 'get' }>): void {
    const call = this.kv.invoke(client.name, input);
    this.#propose(client, host, commandOf(input), (answer, result) => {
      if (!answer?.ok) {
        if (answer === null) return this.#lost(client);
        if (answer.error.kind !== 'conflict') return this.#refused(this.kv, call, answer.error);
        client.seen.delete(input.key);
        return this.kv.answered(call, { is: 'conflict', revision: answer.error.revision });
      }
      const revision = result.kind === 'written' || result.kind === 'deleted' ? result.revision : null;
      this.kv.answered(call, revision === null ? { is: 'absent' } : { is: 'written', revision });
      const value = input.do === 'set' ? input.value : input.do === 'delete' ? null : input.to;
      client.seen.set(input.key, { value, revision: value === null ? null : revision });
    });
  }

  #onLock(client: Client, host: Host): void {
    const { holding } = client;
    const { random, queue } = this.#world;
    if (holding === null || holding.until < queue.now) return this.#acquire(client, host);
    if (random.next() < 0.5) this.#extend(client, host, holding);
    else this.#release(client, host, holding);
  }

  #acquire(client: Client, host: Host): void {
    const { queue, random } = this.#world;
    const lock = `l${random.below(this.#options.locks)}`;
    const input = { do: 'acquire', lock, owner: client.name } as const;
    const ttlMs = 1000 + random.below(5000);
    const call = this.locks.invoke(client.name, input);
    const askedAt = queue.now;
    const until = askedAt + ttlMs * drift;
    let isOpen = true;
    client.holding = null;
    // Without an answer it may have it all the same, and nobody extends what nobody knows of.
    const lost = { do: 'lost', lock, owner: client.name, token: null } as const;
    const lose = (): void => {
      if (isOpen) this.locks.invoke('time', lost);
    };
    this.#unanswered.add(lose);
    queue.at(until, () => {
      this.#unanswered.delete(lose);
      lose();
    });
    const command = {
      kind: 'acquire',
      name: lock,
      owner: client.name,
      ttlMs,
      waitMs: 0,
      delayMs: random.below(2) * 800,
    } as const;
    this.#propose(client, host, command, (answer, result) => {
      isOpen = answer === null || (!answer.ok && isUnknown(answer.error));
      if (!isOpen) this.#unanswered.delete(lose);
      if (!answer?.ok) {
        if (answer !== null && answer.error.kind === 'busy') return this.locks.answered(call, { is: 'busy' });
        if (answer !== null && !isUnknown(answer.error)) return this.#refused(this.locks, call, answer.error);
        this.counts.unknown += 1;
        return this.#anotherClient(client);
      }
      if (result.kind !== 'acquired') return;
      this.locks.answered(call, { is: 'held', token: result.token });
      this.#world.covered('answer: lock held');
      this.#hold({ lock, token: result.token, owner: input.owner, client, until: this.#untilOf(askedAt, ttlMs) });
    });
  }

  #hold(holding: Holding): void {
    const { now } = this.#world.queue;
    const other = this.#holdings.get(holding.lock);
    // An answer that comes so late is worth nothing.
    if (holding.until <= now) return this.#mayBeLost(holding);
    if (other !== undefined && other.token !== holding.token && other.until > now)
      throw new Breach(
        'one holder',
        `${holding.owner} holds ${holding.lock} (${holding.token}), and so does ${other.owner} (${other.token}) for ${Math.round(other.until - now)} ms more`,
      );
    if (other !== undefined && other.token > holding.token) return;
    this.#holdings.set(holding.lock, holding);
    holding.client.holding = holding;
    this.#watch(holding);
  }

  /** Says in the history that it may be lost, when its time has run out. */
  #watch(holding: Holding): void {
    const { until } = holding;
    this.#world.queue.at(until, () => {
      if (holding.until === until) this.#mayBeLost(holding);
    });
  }

  #mayBeLost(holding: Holding): void {
    holding.until = Math.min(holding.until, this.#world.queue.now);
    this.locks.invoke('time', lossOf(holding));
  }

  #extend(client: Client, host: Host, holding: Holding): void {
    const { queue, random } = this.#world;
    const { lock, token } = holding;
    const call = this.locks.invoke(client.name, { do: 'extend', lock, token });
    const [askedAt, ttlMs] = [queue.now, 1000 + random.below(5000)];
    // It may be shorter than before, and nobody knows whether it counts yet.
    holding.until = Math.min(holding.until, askedAt + ttlMs * drift);
    this.#watch(holding);
    this.#propose(client, host, { kind: 'extend', name: lock, token, ttlMs }, (answer) => {
      if (!answer?.ok) return this.#endOfLockCall(client, call, answer);
      this.locks.answered(call, { is: 'done' });
      const until = this.#untilOf(askedAt, ttlMs);
      if (until < queue.now) return;
      holding.until = until;
      this.#watch(holding);
    });
  }

  #release(client: Client, host: Host, holding: Holding): void {
    const { lock, token } = holding;
    const call = this.locks.invoke(client.name, { do: 'release', lock, token });
    // From here on it does not rely on it any more.
    client.holding = null;
    holding.until = Math.min(holding.until, this.#world.queue.now);
    this.locks.invoke('time', lossOf(holding));
    this.#propose(client, host, { kind: 'release', name: lock, token }, (answer) => {
      if (answer?.ok) this.locks.answered(call, { is: 'done' });
      else this.#endOfLockCall(client, call, answer);
    });
  }

  #endOfLockCall(client: Client, call: number, answer: { readonly error: CallError } | null): void {
    if (answer === null) return this.#lost(client);
    if (answer.error.kind === 'absent') this.locks.answered(call, { is: 'absent' });
    else this.#refused(this.locks, call, answer.error);
  }

  #propose(
    client: Client,
    host: Host,
    command: Command,
    done: (answer: Answered | null, result: CommandResult) => void,
  ): void {
    const consistency = this.#world.random.next() < (this.#options.strong ?? 0.2) ? 'strong' : 'quorum';
    const { uid } = host;
    this.#ask(client, host, { kind: 'propose', command, consistency }, (answer) => {
      const written = answer?.ok && answer.value.kind === 'written' ? answer.value.written : null;
      if (written?.committed !== true) return done(answer, { kind: 'done' });
      this.#world.covered(`answer: ${consistency} write`);
      this.#seen = Math.max(this.#seen, written.index);
      if (consistency === 'strong' && this.#world.species.knowsStrong) this.#answeredStrong(written.index);
      this.#world.acknowledged(`${uid} ${written.ticket.boot} ${written.ticket.number}`, written.index, written.value);
      done(answer, written.value);
    });
  }

  #answeredStrong(index: number): void {
    this.strong = Math.max(this.strong, index);
    for (const host of this.#world.hosts) this.checkReadable(host);
  }

  /** Nobody may read from a state that misses a strong write which was answered. */
  checkReadable(host: Host): void {
    const { body } = host;
    if (body === null || !host.awake || body.replica.index >= this.strong || !body.mayRead(host.now())) return;
    throw new Breach(
      'strong writes',
      `${host.name} may read at ${body.replica.index}, a strong write at ${this.strong} was answered`,
    );
  }

  /** `done` is told once: the answer, or null when none came. Then the client goes on. */
  #ask(client: Client, host: Host, call: Parameters<Host['call']>[0], done: (answer: Answered | null) => void): void {
    let open = true;
    const end = (answer: Answered | null): void => {
      if (!open) return;
      open = false;
      if (answer?.ok) this.counts.answered += 1;
      done(answer);
      this.#next(client);
    };
    this.#world.queue.after(answerMs, () => end(null));
    host.call(call, end);
  }

  #refused(history: { refused(call: number): void }, call: number, error: CallError): void {
    this.#world.covered(`answer: ${error.kind}`);
    if (isUnknown(error)) {
      this.counts.unknown += 1;
      return;
    }
    this.counts.refused += 1;
    history.refused(call);
  }

  #lost(client: Client): void {
    this.counts.unknown += 1;
    this.#world.covered('answer: none in time');
    this.#anotherClient(client);
  }

  #anotherClient(client: Client): void {
    client.generation += 1;
    client.holding = null;
    client.seen.clear();
  }
}

const lossOf = ({ lock, owner, token }: Holding): LockInput => ({ do: 'lost', lock, owner, token });

const isUnknown = (error: CallError): boolean => error.kind === 'unknown-outcome' || error.kind === 'closed';

function commandOf(input: Exclude<KvInput, { do: 'get' }>): Command {
  const { key } = input;
  if (input.do === 'set')
    return { kind: 'set', key, value: utf8.encode(input.value), lease: null, when: { kind: 'any' } };
  if (input.do === 'delete') return { kind: 'delete', key, when: { kind: 'any' } };
  const value = utf8.encode(input.to);
  if (input.do === 'cas-revision')
    return { kind: 'set', key, value, lease: null, when: { kind: 'revision', revision: input.at } };
  const when =
    input.from === null ? ({ kind: 'absent' } as const) : ({ kind: 'value', value: utf8.encode(input.from) } as const);
  return { kind: 'set', key, value, lease: null, when };
}
