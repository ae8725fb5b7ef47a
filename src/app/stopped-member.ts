/** The data folder of a member that does not run, for commands: what it holds and what became of it, as plain facts. */
import { err, ok, type Result } from '../base/result.ts';
import { type Backup, readBackup, unpackBackup, writeBackup } from '../cluster/io/backup.ts';
import { type Begun, backupOf, type Holding, look, recover, restore } from '../cluster/io/stopped-member.ts';

export interface HoldingShown {
  readonly uid: string;
  readonly cluster: string;
  /** Uids. */
  readonly voters: readonly string[];
  readonly last: { readonly term: number; readonly index: number; readonly at: string | null };
  /** Entries behind the snapshot: of the last of them it is not known here whether they were committed. */
  readonly open: number;
  readonly counts: Counts;
}

export interface Counts {
  readonly keys: number;
  readonly locks: number;
  readonly leases: number;
}

export interface BegunShown {
  readonly uid: string;
  readonly cluster: string;
  readonly counts: Counts;
  /** Pools with a primary, as they go on; `primary` null: an operator has to say who it is. `last`: who it was before. */
  readonly pools: readonly {
    readonly pool: string;
    readonly epoch: number;
    readonly primary: string | null;
    readonly last: string | null;
  }[];
}

const countsOf = ({ state }: Holding | Begun): Counts => ({
  keys: state.kv.size,
  locks: state.locks.table.size,
  leases: state.leases.table.size,
});

const begunShown = (begun: Begun): BegunShown => ({
  uid: begun.uid,
  cluster: begun.cluster,
  counts: countsOf(begun),
  pools: begun.state.pools.list().map(({ pool, epoch, target, last }) => ({
    ...{ pool, epoch, primary: target?.node ?? null, last: last?.target.node ?? null },
  })),
});

const shown = (holding: Holding): HoldingShown => ({
  ...{ uid: holding.uid, cluster: holding.cluster, voters: holding.config.voters },
  last: { ...holding.last, at: holding.state.now === 0 ? null : new Date(holding.state.now).toISOString() },
  open: holding.last.index - holding.certain,
  counts: countsOf(holding),
});

const mapped = <T, U>(result: Result<T, string>, map: (value: T) => U): Result<U, string> =>
  result.ok ? ok(map(result.value)) : result;

/** What the folder holds. */
export const lookInto = (folder: string): Result<HoldingShown, string> => mapped(look(folder), shown);

/** Makes its member the only one of a new cluster. */
export const recoverIn = (folder: string): Result<BegunShown, string> =>
  mapped(recover(folder, Date.now()), begunShown);

/** Puts a backup into a folder that holds nothing. */
export function restoreInto(folder: string, file: string): Result<BegunShown & { readonly of: Backup }, string> {
  const backup = readBackup(file);
  if (!backup.ok) return backup;
  const restored = restore(folder, { backup: backup.value, wall: Date.now() });
  return mapped(restored, (begun) => ({ ...begunShown(begun), of: backup.value }));
}

/** Takes a backup of the folder of a stopped member. */
export function backUp(folder: string, file: string): Result<HoldingShown, string> {
  const found = look(folder);
  if (!found.ok) return found;
  return mapped(writeTo(file, backupOf(found.value, new Date().toISOString())), () => shown(found.value));
}

/** Keeps a backup that a running member gave, if it is whole. */
export function keepBackup(file: string, contents: Buffer): Result<Backup, string> {
  const backup = unpackBackup('what the member answered', contents);
  return backup.ok ? mapped(writeTo(file, backup.value), () => backup.value) : backup;
}

function writeTo(file: string, backup: Backup): Result<null, string> {
  try {
    writeBackup(file, backup);
    return ok(null);
  } catch (error) {
    return err(`backup ${file} can't be written: ${(error as Error).message}`);
  }
}
