/**
 * What can be done with the data folder of a member that does not run: look at it, take a backup of it, put a backup
 * into an empty one, and make it the only member of a new cluster when the others are lost (7.4).
 *
 *   folder --lock, checks--> log and snapshot --applied--> state
 *   recover, restore: state --counters and epochs above all that may have been given out--> one snapshot, one voter, a new
 *                     cluster id
 *
 * The whole log counts, also entries at its end of which this disk does not know whether they were committed: what was
 * acknowledged by a majority that is lost may be among them. Each opening raises the boot number, so that the next run is
 * a later one for its peers.
 */
import { randomBytes } from 'node:crypto';
import { err, ok, type Result } from '../../base/result.ts';
import { clusterBytes, diskSnapshot, hardBytes, raftRestored, readCluster } from '../member/disk-codec.ts';
import type { Config, MemberId, Restored as RaftRestored } from '../raft/model.ts';
import { encodeProposal } from '../replica/codec.ts';
import type { Command } from '../replica/command.ts';
import { Replica } from '../replica/replica.ts';
import { restore as restoreState, snapshot } from '../replica/snapshot.ts';
import { type Backup, holdsJournal } from './backup.ts';
import { JournalError, type Restored } from './journal-model.ts';
import { JournalStore } from './journal-store.ts';
import { oldCopyMark } from './stop-mark.ts';

/** What a data folder holds. */
export interface Holding {
  readonly uid: MemberId;
  readonly cluster: string;
  /** The last entry of its log: of several folders the one with the higher term, then index, has the newest. */
  readonly last: { readonly index: number; readonly term: number };
  /** In which it voted last, or the one of its last entry. */
  readonly term: number;
  /** Entries up to this one are known to be committed; of later ones this disk does not know it. */
  readonly certain: number;
  readonly config: Config;
  readonly state: Replica;
}

/** Of a folder that begins anew as a cluster of its own. */
export interface Begun {
  readonly uid: MemberId;
  readonly cluster: string;
  readonly state: Replica;
}

/** What a state goes through that other members may have gone on from: what they gave out meanwhile must not come again. */
const afterLoss: readonly Command[] = [{ kind: 'raise' }];

/** Opens, does, closes; errors of the journal as texts, which say what to do. */
function within<T>(path: string, act: (store: JournalStore) => Result<T, string>): Result<T, string> {
  let store: JournalStore | null = null;
  try {
    store = JournalStore.open(path);
    return act(store);
  } catch (error) {
    if (error instanceof JournalError) return err(error.message);
    throw error;
  } finally {
    store?.close();
  }
}

/** Refused while a process runs on the folder. */
export function look(path: string): Result<Holding, string> {
  const fault = folderFault(path);
  return fault === null ? within(path, ({ restored }) => holdingOf(path, restored)) : err(fault);
}

/** Why nothing can be read from there; null if it can be tried. */
function folderFault(path: string): string | null {
  const what = "name the dataDir of the member's config";
  try {
    return holdsJournal(path) ? null : `there is no member's state in ${path}: ${what}`;
  } catch (error) {
    return `${path} can't be read as a data folder: ${(error as Error).message}; ${what}, as a user who may read it`;
  }
}

function holdingOf(path: string, restored: Restored): Result<Holding, string> {
  const fact = restored.facts.cluster ? readCluster(restored.facts.cluster) : null;
  if (fact === null) return err(`the member in ${path} belongs to no cluster yet: it holds no agreed state`);
  const agreed = raftRestored(
    restored,
    fact.first.map((one) => one.id),
  );
  if (agreed === null) return err(`the log in ${path} was written by a later release: use that one, or a newer`);
  const state = stateOf(path, agreed);
  if (!state.ok) return state;
  const { index, term } = state.value;
  return ok({
    ...{ uid: restored.uid, cluster: fact.id, state: state.value, certain: agreed.snapshot.index },
    last: { index, term },
    term: Math.max(term, agreed.hard.term),
    config: configOf(agreed),
  });
}

