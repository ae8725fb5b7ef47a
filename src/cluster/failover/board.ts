/**
 * What data threads may do with writes of a pool, from all that this member knows: a pure function, so that every reason
 * not to write stands in one place.
 */

import { sameData } from '../../base/equal.ts';
import type { Millis } from '../../base/ids.ts';
import type { BoardWrite } from './contract.ts';
import type { Core } from './core.ts';
import type { PoolPolicy, PoolRecord } from './model.ts';
import type { Pool } from './pool.ts';

/** Writes in flight may finish for so long when their epoch ends; inside every lease. */
export const drainMs: Millis = 250;
/** From so many failed checks in a row on new writes are parked, not sent (5.5). */
const suspectedFrom = 2;
/** A node that heard of a newer epoch before us is no split: its news is on the way to us as well. */
export const newsMs: Millis = 2000;
/** `continue` of withoutQuorum: no time ends it. */
export const forever: Millis = Number.MAX_SAFE_INTEGER;

interface Stop {
  readonly otherwise: BoardWrite['otherwise'];
  readonly why: string;
}

const park = (why: string): Stop => ({ otherwise: 'park', why });
const refuse = (why: string): Stop => ({ otherwise: 'refuse', why });

/** A node that contradicts what is agreed (4.3): in words; null if none does. */
export function foreignSign(core: Core, pool: Pool): string | null {
  const { record, policy } = pool;
  if (record === null || policy === null || record.epoch === 0 || !core.rules.heedsForeign()) return null;
  for (const { id } of policy.nodes) {
    const report = pool.reports.own(id);
    if (report === null) continue;
    if (report.epoch !== null && report.epoch > record.epoch)
      return `node ${id} has seen epoch ${report.epoch}, agreed is ${record.epoch}`;
    const another = report.cluster !== null && core.view.cluster !== null && report.cluster !== core.view.cluster;
    // One that has not heard of our epoch yet still names the cluster of before.
    if (another && (report.epoch ?? record.epoch) >= record.epoch)
      return `node ${id} follows another cluster, ${report.cluster}`;
  }
  return null;
}

/** The same, once news of our own can't be the reason any more. */
export const splitOf = (core: Core, pool: Pool): string | null =>
  core.now < (pool.foreignSince ?? core.now) + newsMs ? null : foreignSign(core, pool);

/** Nodes that say that they are primary while another is, and that are not known to have been it before. */
export function claimsOf({ record, policy, reports }: Pool): readonly string[] {
  if (record?.phase !== 'open' || policy === null) return [];
  const others = policy.nodes.filter(({ id }) => id !== record.target!.node && !record.returning.includes(id));
  return others.flatMap(({ id }) => {
    const report = reports.own(id);
    // Of a newer epoch it may well be: that is for foreignSign.
    return report?.role === 'primary' && (report.epoch ?? 0) <= record.epoch ? [id] : [];
  });
}

/** The own file lacks the agreed node, or has it elsewhere (3.1). */
export function mismatch(core: Core, pool: Pool): string | null {
  const { record } = pool;
  if (record === null || record.target === null || pool.policy === null) return null;
  const { node, url } = record.target;
  const own = pool.targetOf(node)?.url ?? null;
  if (core.rules.isSameTarget(own, url)) return null;
  return `config_mismatch: the primary is ${node} at ${url}, this member's file ${own === null ? 'has no such node' : `has it at ${own}`}`;
}

/** Only who belongs to the cluster: no fence waits for another. */
const writesUnleased = (core: Core, { policy, record }: Pool): boolean =>
  !core.left &&
  core.members.includes(core.self) &&
  record?.phase === 'open' &&
  record.unleased &&
  policy?.withoutQuorum === 'continue' &&
  policy.mode === 'manual';

const hopesForQuorum = ({ view, now, hopesUntil }: Core): boolean => view.quorum || now < hopesUntil;

