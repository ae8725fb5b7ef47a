/** The journal in its thread, and in processes that are killed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import { Journal } from '../../../src/cluster/io/journal.ts';
import type { JournalError, JournalWrite } from '../../../src/cluster/io/journal-model.ts';
import { JournalStore } from '../../../src/cluster/io/journal-store.ts';
import { folder, opening, removeFolders } from './folders.ts';
import { until } from './hosts.ts';
import { contentOf } from './journal-content.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  removeFolders();
});

async function open(path: string, over: { onDurable?: (ticket: number) => void } = {}) {
  const durable: number[] = [];
  const faults: JournalError[] = [];
  const result = await Journal.open({
    path,
    onDurable: (ticket) => {
      durable.push(ticket);
      over.onDurable?.(ticket);
    },
    onFatal: (error) => void faults.push(error),
  });
  if (!result.ok) throw result.error;
  return { journal: result.value, durable, faults };
}

const one = (index: number): JournalWrite => ({
  ticket: index,
  entries: [{ index, term: 1, bytes: contentOf(index) }],
});

describe('the journal in its thread', () => {
  it('each ticket comes back once, in groups that share a sync', async () => {
    const path = folder();
    const { journal, durable, faults } = await open(path);
    expect(journal.waitingSince).toBeNull();
    for (let index = 1; index <= 500; index++) journal.write(one(index));
    expect(journal.waitingSince).not.toBeNull();
    await until('all are on disk', () => durable.length === 500);
    expect(durable).toEqual(Array.from({ length: 500 }, (_, at) => at + 1));
    expect(journal.waitingSince).toBeNull();
    expect(journal.stats.persists).toBe(500);
    expect(journal.stats.commits).toBeLessThan(250);
    await journal.close();
    expect(faults).toEqual([]);
    expect(opening(path)).toBe('restored 500 clean');
  });

  it('closing writes what was given, also a snapshot that is under way', async () => {
    const path = folder();
    const { journal, durable } = await open(path);
    for (let index = 1; index <= 50; index++) journal.write(one(index));
    const bytes = new Uint8Array(3_000_000).fill(9);
    journal.write({ ticket: 51, snapshot: { index: 50, term: 1, bytes }, compactTo: 40 });
    await journal.close();
    expect(durable).toHaveLength(51);
    const store = JournalStore.open(path);
    expect(store.restored.snapshot?.bytes.byteLength).toBe(3_000_000);
    expect(store.restored.entries.map((entry) => entry.index)[0]).toBe(41);
    store.close();
  });

  it('entries are acknowledged while a large snapshot is written', async () => {
    const order: number[] = [];
    const { journal } = await open(folder(), { onDurable: (ticket) => void order.push(ticket) });
    journal.write(one(1));
    const bytes = new Uint8Array(20_000_000);
    journal.write({ ticket: 1_000_000, snapshot: { index: 1, term: 1, bytes }, compactTo: null });
    for (let index = 2; !order.includes(1_000_000); index++) {
      journal.write(one(index));
      await until('it is on disk', () => order.includes(index) || order.includes(1_000_000));
    }
    expect(order.indexOf(1_000_000)).toBeGreaterThan(5);
    await journal.close();
  });

  it('a fault is told once, and nothing is acknowledged after it', async () => {
    const { journal, durable, faults } = await open(folder());
    journal.write(one(1));
    journal.write({ ticket: 2, entries: [{ index: 7, term: 1, bytes: contentOf(7) }] });
    journal.write(one(3));
    await until('the fault', () => faults.length === 1);
    journal.write(one(2));
    await journal.close();
    expect(faults.map((fault) => fault.code)).toEqual(['misuse']);
    expect(durable.filter((ticket) => ticket > 1)).toEqual([]);
  });

  it('a second one on the same folder is refused, and the first goes on', async () => {
    const path = folder();
    const { journal, durable } = await open(path);
    const second = await Journal.open({ path, onDurable: () => {}, onFatal: () => {} });
    expect(second).toMatchObject({ ok: false, error: { code: 'locked' } });
    journal.write(one(1));
    await until('it is on disk', () => durable.length === 1);
    await journal.close();
  });
});

const childFile = fileURLToPath(new URL('./journal-child.ts', import.meta.url));

interface Child {
  readonly process: ChildProcess;
  readonly lines: () => string[];
  readonly ended: () => boolean;
}

/** `limit`: of a file's size, in KiB. */
function child(path: string, limit?: number): Child {
  const quote = (word: string): string => `'${word}'`;
  const command = [process.execPath, childFile, path].map(quote).join(' ');
  const shell = limit === undefined ? `exec ${command}` : `ulimit -f ${limit}; exec ${command}`;
  const started = spawn('bash', ['-c', shell], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(started);
  let output = '';
  let ended = false;
  started.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  started.on('close', () => {
    ended = true;
  });
  return { process: started, ended: () => ended, lines: () => output.split('\n').slice(0, -1) };
}

const last = (lines: readonly string[], word: string): number =>
  Number(lines.findLast((line) => line.startsWith(`${word} `))?.split(' ')[1] ?? 0);

/** Every acknowledged entry is there, as it was written, or stands in the snapshot. */
function expectAll(path: string, acknowledged: number, snapshot: number): number {
  const store = JournalStore.open(path);
  const { entries, snapshot: kept } = store.restored;
  store.close();
  const end = entries.at(-1)?.index ?? 0;
  expect(end).toBeGreaterThanOrEqual(acknowledged);
  expect(kept?.index ?? 0).toBeGreaterThanOrEqual(snapshot);
  expect(entries[0]?.index ?? 0).toBeLessThanOrEqual((kept?.index ?? 0) + 1);
  for (const { index, bytes } of entries) expect(Buffer.compare(bytes, contentOf(index)), `entry ${index}`).toBe(0);
  expect(kept?.bytes.every((byte) => byte === kept.index % 251) ?? true).toBe(true);
  return end;
}

describe('a process that is killed', () => {
  it('in the middle of commits and snapshots, 25 times: every acknowledged entry is there', {
    timeout: 120_000,
  }, async () => {
    const path = folder();
    const random = seededRandom(7);
    let acknowledged = 0;
    let snapshot = 0;
    let boot = 0;
    for (let kill = 0; kill < 25; kill++) {
      const { process: started, lines, ended } = child(path);
      const more = 1 + random.below(kill % 5 === 0 ? 1500 : 200);
      await until('it writes', () => lines().length > more || ended(), 30_000);
      started.kill('SIGKILL');
      await until('it is gone', ended);
      expect(lines()[0]).toMatch(/^open \d+ \d+$/);
      expect(last(lines(), 'open')).toBeGreaterThan(boot);
      boot = last(lines(), 'open');
      acknowledged = Math.max(acknowledged, last(lines(), 'ack'));
      snapshot = Math.max(snapshot, last(lines(), 'snap'));
      expectAll(path, acknowledged, snapshot);
    }
    expect(acknowledged).toBeGreaterThan(2000);
    expect(snapshot).toBeGreaterThan(0);
  });

  it('at any moment of its start: the next one starts, with a higher boot number', { timeout: 120_000 }, async () => {
    const path = folder();
    const random = seededRandom(3);
    let boot = 0;
    let acknowledged = 0;
    for (let kill = 0; kill < 20; kill++) {
      const { process: started, lines, ended } = child(path);
      const moment = performance.now() + 40 + random.below(160);
      await until('the moment', () => performance.now() >= moment || ended());
      started.kill('SIGKILL');
      await until('it is gone', ended);
      expect(lines()[0] ?? 'open').toMatch(/^open/);
      if (lines().length === 0) continue;
      expect(last(lines(), 'open')).toBeGreaterThan(boot);
      boot = last(lines(), 'open');
      acknowledged = Math.max(acknowledged, last(lines(), 'ack'));
    }
    expectAll(path, acknowledged, 0);
  });

  it('that ends by an exception elsewhere loses nothing either', async () => {
    const path = folder();
    const quitter = fileURLToPath(new URL('./journal-quitter.ts', import.meta.url));
    const ended = spawn(process.execPath, [quitter, path, '30'], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(ended);
    await until('it ends', () => ended.exitCode !== null);
    expect(ended.exitCode).not.toBe(0);
    expect(opening(path)).toBe('restored 30 crashed');
  });

  it('while it holds the folder, others are refused; once it is gone, they are not', async () => {
    const path = folder();
    const { process: started, lines, ended } = child(path);
    await until('it writes', () => lines().length > 3);
    expect(opening(path)).toMatch(`locked: data folder ${path} is in use by another process (process ${started.pid})`);
    const second = child(path);
    await until('the second ends', second.ended);
    expect(second.lines()[0]).toMatch(/^refused locked data folder/);
    started.kill('SIGKILL');
    await until('it is gone', ended);
    expect(opening(path)).toMatch(/^restored \d+ crashed$/);
  });
});

describe('a full disk', () => {
  it('by a limit of file sizes: it says so, ends, and what was acknowledged is there', {
    timeout: 60_000,
  }, async () => {
    const path = folder();
    const { lines, ended } = child(path, 400);
    await until('it ends', ended, 30_000);
    expect(lines().at(-1)).toMatch(/^fatal (full|io) the journal in /);
    expect(last(lines(), 'ack')).toBeGreaterThan(10);
    expectAll(path, last(lines(), 'ack'), last(lines(), 'snap'));
  });

  it('already when it starts: it is refused, and nothing is lost by the attempt', { timeout: 60_000 }, async () => {
    const path = folder();
    const first = child(path);
    await until('it has a log', () => last(first.lines(), 'ack') > 200, 30_000);
    first.process.kill('SIGKILL');
    await until('it is gone', first.ended);
    for (let attempt = 0; attempt < 3; attempt++) {
      const { lines, ended } = child(path, 64);
      await until('it ends', ended, 30_000);
      expect(lines().at(-1)).toMatch(/^refused (full|io) the journal in /);
    }
    expectAll(path, last(first.lines(), 'ack'), last(first.lines(), 'snap'));
  });

  const root = process.getuid?.() === 0;
  it.runIf(root)('in earnest, on a small file system of its own: the same', { timeout: 60_000 }, async () => {
    const path = folder();
    mkdirSync(path, { recursive: true });
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], { stdio: 'ignore' });
    } catch {
      return expect(path).not.toBe('');
    }
    try {
      const { lines, ended } = child(`${path}/data`);
      await until('it ends', ended, 30_000);
      expect(lines().at(-1)).toMatch(/^fatal full the journal in .*: the disk is full\. Make room and start again$/);
      const acknowledged = last(lines(), 'ack');
      expect(acknowledged).toBeGreaterThan(10);
      execFileSync('mount', ['-o', 'remount,size=64m', path]);
      expectAll(`${path}/data`, acknowledged, last(lines(), 'snap'));
    } finally {
      execFileSync('umount', ['-l', path]);
    }
  });
});
