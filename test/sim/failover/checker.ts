/**
 * The rules of failover, by world time and by what nodes and clients recorded.
 *
 *   A   no member begins a write of an epoch, and no client gets an answer of it, after a newer one opened
 *   B   a node that checks begins nothing of an epoch once it has seen a newer one
 *       as an epoch opens nobody has leave to write, or holds writes that may yet be answered, of one before
 *       one primary per epoch, for all members; no write is sent twice, or is twice in a node
 *       a hook starts only when its start is agreed, and promotes nobody once another is primary of a newer epoch
 *       where nodes replicate before they answer, a new primary has every acknowledged write; elsewhere, as long as only
 *       nodes fail, it lacks no more than the policy or an operator allows
 *       parked writes go out in order, and each write ends, within a bound
 *       once the faults stop each failover ends within a bound: open, back on the old primary, or failed
 *       a client reads what it wrote, or is told that it is lost; who was primary takes reads once it knows its place
 *
 * An epoch is open from when the first member knows so. Whether a failover had a reason: detection.ts.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { HookRun } from '../../../src/cluster/failover/contract.ts';
import type { PoolRecord } from '../../../src/cluster/failover/model.ts';
import { Breach } from '../breach.ts';
import { Detection } from './detection.ts';
import type { AppNode, Write } from './nodes.ts';
import { recoveryWaitMs } from './policies.ts';
import type { Read } from './reads.ts';
import type { Side } from './side.ts';
import { answerMs, type Site } from './site.ts';
import { type DataThread, type End, type Op, parkedMs, type Standing } from './traffic.ts';
import type { Unit } from './unit.ts';

/** Clocks within drift, looks each few ms, and the ways there and back. */
const slackMs: Millis = 800;
/** What waits for a node to connect may do so more than once, the last time just before its time is over. */
const connectingMs: Millis = 2000;
/** Parking, then connecting, then what the data path waits for an answer; beside it only what its thread stood still. */
export const writeEndsMs: Millis = parkedMs + connectingMs + answerMs + slackMs;
/** An election and what its winner must hear; leases; hooks that began before; then looks and hooks, for each attempt. */
export const failoverEndsMs: Millis = 20_000;

interface Asked {
  readonly at: Millis;
  readonly through: string;
  readonly thread: DataThread;
  readonly stood: Millis;
}

export class Checker {
  readonly #site: Site;
  readonly detection: Detection;
  #step = 0;
  record: PoolRecord | null = null;
  /** The newest open epoch. */
  opened = 0;
  acknowledged = 0;
  #target: AppNode | null = null;
  /** The url that writes of each epoch go to. */
  readonly #primary = new Map<number, string>();
  readonly #sent = new Set<number>();
  #acked: number[] = [];
  readonly #begun = new Set<number>();
  readonly #open = new Map<Op, Asked>();
  /** In the order in which they came. */
  readonly #waiting = new Map<Op, { readonly thread: DataThread; readonly how: Standing }>();
  readonly #hooks = new Set<string>();
  #pendingSince: Millis | null = null;
  /** Longest that a failover went on after the faults had stopped. */
  slowestEndMs: Millis = 0;
  #allowed = 0;
  #writtenSince = 0;

  constructor(site: Site) {
    this.#site = site;
    this.detection = new Detection(site);
  }

