/**
 * The rules whose breach loses data, each a pure function by itself, so that each can be read and tested alone, and so
 * that a simulation can plant the breach of one and show that it would be found. Nothing but such a test hands in others.
 */
import type { Millis } from '../../base/ids.ts';
import type { FailoverRules } from './contract.ts';

/** Length of a write lease; the same as in coordinator.ts, which this room does not see. */
export const leaseMs: Millis = 3000;

/** Clocks of two members over a span differ by at most this. */
export const driftMs: Millis = 50;

export const safeRules: FailoverRules = {
  isFenced: ({ allConfirmed, now, overAt }) => allConfirmed || (overAt !== null && now >= overAt),
  confirms: ({ epoch, open, done }, lastOpen) => done && !open && epoch > lastOpen,
  strangersUntil: (since) => since + leaseMs * 1.01 + driftMs,
  mayConfirm: (writing) => writing === 0,
  mayRun: (own, decided) => own === decided,
  waitsForCommit: () => true,
  heedsMoving: () => true,
  mayUse: ({ askedAs, voidUpTo }) => askedAs > voidUpTo,
  isSameTarget: (own, agreed) => own === agreed,
  isFresh: (age, interval) => age < 2 * interval,
  isDown: ({ down, voters }) => down > Math.floor(voters / 2),
  holdsForDown: (failures, threshold) => failures >= threshold,
  heedsHeard: () => true,
  restsUntil: (lastFailoverAt, rest) => (lastFailoverAt === 0 ? 0 : lastFailoverAt + rest),
  asksFirst: () => true,
  heedsForeign: () => true,
  hookOverAt: (until) => until + driftMs,
  mayPromote: ({ possiblyPromoted }) => !possiblyPromoted,
  choosesAnew: () => true,
  mustNotLose: (reference) => reference,
  knowsPassed: ({ unheard, forgot }) => unheard === 0 && !forgot,
  mayReturn: ({ shown }) => shown,
};
