/** The disk's own rate: 4 KiB appended and synced, one after the other. */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Times of all of them, ms, in their order. */
export function syncTimes(folder: string, seconds: number): { readonly times: number[]; readonly ms: number } {
  const file = openSync(join(folder, 'plain'), 'w');
  const block = Buffer.alloc(4096, 1);
  const times: number[] = [];
  const started = performance.now();
  while (performance.now() - started < seconds * 1000) {
    const from = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    times.push(performance.now() - from);
  }
  closeSync(file);
  return { times, ms: performance.now() - started };
}
