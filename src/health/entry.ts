/**
 * All that is kept of one node, and of one pool: the mutable records that machine.ts works on.
 * A node's record lives as long as pool, id and url stay the same; everything else about it may change.
 */
import type { Millis, NodeId } from '../base/ids.ts';
import type { Wish } from '../base/node-state.ts';
import { type HealthAnswer, plainAnswer } from './answer.ts';
import type { CheckView, NodeHealthReport, NodeHealthView, PoolLead } from './contract.ts';
import { type Ejection, ejectionsInRow, neverEjected } from './eject.ts';
import { type CheckState, initialCheck, verdictOf } from './node.ts';
import type { HealthPolicy, NodeSpec, PoolSpec } from './policy.ts';
import type { NodeDecision, NodeFacts } from './pool.ts';
import { slowStartShare } from './slow-start.ts';
import { describe } from './why.ts';

/** One moment on both clocks: monotonic for spans, wall for people. */
export interface Instant {
  readonly now: Millis;
  readonly wall: Millis;
}

/** Probes of one node never overlap; a result that has become pointless while its probe ran is thrown away. */
export type ProbeState =
  /** Infinity: nothing is to be probed (no health check, or maintenance). */
  | { readonly at: 'waiting'; readonly due: Millis }
  | { readonly at: 'running'; readonly again: boolean; readonly discard: boolean };

export interface NodeEntry {
  readonly pool: PoolEntry;
  spec: NodeSpec;
  gone: boolean;
  wish: Wish;
  check: CheckState;
  answer: HealthAnswer;
  ejection: Ejection;
  probe: ProbeState;
  probeStartedAt: Millis;
  everProbed: boolean;
  everFit: boolean;
  lastCheck: CheckView | null;
  /** Monotonic: when it ended, and whether nobody listened. */
  lastEnd: { readonly at: Millis; readonly refused: boolean };
  /** Traffic's failure already counts as one failed check; reset when a real check has ended. */
  trafficCounted: boolean;
  /** When a log line last said that an ejection was not possible. */
  refusalToldAt: Millis;
  /** null = not in slow start. */
  ramp: { readonly since: Millis; readonly share: number } | null;
  downs: number;
  /** Spans that have ended; the one that lasts begins at downSince. */
  downtime: Millis;
  downSince: Millis | null;
  changedAt: Millis;
  decision: NodeDecision;
  /** As last told. */
  told: NodeHealthView | null;
}

export interface PoolEntry {
  spec: PoolSpec;
  nodes: NodeEntry[];
  readonly byId: Map<NodeId, NodeEntry>;
  dirty: boolean;
  panic: boolean;
  fit: number;
  lead: PoolLead;
}

const nothing: NodeDecision = { fitness: 'unfit', weight: 0, reason: 'plain' };

export function newEntry(pool: PoolEntry, spec: NodeSpec, at: Instant): NodeEntry {
  return {
    pool,
    spec,
    gone: false,
    wish: spec.wish,
    check: initialCheck(pool.spec.health),
    answer: plainAnswer,
    ejection: neverEjected,
    probe: { at: 'waiting', due: Number.POSITIVE_INFINITY },
    probeStartedAt: Number.NEGATIVE_INFINITY,
    everProbed: false,
    everFit: false,
    lastCheck: null,
    lastEnd: { at: Number.NEGATIVE_INFINITY, refused: false },
    trafficCounted: false,
    refusalToldAt: Number.NEGATIVE_INFINITY,
    ramp: null,
    downs: 0,
    downtime: 0,
    downSince: null,
    changedAt: at.wall,
    decision: nothing,
    told: null,
  };
}

