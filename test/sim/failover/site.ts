/**
 * One pool of a world: its nodes, what each member's file says of them, the way between the two, and who judges it all.
 *
 * Rows of a file are replaced while it runs: one member after the other takes the new file, each unless the pool's record
 * stands against it, as a reload does. Until all have it, some go to the old machine and some to the new.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { HookRun } from '../../../src/cluster/failover/contract.ts';
import type { PoolPolicy, PoolRecord } from '../../../src/cluster/failover/model.ts';
import { oneOf, type Queue } from '../queue.ts';
import { Checker } from './checker.ts';
import { AppNode, type NodeAnswer, type NodeWorld, type Style, type Write } from './nodes.ts';
import { Operator } from './operator.ts';
import { filePolicy, type PoolKind, type Row } from './policies.ts';
import type { Side } from './side.ts';
import type { Leave, Op } from './traffic.ts';
import type { ProbeAnswer, Unit } from './unit.ts';
import type { FailoverWorld } from './world.ts';

/** What the data path waits for an answer, at most. */
export const answerMs: Millis = 8000;
/** Writes of the cluster before, in a pool that has one. */
const formerWrites = Array.from({ length: 20 }, (_, i) => -1 - i);
export const formerEpoch = 6;

type SendBack = { answer(answer: NodeAnswer): void; message(): void };

export class Site implements NodeWorld {
  readonly pool: string;
  readonly kind: PoolKind;
  readonly world: FailoverWorld;
  readonly checker: Checker;
  readonly operator: Operator;
  /** Those that belong to it now, in both of two files while one replaces the other. */
  nodes: AppNode[] = [];
  /** All that ever did, and where wrong files lead to. */
  readonly machines = new Map<string, AppNode>();
  /** Members whose file has a node elsewhere, by member and node. */
  readonly moved = new Set<string>();
  /** Members whose policy is another. */
  readonly other = new Set<string>();
  #rows: readonly (readonly Row[])[];
  /** By member; the first if it is not here. */
  readonly #version = new Map<string, number>();
  #rolling = false;
  #made = 0;

  constructor(pool: string, kind: PoolKind, world: FailoverWorld) {
    this.pool = pool;
    this.kind = kind;
    this.world = world;
    this.checker = new Checker(this);
    this.operator = new Operator(this);
    const ids = ['a', 'b', 'c'].slice(0, kind.nodes);
    this.nodes = ids.map((id) => this.#make(id, id === 'a'));
    this.#rows = [this.nodes.map(({ id, url }) => ({ id, url }))];
    if (kind.former) this.#comeFromBefore();
  }

  /** The second was primary; the others lack its last writes. */
  #comeFromBefore(): void {
    for (const node of this.nodes) {
      const primary = node.id === 'b';
      node.comesFrom(formerEpoch, primary ? formerWrites : formerWrites.slice(0, 15), primary);
    }
    this.checker.hadBefore(formerWrites);
  }

