/**
 * The data folder belongs to one process at a time.
 *
 * The lock is SQLite's own (a POSIX lock on a file of its own, `lock.db`): it ends with the process, however that ends,
 * so there are no stale locks to judge. It excludes other connections of the same process too. Nothing else may open
 * and close that file here, since that would drop the process's locks on it. It relies on a file system with working
 * locks: a local one.
 */
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { JournalError } from './journal-model.ts';

/** Makes the names in a folder durable: new files, renamed ones. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

export class DataDir {
  readonly path: string;
  readonly #lock: DatabaseSync;

  private constructor(path: string, lock: DatabaseSync) {
    this.path = path;
    this.#lock = lock;
  }

  /** Makes the folder if it is not there. Throws a JournalError: locked, or it can't be used. */
  static lock(path: string): DataDir {
    let lock: DatabaseSync | null = null;
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      lock = new DatabaseSync(join(path, 'lock.db'), { timeout: 0 });
      lock.exec('CREATE TABLE IF NOT EXISTS holder (id INTEGER PRIMARY KEY, pid INTEGER NOT NULL)');
      lock.prepare('INSERT OR REPLACE INTO holder VALUES (1, ?)').run(process.pid);
      // Held to the end. Others can still read who holds it.
      lock.exec('BEGIN IMMEDIATE');
      return new DataDir(path, lock);
    } catch (error) {
      const refused = refusal(path, error, lock);
      lock?.close();
      throw refused;
    }
  }

  file(name: string): string {
    return join(this.path, name);
  }

  unlock(): void {
    this.#lock.close();
  }
}

/** SQLITE_BUSY and SQLITE_LOCKED, whatever their extension. */
const isBusy = (error: unknown): boolean => {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === 'number' && ((code & 0xff) === 5 || (code & 0xff) === 6);
};

function refusal(path: string, error: unknown, lock: DatabaseSync | null): JournalError {
  const message = error instanceof Error ? error.message : String(error);
  if (!isBusy(error)) return new JournalError('io', `data folder ${path} can't be used: ${message}`);
  return new JournalError(
    'locked',
    `data folder ${path} is in use by another process${holder(lock)}: stop that one, or give this one a dataDir of its own`,
  );
}

function holder(lock: DatabaseSync | null): string {
  try {
    const pid = lock?.prepare('SELECT pid FROM holder').get()?.['pid'];
    return typeof pid === 'number' ? ` (process ${pid})` : '';
  } catch {
    return '';
  }
}
