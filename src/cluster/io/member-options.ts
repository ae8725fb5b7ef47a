/** What a member's host is told, and whom it tells. */
import type { Millis } from '../../base/ids.ts';
import type { Effect, MemberEvent, MemberOptions, Telling } from '../member/contract.ts';
import type { Clocks } from './clocks.ts';
import type { JournalStats } from './journal-model.ts';
import type { Traffic, TransportCounts, TransportLimits } from './wire.ts';

export interface MemberHostOptions extends Omit<MemberOptions, 'random' | 'now' | 'wall'> {
  /** The data folder; made if it is not there. */
  readonly path: string;
  /** `host:port` to bind; null: no socket at all, for a cluster of one. Its address is `nowhere` then. */
  readonly listen: string | null;
  /** Secrets of the cluster, the sealing one first. None: only loopback can be bound. */
  readonly keys: readonly Uint8Array[];
  /** It takes no part any more: end the process. One line that says why, and what to do. Told once. */
  onStop(why: string): void;
  onEvent?(event: MemberEvent): void;
  /** An entry that moves this pool's open epoch is accepted as soon as this returns: no write of it may begin then. */
  onMoving?(pool: string): void;
  /** What the same room of another member said with `tell`. */
  onTold?(told: Telling): void;
  /** No write may begin under leases that were given before this. */
  onVoidLeases?(why: Extract<Effect, { readonly kind: 'void-leases' }>['why']): void;
  /** One line for the log. */
  onProblem?(line: string): void;
  readonly watchersMax?: number;
  readonly limitsOfTransport?: Partial<TransportLimits>;
  readonly clocks?: Clocks;
}

/** The address of a member without a socket. */
export const nowhere = '127.0.0.1:1';

/** Since the start. */
export interface HostMeasures {
  /** Of the keys in use, the sealing one first; not secret. */
  readonly keyIds: readonly number[];
  readonly net: TransportCounts;
  readonly traffic: Traffic;
  readonly journal: JournalStats;
  /** Longest lateness of the timer. */
  readonly slowestTurnMs: Millis;
}
