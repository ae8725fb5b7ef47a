/**
 * A laboratory for members: a virtual net, disks and clocks around the real machine, driven as contract.ts says. One
 * seed, one run. Messages are delayed (and so reordered), and lost where the net is cut; disks report late, in any order.
 */
import type { MemberId, Millis } from '../../../src/base/ids.ts';
import { memberId } from '../../../src/base/ids.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { TimeHeap } from '../../../src/base/time-heap.ts';
import { decodeWord } from '../../../src/cluster/member/codec.ts';
import type {
  Call,
  CallAnswer,
  DiskEntry,
  Effect,
  KnownRun,
  MemberInput,
  MemberOptions,
  MemberPersist,
  MemberRestored,
} from '../../../src/cluster/member/contract.ts';
import { Member } from '../../../src/cluster/member/member.ts';
import { runOf } from '../../../src/cluster/member/rules.ts';
import type { Command } from '../../../src/cluster/replica/command.ts';
import { hashBytes, hashText } from '../../../src/cluster/replica/fingerprint.ts';

export interface Disk {
  uid: MemberId;
  boot: number;
  hard: Uint8Array | null;
  snapshot: DiskEntry | null;
  entries: DiskEntry[];
  facts: Record<string, Uint8Array>;
  boots: Map<MemberId, KnownRun>;
}

export const emptyDisk = (n: number): Disk => ({
  uid: memberId(n.toString(16).padStart(32, '0')),
  boot: 0,
  hard: null,
  snapshot: null,
  entries: [],
  facts: {},
  boots: new Map(),
});

/** Of the disk with this uid, and of its copies. */
export const proofs =
  (uid: MemberId) =>
  (both: number): string =>
    hashText(hashBytes(bytes(`${uid} ${both}`), 1)) + hashText(hashBytes(bytes(`${uid} ${both}`), 2));

export const copyOf = (disk: Disk): Disk => ({
  ...disk,
  entries: [...disk.entries],
  facts: { ...disk.facts },
  boots: new Map(disk.boots),
});

function write(disk: Disk, job: MemberPersist): void {
  if (job.truncateFrom !== null) disk.entries = disk.entries.filter((one) => one.index < job.truncateFrom!);
  if (job.compactTo !== null) disk.entries = disk.entries.filter((one) => one.index > job.compactTo!);
  if (job.snapshot !== null) {
    disk.snapshot = job.snapshot;
    const last = disk.entries.at(-1)?.index ?? 0;
    if (job.snapshot.index > last) disk.entries = [];
  }
  disk.entries.push(...job.entries);
  if (job.hard !== null) disk.hard = job.hard;
  for (const [name, value] of Object.entries(job.facts)) if (value) disk.facts[name] = value;
  for (const [id, run] of job.boots) if (run.both > (disk.boots.get(id)?.both ?? 0)) disk.boots.set(id, run);
}

export class Host {
  readonly address: string;
  readonly name: string;
  disk: Disk;
  options: Partial<MemberOptions>;
  member: Member | null = null;
  /** Raised with each start, so that what was under way to an earlier run is lost. */
  life = 0;
  effects: Effect[] = [];
  notes: string[] = [];
  /** The last word that it said to a member. */
  lastWord: Uint8Array | null = null;
  readonly answers = new Map<number, CallAnswer['answer']>();
  /** Reports of its disk come so much later. */
  diskDelay: Millis = 1;
  wakes = 0;
  /** What it applied, in order, with its index. */
  replaced = 0;

  constructor(n: number, name: string, options: Partial<MemberOptions>) {
    this.name = name;
    this.address = `10.0.0.${n}:7946`;
    this.disk = emptyDisk(n);
    this.options = options;
  }

  /** Its boot and the number of its run, as they stand in its words. */
  get run(): number {
    const speaker = { id: this.disk.uid, boot: this.disk.boot };
    const word = this.lastWord === null ? null : decodeWord(this.lastWord, speaker);
    if (!word?.ok) throw new Error(`${this.name} has said nothing`);
    return runOf(this.disk.boot, word.value.head.run);
  }

  get up(): Member {
    if (this.member === null) throw new Error(`${this.name} is not running`);
    return this.member;
  }
}

