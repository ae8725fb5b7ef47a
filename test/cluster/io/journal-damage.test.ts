/** What disks do: torn tails, flipped bits, files that are gone, cut or old. Nothing acknowledged may be lost in silence. */

import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JournalStore } from '../../../src/cluster/io/journal-store.ts';
import { inspectWal } from '../../../src/cluster/io/wal.ts';
import { copyOf, fill, folder, opening, removeFolders } from './folders.ts';

const count = 100;
/** A journal of 100 commits, as a crash left it. Its files are copied for each case. */
let crashed = '';
/** The same, after 100 more and a clean end. */
let closed = '';

beforeAll(() => {
  const path = folder();
  const store = JournalStore.open(path);
  fill(store, 1, count);
  crashed = copyOf(path);
  fill(store, count + 1, 2 * count);
  store.close();
  closed = path;
});
afterAll(removeFolders);

const log = (path: string): string => join(path, 'journal.db-wal');
const database = (path: string): string => join(path, 'journal.db');
const frame = 4096 + 24;

function damaged(what: (path: string) => void, from = crashed): string {
  const path = copyOf(from);
  what(path);
  const first = opening(path);
  // The refusal stands: a second look does not find it in order.
  if (!first.startsWith('restored')) expect(opening(path)).toMatch(/^corrupt: /);
  return first;
}

function flip(file: string, at: number, bit = 0): void {
  const bytes = readFileSync(file);
  bytes[at]! ^= 1 << bit;
  writeFileSync(file, bytes);
}

describe('the log', () => {
  it('undamaged: all is there', () => {
    expect(damaged(() => {})).toBe(`restored ${count} crashed`);
    expect(inspectWal(readFileSync(log(crashed)))).toMatchObject({ kind: 'sound' });
  });

  it('a torn tail, of a commit that never returned, is cut off and the rest is there', () => {
    expect(damaged((path) => truncateSync(log(path), readFileSync(log(path)).byteLength - 1000))).toMatch(
      `restored ${count - 1} crashed`,
    );
    const junk = (path: string): void => writeFileSync(log(path), Buffer.alloc(frame * 2 + 77, 5), { flag: 'a' });
    expect(damaged(junk)).toBe(`restored ${count} crashed`);
  });

  it('a bit flipped in its middle is corruption: SQLite by itself would drop what is behind it', () => {
    const middle = (path: string): number => Math.floor(readFileSync(log(path)).byteLength / 2);
    expect(damaged((path) => flip(log(path), middle(path)))).toMatch(
      /^corrupt: .* in its log frame \d+ is damaged, and frame \d+ behind it is a commit\. What this member acknowledged/,
    );
    const path = copyOf(crashed);
    flip(log(path), middle(path));
    const bare = new DatabaseSync(database(path));
    expect(Number(bare.prepare('SELECT count(*) AS rows FROM entry').get()?.['rows'])).toBeLessThan(count);
    expect(bare.prepare('PRAGMA integrity_check').get()?.['integrity_check']).toBe('ok');
    bare.close();
  });

  it('any bit flipped before its last commit is found, wherever it is', () => {
    const bytes = readFileSync(log(crashed));
    const verdict = inspectWal(bytes);
    expect(verdict).toMatchObject({ kind: 'sound', torn: false });
    const frames = Math.floor((bytes.byteLength - 32) / frame);
    const lastCommit = 32 + (frames - 1) * frame;
    fc.assert(
      fc.property(fc.nat(lastCommit - 1), fc.nat(7), (at, bit) => {
        const copy = Uint8Array.from(bytes);
        copy[at]! ^= 1 << bit;
        return inspectWal(copy).kind === 'corrupt';
      }),
      { numRuns: 200 },
    );
  });

  it('cut anywhere, it is sound up to there', () => {
    const bytes = readFileSync(log(crashed));
    fc.assert(
      fc.property(fc.nat(bytes.byteLength), (length) => {
        const verdict = inspectWal(bytes.subarray(0, length));
        return verdict.kind === (length <= 32 ? 'empty' : 'sound');
      }),
      { numRuns: 100 },
    );
  });

  it('any bytes get a verdict', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => inspectWal(bytes).kind !== 'missing'));
    const header = readFileSync(log(crashed)).subarray(0, 32);
    expect(inspectWal(Buffer.concat([header, Buffer.alloc(3 * frame)]))).toEqual({
      kind: 'sound',
      commits: 0,
      torn: false,
    });
  });

  it('gone, emptied or without a frame, while the database is marked open, is corruption', () => {
    const gone = (path: string): void => {
      rmSync(log(path));
      rmSync(join(path, 'journal.log'));
    };
    expect(damaged(gone)).toMatch(/^corrupt: .* it was not closed, and its log .* is missing/);
    expect(damaged((path) => truncateSync(log(path), 0))).toMatch(/^corrupt: .* is empty/);
    expect(damaged((path) => truncateSync(log(path), 32))).toMatch(/^corrupt: .* is empty/);
  });

  it('deleted under its own name only, as SQLite does when a process ends in between, it is found by its second', () => {
    const path = folder();
    const store = JournalStore.open(path);
    fill(store, 1, 10);
    const copy = join(copyOf(path));
    rmSync(log(copy));
    expect(opening(copy)).toBe('restored 10 crashed');
    expect(opening(copy)).toBe('restored 10 clean');
    // An old second name beside a log is not followed.
    const stale = copyOf(path);
    writeFileSync(join(stale, 'journal.log'), 'old');
    expect(opening(stale)).toBe('restored 10 crashed');
    expect(existsSync(join(stale, 'journal.log'))).toBe(false);
    store.close();
  });

  it('after a clean end there is none, and that is well', () => {
    expect(existsSync(log(closed))).toBe(false);
    expect(damaged(() => {}, closed)).toBe(`restored ${2 * count} clean`);
  });
});

