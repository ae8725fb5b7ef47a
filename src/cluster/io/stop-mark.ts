/**
 * The mark on a data folder that was found out to be an old copy: a member that runs on it has forgotten what it had
 * promised. It stops; but a supervisor starts it again, and each start raises its boot number, until the others take it
 * for a new run and let it vote. So the verdict is kept in the folder, and no start comes past it.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const name = 'old-copy';

/** Keeps the verdict, on disk when this returns. Throws the system's error. */
export function markOldCopy(folder: string, why: string): void {
  const file = openSync(join(folder, name), 'w');
  try {
    writeSync(file, `${why}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  const directory = openSync(folder, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Why no member may run on this folder, and what to do; null if one may. */
export function oldCopyMark(folder: string): string | null {
  let why: string;
  try {
    why = readFileSync(join(folder, name), 'utf8').trim();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    return `data folder ${folder} can not be looked into: ${message}; let this process's user read and write it, or choose another one`;
  }
  return `data folder ${folder} was found out to be an old copy and takes no part any more (${why}); move it away and start with an empty one`;
}
