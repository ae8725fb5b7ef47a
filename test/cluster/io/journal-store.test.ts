import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { memberId } from '../../../src/base/ids.ts';
import { holdsJournal, readBackup, writeBackup } from '../../../src/cluster/io/backup.ts';
import type { JournalEntry, JournalWrite } from '../../../src/cluster/io/journal-model.ts';
import { JournalStore } from '../../../src/cluster/io/journal-store.ts';
import { Tables } from '../../../src/cluster/io/journal-tables.ts';
import { packWrite, unpackWrite } from '../../../src/cluster/io/journal-wire.ts';
import { copyOf, fill, folder, opening, removeFolders } from './folders.ts';
import { text, uid } from './hosts.ts';
import { contentOf } from './journal-content.ts';

afterEach(removeFolders);

const entry = (index: number, term = 1): JournalEntry => ({ index, term, bytes: Buffer.from(`${index}@${term}`) });
const entries = (from: number, to: number, term = 1): JournalEntry[] =>
  Array.from({ length: to - from + 1 }, (_, at) => entry(from + at, term));
const settle = (store: JournalStore): number[] => {
  const done: number[] = [];
  while (store.busy) done.push(...store.background());
  return done;
};
const said = (list: readonly JournalEntry[]): string[] => list.map((one) => text(one.bytes));

