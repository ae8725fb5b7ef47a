/**
 * The journal's tables, and the hashes in them. SQLite checks the log's frames while it recovers, but nothing in the
 * database file: a row that a disk changed is a row.
 *
 *   record   name -> value, with a hash of both
 *   entry    index -> term, bytes, chain = hash(chain of the one before, index, term, bytes)
 *   piece    a snapshot's bytes; their hash is in the record of the snapshot
 *   peer     uid -> its newest run (boot), what it said to prove it, with a hash of all
 *
 * `base` is what the first entry stands on: index, term and chain of the one before it. `head` is the last entry's
 * index and chain: rows that vanish at the end are found by it.
 */
import { hash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { JournalError } from './journal-model.ts';

/** Raised with every change that an earlier release can't read. */
export const formatVersion = 2;

export const schema = `
  CREATE TABLE IF NOT EXISTS record (name TEXT PRIMARY KEY, value BLOB NOT NULL, sum BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS entry (idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, bytes BLOB NOT NULL, chain BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS piece (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS peer (uid TEXT PRIMARY KEY, boot INTEGER NOT NULL, sum BLOB NOT NULL, proof TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
`;

export const sum = (...parts: readonly (Uint8Array | string)[]): Buffer =>
  hash(
    'sha256',
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part))),
    'buffer',
  );

export interface Link {
  readonly index: number;
  readonly chain: Uint8Array;
}

export interface Base extends Link {
  readonly term: number;
}

/** What a chain begins with behind a snapshot whose own entries are not here. */
export const rootOf = (index: number, term: number): Base => ({
  index,
  term,
  chain: sum('evenkeel journal', `${index} ${term}`),
});

export function chainOf(before: Uint8Array, entry: { index: number; term: number; bytes: Uint8Array }): Buffer {
  const head = Buffer.allocUnsafe(16);
  head.writeBigUInt64BE(BigInt(entry.index), 0);
  head.writeBigUInt64BE(BigInt(entry.term), 8);
  return hash('sha256', Buffer.concat([before, head, entry.bytes]), 'buffer');
}

export const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Prepared statements, and values in and out of records. Every read is checked. */
export class Tables {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly path: string;

  constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.path = path;
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  sql(text: string): StatementSync {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(text);
    this.#statements.set(text, statement);
    return statement;
  }

  record(name: string): Uint8Array | null {
    const row = this.sql('SELECT value, sum FROM record WHERE name = ?').get(name);
    if (row === undefined) return null;
    const value = blob(row['value']);
    if (!same(sum(name, value), blob(row['sum']))) throw this.corrupt(`its record '${name}' is damaged`);
    return value;
  }

  setRecord(name: string, value: Uint8Array | null): void {
    if (value === null) this.sql('DELETE FROM record WHERE name = ?').run(name);
    else this.sql('INSERT OR REPLACE INTO record VALUES (?, ?, ?)').run(name, value, sum(name, value));
  }

  /** A record that holds JSON of our own making. */
  json<T>(name: string): T | null {
    const value = this.record(name);
    return value === null ? null : (JSON.parse(Buffer.from(value).toString()) as T);
  }

  setJson(name: string, value: unknown): void {
    this.setRecord(name, Buffer.from(JSON.stringify(value)));
  }

  base(): Base {
    const { index, term, chain } =
      this.json<{ index: number; term: number; chain: string }>('base') ?? this.missing('base');
    return { index, term, chain: Buffer.from(chain, 'hex') };
  }

  setBase(base: Base): void {
    this.setJson('base', { index: base.index, term: base.term, chain: Buffer.from(base.chain).toString('hex') });
  }

  head(): Link {
    const { index, chain } = this.json<{ index: number; chain: string }>('head') ?? this.missing('head');
    return { index, chain: Buffer.from(chain, 'hex') };
  }

  setHead(head: Link): void {
    this.setJson('head', { index: head.index, chain: Buffer.from(head.chain).toString('hex') });
  }

  missing(what: string): never {
    throw this.corrupt(`its record '${what}' is gone`);
  }

  corrupt(detail: string): JournalError {
    return corruption(this.path, detail);
  }
}

export const corruption = (path: string, detail: string): JournalError =>
  new JournalError(
    'corrupt',
    `the journal in ${path} is damaged: ${detail}. What this member acknowledged may be lost, so it ` +
      'must not vote with what is left: move the folder away and start again, and the member joins the cluster anew and ' +
      'gets its state from the others; if there are no others, restore a backup',
  );

export const blob = (value: unknown): Uint8Array => (value instanceof Uint8Array ? value : new Uint8Array(0));
