/**
 * Agreement and replica alone in the shape of a member, with as little between them as works: proposals go to the leader,
 * are sent again until they are answered, stamped there, and answered from the state. No gossip, no formation, no write
 * leases: the first voters are simply given. For tests of the world itself, and to tell which floor a fault is on.
 */
import { type MemberId, type Millis, memberId } from '../../src/base/ids.ts';
import { err, ok } from '../../src/base/result.ts';
import type {
  Call,
  CallAnswer,
  DiskEntry,
  MemberInput,
  MemberOptions,
  MemberOutput,
  MemberPersist,
  MemberRestored,
} from '../../src/cluster/member/contract.ts';
import type { Persist } from '../../src/cluster/raft/contract.ts';
import type { RaftMessage } from '../../src/cluster/raft/messages.ts';
import {
  type Entry,
  type EntryBody,
  type HardState,
  newborn,
  type Restored,
  type Snapshot,
} from '../../src/cluster/raft/model.ts';
import { Raft } from '../../src/cluster/raft/raft.ts';
import { AgreedClock } from '../../src/cluster/replica/clock.ts';
import { decodeProposal, encodeProposal, stampProposal } from '../../src/cluster/replica/codec.ts';
import type { Command, CommandResult } from '../../src/cluster/replica/command.ts';
import { refusalOf } from '../../src/cluster/replica/refusals.ts';
import { Replica } from '../../src/cluster/replica/replica.ts';
import { restore, snapshot } from '../../src/cluster/replica/snapshot.ts';
import type { Body, Species } from './body.ts';

interface Waiting {
  readonly id: number;
  readonly number: number;
  readonly data: Uint8Array;
  readonly until: Millis;
  againAt: Millis;
}

const callMs: Millis = 4000;
const againMs: Millis = 600;

/** What passes as bytes here is looked up; only what disks keep is written out. */
const messages = new WeakMap<Uint8Array, RaftMessage>();
const forwards = new WeakSet<Uint8Array>();

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

function encodeEntry(entry: Entry): DiskEntry {
  const { index, term } = entry;
  if (entry.kind !== 'data') return { index, term, bytes: new Uint8Array([1, ...bytesOf(bodyOf(entry))]) };
  const bytes = new Uint8Array(entry.data.length + 1);
  bytes.set(entry.data, 1);
  return { index, term, bytes };
}

const bodyOf = (entry: Entry): EntryBody =>
  entry.kind === 'config' ? { kind: 'config', config: entry.config } : { kind: 'noop' };

const entryOf = (bytes: Uint8Array): EntryBody =>
  bytes[0] === 0 ? { kind: 'data', data: bytes.subarray(1) } : (JSON.parse(text(bytes.subarray(1))) as EntryBody);

const hardOf = (bytes: Uint8Array): HardState => JSON.parse(text(bytes)) as HardState;

interface SnapshotHead {
  readonly config: Snapshot['config'];
  readonly index: number;
  readonly term: number;
}

function packSnapshot({ data, ...head }: Snapshot): DiskEntry {
  const packed = bytesOf(head);
  const bytes = new Uint8Array(2 + packed.length + data.length);
  bytes.set([packed.length >> 8, packed.length & 255]);
  bytes.set(packed, 2);
  bytes.set(data, 2 + packed.length);
  return { index: head.index, term: head.term, bytes };
}

function unpackSnapshot({ bytes }: DiskEntry): Snapshot {
  const length = bytes[0]! * 256 + bytes[1]!;
  const head = JSON.parse(text(bytes.subarray(2, 2 + length))) as SnapshotHead;
  return { ...head, data: bytes.subarray(2 + length) };
}

function restoredOf(disk: MemberRestored, first: readonly MemberId[]): Restored {
  const fresh = newborn(first);
  return {
    hard: disk.hard === null ? fresh.hard : hardOf(disk.hard),
    snapshot: disk.snapshot === null ? fresh.snapshot : unpackSnapshot(disk.snapshot),
    entries: disk.entries.map(({ index, term, bytes }) => ({ index, term, ...entryOf(bytes) }) as Entry),
  };
}

class Bare implements Body {
  readonly #options: MemberOptions;
  readonly #id: MemberId;
  readonly #boot: number;
  readonly #raft: Raft;
  readonly #agreed: AgreedClock;
  #replica: Replica;
  #now: Millis;
  #number = 0;
  #snapshotAt: number;
  #expireAt: Millis = Number.POSITIVE_INFINITY;
  readonly #writes = new Map<number, Waiting>();
  readonly #reads = new Set<number>();
  #sends: MemberOutput['messages'][number][] = [];
  #answers: CallAnswer[] = [];

