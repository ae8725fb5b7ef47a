/**
 * Whether a failover had a reason (AGREEMENT rules 5, 3.4, 4.3), by what the members' checks found, at world time.
 *
 *   a majority      an automatic failover begins only if most voters found the primary down just before, each so often in
 *                   a row as the policy wants
 *   looked at together   whoever finds it worse tells all, and they look at once
 *   still heard     where the policy says so, nobody takes over from a primary that a healthy node hears
 *   a rest          none comes sooner after another than the policy allows
 *   split brain     a member that found a node to know better than what is agreed begins no write
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { NodeReport } from '../../../src/cluster/failover/contract.ts';
import type { PoolRecord } from '../../../src/cluster/failover/model.ts';
import { Breach } from '../breach.ts';
import type { Site } from './site.ts';
import type { Unit } from './unit.ts';

/** Two intervals, words that come late, and a leader that stood still for less than an election. */
const downWithin: Millis = 5000;
/** Whoever is just looking ends that first (its time-out), then looks again. */
const togetherWithin: Millis = 650;
/** Members' clocks, and the way of a word. */
const slackMs: Millis = 60;

export class Detection {
  readonly #site: Site;
  /** By member and url: at n, when a check found it down for the n-th time in a row, or for more. */
  readonly #downAt = new Map<string, Millis[]>();
  readonly #askedAt = new Map<string, Millis>();
  readonly #last = new Map<string, { readonly report: NodeReport; readonly at: Millis }>();
  /** By member: since when its own checks contradict what is agreed, and whose. */
  readonly #foreign = new Map<string, { readonly run: number; readonly nodes: Set<string> }>();
  #failoverAt: Millis = Number.NEGATIVE_INFINITY;

  constructor(site: Site) {
    this.#site = site;
  }

  get #now(): Millis {
    return this.#site.world.queue.now;
  }

  asks(unit: Unit, node: string): void {
    this.#askedAt.set(`${unit.name} ${node}`, this.#now);
  }

  /** A check of its own has ended; told directly before the machine hears of it, if it is awake. */
  reports(unit: Unit, report: NodeReport): void {
    if (!unit.host.awake) return;
    const url = this.#site.nodeOf(unit, report.node)?.url;
    if (url === undefined) return;
    const key = `${unit.name} ${url}`;
    const at = this.#downAt.get(key) ?? [];
    for (let n = 1; n <= report.failures; n++) at[n] = this.#now;
    this.#downAt.set(key, at);
    const before = this.#last.get(key)?.report.failures ?? 0;
    this.#last.set(key, { report, at: this.#now });
    this.#notesForeign(unit, report);
    if (report.failures > before) this.#others(unit, report.node, url);
  }

  #notesForeign(unit: Unit, { node, epoch, cluster }: NodeReport): void {
    const record = unit.machine?.status(this.#site.pool)?.record ?? null;
    const known = this.#foreign.get(unit.name);
    const nodes = known?.run === unit.run ? known.nodes : new Set<string>();
    this.#foreign.set(unit.name, { run: unit.run, nodes });
    const another = cluster === 'another' && record !== null && (epoch ?? record.epoch) >= record.epoch;
    if (another) nodes.add(node);
    else nodes.delete(node);
  }

  /** Where only nodes fail nothing keeps the others from looking. */
  #others(unit: Unit, node: string, url: string): void {
    const { world, pool } = this.#site;
    const record = unit.machine?.status(pool)?.record;
    const threshold = this.#site.policyOf(unit).failureThreshold;
    const failures = this.#last.get(`${unit.name} ${url}`)!.report.failures;
    const watched = record?.phase === 'open' && record.target?.url === url && failures <= threshold;
    if (!world.kind.onlyNodes || world.calm || !watched || world.hosts.length === 1) return;
    const from = this.#now - slackMs;
    for (const other of world.units.values()) {
      const { run } = other;
      if (other === unit || other.machine === null || this.#now - other.startedAt < 1500) continue;
      world.queue.after(togetherWithin, () => {
        const looked = this.#askedAt.get(`${other.name} ${node}`) ?? Number.NEGATIVE_INFINITY;
        if (other.run === run && looked < from)
          throw new Breach('looked at together', `${other.name} does not look at ${node}, that ${unit.name} found bad`);
      });
    }
  }

  /** A leader is about to propose. */
  proposes(unit: Unit, record: PoolRecord): void {
    const before = unit.machine?.status(this.#site.pool)?.record ?? null;
    if (before?.phase === 'pending' && record.phase === 'open' && record.reason === 'failover')
      this.#failoverAt = this.#now;
    const begins = before?.phase === 'open' && record.phase === 'pending' && record.epoch > before.epoch;
    if (!begins || record.reason !== 'failover' || record.allowed !== null) return;
    const { node, url } = before.target!;
    const policy = this.#site.policyOf(unit);
    const what = `${unit.name} begins epoch ${record.epoch} because ${node} is down`;
    const raft = unit.host.body!.status().raft!;
    const { hosts } = this.#site.world;
    const down = hosts.filter(({ uid, name }) => {
      const at = this.#downAt.get(`${name} ${url}`)?.[policy.failureThreshold] ?? Number.NEGATIVE_INFINITY;
      return raft.config.voters.includes(uid) && this.#now - at < downWithin;
    });
    const { length } = raft.config.voters;
    if (down.length * 2 <= length)
      throw new Breach('a majority finds it down', `${what}, as only ${down.length} of ${length} voters found`);
    const rest = this.#now - this.#failoverAt;
    if (this.#site.world.kind.onlyNodes && rest < policy.minInterval * 0.99 - slackMs)
      throw new Breach('a rest between failovers', `${what}, ${Math.round(rest)} ms after another`);
    if (policy.verify) this.#notHeard(unit, node, what);
  }

  #notHeard(unit: Unit, primary: string, what: string): void {
    const policy = this.#site.policyOf(unit);
    const within = policy.failureThreshold * policy.interval;
    for (const { id, url } of policy.nodes) {
      const last = this.#last.get(`${unit.name} ${url}`);
      if (id === primary || last?.report.up !== true || last.report.primaryHeard === null) continue;
      const since = this.#now - last.at;
      if (since < policy.interval && last.report.primaryHeard + since < within * 0.99 - slackMs)
        throw new Breach('a primary that is heard stays', `${what}, and ${id} still hears it`);
    }
  }

  sends(unit: Unit): void {
    const known = this.#foreign.get(unit.name);
    if (known === undefined || known.run !== unit.run || known.nodes.size === 0) return;
    const [node] = known.nodes;
    const record = unit.machine?.status(this.#site.pool)?.record;
    // Since an operator adopted one, or the file lost that node, it may count no more.
    const last = this.#last.get(`${unit.name} ${this.#site.nodeOf(unit, node!)?.url}`)?.report;
    if (last === undefined || record == null || last.cluster !== 'another') return;
    if ((last.epoch ?? record.epoch) < record.epoch) return;
    throw new Breach('split brain', `${unit.name} begins a write, though it found ${node} to follow another cluster`);
  }
}
