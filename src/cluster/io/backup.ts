/**
 * The agreed state as one file: a line that says what it is, a line of JSON, a line with a hash of all the rest, and
 * the replica's snapshot as bytes. It can be read by another release, and copied while the cluster runs.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { err, ok, type Result } from '../../base/result.ts';
import { writeDurably } from './whole-file.ts';

const magic = 'evenkeel backup 1';

export interface Backup {
  /** The id of the cluster that it is of. */
  readonly cluster: string;
  /** The entry up to which it stands, and that entry's term. */
  readonly index: number;
  readonly term: number;
  /** ISO 8601. */
  readonly takenAt: string;
  readonly bytes: Uint8Array;
}

const hashOf = (head: string, bytes: Uint8Array): string =>
  createHash('sha256').update(head).update(bytes).digest('hex');

/** Whole or not at all. Throws what the file system says. */
export function writeBackup(path: string, backup: Backup): void {
  const { bytes, ...about } = backup;
  const head = JSON.stringify({ ...about, size: bytes.byteLength });
  writeDurably(path, [Buffer.from(`${magic}\n${head}\n${hashOf(head, bytes)}\n`), bytes]);
}

export function readBackup(path: string): Result<Backup, string> {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch (error) {
    return err(`backup ${path} can't be read: ${(error as Error).message}`);
  }
  const lines: string[] = [];
  let at = 0;
  for (let line = 0; line < 3; line++) {
    const end = file.indexOf(10, at);
    if (end === -1 || end - at > 4096) return err(`${path} is no backup of evenkeel`);
    lines.push(file.toString('utf8', at, end));
    at = end + 1;
  }
  const [kind, head = '', hash] = lines;
  if (kind !== magic) return err(`${path} is no backup of evenkeel, or one of a later release`);
  const bytes = new Uint8Array(file.subarray(at));
  if (hashOf(head, bytes) !== hash) return err(`backup ${path} is damaged: its contents are not what was written`);
  const about = JSON.parse(head) as Omit<Backup, 'bytes'> & { readonly size: number };
  return ok({ cluster: about.cluster, index: about.index, term: about.term, takenAt: about.takenAt, bytes });
}

/** A backup is put into a folder without a journal only: never over one. */
export function holdsJournal(path: string): boolean {
  return existsSync(path) && readdirSync(path).some((name) => name.startsWith('journal.'));
}