/** Takes the next check state and keeps the tally of falls, downtime and slow start. */
export function setCheck(entry: NodeEntry, next: CheckState, now: Millis): void {
  const before = entry.check;
  entry.check = next;
  if (before.at === next.at) return;
  entry.pool.dirty = true;
  entry.ramp = null;
  if (next.at === 'down') {
    if (before.at === 'up') entry.downs += 1;
    entry.downSince = now;
  } else if (entry.downSince !== null) {
    entry.downtime += now - entry.downSince;
    entry.downSince = null;
  }
  const slowStart = entry.pool.spec.slowStart;
  if (before.at === 'down' && next.at === 'up' && slowStart !== null) {
    entry.ramp = { since: now, share: slowStartShare(0, slowStart) };
  }
}

export function setEjection(entry: NodeEntry, next: Ejection): void {
  if (next === entry.ejection) return;
  entry.ejection = next;
  entry.pool.dirty = true;
}

/** One step of slow start. */
export function advanceRamp(entry: NodeEntry, now: Millis): void {
  if (entry.ramp === null) return;
  const slowStart = entry.pool.spec.slowStart;
  const share = slowStart === null ? 1 : slowStartShare(now - entry.ramp.since, slowStart);
  entry.ramp = share >= 1 ? null : { since: entry.ramp.since, share };
  entry.pool.dirty = true;
}

export function factsOf(entry: NodeEntry): NodeFacts {
  const { ejection, answer } = entry;
  return {
    wish: entry.wish,
    willing: answer.says !== 'drain' && answer.says !== 'maint',
    verdict: verdictOf(entry.check, answer),
    ejection: ejection.at,
    until: ejection.at === 'ejected' ? ejection.until : ejection.since,
    weight: entry.spec.weight * answer.share * (entry.ramp?.share ?? 1),
  };
}

export function viewOf(entry: NodeEntry, at: Instant): NodeHealthView {
  const { ejection, decision } = entry;
  return {
    pool: entry.pool.spec.name,
    node: entry.spec.id,
    verdict: verdictOf(entry.check, entry.answer),
    wish: entry.wish,
    fitness: decision.fitness,
    weight: decision.weight,
    why: describe(entry).why,
    changedAt: entry.changedAt,
    ejectedUntil: ejection.at === 'ejected' ? ejection.until - at.now + at.wall : null,
    ejections: ejectionsInRow(ejection, at.now, entry.pool.spec.passive),
    check: entry.lastCheck,
    downs: entry.downs,
    downtime: entry.downtime + (entry.downSince === null ? 0 : at.now - entry.downSince),
  };
}

/** Failed checks in a row that take a node down: for a primary another number than for the rest. */
export function fallOf(entry: NodeEntry, policy: Pick<HealthPolicy, 'fall'>): number {
  const { failover } = entry.pool.spec;
  return isPrimary(entry) && failover ? failover.failureThreshold : policy.fall;
}

export const isPrimary = (entry: NodeEntry): boolean => entry.pool.lead.node === entry.spec.id;

export function reportOf(entry: NodeEntry): NodeHealthReport {
  const { check, answer, lastCheck, lastEnd } = entry;
  const isGood = lastCheck?.ok === true;
  const { role, epoch, cluster, position, lag, primaryHeard } = isGood ? answer : plainAnswer;
  return {
    ...{ pool: entry.pool.spec.name, node: entry.spec.id },
    up: check.at === 'up' ? true : check.at === 'down' ? false : null,
    failures: isGood || check.at === 'unknown' || check.at === 'unchecked' ? 0 : check.failed,
    ...{ refused: lastEnd.refused, at: lastEnd.at, detail: lastCheck?.detail ?? 'not checked yet' },
    ...{ role, epoch, cluster, position, lag, primaryHeard },
    wanted: entry.wish === 'ready' && answer.says !== 'drain' && answer.says !== 'maint',
  };
}

/** True if a probe is to be waited for before anything is known of the node. */
export function isUnprobed(entry: NodeEntry): boolean {
  return entry.check.at === 'unknown' && entry.wish !== 'maint' && !entry.gone;
}

/** True if the node is to be probed at all. */
export function isProbed(entry: NodeEntry): boolean {
  return entry.pool.spec.health !== null && entry.wish !== 'maint' && !entry.gone;
}
