/**
 * The journal itself, synchronous: the worker's thread calls it, and so do tools that work on a stopped member.
 *
 *   open        lock -> read the log by ourselves (wal.ts) -> SQLite -> check all -> boot + 1, marked open, synced
 *   commit      any number of persists, one transaction, one sync; returns the tickets that are on disk by it
 *   background  a snapshot's pieces, deleting what was compacted, checkpoints: one short step at a time, between commits
 *   close       marked clean, checkpoint, the log is gone, unlock
 *
 * The mark is what tells a crash from a lost log: while it says open, a log with frames must be there. For that it is
 * put into the database file itself by a checkpoint, before anything else is written. SQLite, however, deletes its log
 * whenever it is closed, also by a process that ends without closing the journal; so the log has a second name
 * (`journal.log`, a hard link), by which it is found again.
 *
 * A commit that fails leaves the store dead: what is on disk is not known then, so it must never be asked again.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, readFileSync, rmSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { memberId } from '../../base/ids.ts';
import { DataDir, syncFolder } from './data-dir.ts';
import { SnapshotJobs } from './journal-jobs.ts';
import { type FactName, JournalError, type JournalStats, type JournalWrite, type Restored } from './journal-model.ts';
import { bootSum, checkStructure, readBoots, readEntries, readFacts, readSnapshot } from './journal-restore.ts';
import { chainOf, corruption, formatVersion, type Link, rootOf, schema, Tables } from './journal-tables.ts';
import { inspectWal, type WalVerdict } from './wal.ts';
import { writeDurably } from './whole-file.ts';

/** Pages in the log from which on it is moved into the database: 4 MiB. */
const checkpointPages = 1024;
const secondName = 'journal.log';

interface Identity {
  readonly uid: string;
  readonly boot: number;
}

export class JournalStore {
  readonly restored: Restored;
  readonly #dir: DataDir;
  readonly #db: DatabaseSync;
  readonly #tables: Tables;
  readonly #jobs: SnapshotJobs;
  #head: Link;
  #dead: JournalError | null = null;
  #closed = false;
  /** About how many pages went to the log since the last checkpoint. */
  #pages = 0;
  #stats = { commits: 0, persists: 0, checkpoints: 0, lastCommitMs: 0, slowestCommitMs: 0 };

  private constructor(dir: DataDir, db: DatabaseSync, restored: Restored) {
    this.#dir = dir;
    this.#db = db;
    this.#tables = new Tables(db, dir.path);
    this.#jobs = new SnapshotJobs(this.#tables);
    this.restored = restored;
    this.#head = this.#tables.head();
  }

  /** Throws a JournalError that says what to do. A refused folder is left as it is. */
  static open(path: string): JournalStore {
    const dir = DataDir.lock(path);
    let db: DatabaseSync | null = null;
    try {
      const wal = inspect(dir);
      db = new DatabaseSync(dir.file('journal.db'), { timeout: 0 });
      prepare(dir, db);
      const restored = restore(dir, db, wal);
      return new JournalStore(dir, db, restored);
    } catch (error) {
      const fault = asFault(error, path, 'it cannot be opened');
      if (db !== null && fault.code === 'corrupt') remember(dir, fault);
      db?.close();
      dir.unlock();
      throw fault;
    }
  }