export class Lab {
  now: Millis = 1000;
  readonly random: Random;
  readonly hosts = new Map<string, Host>();
  /** `from>to` by name. */
  readonly cut = new Set<string>();
  readonly #queue = new TimeHeap<() => void>();
  readonly #streams = new Map<number, { readonly host: Host; readonly life: number; readonly stream: number }>();
  #stream = 0;
  #call = 0;
  #uid = 100;

  constructor(seed = 1) {
    this.random = seededRandom(seed);
  }

  /** Members a, b, c ... that form one cluster together. */
  static of(count: number, over: Partial<MemberOptions> = {}, seed = 1): Lab {
    const lab = new Lab(seed);
    const names = [...'abcdefg'].slice(0, count);
    for (const name of names) lab.add(name, { expect: count, seeds: names.filter((one) => one !== name), over });
    return lab;
  }

  add(
    name: string,
    how: { readonly expect: number; readonly seeds: readonly string[]; readonly over?: Partial<MemberOptions> },
  ): Host {
    const seeds = how.seeds.map(addressOf);
    const cluster = how.expect === 0 ? null : { expect: how.expect, seeds };
    const host = new Host(numberOf(name), name, { cluster, ...how.over });
    this.hosts.set(name, host);
    return host;
  }

  host(name: string): Host {
    return this.hosts.get(name)!;
  }

  start(...names: string[]): void {
    for (const name of names.length > 0 ? names : this.hosts.keys()) this.#start(this.host(name));
  }

