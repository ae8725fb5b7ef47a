/**
 * Health of all pools as one pure machine. Its driver (io/monitor.ts) does three things: runs the probes that `due`
 * hands out and brings their results to `probed`, calls `tick` at `wakeAt`, and takes the consequences from `settle`.
 *
 *   configure, wish, report, probed, tick   -->  records of nodes (entry.ts)  --settle-->  changes, lines for the log
 *
 * Inputs only change records and mark pools; settle judges each marked pool once, so that a thousand results in one
 * turn of the loop cost one judgement. A change is told exactly once: when a node's verdict, wish, fitness or weight
 * differs from what was last told.
 */
import { assert } from '../base/assert.ts';
import type { Millis, NodeId } from '../base/ids.ts';
import type { Wish } from '../base/node-state.ts';
import type { Random } from '../base/random.ts';
import { err, ok, type Result } from '../base/result.ts';
import { TimeHeap } from '../base/time-heap.ts';
import { type HealthAnswer, plainAnswer } from './answer.ts';
import type { NodeHealthReport, NodeHealthView, PassiveSignal, PoolHealthView, PoolLead } from './contract.ts';
import { eject, onSuccess, onTime } from './eject.ts';
import {
  advanceRamp,
  factsOf,
  fallOf,
  type Instant,
  isPrimary,
  isProbed,
  isUnprobed,
  type NodeEntry,
  newEntry,
  type PoolEntry,
  reportOf,
  setCheck,
  setEjection,
  viewOf,
} from './entry.ts';
import { adaptCheck, afterCheck, initialCheck } from './node.ts';
import type { HealthPolicy, NodeSpec, PoolSpec } from './policy.ts';
import { isEligible, mayEject } from './pool.ts';
import { ProbeQueue } from './probe-queue.ts';
import { nextProbeAt, rescheduled } from './schedule.ts';
import { type HealthChange, type HealthLine, judgePool } from './settle.ts';
import { slowStartTick } from './slow-start.ts';

export interface ProbeResult {
  readonly ok: boolean;
  /** `200 in 3 ms`, `connect ECONNREFUSED 10.0.0.11:3000`, `timed out after 1 s`. */
  readonly detail: string;
  readonly durationMs: Millis;
  /** The connection was refused: nobody listens there. */
  readonly refused: boolean;
  /** The node could not be asked, for want of something here (descriptors, ports): it says nothing of the node. */
  readonly unasked?: boolean;
  readonly answer: HealthAnswer;
}

/** A probe to run now. Give it back to `probed` with its result, whatever happens. */
export interface ProbeJob {
  readonly pool: string;
  readonly node: NodeSpec;
  readonly policy: HealthPolicy;
  readonly startedAt: Millis;
  /** Of the pool, for the node to know; 0: none. */
  readonly epoch: number;
  readonly entry: NodeEntry;
}

export interface Consequences {
  readonly changes: readonly HealthChange[];
  readonly lines: readonly HealthLine[];
  /** Of pools with failover: of each check that ended, in order. */
  readonly reports: readonly NodeHealthReport[];
}

const never = Number.POSITIVE_INFINITY;
const noLead: PoolLead = { node: null, epoch: 0 };
/** The same trouble of our own is told again after this. */
const unaskedToldEvery: Millis = 60_000;

export class HealthMachine {
  readonly #random: Random;
  #pools = new Map<string, PoolEntry>();
  readonly #probes = new ProbeQueue();
  /** By when an ejection is over. */
  readonly #ejections = new TimeHeap<NodeEntry>();
  readonly #ramping = new Set<NodeEntry>();
  #rampAt: Millis = never;
  readonly #unprobed = new Set<NodeEntry>();
  #lines: HealthLine[] = [];
  #reports: NodeHealthReport[] = [];
  #unaskedToldAt = Number.NEGATIVE_INFINITY;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Nodes of which nothing is known yet because their first probe has not ended. */
  get unprobed(): number {
    return this.#unprobed.size;
  }

  /** Takes a new set of pools. A node of the same pool, id and url keeps all that is known of it. */
  configure(specs: readonly PoolSpec[], at: Instant): void {
    const before = this.#pools;
    this.#pools = new Map();
    for (const spec of specs) this.#pools.set(spec.name, this.#configurePool(spec, before.get(spec.name), at));
    for (const [name, pool] of before) {
      const kept = this.#pools.get(name);
      for (const entry of pool.nodes) if (kept?.byId.get(entry.spec.id) !== entry) this.#remove(entry);
    }
  }

