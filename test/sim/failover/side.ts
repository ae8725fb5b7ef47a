/** One pool on one member: its prober, its data threads, and what they share. */
import type { Millis } from '../../../src/base/ids.ts';
import type { BoardWrite, NodeReport } from '../../../src/cluster/failover/contract.ts';
import type { AppNode } from './nodes.ts';
import { Prober } from './prober.ts';
import type { Site } from './site.ts';
import { DataThread, Shared, type TrafficWorld } from './traffic.ts';
import type { Unit } from './unit.ts';

const heldMs: Millis = 4;
const threadsPerMember = 2;

export class Side {
  readonly unit: Unit;
  readonly site: Site;
  shared = new Shared();
  threads: DataThread[] = [];
  prober: Prober | null = null;
  /** By name, as its process has loaded them. */
  machines: ReadonlyMap<string, AppNode> = new Map();
  /** Step of the record that the machine has. */
  step = 0;
  #telling = false;
  readonly #up = new Map<string, boolean>();

  constructor(unit: Unit, site: Site) {
    this.unit = unit;
    this.site = site;
  }

  start(): void {
    const { unit, site } = this;
    const { run } = unit;
    this.shared = new Shared();
    this.step = 0;
    this.#telling = false;
    this.#up.clear();
    this.machines = site.machinesOf(unit);
    const { witness } = unit;
    this.threads = Array.from({ length: witness ? 0 : threadsPerMember }, () => this.#thread(run));
    this.prober = new Prober(site.policyOf(unit), {
      now: () => unit.host.now(),
      after: (ms, what) => unit.after(ms, what),
      awake: () => unit.host.awake,
      probe: (node, answer) => site.probe(unit, node, (got) => unit.run === run && answer(got)),
      report: (report) => this.#report(report),
    });
  }

  #thread(run: number): DataThread {
    const { unit, site } = this;
    const { world } = site;
    const mine =
      <T extends unknown[]>(what: (...of: T) => void) =>
      (...of: T): void => {
        if (unit.run === run) what(...of);
      };
    const outside: TrafficWorld = {
      habits: world.dataHabits,
      now: () => unit.host.now(),
      wall: () => unit.host.clock.wall(world.queue.now),
      after: (ms, what) => unit.after(ms, what),
      gapMs: () => (world.random.next() < 0.9 ? 0 : world.random.next() * 60),
      machineOf: (node) => this.machines.get(node) ?? null,
      connect: (_op, node, connected) => site.connect(unit, node, mine(connected)),
      send: (op, to, back) =>
        site.send(unit, op, {
          ...{ ...to, thread },
          back: { answer: mine((answer) => back.answer(answer)), message: mine(() => back.message()) },
        }),
      passes: (op, epoch) => site.checker.passes(op, epoch),
      stands: (op, how) => site.checker.stands(op, how, thread),
      isUp: (node) => this.#up.get(node) === true,
      reads: (read, to) => site.checker.reads(read, { ...to, node: site.nodeOf(unit, to.node) }),
      covered: (what) => world.covered(what),
    };
    const thread: DataThread = new DataThread(this.shared, outside);
    return thread;
  }

  /** Its last check found that node well. */
  finds(node: string): boolean {
    return this.#up.get(node) === true;
  }

  die(): void {
    for (const thread of this.threads) thread.die();
    this.threads = [];
    this.prober = null;
  }

  reload(): void {
    const before = this.machines;
    this.machines = this.site.machinesOf(this.unit);
    for (const [id, machine] of before) if (this.machines.get(id) !== machine) this.shared.positions.delete(id);
    this.prober?.reload(this.site.policyOf(this.unit));
  }

  /** As the data path keeps them: of nodes that take reads, of this epoch only. */
  #report(report: NodeReport): void {
    const { node, up, epoch, position } = report;
    this.#up.set(node, up === true);
    const { record, positions } = this.shared;
    if (up === true && record.readers.includes(node)) {
      if (epoch !== null && epoch < record.epoch) positions.delete(node);
      else if (position !== null) positions.set(node, position);
    }
    this.site.checker.detection.reports(this.unit, report);
    this.unit.give({ kind: 'report', report });
  }

  write(board: BoardWrite): void {
    this.shared.write(board);
    if (board.fencing) this.#tellHeld();
    const { epoch, node } = board;
    for (const thread of this.threads)
      this.unit.after(this.site.world.handOverMs(), () => (thread.snapshot = { epoch, node }));
  }

  #tellHeld(): void {
    if (this.#telling) return;
    this.#telling = true;
    this.unit.after(heldMs, () => {
      this.#telling = false;
      const { writing, passed, record } = this.shared;
      if (!record.fencing) return;
      this.#tellHeld();
      if (this.unit.host.awake) this.unit.give({ kind: 'held', pool: this.site.pool, writing, passed });
    });
  }
}
