/**
 * What is agreed about each pool with a primary: who it is, in which epoch, and how far a change of it has come. Records
 * are kept for good: a pool that comes back into the files must not begin its epochs anew.
 */
import { openEpochOf, type PoolRecord } from '../failover/model.ts';
import { textBytes } from './bytes.ts';
import type { Command, CommandResult } from './command.ts';
import type { Moment } from './events.ts';
import type { History } from './history.ts';
import type { ReplicaLimits } from './model.ts';
import { poolBytes, writePool } from './pool-codec.ts';
import { afterLoss, isLegalStep } from './pool-steps.ts';
import { Table } from './table.ts';

export class Pools {
  readonly #limits: ReplicaLimits;
  readonly #records = new Table<string, PoolRecord>({ seed: 8, write: writePool });

  constructor(limits: ReplicaLimits) {
    this.#limits = limits;
  }

  get table(): Table<string, PoolRecord> {
    return this.#records;
  }

  get(pool: string): PoolRecord | null {
    return this.#records.get(pool) ?? null;
  }

  /** The epoch in which writes go, null if none is open. */
  openEpoch(pool: string): number | null {
    return openEpochOf(this.get(pool));
  }

  /** All, by name. */
  list(): readonly PoolRecord[] {
    return this.#records.capture().sort((a, b) => (a.pool < b.pool ? -1 : 1));
  }

  /** `conflict` names the step that is known. The note goes into the history with the change, or not at all. */
  change(command: Extract<Command, { readonly kind: 'pool' }>, history: History, moment: Moment): CommandResult {
    const { record, note } = command;
    const refused = this.#tooMuch(record, note);
    if (refused !== null) return refused;
    const known = this.get(record.pool);
    if (!isLegalStep(known, record)) return { kind: 'conflict', revision: known?.step ?? null };
    this.put(record);
    moment.events.push({ kind: 'pool', record });
    if (note !== '') history.add({ topic: 'failover', subject: record.pool, text: note }, moment);
    return { kind: 'done' };
  }

  #tooMuch(record: PoolRecord, note: string): CommandResult | null {
    const { nameBytes, recordBytes, pools, poolRecordBytes } = this.#limits;
    const name = textBytes(record.pool);
    if (name > nameBytes) return { kind: 'too-large', what: 'name', size: name, max: nameBytes };
    const text = textBytes(note);
    if (text > recordBytes) return { kind: 'too-large', what: 'record', size: text, max: recordBytes };
    const size = poolBytes(record);
    if (size > poolRecordBytes) return { kind: 'too-large', what: 'record', size, max: poolRecordBytes };
    const isNew = this.get(record.pool) === null;
    return isNew && this.#records.size >= pools ? { kind: 'full', what: 'pools', max: pools } : null;
  }

  put(record: PoolRecord): void {
    this.#records.set(record.pool, record);
  }

  /**
   * After a loss of members that may have opened epochs of which this state does not know: all epochs go on above them.
   * Only for a state that no other member has.
   */
  raiseEpochs(): void {
    for (const record of this.list()) this.put(afterLoss(record));
  }
}
