/**
 * What members' probes say of the nodes of one pool. Every member keeps its own reports; a leader also those of others,
 * each with the time, on the leader's clock, at which its check ended (transit.ts: words take a while).
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import type { PoolPolicy, Target } from './model.ts';
import type { ToldReport } from './words.ts';

export interface KeptReport extends Omit<ToldReport, 'age'> {
  readonly at: Millis;
}

export class Reports {
  readonly #core: Core;
  /** By node, then by member. */
  readonly #of = new Map<string, Map<MemberId, KeptReport>>();

  constructor(core: Core) {
    this.#core = core;
  }

  set(from: MemberId, report: KeptReport): void {
    const known = this.#of.get(report.node) ?? new Map<MemberId, KeptReport>();
    this.#of.set(report.node, known);
    const last = known.get(from);
    // Words overtake each other; an older one says nothing that matters.
    if (last === undefined || report.at >= last.at) known.set(from, report);
  }

  own(node: string): KeptReport | null {
    return this.of(node, this.#core.self);
  }

  of(node: string, member: MemberId): KeptReport | null {
    return this.#of.get(node)?.get(member) ?? null;
  }

  /** Nodes that the file doesn't have any more, and others' reports if `others` is false. */
  keepOnly(nodes: ReadonlySet<string>, others: boolean): void {
    for (const [node, known] of this.#of) {
      if (!nodes.has(node)) this.#of.delete(node);
      else if (!others) for (const from of known.keys()) if (from !== this.#core.self) known.delete(from);
    }
  }

  /** Fresh ones of this very node, by members of the cluster, of checks that ended since then. */
  fresh(target: Target, policy: PoolPolicy, since: Millis = -Infinity): readonly (readonly [MemberId, KeptReport])[] {
    const { now, rules, members } = this.#core;
    const known = this.#of.get(target.node);
    if (known === undefined) return [];
    return members.flatMap((member) => {
      const report = known.get(member);
      const same = report !== undefined && report.url === target.url && report.at >= since;
      const counts = same && rules.isFresh(now - report.at, policy.interval);
      return counts ? [[member, report] as const] : [];
    });
  }

  /** Voters that hold it for down. */
  downBy(target: Target, policy: PoolPolicy): readonly MemberId[] {
    const { rules, view } = this.#core;
    const holds = ({ failures }: KeptReport): boolean => rules.holdsForDown(failures, policy.failureThreshold);
    return this.fresh(target, policy)
      .filter(([member, report]) => view.voters.includes(member) && holds(report))
      .map(([member]) => member);
  }

  isDown(target: Target, policy: PoolPolicy): boolean {
    const { rules, view } = this.#core;
    return (
      view.voters.length > 0 && rules.isDown({ down: this.downBy(target, policy).length, voters: view.voters.length })
    );
  }

  /** A majority of the voters has it at this url, as far as they said: else it may be our file that is wrong (3.1). */
  isAgreed(target: Target): boolean {
    const { voters } = this.#core.view;
    const known = this.#of.get(target.node);
    const same = voters.filter((voter) => voter === this.#core.self || known?.get(voter)?.url === target.url);
    return same.length * 2 > voters.length;
  }

  /** More of those who looked find it up than not. */
  isUp(target: Target, policy: PoolPolicy, since: Millis = -Infinity): boolean {
    const looked = this.fresh(target, policy, since);
    const up = looked.filter(([, report]) => report.up === true && report.failures === 0).length;
    return up > 0 && up * 2 > looked.length;
  }

  /** Who can run a hook there: we first. */
  seenUpBy(target: Target, policy: PoolPolicy): readonly MemberId[] {
    const { self } = this.#core;
    const up = this.fresh(target, policy).filter(([, report]) => report.up === true && report.failures === 0);
    return up.map(([member]) => member).sort((a, b) => Number(b === self) - Number(a === self));
  }

  /** The newest word on it that passes, of anyone. */
  newest(node: string, passes: (report: KeptReport) => boolean = () => true): KeptReport | null {
    let newest: KeptReport | null = null;
    for (const report of this.#of.get(node)?.values() ?? [])
      if (passes(report) && (newest === null || report.at > newest.at)) newest = report;
    return newest;
  }

  /** The furthest that anyone saw of this very node since then: positions only grow. */
  position({ node, url }: Target, since: Millis): number | null {
    let furthest: number | null = null;
    for (const report of this.#of.get(node)?.values() ?? [])
      if (report.at >= since && report.url === url && report.position !== null)
        furthest = Math.max(furthest ?? 0, report.position);
    return furthest;
  }

  all(node: string): readonly KeptReport[] {
    return [...(this.#of.get(node)?.values() ?? [])];
  }
}