  #make(id: string, primary = false, host = id): AppNode {
    const name = this.pool === 'app' ? host : `${this.pool}/${host}`;
    const node: AppNode = new AppNode({ id, host: name, primary }, this, () => this.nodes);
    this.machines.set(node.url, node);
    return node;
  }

  /** Another machine, that a wrong file leads to. */
  #decoy(id: string): AppNode {
    const url = `elsewhere-${id}`;
    const known = this.machines.get(`http://${url}:3000`);
    if (known !== undefined) return known;
    const { queue, random } = this.world;
    const world: NodeWorld = {
      ...{ queue, random, style: 'shared' as const },
      covered: () => {},
      note: () => {},
      begun: () => {},
      promoted: () => {},
    };
    const decoy: AppNode = new AppNode({ id, host: url, primary: false }, world, () => [decoy]);
    this.machines.set(decoy.url, decoy);
    return decoy;
  }

  // Files.

  #fileOf(member: string): readonly Row[] {
    return this.#rows[this.#version.get(member) ?? 0]!;
  }

  policyOf({ name }: Unit): PoolPolicy {
    return filePolicy(this.pool, this.kind, {
      rows: this.#fileOf(name),
      version: this.#version.get(name) ?? 0,
      moved: (node) => this.moved.has(`${name} ${node}`),
      other: this.other.has(name),
    });
  }

  /** What the file that this member has loaded means by this name; undefined: it has no such node. */
  nodeOf(unit: Unit, id: string): AppNode | undefined {
    return unit.sideOf(this).machines.get(id);
  }

  /** As its file says now. */
  machinesOf({ name }: Unit): ReadonlyMap<string, AppNode> {
    const machine = ({ id, url }: Row): AppNode =>
      this.moved.has(`${name} ${id}`) ? this.#decoy(id) : this.machines.get(url)!;
    return new Map(this.#fileOf(name).map((row) => [row.id, machine(row)]));
  }

  /** A node that nobody needs just now gives its row to a machine that is new, by its own name (`move`) or by another. */
  replace(how: string): void {
    // What only the last primary has is not to be thrown away either.
    const held = [...heldBy(this.checker.record), this.checker.record?.last?.target.url];
    const rows = this.#rows.at(-1)!;
    const row = oneOf(
      this.world.random,
      rows.filter(({ url }) => !held.includes(url)),
    );
    if (row === undefined || this.#rolling || this.checker.record === null) return;
    this.#made += 1;
    const id = how === 'move' ? row.id : `n${this.#made}`;
    const machine = this.#make(id, false, `${id}-${this.#made}`);
    this.nodes = [...this.nodes, machine];
    machine.joins();
    this.#rows = [...this.#rows, rows.map((one) => (one === row ? { id, url: machine.url } : one))];
    this.#rolling = true;
    this.note('files', `${row.id} at ${row.url} is replaced by ${id} at ${machine.url}`);
    for (const host of this.world.hosts)
      this.world.queue.after(this.world.random.next() * 2500, () => this.#take(host.name, this.#rows.length - 1));
  }

  #take(member: string, version: number): void {
    if (this.#version.get(member) === version) return;
    const unit = [...this.world.units.values()].find(({ name }) => name === member)!;
    // A process that stands still reloads afterwards.
    if (unit.machine !== null && !unit.host.awake) {
      this.world.queue.after(filesMs, () => this.#take(member, version));
      return;
    }
    const urls = this.#rows[version]!.map(({ url }) => url);
    const status = unit.machine?.status(this.pool);
    if (status != null && heldBy(status.record).some((url) => !urls.includes(url))) {
      this.covered('files: a reload was refused');
      return;
    }
    this.#version.set(member, version);
    this.covered('files: rows were replaced');
    if (status != null) unit.reload();
    this.#settle();
  }

  #isOneFile(): boolean {
    const [first, ...others] = this.world.hosts.map(({ name }) => this.#fileOf(name));
    return others.every((file) => file === first);
  }

  /** The old machine goes once nobody's file has it. */
  #settle(): void {
    const urls = new Set(this.world.hosts.flatMap(({ name }) => this.#fileOf(name).map(({ url }) => url)));
    const left = this.nodes.filter(({ url }) => !urls.has(url));
    if (!this.#isOneFile()) return;
    this.#rolling = false;
    for (const node of left) node.crash();
    this.nodes = this.nodes.filter(({ url }) => urls.has(url));
  }

  heal(): void {
    this.moved.clear();
    this.other.clear();
    for (const node of this.nodes) {
      node.cluster = null;
      if (!node.alive) node.start();
      node.hung = false;
      node.deaf = false;
    }
    this.#filesMeet();
  }

  /** When the faults stop: all come to one file, the newest that has whoever is primary. */
  #filesMeet(): void {
    if (!this.#isOneFile()) this.world.queue.after(filesMs, () => this.#filesMeet());
    const record = this.checker.record;
    const held = heldBy(record);
    const fits = (rows: readonly Row[]): boolean => held.every((url) => rows.some((row) => row.url === url));
    const version = this.#rows.findLastIndex(fits);
    if (version === -1 || record?.phase === 'pending') return;
    for (const { name } of this.world.hosts) this.#take(name, version);
  }

  // The way between members and nodes.

  way(from: string, to: string, then: () => void, late = 0): void {
    this.world.way(from, to, then, late);
  }

  keyOf(id: string): string {
    return this.pool === 'app' ? id : `${this.pool}/${id}`;
  }

  probe(unit: Unit, id: string, answer: (answer: ProbeAnswer) => void): void {
    const node = this.nodeOf(unit, id);
    if (node === undefined) return;
    const key = this.keyOf(id);
    const epoch = unit.host.body?.replica.pools.get(this.pool)?.epoch ?? 0;
    this.checker.detection.asks(unit, id);
    this.way(unit.name, key, () => {
      if (!node.alive) return this.way(key, unit.name, () => answer({ kind: 'refused' }));
      if (node.hung) return;
      if (epoch > 0) node.findPlace();
      const health = node.health(epoch);
      const knows = node.synced || node.role === 'primary' || this.style === 'shared';
      this.way(key, unit.name, () => answer({ kind: 'answer', ok: knows, ...health }));
    });
  }

  connect(unit: Unit, id: string, connected: (ok: boolean) => void): void {
    const node = this.nodeOf(unit, id);
    const { random } = this.world;
    const dice = random.next();
    // One that is kept open, unless its end came; else a new one, whose first packet may be lost.
    if (node?.alive === true && dice < 0.5) return connected(true);
    const key = this.keyOf(id);
    unit.after(connectMs, () => connected(false));
    if (node === undefined) return;
    const late = dice > 0.97 ? random.next() * connectMs : 0;
    // The kernel takes connections for a process that stands still.
    this.way(unit.name, key, () => this.way(key, unit.name, () => connected(node.alive)), late);
  }

  send(unit: Unit, op: Op, to: Leave & { readonly thread: object; readonly back: SendBack }): void {
    const node = this.nodeOf(unit, to.node);
    const none = (why: string): NodeAnswer => ({ ok: false, position: null, why });
    if (node === undefined) return to.back.answer(none('its row is gone'));
    const key = this.keyOf(to.node);
    this.checker.sends(unit, op, { epoch: to.epoch, node, thread: to.thread });
    const write: Write = { id: op.id, epoch: to.epoch, takes: op.takes };
    const back = (answer: NodeAnswer): void => this.way(key, unit.name, () => to.back.answer(answer));
    const message = (): void => this.way(key, unit.name, () => to.back.message());
    const { lateMs, random } = this.world;
    const late = lateMs > 0 && random.next() < 0.3 ? random.next() * lateMs : 0;
    if (late > 1000) this.covered('data: bytes came late');
    this.way(
      unit.name,
      key,
      () => {
        if (!node.alive) back(none('reset'));
        else if (node.hung) return;
        else if (op.tunnel) node.tunnel(write, { message, answer: back });
        else node.write(write, back);
      },
      late,
    );
    unit.after(answerMs + (op.tunnel ? op.takes : 0), () => to.back.answer(none('no answer in time')));
  }

  runHook(unit: Unit, run: HookRun, done: (answer: NodeAnswer) => void): void {
    this.checker.hookStarts(unit, run);
    this.covered(`hook: ${run.kind}`);
    this.world.happened(run.kind, this);
    const { random, queue, calm, dataHabits } = this.world;
    const left = run.deadline - unit.host.now();
    const no = (why: string): NodeAnswer => ({ ok: false, position: null, why });
    unit.after(Math.max(0, left), () => done(no('no answer in time')));
    const node = this.nodeOf(unit, run.target.node);
    const dice = random.next();
    // At once, or at any time up to its deadline; the answer may not come.
    const until = Math.max(1, left - 5) + (dataHabits.endsHooks ? 0 : lateHookMs);
    const takes = dice < 0.75 ? 1 + random.next() * 30 : random.next() * until;
    const mute = !calm && random.next() < 0.1;
    if (node === undefined) return;
    const key = this.keyOf(run.target.node);
    this.way(unit.name, key, () => {
      if (!node.alive) return this.way(key, unit.name, () => done(no('refused')));
      if (node.hung) return;
      if (!this.world.calm && random.next() < node.hookFails)
        return this.way(key, unit.name, () => done(no('the hook says no')));
      // Whatever becomes of who asked: the handler runs.
      queue.at(queue.now + takes * 0.99, () => {
        if (!node.answers) return;
        const answer = node.hook(run.kind, run.epoch);
        this.note(node.name, `${run.kind} of epoch ${run.epoch}: ${answer.ok ? 'done' : answer.why}`);
        this.covered(`hook: ${run.kind} ${answer.ok ? 'took effect' : 'refused by the node'}`);
        if (!mute) this.way(key, unit.name, () => done(answer));
      });
    });
  }

  // Nodes.

  get queue(): Queue {
    return this.world.queue;
  }

  get random() {
    return this.world.random;
  }

  get style(): Style {
    return this.kind.style;
  }

  get sides(): readonly Side[] {
    return [...this.world.units.values()].flatMap(({ sides }) => sides.filter(({ site }) => site === this));
  }

  begun(node: AppNode, write: Write): void {
    this.checker.begun(node, write);
  }

  promoted(node: AppNode, epoch: number): void {
    this.note(node.name, `is promoted, epoch ${epoch}`);
    this.checker.promoted(node, epoch);
  }

  note(who: string, text: string): void {
    this.world.note(who, this.pool === 'app' ? text : `${this.pool}: ${text}`);
  }

  covered(what: string): void {
    this.world.covered(what);
  }
}

/** A node that takes no connection within this is like one that refuses it. */
const connectMs: Millis = 1000;
const filesMs: Millis = 500;
const lateHookMs: Millis = 6000;

/** The urls that a reload may not take away. */
export function heldBy(record: PoolRecord | null): readonly string[] {
  if (record === null || record.phase === 'failed' || record.phase === 'undecided') return [];
  const held = record.target === null ? [] : [record.target.url];
  return record.phase === 'pending' && record.last !== null ? [...held, record.last.target.url] : held;
}
