/** What a pool's state is called, and what is shown of it. */
import { mismatch, splitOf } from './board.ts';
import type { PoolStatus } from './contract.ts';
import type { Core } from './core.ts';
import type { PoolLead } from './lead.ts';
import type { PoolState } from './model.ts';
import type { Pool } from './pool.ts';

interface Named {
  readonly state: PoolState;
  readonly reason: string;
}

/** On the leader. */
export function stateOf(core: Core, pool: Pool, lead: PoolLead): Named {
  const { record, policy } = pool;
  if (record === null) return { state: 'DETECTING', reason: lead.reason };
  switch (record.phase) {
    case 'pending':
      return { state: 'FAILING_OVER', reason: lead.reason };
    case 'failed':
      return { state: 'FAILED', reason: lead.reason || 'no node could be made primary: the history says why' };
    case 'undecided':
      return { state: 'FAILED', reason: lead.reason || 'its nodes disagree about who is primary: adopt one' };
    case 'open':
  }
  if (lead.switching !== null) return { state: 'FAILING_OVER', reason: lead.reason };
  const split = splitOf(core, pool);
  if (split !== null) return { state: 'DETECTING', reason: `SPLIT_BRAIN: ${split}` };
  const down = policy === null ? [] : pool.reports.downBy(record.target!, policy);
  if (lead.reason !== '' || down.length > 0) {
    const names = down.map((member) => core.nameOf(member)).join(', ');
    return { state: 'DETECTING', reason: lead.reason || `${record.target!.node} is down, say only ${names}` };
  }
  if (record.returning.length === 0) return { state: 'NORMAL', reason: '' };
  const back = record.returning.filter((node) => lead.upSince.has(node));
  if (back.length > 0) return { state: 'RECOVERING', reason: `${back.join(', ')} is back, without reads yet` };
  return { state: 'FAILED_OVER', reason: `${record.returning.join(', ')} is not back` };
}

/** On a member that does not lead: what the leader said, as far as it is still so. */
function stateHere(pool: Pool): Named {
  const { record, told } = pool;
  if (record?.phase === 'pending') return { state: 'FAILING_OVER', reason: told?.reason ?? '' };
  if (record?.phase === 'failed' || record?.phase === 'undecided')
    return { state: 'FAILED', reason: told?.reason ?? '' };
  return { state: told?.state ?? (record === null ? 'DETECTING' : 'NORMAL'), reason: told?.reason ?? '' };
}

export function statusOf(core: Core, pool: Pool, lead: PoolLead | null): PoolStatus {
  const { record, policy, board } = pool;
  const { state, reason } = lead === null ? stateHere(pool) : stateOf(core, pool, lead);
  const primary = record?.phase === 'open' ? record.target : null;
  const live = board !== null && board.writeUntil > core.now;
  const own = primary === null ? null : pool.reports.own(primary.node);
  const ownDown = policy !== null && own !== null && own.failures >= policy.failureThreshold;
  const leaderSees = lead === null ? pool.told?.state : state;
  return {
    pool: pool.name,
    state,
    reason: reason || (mismatch(core, pool) ?? (pool.split === null ? '' : `SPLIT_BRAIN: ${pool.split}`)),
    record,
    writeUntil: live ? board.writeUntil : null,
    stopped: board?.why ?? '',
    nodes: (policy?.nodes ?? []).map((node) => {
      const report = pool.reports.own(node.id);
      return {
        node: node.id,
        role: node.id === primary?.node ? 'PRIMARY' : node.role === 'standby' ? 'STANDBY' : 'SECONDARY',
        up: report?.up ?? null,
        position: report?.position ?? null,
        lag: report?.lag ?? null,
        down:
          lead === null || policy === null
            ? []
            : pool.reports.downBy({ node: node.id, url: node.url }, policy).map((member) => core.nameOf(member)),
        detail: [report?.detail ?? '', ...(pool.claims.get(node.id)?.said === true ? ['says that it is primary'] : [])]
          .filter((text) => text !== '')
          .join('; '),
      };
    }),
    linkFault: ownDown && leaderSees !== undefined && leaderSees !== 'FAILING_OVER' && !isDownForMost(pool, lead),
    differing: pool.told?.differing ?? [],
  };
}

const isDownForMost = (pool: Pool, lead: PoolLead | null): boolean =>
  lead !== null && pool.record?.target != null && pool.reports.isDown(pool.record.target, lead.policy);
