/**
 * The rules of failover, by world time and by what nodes and clients recorded.
 *
 *   A   no member begins a write of an epoch, and no client gets an answer of it, after a newer one opened
 *   B   a node that checks begins nothing of an epoch once it has seen a newer one
 *       as an epoch opens nobody has leave to write, or holds writes that may yet be answered, of one before
 *       one primary per epoch, for all members; no write is sent twice, or is twice in a node
 *       a hook starts only when its start is agreed, and promotes nobody once another is primary of a newer epoch
 *       where nodes replicate before they answer, a new primary has every acknowledged write
 *       each write ends
 *
 * An epoch is open from when the first member knows so.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { HookRun } from '../../../src/cluster/failover/contract.ts';
import type { PoolRecord } from '../../../src/cluster/failover/model.ts';
import { Breach } from '../breach.ts';
import type { AppNode, Write } from './nodes.ts';
import type { End, Op } from './traffic.ts';
import { pool, type Unit } from './unit.ts';
import type { FailoverWorld } from './world.ts';

/** Parking, and what the data path waits for an answer, with room. */
const endsWithin: Millis = 40_000;

export class Checker {
  readonly #world: FailoverWorld;
  #step = 0;
  #record: PoolRecord | null = null;
  /** The newest open epoch. */
  opened = 0;
  acknowledged = 0;
  #target: string | null = null;
  /** The url that writes of each epoch go to. */
  readonly #primary = new Map<number, string>();
  readonly #sent = new Set<number>();
  readonly #acked: number[] = [];
  readonly #begun = new Set<number>();
  readonly #open = new Map<number, { readonly at: Millis; readonly through: string }>();
  readonly #hooks = new Set<string>();
  #writtenSince = 0;

  constructor(world: FailoverWorld) {
    this.#world = world;
  }

  learned(record: PoolRecord): void {
    if (record.step <= this.#step) return;
    this.#step = record.step;
    const before = this.#record;
    this.#record = record;
    for (const { kind, node, epoch } of record.hooks) this.#hooks.add(`${kind} ${node} ${epoch}`);
    const { epoch, phase, target, reason } = record;
    if (before?.epoch !== epoch || before.phase !== phase) {
      this.#world.note('pool', `epoch ${epoch} ${phase}: ${target?.node} (${reason})`);
      this.#world.covered(`pool: ${phase} ${reason}`);
      if (before !== null) this.#world.covered(`edge: ${before.phase} > ${phase}`);
    }
    if (phase === 'open' && epoch > this.opened) this.#opens(record);
  }

  #opens({ epoch, target, reason }: PoolRecord): void {
    const { nodes, style, kind } = this.#world;
    this.opened = epoch;
    this.#target = target!.node;
    for (const unit of this.#world.units.values()) this.#noLeave(unit, epoch);
    const node = nodes.find(({ id }) => id === target!.node)!;
    const mustHave = style !== 'after' || kind.onlyNodes;
    const lost = this.#acked.filter((id) => !node.has.has(id));
    if (lost.length > 0 && mustHave)
      throw new Breach(
        'acknowledged writes stay',
        `${node.id} becomes primary of epoch ${epoch} (${reason}) without ${lost.length} acknowledged writes, as ${lost[0]}`,
      );
    if (lost.length > 0) this.#world.covered('after: acknowledged writes lost, as its replication allows');
    // What is lost so is not missed again.
    this.#acked.splice(0, this.#acked.length, ...this.#acked.filter((id) => node.has.has(id)));
  }

  /** By the record that its threads look at, and world time: what it could still do, though it may not come to do it. */
  #noLeave({ host, shared, machine }: Unit, epoch: number): void {
    const { record, writing } = shared;
    if (machine === null || host.pause === 'suspended' || record.epoch === 0 || record.epoch >= epoch) return;
    const left = host.clock.worldAt(record.cutAt) - this.#world.queue.now;
    if (left <= 0 || (record.fencing && writing === 0)) return;
    const what = record.fencing ? `holds ${writing} writes` : 'has leave to write';
    throw new Breach('A', `${host.name} ${what} of epoch ${record.epoch} for ${left.toFixed(1)} ms, ${epoch} is open`);
  }

