/**
 * The words of the journal: what it is given, what it gives back. Its contents are bytes; what they mean is the
 * caller's. It keeps, on disk and checked:
 *
 *   identity   a random uid and a secret, made once; a boot number, raised at each opening
 *   hard       the vote         facts   named values: the first-quorum promise, the cluster's id, own runs
 *   snapshot   stands for entries up to its index        boots   the newest run of each peer, with its proof
 *   entries    contiguous, each with a hash over itself and the one before
 */
import type { MemberId } from '../../base/ids.ts';

/** A run of a peer as one growing number, and what that peer said to prove it later; empty if it said nothing. */
export interface PeerRun {
  readonly both: number;
  readonly proof: string;
}

export interface JournalEntry {
  readonly index: number;
  readonly term: number;
  readonly bytes: Uint8Array;
}

export type JournalSnapshot = JournalEntry;

/** Named values. `promise`: to which first voters this member promised itself. `cluster`: its id. `runs`: own runs. */
export const factNames = ['promise', 'cluster', 'runs'] as const;
export type FactName = (typeof factNames)[number];
export type Facts = { readonly [Name in FactName]?: Uint8Array | null };

/**
 * One persist. In this order, all or nothing: `truncateFrom` (delete entries with index >= it), `compactTo` (delete
 * entries with index <= it), `snapshot` (replaces the old one), `entries` (append), `hard` (replaces), `facts` (null
 * deletes), `boots` (raise). A snapshot beyond the last entry takes the place of all entries.
 */
export interface JournalWrite {
  /** The caller's number of it: comes back, once, when it is on disk. */
  readonly ticket: number;
  readonly truncateFrom?: number | null;
  readonly compactTo?: number | null;
  readonly snapshot?: JournalSnapshot | null;
  readonly entries?: readonly JournalEntry[];
  readonly hard?: Uint8Array | null;
  readonly facts?: Facts;
  readonly boots?: readonly (readonly [MemberId, PeerRun])[];
}

/** What the last run left. Entries may begin before the snapshot's end. */
export interface Restored {
  readonly uid: MemberId;
  /** Of this run: on disk already. In a restored old copy it is one that peers have seen before. */
  readonly boot: number;
  /** 32 bytes that never leave this folder but with a copy of it. */
  readonly secret: Uint8Array;
  /** `new`: the folder was empty. `clean`: it was closed. `crashed`: it was not, and nothing acknowledged is missing. */
  readonly was: 'new' | 'clean' | 'crashed';
  readonly hard: Uint8Array | null;
  readonly snapshot: JournalSnapshot | null;
  readonly entries: readonly JournalEntry[];
  readonly facts: Facts;
  readonly boots: ReadonlyMap<MemberId, PeerRun>;
}

export interface JournalStats {
  /** Transactions that were synced for persists, and how many persists were in them. */
  readonly commits: number;
  readonly persists: number;
  readonly checkpoints: number;
  /** Time of the last and of the slowest commit, in ms. */
  readonly lastCommitMs: number;
  readonly slowestCommitMs: number;
}

export type JournalFault =
  /** Another process has the folder. */
  | 'locked'
  /** What is there is not what was written. */
  | 'corrupt'
  /** Written by a later release. */
  | 'format'
  /** The disk is full. */
  | 'full'
  /** The folder can't be used, or a write failed. */
  | 'io'
  /** A write that contradicts what is there: a bug of the caller. */
  | 'misuse';

/** After one of a commit, this member must not vote or acknowledge any more: what is on disk is not known. */
export class JournalError extends Error {
  override readonly name = 'JournalError';
  readonly code: JournalFault;

  constructor(code: JournalFault, message: string) {
    super(message);
    this.code = code;
  }
}