  get #now(): Millis {
    return this.#site.world.queue.now;
  }

  hadBefore(writes: readonly number[]): void {
    this.#acked.push(...writes);
  }

  learned(record: PoolRecord): void {
    if (record.step <= this.#step) return;
    const before = this.record;
    this.#step = record.step;
    this.record = record;
    for (const { kind, node, epoch } of record.hooks) this.#hooks.add(`${kind} ${node} ${epoch}`);
    const { epoch, phase, target, reason } = record;
    if (before?.epoch !== epoch || before.phase !== phase) {
      this.#site.note('pool', `epoch ${epoch} ${phase}: ${target?.node} (${reason})`);
      this.#site.covered(`pool: ${phase} ${reason}`);
      if (before !== null) this.#site.covered(`edge: ${before.phase} > ${phase}`);
      this.#site.world.happened(phase, this.#site);
    }
    this.#ends(record);
    if (before === null) this.#first(record);
    if (phase === 'pending') this.#allowed = Math.max(this.#allowed, record.allowed?.loss ?? 0);
    if (before !== null) this.#returns(before, record);
    if (phase === 'open' && epoch > this.opened) this.#opens(record);
  }

  /** 4.3: nodes that come from an earlier cluster were asked. By then all have said so. */
  #first({ epoch, phase }: PoolRecord): void {
    if (!this.#site.kind.former || phase !== 'open' || this.#now > firstFaultMs) return;
    const seen = Math.max(...this.#site.nodes.map((node) => node.seen));
    if (epoch <= seen)
      throw new Breach('nodes are asked first', `the first epoch is ${epoch}, and nodes have seen ${seen}`);
    this.#site.covered('first: above what an earlier cluster had');
  }

  #ends({ phase }: PoolRecord): void {
    if (phase === 'pending') this.#pendingSince ??= this.#now;
    else {
      if (this.#pendingSince !== null && this.#site.world.calm)
        this.slowestEndMs = Math.max(this.slowestEndMs, this.#pendingFor());
      this.#pendingSince = null;
    }
  }

  /** Since the faults stopped. */
  #pendingFor(): Millis {
    return this.#now - Math.max(this.#pendingSince ?? this.#now, this.#site.world.healedAt);
  }

  #opens(record: PoolRecord): void {
    const { epoch, target, reason } = record;
    const { style, kind, world, machines } = this.#site;
    this.opened = epoch;
    for (const side of this.#site.sides) this.#noLeave(side, epoch);
    const node = machines.get(target!.url)!;
    this.#target = node;
    const lost = this.#acked.filter((id) => !node.has.has(id));
    const bound = style === 'after' ? Math.max(kind.maxLag, this.#allowed) : this.#allowed;
    const mustHave = style !== 'after' || world.kind.onlyNodes || this.#handsOver(record);
    if (lost.length > bound && mustHave)
      throw new Breach(
        'acknowledged writes stay',
        `${node.name} becomes primary of epoch ${epoch} (${reason}) without ${lost.length} acknowledged writes, as ${lost[0]}; ${bound} may be lost`,
      );
    if (lost.length > 0) {
      this.#site.covered('after: acknowledged writes lost, as its replication allows');
      if (kind.maxLag > 0 && world.kind.onlyNodes) this.#site.covered('after: lost within maxLag');
    }
    // What is lost so is not missed again.
    this.#acked = this.#acked.filter((id) => node.has.has(id));
    this.#allowed = 0;
  }

  /** A planned change, from a primary that all members find well: it can be asked what it has, whoever else can't. */
  #handsOver({ reason, last }: PoolRecord): boolean {
    if (reason !== 'switchover' && reason !== 'failback') return false;
    const old = this.#site.machines.get(last!.target.url);
    const well = this.#site.sides
      .filter(({ unit }) => unit.machine !== null)
      .every((side) => side.finds(last!.target.node));
    if (well && old?.answers === true) this.#site.covered('after: a primary that is well hands over');
    return well && old?.answers === true;
  }

  /** 3.7: it may take reads from now on, so it does not hold itself for primary; or it was well for long enough. */
  #returns(before: PoolRecord, record: PoolRecord): void {
    if (before.epoch !== record.epoch || record.phase !== 'open') return;
    for (const id of before.returning) {
      const node = this.#site.nodes.find((one) => one.id === id);
      if (record.returning.includes(id) || node === undefined) continue;
      const { style, world } = this.#site;
      const told = style === 'before' || style === 'silent';
      if (told && node.role === 'primary')
        throw new Breach('who was primary knows its place', `${node.name} takes reads, and holds itself for primary`);
      const upFor = this.#now - node.backAt;
      if (!told && world.kind.onlyNodes && upFor < recoveryWaitMs * 0.99 - slackMs)
        throw new Breach(
          'who was primary is well for a while',
          `${node.name} takes reads ${upFor} ms after it came back`,
        );
    }
  }

  /** By the record that its threads look at, and world time: what it could still do, though it may not come to do it. */
  #noLeave({ unit: { host, machine }, shared }: Side, epoch: number): void {
    const { record } = shared;
    const writing = shared.writing - shared.looking;
    if (machine === null || host.pause === 'suspended' || record.epoch === 0 || record.epoch >= epoch) return;
    const left = host.clock.worldAt(record.cutAt) - this.#now;
    if (left <= 0 || (record.fencing && writing === 0)) return;
    const what = record.fencing ? `holds ${writing} writes` : 'has leave to write';
    throw new Breach('A', `${host.name} ${what} of epoch ${record.epoch} for ${left.toFixed(1)} ms, ${epoch} is open`);
  }

  sends(unit: Unit, op: Op, to: { readonly epoch: number; readonly node: AppNode; readonly thread: object }): void {
    if (this.#sent.has(op.id)) throw new Breach('no write twice', `write ${op.id} is sent again by ${unit.name}`);
    this.#sent.add(op.id);
    const { epoch, node } = to;
    if (epoch < this.opened)
      throw new Breach('A', `${unit.name} begins a write of epoch ${epoch}, and ${this.opened} is open`);
    if (epoch > this.opened) throw new Breach('A', `${unit.name} begins a write of epoch ${epoch}, not open yet`);
    const known = this.#primary.get(epoch) ?? node.url;
    this.#primary.set(epoch, known);
    if (known !== node.url)
      throw new Breach('one primary', `epoch ${epoch} has writes at ${known}, and of ${unit.name} at ${node.url}`);
    this.detection.sends(unit);
    this.#writtenSince += 1;
  }

  begun(node: AppNode, write: Write): void {
    if (node.checks && write.epoch < node.seen)
      throw new Breach('B', `${node.name} begins a write of epoch ${write.epoch}, it has seen ${node.seen}`);
    if (this.#begun.has(write.id)) throw new Breach('no write twice', `write ${write.id} begins again on ${node.name}`);
    this.#begun.add(write.id);
    if (write.epoch < this.opened) this.#site.covered('node: begins what was sent before its epoch ended');
  }

  passes(op: Op, epoch: number): void {
    if (epoch < this.opened)
      throw new Breach('A', `an answer of epoch ${epoch} to write ${op.id} is passed on, and ${this.opened} is open`);
  }

  hookStarts(unit: Unit, { kind, target, epoch }: HookRun): void {
    if (!this.#hooks.has(`${kind} ${target.node} ${epoch}`))
      throw new Breach('hooks are agreed', `${unit.name} starts ${kind} of ${target.node}, epoch ${epoch}: not agreed`);
    if (!this.#hasPolicy(unit))
      throw new Breach('one policy', `${unit.name} runs ${kind} of ${target.node}, and its policy is another`);
  }

  /** 3.1: by the policy of who leads, or of who decided. */
  #hasPolicy(unit: Unit): boolean {
    const { world } = this.#site;
    const leader = world.leader();
    const own = this.#site.policyOf(unit).hash;
    return (
      leader === undefined || own === this.#site.policyOf(world.units.get(leader)!).hash || own === this.record?.policy
    );
  }

  promoted(node: AppNode, epoch: number): void {
    if (epoch < this.opened && node !== this.#target)
      throw new Breach(
        'one promoted',
        `${node.name} is promoted for epoch ${epoch}, while ${this.#target?.name} is primary of ${this.opened}`,
      );
  }

  asked(op: Op, through: { readonly name: string; readonly thread: DataThread }): void {
    const { name, thread } = through;
    this.#open.set(op, { at: this.#now, through: name, thread, stood: thread.stoodStill(this.#now) });
  }

  /** 5.5: whoever sets out for the node is, of those that wait in that thread, the one that came first. */
  stands(op: Op, how: Standing, thread: DataThread): void {
    if (how === 'over') return void this.#waiting.delete(op);
    if (how === 'goes')
      for (const [other, at] of this.#waiting) {
        if (other === op) break;
        if (at.thread === thread && at.how === 'parked')
          throw new Breach('parked writes go in order', `write ${op.id} goes before ${other.id}, that came before it`);
      }
    this.#waiting.set(op, { thread, how });
  }

  ended(op: Op, end: End): void {
    if (!this.#open.delete(op)) throw new Breach('each write ends once', `write ${op.id} ends again: ${end.kind}`);
    this.#waiting.delete(op);
    this.#site.covered(`${op.tunnel ? 'tunnel' : 'write'}: ${end.kind}`);
    if (end.kind !== 'answered' || op.tunnel) return;
    this.acknowledged += 1;
    this.#acked.push(op.id);
  }

  /** A node is about to answer a read of a client that has written; undefined: nobody answers it. */
  reads(read: Read, to: { readonly epoch: number; readonly node: AppNode | undefined; readonly lost: boolean }): void {
    const { node, epoch, lost } = to;
    if (node === undefined || !node.answers) return;
    if (!this.#site.nodes.includes(node)) return this.#site.covered('read: a wrong file leads elsewhere');
    if (lost) this.#site.covered('read: its client is told that a write is lost');
    if (lost || node.has.has(read.wrote)) return;
    if (this.#site.style === 'after' && !this.#mustSayLost(read, epoch)) return;
    throw new Breach(
      'a client reads what it wrote',
      `${node.name} answers a read in epoch ${epoch} without write ${read.wrote} of epoch ${read.token.epoch}`,
    );
  }

  /** Where positions alone don't tell what a replica has: a write that is lost for good, in an epoch that is known. */
  #mustSayLost({ token, wrote }: Read, epoch: number): boolean {
    const forks = this.record?.forks ?? [];
    const known = epoch === this.opened && token.epoch < epoch && token.position !== null;
    const told = forks.some((fork) => fork.epoch > token.epoch && (fork.position ?? 0) < (token.position ?? 0));
    return known && told && this.#target?.has.has(wrote) === false;
  }

  /** Asked all the time. */
  inTime(): void {
    for (const [op, { at, through, thread, stood }] of this.#open) {
      const stoodStill = thread.stoodStill(this.#now) - stood;
      const within = writeEndsMs + stoodStill + (op.tunnel ? op.takes : 0);
      // In the order in which they were asked.
      if (this.#now - at <= writeEndsMs) break;
      if (this.#now - at > within)
        throw new Breach('each write ends', `write ${op.id} through ${through} hangs for ${this.#now - at} ms`);
    }
    if (this.#site.world.calm && this.#pendingSince !== null && this.#pendingFor() > failoverEndsMs)
      throw new Breach(
        'each failover ends',
        `epoch ${this.record?.epoch} is pending ${failoverEndsMs} ms after the faults stopped: ${this.#site.world.picture()}`,
      );
  }

  /** Open everywhere, with leave to write, and nothing that waits for anybody. */
  isWell(): boolean {
    return this.#site.sides.every(({ unit: { host, machine } }) => {
      if (this.#site.world.isOut(host)) return true;
      const status = machine?.status(this.#site.pool);
      const record = status?.record;
      const isOpen = record?.phase === 'open' && record.epoch === this.opened && record.returning.length === 0;
      return isOpen && status?.writeUntil != null;
    });
  }

  atEnd(): void {
    const primary = this.#target!;
    const lost = this.#acked.filter((id) => !primary.has.has(id));
    if (lost.length > 0)
      throw new Breach(
        'acknowledged writes stay',
        `${primary.name} lost ${lost.length} acknowledged writes while it was primary`,
      );
    if (this.#writtenSince === 0) throw new Breach('comes good', 'no write was ever sent');
  }
}

/** Schedules begin then. */
export const firstFaultMs: Millis = 3000;