describe('the database', () => {
  it('gone or emptied, beside a folder that had one, is corruption', () => {
    for (const from of [crashed, closed]) {
      expect(damaged((path) => rmSync(database(path)), from)).toMatch(/^corrupt: .* its database is gone or empty/);
      expect(damaged((path) => truncateSync(database(path), 0), from)).toMatch(
        /^corrupt: .* its database is gone or empty/,
      );
      const alone = (path: string): void => {
        rmSync(database(path));
        rmSync(join(path, 'journal.id'));
      };
      if (from === crashed)
        expect(damaged(alone, from)).toMatch(/^corrupt: .* its database is gone, but its log is there/);
    }
  });

  it('cut off is corruption', () => {
    const size = readFileSync(database(closed)).byteLength;
    for (const part of [0.25, 0.5, 0.9]) {
      expect(damaged((path) => truncateSync(database(path), Math.floor(size * part)), closed)).toMatch(/^corrupt: /);
    }
  });

  it('a changed entry is found by its chain', () => {
    const changed = (sql: string): string =>
      damaged((path) => {
        const bare = new DatabaseSync(database(path));
        bare.exec(sql);
        bare.close();
      }, closed);
    expect(changed("UPDATE entry SET bytes = x'00' WHERE idx = 50")).toMatch(/entry 50 is not what was written/);
    expect(changed('UPDATE entry SET term = 2 WHERE idx = 50')).toMatch(/entry 50 is not what was written/);
    expect(changed('DELETE FROM entry WHERE idx = 50')).toMatch(/entry 50 is gone/);
    expect(changed('DELETE FROM entry WHERE idx = 1')).toMatch(/entry 1 is gone/);
    expect(changed('DELETE FROM entry WHERE idx > 190')).toMatch(
      /it ends at entry 190, but entry 200 was written last/,
    );
    expect(changed("UPDATE record SET value = x'7b7d' WHERE name = 'identity'")).toMatch(
      /record 'identity' is damaged/,
    );
    expect(changed("DELETE FROM record WHERE name = 'mark'")).toMatch(/record 'mark' is gone/);
    expect(changed('DROP TABLE record')).toMatch(/its tables are gone/);
  });

  it('any flipped bit is found, or changes nothing that counts', () => {
    const size = readFileSync(database(closed)).byteLength;
    fc.assert(
      fc.property(fc.nat(size - 1), fc.nat(7), (at, bit) => {
        const found = damaged((path) => flip(database(path), at, bit), closed);
        return found === `restored ${2 * count} clean` || /^(corrupt|format|io): /.test(found);
      }),
      { numRuns: 40 },
    );
  });

  it('of a later release is not touched', () => {
    const path = copyOf(closed);
    const store = JournalStore.open(path);
    store.close();
    const bare = new DatabaseSync(database(path));
    bare.exec("DELETE FROM record WHERE name = 'format'");
    bare.close();
    expect(opening(path)).toMatch(/record 'format' is gone/);
  });
});
