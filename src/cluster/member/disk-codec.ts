/**
 * What the disk keeps, as bytes: entries, the vote, snapshots with their configuration, the promise, the cluster. Each
 * begins with its version. What can't be read is null: the caller must not start on it.
 */
import type { MemberId } from '../../base/ids.ts';
import type { Entry, HardState, Restored, Snapshot } from '../raft/model.ts';
import { newborn } from '../raft/model.ts';
import { ByteReader, ByteWriter } from '../replica/bytes.ts';
import { readFirstVoters, writeFirstVoters } from './codec.ts';
import type { DiskEntry, MemberRestored } from './contract.ts';
import { id, readBody, readConfig, text, writeBody, writeConfig, writeId } from './parts.ts';
import type { FirstVoter } from './words.ts';

const version = 1;
const begin = (): ByteWriter => new ByteWriter().byte(version);
const hexForm = /^[0-9a-f]{32}$/;

function readAll<T>(bytes: Uint8Array, read: (from: ByteReader) => T): T | null {
  const from = new ByteReader(bytes);
  if (from.byte() !== version) return null;
  const value = read(from);
  return from.done() ? value : null;
}

export function diskEntry(entry: Entry): DiskEntry {
  const to = begin();
  writeBody(to, entry);
  return { index: entry.index, term: entry.term, bytes: to.take() };
}

export const readDiskEntry = ({ index, term, bytes }: DiskEntry): Entry | null =>
  readAll(bytes, (from) => readBody(from, { index, term }));

export function hardBytes({ term, vote }: HardState): Uint8Array {
  const to = begin().number(term);
  return to.option(vote, (voter) => writeId(to, voter)).take();
}

export const readHard = (bytes: Uint8Array): HardState | null =>
  readAll(bytes, (from) => ({ term: from.number(), vote: from.option(() => id(from)) }));

export function diskSnapshot({ index, term, config, data }: Snapshot): DiskEntry {
  const to = begin();
  writeConfig(to, config);
  // Not copied again: it may be as large as all that is agreed, and the writer is not used any more.
  return { index, term, bytes: to.bytes(data).peek() };
}

export const readDiskSnapshot = ({ index, term, bytes }: DiskEntry): Snapshot | null =>
  readAll(bytes, (from) => ({ index, term, config: readConfig(from), data: from.bytes() }));

export interface Promised {
  readonly set: string;
  readonly voters: readonly FirstVoter[];
}

export function promiseBytes({ set, voters }: Promised): Uint8Array {
  const to = begin().text(set);
  writeFirstVoters(to, voters);
  return to.take();
}

export const readPromise = (bytes: Uint8Array): Promised | null =>
  readAll(bytes, (from) => ({ set: text(from, (set) => hexForm.test(set)), voters: readFirstVoters(from) }));

export interface ClusterFact {
  readonly id: string;
  /** Those who formed it, if this member was one of them; else none. */
  readonly first: readonly FirstVoter[];
  /** This member is on its way out for good, and does not write without a lease any more. */
  readonly leaving: boolean;
}

export function clusterBytes(fact: ClusterFact): Uint8Array {
  const to = begin().text(fact.id);
  writeFirstVoters(to, fact.first);
  return to.byte(fact.leaving ? 1 : 0).take();
}

export const readCluster = (bytes: Uint8Array): ClusterFact | null =>
  readAll(bytes, (from) => ({
    id: text(from, (cluster) => hexForm.test(cluster)),
    first: readFirstVoters(from),
    leaving: from.flag(),
  }));

/** Own runs, oldest first. */
export function runsBytes(runs: readonly number[]): Uint8Array {
  const to = begin();
  to.list(runs, (both) => to.number(both));
  return to.take();
}

export const readRuns = (bytes: Uint8Array): readonly number[] | null =>
  readAll(bytes, (from) => from.list(() => from.number()));

/** What agreement starts from; null if the disk holds what can't be read. */
export function raftRestored(
  restored: Pick<MemberRestored, 'hard' | 'snapshot' | 'entries'>,
  first: readonly MemberId[],
): Restored | null {
  const fresh = newborn(first);
  const hard = restored.hard === null ? fresh.hard : readHard(restored.hard);
  const snapshot = restored.snapshot === null ? fresh.snapshot : readDiskSnapshot(restored.snapshot);
  const entries: Entry[] = [];
  for (const one of restored.entries) {
    const entry = readDiskEntry(one);
    if (entry === null) return null;
    entries.push(entry);
  }
  return hard === null || snapshot === null ? null : { hard, snapshot, entries };
}
