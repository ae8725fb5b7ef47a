/**
 * The steps of a pool's record, each a pure function of the one before. What may follow what is at the head of model.ts;
 * the replica refuses anything else.
 */
import type { Millis } from '../../base/ids.ts';
import type { Allowed, EpochReason, HookStart, PoolPolicy, PoolRecord, Target } from './model.ts';

const forksMax = 16;
const hooksMax = 32;
/** Each failover soon after another doubles the time to the next, up to this often. */
const flapsMax = 6;
/** A failover this much later than it might have come is no flapping any more, in least times between failovers. */
const calmAfter = 10;

const noTimes = { chosenAt: 0, fencedAt: 0, promotedAt: 0, openedAt: 0 };

export interface At {
  readonly agreed: Millis;
  readonly policy: PoolPolicy;
}

/** From a failover to the next. */
export const restBetween = ({ minInterval }: PoolPolicy, { flaps }: PoolRecord): Millis =>
  minInterval * 2 ** Math.min(flaps, flapsMax);

const isUnleased = ({ mode, withoutQuorum }: PoolPolicy): boolean => mode === 'manual' && withoutQuorum === 'continue';

/** The very first: open, or undecided if `target` is null. */
export function firstRecord(
  at: At,
  first: { readonly epoch: number; readonly target: Target | null; readonly position: number | null },
): PoolRecord {
  const { epoch, target, position } = first;
  return {
    pool: at.policy.pool,
    step: 1,
    epoch,
    phase: target === null ? 'undecided' : 'open',
    target,
    reason: 'first',
    policy: at.policy.hash,
    last: null,
    forks: target === null ? [] : [{ epoch, position }],
    hooks: [],
    excluded: [],
    returning: [],
    automatic: true,
    unleased: target !== null && isUnleased(at.policy),
    allowed: null,
    failures: 0,
    retryAt: 0,
    planned: null,
    times: { ...noTimes, openedAt: target === null ? 0 : at.agreed },
    lastFailoverAt: 0,
    flaps: 0,
  };
}

const next = (record: PoolRecord, change: Partial<PoolRecord>): PoolRecord => ({
  ...record,
  ...change,
  step: record.step + 1,
});

/** Without any other change. */
export const update = next;

/** Another epoch, from an open, a pending or a failed one. */
export function pendingRecord(
  record: PoolRecord,
  at: At,
  choice: {
    readonly target: Target;
    readonly reason: EpochReason;
    readonly excluded?: readonly string[];
    readonly allowed?: Allowed | null;
    /** At least this one, if it is higher than the next. */
    readonly epoch?: number;
  },
): PoolRecord {
  const open = record.phase === 'open';
  return next(record, {
    epoch: Math.max(record.epoch + 1, choice.epoch ?? 0),
    phase: 'pending',
    target: choice.target,
    reason: choice.reason,
    policy: at.policy.hash,
    last: open ? { epoch: record.epoch, target: record.target! } : record.last,
    excluded: choice.excluded ?? (open ? [] : record.excluded),
    allowed: choice.allowed === undefined ? record.allowed : choice.allowed,
    planned: open ? null : record.planned,
    hooks: liveHooks(record.hooks, record, at.agreed),
    times: open ? { ...noTimes, chosenAt: at.agreed } : { ...record.times, promotedAt: 0, openedAt: 0 },
  });
}

/** Those of this change of primary, and of others that may still take effect; the newest, if they are too many. */
function liveHooks(hooks: readonly HookStart[], { phase, epoch }: PoolRecord, agreed: Millis): readonly HookStart[] {
  const kept = hooks.filter(
    ({ outcome, until, kind, epoch: of }) =>
      (outcome === 'running' && agreed < until + 60_000) || (phase !== 'open' && kind === 'promote') || of === epoch,
  );
  return kept.slice(-hooksMax);
}

export function openRecord(
  record: PoolRecord,
  at: At,
  opened: { readonly position: number | null; readonly promoted: boolean },
): PoolRecord {
  const { epoch, target, last, reason } = record;
  const failover = reason === 'failover';
  const calmAt = record.lastFailoverAt + restBetween(at.policy, record) + calmAfter * at.policy.minInterval;
  const soon = record.lastFailoverAt > 0 && at.agreed < calmAt;
  return next(record, {
    phase: 'open',
    forks: [...record.forks, { epoch, position: opened.position }].slice(-forksMax),
    excluded: [],
    returning: returningAfter(record),
    allowed: null,
    unleased: isUnleased(at.policy),
    failures: 0,
    retryAt: 0,
    times: {
      ...record.times,
      fencedAt: record.times.fencedAt === 0 ? at.agreed : record.times.fencedAt,
      promotedAt: opened.promoted ? at.agreed : 0,
      openedAt: at.agreed,
    },
    lastFailoverAt: failover ? at.agreed : record.lastFailoverAt,
    flaps: failover ? (soon ? record.flaps + 1 : 0) : record.flaps,
    last: last ?? { epoch, target: target! },
  });
}

/** Who was primary, or may have been promoted, and is not now: no reads until it shows that it knows its place. */
function returningAfter({ hooks, target, last, returning }: PoolRecord): readonly string[] {
  const were = new Set(returning);
  if (last !== null) were.add(last.target.node);
  for (const { kind, node } of hooks) if (kind === 'promote') were.add(node);
  were.delete(target!.node);
  return [...were].sort();
}

export const failedRecord = (record: PoolRecord, at: At): PoolRecord =>
  next(record, {
    phase: 'failed',
    failures: record.failures + 1,
    retryAt: at.policy.retryAfter === 0 ? 0 : at.agreed + at.policy.retryAfter * 2 ** Math.min(record.failures, 10),
    allowed: null,
  });

/** Out of FAILED: to the primary of before it is a return, for which whoever may have been promoted is demoted. */
export const fromFailed = ({ last }: PoolRecord, { node }: Target): EpochReason =>
  last?.target.node === node ? 'return' : 'failover';

/** The node that may have been promoted without that its epoch opened (3.2), and was not demoted since. */
export function possiblyPromoted({ hooks, last, target }: PoolRecord): readonly HookStart[] {
  return hooks.filter(
    (hook) =>
      hook.kind === 'promote' &&
      hook.node !== target?.node &&
      hook.epoch > (last?.epoch ?? 0) &&
      !hooks.some(
        ({ kind, node, epoch, outcome }) =>
          kind === 'demote' && node === hook.node && epoch > hook.epoch && outcome === 'done',
      ),
  );
}
