/**
 * What the journal costs beside what the disk costs: `node bench/cluster/journal.ts [FOLDER]`.
 * First the disk's own rate: 4 KiB appended and synced, one after the other. Then persists with 1, 16, 64 and 256 under
 * way at a time, each an entry of 200 bytes. With one under way a persist costs about one sync; with more, they share it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Journal } from '../../src/cluster/io/journal.ts';
import { syncTimes } from './disk.ts';

const seconds = 3;
const folder = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'evenkeel-bench-'));

function report(what: string, times: number[], ms: number): void {
  times.sort((a, b) => a - b);
  const at = (part: number): string => (times[Math.floor(times.length * part)] ?? 0).toFixed(2);
  const rate = Math.round((times.length * 1000) / ms);
  console.log(`${what.padEnd(34)} ${String(rate).padStart(7)}/s   p50 ${at(0.5)} ms   p99 ${at(0.99)} ms`);
}

function disk(): void {
  const { times, ms } = syncTimes(folder, seconds);
  report('disk: append 4 KiB, fdatasync', times, ms);
}

async function journal(underWay: number): Promise<void> {
  const sent = new Map<number, number>();
  const times: number[] = [];
  const started = performance.now();
  let ticket = 0;
  let finished: () => void = () => {};
  const over = new Promise<void>((resolve) => {
    finished = resolve;
  });
  const opened = await Journal.open({
    path: join(folder, `journal-${underWay}`),
    onDurable: (done) => {
      times.push(performance.now() - (sent.get(done) ?? 0));
      sent.delete(done);
      if (performance.now() - started < seconds * 1000) write();
      else if (sent.size === 0) finished();
    },
    onFatal: (error) => {
      throw error;
    },
  });
  if (!opened.ok) throw opened.error;
  const bytes = Buffer.alloc(200, 7);
  function write(): void {
    ticket += 1;
    sent.set(ticket, performance.now());
    if (opened.ok) opened.value.write({ ticket, entries: [{ index: ticket, term: 1, bytes }] });
  }
  for (let i = 0; i < underWay; i++) write();
  await over;
  const { commits, persists, slowestCommitMs } = opened.value.stats;
  report(`journal: ${underWay} under way`, times, performance.now() - started);
  const group = (persists / commits).toFixed(1);
  console.log(`${''.padEnd(34)} ${group} persists a sync, slowest commit ${slowestCommitMs.toFixed(1)} ms`);
  await opened.value.close();
}

try {
  disk();
  for (const underWay of [1, 16, 64, 256]) await journal(underWay);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