/** Why no write may begin now; null: it may. */
function stopOf(core: Core, pool: Pool): Stop | null {
  const { record } = pool;
  const quorum = hopesForQuorum(core);
  if (record === null) return quorum ? park('its nodes are asked who is primary') : refuse('no quorum yet');
  switch (record.phase) {
    case 'undecided':
      return refuse('its nodes disagree about who is primary: failover adopt POOL NODE');
    case 'failed':
      return refuse('no node could be made primary');
    case 'pending':
      return quorum || core.view.leader !== null ? park(`epoch ${record.epoch} is being opened`) : refuse('no quorum');
    case 'open':
      return stopOfOpen(core, pool, record);
  }
}

function stopOfOpen(core: Core, pool: Pool, record: PoolRecord): Stop | null {
  const wrong = mismatch(core, pool);
  if (wrong !== null) return refuse(wrong);
  const foreign = foreignSign(core, pool);
  if (foreign !== null) {
    return splitOf(core, pool) === null ? park(foreign) : refuse(`SPLIT_BRAIN: ${foreign}`);
  }
  if (pool.moving !== null && core.rules.heedsMoving()) return park('the epoch is moving');
  if (isDraining(core, pool)) return park('a switch of primary is about to begin');
  const failures = pool.reports.own(record.target!.node)?.failures ?? 0;
  if (failures >= suspectedFrom) return park(`${record.target!.node} failed ${failures} checks in a row`);
  // Nobody else is asked: after a restart the own log may be further than what is applied of it.
  if (writesUnleased(core, pool))
    return core.openEpoch(pool.name) === record.epoch ? null : park('the epoch is moving');
  if (pool.lease === null || core.now >= pool.lease.writeUntil)
    return hopesForQuorum(core) ? park('waits for a write lease') : refuse('no quorum: the write lease has run out');
  return null;
}

export const isDraining = (core: Core, { drain, record }: Pool): boolean =>
  drain !== null && record !== null && drain.epoch === record.epoch && core.now < drain.until;

function readersOf(policy: PoolPolicy, record: PoolRecord | null): readonly string[] {
  const primary = record?.phase === 'open' ? record.target?.node : undefined;
  return policy.nodes
    .filter(({ id, role }) => id === primary || (role !== 'standby' && record?.returning.includes(id) !== true))
    .map(({ id }) => id);
}

/** The epoch under which data threads may hold writes: the open one, or the one that was before. */
const writtenUnder = (record: PoolRecord | null): { readonly epoch: number; readonly node: string | null } => {
  if (record === null) return { epoch: 0, node: null };
  if (record.phase === 'open') return { epoch: record.epoch, node: record.target!.node };
  return { epoch: record.last?.epoch ?? 0, node: record.last?.target.node ?? null };
};

function cutOf(core: Core, pool: Pool, epoch: number): Millis {
  if (writesUnleased(core, pool)) return forever;
  const leased = pool.lease?.epoch === epoch ? pool.lease.cutAt : 0;
  if (pool.record?.phase === 'open') return leased;
  const until = (pool.endingAt ?? core.now) + drainMs;
  return pool.record?.unleased === true ? until : Math.min(leased, until);
}

export function boardOf(core: Core, pool: Pool): BoardWrite | null {
  const { policy, record } = pool;
  if (policy === null) return null;
  const stop = stopOf(core, pool);
  const { epoch, node } = writtenUnder(record);
  const cutAt = cutOf(core, pool, epoch);
  return {
    pool: pool.name,
    epoch,
    node,
    writeUntil: stop !== null ? 0 : writesUnleased(core, pool) ? forever : pool.lease!.writeUntil,
    cutAt,
    otherwise: stop?.otherwise ?? 'park',
    why: stop?.why ?? '',
    fencing: record?.phase === 'pending' || pool.moving !== null || isDraining(core, pool),
    readers: readersOf(policy, record),
    forks: record?.forks ?? [],
  };
}

export const sameBoard = (a: BoardWrite | null, b: BoardWrite): boolean => a !== null && sameData(a, b);