  get stats(): JournalStats {
    return { ...this.#stats };
  }

  /** Writes all, syncs once. Returns the tickets that are on disk now; a snapshot's may come from `background`. */
  commit(writes: readonly JournalWrite[]): readonly number[] {
    return this.#guarded(() => {
      const started = performance.now();
      const done: number[] = [];
      this.#transaction(() => {
        for (const write of writes) done.push(...this.#apply(write));
      });
      this.#measure(performance.now() - started, writes.length);
      this.#pages += 6 + writes.reduce((pages, write) => pages + pagesOf(write), 0);
      return done;
    });
  }

  #measure(ms: number, persists: number): void {
    this.#stats.commits += 1;
    this.#stats.persists += persists;
    this.#stats.lastCommitMs = ms;
    this.#stats.slowestCommitMs = Math.max(this.#stats.slowestCommitMs, ms);
  }

  /** A snapshot from elsewhere: it stands for entries that are not here. */
  #replacesLog(write: JournalWrite): boolean {
    const { snapshot, truncateFrom } = write;
    return (snapshot ?? null) !== null && ((truncateFrom ?? null) !== null || snapshot!.index > this.#head.index);
  }

  /** Runs within a transaction. Returns what is done by it; what is a job for the background comes from there. */
  #apply(write: JournalWrite): readonly number[] {
    const now = this.#replacesLog(write);
    // What was begun before must not come after.
    const done = now ? [...this.#jobs.finish()] : [];
    if (typeof write.truncateFrom === 'number') this.#truncate(write.truncateFrom);
    if (now) this.#replaceLog(write);
    for (const entry of write.entries ?? []) this.#append(entry);
    if (write.hard instanceof Uint8Array) this.#tables.setRecord('hard', write.hard);
    this.#writeFacts(write);
    this.#tables.setHead(this.#head);
    const compactTo = write.compactTo ?? null;
    const snapshot = write.snapshot ?? null;
    if (now || (compactTo === null && snapshot === null)) return [...done, write.ticket];
    this.#jobs.add({ ticket: write.ticket, snapshot, compactTo });
    return done;
  }

  #writeFacts(write: JournalWrite): void {
    for (const [name, value] of Object.entries(write.facts ?? {}) as [FactName, Uint8Array | null][])
      this.#tables.setRecord(`fact ${name}`, value);
    const raise =
      'INSERT INTO peer VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET boot = excluded.boot, sum = excluded.sum WHERE excluded.boot > boot';
    for (const [uid, boot] of write.boots ?? []) this.#tables.sql(raise).run(uid, boot, bootSum(uid, boot));
  }

  #truncate(from: number): void {
    const base = this.#tables.base();
    this.#tables.sql('DELETE FROM entry WHERE idx >= ?').run(from);
    const last = this.#tables.sql('SELECT idx, chain FROM entry ORDER BY idx DESC LIMIT 1').get();
    if (last === undefined) this.#head = { index: base.index, chain: base.chain };
    else this.#head = { index: Number(last['idx']), chain: last['chain'] as Uint8Array };
  }

  #replaceLog({ snapshot }: JournalWrite): void {
    if (snapshot === undefined || snapshot === null) return;
    this.#jobs.writeAtOnce(snapshot);
    if (snapshot.index <= this.#head.index) return;
    const root = rootOf(snapshot.index, snapshot.term);
    this.#tables.exec('DELETE FROM entry');
    this.#tables.setBase(root);
    this.#head = root;
  }

  #append(entry: { readonly index: number; readonly term: number; readonly bytes: Uint8Array }): void {
    if (entry.index !== this.#head.index + 1)
      throw new JournalError('misuse', `entry ${entry.index} does not follow entry ${this.#head.index}`);
    const chain = chainOf(this.#head.chain, entry);
    this.#tables.sql('INSERT INTO entry VALUES (?, ?, ?, ?)').run(entry.index, entry.term, entry.bytes, chain);
    this.#head = { index: entry.index, chain };
  }

  /** Is there anything for `background` to do? */
  get busy(): boolean {
    return this.#dead === null && !this.#closed && (this.#jobs.busy || this.#pages >= checkpointPages);
  }

  /** One short step. Returns the tickets that are on disk by it. */
  background(): readonly number[] {
    return this.#guarded(() => {
      if (this.#jobs.busy) {
        const done: number[] = [];
        this.#transaction(() => done.push(...this.#jobs.step()));
        this.#pages += 72;
        return done;
      }
      if (this.#pages >= checkpointPages) {
        checkpoint(this.#db);
        this.#stats.checkpoints += 1;
        this.#pages = 0;
      }
      return [];
    });
  }

  #transaction(body: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE');
    body();
    this.#db.exec('COMMIT');
  }

  #guarded<T>(body: () => T): T {
    if (this.#dead !== null) throw this.#dead;
    if (this.#closed) throw new JournalError('misuse', `the journal in ${this.#dir.path} is closed`);
    try {
      return body();
    } catch (error) {
      this.#dead = asFault(error, this.#dir.path, 'a write failed');
      throw this.#dead;
    }
  }

  /** After a failed commit nothing more is written, and the folder is let go of. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (this.#dead === null) this.#transaction(() => this.#tables.setRecord('mark', Buffer.from('clean')));
      this.#db.close();
      if (this.#dead === null) rmSync(this.#dir.file(secondName), { force: true });
    } finally {
      this.#dir.unlock();
    }
  }
}

const pagesOf = ({ entries, snapshot }: JournalWrite): number => {
  const bytes = (entries ?? []).reduce(
    (sum, entry) => sum + 64 + entry.bytes.byteLength,
    snapshot?.bytes.byteLength ?? 0,
  );
  return Math.ceil(bytes / 4096);
};

function inspect(dir: DataDir): WalVerdict {
  const damaged = dir.file('journal.damaged');
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

function prepare(dir: DataDir, db: DatabaseSync): void {
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

function restore(dir: DataDir, db: DatabaseSync, wal: WalVerdict): Restored {
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
  tables.setJson('identity', { uid, boot: 1 });
  tables.setRecord('mark', Buffer.from('clean'));
  tables.setBase(rootOf(0, 0));
  tables.setHead(rootOf(0, 0));
  db.exec('COMMIT');
  markOpen(dir, db, tables);
  // From now on a database that is gone is a loss.
  writeDurably(dir.file('journal.id'), [Buffer.from(`${uid}\n`)]);
  const nothing = { hard: null, snapshot: null, entries: [], facts: {}, boots: new Map() };
  return { uid: memberId(uid), boot: 1, was: 'new', ...nothing };
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
  const restored: Restored = {
    uid: memberId(before.uid),
    boot,
    was: mark === 'clean' ? 'clean' : 'crashed',
    hard: tables.record('hard'),
    snapshot: readSnapshot(tables),
    entries: readEntries(tables),
    facts: readFacts(tables),
    boots: readBoots(tables),
  };
  db.exec('BEGIN IMMEDIATE');
  tables.setJson('identity', { uid: before.uid, boot });
  new SnapshotJobs(tables).sweep();
  db.exec('COMMIT');
  markOpen(dir, db, tables);
  if (!existsSync(dir.file('journal.id'))) writeDurably(dir.file('journal.id'), [Buffer.from(`${before.uid}\n`)]);
  return restored;
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
function checkpoint(db: DatabaseSync): void {
  const row = db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
  if (row?.['busy'] !== 0 || row['log'] !== row['checkpointed'])
    throw new JournalError('io', `the log could not be moved into the database (${JSON.stringify(row)})`);
}

/** SQLITE_CORRUPT, SQLITE_NOTADB and SQLITE_FULL, whatever their extension. */
function asFault(error: unknown, path: string, what: string): JournalError {
  if (error instanceof JournalError) return error;
  const { errcode, message } = error as { readonly errcode?: unknown; readonly message?: string };
  const code = typeof errcode === 'number' ? errcode & 0xff : 0;
  if (code === 11 || code === 26) return corruption(path, message ?? 'not a database');
  if (code === 13)
    return new JournalError('full', `the journal in ${path}: the disk is full. Make room and start again`);
  const detail = message ?? String(error);
  return new JournalError('io', `the journal in ${path}: ${what}: ${detail}. Look at the disk and the folder's rights`);
}

/**
 * Closing moves the log into the database, and with it the traces of what was found: so that is written down, and the
 * next opening refuses for the same reason.
 */
function remember(dir: DataDir, fault: JournalError): void {
  try {
    writeDurably(dir.file('journal.damaged'), [Buffer.from(`${fault.message}\n`)]);
  } catch {
    // A disk that takes no file any more: the refusal itself stands.
  }
}
