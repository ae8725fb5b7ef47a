/**
 * What happens at the opening of a journal, in this order: the log is found and read, SQLite opens, all is checked, the
 * boot number is raised, the log gets its second name, the journal is marked as open. A crash between any two of them
 * leaves a folder that opens again; an opening that fails changes nothing that the next one needs.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, readFileSync, rmSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { memberId } from '../../base/ids.ts';
import { type DataDir, syncFolder } from './data-dir.ts';
import { SnapshotJobs } from './journal-jobs.ts';
import { JournalError, type Restored } from './journal-model.ts';
import { checkStructure, readBoots, readEntries, readFacts, readSnapshot } from './journal-restore.ts';
import { corruption, formatVersion, rootOf, schema, Tables } from './journal-tables.ts';
import { inspectWal, type WalVerdict } from './wal.ts';
import { writeDurably } from './whole-file.ts';

/** The log's second name. */
export const secondName = 'journal.log';
/** What an opening found damaged; see rememberFault. */
export const damagedName = 'journal.damaged';

interface Identity {
  readonly uid: string;
  readonly boot: number;
  /** Hexadecimal. Absent in the first format. */
  readonly secret?: string;
}

const newSecret = (): string => randomBytes(32).toString('hex');

/** Looks at the files before SQLite does. Throws a JournalError for what SQLite would not mind. */
export function inspect(dir: DataDir): WalVerdict {
  const damaged = dir.file(damagedName);
  if (existsSync(damaged)) throw new JournalError('corrupt', readFileSync(damaged, 'utf8').trim());
  const wal = findLog(dir);
  const known = existsSync(dir.file('journal.id'));
  const database = dir.file('journal.db');
  const size = existsSync(database) ? statSync(database).size : 0;
  // SQLite would take an empty database for a new one, and delete the log beside it.
  if (size === 0 && known) throw corruption(dir.path, 'its database is gone or empty');
  const verdict: WalVerdict = existsSync(wal) ? inspectWal(readFileSync(wal)) : { kind: 'missing' };
  if (verdict.kind === 'corrupt') throw corruption(dir.path, `in its log ${verdict.detail}`);
  if (size === 0 && verdict.kind === 'sound' && verdict.commits > 0)
    throw corruption(dir.path, 'its database is gone, but its log is there');
  return verdict;
}

/** The settings of the connection. */
export function prepare(dir: DataDir, db: DatabaseSync): void {
  // Exclusive: no shared memory file, and nobody checkpoints from outside.
  db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF');
  const mode = db.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'];
  if (mode !== 'wal') throw new JournalError('io', `the journal in ${dir.path} can't use a write-ahead log (${mode})`);
  db.exec('PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 16777216');
}

/** Gives the log its second name. There is a log: something was committed since the opening. */
function nameLog(dir: DataDir): void {
  const wal = dir.file('journal.db-wal');
  const second = dir.file(secondName);
  if (sameFile(wal, second)) return;
  rmSync(second, { force: true });
  try {
    linkSync(wal, second);
  } catch (error) {
    const why = (error as Error).message;
    throw new JournalError('io', `data folder ${dir.path} must be on a file system with hard links: ${why}`);
  }
  syncFolder(dir.path);
}

const sameFile = (a: string, b: string): boolean =>
  existsSync(a) && existsSync(b) && statSync(a, { bigint: true }).ino === statSync(b, { bigint: true }).ino;

/**
 * The log as the last run left it, under the name by which SQLite looks for it. It keeps its second name: should this
 * opening fail, SQLite deletes the first again.
 */
function findLog(dir: DataDir): string {
  const wal = dir.file('journal.db-wal');
  const second = dir.file(secondName);
  if (!existsSync(second) || sameFile(wal, second)) return wal;
  if (existsSync(wal)) rmSync(second);
  else linkSync(second, wal);
  syncFolder(dir.path);
  return wal;
}

