/** The cluster as this member sees it, as plain data for metrics. Counts are since the start of the process. */
import type { Bytes, Millis } from '../base/ids.ts';

export interface ObservedCluster {
  /** Number of members by state; a state that none has may be left out. */
  readonly members: ReadonlyMap<string, number>;
  readonly state: string;
  readonly isLeader: boolean;
  /** Writes to agreed state could be committed now. */
  readonly hasQuorum: boolean;
  readonly voters: number;
  readonly term: number;
  /** Indexes of the log. */
  readonly commitIndex: number;
  readonly appliedIndex: number;
  /** Elections that this member stood in. */
  readonly elections: number;
  /** Of those of whom this member knows it: a leader of all, others of themselves. */
  readonly lags: readonly { readonly member: string; readonly entries: number; readonly seconds: number }[];
  /** Entries that the log holds, behind the snapshot. */
  readonly logEntries: number;
  readonly diskBytes: Bytes;
  readonly held: ObservedHoldings;
  readonly disk: ObservedDisk;
  readonly net: ObservedNet;
  readonly gossip: { readonly suspicions: number; readonly refutations: number; readonly deaths: number };
  readonly asked: ObservedAsked;
}

/** The agreed state. */
export interface ObservedHoldings {
  readonly keys: number;
  readonly bytes: Bytes;
  readonly locks: number;
  readonly leases: number;
}

export interface ObservedDisk {
  /** Transactions that were synced, and how much was to be kept in them. */
  readonly commits: number;
  readonly persists: number;
  readonly slowestMs: Millis;
}

interface InAndOut {
  readonly in: Bytes;
  readonly out: Bytes;
}

export interface ObservedNet {
  /** Datagrams: nearly all of gossip. */
  readonly datagrams: InAndOut;
  /** Kept connections: agreement, forwarded writes, gossip's exchanges. */
  readonly connections: InAndOut;
  readonly unsent: number;
  /** Frames and connections that were not let in. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Authentic words that were not accepted. */
  readonly refused: ReadonlyMap<string, number>;
}

/** What was asked of the agreed state on this member. */
export interface ObservedAsked {
  /** How writes ended. */
  readonly writes: Readonly<Record<string, number>>;
  /** In the buckets of scoreboard/histogram.ts. */
  readonly commitTimes: Float64Array;
  readonly lockWaitTimes: Float64Array;
  /** Under way now. */
  readonly calls: number;
  readonly lockWaits: number;
  readonly watches: number;
}
