/** Pools with failover as the API shows them. Times are RFC 3339, in the agreed clock. */
import type { PoolRecord } from '../../cluster/failover/model.ts';
import { isoTime } from './errors.ts';
import type { PoolView } from './failover-actions.ts';

const timeOf = (ms: number): string | null => (ms > 0 ? isoTime(ms) : null);

export const primaryOf = ({ status }: PoolView): string | null =>
  status.record?.phase === 'open' ? (status.record.target?.node ?? null) : null;

/** Whether writes are sent by this member now, and if not what becomes of them. */
export const isWriting = ({ status, lacking, now }: PoolView): boolean =>
  status.writeUntil !== null && now < status.writeUntil && lacking === '';

const idsOf = ({ status }: PoolView, role: string): readonly string[] =>
  status.nodes.filter((node) => node.role === role).map(({ node }) => node);

export function failoverShown(view: PoolView): object {
  const { status, policy, parked, lacking } = view;
  const { record } = status;
  return {
    state: status.state,
    reason: status.reason,
    primary: primaryOf(view),
    secondaries: idsOf(view, 'SECONDARY'),
    standbys: idsOf(view, 'STANDBY'),
    epoch: record?.epoch ?? 0,
    phase: record?.phase ?? null,
    mode: policy.mode,
    automatic: record?.automatic ?? policy.mode === 'automatic',
    restsUntil: record === null ? null : timeOf(record.retryAt),
    lastFailoverTime: record === null ? null : timeOf(record.lastFailoverAt),
    lastChange: record === null ? null : changeShown(record),
    planned: record?.planned ? { at: isoTime(record.planned.at), target: record.planned.target } : null,
    writes: {
      sent: isWriting(view),
      why: status.stopped || lacking,
      waiting: parked,
      leaseMs: status.writeUntil === null ? 0 : Math.max(0, Math.round(Math.min(status.writeUntil - view.now, 3.6e6))),
    },
    nodes: status.nodes.map((node) => ({
      id: node.node,
      role: node.role,
      up: node.up,
      position: node.position,
      lagMs: node.lag,
      priority: policy.nodes.find(({ id }) => id === node.node)?.priority ?? null,
      heldDownBy: node.down,
      returning: record?.returning.includes(node.node) ?? false,
      detail: node.detail,
    })),
    linkFault: status.linkFault,
    policyDiffersOn: status.differing,
  };
}

function changeShown({ reason, times, last, target, excluded }: PoolRecord): object {
  return {
    reason,
    from: last?.target.node ?? null,
    to: target?.node ?? null,
    chosenAt: timeOf(times.chosenAt),
    fencedAt: timeOf(times.fencedAt),
    promotedAt: timeOf(times.promotedAt),
    openedAt: timeOf(times.openedAt),
    tried: excluded,
  };
}
