/**
 * The rules of the member whose breach loses data, each a pure function by itself, so that each can be read and tested
 * alone and a simulation can plant the breach of one. The rules of agreement itself are in raft/rules.ts.
 */
import type { Millis } from '../../base/ids.ts';
import type { LogEnd } from './words.ts';

export interface MemberRules {
  /** A write lease counts from when its request was sent, on the clock of who asked (2.3). */
  leaseFrom(sentAt: Millis, grantedAt: Millis): Millis;
  /** A span that another's clock measures is over by ours after this. */
  withDrift(span: Millis): Millis;
  /** A grant waits for a round that was begun after the request came, so that only a leader of now gives it (2.7). */
  grantConfirmed(index: number | null): boolean;
  /** Only members in the agreed configuration get leases, for exactly the open epoch (2.6). */
  mayGrant(asker: { readonly inConfig: boolean; readonly epoch: number; readonly open: number | null }): boolean;
  /** Where the quorum is all voters and shall stay so, a voter needs nobody's leave (2.8). `expect`: its own file's. */
  needsNoLease(voters: number, isVoter: boolean, expect: number): boolean;
  /**
   * Until when a voter may have given itself leave to write (2.8). `closedAt`: since when no epoch is open by what is
   * committed, so accepted by every voter of one or two; null: one is open.
   */
  unaskedUntil(view: { readonly voters: number; readonly closedAt: Millis | null; readonly now: Millis }): Millis;
  /** An epoch that moves in the own log gives no leave to write any more, committed or not (2.8). */
  endsByAcceptance(): boolean;
  /** All `expect` first voters promised the same (7.1). */
  isFormed(promises: number, expect: number): boolean;
  /** One promise, ever (7.1). */
  mayPromise(earlier: string | null, wish: string): boolean;
  /** A promise, a boot or a cluster counts once it is on disk. */
  waitsForDisk(): boolean;
  /** What a peer's run is worth that was seen with `known` before (7.2). See `runOf`. */
  bootVerdict(known: number | undefined, heard: number): 'same' | 'newer' | 'amnesia';
  /** A newer run counts only if its disk knows of the run that counted before (7.2). `known`: 0 if none did. */
  followsOn(known: number, after: number): boolean;
  /** What a disk acknowledged to have is on it as its next run starts, or it was taken back (7.2). */
  hasForgotten(had: LogEnd, acknowledged: LogEnd): boolean;
  /** A run that only this disk can have made, and that it does not know of: so this is an old copy of it (7.2). */
  isLostRun(run: { readonly proved: boolean; readonly ours: boolean }): boolean;
  /** What was not answered is asked again under the same number, so that it is applied once (8.2). */
  numberOfRetry(number: number, next: () => number): number;
  /** The time that a leader stamps: never before what the state has (8.3). */
  stamp(clock: Millis, state: Millis): Millis;
  /** A command's version goes into the log when every voter announced that it knows it (8.4). */
  mayPropose(version: number, announced: readonly (number | undefined)[]): boolean;
}

const runs = 2 ** 20;

/** Boot and number of the run in one: a boot number used twice shows as two runs of one boot. */
export const runOf = (boot: number, run: number): number => boot * runs + run;
export const bootOf = (both: number): number => Math.floor(both / runs);
/** Numbers of runs are below this. */
export const runsMax = runs;

export const safeRules: MemberRules = {
  leaseFrom: (sentAt) => sentAt,
  withDrift: (span) => span * 1.01 + 50,
  grantConfirmed: (index) => index !== null,
  mayGrant: ({ inConfig, epoch, open }) => inConfig && open === epoch,
  needsNoLease: (voters, isVoter, expect) => isVoter && expect <= 2 && voters > 0 && voters <= 2,
  unaskedUntil: ({ voters, closedAt, now }) => (voters > 2 ? Number.NEGATIVE_INFINITY : (closedAt ?? now)),
  endsByAcceptance: () => true,
  isFormed: (promises, expect) => promises === expect,
  mayPromise: (earlier, wish) => earlier === null || earlier === wish,
  waitsForDisk: () => true,
  bootVerdict: (known, heard) => {
    if (known === undefined || bootOf(heard) > bootOf(known)) return 'newer';
    return known === heard ? 'same' : 'amnesia';
  },
  followsOn: (known, after) => known === after,
  hasForgotten: (had, acknowledged) =>
    had.term < acknowledged.term || (had.term === acknowledged.term && had.index < acknowledged.index),
  isLostRun: ({ proved, ours }) => proved && !ours,
  numberOfRetry: (number) => number,
  stamp: (clock, state) => Math.max(clock, state),
  mayPropose: (version, announced) => announced.every((one) => one !== undefined && one >= version),
};