function stateOf(path: string, { snapshot: base, entries }: RaftRestored): Result<Replica, string> {
  const restored = base.data.byteLength === 0 ? ok(new Replica()) : restoreState(base.data);
  if (!restored.ok) return err(`the snapshot in ${path} can't be used: it is ${restored.error}`);
  const state = restored.value;
  for (const entry of entries) {
    if (entry.index <= state.index) continue;
    const { events } = state.apply({ ...entry, data: entry.kind === 'data' ? entry.data : null });
    if (events.some((event) => event.kind === 'unreadable' && event.why === 'version'))
      return err(`entry ${entry.index} in ${path} is of a newer release: use that one`);
  }
  return ok(state);
}

function configOf({ snapshot: base, entries }: RaftRestored): Config {
  let config = base.config;
  for (const entry of entries) if (entry.kind === 'config' && entry.index > base.index) config = entry.config;
  return config;
}

/** `takenAt`: ISO 8601. */
export const backupOf = ({ cluster, last, state }: Holding, takenAt: string): Backup => ({
  ...{ cluster, takenAt, index: last.index, term: last.term },
  bytes: snapshot(state),
});

/** The member in this folder is from now on the only voter of a new cluster. `wall`: ms since 1970. */
export function recover(path: string, wall: number): Result<Begun, string> {
  const mark = oldCopyMark(path);
  if (mark !== null) return err(`${mark}; if this copy is all that is left: take a backup of it, and restore that`);
  const fault = folderFault(path);
  if (fault !== null) return err(fault);
  return within(path, (store) => {
    const found = holdingOf(path, store.restored);
    if (!found.ok) return found;
    const { state, uid, cluster, term } = found.value;
    return begin(store, { uid, state, term, notCluster: cluster, wall });
  });
}

/** Into a folder that holds nothing: its member is the only voter of a new cluster with this state. */
export function restore(path: string, { backup, wall }: { backup: Backup; wall: number }): Result<Begun, string> {
  const restored = restoreState(backup.bytes);
  if (!restored.ok) return err(`the backup can't be used: its state is ${restored.error}`);
  const state = restored.value;
  const mark = oldCopyMark(path);
  if (mark !== null) return err(mark);
  return within(path, (store) => {
    const { uid, facts, entries, hard } = store.restored;
    if (facts.cluster || facts.promise || hard !== null || entries.length > 0)
      return err(`${path} holds a member's state already: a backup is put into an empty folder only`);
    doubtPrimaries(state);
    return begin(store, { uid, state, term: state.term, notCluster: backup.cluster, wall });
  });
}

/**
 * Since the backup was taken another node may have become primary, and have taken writes. Nobody here can know: so an
 * operator says who it is (`failover adopt`), and until then no write goes anywhere.
 */
function doubtPrimaries({ pools }: Replica): void {
  for (const record of pools.list()) {
    const { step, phase, epoch, target } = record;
    const last = phase === 'open' && target !== null ? { epoch, target } : record.last;
    const open = { planned: null, allowed: null, target: null, last };
    pools.put({ ...record, ...open, step: step + 1, phase: 'undecided' });
  }
}

interface Beginning {
  readonly uid: MemberId;
  readonly state: Replica;
  /** The highest that the member knows of. */
  readonly term: number;
  /** The id that the new cluster must not have. */
  readonly notCluster: string;
  readonly wall: number;
}

/** One transaction: a crash leaves the folder as it was, or as the new cluster's. */
function begin(store: JournalStore, { uid, state, term: known, notCluster, wall }: Beginning): Result<Begun, string> {
  const term = Math.max(known, state.term) + 1;
  let { index } = state;
  for (const [at, command] of afterLoss.entries()) {
    index += 1;
    const proposer = { uid, boot: store.restored.boot, number: at + 1 };
    state.apply({ index, term, data: encodeProposal({ proposer, at: Math.max(wall, state.now), command }) });
  }
  state.pools.raiseEpochs();
  const cluster = newCluster(notCluster);
  const config: Config = { voters: [uid], learners: [] };
  const first = store.restored.entries[0]?.index ?? null;
  store.commit([
    {
      ticket: 1,
      truncateFrom: first,
      snapshot: diskSnapshot({ index, term, config, data: snapshot(state) }),
      hard: hardBytes({ term, vote: null }),
      facts: { promise: null, cluster: clusterBytes({ id: cluster, first: [], leaving: false }) },
    },
  ]);
  return ok({ uid, cluster, state });
}

function newCluster(not: string): string {
  const id = randomBytes(16).toString('hex');
  return id === not ? newCluster(not) : id;
}