  #start(host: Host): void {
    host.disk.boot += 1;
    host.life += 1;
    const disk = copyOf(host.disk);
    const restored: MemberRestored = { ...disk, proofOf: proofs(disk.uid) };
    host.member = new Member(
      {
        name: host.name,
        address: host.address,
        cluster: null,
        metadata: { version: '1', priority: 100, witness: false, admin: '', zone: '' },
        random: seededRandom(Math.floor(this.random.next() * 2 ** 31)),
        now: this.now,
        wall: 1.7e12 + this.now,
        ...host.options,
      },
      restored,
    );
    this.#after(host);
  }

  /** Loses what it had not written. */
  crash(...names: string[]): void {
    for (const name of names) {
      this.host(name).member = null;
      this.host(name).life += 1;
    }
  }

  /** An empty disk: another uid. */
  loseDisk(name: string): void {
    this.crash(name);
    this.#uid += 1;
    this.host(name).disk = emptyDisk(this.#uid);
  }

  part(a: string, b: string): void {
    this.cut.add(`${a}>${b}`).add(`${b}>${a}`);
  }

  isolate(name: string): void {
    for (const other of this.hosts.keys()) if (other !== name) this.part(name, other);
  }

  at(when: Millis, what: () => void): void {
    this.#queue.push(when, what);
  }

  /** Until the condition holds; false if it did not within `ms`. */
  run(ms: Millis, until: () => boolean = () => false): boolean {
    const end = this.now + ms;
    while (!until()) {
      if (this.#queue.peekAt() > end) {
        this.now = end;
        return until();
      }
      this.now = Math.max(this.now, this.#queue.peekAt());
      this.#queue.pop()!();
    }
    return true;
  }

  step(name: string, input: MemberInput): void {
    const host = this.host(name);
    if (host.member === null) return;
    host.member.step(this.now, input);
    this.#after(host);
  }

  call(name: string, call: Call): number {
    this.#call += 1;
    this.step(name, { kind: 'call', id: this.#call, call });
    return this.#call;
  }

  /** Runs until it is answered. */
  answer(name: string, call: Call, ms: Millis = 8000): CallAnswer['answer'] {
    const id = this.call(name, call);
    const { answers } = this.host(name);
    if (!this.run(ms, () => answers.has(id))) throw new Error(`${name} did not answer ${call.kind} in ${ms} ms`);
    return answers.get(id)!;
  }

  set(name: string, key: string, value: string, more: Partial<Extract<Call, { kind: 'propose' }>> = {}) {
    const command = set(key, value);
    return this.answer(name, { kind: 'propose', command, consistency: 'quorum', ...more });
  }

  #after(host: Host): void {
    const { member, life } = host;
    if (member === null) return;
    const out = member.take();
    for (const job of out.persist) this.#persist(host, job);
    for (const one of out.datagrams) {
      this.#deliver(host, one.to, () => ({ kind: 'datagram', from: host.address, bytes: one.bytes }));
    }
    const from = { id: host.disk.uid, boot: host.disk.boot };
    host.lastWord = out.messages.at(-1)?.bytes ?? host.lastWord;
    for (const one of out.messages) this.#deliver(host, one.to, () => ({ kind: 'message', from, bytes: one.bytes }));
    for (const one of out.open) this.#open(host, one);
    for (const one of out.replies) this.#reply(host, one);
    for (const { id, answer } of out.answers) {
      if (host.answers.has(id)) throw new Error(`call ${id} was answered twice`);
      host.answers.set(id, answer);
    }
    host.effects.push(...out.effects);
    for (const event of out.events) if (event.kind === 'note') host.notes.push(event.text);
    for (const news of out.applied) if (news.kind === 'replaced') host.replaced += 1;
    host.wakes += 1;
    const wake = host.wakes;
    const at = member.wakeAt();
    if (at === Number.POSITIVE_INFINITY) return;
    this.at(Math.max(this.now, at), () => {
      if (host.wakes === wake && host.life === life) this.step(host.name, { kind: 'tick' });
    });
  }

  /** Written in order, a moment later; reported when it pleases. */
  #persist(host: Host, job: MemberPersist): void {
    const { life } = host;
    this.at(this.now + 0.5, () => {
      if (host.life !== life) return;
      write(host.disk, job);
      this.at(this.now + this.random.next() * host.diskDelay, () => {
        if (host.life === life) this.step(host.name, { kind: 'persisted', ticket: job.ticket });
      });
    });
  }

  #deliver(from: Host, to: string, make: () => MemberInput): void {
    const input = make();
    const host = [...this.hosts.values()].find((one) => one.address === to);
    if (host === undefined || this.cut.has(`${from.name}>${host.name}`)) return;
    this.at(this.now + 0.2 + this.random.next() * 3, () => this.step(host.name, input));
  }

  #open(host: Host, one: { readonly stream: number; readonly to: string; readonly bytes: Uint8Array }): void {
    this.#stream += 1;
    const number = this.#stream;
    this.#streams.set(number, { host, life: host.life, stream: one.stream });
    this.#deliver(host, one.to, () => ({ kind: 'request', stream: number, bytes: one.bytes }));
    this.at(this.now + 200, () => this.#end(number, { kind: 'failed', stream: one.stream }));
  }

  #reply(from: Host, one: { readonly stream: number; readonly bytes: Uint8Array }): void {
    const to = this.#streams.get(one.stream);
    if (to === undefined || this.cut.has(`${from.name}>${to.host.name}`)) return;
    const input: MemberInput = { kind: 'answer', stream: to.stream, bytes: one.bytes };
    this.at(this.now + 1, () => this.#end(one.stream, input));
  }

  #end(stream: number, input: MemberInput): void {
    const open = this.#streams.get(stream);
    this.#streams.delete(stream);
    if (open !== undefined && open.host.life === open.life) this.step(open.host.name, input);
  }

  get running(): readonly Host[] {
    return [...this.hosts.values()].filter((host) => host.member !== null);
  }

  /** The one that leads with a quorum. */
  get leader(): Host | null {
    const leads = this.running.filter(({ up }) => up.status().raft?.role === 'leader' && up.status().quorum);
    return leads.length === 1 ? leads[0]! : null;
  }

  followers(): readonly Host[] {
    return this.running.filter((host) => host !== this.leader);
  }

  form(ms: Millis = 3000): Host {
    const all = (): boolean =>
      this.leader !== null && this.running.every(({ up }) => up.status().quorum && up.status().state === 'STABLE');
    if (this.run(ms, all)) return this.leader!;
    const states = this.running.map(({ name, up }) => `${name}: ${up.status().state} ${up.status().reason}`);
    throw new Error(`not formed within ${ms} ms: ${states.join('; ')}`);
  }
}

const numberOf = (name: string): number => name.charCodeAt(0) - 96;
export const addressOf = (name: string): string => `10.0.0.${numberOf(name)}:7946`;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const set = (key: string, value: string): Command => ({
  kind: 'set',
  key,
  value: bytes(value),
  lease: null,
  when: { kind: 'any' },
});
export const textAt = (host: Host, key: string): string | null => {
  const entry = host.up.replica.kv.get(key);
  return entry === null ? null : new TextDecoder().decode(entry.value);
};
