/**
 * What members say to each other about pools. Each word may be lost, and is said again by itself; none moves anything that
 * is agreed. Only fence confirmations are trusted with safety, and they come from who confirms.
 *
 *   report   all -> leader   what probes say            probe   all -> all      look at this node now
 *   held     all -> leader   writes still held          drain   leader -> all   begin no more writes of this epoch
 *   run      leader -> one   run this hook              ran     one -> leader   how it ended
 *   state    leader -> all   what to show
 */
import type { Millis } from '../../base/ids.ts';
import type { NodeReport } from './contract.ts';
import type { EpochReason, HookKind, PoolState, Target } from './model.ts';

/** Reports are said again so often, since words may be lost. */
export const reportWordMs: Millis = 1000;

/** Of one node, by one member. `age`: since the check ended. */
export interface ToldReport extends Omit<NodeReport, 'at'> {
  readonly url: string;
  readonly age: Millis;
}

export interface HeldWord {
  readonly kind: 'held';
  readonly pool: string;
  /** The newest that the member knows of, and its phase: of an open one it says how far a switch has drained. */
  readonly epoch: number;
  readonly open: boolean;
  /** It holds no write of an older epoch (open: of this), and begins none. */
  readonly done: boolean;
  readonly writing: number;
  /** The highest position that it passed on to a client. */
  readonly passed: number | null;
  /** It may have passed on some before its process began, of which it knows nothing. Absent: it has not. */
  readonly partial?: boolean;
}

export interface RunWord {
  readonly kind: 'run';
  readonly id: number;
  readonly pool: string;
  readonly hook: HookKind;
  readonly target: Target;
  readonly epoch: number;
  readonly reason: EpochReason;
  readonly policy: string;
  readonly term: number;
  /** On the clock of who runs it: counted from a report of its own, so that no delay lengthens it. */
  readonly deadline: Millis;
}

export type Word =
  /** `clock`: the sender's. `policies`: pool and hash. */
  | {
      readonly kind: 'report';
      readonly clock: Millis;
      readonly policies: readonly (readonly [string, string])[];
      readonly reports: readonly ToldReport[];
    }
  | { readonly kind: 'probe'; readonly pool: string; readonly node: string }
  | HeldWord
  | { readonly kind: 'drain'; readonly pool: string; readonly epoch: number; readonly on: boolean }
  | RunWord
  | {
      readonly kind: 'ran';
      readonly id: number;
      readonly term: number;
      readonly ok: boolean;
      readonly detail: string;
      readonly position: number | null;
    }
  | {
      readonly kind: 'state';
      readonly pool: string;
      readonly state: PoolState;
      readonly reason: string;
      /** Names. */
      readonly differing: readonly string[];
    };