  constructor(options: MemberOptions, disk: MemberRestored) {
    const { now, random, wall } = options;
    this.#options = options;
    this.#id = disk.uid;
    this.#boot = disk.boot;
    this.#now = now;
    const restored = restoredOf(disk, firstVoters(options));
    const raft = { priority: options.metadata.priority, witness: options.metadata.witness, ...options.raft };
    const rules = options.raftRules === undefined ? {} : { rules: options.raftRules };
    this.#raft = new Raft({ ...raft, ...rules, id: disk.uid, boot: disk.boot, now, random }, restored);
    this.#agreed = new AgreedClock({ wall, monotonic: now });
    this.#replica = stateOf(restored.snapshot);
    this.#agreed.heard(this.#replica.now, now, false);
    this.#snapshotAt = this.#replica.index;
  }

  get replica(): Replica {
    return this.#replica;
  }

  status(): ReturnType<Body['status']> {
    const raft = this.#raft.status();
    const { leader, term } = raft;
    return { phase: 'running', state: 'STABLE', leader, term, quorum: leader !== null, raft, members: [] };
  }

  mayRead(now: Millis): boolean {
    return this.#raft.mayRead(now);
  }

  writesOverAt(): null {
    return null;
  }

  step(now: Millis, input: MemberInput): void {
    this.#now = now;
    this.#handle(input);
    for (const waiting of this.#writes.values()) this.#retry(waiting);
    if (now >= this.#expireAt) this.#expire();
  }

  take(): MemberOutput {
    const out = this.#raft.take();
    const applied = out.apply === null ? [] : this.#apply(out.apply.snapshot, out.apply.entries);
    for (const message of out.send) this.#send(message.to, remembered(message));
    for (const { id, index } of out.reads) this.#readReady(id, index !== null);
    this.#compact();
    const [sends, answers] = [this.#sends, this.#answers];
    this.#sends = [];
    this.#answers = [];
    return {
      persist: out.persist === null ? [] : [persistOf(out.persist)],
      datagrams: [],
      messages: sends,
      open: [],
      replies: [],
      applied,
      answers,
      effects: [],
      told: [],
      events: out.events.map((event) => ({ kind: 'raft', event }) as const),
    };
  }

  wakeAt(): Millis {
    let wakeAt = Math.min(this.#raft.wakeAt(), this.#expireAt);
    for (const { againAt, until } of this.#writes.values()) wakeAt = Math.min(wakeAt, againAt, until);
    return wakeAt;
  }

  #handle(input: MemberInput): void {
    const now = this.#now;
    if (input.kind === 'message') return this.#receive(input.bytes);
    if (input.kind === 'call') return this.#call(input.id, input.call);
    if (input.kind === 'tick' || input.kind === 'persisted' || input.kind === 'stalled' || input.kind === 'mayMove')
      this.#raft.step(now, input);
  }

  #call(id: number, call: Call): void {
    const step = (input: Parameters<Raft['step']>[1]): void => this.#raft.step(this.#now, input);
    if (call.kind === 'read') {
      this.#reads.add(id);
      return step({ kind: 'read', id, lease: call.need === 'leased' });
    }
    if (call.kind === 'propose') {
      const data = this.#encode(call.command);
      const [number, until] = [this.#number, this.#now + callMs];
      return void this.#writes.set(number, { id, number, data, until, againAt: this.#now });
    }
    if (call.kind === 'transfer') step({ kind: 'transfer', to: call.to === null ? null : memberId(call.to) });
    if (call.kind === 'change')
      step({ kind: 'change', id, change: { kind: call.change, member: memberId(call.member) } });
    this.#answers.push({ id, answer: ok({ kind: 'done' }) });
  }

  #encode(command: Command): Uint8Array {
    this.#number += 1;
    return encodeProposal({ proposer: { uid: this.#id, boot: this.#boot, number: this.#number }, at: 0, command });
  }

  #retry(waiting: Waiting): void {
    const ticket = { boot: this.#boot, number: waiting.number };
    if (this.#now >= waiting.until) return this.#end(waiting, err({ kind: 'unknown-outcome', ticket }));
    if (this.#now < waiting.againAt) return;
    waiting.againAt = this.#now + againMs;
    const { leader } = this.#raft.status();
    if (leader === this.#id) this.#propose(waiting.data);
    else if (leader !== null) {
      const bytes = waiting.data.slice();
      forwards.add(bytes);
      this.#send(leader, bytes);
    }
  }

  #send(to: MemberId, bytes: Uint8Array): void {
    this.#sends.push({ to: addressOf(to), bytes, droppable: true });
  }

  #end(waiting: Waiting, answer: CallAnswer['answer']): void {
    this.#writes.delete(waiting.number);
    this.#answers.push({ id: waiting.id, answer });
  }

  #receive(bytes: Uint8Array): void {
    const message = messages.get(bytes);
    if (message !== undefined) return this.#raft.step(this.#now, { kind: 'message', message });
    if (forwards.has(bytes) && this.#raft.status().role === 'leader') this.#propose(bytes);
  }

  #propose(data: Uint8Array): void {
    const at = Math.max(this.#agreed.now(this.#now), this.#replica.now);
    this.#raft.step(this.#now, { kind: 'propose', id: 0, data: stampProposal(data, at) });
  }

  #expire(): void {
    this.#expireAt = Number.POSITIVE_INFINITY;
    if (this.#raft.status().role !== 'leader') return;
    if (this.#replica.nextExpiry() <= this.#agreed.now(this.#now)) this.#propose(this.#encode({ kind: 'expire' }));
    this.#arm(500);
  }

  #arm(floor: Millis): void {
    const next = this.#replica.nextExpiry();
    if (next === Number.POSITIVE_INFINITY) return;
    this.#expireAt = this.#now + Math.max(floor, next - this.#agreed.now(this.#now));
  }

  #apply(taken: Snapshot | null, entries: readonly Entry[]): MemberOutput['applied'] {
    if (taken !== null) this.#replica = stateOf(taken);
    const { term, leader } = this.#raft.status();
    const news = entries.map((entry) => {
      const data = entry.kind === 'data' ? entry.data : null;
      const { result, events } = this.#replica.apply({ index: entry.index, term: entry.term, data });
      if (data !== null) this.#answer(data, result, entry.index);
      const live = entry.term === term && data !== null && leader !== null && leader !== this.#id;
      this.#agreed.heard(this.#replica.now, this.#now, live);
      return { kind: 'events', index: entry.index, events } as const;
    });
    this.#arm(0);
    return taken === null ? news : [{ kind: 'replaced' }, ...news];
  }

  #answer(data: Uint8Array, value: CommandResult, index: number): void {
    const proposal = decodeProposal(data);
    if (!proposal.ok) return;
    const { uid, boot, number } = proposal.value.proposer;
    const waiting = uid === this.#id && boot === this.#boot ? this.#writes.get(number) : undefined;
    if (waiting === undefined) return;
    const ticket = { boot, number };
    const refusal = refusalOf(value, ticket);
    const written = { kind: 'written', written: { committed: true, value, index, ticket } } as const;
    this.#end(waiting, refusal === null ? ok(written) : err(refusal));
  }

  #readReady(id: number, confirmed: boolean): void {
    if (!this.#reads.delete(id)) return;
    const fresh = { kind: 'fresh', freshness: { kind: 'current' } } as const;
    this.#answers.push({ id, answer: confirmed ? ok(fresh) : err({ kind: 'no-quorum', missing: [] }) });
  }

  #compact(): void {
    if (this.#replica.index < this.#snapshotAt + (this.#options.settings?.snapshotEvery ?? 1000)) return;
    this.#snapshotAt = this.#replica.index;
    this.#raft.step(this.#now, { kind: 'snapshot', index: this.#replica.index, data: snapshot(this.#replica) });
  }
}

/** Hosts of the world have uids that follow from their addresses. */
export const uidOf = (address: string): MemberId =>
  memberId(
    [...new TextEncoder().encode(address)]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('')
      .padEnd(32, '0')
      .slice(-32),
  );
const addresses = new Map<MemberId, string>();
const addressOf = (id: MemberId): string => addresses.get(id) ?? '';

function firstVoters({ address, cluster }: MemberOptions): readonly MemberId[] {
  const all = [address, ...(cluster?.seeds ?? [])].sort();
  for (const one of all) addresses.set(uidOf(one), one);
  return all.map(uidOf);
}

function persistOf(persist: Persist): MemberPersist {
  const { ticket, hard, truncateFrom, compactTo, snapshot: taken, entries } = persist;
  return {
    ticket,
    truncateFrom,
    compactTo,
    snapshot: taken === null ? null : packSnapshot(taken),
    entries: entries.map(encodeEntry),
    hard: hard === null ? null : bytesOf(hard),
    facts: {},
    boots: [],
  };
}

function remembered(message: RaftMessage): Uint8Array {
  const bytes = new Uint8Array(1);
  messages.set(bytes, message);
  return bytes;
}

function stateOf({ data }: Snapshot): Replica {
  if (data.byteLength === 0) return new Replica();
  const restored = restore(data);
  if (!restored.ok) throw new Error(`a snapshot that the machine took is refused: ${restored.error}`);
  return restored.value;
}

export const bare: Species = {
  knowsStrong: false,
  make: (options, restored) => new Bare(options, restored),
  hardOf,
  entryOf,
  raftOf: (bytes) => messages.get(bytes) ?? null,
};
