/**
 * The numbers of the core, with their defaults and what must hold between them. Times are in ms of the member's own
 * monotonic clock, sizes in bytes.
 */
import { assert } from '../../base/assert.ts';
import type { Bytes, Millis } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import type { MemberId } from './model.ts';
import { type Rules, safeRules } from './rules.ts';

export interface RaftOptions extends Partial<Numbers> {
  readonly id: MemberId;
  /** Raised and synced before the first message of this run. */
  readonly boot: number;
  /** The clock as the machine is made. */
  readonly now: Millis;
  readonly random: Random;
  /** 0: never leads. Leadership moves to higher ones. Default 100. */
  readonly priority?: number;
  /** Votes and stores the log, leads only while nobody else can. */
  readonly witness?: boolean;
  /** Only for tests that plant a fault. */
  readonly rules?: Rules;
}

export interface Numbers {
  /** A follower that hears no leader stands after a time drawn from here to electionMaxMs. Default 1000. */
  readonly electionMinMs: Millis;
  readonly electionMaxMs: Millis;
  /** A leader's round. Default 200. */
  readonly heartbeatMs: Millis;
  /** After a lost election the next one, if no leader was heard, comes after a time drawn from these. 100 to 300. */
  readonly retryMinMs: Millis;
  readonly retryMaxMs: Millis;
  /** Default 800; with drift it must be below electionMinMs. */
  readonly readLeaseMs: Millis;
  /** How far two clocks may differ over a span: share of it, plus ms. Default 1 % and 50. */
  readonly driftShare: number;
  readonly driftMs: Millis;
  /** Messages and bytes that may be under way to one follower. 64 and 4 MiB. */
  readonly maxInflight: number;
  readonly maxInflightBytes: Bytes;
  /** One append carries at most this, but always at least one entry. 256 KiB. */
  readonly maxAppendBytes: Bytes;
  /** Data of one proposal. 1 MiB. */
  readonly maxEntryBytes: Bytes;
  /** Proposals beyond this, not committed yet, are refused as busy. 16 MiB. */
  readonly maxUncommittedBytes: Bytes;
  readonly snapshotPieceBytes: Bytes;
  /** A larger one is refused. 1 GiB. */
  readonly maxSnapshotBytes: Bytes;
  /** Entries that are kept before a snapshot, for followers that are a little behind: so many, of so many bytes. 1000, 64 MiB. */
  readonly keepEntries: number;
  readonly keepBytes: Bytes;
  /** A learner this near to the leader's end has caught up. 100. */
  readonly caughtUpEntries: number;
  /** Leadership moves to a higher priority after this long without change; doubled per move, up to an hour. 30 s. */
  readonly moveAfterMs: Millis;
}

const defaults: Numbers = {
  electionMinMs: 1000,
  electionMaxMs: 2000,
  heartbeatMs: 200,
  retryMinMs: 100,
  retryMaxMs: 300,
  readLeaseMs: 800,
  driftShare: 0.01,
  driftMs: 50,
  maxInflight: 64,
  maxInflightBytes: 4 << 20,
  maxAppendBytes: 256 << 10,
  maxEntryBytes: 1 << 20,
  maxUncommittedBytes: 16 << 20,
  snapshotPieceBytes: 256 << 10,
  maxSnapshotBytes: 1 << 30,
  keepEntries: 1000,
  keepBytes: 64 << 20,
  caughtUpEntries: 100,
  moveAfterMs: 30_000,
};

export interface Settings extends Numbers {
  readonly id: MemberId;
  readonly boot: number;
  readonly random: Random;
  readonly priority: number;
  readonly witness: boolean;
  readonly rules: Rules;
}

/** What is wrong with these numbers, as one line each; empty if they can work together. */
export function problemsOf(options: RaftOptions): readonly string[] {
  const s = settle(options);
  const drift = s.readLeaseMs * s.driftShare + s.driftMs;
  const checks: readonly (readonly [boolean, string])[] = [
    [s.electionMinMs > 0 && s.electionMaxMs > s.electionMinMs, 'electionMaxMs must be above electionMinMs'],
    [s.heartbeatMs > 0 && s.heartbeatMs * 3 <= s.electionMinMs, 'electionMinMs must be at least 3 x heartbeatMs'],
    [s.readLeaseMs + drift < s.electionMinMs, 'readLeaseMs with drift must be below electionMinMs'],
    [s.retryMinMs > 0 && s.retryMaxMs > s.retryMinMs, 'retryMaxMs must be above retryMinMs'],
    [s.maxInflight >= 1 && s.maxAppendBytes > 0 && s.snapshotPieceBytes > 0, 'sizes must be above 0'],
    [s.priority >= 0 && Number.isFinite(s.priority), 'priority must be 0 or more'],
  ];
  return checks.filter(([good]) => !good).map(([, text]) => text);
}

export function settle(options: RaftOptions): Settings {
  return { ...defaults, priority: 100, witness: false, rules: safeRules, ...options };
}

export function checked(options: RaftOptions): Settings {
  const problems = problemsOf(options);
  assert(problems.length === 0, `raft options: ${problems.join('; ')}`);
  return settle(options);
}

/** A lease of this length, held by another's clock, is over by ours at its start plus this. */
export const withDrift = (settings: Settings, span: Millis): Millis =>
  span * (1 + settings.driftShare) + settings.driftMs;