  #configurePool(spec: PoolSpec, before: PoolEntry | undefined, at: Instant): PoolEntry {
    const old = before === undefined ? new Map<NodeId, NodeEntry>() : new Map(before.byId);
    const pool: PoolEntry = before ?? {
      spec,
      nodes: [],
      byId: new Map(),
      dirty: true,
      panic: false,
      fit: 0,
      lead: noLead,
    };
    const unlike = before === undefined ? null : before.spec;
    pool.spec = spec;
    pool.dirty = true;
    pool.byId.clear();
    pool.nodes = spec.nodes.map((node) => {
      const known = old.get(node.id);
      const kept = known !== undefined && known.spec.url === node.url;
      if (known !== undefined && !kept) this.#remove(known);
      const entry = kept ? known : newEntry(pool, node, at);
      if (kept) this.#update(entry, node, { policyChanged: unlike?.health !== spec.health, at });
      else this.#probes.schedule(entry, at.now);
      this.#track(entry);
      pool.byId.set(node.id, entry);
      return entry;
    });
    for (const entry of old.values()) if (pool.byId.get(entry.spec.id) !== entry) this.#remove(entry);
    return pool;
  }

  #update(entry: NodeEntry, spec: NodeSpec, context: { policyChanged: boolean; at: Instant }): void {
    const { now } = context.at;
    const wishChanged = spec.wish !== entry.spec.wish;
    const policy = entry.pool.spec.health;
    entry.spec = spec;
    if (context.policyChanged) {
      setCheck(entry, adaptCheck(entry.check, policy), now);
      if (policy === null) this.#stopProbing(entry);
      else if (entry.probe.at === 'waiting' && isProbed(entry)) {
        const due = entry.everProbed ? rescheduled(entry.probe.due, now, { state: entry.check, policy }) : now;
        this.#probes.schedule(entry, due);
      }
    }
    if (wishChanged) this.#setWish(entry, spec.wish, now);
  }

  #remove(entry: NodeEntry): void {
    entry.gone = true;
    this.#unprobed.delete(entry);
    this.#ramping.delete(entry);
  }

  /** Who is primary of a pool from now on. An unknown pool is ignored. */
  lead(pool: string, lead: PoolLead): void {
    const found = this.#pools.get(pool);
    if (found !== undefined) found.lead = lead;
  }

  /** Asks for a check of a node now; at most 20 a second are made. */
  probeNow(pool: string, node: NodeId, at: Instant): void {
    const entry = this.#find(pool, node);
    if (typeof entry !== 'string') this.#probes.urgent(entry, at.now);
  }

  /** The operator's wish for a node. The error says in words why it can't be taken. */
  wish(pool: string, node: NodeId, wish: Wish, at: Instant): Result<null, string> {
    const entry = this.#find(pool, node);
    if (typeof entry === 'string') return err(entry);
    this.#setWish(entry, wish, at.now);
    return ok(null);
  }

  #setWish(entry: NodeEntry, wish: Wish, now: Millis): void {
    const before = entry.wish;
    if (before === wish) return;
    entry.wish = wish;
    entry.pool.dirty = true;
    if (wish === 'maint') {
      setCheck(entry, initialCheck(entry.pool.spec.health), now);
      this.#stopProbing(entry);
    } else if (before === 'maint') {
      this.#probes.urgent(entry, now);
    }
    this.#track(entry);
    this.#tellReport(entry);
  }

  #tellReport(entry: NodeEntry): void {
    if (entry.pool.spec.failover) this.#reports.push(reportOf(entry));
  }

  /** What real traffic said, in a sentence that can stand alone. Unknown pools and nodes are ignored: a reload may have passed the signal on its way. */
  report(pool: string, node: NodeId, told: { signal: PassiveSignal; detail: string }, at: Instant): void {
    const entry = this.#find(pool, node);
    if (typeof entry === 'string') return;
    const { signal, detail } = told;
    const { now } = at;
    setEjection(entry, onTime(entry.ejection, now));
    if (signal === 'success') {
      setEjection(entry, onSuccess(entry.ejection, now));
      return;
    }
    if (entry.ejection.at === 'probation') this.#eject(entry, now, `its request on probation failed: ${detail}`);
    const { health } = entry.pool.spec;
    if (signal === 'errors') this.#consider(entry, now, detail);
    if (signal === 'refused' && health === null) this.#consider(entry, now, `connection refused: ${detail}`);
    if (signal === 'refused' || signal === 'reset') this.#countFailure(entry, now, detail);
    if (signal === 'refused' || signal === 'reset' || signal === 'timeout') this.#probes.urgent(entry, now);
  }

  /**
   * Traffic's failure counts as one failed check, once between two real ones: it can't take a node down that answers
   * its checks (unless `fall` is 1), whatever a client makes it do to its connections. A primary is judged by checks alone.
   */
  #countFailure(entry: NodeEntry, now: Millis, detail: string): void {
    const policy = entry.pool.spec.health;
    if (policy === null || entry.check.at !== 'up' || entry.trafficCounted || entry.wish === 'maint') return;
    if (entry.pool.spec.failover && isPrimary(entry)) return;
    entry.trafficCounted = true;
    setCheck(entry, afterCheck(entry.check, { ok: false, detail }, policy), now);
  }

  /** Ejects a node that is in, if its pool can do without. One that takes no new traffic is out already. */
  #consider(entry: NodeEntry, now: Millis, cause: string): void {
    const { nodes, spec } = entry.pool;
    if (entry.ejection.at !== 'in' || spec.passive.consecutiveErrors === 0) return;
    if (!isEligible(factsOf(entry))) return;
    const limits = { maxEjected: spec.passive.maxEjected, panicThreshold: spec.panicThreshold };
    if (mayEject(nodes.map(factsOf), nodes.indexOf(entry), limits)) this.#eject(entry, now, cause);
    else if (now - entry.refusalToldAt >= spec.passive.ejectBase) this.#refuseEjection(entry, now, cause);
  }

  #refuseEjection(entry: NodeEntry, now: Millis, cause: string): void {
    const { spec } = entry.pool;
    entry.refusalToldAt = now;
    this.#lines.push({
      level: 'warn',
      event: 'ejection-refused',
      message: `node ${spec.name}/${entry.spec.id} is not ejected: ${cause}; too few other nodes are fit`,
      fields: { pool: spec.name, node: entry.spec.id },
    });
  }

  #eject(entry: NodeEntry, now: Millis, cause: string): void {
    const next = eject(entry.ejection, now, { cause, policy: entry.pool.spec.passive });
    setEjection(entry, next);
    if (next.at === 'ejected') this.#ejections.push(next.until, entry);
  }

  /** Probes that are due, at most `limit`; each counts as running from now on. */
  due(limit: number, at: Instant): readonly ProbeJob[] {
    const jobs: ProbeJob[] = [];
    while (jobs.length < limit) {
      const entry = this.#probes.begin(at.now);
      if (entry === undefined) break;
      const { spec, lead } = entry.pool;
      const { name, health } = spec;
      assert(health !== null, `pool ${name} has a probe due but no health check`);
      jobs.push({ pool: name, node: entry.spec, policy: health, startedAt: at.now, epoch: lead.epoch, entry });
    }
    return jobs;
  }

  /** The result of a probe that `due` handed out. */
  probed(job: ProbeJob, result: ProbeResult, at: Instant): void {
    const { entry } = job;
    const asked = this.#probes.end(entry);
    const policy = entry.pool.spec.health;
    if (asked === null || policy === null || !isProbed(entry)) return;
    if (asked.discard || isStalled(job, result)) {
      this.#probes.urgent(entry, at.now);
      return;
    }
    const first = !entry.everProbed;
    if (result.unasked === true) this.#tellUnasked(result.detail, at.now);
    else this.#take(entry, result, { policy, at });
    const end = { state: entry.check, startedAt: job.startedAt, now: at.now, refused: result.refused, first };
    if (asked.again) this.#probes.urgent(entry, at.now);
    else this.#probes.schedule(entry, nextProbeAt(end, policy, this.#random));
  }

  /** Nodes keep what was known of them: a process that is out of descriptors must not take all of them down. */
  #tellUnasked(detail: string, now: Millis): void {
    if (now - this.#unaskedToldAt < unaskedToldEvery) return;
    this.#unaskedToldAt = now;
    this.#lines.push({
      level: 'error',
      event: 'checks-impossible',
      message: `health checks can not be made: ${detail}; verdicts stay as they are until they can`,
      fields: {},
    });
  }

  #take(entry: NodeEntry, result: ProbeResult, context: { policy: HealthPolicy; at: Instant }): void {
    const { policy, at } = context;
    entry.everProbed = true;
    entry.trafficCounted = false;
    entry.lastCheck = { ok: result.ok, detail: result.detail, durationMs: result.durationMs, at: at.wall };
    entry.lastEnd = { at: at.now, refused: result.refused };
    setCheck(entry, afterCheck(entry.check, result, { rise: policy.rise, fall: fallOf(entry, policy) }), at.now);
    if (result.ok) {
      const { says, share } = entry.answer;
      if (says !== result.answer.says || share !== result.answer.share) entry.pool.dirty = true;
      entry.answer = result.answer;
    }
    this.#track(entry);
    this.#tellReport(entry);
  }

  /** Lets time pass: ejections end, slow start goes on. */
  tick(at: Instant): void {
    while (this.#ejections.peekAt() <= at.now) {
      const entry = this.#ejections.pop();
      if (entry !== undefined && !entry.gone) setEjection(entry, onTime(entry.ejection, at.now));
    }
    if (at.now < this.#rampAt) return;
    for (const entry of this.#ramping) {
      advanceRamp(entry, at.now);
      if (entry.ramp === null) this.#ramping.delete(entry);
    }
    this.#rampAt = this.#ramping.size === 0 ? never : at.now + slowStartTick;
  }

  /** Judges what was touched since the last time. Each change is handed out once. */
  settle(at: Instant): Consequences {
    const changes: HealthChange[] = [];
    const lines = this.#lines;
    const reports = this.#reports;
    this.#lines = [];
    this.#reports = [];
    for (const pool of this.#pools.values()) {
      if (!pool.dirty) continue;
      pool.dirty = false;
      judgePool(pool, at, { changes, lines });
      for (const entry of pool.nodes) if (entry.ramp !== null) this.#ramping.add(entry);
    }
    if (this.#ramping.size > 0 && this.#rampAt === never) this.#rampAt = at.now + slowStartTick;
    return { changes, lines, reports };
  }

  /** When to call again: the next probe (if there is room for one), end of an ejection, step of slow start. */
  wakeAt(roomForProbes: boolean): Millis {
    return Math.min(this.#ejections.peekAt(), this.#rampAt, roomForProbes ? this.#probes.nextAt() : never);
  }

  views(at: Instant): NodeHealthView[] {
    return [...this.#pools.values()].flatMap((pool) => pool.nodes.map((entry) => viewOf(entry, at)));
  }

  /** Of all nodes of pools with failover, as they are now. */
  reports(): NodeHealthReport[] {
    const pools = [...this.#pools.values()].filter(({ spec }) => spec.failover);
    return pools.flatMap(({ nodes }) => nodes.map(reportOf));
  }

  /** An unknown pool has no nodes. */
  pool(name: string): PoolHealthView {
    const pool = this.#pools.get(name);
    return { pool: name, panic: pool?.panic ?? false, fit: pool?.fit ?? 0, total: pool?.nodes.length ?? 0 };
  }

  #find(pool: string, node: NodeId): NodeEntry | string {
    const found = this.#pools.get(pool);
    if (found === undefined) return `there is no pool ${pool}`;
    return found.byId.get(node) ?? `pool ${pool} has no node ${node}`;
  }

  /** Forgets what checks have said, and the result of one that runs. */
  #stopProbing(entry: NodeEntry): void {
    entry.answer = plainAnswer;
    entry.lastCheck = null;
    entry.everProbed = false;
    this.#probes.stop(entry);
  }

  #track(entry: NodeEntry): void {
    if (isUnprobed(entry)) this.#unprobed.add(entry);
    else this.#unprobed.delete(entry);
  }
}

/**
 * A failure that took far longer than the time-out allows: it was this process that stood still (stopped, swapped
 * out), not the node. It says nothing, and the probe is repeated.
 */
function isStalled(job: ProbeJob, result: ProbeResult): boolean {
  return !result.ok && result.durationMs > 2 * job.policy.timeout + 500;
}
