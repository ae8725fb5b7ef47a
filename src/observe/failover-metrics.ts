/** Metrics of pools with failover, as this member sees them. None where no pool has it. */
import { type PoolCounter, poolCell, poolCounters } from '../scoreboard/layout.ts';
import { counterRow, poolLine } from '../scoreboard/scoreboard.ts';
import type { ObservedFailover } from './failover-source.ts';
import { counter, type Family, gauge, one, type Sample, type Scrape } from './metrics-model.ts';

const states = ['NORMAL', 'DETECTING', 'FAILING_OVER', 'FAILED_OVER', 'RECOVERING', 'FAILED'] as const;
const reasons = ['first', 'failover', 'switchover', 'failback', 'adopt', 'return'] as const;

const each =
  (read: (pool: ObservedFailover, scrape: Scrape) => Sample[]): Family['samples'] =>
  (scrape) =>
    scrape.state.failover.flatMap((pool) => read(pool, scrape));
const value = (read: (pool: ObservedFailover, scrape: Scrape) => number): Family['samples'] =>
  each((pool, scrape) => [one({ pool: pool.pool }, read(pool, scrape))]);
const flag = (read: (pool: ObservedFailover) => boolean): Family['samples'] => value((pool) => (read(pool) ? 1 : 0));

const gaugeOf = (cell: 'writing' | 'parked'): Family['samples'] =>
  value(({ slot }, { board }) => Atomics.load(board.lines, poolLine(slot) + poolCell[cell]));

const countOf =
  (name: PoolCounter) =>
  ({ slot }: ObservedFailover, { board }: Scrape): number =>
    board.sum(counterRow.pool(slot) + poolCounters.indexOf(name));

const readKinds = { primary: 'readsPrimary', replica: 'readsReplica', stale: 'readsStale' } as const;
const unsent = { full: 'parkFull', timeout: 'parkTimeouts', stopped: 'writesRefused' } as const;

export const failoverFamilies: readonly Family[] = [
  gauge(
    'failover_state',
    'State of the failover of a pool: 1 for the one that holds, 0 for the others.',
    each((pool) => states.map((state) => one({ pool: pool.pool, state }, state === pool.state ? 1 : 0))),
  ),
  gauge(
    'failover_epoch',
    'Epoch of a pool; grows with each change of its primary.',
    value(({ epoch }) => epoch),
  ),
  gauge(
    'failover_writes_sent',
    'Whether this member sends writes to the primary: 0 while they wait or are refused.',
    flag(({ writesSent }) => writesSent),
  ),
  gauge('failover_writes_waiting', 'Writes that wait for a primary here.', gaugeOf('parked')),
  gauge('failover_writes_held', 'Writes and tunnels that are under way to the primary from here.', gaugeOf('writing')),
  gauge(
    'failover_automatic',
    'Whether automatic failover is on.',
    flag(({ automatic }) => automatic),
  ),
  gauge(
    'failover_link_fault',
    'Whether this member alone cannot reach the primary.',
    flag(({ linkFault }) => linkFault),
  ),
  gauge(
    'failover_policies_differing',
    'Members whose config of the pool differs from the one of the leader.',
    value(({ differing }) => differing),
  ),
  gauge(
    'failover_last_failover_timestamp_seconds',
    'When the primary was replaced by a failover last; 0: never.',
    value(({ lastFailoverAt }) => lastFailoverAt / 1000),
  ),
  gauge(
    'failover_last_change_seconds',
    'How long the last change of primary took, from the choice to the open epoch.',
    value(({ lastChangeMs }) => lastChangeMs / 1000),
  ),
  counter(
    'failover_changes_total',
    'Epochs that were opened since this process started, by reason.',
    each(({ pool, changes }) => reasons.map((reason) => one({ pool, reason }, changes.get(reason) ?? 0))),
  ),
  counter('failover_writes_total', 'Writes that were sent to the primary.', value(countOf('writes'))),
  counter('failover_writes_waited_total', 'Writes that waited for leave to be sent.', value(countOf('parked'))),
  counter(
    'failover_writes_refused_total',
    'Writes that got 503 unsent: too many waited, they waited too long, or they were not to wait.',
    each((pool, scrape) =>
      Object.entries(unsent).map(([reason, name]) => one({ pool: pool.pool, reason }, countOf(name)(pool, scrape))),
    ),
  ),
  counter(
    'failover_reads_total',
    'Reads by where they went: to the primary, to a replica, or to a replica while there was no primary.',
    each((pool, scrape) =>
      Object.entries(readKinds).map(([kind, name]) => one({ pool: pool.pool, kind }, countOf(name)(pool, scrape))),
    ),
  ),
  counter(
    'failover_reads_lost_total',
    'Reads of clients whose own write was lost in a change of primary, and who were told.',
    value(countOf('readsLost')),
  ),
];
