/**
 * Some machines over an agreement that is perfect and at once: proposals are committed in the same instant by all that are
 * connected, words arrive at once. For tests of single rules; what goes wrong between members is the simulation's.
 */
import { type MemberId, type Millis, memberId } from '../../../src/base/ids.ts';
import type {
  BoardWrite,
  ClusterView,
  CommandAnswer,
  FailoverCommand,
  FailoverInput,
  FailoverOutput,
  FailoverRules,
  HookRun,
  NodeReport,
} from '../../../src/cluster/failover/contract.ts';
import { FailoverMachine } from '../../../src/cluster/failover/machine.ts';
import { openEpochOf, type PolicyNode, type PoolPolicy, type PoolRecord } from '../../../src/cluster/failover/model.ts';
import { isLegalStep } from '../../../src/cluster/replica/pool-steps.ts';

export const pool = 'app';

export const nodeOf = (id: string, more: Partial<PolicyNode> = {}): PolicyNode => ({
  id,
  url: `http://${id}:3000`,
  role: id === 'a' ? 'primary' : 'replica',
  priority: 100,
  candidate: true,
  ...more,
});

export const policyOf = (more: Partial<PoolPolicy> = {}): PoolPolicy => ({
  pool,
  mode: 'automatic',
  interval: 2000,
  timeout: 1000,
  failureThreshold: 3,
  recoveryWait: 10_000,
  failback: 'manual',
  maxAttempts: 3,
  retryAfter: 600_000,
  minInterval: 0,
  maxLag: 0,
  verify: false,
  withoutQuorum: 'stop',
  switchTimeout: 5000,
  hooks: { promote: null, demote: null, rejoin: null },
  nodes: [nodeOf('a'), nodeOf('b')],
  hash: 'p1',
  ...more,
});

export const post = (path: string, timeout: Millis = 5000) => ({ kind: 'post', url: path, timeout }) as const;

export class LabMember {
  readonly id: MemberId;
  readonly machine: FailoverMachine;
  readonly boards: BoardWrite[] = [];
  readonly hooks: HookRun[] = [];
  readonly probes: string[] = [];
  /** What its last check of each node found. */
  readonly found = new Map<string, NodeReport>();
  readonly abandoned: number[] = [];
  readonly answers = new Map<number, CommandAnswer>();
  readonly events: string[] = [];
  asked = 0;
  /** Takes no part: hears nothing, says nothing. */
  cut = false;
  /** Its own log has an entry that moves the epoch, and that is not applied. */
  moves = false;
  /** Gets leases. */
  leased = true;
  /** Writes its data threads hold, and what they passed on. */
  held: { writing: number; passed: number | null } = { writing: 0, passed: null };
  leaseUntil: Millis = 0;
  policy: PoolPolicy;

  constructor(name: string, lab: Lab, policy: PoolPolicy) {
    this.id = memberId(name.repeat(32).slice(0, 32));
    this.policy = policy;
    this.machine = new FailoverMachine({
      self: this.id,
      now: lab.now,
      rules: lab.rules,
      writesOverAt: () => (lab.leader === this ? lab.overAt() : null),
      openEpoch: (name) => (this.moves ? null : openEpochOf(this.machine.status(name)?.record ?? null)),
    });
  }

  get board(): BoardWrite | undefined {
    return this.boards.at(-1);
  }

  get status() {
    return this.machine.status(pool)!;
  }
}

export class Lab {
  now: Millis = 1_000_000;
  term = 1;
  readonly rules: Partial<FailoverRules>;
  readonly members: LabMember[];
  leader: LabMember | null;
  record: PoolRecord | null = null;
  readonly notes: string[] = [];
  /** Entries that are agreed on are seen at once; else they wait for `deliver`. */
  quorum = true;
  /** So many of the next proposals are refused, as a leader does that has too many of them. */
  refuse = 0;
  #grantedAt: Millis = -Infinity;
  #agreedFrom = 500_000;
  #command = 0;
  #elected = false;

