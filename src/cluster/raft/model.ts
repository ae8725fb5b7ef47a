/**
 * The words of the agreement: terms, indexes, entries, configurations, snapshots.
 *
 * Terms and indexes are whole numbers that only grow; 0 means "none yet". The log is [snapshot] + entries: a snapshot
 * stands for every entry up to its index, and carries the configuration as of there. A machine that is new holds the
 * snapshot of index 0: with the first voters if it is one of those who form the cluster, with an empty configuration
 * if it waits to be taken in. A configuration counts from the moment its entry is in the log, committed or not
 * (Ongaro's dissertation, 4.1), and is given up again if that entry is.
 */
import type { Brand } from '../../base/ids.ts';

/** A member's random uid from its data directory, not its name. */
export type MemberId = Brand<string, 'MemberId'>;
export const memberId = (uid: string): MemberId => uid as MemberId;

/** Numbers elections. 0 before the first. */
export type Term = number;
/** Position in the log. The first entry has 1. */
export type Index = number;
/** Numbers the persists of one run of a machine, from 1. */
export type Ticket = number;

/** Voters count for commits and elections; learners only get the log. No member is in both. */
export interface Config {
  readonly voters: readonly MemberId[];
  readonly learners: readonly MemberId[];
}

export type EntryBody =
  /** What a new leader commits first, so that it knows what is committed. */
  | { readonly kind: 'noop' }
  /** A command of the replica; opaque here. */
  | { readonly kind: 'data'; readonly data: Uint8Array }
  /** The whole configuration that counts from this entry on. */
  | { readonly kind: 'config'; readonly config: Config };

export type Entry = { readonly index: Index; readonly term: Term } & EntryBody;

/** What must be on disk before a vote or an acknowledgement leaves. `vote`: whom this member chose in `term`. */
export interface HardState {
  readonly term: Term;
  readonly vote: MemberId | null;
}

export interface SnapshotMeta {
  readonly index: Index;
  readonly term: Term;
  readonly config: Config;
}

export interface Snapshot extends SnapshotMeta {
  readonly data: Uint8Array;
}

/** What the journal gives back at start. Entries are contiguous; they may begin before the snapshot's end. */
export interface Restored {
  readonly hard: HardState;
  readonly snapshot: Snapshot;
  readonly entries: readonly Entry[];
}

/** The state of a machine that never ran: no voters for a joiner, the first voters for those who form the cluster. */
export function newborn(voters: readonly MemberId[] = []): Restored {
  const config: Config = { voters: [...voters], learners: [] };
  return {
    hard: { term: 0, vote: null },
    snapshot: { index: 0, term: 0, config, data: new Uint8Array(0) },
    entries: [],
  };
}

export const members = (config: Config): readonly MemberId[] => [...config.voters, ...config.learners];
export const isVoter = (config: Config, id: MemberId): boolean => config.voters.includes(id);
export const isMember = (config: Config, id: MemberId): boolean =>
  config.voters.includes(id) || config.learners.includes(id);

/** What an entry costs in memory and on the wire, roughly, in bytes. */
export function entrySize(entry: Entry): number {
  if (entry.kind === 'data') return 32 + entry.data.byteLength;
  if (entry.kind === 'noop') return 32;
  return 32 + 40 * (entry.config.voters.length + entry.config.learners.length);
}