describe('the journal', () => {
  it('gives back what was committed, whether it was closed or not', () => {
    const path = folder();
    const store = JournalStore.open(path);
    expect(store.restored).toMatchObject({ was: 'new', boot: 1, entries: [], hard: null, snapshot: null });
    store.commit([
      { ticket: 1, hard: Buffer.from('vote a'), facts: { promise: Buffer.from('set'), cluster: Buffer.from('id') } },
      {
        ticket: 2,
        entries: entries(1, 3),
        boots: [
          [uid(7), { both: 4, proof: 'a' }],
          [uid(8), { both: 2, proof: 'b' }],
        ],
      },
      {
        ticket: 3,
        entries: [entry(4, 2)],
        facts: { promise: null },
        boots: [
          [uid(7), { both: 3, proof: 'c' }],
          [uid(8), { both: 9, proof: 'd' }],
        ],
      },
    ]);
    const crashed = JournalStore.open(copyOf(path));
    store.close();
    const closed = JournalStore.open(path);
    for (const [opened, was] of [
      [crashed, 'crashed'],
      [closed, 'clean'],
    ] as const) {
      const { restored } = opened;
      expect(restored).toMatchObject({ was, boot: 2, uid: store.restored.uid });
      expect(said(restored.entries)).toEqual(['1@1', '2@1', '3@1', '4@2']);
      expect(text(restored.hard!)).toBe('vote a');
      expect(Object.entries(restored.facts).map(([name, value]) => [name, text(value!)])).toEqual([['cluster', 'id']]);
      expect([...restored.boots]).toEqual([
        [uid(7), { both: 4, proof: 'a' }],
        [uid(8), { both: 9, proof: 'd' }],
      ]);
      opened.close();
    }
    expect(readdirSync(path).sort()).toEqual(['journal.db', 'journal.id', 'lock.db']);
  });

  it('a uid is random and stays, a boot number grows with each opening, and goes back with an old copy', () => {
    const path = folder();
    const boots: number[] = [];
    let old = '';
    for (let i = 0; i < 4; i++) {
      const store = JournalStore.open(path);
      boots.push(store.restored.boot);
      store.close();
      if (i === 1) old = copyOf(path);
    }
    expect(boots).toEqual([1, 2, 3, 4]);
    const restored = JournalStore.open(old);
    expect(restored.restored.boot).toBe(3);
    expect(JournalStore.open(folder()).restored.uid).not.toBe(restored.restored.uid);
    restored.close();
  });

  it('has a secret that stays, and goes with a copy', () => {
    const path = folder();
    const store = JournalStore.open(path);
    const { secret } = store.restored;
    expect(secret).toHaveLength(32);
    store.close();
    for (const one of [copyOf(path), path]) {
      const again = JournalStore.open(one);
      expect(Buffer.compare(again.restored.secret, secret)).toBe(0);
      again.close();
    }
    const other = JournalStore.open(folder());
    expect(Buffer.compare(other.restored.secret, secret)).not.toBe(0);
    other.close();
  });

  it('takes a folder of the first format over, which knew no proofs', () => {
    const path = folder();
    const store = JournalStore.open(path);
    store.commit([{ ticket: 1, entries: entries(1, 3), boots: [[uid(7), { both: 4, proof: '' }]] }]);
    store.close();
    const db = new DatabaseSync(join(path, 'journal.db'));
    const tables = new Tables(db, path);
    tables.setJson('format', 1);
    tables.setJson('identity', { uid: store.restored.uid, boot: 1 });
    db.exec('ALTER TABLE peer DROP COLUMN proof');
    db.close();
    const first = JournalStore.open(path);
    expect(first.restored).toMatchObject({ uid: store.restored.uid, boot: 2 });
    expect([...first.restored.boots]).toEqual([[uid(7), { both: 4, proof: '' }]]);
    first.commit([{ ticket: 1, boots: [[uid(7), { both: 5, proof: 'e' }]] }]);
    first.close();
    const again = JournalStore.open(path);
    expect([...again.restored.boots]).toEqual([[uid(7), { both: 5, proof: 'e' }]]);
    expect(Buffer.compare(again.restored.secret, first.restored.secret)).toBe(0);
    again.close();
  });

  it('cuts and overwrites the end', () => {
    const path = folder();
    const store = JournalStore.open(path);
    store.commit([{ ticket: 1, entries: entries(1, 9) }]);
    store.commit([{ ticket: 2, truncateFrom: 4, entries: entries(4, 5, 2) }]);
    store.commit([
      { ticket: 3, truncateFrom: 6 },
      { ticket: 4, entries: [entry(6, 3)] },
    ]);
    store.close();
    const again = JournalStore.open(path);
    expect(said(again.restored.entries)).toEqual(['1@1', '2@1', '3@1', '4@2', '5@2', '6@3']);
    again.commit([{ ticket: 1, truncateFrom: 1, entries: [entry(1, 9)] }]);
    again.close();
    expect(opening(path)).toBe('restored 1 clean');
  });

  it('a gap between entries is a bug of the caller, and the end of this journal', () => {
    const store = JournalStore.open(folder());
    expect(() => store.commit([{ ticket: 1, entries: [entry(2)] }])).toThrow(/entry 2 does not follow entry 0/);
    expect(() => store.commit([{ ticket: 2, entries: [entry(1)] }])).toThrow(/entry 2 does not follow entry 0/);
    store.close();
  });

  it('writes its own snapshot in steps, between which entries go in, and then deletes what it stands for', () => {
    const path = folder();
    const store = JournalStore.open(path);
    store.commit([{ ticket: 1, entries: entries(1, 2000) }]);
    const bytes = Uint8Array.from({ length: 1_000_001 }, (_, at) => at % 253);
    expect(store.commit([{ ticket: 2, snapshot: { index: 1900, term: 1, bytes }, compactTo: 1800 }])).toEqual([]);
    const done: number[] = [];
    for (let next = 2001; store.busy; next++) {
      const tickets = store.background();
      if (tickets.length > 0) expect(done.length).toBeGreaterThanOrEqual(3);
      done.push(...tickets, ...store.commit([{ ticket: next, entries: [entry(next)] }]));
      if (next === 2002) expect(opening(copyOf(path))).toBe('restored 2002 crashed');
    }
    expect(done).toContain(2);
    const crashed = JournalStore.open(copyOf(path));
    expect(crashed.restored.snapshot).toMatchObject({ index: 1900, term: 1 });
    expect(Buffer.compare(crashed.restored.snapshot!.bytes, bytes)).toBe(0);
    expect(crashed.restored.entries[0]?.index).toBe(1801);
    crashed.close();
    // A second one replaces it, and its pieces do not pile up.
    store.commit([{ ticket: 3, snapshot: { index: 1950, term: 1, bytes: new Uint8Array(0) }, compactTo: 1950 }]);
    expect(settle(store)).toEqual([3]);
    store.close();
    const again = JournalStore.open(path);
    expect(again.restored.snapshot).toMatchObject({ index: 1950, bytes: new Uint8Array(0) });
    expect(again.restored.entries[0]?.index).toBe(1951);
    again.close();
  });

  it('moves its log into the database also while a snapshot is written: neither grows with the other', () => {
    const path = folder();
    const store = JournalStore.open(path);
    store.commit([{ ticket: 1, entries: entries(1, 10) }]);
    store.commit([{ ticket: 2, snapshot: { index: 5, term: 1, bytes: new Uint8Array(24 << 20) }, compactTo: null }]);
    let largest = 0;
    while (store.busy) {
      store.background();
      largest = Math.max(largest, statSync(join(path, 'journal.db-wal')).size);
    }
    // 4 MiB, and one step.
    expect(largest).toBeLessThan(6 << 20);
    store.close();
  });

  it('of snapshots that come while one is written only the newest is', () => {
    const path = folder();
    const store = JournalStore.open(path);
    store.commit([{ ticket: 1, entries: entries(1, 100) }]);
    const own = (ticket: number, compactTo: number | null): JournalWrite => {
      const bytes = new Uint8Array(600_000).fill(ticket);
      return { ticket, snapshot: { index: ticket * 10, term: 1, bytes }, compactTo };
    };
    store.commit([own(2, 5)]);
    expect(store.background()).toEqual([]);
    for (const [ticket, compactTo] of [[3, 25] as const, [4, 15] as const, [5, null] as const])
      expect(store.commit([own(ticket, compactTo)])).toEqual([]);
    const done: (readonly number[])[] = [];
    while (store.busy) done.push(store.background());
    expect(done.filter((tickets) => tickets.length > 0)).toEqual([[2], [3, 4, 5]]);
    store.close();
    const again = JournalStore.open(path);
    expect(again.restored.snapshot).toMatchObject({ index: 50, bytes: new Uint8Array(600_000).fill(5) });
    expect(again.restored.entries[0]?.index).toBe(26);
    again.close();
  });

  it('a snapshot from elsewhere takes the place of all entries, at once', () => {
    const path = folder();
    const store = JournalStore.open(path);
    store.commit([{ ticket: 1, entries: entries(1, 10) }]);
    store.commit([{ ticket: 2, snapshot: { index: 5, term: 1, bytes: Buffer.from('own') }, compactTo: 2 }]);
    const bytes = new Uint8Array(700_000).fill(7);
    const install: JournalWrite = { ticket: 3, truncateFrom: 1, snapshot: { index: 500, term: 4, bytes } };
    expect(store.commit([{ ...install, compactTo: 500, entries: [entry(501, 4)] }])).toEqual([2, 3]);
    expect(store.busy).toBe(false);
    store.close();
    const again = JournalStore.open(path);
    expect(again.restored.snapshot).toMatchObject({ index: 500, term: 4 });
    expect(again.restored.snapshot?.bytes.byteLength).toBe(700_000);
    expect(said(again.restored.entries)).toEqual(['501@4']);
    again.close();
  });

  it('so does one that is asked for together with an own snapshot, which must not come after it', () => {
    const path = folder();
    const store = JournalStore.open(path);
    const own = { index: 5, term: 1, bytes: new Uint8Array(600_000).fill(1) };
    const install = { index: 50, term: 2, bytes: new Uint8Array(600_000).fill(2) };
    const done = store.commit([
      { ticket: 1, entries: entries(1, 10) },
      { ticket: 2, snapshot: own, compactTo: 5 },
      { ticket: 3, truncateFrom: 6, compactTo: 50, snapshot: install },
      { ticket: 4, entries: [entry(51, 2)] },
    ]);
    expect(done).toEqual([1, 2, 3, 4]);
    expect(settle(store)).toEqual([]);
    store.close();
    const again = JournalStore.open(path);
    expect(again.restored.snapshot).toMatchObject({ index: 50, term: 2 });
    expect(said(again.restored.entries)).toEqual(['51@2']);
    again.close();
  });

  it('moves its log into the database now and then, so that it does not grow', () => {
    const path = folder();
    const store = JournalStore.open(path);
    for (let index = 1; index <= 600; index++) {
      store.commit([{ ticket: index, entries: [{ index, term: 1, bytes: contentOf(index) }] }]);
      while (store.busy) store.background();
    }
    expect(store.stats).toMatchObject({ commits: 600, persists: 600 });
    expect(store.stats.checkpoints).toBeGreaterThanOrEqual(3);
    expect(opening(copyOf(path))).toBe('restored 600 crashed');
    store.close();
  });

  it('holds what a model holds, after any writes and a crash at any moment', () => {
    const write = fc.record({
      append: fc.integer({ min: 0, max: 5 }),
      cut: fc.integer({ min: 0, max: 3 }),
      snapshot: fc.boolean(),
      background: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(write, { minLength: 1, maxLength: 12 }), (writes) => {
        const path = folder();
        const store = JournalStore.open(path);
        let model: JournalEntry[] = [];
        let floor = 0;
        for (const [at, { append, cut, snapshot, background }] of writes.entries()) {
          const keep = Math.max(floor, model.length - cut);
          model = [...model.slice(0, keep), ...entries(keep + 1, keep + append, at + 1)];
          store.commit([{ ticket: 2 * at, truncateFrom: keep + 1, entries: model.slice(keep) }]);
          if (snapshot && model.length > floor) {
            floor = model.length;
            const own = { index: floor, term: 1, bytes: Buffer.from(`state ${floor}`) };
            store.commit([{ ticket: 2 * at + 1, snapshot: own, compactTo: floor - 1 }]);
          }
          for (let i = 0; i < background && store.busy; i++) store.background();
        }
        const crashed = JournalStore.open(copyOf(path));
        const found = said(crashed.restored.entries);
        crashed.close();
        store.close();
        return (
          found.length >= model.length - floor && JSON.stringify(said(model)).endsWith(JSON.stringify(found).slice(1))
        );
      }),
      { numRuns: 25 },
    );
  });
});

