/** A file's text, or one line that says why not. Never more than the bound is read, whatever the file is. */
import { type FileHandle, open } from 'node:fs/promises';
import { err, ok, type Result } from '../../base/result.ts';
import { maxFileSize } from '../parse.ts';

/** UTF-8 text of at most `limit` bytes; by default what a config may have. */
export async function readText(file: string, limit = maxFileSize): Promise<Result<string, string>> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(file, 'r');
    const bytes = await readBounded(handle, limit);
    if (bytes === null) return err(`${file} is over ${limit / 2 ** 20} MiB; is it the right file?`);
    return ok(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    return err(why(file, cause));
  } finally {
    await handle?.close();
  }
}

/** The size that a file claims means nothing for pipes and devices, so it is not asked. */
async function readBounded(handle: FileHandle, limit: number): Promise<Buffer | null> {
  const pieces: Buffer[] = [];
  let total = 0;
  for (;;) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(64 * 1024), 0, 64 * 1024, null);
    if (bytesRead === 0) return Buffer.concat(pieces);
    total += bytesRead;
    if (total > limit) return null;
    pieces.push(buffer.subarray(0, bytesRead));
  }
}

function why(file: string, cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ENOENT') return `${file} does not exist`;
  if (code === 'EACCES' || code === 'EPERM') return `${file} may not be read by this user; check its permissions`;
  if (code === 'EISDIR') return `${file} is a folder, not a file`;
  if (code === 'ENOTDIR') return `${file} does not exist: a part of its path is not a folder`;
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return `${file} is not text in UTF-8`;
  return `${file} cannot be read: ${cause instanceof Error ? cause.message : 'unknown cause'}`;
}
