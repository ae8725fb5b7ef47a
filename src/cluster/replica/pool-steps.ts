/**
 * Which change of a pool's record may follow which, so that no member, whatever it takes for true, can agree on two
 * primaries (3.1).
 *
 *   (none) --> open | pending | undecided          pending(E) --> pending(E) | open(E) | failed(E)
 *   undecided --> undecided | open(newer)          open(E) --> open(E)     failed(E) --> failed(E)
 *   any --> pending(newer)
 *
 * The epoch never falls, an epoch's target never changes, an epoch that was left is never open again, and an open one
 * ends only by a newer one. That members write without leases is true until the next epoch opens. Who changes a record
 * says by its step which one it saw: of two that decide at once one loses. What is decided, and why, is the business of
 * the failover machine.
 */
import { epochReasons, hookKinds, type Phase, type PoolRecord, phases, type Target } from '../failover/model.ts';
import { outcomes } from './pool-codec.ts';

/** By how much epochs grow when the members that may have opened others are lost (7.4). */
export const lostEpochs = 1000;

export const forksMax = 16;
const hooksMax = 32;

/** Why this change is not legal, in a few words; null if it is. `before` null: the pool has no record yet. */
export function stepFault(before: PoolRecord | null, after: PoolRecord): string | null {
  const fault = recordFault(after);
  if (fault !== null) return fault;
  if (after.step !== (before?.step ?? 0) + 1) return `step ${after.step} does not follow ${before?.step ?? 0}`;
  if (before === null) return after.phase === 'failed' ? 'a pool does not begin as failed' : null;
  if (after.pool !== before.pool) return 'it is of another pool';
  if (after.epoch < before.epoch) return `epoch ${after.epoch} is below ${before.epoch}`;
  const isSame = after.epoch === before.epoch;
  if (isSame && !isSameTarget(before.target, after.target)) return `epoch ${after.epoch} has another target`;
  if (before.unleased && !after.unleased && !(before.phase === 'pending' && after.phase === 'open'))
    return `members write without leases in epoch ${after.epoch}`;
  const allowed = isSame ? within[before.phase] : beyond[before.phase];
  return allowed.includes(after.phase) ? null : `${before.phase} is not followed by ${after.phase}`;
}

export const isLegalStep = (before: PoolRecord | null, after: PoolRecord): boolean => stepFault(before, after) === null;

/** Phases that may follow in the same epoch, and in a newer one. */
const within: Readonly<Record<Phase, readonly Phase[]>> = {
  pending: ['pending', 'open', 'failed'],
  open: ['open'],
  failed: ['failed'],
  undecided: ['undecided'],
};
const beyond: Readonly<Record<Phase, readonly Phase[]>> = {
  pending: ['pending'],
  open: ['pending'],
  failed: ['pending'],
  undecided: ['undecided', 'pending', 'open'],
};

const isSameTarget = (a: Target | null, b: Target | null): boolean =>
  a === b || (a !== null && b !== null && a.node === b.node && a.url === b.url);

/** What is wrong with a record by itself; null if nothing is. */
export function recordFault(record: PoolRecord): string | null {
  const { pool, epoch, phase, target, forks, hooks } = record;
  const fault = valueFault(record, 'record');
  if (fault !== null) return fault;
  if (pool === '') return 'record.pool is empty';
  if (!phases.includes(phase)) return 'record.phase is unknown';
  if (!epochReasons.includes(record.reason)) return 'record.reason is unknown';
  if ((target === null) !== (phase === 'undecided')) return `record.target does not go with phase ${phase}`;
  if (epoch === 0 && phase !== 'undecided') return 'record.epoch is 0';
  if (forks.length > forksMax) return `record.forks are more than ${forksMax}`;
  if (hooks.length > hooksMax) return `record.hooks are more than ${hooksMax}`;
  const isKnown = hooks.every((hook) => hookKinds.includes(hook.kind) && outcomes.includes(hook.outcome));
  return isKnown ? null : 'record.hooks has one of an unknown kind or outcome';
}

/** All numbers whole and from 0 on, all texts well formed. */
function valueFault(value: unknown, at: string): string | null {
  if (typeof value === 'string') return value.isWellFormed() ? null : `${at} is no valid text`;
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && value >= 0 ? null : `${at} is no whole number from 0 on`;
  }
  if (typeof value !== 'object' || value === null) return null;
  for (const [name, part] of Object.entries(value)) {
    const fault = valueFault(part, `${at}.${name}`);
    if (fault !== null) return fault;
  }
  return null;
}

/**
 * The record as it goes on after a loss of members that may have agreed on more than this one knows: in an epoch above all
 * that they can have opened. Positions of what they opened are not known.
 */
export function afterLoss(record: PoolRecord): PoolRecord {
  const epoch = record.epoch + lostEpochs;
  const forks = record.phase === 'open' ? [...record.forks, { epoch, position: null }].slice(-forksMax) : record.forks;
  return { ...record, step: record.step + 1, epoch, forks };
}