describe('packing', () => {
  it('a persist comes through the thread as it was given', () => {
    const large = new Uint8Array(100).fill(3);
    const write: JournalWrite = {
      ticket: 5,
      truncateFrom: 4,
      compactTo: null,
      snapshot: { index: 1, term: 2, bytes: large.subarray(10, 30) },
      entries: [entry(4), entry(5, 3)],
      hard: Buffer.from('hard'),
      facts: { promise: Buffer.from('p'), cluster: null },
      boots: [[memberId('ab'), { both: 2, proof: '' }]],
    };
    const plain = (one: JournalWrite): unknown =>
      JSON.parse(
        JSON.stringify(one, (_, v) =>
          v instanceof Uint8Array ? text(v) : v?.type === 'Buffer' ? Buffer.from(v.data).toString() : v,
        ),
      );
    expect(plain(unpackWrite(packWrite(write)))).toEqual(plain(write));
    expect(packWrite(write).bytes.buffer.byteLength).toBe(20 + 6 + 4 + 1);
  });
});

describe('the folder', () => {
  it('is one journal at a time', () => {
    const path = folder();
    const store = JournalStore.open(path);
    expect(opening(path)).toMatch(
      new RegExp(
        `^locked: data folder .* is in use by another process \\(process ${process.pid}\\): stop that one, or give`,
      ),
    );
    store.commit([{ ticket: 1, entries: [entry(1)] }]);
    store.close();
    expect(opening(path)).toBe('restored 1 clean');
  });

  it('that cannot be used is refused with its name', () => {
    const path = folder();
    JournalStore.open(path).close();
    expect(opening(join(path, 'journal.id', 'x'))).toMatch(/^io: data folder .*journal\.id\/x can't be used: /);
  });
});

describe('backups', () => {
  const backup = { cluster: 'one', index: 7, term: 2, takenAt: '2026-01-02T03:04:05Z', bytes: Buffer.from('state') };

  it('come back as they were written', () => {
    const path = folder();
    JournalStore.open(path).close();
    const file = join(path, 'backup');
    writeBackup(file, backup);
    const read = readBackup(file);
    expect(read).toMatchObject({ ok: true, value: { cluster: 'one', index: 7, term: 2, takenAt: backup.takenAt } });
    expect(read.ok && text(read.value.bytes)).toBe('state');
    expect(existsSync(`${file}.new`)).toBe(false);
    expect([holdsJournal(path), holdsJournal(folder())]).toEqual([true, false]);
  });

  it('that are damaged, or none, are refused', () => {
    const path = folder();
    JournalStore.open(path).close();
    const file = join(path, 'backup');
    writeBackup(file, { ...backup, bytes: Buffer.alloc(3000, 'x') });
    const good = readBackup(file);
    expect(good.ok).toBe(true);
    const refused = (bytes: Uint8Array): string => {
      writeFileSync(file, bytes);
      const result = readBackup(file);
      return result.ok ? 'accepted' : result.error;
    };
    writeBackup(file, backup);
    const whole = Buffer.from(`evenkeel backup 1\n{"index":8}\n${'0'.repeat(64)}\nstate`);
    expect(refused(whole)).toMatch(/is damaged/);
    expect(refused(Buffer.alloc(0))).toMatch(/is no backup/);
    expect(refused(Buffer.alloc(10_000, 'y'))).toMatch(/is no backup/);
    expect(refused(Buffer.from('evenkeel backup 2\n{}\n\n'))).toMatch(/later release/);
    const missing = readBackup(join(path, 'nothing'));
    expect(missing.ok ? '' : missing.error).toMatch(/can't be read/);
  });

  it('put into a new folder, the state is there under a new identity', () => {
    const path = folder();
    const store = JournalStore.open(path);
    const { index, term, bytes } = backup;
    store.commit([{ ticket: 1, snapshot: { index, term, bytes }, facts: { cluster: Buffer.from('one') } }]);
    store.close();
    const again = JournalStore.open(path);
    expect(again.restored).toMatchObject({ snapshot: { index: 7, term: 2 }, entries: [] });
    fill(again, 8, 9);
    again.close();
  });
});
