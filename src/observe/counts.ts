/** Reads rows of counters from the scoreboard by name, summed over all threads; times to the microsecond. */
import {
  type ListenerCounter,
  listenerCounters,
  type NodeCounter,
  nodeCounters,
  type PoolCounter,
  poolCounters,
  type RefusalReason,
  type RouteCounter,
  refusalReasons,
  routeCounters,
  type ThreadCounter,
  threadCounters,
} from '../scoreboard/layout.ts';
import { counterRow, type Scoreboard } from '../scoreboard/scoreboard.ts';

type Counts<Name extends string> = Readonly<Record<Name, number>>;

function readRow<Name extends string>(names: readonly Name[], read: (column: number) => number): Counts<Name> {
  const counts = {} as Record<Name, number>;
  for (let i = 0; i < names.length; i++) counts[names[i]!] = Math.round(read(i) * 1000) / 1000;
  return counts;
}

export const nodeCounts = (board: Scoreboard, slot: number): Counts<NodeCounter> =>
  readRow(nodeCounters, (column) => board.sum(counterRow.node(slot) + column));

export const poolCounts = (board: Scoreboard, slot: number): Counts<PoolCounter> =>
  readRow(poolCounters, (column) => board.sum(counterRow.pool(slot) + column));

export const routeCounts = (board: Scoreboard, slot: number): Counts<RouteCounter> =>
  readRow(routeCounters, (column) => board.sum(counterRow.route(slot) + column));

export const listenerCounts = (board: Scoreboard, slot: number): Counts<ListenerCounter> =>
  readRow(listenerCounters, (column) => board.sum(counterRow.listener(slot) + column));

export const refusalCounts = (board: Scoreboard): Counts<RefusalReason> =>
  readRow(refusalReasons, (column) => board.sum(counterRow.refusals() + column));

/** Of one thread alone. */
export const threadCounts = (board: Scoreboard, thread: number): Counts<ThreadCounter> =>
  readRow(threadCounters, (column) => board.counters(thread)[counterRow.thread() + column] ?? 0);
