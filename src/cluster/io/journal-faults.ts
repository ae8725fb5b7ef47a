/** Errors of SQLite and of the file system as the journal's own, which say what happened and what to do. */
import { JournalError } from './journal-model.ts';
import { corruption } from './journal-tables.ts';
import { writeDurably } from './whole-file.ts';

/** SQLITE_CORRUPT, SQLITE_NOTADB and SQLITE_FULL, whatever their extension. */
export function asFault(error: unknown, path: string, what: string): JournalError {
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
export function rememberFault(path: string, fault: JournalError): void {
  try {
    writeDurably(path, [Buffer.from(`${fault.message}\n`)]);
  } catch {
    // A disk that takes no file any more: the refusal itself stands.
  }
}
