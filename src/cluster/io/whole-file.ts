/** A small file that is there whole or not at all, also after a power failure: written beside, synced, renamed, synced. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncFolder } from './data-dir.ts';

export function writeDurably(path: string, parts: readonly Uint8Array[]): void {
  const beside = `${path}.new`;
  const file = openSync(beside, 'w', 0o600);
  try {
    try {
      for (const part of parts) writeAll(file, part);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

function writeAll(file: number, part: Uint8Array): void {
  for (let at = 0; at < part.byteLength; ) at += writeSync(file, part, at);
}
