/**
 * What was proposed already, so that nothing is applied twice.
 *
 * A member that does not hear how a proposal ended sends the same bytes again, maybe to another leader; both may get into
 * the log. For each member (uid) the state keeps its highest boot, its highest number of that boot, and the results of the
 * last `resultsPerProposer` numbers. The window slides; a number below it that has no result is answered as unknown and
 * not applied. A number inside it that was never seen is applied: proposals may overtake each other.
 *
 * A higher boot empties the window; what an earlier boot sends late is unknown. When the table is full, the member that
 * was silent for longest is forgotten, if it was so for `proposerIdleMs`; else the newcomer is refused.
 */
import type { Millis } from '../../base/ids.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';
import type { CommandResult, Proposer } from './command.ts';
import type { ReplicaLimits } from './model.ts';
import { readResult, writeResult } from './result-codec.ts';
import { Table } from './table.ts';

/** A member that proposes, without its results. */
export interface ProposerRecord {
  readonly uid: string;
  readonly boot: number;
  readonly highest: number;
  readonly heardAt: Millis;
}

export interface ResultRecord {
  readonly uid: string;
  readonly number: number;
  readonly result: CommandResult;
}

export function writeProposer(to: ByteWriter, record: ProposerRecord): void {
  to.text(record.uid).number(record.boot).number(record.highest).number(record.heardAt);
}

export const readProposer = (from: ByteReader): ProposerRecord => ({
  uid: from.text(),
  boot: from.number(),
  highest: from.number(),
  heardAt: from.number(),
});

export function writeResultRecord(to: ByteWriter, record: ResultRecord): void {
  to.text(record.uid).number(record.number);
  writeResult(to, record.result);
}

export const readResultRecord = (from: ByteReader): ResultRecord => ({
  uid: from.text(),
  number: from.number(),
  result: readResult(from),
});

/** `new`: apply it, then `remember`. Else the answer. */
export type Seen = 'new' | CommandResult;

const resultPlace = (uid: string, number: number): string => `${number}/${uid}`;

export class Proposers {
  readonly #limits: ReplicaLimits;
  readonly #proposers = new Table<string, ProposerRecord>({ seed: 6, write: writeProposer });
  readonly #results = new Table<string, ResultRecord>({ seed: 7, write: writeResultRecord });

  constructor(limits: ReplicaLimits) {
    this.#limits = limits;
  }

  get tables(): readonly [Table<string, ProposerRecord>, Table<string, ResultRecord>] {
    return [this.#proposers, this.#results];
  }

  seen(proposer: Proposer, now: Millis): Seen {
    const { uid, boot, number } = proposer;
    const known = this.#proposers.get(uid);
    if (known === undefined) return this.#makeRoom(now);
    if (boot < known.boot) return { kind: 'unknown' };
    if (boot > known.boot) return 'new';
    const kept = this.#results.get(resultPlace(uid, number));
    if (kept !== undefined) return kept.result;
    return number > known.highest - this.#limits.resultsPerProposer ? 'new' : { kind: 'unknown' };
  }

  /** What became of it, if that is still known. Changes nothing. */
  resultOf({ uid, boot, number }: Proposer): CommandResult | null {
    if (this.#proposers.get(uid)?.boot !== boot) return null;
    return this.#results.get(resultPlace(uid, number))?.result ?? null;
  }

  remember(proposer: Proposer, result: CommandResult, now: Millis): void {
    const { uid, boot, number } = proposer;
    const known = this.#proposers.get(uid);
    if (known !== undefined && known.boot < boot) this.#dropResults(known, known.highest);
    const before = known?.boot === boot ? known.highest : 0;
    const highest = Math.max(before, number);
    if (known?.boot === boot) this.#dropResults(known, highest - this.#limits.resultsPerProposer);
    this.#proposers.set(uid, { uid, boot, highest, heardAt: now });
    this.putResult({ uid, number, result });
  }

  putProposer(record: ProposerRecord): void {
    this.#proposers.set(record.uid, record);
  }

  putResult(record: ResultRecord): void {
    this.#results.set(resultPlace(record.uid, record.number), record);
  }

  /** Drops the results up to and with `upTo` that were kept beside the highest so far. */
  #dropResults({ uid, highest }: ProposerRecord, upTo: number): void {
    const first = Math.max(1, highest - this.#limits.resultsPerProposer + 1);
    for (let number = first; number <= Math.min(upTo, highest); number++) {
      this.#results.delete(resultPlace(uid, number));
    }
  }

  #makeRoom(now: Millis): Seen {
    const { proposers: max, proposerIdleMs } = this.#limits;
    if (this.#proposers.size < max) return 'new';
    const all = this.#proposers.capture();
    const silent = all.reduce((a, b) => (b.heardAt < a.heardAt || (b.heardAt === a.heardAt && b.uid < a.uid) ? b : a));
    if (silent.heardAt + proposerIdleMs > now) return { kind: 'full', what: 'proposers', max };
    this.#dropResults(silent, silent.highest);
    this.#proposers.delete(silent.uid);
    return 'new';
  }
}