/** Checks and reads all, raises the boot number, marks the journal as open; all of it is synced. */
export function restore(dir: DataDir, db: DatabaseSync, wal: WalVerdict): Restored {
  const tables = new Tables(db, dir.path);
  const known = existsSync(dir.file('journal.id'));
  checkStructure(tables);
  const has = tables.sql("SELECT 1 FROM sqlite_master WHERE name = 'record'").get() !== undefined;
  if (known && !has) throw corruption(dir.path, 'its tables are gone');
  const before = has ? tables.json<Identity>('identity') : null;
  if (known && before === null) tables.missing('identity');
  if (before === null) return begin(dir, db, tables);
  return resume(dir, { db, tables, wal, before });
}

function begin(dir: DataDir, db: DatabaseSync, tables: Tables): Restored {
  const uid = randomBytes(16).toString('hex');
  db.exec('BEGIN IMMEDIATE');
  db.exec(schema);
  tables.setJson('format', formatVersion);
  const secret = newSecret();
  tables.setJson('identity', { uid, boot: 1, secret } satisfies Identity);
  tables.setRecord('mark', Buffer.from('clean'));
  tables.setBase(rootOf(0, 0));
  tables.setHead(rootOf(0, 0));
  db.exec('COMMIT');
  markOpen(dir, db, tables);
  // From now on a database that is gone is a loss.
  writeDurably(dir.file('journal.id'), [Buffer.from(`${uid}\n`)]);
  const nothing = { hard: null, snapshot: null, entries: [], facts: {}, boots: new Map() };
  return { uid: memberId(uid), boot: 1, secret: Buffer.from(secret, 'hex'), was: 'new', ...nothing };
}

interface Found {
  readonly db: DatabaseSync;
  readonly tables: Tables;
  readonly wal: WalVerdict;
  readonly before: Identity;
}

function resume(dir: DataDir, { db, tables, wal, before }: Found): Restored {
  const format = tables.json<number>('format') ?? tables.missing('format');
  if (format > formatVersion)
    throw new JournalError(
      'format',
      `the journal in ${dir.path} was written by a later release: run that one, or a newer`,
    );
  const mark = Buffer.from(tables.record('mark') ?? tables.missing('mark')).toString();
  if (mark !== 'clean' && (wal.kind === 'missing' || wal.kind === 'empty'))
    throw corruption(dir.path, `it was not closed, and its log (journal.db-wal) is ${wal.kind}`);
  const boot = before.boot + 1;
  const secret = before.secret ?? newSecret();
  if (format < formatVersion) upgrade(db, tables);
  const restored: Restored = {
    uid: memberId(before.uid),
    boot,
    secret: Buffer.from(secret, 'hex'),
    was: mark === 'clean' ? 'clean' : 'crashed',
    hard: tables.record('hard'),
    snapshot: readSnapshot(tables),
    entries: readEntries(tables),
    facts: readFacts(tables),
    boots: readBoots(tables),
  };
  db.exec('BEGIN IMMEDIATE');
  tables.setJson('identity', { uid: before.uid, boot, secret } satisfies Identity);
  new SnapshotJobs(tables).sweep();
  db.exec('COMMIT');
  markOpen(dir, db, tables);
  if (!existsSync(dir.file('journal.id'))) writeDurably(dir.file('journal.id'), [Buffer.from(`${before.uid}\n`)]);
  return restored;
}

/** The first format had no proofs of peers' runs. */
function upgrade(db: DatabaseSync, tables: Tables): void {
  db.exec('BEGIN IMMEDIATE');
  db.exec("ALTER TABLE peer ADD COLUMN proof TEXT NOT NULL DEFAULT ''");
  tables.setJson('format', formatVersion);
  db.exec('COMMIT');
}

/** From here on the log must be there at the next opening, unless the journal was closed. */
function markOpen(dir: DataDir, db: DatabaseSync, tables: Tables): void {
  nameLog(dir);
  db.exec('BEGIN IMMEDIATE');
  tables.setRecord('mark', Buffer.from('open'));
  db.exec('COMMIT');
  checkpoint(db);
}

/** Moves the log into the database, synced. The log's file stays, with its frames: it must never be empty meanwhile. */
export function checkpoint(db: DatabaseSync): void {
  const row = db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
  if (row?.['busy'] !== 0 || row['log'] !== row['checkpointed'])
    throw new JournalError('io', `the log could not be moved into the database (${JSON.stringify(row)})`);
}
