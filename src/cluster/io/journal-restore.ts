/** Reads all that the journal holds, and checks it on the way: hashes, contiguity, that nothing is missing at the end. */
import { type MemberId, memberId } from '../../base/ids.ts';
import { type Facts, factNames, type JournalEntry, type JournalSnapshot, type PeerRun } from './journal-model.ts';
import { blob, chainOf, same, sum, type Tables } from './journal-tables.ts';

export interface SnapshotRecord {
  readonly index: number;
  readonly term: number;
  readonly size: number;
  /** Its pieces have the numbers from `first` on. */
  readonly first: number;
  readonly pieces: number;
  readonly sum: string;
}

/** Throws a JournalError if the file's own structure is broken. */
export function checkStructure(tables: Tables): void {
  const verdict = tables.sql('PRAGMA quick_check(1)').get()?.['quick_check'];
  if (verdict !== 'ok') throw tables.corrupt(String(verdict));
}

export function readEntries(tables: Tables): JournalEntry[] {
  let before = tables.base() as { readonly index: number; readonly chain: Uint8Array };
  const entries: JournalEntry[] = [];
  for (const row of tables.sql('SELECT idx, term, bytes, chain FROM entry ORDER BY idx').iterate()) {
    const entry = { index: Number(row['idx']), term: Number(row['term']), bytes: blob(row['bytes']) };
    if (entry.index !== before.index + 1) throw tables.corrupt(`entry ${before.index + 1} is gone`);
    const chain = blob(row['chain']);
    if (!same(chainOf(before.chain, entry), chain))
      throw tables.corrupt(`entry ${entry.index} is not what was written`);
    entries.push(entry);
    before = { index: entry.index, chain };
  }
  const head = tables.head();
  if (head.index !== before.index || !same(head.chain, before.chain))
    throw tables.corrupt(`it ends at entry ${before.index}, but entry ${head.index} was written last`);
  return entries;
}

export function readSnapshot(tables: Tables): JournalSnapshot | null {
  const record = tables.json<SnapshotRecord>('snapshot');
  if (record === null) return null;
  const bytes = new Uint8Array(record.size);
  let at = 0;
  const pieces = tables.sql('SELECT bytes FROM piece WHERE number >= ? AND number < ? ORDER BY number');
  for (const row of pieces.iterate(record.first, record.first + record.pieces)) {
    const piece = blob(row['bytes']);
    if (at + piece.byteLength > record.size) break;
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  if (at !== record.size || sum(bytes).toString('hex') !== record.sum)
    throw tables.corrupt(`its snapshot of entry ${record.index} is not what was written`);
  return { index: record.index, term: record.term, bytes };
}

export function readFacts(tables: Tables): Facts {
  const facts: { [Name in (typeof factNames)[number]]?: Uint8Array } = {};
  for (const name of factNames) {
    const value = tables.record(`fact ${name}`);
    if (value !== null) facts[name] = value;
  }
  return facts;
}

export function readBoots(tables: Tables): Map<MemberId, PeerRun> {
  const boots = new Map<MemberId, PeerRun>();
  for (const row of tables.sql('SELECT uid, boot, proof, sum FROM peer').iterate()) {
    const uid = String(row['uid']);
    const run = { both: Number(row['boot']), proof: String(row['proof']) };
    if (!same(bootSum(uid, run), blob(row['sum']))) throw tables.corrupt(`its record of member ${uid} is damaged`);
    boots.set(memberId(uid), run);
  }
  return boots;
}

/** Without a proof it is as the first format had it. */
export const bootSum = (uid: string, { both, proof }: PeerRun): Buffer =>
  proof === '' ? sum(uid, String(both)) : sum(uid, String(both), proof);
