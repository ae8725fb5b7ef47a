/**
 * Reads a SQLite write-ahead log by itself, before SQLite does.
 *
 * SQLite stops at the first frame whose checksum is wrong and takes what is behind it for the remains of a crash. That
 * is right for a torn tail, which nobody was told was written. But a transaction is acknowledged when its commit frame
 * is synced: if a commit frame of this log stands *behind* the bad frame, acknowledged transactions would be cut off
 * in silence.
 *
 *   header 32: magic 4 | format 4 | page size 4 | sequence 4 | salt 8 | checksum 8
 *   frame     page number 4 | database size after commit, else 0: 4 | salt 8 | checksum 8 | page
 *
 * A log is begun anew at its start with other salts after each checkpoint, so frames of older salts behind the end are
 * no sign of anything. Checksums are cumulative over the frames before. Source: sqlite.org/fileformat2.html, 4.
 * What it can't see: damage in the last commit frame itself looks like a torn tail, and a file that was cut off at a
 * frame's end looks as if nothing more had been written.
 */
export const walHeaderBytes = 32;
const frameHeaderBytes = 24;

export type WalVerdict =
  | { readonly kind: 'missing' }
  /** No frame was ever written to it. */
  | { readonly kind: 'empty' }
  /** `torn`: bytes behind the last commit that are of no transaction. */
  | { readonly kind: 'sound'; readonly commits: number; readonly torn: boolean }
  | { readonly kind: 'corrupt'; readonly detail: string };

interface Sum {
  a: number;
  b: number;
}

/** Fibonacci-weighted sums over pairs of words, as SQLite does. */
function add(
  sum: Sum,
  view: DataView,
  at: { readonly from: number; readonly to: number; readonly little: boolean },
): void {
  let { a, b } = sum;
  for (let i = at.from; i < at.to; i += 8) {
    a = (a + view.getUint32(i, at.little) + b) >>> 0;
    b = (b + view.getUint32(i + 4, at.little) + a) >>> 0;
  }
  sum.a = a;
  sum.b = b;
}

export function inspectWal(bytes: Uint8Array): WalVerdict {
  if (bytes.byteLength <= walHeaderBytes) return { kind: 'empty' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  const pageSize = view.getUint32(8);
  const little = magic === 0x377f0682;
  const sum: Sum = { a: 0, b: 0 };
  add(sum, view, { from: 0, to: 24, little });
  const knownMagic = little || magic === 0x377f0683;
  if (!knownMagic || sum.a !== view.getUint32(24) || sum.b !== view.getUint32(28))
    return { kind: 'corrupt', detail: 'its header is damaged' };
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0)
    return { kind: 'corrupt', detail: `its header names a page size of ${pageSize}` };
  return inspectFrames(view, { pageSize, little, sum });
}

function inspectFrames(
  view: DataView,
  log: { readonly pageSize: number; readonly little: boolean; readonly sum: Sum },
): WalVerdict {
  const { pageSize, little, sum } = log;
  const size = frameHeaderBytes + pageSize;
  const ours = (at: number): boolean =>
    view.getUint32(at + 8) === view.getUint32(16) && view.getUint32(at + 12) === view.getUint32(20);
  let commits = 0;
  let at = walHeaderBytes;
  let committed = at;
  for (; at + size <= view.byteLength; at += size) {
    add(sum, view, { from: at, to: at + 8, little });
    add(sum, view, { from: at + frameHeaderBytes, to: at + size, little });
    if (!ours(at) || sum.a !== view.getUint32(at + 16) || sum.b !== view.getUint32(at + 20)) break;
    if (view.getUint32(at + 4) === 0) continue;
    commits += 1;
    committed = at + size;
  }
  const bad = (at - walHeaderBytes) / size + 1;
  for (let behind = at + size; behind + size <= view.byteLength; behind += size) {
    if (!ours(behind) || view.getUint32(behind + 4) === 0) continue;
    const commit = (behind - walHeaderBytes) / size + 1;
    return { kind: 'corrupt', detail: `frame ${bad} is damaged, and frame ${commit} behind it is a commit` };
  }
  const torn = committed + size <= view.byteLength && ours(committed);
  return { kind: 'sound', commits, torn };
}
