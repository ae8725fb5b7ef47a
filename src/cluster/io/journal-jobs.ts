/**
 * A member's own snapshot, written in the background: a piece per transaction, and commits of votes and entries go
 * between them. Only the last step makes it the snapshot; a crash before leaves the old one, and pieces that the next
 * opening sweeps out. Then what it stands for is deleted, some hundred entries a step.
 *
 *   pieces -> record (ticket done) -> old pieces deleted -> entries up to compactTo deleted
 *
 * It may run later than entries that were asked for after it, since it only touches what is committed and below them.
 * Nobody waits for it: so of those that come while one is written only the newest is kept.
 */
import { createHash, type Hash } from 'node:crypto';
import type { JournalSnapshot } from './journal-model.ts';
import type { SnapshotRecord } from './journal-restore.ts';
import { blob, sum, type Tables } from './journal-tables.ts';

/** Bytes of a snapshot in one transaction. */
const pieceBytes = 256 * 1024;
/** Entries or pieces deleted in one transaction. */
const deletedAtOnce = 512;
const piecesDeletedAtOnce = 16;

export interface Job {
  /** More than one: of those whose place it took. */
  readonly tickets: readonly number[];
  readonly snapshot: JournalSnapshot | null;
  readonly compactTo: number | null;
}

type Stage =
  | { readonly at: 'writing'; readonly first: number; readonly hash: Hash; written: number }
  | { readonly at: 'sweeping' }
  | { readonly at: 'compacting' };

export class SnapshotJobs {
  readonly #tables: Tables;
  readonly #jobs: Job[] = [];
  #stage: Stage | null = null;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  get busy(): boolean {
    return this.#jobs.length > 0;
  }

  add(job: Job): void {
    const isBegun = this.#jobs.length === 1 && this.#stage !== null;
    const before = isBegun ? undefined : this.#jobs.pop();
    if (before === undefined) return void this.#jobs.push(job);
    const compactTo = Math.max(before.compactTo ?? 0, job.compactTo ?? 0);
    this.#jobs.push({
      tickets: [...before.tickets, ...job.tickets],
      snapshot: job.snapshot ?? before.snapshot,
      compactTo: compactTo === 0 ? null : compactTo,
    });
  }

  /** Runs within a transaction. Returns the ticket that is done by it, if one is. */
  step(): readonly number[] {
    const job = this.#jobs[0];
    if (job === undefined) return [];
    this.#stage ??= this.#begin(job);
    const stage = this.#stage;
    if (stage.at === 'writing') return this.#write(job, stage);
    if (stage.at === 'sweeping') {
      if (this.#sweep(piecesDeletedAtOnce)) this.#stage = { at: 'compacting' };
      return [];
    }
    if (!this.#compact(job)) return [];
    this.#jobs.shift();
    this.#stage = null;
    // Without a snapshot it is done only now.
    return job.snapshot === null ? job.tickets : [];
  }

  #begin(job: Job): Stage {
    if (job.snapshot === null) return { at: 'compacting' };
    return { at: 'writing', first: this.#free(), hash: createHash('sha256'), written: 0 };
  }

  #write(job: Job, stage: Extract<Stage, { at: 'writing' }>): readonly number[] {
    const { snapshot } = job;
    if (snapshot === null) return [];
    stage.hash.update(this.#putPiece(snapshot, stage.first, stage.written));
    stage.written += 1;
    if (stage.written * pieceBytes < snapshot.bytes.byteLength) return [];
    this.#record(snapshot, { first: stage.first, pieces: stage.written, sum: stage.hash.digest('hex') });
    this.#stage = { at: 'sweeping' };
    return job.tickets;
  }

  #putPiece(snapshot: JournalSnapshot, first: number, at: number): Uint8Array {
    const bytes = snapshot.bytes.subarray(at * pieceBytes, (at + 1) * pieceBytes);
    this.#tables.sql('INSERT INTO piece VALUES (?, ?)').run(first + at, bytes);
    return bytes;
  }

  #record({ index, term, bytes }: JournalSnapshot, kept: Pick<SnapshotRecord, 'first' | 'pieces' | 'sum'>): void {
    this.#tables.setJson('snapshot', { index, term, size: bytes.byteLength, ...kept } satisfies SnapshotRecord);
  }

  /** The number behind all pieces. */
  #free(): number {
    return Number(this.#tables.sql('SELECT max(number) AS last FROM piece').get()?.['last'] ?? 0) + 1;
  }

  /** A snapshot that must be there before what follows it: within the caller's transaction. */
  writeAtOnce(snapshot: JournalSnapshot): void {
    const first = this.#free();
    const pieces = Math.max(1, Math.ceil(snapshot.bytes.byteLength / pieceBytes));
    for (let at = 0; at < pieces; at++) this.#putPiece(snapshot, first, at);
    this.#record(snapshot, { first, pieces, sum: sum(snapshot.bytes).toString('hex') });
    this.#sweep(Number.MAX_SAFE_INTEGER);
  }

  /** Deletes pieces of no snapshot, within the caller's transaction. */
  sweep(): void {
    this.#sweep(Number.MAX_SAFE_INTEGER);
  }

  /** true: none is left. */
  #sweep(most: number): boolean {
    const record = this.#tables.json<SnapshotRecord>('snapshot');
    const [from, to] = record === null ? [0, 0] : [record.first, record.first + record.pieces];
    const old = 'SELECT number FROM piece WHERE number < ? OR number >= ? LIMIT ?';
    const { changes } = this.#tables.sql(`DELETE FROM piece WHERE number IN (${old})`).run(from, to, most);
    return Number(changes) < most;
  }

  /** true: all is deleted. The base moves along, so that the chain holds after each step. */
  #compact({ compactTo }: Job): boolean {
    const base = this.#tables.base();
    if (compactTo === null || compactTo <= base.index) return true;
    const to = Math.min(compactTo, base.index + deletedAtOnce);
    const last = this.#tables
      .sql('SELECT idx, term, chain FROM entry WHERE idx <= ? ORDER BY idx DESC LIMIT 1')
      .get(to);
    if (last === undefined) return true;
    this.#tables.setBase({ index: Number(last['idx']), term: Number(last['term']), chain: blob(last['chain']) });
    this.#tables.sql('DELETE FROM entry WHERE idx <= ?').run(to);
    return to === compactTo;
  }

  /** All that is left, within the caller's transaction. */
  finish(): readonly number[] {
    const done: number[] = [];
    while (this.busy) done.push(...this.step());
    return done;
  }
}