  sends(unit: Unit, op: Op, to: { readonly epoch: number; readonly node: AppNode }): void {
    if (this.#sent.has(op.id)) throw new Breach('no write twice', `write ${op.id} is sent again by ${unit.name}`);
    this.#sent.add(op.id);
    if (to.epoch < this.opened)
      throw new Breach('A', `${unit.name} begins a write of epoch ${to.epoch}, and ${this.opened} is open`);
    if (to.epoch > this.opened) throw new Breach('A', `${unit.name} begins a write of epoch ${to.epoch}, not open yet`);
    const known = this.#primary.get(to.epoch) ?? to.node.id;
    this.#primary.set(to.epoch, known);
    if (known !== to.node.id)
      throw new Breach('one primary', `epoch ${to.epoch} has writes at ${known}, and of ${unit.name} at ${to.node.id}`);
    this.#writtenSince += 1;
  }

  begun(node: AppNode, write: Write): void {
    if (node.checks && write.epoch < node.seen)
      throw new Breach('B', `${node.id} begins a write of epoch ${write.epoch}, it has seen ${node.seen}`);
    if (this.#begun.has(write.id)) throw new Breach('no write twice', `write ${write.id} begins again on ${node.id}`);
    this.#begun.add(write.id);
    if (write.epoch < this.opened) this.#world.covered('node: begins what was sent before its epoch ended');
  }

  passes(op: Op, epoch: number): void {
    if (epoch < this.opened)
      throw new Breach('A', `an answer of epoch ${epoch} to write ${op.id} is passed on, and ${this.opened} is open`);
  }

  hookStarts(unit: Unit, { kind, target, epoch }: HookRun): void {
    if (!this.#hooks.has(`${kind} ${target.node} ${epoch}`))
      throw new Breach('hooks are agreed', `${unit.name} starts ${kind} of ${target.node}, epoch ${epoch}: not agreed`);
  }

  promoted(node: AppNode, epoch: number): void {
    if (epoch < this.opened && node.id !== this.#target)
      throw new Breach(
        'one promoted',
        `${node.id} is promoted for epoch ${epoch}, while ${this.#target} is primary of ${this.opened}`,
      );
  }

  asked(op: Op, through: string): void {
    this.#open.set(op.id, { at: this.#world.queue.now, through });
  }

  ended(op: Op, end: End): void {
    if (!this.#open.delete(op.id)) throw new Breach('each write ends once', `write ${op.id} ends again: ${end.kind}`);
    this.#world.covered(`write: ${end.kind}`);
    if (end.kind !== 'answered') return;
    this.acknowledged += 1;
    this.#acked.push(op.id);
  }

  /** Open everywhere, with leave to write, and nothing that waits for anybody. */
  isWell(): boolean {
    const { hosts, units, queue } = this.#world;
    for (const [id, { at, through }] of this.#open)
      if (queue.now - at > endsWithin) throw new Breach('each write ends', `write ${id} through ${through} hangs`);
    const leader = this.#world.leader();
    if (leader?.body?.status().raft?.ready !== true) return false;
    return hosts.every((host) => {
      const status = units.get(host)!.machine?.status(pool);
      const record = status?.record;
      const isOpen = record?.phase === 'open' && record.epoch === this.opened && record.returning.length === 0;
      return isOpen && status?.writeUntil != null;
    });
  }

  atEnd(): void {
    const { nodes } = this.#world;
    const primary = nodes.find(({ id }) => id === this.#target)!;
    const lost = this.#acked.filter((id) => !primary.has.has(id));
    if (lost.length > 0)
      throw new Breach(
        'acknowledged writes stay',
        `${primary.id} lost ${lost.length} acknowledged writes while it was primary`,
      );
    if (this.#writtenSince === 0) throw new Breach('comes good', 'no write was ever sent');
  }
}
