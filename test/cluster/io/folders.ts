/** Folders for a journal's tests, and what can happen to one. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JournalError } from '../../../src/cluster/io/journal-model.ts';
import { JournalStore } from '../../../src/cluster/io/journal-store.ts';
import { contentOf } from './journal-content.ts';

const made: string[] = [];

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'evenkeel-journal-'));
  made.push(path);
  return join(path, 'data');
}

export function removeFolders(): void {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
}

/** The files as they are now, as a crash would leave them. By another process: closing a file here drops its locks. */
export function copyOf(path: string): string {
  const copy = folder();
  execFileSync('cp', ['-r', path, copy]);
  return copy;
}

/** Entries `from` to `to`, each a commit of its own. */
export function fill(store: JournalStore, from: number, to: number): void {
  for (let index = from; index <= to; index++)
    store.commit([{ ticket: index, entries: [{ index, term: 1, bytes: contentOf(index) }] }]);
}

/** What opening it says: `restored ENTRIES WAS`, or the refusal's code and text. */
export function opening(path: string): string {
  try {
    const store = JournalStore.open(path);
    const { entries, was } = store.restored;
    store.close();
    return `restored ${entries.length} ${was}`;
  } catch (error) {
    return error instanceof JournalError ? `${error.code}: ${error.message}` : `threw ${String(error)}`;
  }
}