  constructor(
    count: number,
    policy: PoolPolicy = policyOf(),
    more: { readonly rules?: Partial<FailoverRules>; readonly record?: PoolRecord } = {},
  ) {
    this.rules = more.rules ?? {};
    this.record = more.record ?? null;
    this.members = Array.from({ length: count }, (_, i) => new LabMember(String.fromCharCode(109 + i), this, policy));
    this.leader = this.members[0]!;
    for (const member of this.members) this.#introduce(member);
    this.settle();
  }

  #introduce(member: LabMember): void {
    const { machine, policy } = member;
    machine.step(this.now, { kind: 'policies', policies: [policy] });
    this.#view(member);
    if (this.record !== null) machine.step(this.now, { kind: 'records', records: [this.record] });
  }

  get agreed(): Millis {
    return Math.floor(this.now - 1_000_000 + this.#agreedFrom);
  }

  overAt(): Millis {
    return this.#grantedAt + 3080;
  }

  viewOf(member: LabMember): ClusterView {
    const quorum = this.quorum && !member.cut;
    return {
      leader: quorum ? (this.leader?.id ?? null) : null,
      term: this.term,
      leads: quorum && member === this.leader && !this.#elected,
      quorum,
      voters: this.members.map(({ id }) => id),
      learners: [],
      names: new Map(this.members.map(({ id }, i) => [id, `m${i + 1}`])),
      cluster: 'c1',
      agreedNow: this.agreed,
    };
  }

  #view(member: LabMember): void {
    member.machine.step(this.now, { kind: 'cluster', view: this.viewOf(member) });
  }

  /** Another leader, in a new term; null: none. */
  lead(member: LabMember | null): void {
    this.leader = member;
    this.term += 1;
    for (const one of this.members) this.#view(one);
    this.settle();
  }

  /** Elected, and not leading yet: no entry of its own term is committed. */
  elect(member: LabMember): void {
    this.leader = member;
    this.term += 1;
    this.#elected = true;
    this.views();
    this.#elected = false;
    this.term -= 1;
  }

  /** A member's process begins anew. */
  restart(index: number): LabMember {
    const { policy } = this.members[index]!;
    const fresh = new LabMember(String.fromCharCode(109 + index), this, policy);
    if (this.leader === this.members[index]) this.leader = fresh;
    this.members[index] = fresh;
    this.#introduce(fresh);
    this.settle();
    return fresh;
  }

  views(): void {
    for (const one of this.members) this.#view(one);
    this.settle();
  }

  /** Takes from all and does what they want, until nothing is left. */
  settle(): void {
    for (let turn = 0; turn < 200; turn++) {
      let busy = false;
      for (const member of this.members) busy = this.#do(member, member.machine.take()) || busy;
      if (!busy) return;
    }
    throw new Error('the lab turns in a circle');
  }

  #do(member: LabMember, out: FailoverOutput): boolean {
    member.boards.push(...out.board);
    member.hooks.push(...out.hooks);
    member.abandoned.push(...out.abandon);
    for (const { node } of out.probe) this.#probe(member, node);
    member.events.push(...out.events.map(({ text }) => text));
    for (const { id, answer } of out.answers) member.answers.set(id, answer);
    for (const { to, bytes } of out.tell) this.#tell(member, to, bytes);
    for (const { id, epoch } of out.leases) this.#lease(member, id, epoch);
    for (const { id, record, note } of out.proposals) this.#propose(member, { id, record, note });
    for (const { fencing } of out.board) if (fencing) this.give(member, { kind: 'held', pool, ...member.held });
    const { length } = [...out.board, ...out.tell, ...out.leases, ...out.proposals, ...out.probe];
    return length > 0;
  }

  /** A check that was asked for finds what the last one found. */
  #probe(member: LabMember, node: string): void {
    member.probes.push(node);
    const found = member.found.get(node);
    if (found !== undefined && !member.cut)
      member.machine.step(this.now, { kind: 'report', report: { ...found, at: this.now } });
  }

  #tell(from: LabMember, to: MemberId, bytes: Uint8Array): void {
    const other = this.members.find(({ id }) => id === to);
    if (other !== undefined && !from.cut && !other.cut)
      other.machine.step(this.now, { kind: 'told', from: from.id, bytes });
  }

  #lease(member: LabMember, id: number, epoch: number): void {
    member.asked += 1;
    const may = member.leased && !member.cut && this.quorum && this.leader !== null;
    const open = this.record?.phase === 'open' ? this.record.epoch : null;
    if (!may || open !== epoch)
      return member.machine.step(this.now, { kind: 'leased', id, lease: null, why: may ? 'not-open' : 'no-quorum' });
    this.#grantedAt = this.now;
    member.leaseUntil = this.now + 3000;
    const lease = { epoch, writeUntil: this.now + 2750, cutAt: this.now + 3000 };
    member.machine.step(this.now, { kind: 'leased', id, lease, why: '' });
  }

  #propose(member: LabMember, { id, record, note }: FailoverOutput['proposals'][number]): void {
    const refused = this.refuse > 0;
    if (refused) this.refuse -= 1;
    const ok = !refused && this.quorum && member === this.leader && !member.cut && isLegalStep(this.record, record);
    if (ok) {
      this.record = record;
      this.notes.push(note);
      for (const one of this.members) if (!one.cut) one.machine.step(this.now, { kind: 'records', records: [record] });
    }
    member.machine.step(this.now, { kind: 'proposed', id, ok });
  }

  give(member: LabMember, input: FailoverInput): void {
    member.machine.step(this.now, input);
    this.settle();
  }

  /** Time goes on, with ticks where they are due. */
  pass(ms: Millis): void {
    const until = this.now + ms;
    for (let turn = 0; ; turn++) {
      if (turn > 500 + ms * 5) throw new Error('the machine asks to be woken at once, again and again');
      const next = Math.min(...this.members.map(({ machine }) => machine.wakeAt()));
      if (next > until) break;
      this.now = Math.max(this.now, next);
      for (const { machine } of this.members)
        if (machine.wakeAt() <= this.now) machine.step(this.now, { kind: 'tick' });
      this.settle();
      this.now += 0.001;
    }
    this.now = until;
    for (const { machine } of this.members) machine.step(this.now, { kind: 'tick' });
    this.settle();
  }

  /** What one member's check of a node gave; up unless told otherwise. */
  report(member: LabMember, node: string, more: Partial<NodeReport> = {}): void {
    if (member.cut) return;
    const report: NodeReport = {
      pool,
      node,
      up: (more.failures ?? 0) === 0,
      failures: 0,
      at: this.now,
      detail: '',
      role: null,
      epoch: null,
      cluster: null,
      position: null,
      lag: null,
      primaryHeard: null,
      wanted: true,
      ...more,
    };
    member.found.set(node, report);
    this.give(member, { kind: 'report', report });
  }

  /** All members see it so. */
  see(node: string, more: Partial<NodeReport> = {}): void {
    for (const member of this.members) this.report(member, node, more);
  }

  /** Hooks that were started and have not ended. */
  answerHook(run: HookRun, result: { ok: boolean; detail?: string; position?: number | null }): void {
    const member = this.members.find(({ hooks }) => hooks.includes(run))!;
    this.give(member, { kind: 'hooked', id: run.id, detail: '', position: null, ...result });
  }

  command(member: LabMember, command: FailoverCommand): () => CommandAnswer | undefined {
    this.#command += 1;
    const id = this.#command;
    this.give(member, { kind: 'command', id, command });
    return () => member.answers.get(id);
  }
}

/** A pool that is well: epoch 1 open on `a`, everybody healthy and with leave to write. */
export function running(
  count: number,
  policy: PoolPolicy = policyOf(),
  more: ConstructorParameters<typeof Lab>[2] = {},
): Lab {
  const lab = new Lab(count, policy, more);
  for (const { id } of policy.nodes) lab.see(id);
  lab.pass(4000);
  for (const { id } of policy.nodes) lab.see(id);
  return lab;
}
