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

/** The file's contents, in order. */
export function packBackup({ bytes, ...about }: Backup): readonly Uint8Array[] {
  const head = JSON.stringify({ ...about, size: bytes.byteLength });
  return [Buffer.from(`${magic}\n${head}\n${hashOf(head, bytes)}\n`), bytes];
}

/** Whole or not at all. Throws what the file system says. */
export const writeBackup = (path: string, backup: Backup): void => writeDurably(path, packBackup(backup));

export function readBackup(path: string): Result<Backup, string> {
  try {
    return unpackBackup(path, readFileSync(path));
  } catch (error) {
    return err(`backup ${path} can't be read: ${(error as Error).message}`);
  }
}

/** `path`: what to call it in an error. */
export function unpackBackup(path: string, file: Buffer): Result<Backup, string> {
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
  const { cluster, index, term, takenAt } = JSON.parse(head) as Record<keyof Backup, unknown>;
  const isSound = typeof cluster === 'string' && typeof takenAt === 'string';
  if (!isSound || !Number.isSafeInteger(index) || !Number.isSafeInteger(term))
    return err(`${path} is no backup of evenkeel: its head does not say of what`);
  return ok({ cluster, index: Number(index), term: Number(term), takenAt, bytes });
}

/** A backup is put into a folder without a journal only: never over one. */
export function holdsJournal(path: string): boolean {
  return existsSync(path) && readdirSync(path).some((name) => name.startsWith('journal.'));
}
