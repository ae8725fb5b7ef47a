/**
 * The numbers of membership: memberlist's for a local network. All members of a cluster must have the same.
 * They are settings so that tests can state rules with round numbers; nobody should need to tune them.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Address, Metadata } from './model.ts';

export interface SwimSettings {
  readonly probeIntervalMs: Millis;
  readonly probeTimeoutMs: Millis;
  /** Members asked to probe for us when a direct probe brought no answer. */
  readonly relays: number;
  /** A helper says nack after this part of the probe time-out. */
  readonly nackAfter: number;
  readonly gossipIntervalMs: Millis;
  readonly gossipFanout: number;
  /** The dead are gossiped to for so long, so that one that lives learns what is said of it. */
  readonly gossipToDeadMs: Millis;
  readonly syncIntervalMs: Millis;
  readonly syncTimeoutMs: Millis;
  /** An update is sent retransmit x ceil(log10(n + 1)) times by each member. */
  readonly retransmit: number;
  /** Shortest suspicion: this x max(1, log10 n) x probe interval. */
  readonly suspicionFactor: number;
  /** Longest suspicion: this x the shortest. */
  readonly suspicionMaxFactor: number;
  /** Independent accusers, beside the first, that shorten a suspicion to its shortest. */
  readonly confirmations: number;
  /** Who was wrong about a living member asks twice before it accuses, for so long. */
  readonly doubtMs: Millis;
  readonly scoreMax: number;
  /** Delays of the event loop above this count against our own health. */
  readonly stallMs: Millis;
  readonly seedRetryMs: Millis;
  readonly seedRetryMaxMs: Millis;
  /** A leaver has departed after so long even if not everybody was told. */
  readonly leaveMs: Millis;
  /** The dead and those who left are shown for so long. */
  readonly forgetDeadMs: Millis;
  readonly forgetLeftMs: Millis;
  /** Bound of the member list; further ones are refused and counted. */
  readonly membersMax: number;
}

export interface SwimOptions {
  readonly self: {
    readonly id: MemberId;
    /** Greater than in every earlier start with this id. */
    readonly boot: number;
    readonly name: string;
    /** Where the others reach this member. */
    readonly address: Address;
    readonly metadata: Metadata;
  };
  readonly settings?: Partial<SwimSettings>;
}

export const lanSettings: SwimSettings = {
  probeIntervalMs: 1000,
  probeTimeoutMs: 500,
  relays: 3,
  nackAfter: 0.8,
  gossipIntervalMs: 200,
  gossipFanout: 3,
  gossipToDeadMs: 30_000,
  syncIntervalMs: 30_000,
  syncTimeoutMs: 10_000,
  retransmit: 4,
  suspicionFactor: 4,
  suspicionMaxFactor: 6,
  confirmations: 2,
  doubtMs: 60_000,
  scoreMax: 7,
  stallMs: 500,
  seedRetryMs: 1000,
  seedRetryMaxMs: 15_000,
  leaveMs: 3000,
  forgetDeadMs: 24 * 3_600_000,
  forgetLeftMs: 60_000,
  membersMax: 10_000,
};
