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
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { DataDir } from './data-dir.ts';
import { asFault, rememberFault } from './journal-faults.ts';
import { SnapshotJobs } from './journal-jobs.ts';
import { type FactName, JournalError, type JournalStats, type JournalWrite, type Restored } from './journal-model.ts';
import { checkpoint, damagedName, inspect, prepare, restore, secondName } from './journal-open.ts';
import { bootSum } from './journal-restore.ts';
import { chainOf, type Link, rootOf, Tables } from './journal-tables.ts';

/** Pages in the log from which on it is moved into the database: 4 MiB. */
const checkpointPages = 1024;

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

  /** Throws a JournalError that says what to do. A refused folder loses nothing by it. */
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
      if (db !== null && fault.code === 'corrupt') rememberFault(dir.file(damagedName), fault);
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
    this.#jobs.add({ tickets: [write.ticket], snapshot, compactTo });
    return done;
  }

  #writeFacts(write: JournalWrite): void {
    for (const [name, value] of Object.entries(write.facts ?? {}) as [FactName, Uint8Array | null][])
      this.#tables.setRecord(`fact ${name}`, value);
    const raise =
      'INSERT INTO peer (uid, boot, proof, sum) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET boot = excluded.boot, proof = excluded.proof, sum = excluded.sum WHERE excluded.boot > boot';
    for (const [uid, run] of write.boots ?? [])
      this.#tables.sql(raise).run(uid, run.both, run.proof, bootSum(uid, run));
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
      // First: a log that grew with a large snapshot would take as long to move, and commits would wait for that.
      if (this.#pages >= checkpointPages) {
        checkpoint(this.#db);
        this.#stats.checkpoints += 1;
        this.#pages = 0;
        return [];
      }
      const done: number[] = [];
      if (!this.#jobs.busy) return done;
      this.#transaction(() => done.push(...this.#jobs.step()));
      this.#pages += 72;
      return done;
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
