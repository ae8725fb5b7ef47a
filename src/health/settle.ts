/**
 * From records to consequences: judges a pool that something touched, and tells what differs from what was last told.
 * One line in the log for each change of verdict, wish or fitness; none for a weight that grows in slow start.
 */
import type { NodeId } from '../base/ids.ts';
import type { NodeHealthView } from './contract.ts';
import { factsOf, type Instant, type NodeEntry, type PoolEntry, viewOf } from './entry.ts';
import { verdictOf } from './node.ts';
import { decide } from './pool.ts';
import { describe } from './why.ts';

export interface HealthChange {
  readonly pool: string;
  readonly node: NodeId;
  readonly view: NodeHealthView;
  /** null for a node that is new. */
  readonly previous: NodeHealthView | null;
}

/** A line for the log. */
export interface HealthLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** kebab-case, stable: `node-health`, `ejection-refused`, `pool-panic`, `health-change-failed`. */
  readonly event: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

export interface Sink {
  readonly changes: HealthChange[];
  readonly lines: HealthLine[];
}

export function judgePool(pool: PoolEntry, at: Instant, sink: Sink): void {
  const limits = { maxEjected: pool.spec.passive.maxEjected, panicThreshold: pool.spec.panicThreshold };
  const wasPanic = pool.panic;
  const decision = decide(pool.nodes.map(factsOf), limits, wasPanic);
  pool.panic = decision.panic;
  pool.fit = decision.fit;
  if (pool.panic !== wasPanic) sink.lines.push(panicLine(pool));
  pool.nodes.forEach((entry, i) => {
    entry.decision = decision.nodes[i]!;
    tell(entry, at, sink);
  });
}

function tell(entry: NodeEntry, at: Instant, sink: Sink): void {
  const previous = entry.told;
  const { decision } = entry;
  const verdict = verdictOf(entry.check, entry.answer);
  const moved = previous === null || previous.verdict !== verdict || previous.fitness !== decision.fitness;
  const wished = previous !== null && previous.wish !== entry.wish;
  if (!moved && !wished && previous.weight === decision.weight) return;
  if (moved && previous !== null) entry.changedAt = at.wall;
  const view = viewOf(entry, at);
  entry.told = view;
  sink.changes.push({ pool: view.pool, node: view.node, view, previous });
  if (previous !== null && (moved || wished)) sink.lines.push(changeLine(entry, view, previous));
  if (view.fitness === 'fit') entry.everFit = true;
}

function changeLine(entry: NodeEntry, view: NodeHealthView, previous: NodeHealthView): HealthLine {
  const { state, why } = describe(entry);
  const { pool, node, verdict, fitness, wish } = view;
  return {
    level: levelOf(entry, view, previous),
    event: 'node-health',
    message: `node ${pool}/${node} is ${state}: ${why}`,
    fields: { pool, node, verdict, fitness, wish },
  };
}

/** Loud where a node that is wanted is lost, quiet where thousands come up as they should at the start. */
function levelOf(entry: NodeEntry, view: NodeHealthView, previous: NodeHealthView): HealthLine['level'] {
  const lost = view.verdict === 'unhealthy' || entry.ejection.at !== 'in';
  if (lost && view.fitness === 'unfit' && view.wish === 'ready') return 'warn';
  return !entry.everFit && previous.verdict === 'unknown' && view.fitness === 'fit' ? 'debug' : 'info';
}

function panicLine(pool: PoolEntry): HealthLine {
  const { name, panicThreshold } = pool.spec;
  const share = `${pool.fit} of ${pool.nodes.length} nodes fit, threshold ${Math.round(panicThreshold * 100)} %`;
  return {
    level: pool.panic ? 'warn' : 'info',
    event: 'pool-panic',
    message: pool.panic
      ? `pool ${name} is in panic: ${share}: all its nodes are used`
      : `pool ${name} is no longer in panic: ${share}`,
    fields: { pool: name, panic: pool.panic, fit: pool.fit, total: pool.nodes.length },
  };
}
